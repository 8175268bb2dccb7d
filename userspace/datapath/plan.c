/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* plan.c - reads changes into a plan; see plan.h. Whether it fits is plan_check.c's. */
#include "datapath/plan.h"

#include "base/err.h"
#include "datapath/installed.h"
#include "datapath/plan_check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint64_t hash_endpoint(const struct addr *addr, uint16_t port)
{
	unsigned char bytes[sizeof(*addr) + sizeof(port)];

	memcpy(bytes, addr, sizeof(*addr));
	memcpy(bytes + sizeof(*addr), &port, sizeof(port));
	return index_hash(bytes, sizeof(bytes));
}

struct plan_backend *plan_find_backend(const struct plan_service *service, const struct addr *addr,
				       uint16_t port)
{
	uint64_t hash = hash_endpoint(addr, port);
	uint32_t at = index_first(&service->backend_index, hash), i;

	while ((i = index_next(&service->backend_index, hash, &at)) != INDEX_END) {
		struct plan_backend *backend = &service->backends[i];

		if (backend->port == port && addr_equal(&backend->addr, addr))
			return backend;
	}
	return NULL;
}

struct plan_vip *plan_find_vip(const struct plan_service *service, const struct addr *addr,
			       uint16_t port)
{
	uint64_t hash = hash_endpoint(addr, port);
	uint32_t at = index_first(&service->vip_index, hash), i;

	while ((i = index_next(&service->vip_index, hash, &at)) != INDEX_END) {
		struct plan_vip *vip = &service->vips[i];

		if (vip->port == port && addr_equal(&vip->addr, addr))
			return vip;
	}
	return NULL;
}

struct plan_service *plan_find_service(const struct plan *plan, const char *name)
{
	uint64_t hash = index_hash(name, strlen(name));
	uint32_t at = index_first(&plan->index, hash), i;

	while ((i = index_next(&plan->index, hash, &at)) != INDEX_END) {
		if (!strcmp(plan->services[i].plain->name, name))
			return &plan->services[i];
	}
	return NULL;
}

/* Room for one more: arrays double. */
static bool make_room(void *array, size_t count, size_t *room, size_t size)
{
	void **place = array, *more;
	size_t wanted = *room ? *room * 2 : 8;

	if (count < *room)
		return true;
	more = reallocarray(*place, wanted, size);
	if (!more)
		return false;
	*place = more;
	*room = wanted;
	return true;
}

static struct plan_backend *add_backend(struct plan_service *service, const struct addr *addr,
					uint16_t port, __u32 id)
{
	uint64_t hash = hash_endpoint(addr, port);
	struct plan_backend *backend;

	if (!make_room(&service->backends, service->backend_count, &service->backend_room,
		       sizeof(*service->backends)) ||
	    index_add(&service->backend_index, hash, (uint32_t)service->backend_count))
		return NULL;
	backend = &service->backends[service->backend_count++];
	*backend = (struct plan_backend){.addr = *addr, .port = port, .id = id};
	return backend;
}

static struct plan_vip *add_vip(struct plan_service *service, const struct addr *addr,
				uint16_t port, __u32 id)
{
	uint64_t hash = hash_endpoint(addr, port);
	struct plan_vip *vip;

	if (!make_room(&service->vips, service->vip_count, &service->vip_room,
		       sizeof(*service->vips)) ||
	    index_add(&service->vip_index, hash, (uint32_t)service->vip_count))
		return NULL;
	vip = &service->vips[service->vip_count++];
	*vip = (struct plan_vip){.addr = *addr, .port = port, .id = id};
	return vip;
}

static int load_backends(struct maps *maps, struct plan_service *service)
{
	__u32 id = installed_first_backend(maps, service->id);

	for (; id != WEIR_NONE; id = installed_next_backend(maps, id)) {
		const struct weir_backend *entry = maps_backend_at(maps, id);
		const struct weir_backend_info *info = maps_backend_info_at(maps, id);
		struct plan_backend *backend;
		struct addr addr;

		memcpy(&addr, &entry->address, sizeof(addr));
		backend = add_backend(service, &addr, ntohs(entry->port), id);
		if (!backend)
			return -ENOMEM;
		backend->weight = info->weight;
		backend->is_leaving = info->is_leaving;
		backend->is_drained = !backend->is_leaving && entry->reasons & WEIR_REASON_DRAINED;
	}
	return 0;
}

static int load_vips(struct maps *maps, struct plan_service *service)
{
	const struct weir_frontend *frontends = maps_frontends(maps);
	__u32 id = maps_service_info(maps)[service->id].first_frontend;

	for (; id != WEIR_NONE; id = frontends[id].next) {
		struct plan_vip *vip;
		struct addr addr;

		memcpy(&addr, &frontends[id].vip, sizeof(addr));
		vip = add_vip(service, &addr, ntohs(frontends[id].port), id);
		if (!vip)
			return -ENOMEM;
		vip->is_wanted = service->was_wanted;
		vip->was_published = service->was_wanted;
	}
	return 0;
}

/* What is installed of a service that the list names for the first time. */
static int load_service(struct maps *maps, struct plan_service *service)
{
	int rc;

	service->id = installed_service_id(maps, service->plain->name);
	if (service->id == WEIR_NONE)
		return 0;
	service->protocol = maps_service_info(maps)[service->id].protocol;
	service->was_wanted = !maps_service_info(maps)[service->id].is_leaving;
	service->is_wanted = service->was_wanted;
	rc = load_vips(maps, service);
	return rc ? rc : load_backends(maps, service);
}

static struct plan_service *touch_service(struct maps *maps, struct plan *plan,
					  const struct service *plain)
{
	struct plan_service *service;

	/* Changes of one service stand together: mostly it is the last one. */
	if (plan->count && !strcmp(plan->services[plan->count - 1].plain->name, plain->name))
		return &plan->services[plan->count - 1];
	service = plan_find_service(plan, plain->name);
	if (service)
		return service;
	if (!make_room(&plan->services, plan->count, &plan->room, sizeof(*plan->services)) ||
	    index_add(&plan->index, index_hash(plain->name, strlen(plain->name)),
		      (uint32_t)plan->count))
		return NULL;
	service = &plan->services[plan->count++];
	*service = (struct plan_service){.plain = plain, .replaced = WEIR_NONE};
	return load_service(maps, service) ? NULL : service;
}

static int no_service(const struct change *change, struct err *err)
{
	return err_set(err, -ENOENT, "no service %s", change->service->name);
}

static int say_backend(const struct change *change, int code, const char *what, struct err *err)
{
	char text[ENDPOINT_TEXT_LEN];

	return err_set(err, code, "service %s: backend %s %s", change->service->name,
		       endpoint_format(&change->backend->addr, change->backend->port, text), what);
}

static int say_vip(const struct change *change, int code, const char *what, struct err *err)
{
	char text[ENDPOINT_TEXT_LEN];

	return err_set(err, code, "service %s: VIP %s %s", change->service->name,
		       endpoint_format(&change->vip->addr, change->vip->port, text), what);
}

/*
 * The thing that `change` is about is not there, but a killed run of this very list may have come
 * as far as removing it. Walks the rest of the list; there is no other way to get here often.
 */
static bool is_done_with(const struct plan *plan, const struct change *change)
{
	const struct change *end = plan->list->changes + plan->list->count;

	if (!plan->is_resumed)
		return false;
	for (const struct change *later = change + 1; later < end; later++) {
		if (later->kind == CHANGE_TIMEOUTS ||
		    strcmp(later->service->name, change->service->name))
			continue;
		if (later->kind == CHANGE_SERVICE_REMOVE)
			return true;
		if (later->kind == CHANGE_BACKEND_REMOVE && change->backend &&
		    later->backend->port == change->backend->port &&
		    addr_equal(&later->backend->addr, &change->backend->addr))
			return true;
	}
	return false;
}

static void forget(struct plan_service *service)
{
	service->backend_count = 0;
	service->vip_count = 0;
	index_free(&service->backend_index);
	index_free(&service->vip_index);
}

/*
 * A service that leaves comes back with its id and flows. With another protocol it cannot: its
 * VIPs and backends mean something else then.
 */
static int plan_service_add(struct plan *plan, struct plan_service *service,
			    const struct change *change, struct err *err)
{
	bool is_other = service->id != WEIR_NONE && service->protocol != change->service->protocol;

	if (service->is_wanted && (!plan->is_resumed || is_other))
		return err_set(err, -EEXIST, "service %s is already there", change->service->name);
	if (is_other) {
		service->replaced = service->id;
		service->id = WEIR_NONE;
		forget(service);
	}
	service->plain = change->service;
	service->protocol = change->service->protocol;
	service->is_wanted = true;
	service->is_set = true;
	service->is_now = false;
	return 0;
}

static int plan_service_set(struct plan *plan, struct plan_service *service,
			    const struct change *change, struct err *err)
{
	service->plain = change->service;
	service->is_set = true;
	return 0;
}

static int plan_service_remove(struct plan *plan, struct plan_service *service,
			       const struct change *change, struct err *err)
{
	bool is_leaving = !service->is_wanted && service->id != WEIR_NONE;

	if (!service->is_wanted && !(is_leaving && change->is_now) && !plan->is_resumed)
		return err_set(err, -ENOENT,
			       is_leaving ? "service %s is being removed already" : "no service %s",
			       change->service->name);
	service->is_wanted = false;
	service->is_now |= change->is_now;
	for (size_t i = 0; i < service->vip_count; i++)
		service->vips[i].is_wanted = false;
	for (size_t i = 0; i < service->backend_count; i++) {
		service->backends[i].is_leaving = true;
		service->backends[i].is_now |= change->is_now;
	}
	return 0;
}

static void set_plain(struct plan_backend *backend, const struct backend *plain)
{
	backend->weight = plain->weight;
	backend->plain = plain;
}

static int plan_backend_add(struct plan *plan, struct plan_service *service,
			    const struct change *change, struct err *err)
{
	const struct backend *plain = change->backend;
	struct plan_backend *backend = plan_find_backend(service, &plain->addr, plain->port);

	if (backend && !backend->is_leaving && !plan->is_resumed)
		return say_backend(change, -EEXIST, "is already there", err);
	if (!backend) {
		backend = add_backend(service, &plain->addr, plain->port, WEIR_NONE);
		if (!backend)
			return err_set(err, -ENOMEM, "out of memory");
	}
	set_plain(backend, plain);
	if (backend->is_leaving || backend->id == WEIR_NONE)
		backend->is_drained = plain->is_drained;
	backend->is_leaving = false;
	backend->is_now = false;
	return 0;
}

static int plan_backend_set(struct plan *plan, struct plan_service *service,
			    const struct change *change, struct err *err)
{
	struct plan_backend *backend =
		plan_find_backend(service, &change->backend->addr, change->backend->port);

	if (!backend || backend->is_leaving)
		return is_done_with(plan, change)
			       ? 0
			       : say_backend(change, -ENOENT, "is not there", err);
	switch (change->kind) {
	case CHANGE_BACKEND_DRAIN:
		backend->is_drained = true;
		break;
	case CHANGE_BACKEND_UNDRAIN:
		backend->is_drained = false;
		break;
	default:
		set_plain(backend, change->backend);
	}
	return 0;
}

static int plan_backend_remove(struct plan *plan, struct plan_service *service,
			       const struct change *change, struct err *err)
{
	struct plan_backend *backend =
		plan_find_backend(service, &change->backend->addr, change->backend->port);

	if (backend && backend->is_leaving && backend->id == WEIR_NONE)
		backend = NULL; /* came and went in this list */
	if (!backend && plan->is_resumed)
		return 0;
	if (service->id == WEIR_NONE && !service->is_wanted)
		return no_service(change, err);
	if (!backend)
		return say_backend(change, -ENOENT, "is not there", err);
	if (backend->is_leaving && !change->is_now && !plan->is_resumed)
		return say_backend(change, -ENOENT, "is being removed already", err);
	backend->is_leaving = true;
	backend->is_now |= change->is_now;
	return 0;
}

static int plan_vip_add(struct plan *plan, struct plan_service *service,
			const struct change *change, struct err *err)
{
	struct plan_vip *vip = plan_find_vip(service, &change->vip->addr, change->vip->port);

	if (vip && vip->is_wanted && !plan->is_resumed)
		return say_vip(change, -EEXIST, "is already there", err);
	if (!vip)
		vip = add_vip(service, &change->vip->addr, change->vip->port, WEIR_NONE);
	if (!vip)
		return err_set(err, -ENOMEM, "out of memory");
	vip->is_wanted = true;
	return 0;
}

static int plan_vip_remove(struct plan *plan, struct plan_service *service,
			   const struct change *change, struct err *err)
{
	struct plan_vip *vip = plan_find_vip(service, &change->vip->addr, change->vip->port);

	if (vip && vip->is_wanted)
		vip->is_wanted = false;
	else if (!plan->is_resumed)
		return say_vip(change, -ENOENT, "is not there", err);
	return 0;
}

static const struct {
	int (*plan)(struct plan *plan, struct plan_service *service, const struct change *change,
		    struct err *err);
	bool needs_service;
} kinds[] = {
	[CHANGE_SERVICE_ADD] = {plan_service_add, false},
	[CHANGE_SERVICE_SET] = {plan_service_set, true},
	[CHANGE_BACKEND_ADD] = {plan_backend_add, true},
	[CHANGE_BACKEND_SET] = {plan_backend_set, true},
	[CHANGE_BACKEND_DRAIN] = {plan_backend_set, true},
	[CHANGE_BACKEND_UNDRAIN] = {plan_backend_set, true},
	[CHANGE_VIP_ADD] = {plan_vip_add, true},
	[CHANGE_VIP_REMOVE] = {plan_vip_remove, true},
	[CHANGE_BACKEND_REMOVE] = {plan_backend_remove, false},
	[CHANGE_SERVICE_REMOVE] = {plan_service_remove, false},
};

static int plan_change(struct maps *maps, struct plan *plan, const struct change *change,
		       struct err *err)
{
	struct plan_service *service;

	if (change->kind == CHANGE_TIMEOUTS) {
		plan->timeouts = change->timeouts;
		return 0;
	}
	service = touch_service(maps, plan, change->service);
	if (!service)
		return err_set(err, -ENOMEM, "out of memory");
	if (kinds[change->kind].needs_service && !service->is_wanted)
		return is_done_with(plan, change) ? 0 : no_service(change, err);
	return kinds[change->kind].plan(plan, service, change, err);
}

int plan_make(struct maps *maps, const struct change_list *list, bool is_resumed, __u64 now,
	      struct plan *ret_plan, struct err *err)
{
	struct plan plan = {.is_resumed = is_resumed, .list = list};
	int rc = 0;

	for (size_t i = 0; !rc && i < list->count; i++)
		rc = plan_change(maps, &plan, &list->changes[i], err);
	if (!rc)
		rc = plan_check(maps, &plan, now, err);
	if (rc) {
		plan_free(&plan);
		return rc;
	}
	*ret_plan = plan;
	return 0;
}

void plan_free(struct plan *plan)
{
	for (size_t i = 0; i < plan->count; i++) {
		forget(&plan->services[i]);
		free(plan->services[i].backends);
		free(plan->services[i].vips);
	}
	index_free(&plan->index);
	free(plan->services);
	*plan = (struct plan){};
}
