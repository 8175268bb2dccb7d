/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * plan.h - what a list of changes comes to: for each service that it touches, what is there and
 * what shall be there. Making a plan writes nothing; it refuses what cannot be done.
 */
#ifndef WEIR_PLAN_H
#define WEIR_PLAN_H

#include "datapath/index.h"
#include "datapath/maps.h"
#include "datapath/regions.h"
#include "model/diff.h"

struct plan_backend {
	struct addr addr;
	__u16 port, weight;
	__u32 id; /* WEIR_NONE: not installed */
	const struct backend *plain; /* weight, zone and labels to set, or NULL */
	bool is_drained, is_leaving; /* as it shall be */
	bool is_now; /* leaving: no drain */
};

struct plan_vip {
	struct addr addr;
	__u16 port;
	__u32 id; /* frontend id; WEIR_NONE: not installed */
	bool is_wanted;
	bool was_published;
};

struct plan_service {
	const struct service *plain; /* of the last ADD or SET; else only its name counts */
	__u32 id; /* WEIR_NONE: not installed */
	__u32 replaced; /* an installed one of another protocol that must end first, or WEIR_NONE */
	__u8 protocol;
	__u8 family; /* 4, 6 or 0, as it shall be */
	bool was_wanted, is_wanted; /* installed and not leaving: before, after */
	bool is_set; /* its plain fields change */
	bool is_now; /* not wanted: no drain */
	struct plan_backend *backends; /* owned */
	struct plan_vip *vips; /* owned */
	size_t backend_count, backend_room, vip_count, vip_room;
	struct index backend_index, vip_index; /* by address and port */
	bool has_new_table;
	__u32 serving; /* backends in the new table */
	__u32 start; /* of its region */
};

struct plan {
	struct plan_service *services; /* owned; in the order of their first change */
	size_t count, room;
	struct index index; /* by name */
	const struct timeouts *timeouts; /* NULL: as they are */
	bool is_resumed;
	const struct change_list *list; /* while it is being read */
};

/*
 * `is_resumed`: a killed run was repaired just now, and the list may be its list again. What it
 * asks for may be there already, or gone already: that is no error then.
 *
 * -ENOENT, -EEXIST, -EINVAL for what cannot be, -ENOSPC that names the limit, -ENOMEM.
 */
int plan_make(struct maps *maps, const struct change_list *list, bool is_resumed, __u64 now,
	      struct plan *ret_plan, struct err *err);
void plan_free(struct plan *plan);

/* Look-ups; NULL for absent. */
struct plan_service *plan_find_service(const struct plan *plan, const char *name);
struct plan_backend *plan_find_backend(const struct plan_service *service, const struct addr *addr,
				       uint16_t port);
struct plan_vip *plan_find_vip(const struct plan_service *service, const struct addr *addr,
			       uint16_t port);

#endif
