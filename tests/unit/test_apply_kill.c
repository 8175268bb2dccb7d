/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * test_apply_kill.c - what stands in the maps between every two stores of apply. Killed there, the
 * next run repairs, is given the same list, and must reach what an undisturbed run reaches, with
 * no id lost. And a packet that comes there finds a backend.
 *
 * Includes the C files that write, so that each store counts. Needs root; skips without bpf(2).
 */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void count_store(void);
#define STORED() count_store()

#include "fixture_maps.h"

#include "../../userspace/datapath/backends.c"
#include "../../userspace/datapath/filters.c"
#include "../../userspace/datapath/frontends.c"
#include "../../userspace/datapath/ids.c"
#define syscall(...) ((void)0) /* no packets here that purge would have to wait for, many times */
#include "../../userspace/datapath/purge.c"
#undef syscall
#include "../../userspace/datapath/repair.c"
#include "../../userspace/datapath/services.c"
#include "../../userspace/datapath/tables.c"
/* last: it has the run */
#include "../../userspace/datapath/apply.c"

#include "model/diff.h"

static struct fixture fixture;

/* The store at which this process dies; 0: none. */
static unsigned long die_at, stores;

/* The VIP to which a packet comes at each store; NULL: none. */
static const struct vip *asked;
static void send_packet(void);

static void count_store(void)
{
	if (++stores == die_at)
		kill(getpid(), SIGKILL);
	if (asked)
		send_packet();
}

/* --- the world before, and the list --- */

static struct service web, dns, old, new, tcp, udp;
static struct backend b[8], b1_heavy, b2_zero, b3_text;
static struct vip v[6];

static void make_world(void)
{
	const struct service plain = {.protocol = IPPROTO_TCP, .drain_timeout_ms = 60000};

	web = dns = old = new = tcp = plain;
	strcpy(web.name, "web");
	strcpy(dns.name, "dns");
	strcpy(old.name, "old");
	strcpy(new.name, "new");
	strcpy(tcp.name, "turns");
	udp = tcp;
	udp.protocol = IPPROTO_UDP;
	for (size_t i = 0; i < 8; i++)
		b[i] = (struct backend){.addr = {{[10] = 0xff, 0xff, 10, 0, 0, (uint8_t)(i + 1)}},
					.port = 80,
					.weight = 1};
	for (size_t i = 0; i < 6; i++)
		v[i] = (struct vip){.addr = {{[10] = 0xff, 0xff, 192, 0, 2, (uint8_t)(i + 1)}},
				    .port = (uint16_t)(i == 5 ? 0 : 80)};
	b1_heavy = b[1];
	b1_heavy.weight = 5;
	b2_zero = b[2];
	b2_zero.weight = 0;
	b3_text = b[3];
	strcpy(b3_text.zone, "eu-1");
	strcpy(b3_text.labels, "a=b");
}

#define ADD_S(s)                                            \
	{                                                   \
		.kind = CHANGE_SERVICE_ADD, .service = &(s) \
	}
#define SET_S(s)                                            \
	{                                                   \
		.kind = CHANGE_SERVICE_SET, .service = &(s) \
	}
#define DEL_S(s)                                               \
	{                                                      \
		.kind = CHANGE_SERVICE_REMOVE, .service = &(s) \
	}
#define END_S(s)                                                               \
	{                                                                      \
		.kind = CHANGE_SERVICE_REMOVE, .is_now = true, .service = &(s) \
	}
#define BACK(kind_, s, b_)                                                        \
	{                                                                         \
		.kind = CHANGE_BACKEND_##kind_, .service = &(s), .backend = &(b_) \
	}
#define END_B(s, b_)                                                                             \
	{                                                                                        \
		.kind = CHANGE_BACKEND_REMOVE, .is_now = true, .service = &(s), .backend = &(b_) \
	}
#define VIP(kind_, s, v_)                                                 \
	{                                                                 \
		.kind = CHANGE_VIP_##kind_, .service = &(s), .vip = &(v_) \
	}
#define LIST(list)                                                           \
	(struct change_list)                                                 \
	{                                                                    \
		.changes = (list), .count = sizeof(list) / sizeof((list)[0]) \
	}

static const struct timeouts timeouts = {10, 20, 30, 40, 50, 60};

static struct change world[] = {
	ADD_S(web),           BACK(ADD, web, b[0]), BACK(ADD, web, b[1]), BACK(ADD, web, b[2]),
	BACK(ADD, web, b[3]), BACK(ADD, web, b[4]), VIP(ADD, web, v[0]),  VIP(ADD, web, v[1]),
	ADD_S(old),           BACK(ADD, old, b[0]), VIP(ADD, old, v[2]),  VIP(ADD, old, v[5]),
	ADD_S(tcp),           BACK(ADD, tcp, b[0]), VIP(ADD, tcp, v[3]),
};

/* Everything at once: each kind of change, a VIP that moves, a service that changes protocol. */
static struct change mixture[] = {
	{.kind = CHANGE_TIMEOUTS, .timeouts = &timeouts},
	END_S(tcp),
	ADD_S(udp),
	BACK(ADD, udp, b[0]),
	VIP(ADD, udp, v[3]),
	BACK(ADD, web, b[5]),
	BACK(SET, web, b1_heavy),
	BACK(SET, web, b2_zero),
	BACK(SET, web, b3_text),
	BACK(DRAIN, web, b[4]),
	VIP(REMOVE, web, v[1]),
	END_B(web, b[0]),
	ADD_S(new),
	BACK(ADD, new, b[6]),
	BACK(ADD, new, b[7]),
	VIP(ADD, new, v[4]),
	VIP(ADD, new, v[2]),
	DEL_S(old),
	BACK(REMOVE, web, b[1]),
};

/* On a world in which `old`, and one of web, are on their way out. */
static struct change leaving[] = {
	DEL_S(old),
	BACK(REMOVE, web, b[0]),
	BACK(REMOVE, web, b[1]),
	BACK(DRAIN, web, b[2]),
};
static struct change comeback[] = {
	ADD_S(old),          BACK(ADD, old, b[1]), BACK(ADD, old, b[0]),
	VIP(ADD, old, v[2]), BACK(ADD, web, b[0]), BACK(UNDRAIN, web, b[2]),
};
static struct change one_more[] = {
	BACK(ADD, web, b[6]),
};
static struct change end_all[] = {
	END_S(old),
	END_S(web),
	END_S(tcp),
};

/* --- one run, killed or not --- */

static void run_here(const struct change_list *list)
{
	struct maps *maps = fixture_open();
	struct err err = {};

	if (apply_changes(maps, list, &err))
		fail_msg("%s", err.text);
	maps_close(maps);
}

/* In a process of its own that dies at a store; false when it came to its end before. */
static bool run_and_die(const struct change_list *list, unsigned long store)
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (!child) {
		struct maps *maps;

		stores = 0;
		die_at = store;
		if (maps_open(&maps, NULL) || apply_changes(maps, list, NULL))
			_exit(1);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFSIGNALED(status)) {
		assert_int_equal(WTERMSIG(status), SIGKILL);
		return true;
	}
	assert_int_equal(WEXITSTATUS(status), 0);
	return false;
}

/* All that installed_read gives, as text. */
static char *describe(void)
{
	struct maps *maps = fixture_open();
	struct model model;
	struct err err = {};
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (installed_read(maps, &model, &err))
		fail_msg("%s", err.text);
	fprintf(out, "timeouts %u %u\n", model.timeouts.tcp, model.timeouts.udp_unanswered);
	for (size_t i = 0; i < model.service_count; i++) {
		const struct service *service = &model.services[i];
		char buffer[ENDPOINT_TEXT_LEN];

		fprintf(out, "%s %u %d %u leaving %d\n", service->name, service->protocol,
			service->path, service->drain_timeout_ms, service->is_leaving);
		for (size_t j = 0; j < service->vip_count; j++)
			fprintf(out, "  vip %s\n",
				endpoint_format(&service->vips[j].addr, service->vips[j].port,
						buffer));
		for (size_t j = 0; j < service->backend_count; j++) {
			const struct backend *backend = &service->backends[j];

			fprintf(out, "  %s weight %u drained %d leaving %d zone %s labels %s\n",
				endpoint_format(&backend->addr, backend->port, buffer),
				backend->weight, backend->is_drained, backend->is_leaving,
				backend->zone, backend->labels);
		}
	}
	fclose(out);
	model_free(&model);
	maps_close(maps);
	return text;
}

/* --- scenarios --- */

struct scenario {
	struct change_list before[2];
	bool is_later; /* all drains of before are over */
	struct change_list list;
};

static void set_scene(const struct scenario *scenario)
{
	assert_int_equal(fixture_load(&fixture, &fixture_limits), 0);
	for (int i = 0; i < 2; i++) {
		if (scenario->before[i].count)
			run_here(&scenario->before[i]);
	}
	if (scenario->is_later)
		fixture_pass_time(fixture.maps);
}

static char *reach_undisturbed(const struct scenario *scenario)
{
	set_scene(scenario);
	run_here(&scenario->list);
	whole_check(fixture.maps);
	return describe();
}

static void check_end(const char *want, unsigned long store)
{
	char *have;

	whole_check(fixture.maps);
	have = describe();
	if (strcmp(have, want))
		fail_msg("killed at store %lu, got:\n%s\nwanted:\n%s", store, have, want);
	free(have);
}

/* The repairing run is killed too, once, at some store; the one after it must do. */
static void check_scenario(const struct scenario *scenario)
{
	char *want = reach_undisturbed(scenario);
	unsigned long store;

	for (store = 1;; store++) {
		set_scene(scenario);
		if (!run_and_die(&scenario->list, store))
			break;
		if (fixture.maps->settings->is_dirty)
			run_and_die(&scenario->list, 1 + store * 7919 % 900);
		if (fixture.maps->settings->is_dirty)
			run_here(&scenario->list);
		check_end(want, store);
	}
	print_message("%lu stores\n", store - 1);
	assert_true(store > 10);
	free(want);
}

/* As `weir apply` goes on after a kill: repair, read, and make only the difference. */
static void check_by_difference(const struct scenario *scenario, const struct model *wanted)
{
	unsigned long store;

	for (store = 1;; store++) {
		struct change_list list = {};
		struct model installed;
		struct err err = {};

		set_scene(scenario);
		if (!run_and_die(&scenario->list, store))
			break;
		if (apply_repair(fixture.maps, &err))
			fail_msg("%s", err.text);
		whole_check(fixture.maps);
		assert_int_equal(installed_read(fixture.maps, &installed, &err), 0);
		assert_int_equal(diff_models(&installed, wanted, &list), 0);
		if (apply_changes(fixture.maps, &list, &err))
			fail_msg("killed at store %lu: %s", store, err.text);
		change_list_free(&list);
		model_free(&installed);
		whole_check(fixture.maps);
		assert_int_equal(installed_read(fixture.maps, &installed, &err), 0);
		assert_int_equal(diff_models(&installed, wanted, &list), 0);
		assert_int_equal(list.count, 0);
		model_free(&installed);
	}
}

/* --- packets between stores --- */

static bool is_usable(struct maps *maps, __u32 service, __u32 id)
{
	const struct weir_backend *backend = &maps_backends(maps)[id];

	return id < maps->settings->backends && !backend->reasons && backend->service == service;
}

/* As bpf/pick.h: a usable one of each pair; the walk beyond it is for when backends are ejected. */
static void check_slots(struct maps *maps, __u32 service)
{
	__u64 region = maps_services(maps)[service].region;
	__u32 start = (__u32)region, size = (__u32)(region >> 32);
	struct weir_slot *slots = maps_slots_map(maps, start, size);

	assert_true(size > 0);
	assert_non_null(slots);
	for (__u32 i = 0; i < size; i++)
		assert_true(is_usable(maps, service, slots[i].primary) ||
			    is_usable(maps, service, slots[i].secondary));
	maps_slots_unmap(slots, start, size);
}

static void send_packet(void)
{
	struct maps *maps = fixture.maps;
	struct weir_frontend_key key = {.port = htons(asked->port), .protocol = IPPROTO_TCP};
	const struct weir_frontend *frontend;
	struct weir_vip vip;
	__u32 id;

	memcpy(&key.vip, &asked->addr, sizeof(key.vip));
	assert_true(whole_is_in_filter(maps, MAP_vip_filter, maps->settings->vip_filter_words,
				       &key.vip));
	assert_int_equal(bpf_map_lookup_elem(maps->fds[MAP_frontends], &key, &id), 0);
	assert_int_equal(bpf_map_lookup_elem(maps->fds[MAP_vips], &key.vip, &vip), 0);
	frontend = &maps_frontends(maps)[id];
	assert_true(frontend->flags & WEIR_FRONTEND_VALID);
	check_slots(maps, frontend->service);
}

/* A packet to `vip` at each store of the list. */
static void check_never_without(const struct change_list *list, const struct vip *vip)
{
	set_scene(&(struct scenario){.before = {LIST(world)}});
	stores = die_at = 0;
	asked = vip;
	run_here(list);
	asked = NULL;
	assert_true(stores > 10);
	whole_check(fixture.maps);
}

static void test_all_backends_replaced(void **state)
{
	struct change list[] = {
		BACK(REMOVE, web, b[0]), BACK(REMOVE, web, b[1]), BACK(REMOVE, web, b[2]),
		BACK(REMOVE, web, b[3]), BACK(REMOVE, web, b[4]), BACK(ADD, web, b[5]),
		BACK(ADD, web, b[6]),
	};

	check_never_without(&LIST(list), &v[0]);
}

static void test_all_weights_change(void **state)
{
	struct change list[] = {
		BACK(SET, web, b1_heavy), BACK(SET, web, b2_zero), BACK(DRAIN, web, b[0]),
		BACK(DRAIN, web, b[3]),   BACK(DRAIN, web, b[4]),
	};

	check_never_without(&LIST(list), &v[0]);
}

static void test_vip_moves_to_a_new_service(void **state)
{
	struct change list[] = {
		VIP(REMOVE, web, v[0]), ADD_S(new),          BACK(ADD, new, b[6]),
		BACK(ADD, new, b[7]),   VIP(ADD, new, v[0]),
	};

	check_never_without(&LIST(list), &v[0]);
}

static void test_service_is_renamed(void **state)
{
	struct change list[] = {
		ADD_S(new),
		BACK(ADD, new, b[6]),
		VIP(ADD, new, v[0]),
		END_S(web),
	};

	check_never_without(&LIST(list), &v[0]);
}

/* --- */

static void test_first_apply(void **state)
{
	check_scenario(&(struct scenario){.list = LIST(world)});
}

static void test_mixture(void **state)
{
	check_scenario(&(struct scenario){.before = {LIST(world)}, .list = LIST(mixture)});
}

static void test_leaving(void **state)
{
	check_scenario(&(struct scenario){.before = {LIST(world)}, .list = LIST(leaving)});
}

static void test_comeback(void **state)
{
	check_scenario(
		&(struct scenario){.before = {LIST(world), LIST(leaving)}, .list = LIST(comeback)});
}

static void test_collect(void **state)
{
	check_scenario(&(struct scenario){
		.before = {LIST(world), LIST(leaving)}, .is_later = true, .list = LIST(one_more)});
}

static void test_end_all(void **state)
{
	check_scenario(&(struct scenario){.before = {LIST(world)}, .list = LIST(end_all)});
}

static void test_difference(void **state)
{
	const struct scenario scenario = {.before = {LIST(world)}, .list = LIST(mixture)};
	struct model wanted;
	struct err err = {};

	free(reach_undisturbed(&scenario));
	assert_int_equal(installed_read(fixture.maps, &wanted, &err), 0);
	/* What leaves is not wanted. */
	for (size_t i = wanted.service_count; i-- > 0;) {
		struct service *service = &wanted.services[i];

		for (size_t j = service->backend_count; j-- > 0;) {
			if (service->backends[j].is_leaving)
				service->backends[j] = service->backends[--service->backend_count];
		}
		if (service->is_leaving) {
			free(service->backends);
			*service = wanted.services[--wanted.service_count];
		}
	}
	check_by_difference(&scenario, &wanted);
	model_free(&wanted);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_apply),
		cmocka_unit_test(test_mixture),
		cmocka_unit_test(test_leaving),
		cmocka_unit_test(test_comeback),
		cmocka_unit_test(test_collect),
		cmocka_unit_test(test_end_all),
		cmocka_unit_test(test_difference),
		cmocka_unit_test(test_all_backends_replaced),
		cmocka_unit_test(test_all_weights_change),
		cmocka_unit_test(test_vip_moves_to_a_new_service),
		cmocka_unit_test(test_service_is_renamed),
	};
	int rc;

	make_world();
	rc = fixture_start(&fixture);
	if (rc) {
		printf("SKIP test_apply_kill: no maps here: %s\n", strerror(-rc));
		fixture_stop(&fixture);
		return 0;
	}
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	fixture_stop(&fixture);
	return rc;
}
