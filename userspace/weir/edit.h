/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * edit.h - an operator's change of one service: read that service alone, check the change as a
 * configuration file is checked, carry it out. Its cost does not grow with the other services.
 */
#ifndef WEIR_EDIT_H
#define WEIR_EDIT_H

#include "datapath/maps.h"
#include "model/diff.h"
#include "model/service.h"

struct edit {
	struct maps *maps;
	int lock;
	struct model model; /* the service first; behind it whatever the change could clash with */
	struct change_list list;
};

/*
 * Take the lock and read the service `name`. With `is_new` it must not be there, and the model
 * holds an empty one of that name. An exit code, said; edit_end follows EXIT_DONE.
 */
int edit_begin(struct edit *edit, const char *name, bool is_new);
void edit_end(struct edit *edit);

/* The service. The pointer lasts until one of edit_check_*; its arrays stay where they are. */
struct service *edit_service(struct edit *edit);

/* Check the whole service; what is new in it is compared with the other services. Exit codes. */
int edit_check_backend(struct edit *edit, const struct backend *added);
int edit_check_vips(struct edit *edit);

/* One more change: `service` is filled in. */
int edit_add(struct edit *edit, struct change change);

/* Carry out the changes, and say what they were. */
int edit_apply(struct edit *edit);

#endif
