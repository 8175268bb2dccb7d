/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* services.c - see services.h. */
#include "datapath/services.h"

#include "datapath/backends.h"
#include "datapath/frontends.h"
#include "datapath/ids.h"
#include "datapath/purge.h"
#include "datapath/store.h"

#include <stdlib.h>

int services_add(struct maps *maps, __u32 id, const struct service *service, __u8 protocol,
		 struct err *err)
{
	struct weir_service *entry = &maps_services(maps)[id];
	struct weir_service_info *info = &maps_service_info(maps)[id];
	struct weir_service_name name = {};

	STORE(entry->region, 0);
	STORE(info->first_frontend, WEIR_NONE);
	STORE(info->first_backend, WEIR_NONE);
	STORE(info->frontends, 0);
	STORE(info->backends, 0);
	STORE(info->protocol, protocol);
	STORE(info->is_leaving, 0);
	STORE(info->family, 0);
	services_set(maps, id, service);
	store_text(info->name, service->name, sizeof(info->name));
	STORE(entry->flags, WEIR_SERVICE_VALID); /* from here on it is there: repair keeps it */
	memcpy(name.name, info->name, sizeof(name.name));
	return store_key(maps, MAP_service_index, &name, &id, err);
}

void services_set(struct maps *maps, __u32 id, const struct service *service)
{
	struct weir_service_info *info = &maps_service_info(maps)[id];

	STORE(maps_services(maps)[id].algorithm, (__u8)service->algorithm);
	STORE(info->drain_timeout_ms, service->drain_timeout_ms);
	if (info->path == (__u8)service->path)
		return;
	STORE(info->path, (__u8)service->path);
	frontends_set_path(maps, id);
}

__u64 services_gone_at(struct maps *maps, __u32 id, bool is_now, __u64 now)
{
	return is_now ? now : now + maps_service_info(maps)[id].drain_timeout_ms * 1000000ull;
}

static void leave_backends(struct maps *maps, __u32 id, bool is_now, __u64 now)
{
	__u64 gone_at = services_gone_at(maps, id, is_now, now);
	__u32 backend = maps_service_info(maps)[id].first_backend;

	for (; backend != WEIR_NONE; backend = maps_backend_info_at(maps, backend)->next) {
		if (!maps_backend_info_at(maps, backend)->is_leaving)
			backends_leave(maps, backend, gone_at);
		if (is_now)
			backends_end(maps, backend, now);
	}
}

int services_leave(struct maps *maps, __u32 id, bool is_now, __u64 now, struct err *err)
{
	struct weir_service_info *info = &maps_service_info(maps)[id];
	const struct weir_frontend *frontends = maps_frontends(maps);
	int rc = 0;

	if (!info->is_leaving) {
		STORE(info->is_leaving, 1); /* from here on repair finishes it */
		for (__u32 i = info->first_frontend; !rc && i != WEIR_NONE; i = frontends[i].next)
			rc = frontends_conceal(maps, i, err);
	}
	if (rc)
		return rc;
	leave_backends(maps, id, is_now, now);
	STORE(maps_services(maps)[id].region, 0);
	return 0;
}

static int free_service(struct maps *maps, __u32 id, struct err *err)
{
	struct weir_service_info *info = &maps_service_info(maps)[id];
	struct weir_service_name name = {};
	int rc;

	memcpy(name.name, info->name, sizeof(name.name));
	rc = store_delete(maps, MAP_service_index, &name, err);
	if (rc)
		return rc;
	STORE(maps_services(maps)[id].flags, 0); /* from here on it is free */
	STORE(info->name[0], 0);
	STORE(info->is_leaving, 0);
	ids_put(maps, ID_SERVICE, id);
	return 0;
}

static size_t count_frontends(struct maps *maps, const __u32 *ids, size_t count)
{
	size_t sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += maps_service_info(maps)[ids[i]].frontends;
	return sum;
}

/* All frontends first, so that one walk over the flows is enough. */
int services_finish(struct maps *maps, const __u32 *ids, size_t count, struct err *err)
{
	size_t frontends = count_frontends(maps, ids, count), dropped = 0;
	__u32 *drops = malloc((frontends + 1) * sizeof(*drops));
	int rc = 0;

	if (!drops)
		return err_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < count; i++) {
		const struct weir_service_info *info = &maps_service_info(maps)[ids[i]];

		while (info->first_frontend != WEIR_NONE && dropped < frontends) {
			drops[dropped++] = info->first_frontend;
			frontends_drop(maps, info->first_frontend);
		}
	}
	if (dropped)
		rc = purge_flows(maps, err);
	for (size_t i = 0; !rc && i < dropped; i++)
		ids_put(maps, ID_FRONTEND, drops[i]);
	for (size_t i = 0; !rc && i < count; i++)
		rc = free_service(maps, ids[i], err);
	free(drops);
	return rc;
}
