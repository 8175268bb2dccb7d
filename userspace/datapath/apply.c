/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * apply.c - carries out a plan; see apply.h.
 *
 * First what services gain, then what they lose, each over all services: a VIP that moves from
 * one to the other is never without an owner. For one service: backends, table, frontends. What
 * only takes backends out of use comes after the table without them, or replacing all backends
 * at once would leave a moment with none.
 */
#include "datapath/apply.h"

#include "datapath/backends.h"
#include "datapath/filters.h"
#include "datapath/frontends.h"
#include "datapath/ids.h"
#include "datapath/plan.h"
#include "datapath/purge.h"
#include "datapath/repair.h"
#include "datapath/services.h"
#include "datapath/store.h"
#include "datapath/tables.h"

#include <arpa/inet.h>
#include <stdlib.h>

/* One run. */
struct run {
	struct maps *maps;
	struct plan plan;
	__u64 now;
	struct table_draft draft;
	struct slots_backend *serving; /* scratch */
	size_t serving_room;
	__u32 *drops; /* frontends that were dropped: their ids are free after a purge */
	size_t drop_count, drop_room;
};

static int no_memory(struct err *err)
{
	return err_set(err, -ENOMEM, "out of memory");
}

static int drop_frontend(struct run *run, __u32 id, struct err *err)
{
	if (run->drop_count == run->drop_room) {
		size_t room = run->drop_room ? run->drop_room * 2 : 16;
		__u32 *more = reallocarray(run->drops, room, sizeof(*more));

		if (!more)
			return no_memory(err);
		run->drops = more;
		run->drop_room = room;
	}
	run->drops[run->drop_count++] = id;
	frontends_drop(run->maps, id);
	return 0;
}

static int collect(struct maps *maps, __u64 now, struct err *err)
{
	__u32 *services = NULL;
	size_t count = 0;
	int rc = 0;

	if (maps->settings->leaving.head == WEIR_NONE)
		return 0;
	if (backends_collect(maps, now, &services, &count))
		return no_memory(err);
	if (count)
		rc = services_finish(maps, services, count, err);
	free(services);
	return rc;
}

/* The id of a service of another protocol ends, at once: its name is wanted again. */
static int replace_service(struct run *run, const struct plan_service *service, struct err *err)
{
	struct maps *maps = run->maps;
	__u32 id = service->replaced;
	int rc = services_leave(maps, id, true, run->now, err);

	if (!rc)
		rc = collect(maps, run->now, err);
	/* Collect finds it by its last backend; one without backends is left. */
	if (!rc && maps_services(maps)[id].flags & WEIR_SERVICE_VALID)
		rc = services_finish(maps, &id, 1, err);
	return rc;
}

/* The VIPs that it left with and shall not have again go first: from then on it is there. */
static int revive_service(struct run *run, struct plan_service *service, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < service->vip_count; i++) {
		const struct plan_vip *vip = &service->vips[i];

		if (!vip->is_wanted && vip->id != WEIR_NONE)
			rc = drop_frontend(run, vip->id, err);
	}
	if (rc)
		return rc;
	services_set(run->maps, service->id, service->plain);
	STORE(maps_service_info(run->maps)[service->id].is_leaving, 0);
	return 0;
}

static int settle_service(struct run *run, struct plan_service *service, struct err *err)
{
	int rc = 0;

	if (service->replaced != WEIR_NONE)
		rc = replace_service(run, service, err);
	if (rc)
		return rc;
	if (service->id == WEIR_NONE) {
		service->id = ids_take(run->maps, ID_SERVICE, run->now);
		rc = services_add(run->maps, service->id, service->plain, service->protocol, err);
	} else if (!service->was_wanted) {
		rc = revive_service(run, service, err);
	} else if (service->is_set) {
		services_set(run->maps, service->id, service->plain);
	}
	if (!rc)
		STORE(maps_service_info(run->maps)[service->id].family, service->family);
	return rc;
}

static void gain_backend(struct run *run, const struct plan_service *service,
			 struct plan_backend *backend)
{
	struct maps *maps = run->maps;

	if (backend->is_leaving)
		return;
	if (backend->id == WEIR_NONE) {
		backend->id = ids_take(maps, ID_BACKEND, run->now);
		backends_add(maps, backend->id, service->id, backend->plain, backend->is_drained);
		return;
	}
	if (backend->plain)
		backends_set_plain(maps, backend->id, backend->plain);
	if (maps_backend_info_at(maps, backend->id)->is_leaving)
		backends_return(maps, backend->id);
	if (!backend->is_drained)
		backends_set_reason(maps, backend->id, WEIR_REASON_DRAINED, false);
	if (backend->weight)
		backends_set_reason(maps, backend->id, WEIR_REASON_WEIGHT, false);
}

static void lose_backend(struct run *run, const struct plan_service *service,
			 const struct plan_backend *backend)
{
	struct maps *maps = run->maps;

	if (backend->id == WEIR_NONE)
		return;
	if (backend->is_leaving) {
		if (!maps_backend_info_at(maps, backend->id)->is_leaving)
			backends_leave(
				maps, backend->id,
				services_gone_at(maps, service->id, backend->is_now, run->now));
		if (backend->is_now)
			backends_end(maps, backend->id, run->now);
		return;
	}
	if (backend->is_drained)
		backends_set_reason(maps, backend->id, WEIR_REASON_DRAINED, true);
	if (!backend->weight)
		backends_set_reason(maps, backend->id, WEIR_REASON_WEIGHT, true);
}

static int gather_serving(struct run *run, const struct plan_service *service)
{
	size_t count = 0;

	if (service->serving > run->serving_room) {
		struct slots_backend *more =
			reallocarray(run->serving, service->serving, sizeof(*more));

		if (!more)
			return -ENOMEM;
		run->serving = more;
		run->serving_room = service->serving;
	}
	for (size_t i = 0; i < service->backend_count; i++) {
		const struct plan_backend *backend = &service->backends[i];

		if (backend->is_leaving || backend->is_drained || !backend->weight)
			continue;
		tables_entry(&run->serving[count++], backend->id,
			     maps_backend_at(run->maps, backend->id), backend->weight);
	}
	return 0;
}

static int renew_table(struct run *run, const struct plan_service *service, struct err *err)
{
	int rc;

	if (!service->has_new_table)
		return 0;
	if (gather_serving(run, service))
		return no_memory(err);
	rc = tables_build(run->maps, &run->draft, run->serving, service->serving, err);
	if (!rc)
		rc = tables_install(run->maps, service->id, &run->draft, service->start, err);
	return rc;
}

static int gain_vip(struct run *run, const struct plan_service *service, struct plan_vip *vip,
		    struct err *err)
{
	struct weir_address address;

	if (!vip->is_wanted || vip->was_published)
		return 0;
	if (vip->id == WEIR_NONE) {
		memcpy(&address, &vip->addr, sizeof(address));
		vip->id = ids_take(run->maps, ID_FRONTEND, run->now);
		frontends_add(run->maps, vip->id, service->id, &address, htons(vip->port));
	}
	return frontends_publish(run->maps, vip->id, err);
}

static int gain(struct run *run, struct plan_service *service, struct err *err)
{
	int rc;

	if (!service->is_wanted)
		return 0;
	rc = settle_service(run, service, err);
	for (size_t i = 0; !rc && i < service->backend_count; i++)
		gain_backend(run, service, &service->backends[i]);
	if (!rc)
		rc = renew_table(run, service, err);
	for (size_t i = 0; !rc && i < service->backend_count; i++)
		lose_backend(run, service, &service->backends[i]);
	for (size_t i = 0; !rc && i < service->vip_count; i++)
		rc = gain_vip(run, service, &service->vips[i], err);
	return rc;
}

static int lose_service(struct run *run, const struct plan_service *service, struct err *err)
{
	struct maps *maps = run->maps;
	int rc;

	if (service->replaced != WEIR_NONE) /* by one that the same list removes again */
		return replace_service(run, service, err);
	if (service->id == WEIR_NONE)
		return 0;
	rc = services_leave(maps, service->id, service->is_now, run->now, err);
	for (size_t i = 0; !rc && i < service->backend_count; i++)
		lose_backend(run, service, &service->backends[i]);
	if (!rc && maps_service_info(maps)[service->id].first_backend == WEIR_NONE)
		rc = services_finish(maps, &service->id, 1, err);
	return rc;
}

static int lose(struct run *run, struct plan_service *service, struct err *err)
{
	int rc = 0;

	if (!service->is_wanted)
		return lose_service(run, service, err);
	for (size_t i = 0; !rc && i < service->vip_count; i++) {
		const struct plan_vip *vip = &service->vips[i];

		if (vip->is_wanted || !vip->was_published)
			continue;
		rc = frontends_conceal(run->maps, vip->id, err);
		if (!rc)
			rc = drop_frontend(run, vip->id, err);
	}
	return rc;
}

static void set_timeouts(struct maps *maps, const struct timeouts *timeouts)
{
	struct weir_timeouts *place = &maps->settings->timeouts;

	STORE(place->tcp, timeouts->tcp);
	STORE(place->closing, timeouts->closing);
	STORE(place->closed, timeouts->closed);
	STORE(place->unproven, timeouts->unproven);
	STORE(place->udp, timeouts->udp);
	STORE(place->udp_unanswered, timeouts->udp_unanswered);
}

static int free_dropped(struct run *run, struct err *err)
{
	int rc = run->drop_count ? purge_flows(run->maps, err) : 0;

	for (size_t i = 0; !rc && i < run->drop_count; i++)
		ids_put(run->maps, ID_FRONTEND, run->drops[i]);
	return rc;
}

static int carry_out(struct run *run, struct err *err)
{
	struct plan *plan = &run->plan;
	int rc = 0;

	if (plan->timeouts)
		set_timeouts(run->maps, plan->timeouts);
	for (size_t i = 0; !rc && i < plan->count; i++)
		rc = gain(run, &plan->services[i], err);
	for (size_t i = 0; !rc && i < plan->count; i++)
		rc = lose(run, &plan->services[i], err);
	if (!rc)
		rc = free_dropped(run, err);
	if (!rc)
		rc = collect(run->maps, run->now, err);
	if (!rc && filters_tidy(run->maps, false))
		rc = no_memory(err);
	return rc;
}

static void free_run(struct run *run)
{
	plan_free(&run->plan);
	tables_free(&run->draft);
	free(run->serving);
	free(run->drops);
}

/* What every run reads or writes; what is large is mapped window by window. */
static int map_arrays(struct maps *maps, struct err *err)
{
	if (maps_services(maps) && maps_service_info(maps) && maps_frontends(maps) &&
	    maps_array(maps, MAP_vip_filter) && maps_array(maps, MAP_backend_filter))
		return 0;
	return err_set(err, -errno, "%s: cannot map the arrays: %s", maps->directory,
		       strerror(errno));
}

/*
 * Repair and collect. Afterwards the maps are whole, and is_dirty may still be set: until the
 * list is done as well, or refused, the next run must know that this one may have been killed.
 */
static int prepare(struct maps *maps, __u64 now, bool *ret_was_dirty, struct err *err)
{
	int rc = map_arrays(maps, err);

	if (rc)
		return rc;
	*ret_was_dirty = maps->settings->is_dirty;
	if (*ret_was_dirty)
		rc = repair_run(maps, err);
	if (rc || maps->settings->leaving.head == WEIR_NONE)
		return rc;
	STORE(maps->settings->is_dirty, 1);
	return collect(maps, now, err);
}

static int change(struct run *run, const struct change_list *list, bool is_resumed, struct err *err)
{
	int rc = plan_make(run->maps, list, is_resumed, run->now, &run->plan, err);

	if (!rc) {
		STORE(run->maps->settings->is_dirty, 1);
		rc = carry_out(run, err);
		if (rc)
			return rc; /* half done: the next run repairs */
	}
	STORE(run->maps->settings->is_dirty, 0);
	return rc;
}

int apply_changes(struct maps *maps, const struct change_list *list, struct err *err)
{
	struct run run = {.maps = maps, .now = store_now()};
	bool was_dirty;
	int rc = prepare(maps, run.now, &was_dirty, err);

	if (!rc)
		rc = change(&run, list, was_dirty, err);
	free_run(&run);
	return rc;
}

int apply_collect(struct maps *maps, struct err *err)
{
	bool was_dirty;
	int rc = prepare(maps, store_now(), &was_dirty, err);

	if (!rc)
		STORE(maps->settings->is_dirty, 0);
	return rc;
}

int apply_repair(struct maps *maps, struct err *err)
{
	int rc = map_arrays(maps, err);

	if (!rc)
		rc = repair_run(maps, err);
	if (!rc)
		STORE(maps->settings->is_dirty, 0);
	return rc;
}

static void free_all(struct maps *maps)
{
	const struct weir_settings *settings = maps->settings;

	for (enum id_kind kind = ID_SERVICE; kind <= ID_BACKEND; kind++)
		ids_clear(maps, kind);
	for (__u32 i = 0; i < settings->services; i++)
		ids_put(maps, ID_SERVICE, i);
	for (__u32 i = 0; i < settings->frontends; i++)
		ids_put(maps, ID_FRONTEND, i);
	for (__u32 i = 0; i < settings->backends; i++) {
		maps_backend_at(maps, i)->reasons = WEIR_REASON_GONE;
		maps_backend_at(maps, i)->service = WEIR_NONE;
		ids_put(maps, ID_BACKEND, i);
	}
}

int apply_format(struct maps *maps, struct err *err)
{
	struct weir_settings *settings = maps->settings;
	int rc = map_arrays(maps, err);

	if (rc)
		return rc;
	settings->abi_version = WEIR_ABI_VERSION;
	settings->leaving = (struct weir_list){WEIR_NONE, WEIR_NONE};
	free_all(maps);
	settings->is_dirty = 0;
	return 0;
}
