/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* ids.c - lists of free ids; see ids.h. */
#include "datapath/ids.h"

#include "datapath/store.h"

static struct weir_list *free_list(struct maps *maps, enum id_kind kind)
{
	switch (kind) {
	case ID_SERVICE:
		return &maps->settings->free_services;
	case ID_FRONTEND:
		return &maps->settings->free_frontends;
	default:
		return &maps->settings->free_backends;
	}
}

static __u32 *next_of(struct maps *maps, enum id_kind kind, __u32 id)
{
	switch (kind) {
	case ID_SERVICE:
		return &maps_service_info(maps)[id].next;
	case ID_FRONTEND:
		return &maps_frontends(maps)[id].next;
	default:
		return &maps_backend_info_at(maps, id)->next;
	}
}

/* Only the first of a list need be asked: those behind it were freed later. */
static bool has_rested(struct maps *maps, enum id_kind kind, __u32 id, __u64 now)
{
	__u64 freed_at;

	if (kind != ID_BACKEND)
		return true;
	freed_at = maps_backend_info_at(maps, id)->freed_at;
	return !freed_at || now >= freed_at + IDS_REST_NS;
}

static bool is_busy(struct maps *maps, enum id_kind kind, __u32 id)
{
	return kind == ID_BACKEND &&
	       __atomic_load_n(&maps_gauge_at(maps, id)->active, __ATOMIC_RELAXED) != 0;
}

static __u32 pop(struct maps *maps, enum id_kind kind)
{
	struct weir_list *list = free_list(maps, kind);
	__u32 id = list->head;

	STORE(list->head, *next_of(maps, kind, id));
	if (list->head == WEIR_NONE)
		STORE(list->tail, WEIR_NONE);
	return id;
}

__u32 ids_take(struct maps *maps, enum id_kind kind, __u64 now)
{
	const struct weir_list *list = free_list(maps, kind);
	__u32 first_busy = WEIR_NONE;

	for (;;) {
		__u32 id = list->head;

		if (id == WEIR_NONE || id == first_busy || !has_rested(maps, kind, id, now))
			return WEIR_NONE;
		pop(maps, kind);
		if (!is_busy(maps, kind, id))
			return id;
		if (first_busy == WEIR_NONE)
			first_busy = id;
		ids_put(maps, kind, id);
	}
}

__u32 ids_available(struct maps *maps, enum id_kind kind, __u64 now, __u32 wanted)
{
	__u32 id = free_list(maps, kind)->head, count = 0;

	while (count < wanted && id != WEIR_NONE && has_rested(maps, kind, id, now)) {
		if (!is_busy(maps, kind, id))
			count++;
		id = *next_of(maps, kind, id);
	}
	return count;
}

__u32 ids_count(struct maps *maps, enum id_kind kind, __u32 wanted)
{
	__u32 id = free_list(maps, kind)->head, count = 0;

	for (; count < wanted && id != WEIR_NONE; count++)
		id = *next_of(maps, kind, id);
	return count;
}

void ids_put(struct maps *maps, enum id_kind kind, __u32 id)
{
	struct weir_list *list = free_list(maps, kind);

	STORE(*next_of(maps, kind, id), WEIR_NONE);
	if (list->tail == WEIR_NONE)
		STORE(list->head, id);
	else
		STORE(*next_of(maps, kind, list->tail), id);
	STORE(list->tail, id);
}

void ids_clear(struct maps *maps, enum id_kind kind)
{
	struct weir_list *list = free_list(maps, kind);

	STORE(list->head, WEIR_NONE);
	STORE(list->tail, WEIR_NONE);
}
