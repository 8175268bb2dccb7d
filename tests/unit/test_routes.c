/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * test_routes.c - routes to the installed VIPs, against the kernel's tables and a real `vips` map.
 * The arrays are plain memory. Each test in a new network namespace; needs root and iproute2.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* unshare */
#endif
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"
#include "datapath/netlink.h"
#include "datapath/routes.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MANY      5000
#define SERVICES  (MANY + 8)
#define FRONTENDS (2 * MANY + 8)
#define BACKENDS  (MANY + 8)

struct world {
	struct maps maps;
	struct netlink *netlink;
	uint32_t host;
};

static struct addr addr_of(const char *text)
{
	struct addr addr;

	assert_int_equal(addr_parse(text, &addr, NULL), 0);
	return addr;
}

static void must(const char *command)
{
	if (system(command))
		fail_msg("failed: %s", command);
}

static int make_arrays(struct maps *maps)
{
	struct weir_service_info *infos = calloc(SERVICES, sizeof(*infos));

	maps->settings = calloc(1, sizeof(*maps->settings));
	maps->memory[MAP_settings] = maps->settings;
	maps->memory[MAP_frontend_list] = calloc(FRONTENDS, sizeof(struct weir_frontend));
	maps->memory[MAP_service_info] = infos;
	maps->memory[MAP_backends] = calloc(BACKENDS, sizeof(struct weir_backend));
	if (!maps->settings || !maps->memory[MAP_frontend_list] || !infos ||
	    !maps->memory[MAP_backends])
		return -1;
	for (int i = 0; i < SERVICES; i++)
		infos[i].first_backend = WEIR_NONE;
	maps->settings->services = SERVICES;
	maps->settings->frontends = FRONTENDS;
	maps->settings->backends = BACKENDS;
	maps->fds[MAP_vips] = bpf_map_create(BPF_MAP_TYPE_HASH, "vips", sizeof(struct weir_address),
					     sizeof(struct weir_vip), FRONTENDS, NULL);
	return maps->fds[MAP_vips] < 0 ? -1 : 0;
}

/* A new namespace with two ways out, weir0, and backends 1 to 4 behind them. */
static int make_world(void **state)
{
	static const char *const backends[] = {"10.1.0.9", "10.2.0.9", "fd00:1::9", "203.0.113.9"};
	struct world *world = calloc(1, sizeof(*world));
	struct weir_backend *array;
	struct netlink_link link;
	struct addr addr;

	*state = NULL;
	if (!world || (unshare(CLONE_NEWNET) && errno != EPERM))
		return -1;
	if (geteuid()) {
		free(world);
		return 0;
	}
	if (system("ip link set lo up && ip link add d0 type veth peer name d1 &&"
		   "ip link set d0 up && ip link set d1 up && ip addr add 10.1.0.1/24 dev d0 &&"
		   "ip addr add 10.2.0.1/24 dev d1 && ip addr add fd00:1::1/64 dev d0 nodad"))
		return -1;
	if (make_arrays(&world->maps) || netlink_open(&world->netlink, NULL) ||
	    netlink_pair_add(world->netlink, "weir0", "weir1", 1500, NULL) ||
	    netlink_link(world->netlink, "weir0", &link, NULL))
		return -1;
	world->host = link.ifindex;
	world->maps.settings->host_ifindex = link.ifindex;
	array = world->maps.memory[MAP_backends];
	for (int i = 0; i < 4; i++) {
		addr = addr_of(backends[i]);
		memcpy(&array[i + 1].address, &addr, sizeof(addr));
	}
	*state = world;
	return 0;
}

static int free_world(void **state)
{
	struct world *world = *state;

	if (!world)
		return 0;
	for (int id = 0; id < MAP_COUNT; id++)
		free(world->maps.memory[id]);
	close(world->maps.fds[MAP_vips]);
	netlink_close(world->netlink);
	free(world);
	return 0;
}

static struct world *need_world(void **state)
{
	if (!*state) {
		print_message("SKIP: network namespaces and BPF maps need root\n");
		skip();
	}
	return *state;
}

static void add_frontend(struct world *world, __u32 id, const struct addr *vip, __u32 service)
{
	struct weir_frontend *frontends = world->maps.memory[MAP_frontend_list];
	struct weir_vip entry = {.frontends = 1};

	memcpy(&frontends[id].vip, vip, sizeof(*vip));
	frontends[id].service = service;
	frontends[id].flags = WEIR_FRONTEND_VALID;
	assert_int_equal(bpf_map_update_elem(world->maps.fds[MAP_vips], vip, &entry, BPF_ANY), 0);
}

static void add_vip(struct world *world, __u32 id, const char *vip, __u32 service)
{
	struct addr addr = addr_of(vip);

	add_frontend(world, id, &addr, service);
}

static void remove_frontend(struct world *world, __u32 id)
{
	struct weir_frontend *frontends = world->maps.memory[MAP_frontend_list];

	frontends[id].flags = 0;
}

static void set_backend(struct world *world, __u32 service, __u32 backend)
{
	struct weir_service_info *infos = world->maps.memory[MAP_service_info];

	infos[service].first_backend = backend;
}

static void sync_routes(struct world *world)
{
	struct err err = {};

	if (routes_sync(&world->maps, &err))
		fail_msg("%s", err.text);
}

static size_t count_routes(struct world *world)
{
	struct netlink_route *routes;
	size_t count;

	assert_int_equal(netlink_routes(world->netlink, world->host, &routes, &count, NULL), 0);
	free(routes);
	return count;
}

/* The source of the route to `vip`, "::" for any; fails when there is none. */
static void assert_route(struct world *world, const char *vip, const char *source)
{
	struct addr addr = addr_of(vip), found = {};
	struct netlink_route *routes;
	char text[ADDR_TEXT_LEN];
	bool is_there = false;
	size_t count;

	assert_int_equal(netlink_routes(world->netlink, world->host, &routes, &count, NULL), 0);
	for (size_t i = 0; i < count; i++) {
		if (!addr_equal(&routes[i].vip, &addr))
			continue;
		is_there = true;
		found = routes[i].source;
	}
	free(routes);
	assert_true(is_there);
	assert_string_equal(addr_format(&found, text), source);
}

static __u32 vip_flags(struct world *world, const char *vip)
{
	struct addr addr = addr_of(vip);
	struct weir_vip entry;

	assert_int_equal(bpf_map_lookup_elem(world->maps.fds[MAP_vips], &addr, &entry), 0);
	assert_int_equal(entry.frontends, 1);
	return entry.flags;
}

static void each_vip_has_a_route_with_the_source_towards_its_backend(void **state)
{
	struct world *world = need_world(state);

	set_backend(world, 0, 1);
	set_backend(world, 1, 2);
	set_backend(world, 2, 3);
	set_backend(world, 3, 4); /* no way there */
	add_vip(world, 0, "192.0.2.1", 0);
	add_vip(world, 1, "192.0.2.2", 1);
	add_vip(world, 2, "2001:db8::1", 2);
	add_vip(world, 3, "192.0.2.3", 3);
	add_vip(world, 5, "192.0.2.4", 4); /* no backend */
	sync_routes(world);
	assert_int_equal(count_routes(world), 5);
	assert_route(world, "192.0.2.1", "10.1.0.1");
	assert_route(world, "192.0.2.2", "10.2.0.1");
	assert_route(world, "2001:db8::1", "fd00:1::1");
	assert_route(world, "192.0.2.3", "::");
	assert_route(world, "192.0.2.4", "::");
}

static void routes_follow_the_vips(void **state)
{
	struct world *world = need_world(state);

	set_backend(world, 0, 1);
	add_vip(world, 0, "192.0.2.1", 0);
	add_vip(world, 1, "192.0.2.2", 0);
	add_vip(world, 2, "2001:db8::1", 1);
	sync_routes(world);
	remove_frontend(world, 0);
	remove_frontend(world, 2);
	add_vip(world, 3, "192.0.2.9", 0);
	set_backend(world, 0, 2); /* the source is another now */
	sync_routes(world);
	assert_int_equal(count_routes(world), 2);
	assert_route(world, "192.0.2.2", "10.2.0.1");
	assert_route(world, "192.0.2.9", "10.2.0.1");
	remove_frontend(world, 1);
	remove_frontend(world, 3);
	sync_routes(world);
	assert_int_equal(count_routes(world), 0);
}

static void vip_of_several_services_takes_the_first_source_there_is(void **state)
{
	struct world *world = need_world(state);

	set_backend(world, 2, 4);
	set_backend(world, 3, 2);
	set_backend(world, 4, 1);
	for (__u32 i = 0; i < 5; i++)
		add_vip(world, 4 - i, "192.0.2.1", i);
	sync_routes(world);
	assert_int_equal(count_routes(world), 1);
	assert_route(world, "192.0.2.1", "10.2.0.1");
}

static void own_addresses_are_flagged_and_not_routed(void **state)
{
	struct world *world = need_world(state);

	set_backend(world, 0, 1);
	add_vip(world, 0, "192.0.2.1", 0);
	add_vip(world, 1, "10.2.0.1", 0);
	add_vip(world, 2, "fd00:1::1", 1);
	sync_routes(world);
	assert_int_equal(vip_flags(world, "192.0.2.1"), 0);
	assert_int_equal(vip_flags(world, "10.2.0.1"), WEIR_VIP_LOCAL);
	assert_int_equal(vip_flags(world, "fd00:1::1"), WEIR_VIP_LOCAL);
	assert_int_equal(count_routes(world), 1);

	must("ip addr add 192.0.2.1/32 dev lo && ip addr del fd00:1::1/64 dev d0");
	sync_routes(world);
	assert_int_equal(vip_flags(world, "192.0.2.1"), WEIR_VIP_LOCAL);
	assert_int_equal(vip_flags(world, "fd00:1::1"), 0);
	assert_int_equal(count_routes(world), 1);
	assert_route(world, "fd00:1::1", "::");
}

static void vip_keeps_its_route_while_only_old_flows_need_it(void **state)
{
	struct world *world = need_world(state);
	struct addr vip = addr_of("192.0.2.1");

	set_backend(world, 0, 1);
	add_frontend(world, 0, &vip, 0);
	assert_int_equal(bpf_map_delete_elem(world->maps.fds[MAP_vips], &vip), 0);
	sync_routes(world);
	assert_route(world, "192.0.2.1", "10.1.0.1");
}

static void without_the_pair_only_flags_are_set(void **state)
{
	struct world *world = need_world(state);

	world->maps.settings->host_ifindex = 0;
	set_backend(world, 0, 1);
	add_vip(world, 0, "192.0.2.1", 0);
	add_vip(world, 1, "10.2.0.1", 0);
	sync_routes(world);
	assert_int_equal(vip_flags(world, "10.2.0.1"), WEIR_VIP_LOCAL);
	assert_int_equal(vip_flags(world, "192.0.2.1"), 0);
	assert_int_equal(count_routes(world), 0);
}

static void failing_family_does_not_keep_the_other_from_its_routes(void **state)
{
	struct world *world = need_world(state);
	struct err err = {};

	must("echo 1 > /proc/sys/net/ipv6/conf/weir0/disable_ipv6");
	add_vip(world, 0, "2001:db8::1", 0);
	add_vip(world, 1, "192.0.2.1", 0);
	assert_true(routes_sync(&world->maps, &err) < 0);
	assert_non_null(strstr(err.text, "route to 2001:db8::1: "));
	assert_int_equal(count_routes(world), 1);
}

static void vanished_pair_is_said(void **state)
{
	struct world *world = need_world(state);
	struct err err = {};
	char text[64];

	must("ip link del weir0");
	add_vip(world, 0, "192.0.2.1", 0);
	assert_int_equal(routes_sync(&world->maps, &err), -ENODEV);
	snprintf(text, sizeof(text), "interface %u: No such device", world->host);
	assert_non_null(strstr(err.text, text));
}

static long run_timed(struct world *world)
{
	struct timespec before, after;

	clock_gettime(CLOCK_MONOTONIC, &before);
	sync_routes(world);
	clock_gettime(CLOCK_MONOTONIC, &after);
	return (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000;
}

static void five_thousand_vips_take_well_under_a_second(void **state)
{
	struct world *world = need_world(state);
	long first_ms, second_ms, last_ms;

	for (__u32 i = 0; i < MANY; i++) {
		struct addr vip = addr_of(i % 2 ? "192.0.0.0" : "2001:db8::");

		vip.bytes[14] = i >> 8;
		vip.bytes[15] = i;
		set_backend(world, i, i % 2 ? 1 : 3);
		add_frontend(world, i, &vip, i);
	}
	first_ms = run_timed(world);
	assert_int_equal(count_routes(world), MANY);
	second_ms = run_timed(world);
	assert_int_equal(count_routes(world), MANY);
	for (__u32 i = 0; i < MANY; i++)
		remove_frontend(world, i);
	last_ms = run_timed(world);
	assert_int_equal(count_routes(world), 0);
	print_message("%d VIPs: added in %ld ms, compared in %ld ms, deleted in %ld ms\n", MANY,
		      first_ms, second_ms, last_ms);
	assert_true(first_ms < 1000 && second_ms < 1000 && last_ms < 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_world, free_world)
		TEST(each_vip_has_a_route_with_the_source_towards_its_backend),
		TEST(routes_follow_the_vips),
		TEST(vip_of_several_services_takes_the_first_source_there_is),
		TEST(own_addresses_are_flagged_and_not_routed),
		TEST(vip_keeps_its_route_while_only_old_flows_need_it),
		TEST(without_the_pair_only_flags_are_set),
		TEST(failing_family_does_not_keep_the_other_from_its_routes),
		TEST(vanished_pair_is_said),
		TEST(five_thousand_vips_take_well_under_a_second),
	};

	return cmocka_run_group_tests_name("routes", tests, NULL, NULL);
}
