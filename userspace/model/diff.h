/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * diff.h - the changes that lead from one model to another, in the order in which they are safe
 * to make: services and what they need first, removals last. An operator's single command is a
 * list of one change, so there is one way into the kernel (datapath/apply.h).
 */
#ifndef WEIR_DIFF_H
#define WEIR_DIFF_H

#include "model/service.h"

#include <stdio.h>

enum change_kind {
	CHANGE_TIMEOUTS,
	CHANGE_SERVICE_ADD, /* with nothing in it: VIPs and backends follow as changes */
	CHANGE_SERVICE_SET, /* algorithm, path, drain_timeout_ms */
	CHANGE_BACKEND_ADD,
	CHANGE_BACKEND_SET, /* weight, zone, labels */
	CHANGE_BACKEND_DRAIN,
	CHANGE_BACKEND_UNDRAIN,
	CHANGE_VIP_ADD,
	CHANGE_VIP_REMOVE,
	CHANGE_BACKEND_REMOVE, /* drains first, unless is_now */
	CHANGE_SERVICE_REMOVE, /* with all its VIPs and backends; drains first, unless is_now */
};

/* Pointers lead into the models that were compared, or to what the caller keeps. */
struct change {
	enum change_kind kind;
	bool is_now; /* removals: skip the drain */
	const struct service *service; /* its name counts; for ADD and SET all plain fields */
	const struct vip *vip; /* CHANGE_VIP_* */
	const struct backend *backend; /* CHANGE_BACKEND_* */
	const struct timeouts *timeouts; /* CHANGE_TIMEOUTS */
};

struct change_list {
	struct change *changes; /* owned; what they point to is not */
	size_t count;
};

int change_list_add(struct change_list *list, const struct change *change); /* 0 or -ENOMEM */
void change_list_free(struct change_list *list);

/*
 * What makes `installed` equal to `wanted`. First the time-outs, then what is removed to make
 * room for another of its name, then service by service in order of names all that adds, sets and
 * takes from services that stay, in the order of enum change_kind; last the services that go.
 * Services and backends that are leaving count as absent, and come back by an ADD.
 *
 * A service whose protocol or address family differs is removed at once and added: two services
 * cannot drain and serve under one name, and no table may hold backends of both families. A VIP
 * that moves to another service is removed from the old one right before it is added to the new
 * one, whose backends are there by then. O(n log n). 0 or -ENOMEM; the list is freed by the caller.
 */
int diff_models(const struct model *installed, const struct model *wanted,
		struct change_list *ret_list);

/* One line for a person: "backend web 10.0.0.1:80: add, weight 2". */
void change_print(FILE *out, const struct change *change);

#endif
