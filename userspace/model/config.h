/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * config.h - the configuration file (YAML) to a model. docs/config.md is its manual.
 *
 * All errors of a file are found in one run; a file with any error leaves `ret_model` untouched.
 * `ret_errors` is always initialised, borrows the name, and is freed by the caller.
 */
#ifndef WEIR_CONFIG_H
#define WEIR_CONFIG_H

#include "model/config_errors.h"
#include "model/service.h"

#define CONFIG_SIZE_MAX  (64u << 20) /* bytes of a file */
#define CONFIG_DEPTH_MAX 16 /* lists and mappings in each other */

/* 0, -EINVAL with errors, or another -errno with one error that says it. */
int config_read(const char *path, struct model *ret_model, struct config_errors *ret_errors);
int config_parse(const char *name, const char *text, size_t len, struct model *ret_model,
		 struct config_errors *ret_errors);

/*
 * What no single value shows: duplicates, overlapping VIPs, mixed families, limits. Part of the
 * two above; also for a model from elsewhere. Elements with an address of zeros, and services
 * without a name or a protocol, are known to be wrong and are left out. 0, -EINVAL or -ENOMEM.
 * O(n log n).
 */
int config_check(const struct model *model, struct config_errors *errors);

#endif
