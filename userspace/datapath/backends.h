/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * backends.h - one backend of a service, from the writer's side: free, in use, leaving, gone.
 *
 * Words that packets read change one at a time; after backends_add the reasons only by atomic OR
 * and AND, since health sets bits of its own.
 */
#ifndef WEIR_BACKENDS_H
#define WEIR_BACKENDS_H

#include "datapath/maps.h"
#include "model/service.h"

/* Take the free id `id` for it. */
void backends_add(struct maps *maps, __u32 id, __u32 service, const struct backend *backend,
		  bool is_drained);

void backends_set_plain(struct maps *maps, __u32 id, const struct backend *backend);

/* One of the writer's own reasons: WEIR_REASON_DRAINED, WEIR_REASON_WEIGHT. */
void backends_set_reason(struct maps *maps, __u32 id, __u32 reason, bool is_set);

/* Drain it until `gone_at` (ns); then backends_collect frees it. In the list of leaving ones. */
void backends_leave(struct maps *maps, __u32 id, __u64 gone_at);

void backends_end(struct maps *maps, __u32 id, __u64 now); /* a leaving one: its drain is over */
void backends_return(struct maps *maps, __u32 id); /* a leaving one stays after all */

/* Is it in the table of its service? Leaving and drained ones and those of weight 0 are not. */
bool backends_serves(struct maps *maps, __u32 id);

/*
 * Free those whose drain is over by `now`. Services that leave and have no backend left then are
 * counted and listed for the caller, who frees the array. 0 or -ENOMEM.
 */
int backends_collect(struct maps *maps, __u64 now, __u32 **ret_services, size_t *ret_count);

#endif
