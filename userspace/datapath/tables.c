/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* tables.c - see tables.h. */
#include "datapath/tables.h"

#include "datapath/store.h"

#include <arpa/inet.h>
#include <stdlib.h>

static uint32_t region_start(__u64 region)
{
	return (uint32_t)region;
}

static uint32_t region_size(__u64 region)
{
	return (uint32_t)(region >> 32);
}

void tables_free(struct table_draft *draft)
{
	free(draft->slots);
	*draft = (struct table_draft){};
}

int tables_scan(struct maps *maps, struct regions *ret_regions)
{
	const struct weir_service *services = maps_services(maps);
	int rc = regions_init(ret_regions, maps->settings->slots);

	for (__u32 i = 0; !rc && i < maps->settings->services; i++) {
		__u64 region = services[i].region;

		if (services[i].flags & WEIR_SERVICE_VALID && region_size(region))
			regions_mark(ret_regions, region_start(region), region_size(region));
	}
	return rc;
}

void tables_entry(struct slots_backend *entry, __u32 id, const struct weir_backend *backend,
		  __u16 weight)
{
	*entry = (struct slots_backend){.id = id, .weight = weight};
	entry->port = ntohs(backend->port);
	memcpy(&entry->addr, &backend->address, sizeof(entry->addr));
}

static int make_room(struct table_draft *draft, uint32_t size)
{
	struct weir_slot *slots;

	if (size <= draft->room)
		return 0;
	slots = reallocarray(draft->slots, size, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	draft->slots = slots;
	draft->room = size;
	return 0;
}

int tables_build(struct maps *maps, struct table_draft *draft, struct slots_backend *backends,
		 size_t count, struct err *err)
{
	uint64_t seed[2] = {maps->settings->hash_seed[0], maps->settings->hash_seed[1]};
	uint32_t size = slots_size(count);
	int rc = make_room(draft, size);

	if (!rc)
		rc = slots_build(backends, count, seed, size, draft->slots);
	if (rc)
		return err_set(err, rc, "cannot build a table of %zu backends: %s", count,
			       strerror(-rc));
	draft->size = size;
	return 0;
}

int tables_compare(struct maps *maps, __u32 service, const struct table_draft *draft,
		   bool *ret_is_same, struct err *err)
{
	__u64 region = maps_services(maps)[service].region;
	uint32_t start = region_start(region), size = region_size(region);
	struct weir_slot *slots;

	*ret_is_same = size == draft->size;
	if (!size || !*ret_is_same)
		return 0;
	slots = maps_slots_map(maps, start, size);
	if (!slots)
		return err_set(err, -errno, "cannot map slots: %s", strerror(errno));
	*ret_is_same = !memcmp(slots, draft->slots, size * sizeof(*slots));
	maps_slots_unmap(slots, start, size);
	return 0;
}

int tables_install(struct maps *maps, __u32 service, const struct table_draft *draft,
		   uint32_t start, struct err *err)
{
	__u64 region = start | (__u64)draft->size << 32;
	struct weir_slot *slots;

	if (draft->size) {
		slots = maps_slots_map(maps, start, draft->size);
		if (!slots)
			return err_set(err, -errno, "cannot map slots: %s", strerror(errno));
		memcpy(slots, draft->slots, draft->size * sizeof(*slots));
		maps_slots_unmap(slots, start, draft->size);
		STORED();
	}
	STORE(maps_services(maps)[service].region, draft->size ? region : 0);
	return 0;
}
