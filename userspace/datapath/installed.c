/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * installed.c - reads the maps back; see installed.h.
 *
 * A reader holds no lock: a writer may change lists under it. So every id is checked, and no walk
 * is longer than the map; what is read then may be of two moments, but is never out of bounds.
 */
#include "datapath/installed.h"

#include "base/err.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int map_arrays(struct maps *maps, struct err *err)
{
	if (maps_services(maps) && maps_service_info(maps) && maps_frontends(maps))
		return 0;
	return err_set(err, -errno, "%s: cannot map the arrays: %s", maps->directory,
		       strerror(errno));
}

__u32 installed_service_id(struct maps *maps, const char *name)
{
	struct weir_service_name key = {};
	__u32 id;

	if (strlen(name) >= sizeof(key.name))
		return WEIR_NONE;
	strcpy(key.name, name);
	if (bpf_map_lookup_elem(maps->fds[MAP_service_index], &key, &id) ||
	    id >= maps->settings->services)
		return WEIR_NONE;
	return id;
}

__u32 installed_first_backend(struct maps *maps, __u32 service)
{
	__u32 id;

	if (service >= maps->settings->services || !maps_service_info(maps))
		return WEIR_NONE;
	id = maps_service_info(maps)[service].first_backend;
	return id < maps->settings->backends ? id : WEIR_NONE;
}

__u32 installed_next_backend(struct maps *maps, __u32 backend)
{
	__u32 id;

	if (backend >= maps->settings->backends)
		return WEIR_NONE;
	id = maps_backend_info_at(maps, backend)->next;
	return id < maps->settings->backends ? id : WEIR_NONE;
}

static int read_backend(struct maps *maps, __u32 id, struct service *service)
{
	const struct weir_backend *entry = maps_backend_at(maps, id);
	const struct weir_backend_info *info = maps_backend_info_at(maps, id);
	struct backend *backend = service_add_backend(service);

	if (!backend)
		return -ENOMEM;
	memcpy(&backend->addr, &entry->address, sizeof(backend->addr));
	backend->port = ntohs(entry->port);
	backend->weight = info->weight;
	backend->is_leaving = info->is_leaving != 0;
	backend->is_drained = !backend->is_leaving && entry->reasons & WEIR_REASON_DRAINED;
	memcpy(backend->zone, info->zone, sizeof(backend->zone) - 1);
	memcpy(backend->labels, info->labels, sizeof(backend->labels) - 1);
	return 0;
}

static int compare_backends(const void *a, const void *b)
{
	const struct backend *one = a, *other = b;
	int order = addr_compare(&one->addr, &other->addr);

	return order ? order : (int)one->port - (int)other->port;
}

static int read_backends(struct maps *maps, __u32 id, struct service *service)
{
	__u32 backend = installed_first_backend(maps, id), left = maps->settings->backends;
	int rc = 0;

	for (; !rc && backend != WEIR_NONE && left; left--) {
		if (maps_backend_at(maps, backend)->service == id)
			rc = read_backend(maps, backend, service);
		backend = installed_next_backend(maps, backend);
	}
	if (service->backend_count)
		qsort(service->backends, service->backend_count, sizeof(*service->backends),
		      compare_backends);
	return rc;
}

static int compare_vips(const void *a, const void *b)
{
	const struct vip *one = a, *other = b;
	int order = addr_compare(&one->addr, &other->addr);

	return order ? order : (int)one->port - (int)other->port;
}

static int read_vips(struct maps *maps, __u32 id, struct service *service)
{
	const struct weir_frontend *frontends = maps_frontends(maps);
	__u32 i = maps_service_info(maps)[id].first_frontend, left = maps->settings->frontends;

	for (; i < maps->settings->frontends && left; i = frontends[i].next, left--) {
		struct vip *vip;

		if (!(frontends[i].flags & WEIR_FRONTEND_VALID) || frontends[i].service != id)
			continue;
		vip = service_add_vip(service);
		if (!vip)
			return -ENOMEM;
		memcpy(&vip->addr, &frontends[i].vip, sizeof(vip->addr));
		vip->port = ntohs(frontends[i].port);
	}
	if (service->vip_count)
		qsort(service->vips, service->vip_count, sizeof(*service->vips), compare_vips);
	return 0;
}

/* A leaving service has no VIPs any more, as far as new flows go. */
static int read_service(struct maps *maps, __u32 id, struct model *model)
{
	const struct weir_service_info *info = &maps_service_info(maps)[id];
	struct service *service = model_add_service(model);
	int rc = 0;

	if (!service)
		return -ENOMEM;
	memcpy(service->name, info->name, sizeof(service->name) - 1);
	service->protocol = info->protocol;
	service->algorithm = maps_services(maps)[id].algorithm;
	service->path = info->path;
	service->drain_timeout_ms = info->drain_timeout_ms;
	service->is_leaving = info->is_leaving != 0;
	if (!service->is_leaving)
		rc = read_vips(maps, id, service);
	return rc ? rc : read_backends(maps, id, service);
}

static void read_settings(const struct weir_settings *settings, struct model *model)
{
	model->limits = (struct limits){
		.services = settings->services,
		.frontends = settings->frontends,
		.backends = settings->backends,
		.slots = settings->slots,
		.flows = settings->flow_buckets * WEIR_WAYS,
	};
	model->timeouts = (struct timeouts){
		.tcp = settings->timeouts.tcp,
		.closing = settings->timeouts.closing,
		.closed = settings->timeouts.closed,
		.unproven = settings->timeouts.unproven,
		.udp = settings->timeouts.udp,
		.udp_unanswered = settings->timeouts.udp_unanswered,
	};
	model->hash_seed[0] = settings->hash_seed[0];
	model->hash_seed[1] = settings->hash_seed[1];
}

static int compare_services(const void *a, const void *b)
{
	const struct service *one = a, *other = b;

	return strcmp(one->name, other->name);
}

static bool is_installed(struct maps *maps, __u32 id)
{
	return maps_services(maps)[id].flags & WEIR_SERVICE_VALID &&
	       maps_service_info(maps)[id].name[0];
}

static int read_all(struct maps *maps, struct model *model, struct err *err)
{
	for (__u32 id = 0; id < maps->settings->services; id++) {
		if (is_installed(maps, id) && read_service(maps, id, model))
			return err_set(err, -ENOMEM, "out of memory");
	}
	if (model->service_count)
		qsort(model->services, model->service_count, sizeof(*model->services),
		      compare_services);
	return 0;
}

static int read_one(struct maps *maps, const char *name, struct model *model, struct err *err)
{
	__u32 id = installed_service_id(maps, name);

	if (id == WEIR_NONE || !is_installed(maps, id))
		return err_set(err, -ENOENT, "no service %s", name);
	if (read_service(maps, id, model))
		return err_set(err, -ENOMEM, "out of memory");
	return 0;
}

/* One service by name, or all of them. */
static int read_model(struct maps *maps, const char *name, struct model *ret_model, struct err *err)
{
	struct model model;
	int rc = map_arrays(maps, err);

	if (rc)
		return rc;
	model_init(&model);
	read_settings(maps->settings, &model);
	rc = name ? read_one(maps, name, &model, err) : read_all(maps, &model, err);
	if (rc) {
		model_free(&model);
		return rc;
	}
	*ret_model = model;
	return 0;
}

int installed_read(struct maps *maps, struct model *ret_model, struct err *err)
{
	return read_model(maps, NULL, ret_model, err);
}

int installed_read_service(struct maps *maps, const char *name, struct model *ret_model,
			   struct err *err)
{
	return read_model(maps, name, ret_model, err);
}
