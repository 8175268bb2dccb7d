/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* file.h - the configuration file, for the commands that take one. */
#ifndef WEIR_FILE_H
#define WEIR_FILE_H

#include "datapath/maps.h"
#include "model/service.h"

/* An exit code; all errors of the file are said. */
int file_read(const char *path, struct model *ret_model);

/* Say what the file wants that only a new load can do: limits, hash_seed. */
void file_warn(struct maps *maps, const struct model *model);

#endif
