/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * tables.h - the slots of services in the map: where they lie, and how one is put in place.
 */
#ifndef WEIR_TABLES_H
#define WEIR_TABLES_H

#include "datapath/maps.h"
#include "datapath/regions.h"
#include "datapath/slots.h"

struct addr;

/* A table under construction, reused from service to service; zeroed is empty. */
struct table_draft {
	struct weir_slot *slots; /* owned */
	uint32_t room, size;
};
void tables_free(struct table_draft *draft);

/* Mark what the installed services use. 0 or -ENOMEM; regions_free follows. */
int tables_scan(struct maps *maps, struct regions *ret_regions);

/* What a table is made of. */
void tables_entry(struct slots_backend *entry, __u32 id, const struct weir_backend *backend,
		  __u16 weight);

/* Build the table of `count` backends (none: an empty one). 0 or -ENOMEM. */
int tables_build(struct maps *maps, struct table_draft *draft, struct slots_backend *backends,
		 size_t count, struct err *err);

/* Does the service have exactly this table? */
int tables_compare(struct maps *maps, __u32 service, const struct table_draft *draft,
		   bool *ret_is_same, struct err *err);

/* Write it to the free region at `start`, then flip the service to it. */
int tables_install(struct maps *maps, __u32 service, const struct table_draft *draft,
		   uint32_t start, struct err *err);

#endif
