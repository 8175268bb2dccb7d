/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* plan_check.c - see plan_check.h. Writes no map. */
#include "datapath/plan_check.h"

#include "base/err.h"
#include "datapath/backends.h"
#include "datapath/frontends.h"
#include "datapath/ids.h"
#include "datapath/tables.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Ids that must be free before the first write; those that the plan itself frees do not count. */
struct need {
	__u64 services, frontends, backends;
};

static int mix_family(struct plan_service *service, const struct addr *addr, struct err *err)
{
	__u8 family = addr_is_v4(addr) ? 4 : 6;
	char text[ADDR_TEXT_LEN];

	if (service->family && service->family != family)
		return err_set(err, -EINVAL,
			       "service %s: %s is IPv%d among IPv%d: use a service for each family",
			       service->plain->name, addr_format(addr, text), family,
			       service->family);
	service->family = family;
	return 0;
}

static int check_family(struct plan_service *service, struct err *err)
{
	int rc = 0;

	service->family = 0;
	for (size_t i = 0; !rc && i < service->vip_count; i++) {
		if (service->vips[i].is_wanted)
			rc = mix_family(service, &service->vips[i].addr, err);
	}
	for (size_t i = 0; !rc && i < service->backend_count; i++) {
		if (!service->backends[i].is_leaving)
			rc = mix_family(service, &service->backends[i].addr, err);
	}
	return rc;
}

static struct weir_frontend_key make_key(const struct plan_service *service,
					 const struct plan_vip *vip)
{
	struct weir_frontend_key key = {};

	memcpy(&key.vip, &vip->addr, sizeof(key.vip));
	key.port = htons(vip->port);
	key.protocol = service->protocol;
	return key;
}

static int say_taken(const struct plan_service *service, const struct plan_vip *vip,
		     const char *owner, struct err *err)
{
	char text[ENDPOINT_TEXT_LEN];

	return err_set(err, -EEXIST, "service %s: VIP %s belongs to service %s",
		       service->plain->name, endpoint_format(&vip->addr, vip->port, text), owner);
}

/* A VIP may move: its key may be another service's if this very plan takes it from there. */
static int check_owner(struct maps *maps, const struct plan *plan,
		       const struct plan_service *service, const struct plan_vip *vip,
		       struct err *err)
{
	struct weir_frontend_key key = make_key(service, vip);
	__u32 id = frontends_find(maps, &key), owner_id;
	const struct plan_service *owner;
	const struct plan_vip *theirs;
	const char *name;

	if (id == WEIR_NONE || id == vip->id)
		return 0;
	owner_id = maps_frontends(maps)[id].service;
	name = maps_service_info(maps)[owner_id].name;
	owner = plan_find_service(plan, name);
	if (!owner)
		return say_taken(service, vip, name, err);
	theirs = plan_find_vip(owner, &vip->addr, vip->port);
	if (owner->replaced != owner_id && theirs && theirs->is_wanted)
		return say_taken(service, vip, name, err);
	return 0;
}

/* A VIP that the plan publishes, for the search of doubles. */
struct claim {
	struct weir_frontend_key key;
	const struct plan_service *service;
	const struct plan_vip *vip;
};

static int compare_claims(const void *a, const void *b)
{
	const struct claim *one = a, *other = b;

	return memcmp(&one->key, &other->key, sizeof(one->key));
}

static int check_doubles(struct claim *claims, size_t count, struct err *err)
{
	if (count)
		qsort(claims, count, sizeof(*claims), compare_claims);
	for (size_t i = 1; i < count; i++) {
		if (!compare_claims(&claims[i - 1], &claims[i]))
			return say_taken(claims[i].service, claims[i].vip,
					 claims[i - 1].service->plain->name, err);
	}
	return 0;
}

static size_t count_vips(const struct plan *plan)
{
	size_t count = 0;

	for (size_t i = 0; i < plan->count; i++)
		count += plan->services[i].vip_count;
	return count;
}

static int check_vips(struct maps *maps, const struct plan *plan, struct err *err)
{
	struct claim *claims = malloc((count_vips(plan) + 1) * sizeof(*claims));
	size_t count = 0;
	int rc = 0;

	if (!claims)
		return err_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < plan->count; i++) {
		const struct plan_service *service = &plan->services[i];

		for (size_t j = 0; !rc && j < service->vip_count; j++) {
			const struct plan_vip *vip = &service->vips[j];

			if (!vip->is_wanted || vip->was_published)
				continue;
			rc = check_owner(maps, plan, service, vip, err);
			claims[count++] = (struct claim){make_key(service, vip), service, vip};
		}
	}
	if (!rc)
		rc = check_doubles(claims, count, err);
	free(claims);
	return rc;
}

static bool will_serve(const struct plan_backend *backend)
{
	return !backend->is_leaving && !backend->is_drained && backend->weight;
}

/* The table changes when somebody comes into it, goes out of it, or has another weight in it. */
static void check_table(struct maps *maps, struct plan_service *service)
{
	service->serving = 0;
	service->has_new_table = false;
	for (size_t i = 0; i < service->backend_count; i++) {
		const struct plan_backend *backend = &service->backends[i];
		__u16 weight = will_serve(backend) ? backend->weight : 0, old_weight = 0;

		if (backend->id != WEIR_NONE && backends_serves(maps, backend->id))
			old_weight = maps_backend_info_at(maps, backend->id)->weight;
		service->serving += weight != 0;
		service->has_new_table |= weight != old_weight;
	}
}

static void count_needs(const struct plan_service *service, struct need *need)
{
	if (!service->is_wanted)
		return;
	/* A replaced one gives its id back just before. */
	need->services += service->id == WEIR_NONE && service->replaced == WEIR_NONE;
	for (size_t i = 0; i < service->vip_count; i++)
		need->frontends += service->vips[i].is_wanted && service->vips[i].id == WEIR_NONE;
	for (size_t i = 0; i < service->backend_count; i++)
		need->backends +=
			!service->backends[i].is_leaving && service->backends[i].id == WEIR_NONE;
}

static int check_limit(struct maps *maps, enum id_kind kind, __u64 need, __u64 now, __u32 limit,
		       const char *name, struct err *err)
{
	__u32 wanted = need > limit ? limit : (__u32)need;
	__u32 have = ids_available(maps, kind, now, wanted);

	if (have >= need)
		return 0;
	if (kind == ID_BACKEND && ids_count(maps, kind, wanted) >= need)
		return err_set(err, -ENOSPC,
			       "limits.backends: %u ids are free, but were used a moment ago; "
			       "try again in a second",
			       wanted);
	return err_set(err, -ENOSPC,
		       "limits.%s is %u: %llu more are needed, %u are free (a larger limit "
		       "takes `weir unload` and `weir load`)",
		       name, limit, (unsigned long long)need, have);
}

static int check_limits(struct maps *maps, const struct plan *plan, __u64 now, struct err *err)
{
	const struct weir_settings *settings = maps->settings;
	struct need need = {};
	int rc;

	for (size_t i = 0; i < plan->count; i++)
		count_needs(&plan->services[i], &need);
	rc = check_limit(maps, ID_SERVICE, need.services, now, settings->services, "services", err);
	if (!rc)
		rc = check_limit(maps, ID_FRONTEND, need.frontends, now, settings->frontends,
				 "frontends", err);
	if (!rc)
		rc = check_limit(maps, ID_BACKEND, need.backends, now, settings->backends,
				 "backends", err);
	return rc;
}

/* Old regions stay marked: a packet may still read one while this run goes on. */
static int place_tables(struct maps *maps, struct plan *plan, struct err *err)
{
	struct regions regions = {};
	int rc = tables_scan(maps, &regions);

	if (rc)
		return err_set(err, rc, "out of memory");
	for (size_t i = 0; !rc && i < plan->count; i++) {
		struct plan_service *service = &plan->services[i];
		uint32_t size = slots_size(service->serving);

		if (!service->is_wanted || !service->has_new_table || !size)
			continue;
		service->start = regions_take(&regions, size);
		if (service->start == REGION_NONE)
			rc = err_set(err, -ENOSPC,
				     "limits.slots is %u: no room for the %u slots of service %s",
				     maps->settings->slots, size, service->plain->name);
	}
	regions_free(&regions);
	return rc;
}

int plan_check(struct maps *maps, struct plan *plan, __u64 now, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < plan->count; i++) {
		if (!plan->services[i].is_wanted)
			continue;
		rc = check_family(&plan->services[i], err);
		check_table(maps, &plan->services[i]);
	}
	if (!rc)
		rc = check_vips(maps, plan, err);
	if (!rc)
		rc = check_limits(maps, plan, now, err);
	if (!rc)
		rc = place_tables(maps, plan, err);
	return rc;
}
