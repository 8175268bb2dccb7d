/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* frontends.c - see frontends.h. */
#include "datapath/frontends.h"

#include "datapath/filters.h"
#include "datapath/store.h"

struct weir_frontend_key frontends_key(const struct weir_frontend *frontend)
{
	struct weir_frontend_key key = {};

	key.vip = frontend->vip;
	key.port = frontend->port;
	key.protocol = frontend->protocol;
	return key;
}

__u32 frontends_find(struct maps *maps, const struct weir_frontend_key *key)
{
	__u32 id;

	if (bpf_map_lookup_elem(maps->fds[MAP_frontends], key, &id))
		return WEIR_NONE;
	return id;
}

static __u8 path_flag(const struct weir_service_info *info)
{
	return info->path ? WEIR_FRONTEND_PATH_STACK : 0;
}

void frontends_add(struct maps *maps, __u32 id, __u32 service, const struct weir_address *vip,
		   __be16 port)
{
	struct weir_frontend *frontend = &maps_frontends(maps)[id];
	struct weir_service_info *info = &maps_service_info(maps)[service];
	__u8 flags = WEIR_FRONTEND_VALID | path_flag(info);

	frontend->vip = *vip;
	STORE(frontend->port, port);
	STORE(frontend->protocol, info->protocol);
	STORE(frontend->service, service);
	STORE(frontend->next, info->first_frontend);
	if (!port) {
		flags |= WEIR_FRONTEND_ANY_PORT;
		STORE(maps->settings->any_port_frontends, maps->settings->any_port_frontends + 1);
	}
	STORE(frontend->flags, flags); /* from here on it is there: repair keeps it */
	STORE(info->first_frontend, id);
	STORE(info->frontends, info->frontends + 1);
}

static int change_vip(struct maps *maps, const struct weir_address *address, int by,
		      struct err *err)
{
	struct weir_vip vip = {};

	if (bpf_map_lookup_elem(maps->fds[MAP_vips], address, &vip) && errno != ENOENT)
		return err_set(err, -errno, "map vips: %s", strerror(errno));
	vip.frontends += (__u32)by;
	if (!vip.frontends)
		return store_delete(maps, MAP_vips, address, err);
	return store_key(maps, MAP_vips, address, &vip, err);
}

int frontends_publish(struct maps *maps, __u32 id, struct err *err)
{
	const struct weir_frontend *frontend = &maps_frontends(maps)[id];
	struct weir_frontend_key key = frontends_key(frontend);
	int rc;

	filters_add_vip(maps, &frontend->vip);
	rc = change_vip(maps, &frontend->vip, 1, err);
	if (rc)
		return rc;
	return store_key(maps, MAP_frontends, &key, &id, err);
}

int frontends_conceal(struct maps *maps, __u32 id, struct err *err)
{
	const struct weir_frontend *frontend = &maps_frontends(maps)[id];
	struct weir_frontend_key key = frontends_key(frontend);

	if (frontends_find(maps, &key) == id) {
		int rc = store_delete(maps, MAP_frontends, &key, err);

		if (rc)
			return rc;
	}
	return change_vip(maps, &frontend->vip, -1, err);
}

static void unlink_frontend(struct maps *maps, __u32 id)
{
	struct weir_frontend *frontends = maps_frontends(maps);
	struct weir_service_info *info = &maps_service_info(maps)[frontends[id].service];
	__u32 *link = &info->first_frontend;

	while (*link != WEIR_NONE && *link != id)
		link = &frontends[*link].next;
	if (*link != id)
		return;
	STORE(*link, frontends[id].next);
	STORE(info->frontends, info->frontends - 1);
}

void frontends_drop(struct maps *maps, __u32 id)
{
	struct weir_frontend *frontend = &maps_frontends(maps)[id];
	struct weir_settings *settings = maps->settings;
	__u8 flags = frontend->flags;

	STORE(frontend->flags, 0);
	if (flags & WEIR_FRONTEND_ANY_PORT)
		STORE(settings->any_port_frontends, settings->any_port_frontends - 1);
	STORE(settings->stale_vips, settings->stale_vips + 1);
	unlink_frontend(maps, id);
}

void frontends_set_path(struct maps *maps, __u32 service)
{
	const struct weir_service_info *info = &maps_service_info(maps)[service];
	struct weir_frontend *frontends = maps_frontends(maps);

	for (__u32 id = info->first_frontend; id != WEIR_NONE; id = frontends[id].next) {
		__u8 flags = frontends[id].flags & ~WEIR_FRONTEND_PATH_STACK;

		STORE(frontends[id].flags, flags | path_flag(info));
	}
}
