/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * ids.h - free ids of services, frontends and backends: lists in `settings`, oldest first.
 *
 * The lists are derived (repair rebuilds them): what makes an id free stands in its own entry.
 */
#ifndef WEIR_IDS_H
#define WEIR_IDS_H

#include "datapath/maps.h"

enum id_kind {
	ID_SERVICE,
	ID_FRONTEND,
	ID_BACKEND
};

#define IDS_REST_NS 1000000000ull /* a backend id rests that long: packets may still hold it */

/*
 * The oldest free id, or WEIR_NONE. A backend id must have rested, and no flow of its last use
 * may still be counted in its gauge.
 */
__u32 ids_take(struct maps *maps, enum id_kind kind, __u64 now);

/* How many ids ids_take would give now; counts no further than `wanted`. */
__u32 ids_available(struct maps *maps, enum id_kind kind, __u64 now, __u32 wanted);

/* The same with those that still have to rest. */
__u32 ids_count(struct maps *maps, enum id_kind kind, __u32 wanted);

void ids_put(struct maps *maps, enum id_kind kind, __u32 id); /* at the end of its list */
void ids_clear(struct maps *maps, enum id_kind kind); /* no free ids */

#endif
