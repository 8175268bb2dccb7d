/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* test_apply.c - what changes do to real maps. Needs root; skips where bpf(2) is refused. */
#include "fixture_maps.h"

#include "model/diff.h"

static struct fixture fixture;

/* --- what tests say --- */

static struct addr parse(const char *text)
{
	struct addr addr;
	struct err err = {};

	if (addr_parse(text, &addr, &err))
		fail_msg("%s", err.text);
	return addr;
}

static struct service named(const char *name)
{
	struct service service = {.protocol = IPPROTO_TCP, .drain_timeout_ms = 60000};

	snprintf(service.name, sizeof(service.name), "%s", name);
	return service;
}

static struct backend backend_at(const char *addr, uint16_t port, uint16_t weight)
{
	return (struct backend){.addr = parse(addr), .port = port, .weight = weight};
}

static struct vip vip_at(const char *addr, uint16_t port)
{
	return (struct vip){.addr = parse(addr), .port = port};
}

static int apply_list(const struct change *changes, size_t count, struct err *err)
{
	struct change_list list = {.changes = (struct change *)changes, .count = count};
	int rc = apply_changes(fixture.maps, &list, err);

	return rc;
}

static int apply_one(struct change change)
{
	struct err err = {};
	int rc = apply_list(&change, 1, &err);

	assert_int_equal(!rc, !err.text[0]);
	whole_check(fixture.maps);
	return rc;
}

static int do_service(enum change_kind kind, const struct service *service)
{
	return apply_one((struct change){.kind = kind, .service = service});
}

static int do_backend(enum change_kind kind, const struct service *service,
		      const struct backend *backend)
{
	return apply_one((struct change){.kind = kind, .service = service, .backend = backend});
}

static int do_vip(enum change_kind kind, const struct service *service, const struct vip *vip)
{
	return apply_one((struct change){.kind = kind, .service = service, .vip = vip});
}

/* Service "web" with VIP 192.0.2.1:80 and backends 10.0.0.1-3:8080. */
static struct service web;
static struct vip web_vip;
static struct backend web_backends[3];

static void install_web(void)
{
	web = named("web");
	web_vip = vip_at("192.0.2.1", 80);
	web_backends[0] = backend_at("10.0.0.1", 8080, 1);
	web_backends[1] = backend_at("10.0.0.2", 8080, 1);
	web_backends[2] = backend_at("10.0.0.3", 8080, 2);
	const struct change changes[] = {
		{.kind = CHANGE_SERVICE_ADD, .service = &web},
		{.kind = CHANGE_BACKEND_ADD, .service = &web, .backend = &web_backends[0]},
		{.kind = CHANGE_BACKEND_ADD, .service = &web, .backend = &web_backends[1]},
		{.kind = CHANGE_BACKEND_ADD, .service = &web, .backend = &web_backends[2]},
		{.kind = CHANGE_VIP_ADD, .service = &web, .vip = &web_vip},
	};
	struct err err = {};

	if (apply_list(changes, 5, &err))
		fail_msg("%s", err.text);
	whole_check(fixture.maps);
}

/* --- what tests see --- */

static __u32 find_backend(const char *service, const struct backend *backend)
{
	struct maps *maps = fixture.maps;
	__u32 id = installed_service_id(maps, service);

	if (id == WEIR_NONE)
		return WEIR_NONE;
	for (id = installed_first_backend(maps, id); id != WEIR_NONE;
	     id = installed_next_backend(maps, id)) {
		if (!memcmp(&maps_backends(maps)[id].address, &backend->addr, 16) &&
		    maps_backends(maps)[id].port == htons(backend->port))
			return id;
	}
	return WEIR_NONE;
}

static __u32 find_frontend(const struct vip *vip, __u8 protocol)
{
	struct weir_frontend_key key = {.port = htons(vip->port), .protocol = protocol};
	__u32 id;

	memcpy(&key.vip, &vip->addr, sizeof(key.vip));
	if (bpf_map_lookup_elem(fixture.maps->fds[MAP_frontends], &key, &id))
		return WEIR_NONE;
	return id;
}

static size_t count_slots(const char *service, __u32 backend)
{
	__u64 region =
		maps_services(fixture.maps)[installed_service_id(fixture.maps, service)].region;
	__u32 start = (__u32)region, size = (__u32)(region >> 32);
	struct weir_slot *slots;
	size_t count = 0;

	if (!size)
		return 0;
	slots = maps_slots_map(fixture.maps, start, size);
	for (__u32 i = 0; i < size; i++)
		count += slots[i].primary == backend || slots[i].secondary == backend;
	maps_slots_unmap(slots, start, size);
	return count;
}

static __u32 reasons_of(__u32 backend)
{
	return maps_backends(fixture.maps)[backend].reasons;
}

static struct service *read_service(struct model *model, const char *name)
{
	struct err err = {};

	if (installed_read(fixture.maps, model, &err))
		fail_msg("%s", err.text);
	return model_find_service(model, name);
}

/* A flow in the first free entry of its table. */
static struct weir_flow *put_flow(__u32 frontend, __u32 backend, __u64 flags)
{
	struct weir_bucket *buckets = maps_array(fixture.maps, MAP_flows);

	for (__u32 i = 0; i < fixture.maps->settings->flow_buckets; i++) {
		struct weir_flow *flow = &buckets[i].way[i % WEIR_WAYS];

		if (flow->what & WEIR_FLOW_STATE)
			continue;
		flow->what = frontend | (__u64)backend << WEIR_WHAT_BACKEND_SHIFT | flags;
		if (flags & WEIR_FLOW_COUNTED)
			maps_gauges(fixture.maps)[backend].active++;
		return flow;
	}
	return NULL;
}

static __u64 sum_closed(__u32 backend)
{
	__u32 limit = fixture.maps->settings->backends;

	return maps_counters(fixture.maps)[backend].closed +
	       maps_counters(fixture.maps)[limit + backend].closed;
}

/* --- adding and reading back --- */

static void test_added_is_read_back(void **state)
{
	struct model model;
	struct service *service;
	__u32 id;

	install_web();
	service = read_service(&model, "web");
	assert_non_null(service);
	assert_int_equal(model.service_count, 1);
	assert_int_equal(model.limits.backends, fixture_limits.backends);
	assert_int_equal(model.limits.flows, fixture_limits.flows);
	assert_int_equal(service->protocol, IPPROTO_TCP);
	assert_int_equal(service->drain_timeout_ms, 60000);
	assert_int_equal(service->vip_count, 1);
	assert_true(addr_equal(&service->vips[0].addr, &web_vip.addr));
	assert_int_equal(service->vips[0].port, 80);
	assert_int_equal(service->backend_count, 3);
	for (int i = 0; i < 3; i++) {
		assert_true(addr_equal(&service->backends[i].addr, &web_backends[i].addr));
		assert_int_equal(service->backends[i].port, 8080);
		assert_int_equal(service->backends[i].weight, web_backends[i].weight);
		assert_false(service->backends[i].is_drained || service->backends[i].is_leaving);
	}
	model_free(&model);
	id = find_frontend(&web_vip, IPPROTO_TCP);
	assert_int_not_equal(id, WEIR_NONE);
	assert_int_equal(maps_frontends(fixture.maps)[id].flags, WEIR_FRONTEND_VALID);
	assert_int_equal(find_frontend(&web_vip, IPPROTO_UDP), WEIR_NONE);
}

static void test_one_service_is_read(void **state)
{
	struct service other = named("other");
	struct model model;
	struct err err = {};

	install_web();
	assert_int_equal(do_service(CHANGE_SERVICE_ADD, &other), 0);
	assert_int_equal(installed_read_service(fixture.maps, "web", &model, &err), 0);
	assert_int_equal(model.service_count, 1);
	assert_string_equal(model.services[0].name, "web");
	assert_int_equal(model.services[0].backend_count, 3);
	model_free(&model);
	assert_int_equal(installed_read_service(fixture.maps, "none", &model, &err), -ENOENT);
	assert_non_null(strstr(err.text, "none"));
}

static void test_zone_and_labels(void **state)
{
	struct backend backend;
	struct service *service;
	struct model model;

	install_web();
	backend = web_backends[1];
	strcpy(backend.zone, "eu-1a");
	memset(backend.labels, 'x', sizeof(backend.labels) - 1);
	backend.weight = 7;
	assert_int_equal(do_backend(CHANGE_BACKEND_SET, &web, &backend), 0);
	service = read_service(&model, "web");
	assert_string_equal(service->backends[1].zone, "eu-1a");
	assert_string_equal(service->backends[1].labels, backend.labels);
	assert_int_equal(service->backends[1].weight, 7);
	model_free(&model);
}

static void test_any_port_and_path(void **state)
{
	struct service service = named("any");
	struct vip any, v6;
	__u32 id;

	any = vip_at("192.0.2.9", 0);
	v6 = vip_at("2001:db8::9", 53);
	service.path = PATH_STACK;
	assert_int_equal(do_service(CHANGE_SERVICE_ADD, &service), 0);
	assert_int_equal(do_vip(CHANGE_VIP_ADD, &service, &any), 0);
	id = find_frontend(&any, IPPROTO_TCP);
	assert_int_equal(maps_frontends(fixture.maps)[id].flags,
			 WEIR_FRONTEND_VALID | WEIR_FRONTEND_PATH_STACK | WEIR_FRONTEND_ANY_PORT);
	assert_int_equal(fixture.maps->settings->any_port_frontends, 1);
	service.path = PATH_FAST;
	assert_int_equal(do_service(CHANGE_SERVICE_SET, &service), 0);
	assert_int_equal(maps_frontends(fixture.maps)[id].flags,
			 WEIR_FRONTEND_VALID | WEIR_FRONTEND_ANY_PORT);
	assert_int_equal(do_vip(CHANGE_VIP_ADD, &service, &v6), -EINVAL);
	assert_int_equal(do_vip(CHANGE_VIP_REMOVE, &service, &any), 0);
	assert_int_equal(fixture.maps->settings->any_port_frontends, 0);
	assert_int_equal(do_vip(CHANGE_VIP_ADD, &service, &v6), 0);
}

static void test_timeouts(void **state)
{
	const struct timeouts timeouts = {1, 2, 3, 4, 5, 6};
	struct model model;

	assert_int_equal(apply_one((struct change){.kind = CHANGE_TIMEOUTS, .timeouts = &timeouts}),
			 0);
	read_service(&model, "");
	assert_memory_equal(&model.timeouts, &timeouts, sizeof(timeouts));
	model_free(&model);
}

/* --- draining --- */

static void test_drain_and_undrain(void **state)
{
	struct service *service;
	struct model model;
	__u32 id;

	install_web();
	id = find_backend("web", &web_backends[0]);
	assert_true(count_slots("web", id) > 0);
	assert_int_equal(do_backend(CHANGE_BACKEND_DRAIN, &web, &web_backends[0]), 0);
	assert_int_equal(count_slots("web", id), 0);
	assert_int_equal(reasons_of(id), WEIR_REASON_DRAINED);
	assert_int_equal(maps_backends(fixture.maps)[id].gone_at, 0);
	service = read_service(&model, "web");
	assert_true(service->backends[0].is_drained && !service->backends[0].is_leaving);
	model_free(&model);
	assert_int_equal(do_backend(CHANGE_BACKEND_UNDRAIN, &web, &web_backends[0]), 0);
	assert_true(count_slots("web", id) > 0);
	assert_int_equal(reasons_of(id), 0);
}

static void test_weight_zero(void **state)
{
	struct backend backend;
	__u32 id;

	install_web();
	backend = web_backends[2];
	id = find_backend("web", &backend);
	backend.weight = 0;
	assert_int_equal(do_backend(CHANGE_BACKEND_SET, &web, &backend), 0);
	assert_int_equal(count_slots("web", id), 0);
	assert_int_equal(reasons_of(id), WEIR_REASON_WEIGHT);
	assert_int_equal(do_backend(CHANGE_BACKEND_DRAIN, &web, &backend), 0);
	backend.weight = 3;
	assert_int_equal(do_backend(CHANGE_BACKEND_SET, &web, &backend), 0);
	assert_int_equal(reasons_of(id), WEIR_REASON_DRAINED);
	assert_int_equal(do_backend(CHANGE_BACKEND_UNDRAIN, &web, &backend), 0);
	assert_int_equal(reasons_of(id), 0);
}

/* Bits of health are others' business, whatever apply does. */
static void test_other_reasons_stay(void **state)
{
	const __u32 others = WEIR_REASON_EJECTED | WEIR_REASON_DOWN;
	struct backend backend;
	__u32 id;

	install_web();
	backend = web_backends[0];
	id = find_backend("web", &backend);
	maps_backends(fixture.maps)[id].reasons |= others;
	assert_int_equal(do_backend(CHANGE_BACKEND_DRAIN, &web, &backend), 0);
	assert_int_equal(do_backend(CHANGE_BACKEND_UNDRAIN, &web, &backend), 0);
	backend.weight = 0;
	assert_int_equal(do_backend(CHANGE_BACKEND_SET, &web, &backend), 0);
	backend.weight = 1;
	assert_int_equal(do_backend(CHANGE_BACKEND_SET, &web, &backend), 0);
	assert_int_equal(do_backend(CHANGE_BACKEND_REMOVE, &web, &backend), 0);
	assert_int_equal(do_backend(CHANGE_BACKEND_ADD, &web, &backend), 0);
	assert_int_equal(find_backend("web", &backend), id);
	assert_int_equal(reasons_of(id), others);
	/* And an ejected one keeps its slots: nobody else's move. */
	assert_true(count_slots("web", id) > 0);
}

static void test_all_drained(void **state)
{
	install_web();
	for (int i = 0; i < 3; i++)
		assert_int_equal(do_backend(CHANGE_BACKEND_DRAIN, &web, &web_backends[i]), 0);
	assert_int_equal(
		maps_services(fixture.maps)[installed_service_id(fixture.maps, "web")].region, 0);
}

/* --- removing backends --- */

static void test_removed_drains_first(void **state)
{
	__u64 before = fixture_now();
	struct service *service;
	struct model model;
	__u32 id;

	install_web();
	id = find_backend("web", &web_backends[0]);
	assert_int_equal(do_backend(CHANGE_BACKEND_REMOVE, &web, &web_backends[0]), 0);
	assert_int_equal(count_slots("web", id), 0);
	assert_int_equal(reasons_of(id), WEIR_REASON_DRAINED);
	assert_in_range(maps_backends(fixture.maps)[id].gone_at, before + 60000000000ull,
			fixture_now() + 60000000000ull);
	service = read_service(&model, "web");
	assert_int_equal(service->backend_count, 3);
	assert_true(service->backends[0].is_leaving && !service->backends[0].is_drained);
	model_free(&model);
	assert_int_equal(do_backend(CHANGE_BACKEND_REMOVE, &web, &web_backends[0]), -ENOENT);
	assert_int_equal(apply_collect(fixture.maps, NULL), 0);
	assert_int_equal(find_backend("web", &web_backends[0]), id);
	fixture_pass_time(fixture.maps);
	assert_int_equal(apply_collect(fixture.maps, NULL), 0);
	whole_check(fixture.maps);
	assert_int_equal(find_backend("web", &web_backends[0]), WEIR_NONE);
	assert_int_equal(maps_backends(fixture.maps)[id].service, WEIR_NONE);
	assert_true(maps_backend_info(fixture.maps)[id].freed_at >= before);
}

static void test_removed_now(void **state)
{
	__u32 id;

	install_web();
	id = find_backend("web", &web_backends[0]);
	assert_int_equal(apply_one((struct change){.kind = CHANGE_BACKEND_REMOVE,
						   .is_now = true,
						   .service = &web,
						   .backend = &web_backends[0]}),
			 0);
	assert_int_equal(maps_backends(fixture.maps)[id].service, WEIR_NONE);
	assert_true(reasons_of(id) & WEIR_REASON_GONE);
}

static void test_no_drain_timeout(void **state)
{
	__u32 id;

	install_web();
	web.drain_timeout_ms = 0;
	assert_int_equal(do_service(CHANGE_SERVICE_SET, &web), 0);
	id = find_backend("web", &web_backends[0]);
	assert_int_equal(do_backend(CHANGE_BACKEND_REMOVE, &web, &web_backends[0]), 0);
	assert_int_equal(maps_backends(fixture.maps)[id].service, WEIR_NONE);
}

static void test_drain_is_cut_short(void **state)
{
	__u32 id;

	install_web();
	id = find_backend("web", &web_backends[0]);
	assert_int_equal(do_backend(CHANGE_BACKEND_REMOVE, &web, &web_backends[0]), 0);
	assert_int_equal(apply_one((struct change){.kind = CHANGE_BACKEND_REMOVE,
						   .is_now = true,
						   .service = &web,
						   .backend = &web_backends[0]}),
			 0);
	assert_int_equal(maps_backends(fixture.maps)[id].service, WEIR_NONE);
}

static void test_leaving_one_comes_back(void **state)
{
	struct backend backend;
	__u8 generation;
	__u32 id;

	install_web();
	backend = web_backends[0];
	id = find_backend("web", &backend);
	generation = maps_backends(fixture.maps)[id].generation;
	assert_int_equal(do_backend(CHANGE_BACKEND_REMOVE, &web, &backend), 0);
	backend.weight = 9;
	assert_int_equal(do_backend(CHANGE_BACKEND_ADD, &web, &backend), 0);
	assert_int_equal(find_backend("web", &backend), id);
	assert_int_equal(maps_backends(fixture.maps)[id].generation, generation);
	assert_int_equal(maps_backends(fixture.maps)[id].gone_at, 0);
	assert_int_equal(maps_backend_info(fixture.maps)[id].weight, 9);
	assert_int_equal(reasons_of(id), 0);
	assert_true(count_slots("web", id) > 0);
	/* It leaves once more: the list of leaving ones must not hold it twice. */
	assert_int_equal(do_backend(CHANGE_BACKEND_REMOVE, &web, &backend), 0);
	assert_int_equal(maps_backend_info(fixture.maps)[id].next_leaving, WEIR_NONE);
}

/* Fill all ids, free one, and use it again. */
static void test_id_rests_and_is_reused(void **state)
{
	struct maps *maps = fixture.maps;
	struct backend backend;
	__u32 limit = maps->settings->backends, id;
	__u8 generation;
	char text[32];

	install_web();
	for (__u32 i = 3; i < limit; i++) {
		snprintf(text, sizeof(text), "10.0.1.%u", i);
		backend = backend_at(text, 80, 1);
		assert_int_equal(do_backend(CHANGE_BACKEND_ADD, &web, &backend), 0);
	}
	backend = backend_at("10.0.2.1", 80, 1);
	assert_int_equal(do_backend(CHANGE_BACKEND_ADD, &web, &backend), -ENOSPC);
	id = find_backend("web", &web_backends[1]);
	generation = maps_backends(maps)[id].generation;
	maps_counters(maps)[limit + id].forward_bytes = 77;
	assert_int_equal(apply_one((struct change){.kind = CHANGE_BACKEND_REMOVE,
						   .is_now = true,
						   .service = &web,
						   .backend = &web_backends[1]}),
			 0);
	assert_int_equal(do_backend(CHANGE_BACKEND_ADD, &web, &backend), -ENOSPC);
	fixture_pass_time(maps);
	/* A flow of the last use is still counted: not yet. */
	maps_gauges(maps)[id].active = 1;
	assert_int_equal(do_backend(CHANGE_BACKEND_ADD, &web, &backend), -ENOSPC);
	maps_gauges(maps)[id].active = 0;
	assert_int_equal(do_backend(CHANGE_BACKEND_ADD, &web, &backend), 0);
	assert_int_equal(find_backend("web", &backend), id);
	assert_int_equal(maps_backends(maps)[id].generation, (__u8)(generation + 1));
	assert_int_equal(maps_counters(maps)[limit + id].forward_bytes, 0);
}

static void test_busy_ids_are_passed_over(void **state)
{
	struct maps *maps = fixture.maps;
	__u32 first = maps->settings->free_backends.head;

	maps_gauges(maps)[first].active = 1;
	install_web();
	for (int i = 0; i < 3; i++)
		assert_int_not_equal(find_backend("web", &web_backends[i]), first);
	maps_gauges(maps)[first].active = 0;
}

/* All backends replaced in one list: a packet between any two stores finds one. */
static void test_replaced_at_once(void **state)
{
	struct backend other[2];
	__u32 id;

	install_web();
	other[0] = backend_at("10.0.9.1", 80, 1);
	other[1] = backend_at("10.0.9.2", 80, 1);
	const struct change changes[] = {
		{.kind = CHANGE_BACKEND_ADD, .service = &web, .backend = &other[0]},
		{.kind = CHANGE_BACKEND_ADD, .service = &web, .backend = &other[1]},
		{.kind = CHANGE_BACKEND_REMOVE, .service = &web, .backend = &web_backends[0]},
		{.kind = CHANGE_BACKEND_REMOVE, .service = &web, .backend = &web_backends[1]},
		{.kind = CHANGE_BACKEND_REMOVE, .service = &web, .backend = &web_backends[2]},
	};
	assert_int_equal(apply_list(changes, 5, NULL), 0);
	whole_check(fixture.maps);
	for (int i = 0; i < 2; i++) {
		id = find_backend("web", &other[i]);
		assert_true(count_slots("web", id) > 0);
	}
}

/* --- removing VIPs and services --- */

static void test_vip_removed(void **state)
{
	struct vip second;
	struct weir_flow *gone, *stays;
	__u32 frontend, kept, backend;

	install_web();
	second = vip_at("192.0.2.2", 80);
	assert_int_equal(do_vip(CHANGE_VIP_ADD, &web, &second), 0);
	frontend = find_frontend(&web_vip, IPPROTO_TCP);
	kept = find_frontend(&second, IPPROTO_TCP);
	backend = find_backend("web", &web_backends[0]);
	gone = put_flow(frontend, backend, WEIR_FLOW_LIVE | WEIR_FLOW_COUNTED);
	stays = put_flow(kept, backend, WEIR_FLOW_LIVE | WEIR_FLOW_COUNTED);
	assert_int_equal(maps_gauges(fixture.maps)[backend].active, 2);
	assert_int_equal(do_vip(CHANGE_VIP_REMOVE, &web, &web_vip), 0);
	assert_int_equal(find_frontend(&web_vip, IPPROTO_TCP), WEIR_NONE);
	assert_int_equal(maps_frontends(fixture.maps)[frontend].flags, 0);
	assert_int_equal(gone->what & WEIR_FLOW_STATE, WEIR_FLOW_FREE);
	assert_int_equal(stays->what & WEIR_FLOW_STATE, WEIR_FLOW_LIVE);
	assert_int_equal(maps_gauges(fixture.maps)[backend].active, 1);
	assert_int_equal(sum_closed(backend), 1);
	assert_int_equal(do_vip(CHANGE_VIP_REMOVE, &web, &web_vip), -ENOENT);
}

static void test_purge_finds_all_tables(void **state)
{
	struct weir_bucket_wide *wide;
	struct weir_spill_key key = {.who = 5};
	struct weir_spill spilled = {}, found;
	__u32 frontend, backend;
	__u64 what;

	install_web();
	frontend = find_frontend(&web_vip, IPPROTO_TCP);
	backend = find_backend("web", &web_backends[1]);
	what = frontend | (__u64)backend << WEIR_WHAT_BACKEND_SHIFT | WEIR_FLOW_COUNTED;
	wide = maps_array(fixture.maps, MAP_flows_wide);
	wide[7].way[3].what = what | WEIR_FLOW_LIVE;
	spilled.what = what | WEIR_FLOW_CLOSED;
	wide[8].way[0].what = what | WEIR_FLOW_CLAIMING;
	assert_int_equal(bpf_map_update_elem(fixture.maps->fds[MAP_spill], &key, &spilled, BPF_ANY),
			 0);
	fixture.maps->settings->spilled = 1;
	maps_gauges(fixture.maps)[backend].active = 2;
	assert_int_equal(do_vip(CHANGE_VIP_REMOVE, &web, &web_vip), 0);
	assert_int_equal(wide[7].way[3].what, 0);
	assert_int_equal(wide[8].way[0].what, what | WEIR_FLOW_CLAIMING);
	assert_int_not_equal(bpf_map_lookup_elem(fixture.maps->fds[MAP_spill], &key, &found), 0);
	assert_int_equal(fixture.maps->settings->spilled, 0);
	assert_int_equal(maps_gauges(fixture.maps)[backend].active, 0);
	wide[8].way[0].what = 0;
}

static void test_vip_shared_by_ports(void **state)
{
	struct weir_vip value;
	struct vip https;

	install_web();
	https = vip_at("192.0.2.1", 443);
	assert_int_equal(do_vip(CHANGE_VIP_ADD, &web, &https), 0);
	assert_int_equal(bpf_map_lookup_elem(fixture.maps->fds[MAP_vips], &https.addr, &value), 0);
	assert_int_equal(value.frontends, 2);
	value.flags = WEIR_VIP_LOCAL;
	assert_int_equal(
		bpf_map_update_elem(fixture.maps->fds[MAP_vips], &https.addr, &value, BPF_ANY), 0);
	assert_int_equal(do_vip(CHANGE_VIP_REMOVE, &web, &web_vip), 0);
	assert_int_equal(bpf_map_lookup_elem(fixture.maps->fds[MAP_vips], &https.addr, &value), 0);
	assert_int_equal(value.flags, WEIR_VIP_LOCAL);
	assert_int_equal(do_vip(CHANGE_VIP_REMOVE, &web, &https), 0);
	assert_int_not_equal(bpf_map_lookup_elem(fixture.maps->fds[MAP_vips], &https.addr, &value),
			     0);
}

static void test_service_removed(void **state)
{
	struct weir_flow *flow;
	struct service *service;
	struct model model;
	__u32 frontend, backend, id;

	install_web();
	id = installed_service_id(fixture.maps, "web");
	frontend = find_frontend(&web_vip, IPPROTO_TCP);
	backend = find_backend("web", &web_backends[0]);
	flow = put_flow(frontend, backend, WEIR_FLOW_LIVE | WEIR_FLOW_COUNTED);
	assert_int_equal(do_service(CHANGE_SERVICE_REMOVE, &web), 0);
	assert_int_equal(find_frontend(&web_vip, IPPROTO_TCP), WEIR_NONE);
	assert_true(maps_frontends(fixture.maps)[frontend].flags & WEIR_FRONTEND_VALID);
	assert_int_equal(flow->what & WEIR_FLOW_STATE, WEIR_FLOW_LIVE);
	service = read_service(&model, "web");
	assert_true(service->is_leaving);
	assert_int_equal(service->vip_count, 0);
	assert_int_equal(service->backend_count, 3);
	model_free(&model);
	assert_int_equal(do_service(CHANGE_SERVICE_REMOVE, &web), -ENOENT);
	assert_int_equal(do_vip(CHANGE_VIP_ADD, &web, &web_vip), -ENOENT);
	fixture_pass_time(fixture.maps);
	assert_int_equal(apply_collect(fixture.maps, NULL), 0);
	whole_check(fixture.maps);
	assert_int_equal(installed_service_id(fixture.maps, "web"), WEIR_NONE);
	assert_int_equal(maps_services(fixture.maps)[id].flags, 0);
	assert_int_equal(flow->what & WEIR_FLOW_STATE, WEIR_FLOW_FREE);
	assert_int_equal(maps_gauges(fixture.maps)[backend].active, 0);
}

static void test_service_removed_now(void **state)
{
	install_web();
	assert_int_equal(apply_one((struct change){
				 .kind = CHANGE_SERVICE_REMOVE, .is_now = true, .service = &web}),
			 0);
	assert_int_equal(installed_service_id(fixture.maps, "web"), WEIR_NONE);
}

static void test_empty_service_removed(void **state)
{
	struct service service = named("empty");
	struct vip vip = vip_at("192.0.2.7", 80);

	assert_int_equal(do_service(CHANGE_SERVICE_ADD, &service), 0);
	assert_int_equal(do_vip(CHANGE_VIP_ADD, &service, &vip), 0);
	assert_int_equal(do_service(CHANGE_SERVICE_REMOVE, &service), 0);
	assert_int_equal(installed_service_id(fixture.maps, "empty"), WEIR_NONE);
}

static void test_removal_is_cut_short(void **state)
{
	install_web();
	assert_int_equal(do_service(CHANGE_SERVICE_REMOVE, &web), 0);
	assert_int_equal(apply_one((struct change){
				 .kind = CHANGE_SERVICE_REMOVE, .is_now = true, .service = &web}),
			 0);
	assert_int_equal(installed_service_id(fixture.maps, "web"), WEIR_NONE);
}

/* It keeps its id, and so the flows of what it has again; what it has not again ends. */
static void test_service_comes_back(void **state)
{
	struct vip second;
	struct weir_flow *stays, *ends;
	__u32 id, frontend, backend;

	install_web();
	second = vip_at("192.0.2.2", 80);
	assert_int_equal(do_vip(CHANGE_VIP_ADD, &web, &second), 0);
	id = installed_service_id(fixture.maps, "web");
	frontend = find_frontend(&web_vip, IPPROTO_TCP);
	backend = find_backend("web", &web_backends[0]);
	stays = put_flow(frontend, backend, WEIR_FLOW_LIVE);
	ends = put_flow(find_frontend(&second, IPPROTO_TCP), backend, WEIR_FLOW_LIVE);
	assert_int_equal(do_service(CHANGE_SERVICE_REMOVE, &web), 0);
	const struct change changes[] = {
		{.kind = CHANGE_SERVICE_ADD, .service = &web},
		{.kind = CHANGE_BACKEND_ADD, .service = &web, .backend = &web_backends[0]},
		{.kind = CHANGE_VIP_ADD, .service = &web, .vip = &web_vip},
	};
	assert_int_equal(apply_list(changes, 3, NULL), 0);
	whole_check(fixture.maps);
	assert_int_equal(installed_service_id(fixture.maps, "web"), id);
	assert_int_equal(find_frontend(&web_vip, IPPROTO_TCP), frontend);
	assert_int_equal(find_frontend(&second, IPPROTO_TCP), WEIR_NONE);
	assert_int_equal(stays->what & WEIR_FLOW_STATE, WEIR_FLOW_LIVE);
	assert_int_equal(ends->what & WEIR_FLOW_STATE, WEIR_FLOW_FREE);
	assert_int_equal(reasons_of(backend), 0);
	assert_int_equal(reasons_of(find_backend("web", &web_backends[1])), WEIR_REASON_DRAINED);
	stays->what = 0;
}

static void test_protocol_changes(void **state)
{
	struct service udp;

	install_web();
	udp = web;
	udp.protocol = IPPROTO_UDP;
	const struct change changes[] = {
		{.kind = CHANGE_SERVICE_REMOVE, .is_now = true, .service = &web},
		{.kind = CHANGE_SERVICE_ADD, .service = &udp},
		{.kind = CHANGE_BACKEND_ADD, .service = &udp, .backend = &web_backends[0]},
		{.kind = CHANGE_VIP_ADD, .service = &udp, .vip = &web_vip},
	};
	assert_int_equal(apply_list(changes, 4, NULL), 0);
	whole_check(fixture.maps);
	assert_int_equal(find_frontend(&web_vip, IPPROTO_TCP), WEIR_NONE);
	assert_int_not_equal(find_frontend(&web_vip, IPPROTO_UDP), WEIR_NONE);
	assert_int_not_equal(find_backend("web", &web_backends[0]), WEIR_NONE);
	assert_int_equal(find_backend("web", &web_backends[1]), WEIR_NONE);
}

static void test_vip_moves(void **state)
{
	struct service other = named("other");
	__u32 service;

	install_web();
	assert_int_equal(do_service(CHANGE_SERVICE_ADD, &other), 0);
	assert_int_equal(do_vip(CHANGE_VIP_ADD, &other, &web_vip), -EEXIST);
	const struct change forward[] = {
		{.kind = CHANGE_VIP_ADD, .service = &other, .vip = &web_vip},
		{.kind = CHANGE_VIP_REMOVE, .service = &web, .vip = &web_vip},
	};
	assert_int_equal(apply_list(forward, 2, NULL), 0);
	whole_check(fixture.maps);
	service = maps_frontends(fixture.maps)[find_frontend(&web_vip, IPPROTO_TCP)].service;
	assert_int_equal(service, installed_service_id(fixture.maps, "other"));
	const struct change back[] = {
		{.kind = CHANGE_SERVICE_REMOVE, .service = &other},
		{.kind = CHANGE_VIP_ADD, .service = &web, .vip = &web_vip},
	};
	assert_int_equal(apply_list(back, 2, NULL), 0);
	whole_check(fixture.maps);
	service = maps_frontends(fixture.maps)[find_frontend(&web_vip, IPPROTO_TCP)].service;
	assert_int_equal(service, installed_service_id(fixture.maps, "web"));
}

/* --- refusals --- */

/* All arrays that apply writes, byte by byte. */
static char *take_picture(size_t *ret_size)
{
	static const enum map_id ids[] = {MAP_settings, MAP_frontend_list, MAP_services,
					  MAP_backends, MAP_service_info,  MAP_backend_info,
					  MAP_gauges,   MAP_vip_filter,    MAP_backend_filter};
	size_t size = 0;
	char *picture = NULL;

	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		const char *memory = maps_array(fixture.maps, ids[i]);

		picture = realloc(picture, size + fixture.maps->sizes[ids[i]]);
		memcpy(picture + size, memory, fixture.maps->sizes[ids[i]]);
		size += fixture.maps->sizes[ids[i]];
	}
	*ret_size = size;
	return picture;
}

static void check_refused(const struct change *changes, size_t count, int code, const char *text)
{
	size_t size, size_after;
	char *before = take_picture(&size), *after;
	struct err err = {};

	assert_int_equal(apply_list(changes, count, &err), code);
	if (!strstr(err.text, text))
		fail_msg("got \"%s\", wanted \"%s\" in it", err.text, text);
	after = take_picture(&size_after);
	assert_memory_equal(before, after, size);
	whole_check(fixture.maps);
	free(before);
	free(after);
}

static void test_limits_refuse_all(void **state)
{
	enum {
		MANY = 64
	};
	static struct service services[MANY];
	static struct backend backends[MANY];
	static struct vip vips[MANY];
	static struct change changes[MANY + 1];
	char text[32];

	install_web();
	for (int i = 0; i < MANY; i++) {
		snprintf(text, sizeof(text), "s%d", i);
		services[i] = named(text);
		changes[i] = (struct change){.kind = CHANGE_SERVICE_ADD, .service = &services[i]};
	}
	check_refused(changes, 12, -ENOSPC, "limits.services");
	for (int i = 0; i < MANY; i++) {
		snprintf(text, sizeof(text), "10.1.0.%d", i + 1);
		backends[i] = backend_at(text, 80, 1);
		changes[i] = (struct change){
			.kind = CHANGE_BACKEND_ADD, .service = &web, .backend = &backends[i]};
	}
	check_refused(changes, 46, -ENOSPC, "limits.backends");
	for (int i = 0; i < MANY; i++) {
		snprintf(text, sizeof(text), "192.0.2.%d", i + 50);
		vips[i] = vip_at(text, 80);
		changes[i] =
			(struct change){.kind = CHANGE_VIP_ADD, .service = &web, .vip = &vips[i]};
	}
	check_refused(changes, 24, -ENOSPC, "limits.frontends");
}

static void test_slots_refuse(void **state)
{
	const struct limits limits = {
		.services = 4, .frontends = 4, .backends = 16, .slots = 1024, .flows = 256};
	struct backend backends[5];
	struct change changes[5];
	char text[32];

	assert_int_equal(fixture_load(&fixture, &limits), 0);
	install_web(); /* 512 slots */
	for (int i = 0; i < 5; i++) {
		snprintf(text, sizeof(text), "10.1.0.%d", i + 1);
		backends[i] = backend_at(text, 80, 1);
		changes[i] = (struct change){
			.kind = CHANGE_BACKEND_ADD, .service = &web, .backend = &backends[i]};
	}
	check_refused(changes, 5, -ENOSPC, "limits.slots");
	assert_int_equal(apply_list(changes, 1, NULL), 0);
	whole_check(fixture.maps);
	/* Old and new took turns in the same 1024; they can go on doing so. */
	for (int i = 0; i < 10; i++) {
		assert_int_equal(do_backend(CHANGE_BACKEND_DRAIN, &web, &backends[0]), 0);
		assert_int_equal(do_backend(CHANGE_BACKEND_UNDRAIN, &web, &backends[0]), 0);
	}
}

static void test_nonsense_is_refused(void **state)
{
	struct service absent = named("absent"), other = named("other");
	struct backend v6, fresh;
	struct vip vip;

	install_web();
	v6 = backend_at("2001:db8::1", 80, 1);
	fresh = backend_at("10.0.3.1", 80, 1);
	vip = vip_at("192.0.2.77", 80);
	const struct {
		struct change change;
		int code;
		const char *text;
	} rows[] = {
		{{.kind = CHANGE_SERVICE_ADD, .service = &web}, -EEXIST, "web"},
		{{.kind = CHANGE_SERVICE_SET, .service = &absent}, -ENOENT, "absent"},
		{{.kind = CHANGE_SERVICE_REMOVE, .service = &absent}, -ENOENT, "absent"},
		{{.kind = CHANGE_BACKEND_ADD, .service = &absent, .backend = &fresh},
		 -ENOENT,
		 "absent"},
		{{.kind = CHANGE_BACKEND_ADD, .service = &web, .backend = &web_backends[0]},
		 -EEXIST,
		 "10.0.0.1:8080"},
		{{.kind = CHANGE_BACKEND_SET, .service = &web, .backend = &fresh},
		 -ENOENT,
		 "10.0.3.1:80"},
		{{.kind = CHANGE_BACKEND_REMOVE, .service = &web, .backend = &fresh},
		 -ENOENT,
		 "10.0.3.1:80"},
		{{.kind = CHANGE_BACKEND_DRAIN, .service = &web, .backend = &fresh},
		 -ENOENT,
		 "10.0.3.1:80"},
		{{.kind = CHANGE_BACKEND_ADD, .service = &web, .backend = &v6}, -EINVAL, "IPv6"},
		{{.kind = CHANGE_VIP_ADD, .service = &web, .vip = &web_vip},
		 -EEXIST,
		 "192.0.2.1:80"},
		{{.kind = CHANGE_VIP_REMOVE, .service = &web, .vip = &vip},
		 -ENOENT,
		 "192.0.2.77:80"},
		{{.kind = CHANGE_VIP_ADD, .service = &absent, .vip = &vip}, -ENOENT, "absent"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		/* Behind a good change: neither is made. */
		const struct change changes[] = {
			{.kind = CHANGE_SERVICE_ADD, .service = &other},
			rows[i].change,
		};

		check_refused(changes, 2, rows[i].code, rows[i].text);
	}
	const struct change twice[] = {
		{.kind = CHANGE_SERVICE_ADD, .service = &other},
		{.kind = CHANGE_VIP_ADD, .service = &other, .vip = &vip},
		{.kind = CHANGE_VIP_ADD, .service = &web, .vip = &vip},
	};
	check_refused(twice, 3, -EEXIST, "192.0.2.77:80");
}

/* --- filters --- */

static void test_filters_are_tidied(void **state)
{
	struct maps *maps = fixture.maps;
	struct weir_address address;
	struct backend backend;
	char text[32];

	install_web();
	backend = backend_at("10.7.7.7", 80, 1);
	memcpy(&address, &backend.addr, sizeof(address));
	for (int i = 0; i < 10; i++) {
		snprintf(text, sizeof(text), "10.7.7.%d", i);
		backend = backend_at(text, 80, 1);
		assert_int_equal(do_backend(CHANGE_BACKEND_ADD, &web, &backend), 0);
		assert_int_equal(apply_one((struct change){.kind = CHANGE_BACKEND_REMOVE,
							   .is_now = true,
							   .service = &web,
							   .backend = &backend}),
				 0);
		/* 48 backends: after more than 6 removals. */
		assert_int_equal(maps->settings->stale_backends, (i + 1) % 7);
	}
	assert_int_equal(apply_repair(maps, NULL), 0);
	whole_check(maps);
	assert_false(whole_is_in_filter(maps, MAP_backend_filter,
					maps->settings->backend_filter_words, &address));
}

/* --- opening --- */

static void test_not_loaded(void **state)
{
	struct maps *maps;
	struct err err = {};

	setenv("WEIR_ROOT", "/nowhere/at/all", 1);
	assert_int_equal(maps_open(&maps, &err), -ENOENT);
	assert_non_null(strstr(err.text, "not loaded"));
	setenv("WEIR_ROOT", fixture.mount, 1);
}

static void test_other_abi(void **state)
{
	char root[128], path[160];
	struct maps *maps;
	struct err err = {};

	snprintf(root, sizeof(root), "%s/other", fixture.mount);
	snprintf(path, sizeof(path), "%s/v%d", root, WEIR_ABI_VERSION + 1);
	assert_int_equal(mkdir(root, 0700), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	setenv("WEIR_ROOT", root, 1);
	assert_int_equal(maps_open(&maps, &err), -EPROTO);
	snprintf(path, sizeof(path), "v%d are installed, this weir speaks v%d",
		 WEIR_ABI_VERSION + 1, WEIR_ABI_VERSION);
	assert_non_null(strstr(err.text, path));
	setenv("WEIR_ROOT", fixture.mount, 1);
}

static void test_other_shape(void **state)
{
	char path[sizeof(fixture.directory) + 16];
	struct maps *maps;
	struct err err = {};
	int fd;

	snprintf(path, sizeof(path), "%s/gauges", fixture.directory);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(maps_open(&maps, &err), -EPROTO);
	assert_non_null(strstr(err.text, "gauges is missing"));
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, NULL, 4, 16, 48, NULL);
	assert_true(fd >= 0);
	assert_int_equal(bpf_obj_pin(fd, path), 0);
	assert_int_equal(maps_open(&maps, &err), -EPROTO);
	assert_non_null(strstr(err.text, "value 16"));
	assert_int_equal(unlink(path), 0);
	close(fd);
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, NULL, 4, 8, 47, NULL);
	assert_int_equal(bpf_obj_pin(fd, path), 0);
	assert_int_equal(maps_open(&maps, &err), -EPROTO);
	assert_non_null(strstr(err.text, "shorter"));
	close(fd);
}

static void test_slots_windows(void **state)
{
	struct weir_slot *one, *other;

	/* 256 slots are half a page: a window starts where it was asked for. */
	one = maps_slots_map(fixture.maps, 256, 256);
	other = maps_slots_map(fixture.maps, 0, 1024);
	assert_non_null(one);
	assert_non_null(other);
	one[3].primary = 42;
	assert_int_equal(other[259].primary, 42);
	maps_slots_unmap(one, 256, 256);
	maps_slots_unmap(other, 0, 1024);
	assert_null(maps_slots_map(fixture.maps, fixture_limits.slots, 1));
	assert_null(maps_slots_map(fixture.maps, 1, fixture_limits.slots));
}

/* --- */

static int fresh(void **state)
{
	return fixture_load(&fixture, &fixture_limits);
}

int main(void)
{
#define FRESH(test) cmocka_unit_test_setup(test, fresh)
	const struct CMUnitTest tests[] = {
		FRESH(test_added_is_read_back),
		FRESH(test_one_service_is_read),
		FRESH(test_zone_and_labels),
		FRESH(test_any_port_and_path),
		FRESH(test_timeouts),
		FRESH(test_drain_and_undrain),
		FRESH(test_weight_zero),
		FRESH(test_other_reasons_stay),
		FRESH(test_all_drained),
		FRESH(test_removed_drains_first),
		FRESH(test_removed_now),
		FRESH(test_no_drain_timeout),
		FRESH(test_drain_is_cut_short),
		FRESH(test_leaving_one_comes_back),
		FRESH(test_id_rests_and_is_reused),
		FRESH(test_busy_ids_are_passed_over),
		FRESH(test_replaced_at_once),
		FRESH(test_vip_removed),
		FRESH(test_purge_finds_all_tables),
		FRESH(test_vip_shared_by_ports),
		FRESH(test_service_removed),
		FRESH(test_service_removed_now),
		FRESH(test_empty_service_removed),
		FRESH(test_removal_is_cut_short),
		FRESH(test_service_comes_back),
		FRESH(test_protocol_changes),
		FRESH(test_vip_moves),
		FRESH(test_limits_refuse_all),
		FRESH(test_slots_refuse),
		FRESH(test_nonsense_is_refused),
		FRESH(test_filters_are_tidied),
		FRESH(test_not_loaded),
		FRESH(test_other_abi),
		FRESH(test_other_shape),
		FRESH(test_slots_windows),
	};
	int rc = fixture_start(&fixture);

	if (rc) {
		printf("SKIP test_apply: no maps here: %s\n", strerror(-rc));
		fixture_stop(&fixture);
		return 0;
	}
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	fixture_stop(&fixture);
	return rc;
}
