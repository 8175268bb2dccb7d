/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * config_errors.h - everything that is wrong with one configuration, each as a line for a person:
 * "weir.yaml:12:7: port: got 70000, wanted 1-65535".
 */
#ifndef WEIR_CONFIG_ERRORS_H
#define WEIR_CONFIG_ERRORS_H

#include "model/service.h"

#include <stdio.h>

#define CONFIG_ERRORS_MAX 100 /* lines that are kept */

struct config_errors {
	const char *file; /* its name in front of the lines; borrowed; may be NULL */
	struct config_error {
		struct place place;
		size_t number; /* in the order of finding */
		char *text; /* owned, the whole line without a newline */
	} errors[CONFIG_ERRORS_MAX];
	size_t count; /* of those kept */
	size_t left_out; /* found after that */
};

void config_errors_init(struct config_errors *errors, const char *file);
void config_errors_free(struct config_errors *errors);

/* `where` is a key, or NULL; a place with line 0 is not shown. */
void config_errors_add(struct config_errors *errors, struct place place, const char *where,
		       const char *format, ...) __attribute__((format(printf, 4, 5)));

/* By place; what has the same place stays in the order of finding. */
void config_errors_sort(struct config_errors *errors);

/* One line each, then "... and 7 more" where some were left out. */
void config_errors_print(const struct config_errors *errors, FILE *out);

#endif
