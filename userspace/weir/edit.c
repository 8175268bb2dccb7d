/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* edit.c - see edit.h. */
#include "weir/edit.h"

#include "base/err.h"
#include "datapath/apply.h"
#include "datapath/frontends.h"
#include "datapath/installed.h"
#include "datapath/routes.h"
#include "model/config.h"
#include "weir/commands.h"
#include "weir/print.h"
#include "weir/session.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* What leaves under this name does not matter: it comes back as what is wanted now. */
static int start_new(struct edit *edit, const char *name)
{
	struct service *service = edit_service(edit);

	if (service && !service->is_leaving)
		return print_fail("service %s is already there", name);
	model_free(&edit->model);
	model_init(&edit->model);
	service = model_add_service(&edit->model);
	if (!service)
		return print_no_memory();
	snprintf(service->name, sizeof(service->name), "%s", name);
	return EXIT_DONE;
}

int edit_begin(struct edit *edit, const char *name, bool is_new)
{
	struct err err = {};
	int code, rc;

	*edit = (struct edit){};
	code = session_write(&edit->maps, &edit->lock);
	if (code)
		return code;
	model_init(&edit->model);
	rc = installed_read_service(edit->maps, name, &edit->model, &err);
	if (rc && (rc != -ENOENT || !is_new))
		code = print_fail("%s", err.text);
	else if (is_new)
		code = start_new(edit, name);
	edit->model.limits = (struct limits){}; /* not ours to check: the model is a part only */
	if (code)
		edit_end(edit);
	return code;
}

void edit_end(struct edit *edit)
{
	change_list_free(&edit->list);
	model_free(&edit->model);
	session_end(edit->maps, edit->lock);
}

struct service *edit_service(struct edit *edit)
{
	return edit->model.service_count ? &edit->model.services[0] : NULL;
}

/* The installed service `id` in the model, as yet without VIPs and backends if it is new there. */
static struct service *find_rival(struct edit *edit, __u32 id)
{
	const struct weir_service_info *info = &maps_service_info(edit->maps)[id];
	struct service *rival = model_find_service(&edit->model, info->name);

	if (rival)
		return rival;
	rival = model_add_service(&edit->model);
	if (!rival)
		return NULL;
	memcpy(rival->name, info->name, sizeof(rival->name) - 1);
	rival->protocol = info->protocol;
	return rival;
}

static bool is_ours(struct edit *edit, __u32 id)
{
	return !strcmp(maps_service_info(edit->maps)[id].name, edit_service(edit)->name);
}

/* The owner of the VIP at this endpoint, if there is one, stands against us. */
static int add_owner(struct edit *edit, const struct addr *addr, uint16_t port)
{
	struct weir_frontend_key key = {
		.port = htons(port),
		.protocol = edit_service(edit)->protocol,
	};
	struct service *owner;
	struct vip *vip;
	__u32 id, service;

	memcpy(&key.vip, addr, sizeof(key.vip));
	id = frontends_find(edit->maps, &key);
	if (id == WEIR_NONE)
		return 0;
	service = maps_frontends(edit->maps)[id].service;
	if (is_ours(edit, service))
		return 0;
	owner = find_rival(edit, service);
	vip = owner ? service_add_vip(owner) : NULL;
	if (!vip)
		return -ENOMEM;
	vip->addr = *addr;
	vip->port = port;
	return 0;
}

/* A backend without a port is asked at every port: all VIPs at its address stand against it. */
static int add_owners(struct edit *edit, const struct addr *addr)
{
	const struct weir_frontend *frontends = maps_frontends(edit->maps);
	int rc = 0;

	for (__u32 id = 0; !rc && id < edit->maps->settings->frontends; id++) {
		if (frontends[id].flags & WEIR_FRONTEND_VALID &&
		    !memcmp(&frontends[id].vip, addr, sizeof(*addr)))
			rc = add_owner(edit, addr, ntohs(frontends[id].port));
	}
	return rc;
}

static bool is_vip(const struct service *service, const struct weir_backend *backend)
{
	for (size_t i = 0; i < service->vip_count; i++) {
		if (!memcmp(&service->vips[i].addr, &backend->address, sizeof(backend->address)))
			return true;
	}
	return false;
}

static int add_user(struct edit *edit, const struct weir_backend *entry)
{
	struct service *user = find_rival(edit, entry->service);
	struct backend *backend = user ? service_add_backend(user) : NULL;

	if (!backend)
		return -ENOMEM;
	memcpy(&backend->addr, &entry->address, sizeof(backend->addr));
	backend->port = ntohs(entry->port);
	return 0;
}

/* Backends at the addresses of our VIPs. No index has them by address: one pass, for VIPs only. */
static int add_users(struct edit *edit)
{
	const struct weir_service_info *infos = maps_service_info(edit->maps);
	const struct weir_backend_info *backend_infos = maps_backend_info(edit->maps);
	const struct weir_settings *settings = edit->maps->settings;
	const struct weir_backend *backends = maps_backends(edit->maps);
	uint8_t protocol = edit_service(edit)->protocol;
	int rc = 0;

	for (__u32 id = 0; !rc && id < settings->backends; id++) {
		__u32 service = backends[id].service;

		if (service < settings->services && is_vip(edit_service(edit), &backends[id]) &&
		    infos[service].protocol == protocol && !backend_infos[id].is_leaving &&
		    !is_ours(edit, service))
			rc = add_user(edit, &backends[id]);
	}
	return rc;
}

static int check_model(struct edit *edit, int rc)
{
	struct config_errors errors;

	config_errors_init(&errors, NULL);
	if (!rc)
		rc = config_check(&edit->model, &errors);
	print_config_errors(&errors);
	if (rc && rc != -EINVAL)
		print_fail("%s", strerror(-rc));
	config_errors_free(&errors);
	return rc ? EXIT_FAILED : EXIT_DONE;
}

int edit_check_backend(struct edit *edit, const struct backend *added)
{
	int rc;

	if (!added->port)
		return check_model(edit, add_owners(edit, &added->addr));
	rc = add_owner(edit, &added->addr, added->port);
	if (!rc)
		rc = add_owner(edit, &added->addr, 0);
	return check_model(edit, rc);
}

int edit_check_vips(struct edit *edit)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < edit_service(edit)->vip_count; i++) {
		struct vip vip = edit_service(edit)->vips[i];

		edit_service(edit)->vips[i].place.column =
			1; /* behind what is there: ours is at fault */
		rc = add_owner(edit, &vip.addr, vip.port);
	}
	if (!rc)
		rc = add_users(edit);
	return check_model(edit, rc);
}

int edit_add(struct edit *edit, struct change change)
{
	change.service = edit_service(edit);
	return change_list_add(&edit->list, &change) ? print_no_memory() : EXIT_DONE;
}

/* The source address of a route is that towards the first backend (datapath/routes.h). */
static bool needs_routes(struct edit *edit)
{
	const struct service *service = edit_service(edit);

	for (size_t i = 0; i < edit->list.count; i++) {
		switch (edit->list.changes[i].kind) {
		case CHANGE_VIP_ADD:
		case CHANGE_VIP_REMOVE:
		case CHANGE_SERVICE_REMOVE:
			return true;
		case CHANGE_BACKEND_ADD:
			return service->backend_count <= 1;
		default:
			break;
		}
	}
	return false;
}

int edit_apply(struct edit *edit)
{
	struct err err = {};

	if (apply_changes(edit->maps, &edit->list, &err) ||
	    (needs_routes(edit) && routes_sync(edit->maps, &err)))
		return print_fail("%s", err.text);
	for (size_t i = 0; i < edit->list.count; i++)
		change_print(stdout, &edit->list.changes[i]);
	return EXIT_DONE;
}
