/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* backends.c - see backends.h. */
#include "datapath/backends.h"

#include "datapath/filters.h"
#include "datapath/ids.h"
#include "datapath/store.h"

#include <arpa/inet.h>
#include <stdlib.h>

/* An id that was never used has counters of 0. */
static void zero_counters(struct maps *maps, __u32 id)
{
	const struct weir_settings *settings = maps->settings;

	if (!maps_backend_info_at(maps, id)->freed_at)
		return;
	for (size_t cpu = 0; cpu < settings->cpus; cpu++)
		memset(maps_counters_at(maps, cpu * settings->backends + id), 0,
		       sizeof(struct weir_counters));
	STORED();
}

void backends_add(struct maps *maps, __u32 id, __u32 service, const struct backend *backend,
		  bool is_drained)
{
	struct weir_backend *entry = maps_backend_at(maps, id);
	struct weir_backend_info *info = maps_backend_info_at(maps, id);
	struct weir_service_info *owner = &maps_service_info(maps)[service];
	__u32 reasons = 0;

	zero_counters(maps, id);
	/* First of all, so that no flow of the last use takes the new address for its own. */
	STORE(entry->generation, (__u8)(entry->generation + 1));
	memcpy(&entry->address, &backend->addr, sizeof(entry->address));
	STORE(entry->port, htons(backend->port));
	STORE(entry->gone_at, 0);
	STORE(info->is_leaving, 0);
	backends_set_plain(maps, id, backend);
	filters_add_backend(maps, &entry->address);
	STORE(entry->service, service); /* from here on it is in use; GONE: half-made */
	STORE(info->next, owner->first_backend);
	STORE(owner->first_backend, id);
	STORE(owner->backends, owner->backends + 1);
	if (is_drained)
		reasons |= WEIR_REASON_DRAINED;
	if (!backend->weight)
		reasons |= WEIR_REASON_WEIGHT;
	STORE(entry->reasons, reasons);
}

void backends_set_plain(struct maps *maps, __u32 id, const struct backend *backend)
{
	struct weir_backend_info *info = maps_backend_info_at(maps, id);

	STORE(info->weight, backend->weight);
	store_text(info->zone, backend->zone, sizeof(info->zone));
	store_text(info->labels, backend->labels, sizeof(info->labels));
}

void backends_set_reason(struct maps *maps, __u32 id, __u32 reason, bool is_set)
{
	struct weir_backend *backend = maps_backend_at(maps, id);
	bool was_set = __atomic_load_n(&backend->reasons, __ATOMIC_RELAXED) & reason;

	if (is_set && !was_set)
		STORE_OR(backend->reasons, reason);
	else if (!is_set && was_set)
		STORE_AND(backend->reasons, ~reason);
}

static void append_leaving(struct maps *maps, __u32 id)
{
	struct weir_list *list = &maps->settings->leaving;

	STORE(maps_backend_info_at(maps, id)->next_leaving, WEIR_NONE);
	if (list->tail == WEIR_NONE)
		STORE(list->head, id);
	else
		STORE(maps_backend_info_at(maps, list->tail)->next_leaving, id);
	STORE(list->tail, id);
}

void backends_leave(struct maps *maps, __u32 id, __u64 gone_at)
{
	STORE(maps_backend_info_at(maps, id)->is_leaving, 1); /* from here on repair finishes it */
	STORE(maps_backend_at(maps, id)->gone_at, gone_at);
	backends_set_reason(maps, id, WEIR_REASON_DRAINED, true);
	append_leaving(maps, id);
}

void backends_end(struct maps *maps, __u32 id, __u64 now)
{
	STORE(maps_backend_at(maps, id)->gone_at, now);
	STORE_OR(maps_backend_at(maps, id)->reasons, WEIR_REASON_GONE);
}

void backends_return(struct maps *maps, __u32 id)
{
	STORE(maps_backend_at(maps, id)->gone_at, 0);
	backends_set_reason(maps, id, WEIR_REASON_DRAINED, false);
	/* Last: until here repair lets it leave again. Collect takes it from the list of leavers. */
	STORE(maps_backend_info_at(maps, id)->is_leaving, 0);
}

bool backends_serves(struct maps *maps, __u32 id)
{
	const struct weir_backend_info *info = maps_backend_info_at(maps, id);

	return info->weight && !info->is_leaving &&
	       !(maps_backend_at(maps, id)->reasons & WEIR_REASON_DRAINED);
}

static bool is_over(struct maps *maps, __u32 id, __u64 now)
{
	return maps_backend_info_at(maps, id)->is_leaving &&
	       maps_backend_at(maps, id)->gone_at <= now;
}

static int compare_ids(const void *a, const void *b)
{
	__u32 one = *(const __u32 *)a, other = *(const __u32 *)b;

	return (one > other) - (one < other);
}

/*
 * Walk the leaving ones once: those whose time is over get GONE and give the ids of their
 * services, those that returned drop out, the rest is linked anew.
 */
static int sort_leaving(struct maps *maps, __u64 now, __u32 **ret_services, size_t *ret_count)
{
	struct weir_list *list = &maps->settings->leaving;
	__u32 id = list->head, next, *services = NULL, *more;
	size_t count = 0, room = 0;

	STORE(list->head, WEIR_NONE);
	STORE(list->tail, WEIR_NONE);
	for (; id != WEIR_NONE; id = next) {
		__u32 service = maps_backend_at(maps, id)->service;

		next = maps_backend_info_at(maps, id)->next_leaving;
		if (!maps_backend_info_at(maps, id)->is_leaving)
			continue;
		if (!is_over(maps, id, now)) {
			append_leaving(maps, id);
			continue;
		}
		STORE_OR(maps_backend_at(maps, id)->reasons, WEIR_REASON_GONE);
		if (count && services[count - 1] == service)
			continue;
		if (count == room) {
			room = room ? room * 2 : 64;
			more = reallocarray(services, room, sizeof(*services));
			if (!more) {
				free(services);
				return -ENOMEM; /* still dirty: the next run repairs the list */
			}
			services = more;
		}
		services[count++] = service;
	}
	*ret_services = services;
	*ret_count = count;
	return 0;
}

static void free_backend(struct maps *maps, __u32 id, __u64 now)
{
	struct weir_settings *settings = maps->settings;

	STORE(maps_backend_info_at(maps, id)->freed_at, now);
	STORE(maps_backend_at(maps, id)->service, WEIR_NONE); /* from here on it is free */
	STORE(settings->stale_backends, settings->stale_backends + 1);
	ids_put(maps, ID_BACKEND, id);
}

/* Unlinked in one walk over the service's list, however many they are. */
static void free_gone(struct maps *maps, __u32 service, __u64 now)
{
	struct weir_service_info *owner = &maps_service_info(maps)[service];
	__u32 *link = &owner->first_backend;

	while (*link != WEIR_NONE) {
		__u32 id = *link, *next = &maps_backend_info_at(maps, id)->next;

		if (!is_over(maps, id, now)) {
			link = next;
			continue;
		}
		STORE(*link, *next);
		STORE(owner->backends, owner->backends - 1);
		free_backend(maps, id, now);
	}
}

int backends_collect(struct maps *maps, __u64 now, __u32 **ret_services, size_t *ret_count)
{
	const struct weir_service_info *infos = maps_service_info(maps);
	__u32 *services = NULL;
	size_t count = 0, kept = 0;
	int rc = sort_leaving(maps, now, &services, &count);

	if (rc)
		return rc;
	if (count)
		qsort(services, count, sizeof(*services), compare_ids);
	for (size_t i = 0; i < count; i++) {
		if (i && services[i] == services[i - 1])
			continue;
		free_gone(maps, services[i], now);
	}
	for (size_t i = 0; i < count; i++) {
		__u32 service = services[i];

		if (kept && services[kept - 1] == service)
			continue;
		if (infos[service].is_leaving && infos[service].first_backend == WEIR_NONE)
			services[kept++] = service;
	}
	*ret_services = services;
	*ret_count = kept;
	return 0;
}
