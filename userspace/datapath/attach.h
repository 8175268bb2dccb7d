/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * attach.h - puts the programs on interfaces: tcx links where the kernel has them, clsact filters
 * before. One program per hook; found again by their pins, replaced in place.
 */
#ifndef WEIR_ATTACH_H
#define WEIR_ATTACH_H

#include "datapath/maps.h"
#include "model/service.h"

struct netlink_link;

struct attach_report {
	size_t attached, detached, kept;
};

/*
 * Make the attached interfaces those that match `rules` now (the first match counts), and drop
 * what is left of interfaces that are gone. An interface that cannot carry us (not Ethernet, a
 * bridge itself) is an error that names it, unless only a glob matched it: then it is skipped.
 */
int attach_interfaces(struct maps *maps, const struct interface_rule *rules, size_t count,
		      struct attach_report *ret_report, struct err *err);

/* The first rule that matches the name, or NULL. */
const struct interface_rule *attach_rule(const struct interface_rule *rules, size_t count,
					 const char *name);

/* Why an interface cannot carry us ("a bridge: ..."), or NULL. */
const char *attach_obstacle(const struct netlink_link *link);

/* Put the programs on weir1 as `settings` names it; take them and its entry away. */
int attach_node(struct maps *maps, struct err *err);
void attach_remove_node(struct maps *maps);

/* Exchange the programs on every interface that has them for those that are pinned now. */
int attach_refresh(struct maps *maps, struct err *err);

struct attach_state {
	__u32 ifindex;
	struct weir_interface interface;
	bool is_live; /* both hooks carry our current program */
};
/* What is attached, sorted by name; free(3) the array. */
int attach_list(struct maps *maps, struct attach_state **ret_states, size_t *ret_count,
		struct err *err);

#endif
