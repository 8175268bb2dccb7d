/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * repair.c - makes the maps whole after a run was killed between any two stores.
 *
 * One field of an entry says what it is; everything else about it was written before that field,
 * or follows from it and is derived here anew:
 *
 *	service   in use: services.flags VALID; leaving: service_info.is_leaving
 *	frontend  in use: frontend_list.flags VALID; published: its service is not leaving
 *	backend   in use: backends.service; leaving: backend_info.is_leaving (or its service is);
 *		  GONE but not leaving: half-made, dropped
 *		  drained by the operator: DRAINED without leaving; weight: backend_info.weight
 *
 * Derived: all lists and their lengths, reasons DRAINED (leaving) and WEIGHT, gone_at where it is
 * missing, the slots and regions, `frontends`, `vips`, `service_index`, any_port_frontends, the
 * filters, the family. Where two frontends claim one key (a VIP was on its way from one service to the other),
 * the one that the key leads to has it.
 *
 * It may itself be killed: it reads nothing that it has not derived yet, and is_dirty stays set.
 */
#include "datapath/repair.h"

#include "datapath/backends.h"
#include "datapath/filters.h"
#include "datapath/frontends.h"
#include "datapath/ids.h"
#include "datapath/purge.h"
#include "datapath/services.h"
#include "datapath/store.h"
#include "datapath/tables.h"

#include <arpa/inet.h>
#include <stdlib.h>

static bool is_service(struct maps *maps, __u32 id)
{
	return id < maps->settings->services && maps_services(maps)[id].flags & WEIR_SERVICE_VALID;
}

static void repair_services(struct maps *maps)
{
	struct weir_service_info *infos = maps_service_info(maps);

	ids_clear(maps, ID_SERVICE);
	for (__u32 id = 0; id < maps->settings->services; id++) {
		STORE(infos[id].first_frontend, WEIR_NONE);
		STORE(infos[id].first_backend, WEIR_NONE);
		STORE(infos[id].frontends, 0);
		STORE(infos[id].backends, 0);
		if (is_service(maps, id))
			continue;
		STORE(infos[id].name[0], 0);
		STORE(infos[id].is_leaving, 0);
		STORE(maps_services(maps)[id].region, 0);
		ids_put(maps, ID_SERVICE, id);
	}
}

static void link_backend(struct maps *maps, __u32 id)
{
	struct weir_backend *backend = &maps_backends(maps)[id];
	struct weir_service_info *owner = &maps_service_info(maps)[backend->service];

	STORE(maps_backend_info(maps)[id].next, owner->first_backend);
	STORE(owner->first_backend, id);
	STORE(owner->backends, owner->backends + 1);
}

static void repair_backend(struct maps *maps, __u32 id, __u64 now)
{
	struct weir_backend *backend = &maps_backends(maps)[id];
	struct weir_backend_info *info = &maps_backend_info(maps)[id];

	link_backend(maps, id);
	backends_set_reason(maps, id, WEIR_REASON_WEIGHT, !info->weight);
	if (info->is_leaving || maps_service_info(maps)[backend->service].is_leaving) {
		__u64 gone_at = services_gone_at(maps, backend->service, false, now);

		backends_leave(maps, id, backend->gone_at ? backend->gone_at : gone_at);
	} else {
		STORE(backend->gone_at, 0);
	}
}

/* A free id and when it was freed, to sort by age. */
struct rest {
	__u64 freed_at;
	__u32 id;
};

static int compare_rests(const void *a, const void *b)
{
	const struct rest *one = a, *other = b;

	if (one->freed_at != other->freed_at)
		return one->freed_at < other->freed_at ? -1 : 1;
	return one->id < other->id ? -1 : 1;
}

static bool is_half_made(struct maps *maps, __u32 id)
{
	const struct weir_backend *backend = &maps_backends(maps)[id];

	return !is_service(maps, backend->service) ||
	       (backend->reasons & WEIR_REASON_GONE && !maps_backend_info(maps)[id].is_leaving &&
		!maps_service_info(maps)[backend->service].is_leaving);
}

static void drop_backend(struct maps *maps, __u32 id, __u64 now)
{
	STORE_OR(maps_backends(maps)[id].reasons, WEIR_REASON_GONE);
	STORE(maps_backend_info(maps)[id].freed_at, now);
	STORE(maps_backends(maps)[id].service, WEIR_NONE);
}

static int repair_backends(struct maps *maps, __u64 now)
{
	const struct weir_backend *backends = maps_backends(maps);
	const struct weir_settings *settings = maps->settings;
	struct rest *rests = malloc((settings->backends + 1) * sizeof(*rests));
	size_t count = 0;

	if (!rests)
		return -ENOMEM;
	ids_clear(maps, ID_BACKEND);
	STORE(maps->settings->leaving.head, WEIR_NONE);
	STORE(maps->settings->leaving.tail, WEIR_NONE);
	for (__u32 id = 0; id < settings->backends; id++) {
		if (backends[id].service != WEIR_NONE && is_half_made(maps, id))
			drop_backend(maps, id, now);
		if (backends[id].service != WEIR_NONE)
			repair_backend(maps, id, now);
		else
			rests[count++] = (struct rest){maps_backend_info(maps)[id].freed_at, id};
	}
	qsort(rests, count, sizeof(*rests), compare_rests);
	for (size_t i = 0; i < count; i++)
		ids_put(maps, ID_BACKEND, rests[i].id);
	free(rests);
	return 0;
}

static size_t list_serving(struct maps *maps, __u32 service, struct slots_backend *serving)
{
	const struct weir_backend_info *infos = maps_backend_info(maps);
	__u32 id = maps_service_info(maps)[service].first_backend;
	size_t count = 0;

	for (; id != WEIR_NONE; id = infos[id].next) {
		if (backends_serves(maps, id))
			tables_entry(&serving[count++], id, &maps_backends(maps)[id],
				     infos[id].weight);
	}
	return count;
}

/* The old region is given up at once: the packet path asks each choice whose backend it is. */
static int repair_table(struct maps *maps, __u32 service, struct regions *regions,
			struct slots_backend *serving, struct table_draft *draft, struct err *err)
{
	__u64 region = maps_services(maps)[service].region;
	size_t count = list_serving(maps, service, serving);
	uint32_t start = 0;
	bool is_same;
	int rc = tables_build(maps, draft, serving, count, err);

	if (!rc)
		rc = tables_compare(maps, service, draft, &is_same, err);
	if (rc || is_same)
		return rc;
	if (draft->size) {
		start = regions_take(regions, draft->size);
		if (start == REGION_NONE && region >> 32 >= draft->size)
			start = (uint32_t)region; /* over the old one: some flows move twice */
		if (start ==
		    REGION_NONE) /* never seen; it keeps the old one until its next change */
			return 0;
	}
	rc = tables_install(maps, service, draft, start, err);
	if (!rc && region >> 32 && start != (uint32_t)region)
		regions_clear(regions, (uint32_t)region, (uint32_t)(region >> 32));
	return rc;
}

static int repair_tables(struct maps *maps, struct err *err)
{
	const struct weir_settings *settings = maps->settings;
	struct slots_backend *serving = malloc((settings->backends + 1) * sizeof(*serving));
	struct table_draft draft = {};
	struct regions regions = {};
	int rc = serving ? tables_scan(maps, &regions) : -ENOMEM;

	if (rc)
		rc = err_set(err, rc, "out of memory");
	for (__u32 id = 0; !rc && id < settings->services; id++) {
		if (is_service(maps, id))
			rc = repair_table(maps, id, &regions, serving, &draft, err);
	}
	tables_free(&draft);
	regions_free(&regions);
	free(serving);
	return rc;
}

/* Keys of a hash, gathered before any is deleted: a walk whose key is gone starts again. */
static int gather_keys(struct maps *maps, enum map_id id, size_t size, void **ret_keys,
		       size_t *ret_count)
{
	size_t count = 0, room = 0;
	char *keys = NULL, *more;
	const void *last = NULL;

	for (;;) {
		if (count == room) {
			room = room ? room * 2 : 256;
			more = reallocarray(keys, room, size);
			if (!more) {
				free(keys);
				return -ENOMEM;
			}
			keys = more;
			last = count ? keys + (count - 1) * size : NULL;
		}
		if (bpf_map_get_next_key(maps->fds[id], last, keys + count * size))
			break;
		last = keys + count * size;
		count++;
	}
	*ret_keys = keys;
	*ret_count = count;
	return 0;
}

static bool is_published(struct maps *maps, __u32 id)
{
	const struct weir_frontend *frontend;

	if (id >= maps->settings->frontends)
		return false;
	frontend = &maps_frontends(maps)[id];
	return frontend->flags & WEIR_FRONTEND_VALID && is_service(maps, frontend->service) &&
	       !maps_service_info(maps)[frontend->service].is_leaving;
}

static bool is_key_right(struct maps *maps, const struct weir_frontend_key *key)
{
	__u32 id = frontends_find(maps, key);
	struct weir_frontend_key wanted;

	if (!is_published(maps, id))
		return false;
	wanted = frontends_key(&maps_frontends(maps)[id]);
	return !memcmp(&wanted, key, sizeof(wanted));
}

static int prune_keys(struct maps *maps, struct err *err)
{
	struct weir_frontend_key *keys;
	void *memory;
	size_t count;
	int rc = gather_keys(maps, MAP_frontends, sizeof(*keys), &memory, &count);

	if (rc)
		return err_set(err, rc, "out of memory");
	keys = memory;
	for (size_t i = 0; !rc && i < count; i++) {
		if (!is_key_right(maps, &keys[i]))
			rc = store_delete(maps, MAP_frontends, &keys[i], err);
	}
	free(keys);
	return rc;
}

/* False: it is none, or another has its key. */
static bool keeps(struct maps *maps, __u32 id)
{
	const struct weir_frontend *frontend = &maps_frontends(maps)[id];
	struct weir_frontend_key key = frontends_key(frontend);
	__u32 holder;

	if (!(frontend->flags & WEIR_FRONTEND_VALID) || !is_service(maps, frontend->service))
		return false;
	if (!is_published(maps, id))
		return true;
	holder = frontends_find(maps, &key);
	return holder == WEIR_NONE || holder == id;
}

/* Its key comes with publish_all, after the tables. */
static int repair_frontend(struct maps *maps, __u32 id, struct err *err)
{
	struct weir_frontend *frontend = &maps_frontends(maps)[id];
	struct weir_service_info *owner = &maps_service_info(maps)[frontend->service];
	struct weir_settings *settings = maps->settings;
	struct weir_frontend_key key = frontends_key(frontend);

	STORE(frontend->next, owner->first_frontend);
	STORE(owner->first_frontend, id);
	STORE(owner->frontends, owner->frontends + 1);
	if (frontend->flags & WEIR_FRONTEND_ANY_PORT)
		STORE(settings->any_port_frontends, settings->any_port_frontends + 1);
	if (!is_published(maps, id))
		return 0;
	filters_add_vip(maps, &frontend->vip);
	return store_key(maps, MAP_frontends, &key, &id, err);
}

static int repair_frontends(struct maps *maps, struct err *err)
{
	const struct weir_settings *settings = maps->settings;
	__u32 *drops = calloc(settings->frontends + 1, sizeof(*drops));
	size_t count = 0;
	int rc;

	if (!drops)
		return err_set(err, -ENOMEM, "out of memory");
	ids_clear(maps, ID_FRONTEND);
	STORE(maps->settings->any_port_frontends, 0);
	rc = prune_keys(maps, err);
	for (__u32 id = 0; !rc && id < settings->frontends; id++) {
		if (keeps(maps, id)) {
			rc = repair_frontend(maps, id, err);
		} else {
			STORE(maps_frontends(maps)[id].flags, 0);
			drops[count++] = id;
		}
	}
	for (__u32 id = 0; !rc && id < settings->services; id++) {
		if (is_service(maps, id))
			frontends_set_path(maps, id);
	}
	if (!rc)
		rc = purge_flows(maps, err);
	for (size_t i = 0; !rc && i < count; i++)
		ids_put(maps, ID_FRONTEND, drops[i]);
	free(drops);
	return rc;
}

static int compare_addresses(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct weir_address));
}

static int set_vip(struct maps *maps, const struct weir_address *address, __u32 count,
		   struct err *err)
{
	struct weir_vip vip = {};

	if (bpf_map_lookup_elem(maps->fds[MAP_vips], address, &vip) && errno != ENOENT)
		return err_set(err, -errno, "map vips: %s", strerror(errno));
	if (vip.frontends == count)
		return 0;
	vip.frontends = count;
	return store_key(maps, MAP_vips, address, &vip, err);
}

/* `vips` becomes what `addresses`, sorted, say; the flags of those that stay are kept. */
static int set_vips(struct maps *maps, const struct weir_address *addresses, size_t count,
		    struct err *err)
{
	struct weir_address *keys;
	size_t keys_count;
	void *memory;
	int rc = 0;

	for (size_t i = 0, next; !rc && i < count; i = next) {
		for (next = i + 1; next < count; next++) {
			if (compare_addresses(&addresses[i], &addresses[next]))
				break;
		}
		rc = set_vip(maps, &addresses[i], (__u32)(next - i), err);
	}
	if (rc)
		return rc;
	rc = gather_keys(maps, MAP_vips, sizeof(*keys), &memory, &keys_count);
	if (rc)
		return err_set(err, rc, "out of memory");
	keys = memory;
	for (size_t i = 0; !rc && i < keys_count; i++) {
		if (!bsearch(&keys[i], addresses, count, sizeof(*addresses), compare_addresses))
			rc = store_delete(maps, MAP_vips, &keys[i], err);
	}
	free(keys);
	return rc;
}

static int repair_vips(struct maps *maps, struct err *err)
{
	const struct weir_settings *settings = maps->settings;
	struct weir_address *addresses = calloc(settings->frontends + 1, sizeof(*addresses));
	size_t count = 0;
	int rc;

	if (!addresses)
		return err_set(err, -ENOMEM, "out of memory");
	for (__u32 id = 0; id < settings->frontends; id++) {
		if (is_published(maps, id))
			addresses[count++] = maps_frontends(maps)[id].vip;
	}
	qsort(addresses, count, sizeof(*addresses), compare_addresses);
	rc = set_vips(maps, addresses, count, err);
	free(addresses);
	return rc;
}

static bool is_name_right(struct maps *maps, const struct weir_service_name *name)
{
	__u32 id;

	return !bpf_map_lookup_elem(maps->fds[MAP_service_index], name, &id) &&
	       is_service(maps, id) &&
	       !strncmp(maps_service_info(maps)[id].name, name->name, sizeof(name->name));
}

static int repair_names(struct maps *maps, struct err *err)
{
	struct weir_service_name *names, name = {};
	size_t count;
	void *memory;
	int rc = gather_keys(maps, MAP_service_index, sizeof(*names), &memory, &count);

	if (rc)
		return err_set(err, rc, "out of memory");
	names = memory;
	for (size_t i = 0; !rc && i < count; i++) {
		if (!is_name_right(maps, &names[i]))
			rc = store_delete(maps, MAP_service_index, &names[i], err);
	}
	free(names);
	for (__u32 id = 0; !rc && id < maps->settings->services; id++) {
		if (!is_service(maps, id))
			continue;
		memcpy(name.name, maps_service_info(maps)[id].name, sizeof(name.name));
		if (!is_name_right(maps, &name))
			rc = store_key(maps, MAP_service_index, &name, &id, err);
	}
	return rc;
}

static bool is_v4(const struct weir_address *address)
{
	return !address->word[0] && !address->word[1] && address->word[2] == htonl(0xffff);
}

/* Of any VIP or backend that stays; all of them agree. */
static void repair_family(struct maps *maps, __u32 id)
{
	struct weir_service_info *info = &maps_service_info(maps)[id];
	const struct weir_backend_info *infos = maps_backend_info(maps);
	const struct weir_address *address = NULL;

	if (info->first_frontend != WEIR_NONE)
		address = &maps_frontends(maps)[info->first_frontend].vip;
	for (__u32 i = info->first_backend; !address && i != WEIR_NONE; i = infos[i].next) {
		if (!infos[i].is_leaving)
			address = &maps_backends(maps)[i].address;
	}
	STORE(info->family, !address ? 0 : is_v4(address) ? 4 : 6);
}

static int finish_services(struct maps *maps, struct err *err)
{
	const struct weir_service_info *infos = maps_service_info(maps);
	__u32 *ids = calloc(maps->settings->services + 1, sizeof(*ids));
	size_t count = 0;
	int rc = 0;

	if (!ids)
		return err_set(err, -ENOMEM, "out of memory");
	for (__u32 id = 0; id < maps->settings->services; id++) {
		if (!is_service(maps, id))
			continue;
		repair_family(maps, id);
		if (infos[id].is_leaving && infos[id].first_backend == WEIR_NONE)
			ids[count++] = id;
	}
	if (count)
		rc = services_finish(maps, ids, count, err);
	free(ids);
	return rc;
}

int repair_run(struct maps *maps, struct err *err)
{
	int rc;

	STORE(maps->settings->is_dirty, 1);
	repair_services(maps);
	rc = repair_backends(maps, store_now());
	if (rc)
		return err_set(err, rc, "out of memory");
	rc = repair_tables(maps, err);
	if (!rc)
		rc = repair_frontends(maps, err);
	if (!rc)
		rc = repair_vips(maps, err);
	if (!rc)
		rc = repair_names(maps, err);
	if (!rc)
		rc = finish_services(maps, err);
	if (!rc && filters_tidy(maps, true))
		rc = err_set(err, -ENOMEM, "out of memory");
	return rc;
}
