/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * services.h - a service as a whole, from the writer's side: free, in use, leaving.
 */
#ifndef WEIR_SERVICES_H
#define WEIR_SERVICES_H

#include "datapath/maps.h"
#include "model/service.h"

/* Take the free id `id`: nothing in it, no slots. */
int services_add(struct maps *maps, __u32 id, const struct service *service, __u8 protocol,
		 struct err *err);

/* Algorithm, path, drain_timeout_ms. */
void services_set(struct maps *maps, __u32 id, const struct service *service);

/*
 * No new flows from now on, wherever the caller is killed: concealed, and each backend leaves (at
 * once with `is_now`, also those that left before). Its slots are given up.
 */
int services_leave(struct maps *maps, __u32 id, bool is_now, __u64 now, struct err *err);

/* When a backend of it that leaves now is gone. */
__u64 services_gone_at(struct maps *maps, __u32 id, bool is_now, __u64 now);

/* Free services that leave and have no backend left, with their frontends and flows. */
int services_finish(struct maps *maps, const __u32 *ids, size_t count, struct err *err);

#endif
