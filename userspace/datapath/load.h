/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * load.h - brings the programs and maps into the kernel and takes them out again.
 */
#ifndef WEIR_LOAD_H
#define WEIR_LOAD_H

#include "datapath/maps.h"
#include "model/service.h"

#define LOAD_HOST "weir0" /* the end of the pair that has the routes to VIPs */
#define LOAD_NODE "weir1" /* the end that carries our program */

/*
 * Load the programs and create and pin the maps with the limits of `model`; make weir0/weir1 and
 * start the sweep. Already loaded: the maps and their flows stay, the programs are replaced in
 * place on every interface (limits must be the same, else -EEXIST says so). The caller need not
 * hold the lock: load takes it.
 */
int load_install(const struct model *model, struct err *err);

/* Detach everywhere, delete weir0/weir1 and our routes, unpin all. Also for another ABI's pins. */
int load_remove(struct err *err);

/* Is this what was loaded? -EEXIST with a message that names the first limit that differs. */
int load_check_limits(const struct weir_settings *settings, const struct model *model,
		      struct err *err);

#endif
