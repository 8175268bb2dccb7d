/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * frontends.h - one VIP, port and protocol of a service, from the writer's side.
 *
 * Three states: *free*; *concealed* (VALID in `frontend_list`: its flows go on, but it has no key
 * in `frontends`, so there are no new ones): those of a service that drains; *published*.
 */
#ifndef WEIR_FRONTENDS_H
#define WEIR_FRONTENDS_H

#include "datapath/maps.h"

struct weir_frontend_key frontends_key(const struct weir_frontend *frontend);

/* Take the free id `id` for this address of `service`: concealed, and in the service's list. */
void frontends_add(struct maps *maps, __u32 id, __u32 service, const struct weir_address *vip,
		   __be16 port);

/* Make it reachable. A key that leads to another frontend is taken over in one step. */
int frontends_publish(struct maps *maps, __u32 id, struct err *err);

/* Take its key away, unless that leads to another frontend by now. */
int frontends_conceal(struct maps *maps, __u32 id, struct err *err);

/* A concealed one: out of its service's list, its flows end. ids_put follows after purge_flows. */
void frontends_drop(struct maps *maps, __u32 id);

/* How the packets of the service's frontends are sent on (service_info.path). */
void frontends_set_path(struct maps *maps, __u32 service);

/* The id at (vip, port, protocol) in `frontends`, or WEIR_NONE. */
__u32 frontends_find(struct maps *maps, const struct weir_frontend_key *key);

#endif
