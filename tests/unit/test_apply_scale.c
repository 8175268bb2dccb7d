/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * test_apply_scale.c - many services: a first load, then one backend changed by a fresh opener.
 * Times are printed, not asserted: this build has sanitizers. WEIR_SCALE is the number of
 * services (default 200), of 50 backends each.
 */
#include "fixture_maps.h"

#include "model/diff.h"

enum {
	BACKENDS = 50
};

static struct fixture fixture;
static struct model wanted;
static int services = 200;

static double seconds(void)
{
	return (double)fixture_now() / 1e9;
}

static void make_model(void)
{
	model_init(&wanted);
	for (int i = 0; i < services; i++) {
		struct service *service = model_add_service(&wanted);
		struct vip *vip;

		assert_non_null(service);
		snprintf(service->name, sizeof(service->name), "service-%05d", i);
		service->protocol = IPPROTO_TCP;
		service->drain_timeout_ms = 60000;
		vip = service_add_vip(service);
		vip->addr = (struct addr){{[10] = 0xff, 0xff, 192, 0, i >> 8, i}};
		vip->port = 80;
		for (int j = 0; j < BACKENDS; j++) {
			struct backend *backend = service_add_backend(service);

			assert_non_null(backend);
			backend->addr = (struct addr){{[10] = 0xff, 0xff, 10, i >> 8, i, j + 1}};
			backend->port = 8080;
			backend->weight = 1;
		}
	}
}

static void test_first_load(void **state)
{
	struct model installed;
	struct change_list list;
	struct err err = {};
	double start = seconds(), made;

	assert_int_equal(installed_read(fixture.maps, &installed, &err), 0);
	wanted.timeouts = installed.timeouts;
	assert_int_equal(diff_models(&installed, &wanted, &list), 0);
	made = seconds();
	if (apply_changes(fixture.maps, &list, &err))
		fail_msg("%s", err.text);
	print_message("%d services x %d: diff %.3f s, apply of %zu changes %.3f s\n", services,
		      BACKENDS, made - start, list.count, seconds() - made);
	change_list_free(&list);
	model_free(&installed);
	whole_check(fixture.maps);
}

static void test_read_back(void **state)
{
	struct model installed;
	struct change_list list = {};
	struct err err = {};
	double start = seconds();

	assert_int_equal(installed_read(fixture.maps, &installed, &err), 0);
	print_message("read back: %.3f s\n", seconds() - start);
	assert_int_equal(diff_models(&installed, &wanted, &list), 0);
	assert_int_equal(list.count, 0);
	change_list_free(&list);
	model_free(&installed);
}

/* Open, one change, close: what one `weir backend ...` does to the maps. */
static double change_one(enum change_kind kind, const struct backend *backend)
{
	const struct change change = {
		.kind = kind,
		.service = &wanted.services[services / 2],
		.backend = backend,
	};
	struct change_list list = {.changes = (struct change *)&change, .count = 1};
	double start = seconds();
	struct maps *maps = fixture_open();
	struct err err = {};

	if (apply_changes(maps, &list, &err))
		fail_msg("%s", err.text);
	maps_close(maps);
	return (seconds() - start) * 1e3;
}

static void test_one_change(void **state)
{
	static const struct {
		const char *name;
		enum change_kind kind;
		bool is_fresh;
	} rows[] = {
		{"drain", CHANGE_BACKEND_DRAIN, false},
		{"undrain", CHANGE_BACKEND_UNDRAIN, false},
		{"add", CHANGE_BACKEND_ADD, true},
		{"remove", CHANGE_BACKEND_REMOVE, true},
	};
	struct backend old = wanted.services[services / 2].backends[3], fresh = old;

	fresh.port = 9999;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		print_message("one change, %s: %.2f ms\n", rows[i].name,
			      change_one(rows[i].kind, rows[i].is_fresh ? &fresh : &old));
	whole_check(fixture.maps);
}

static void test_thousand_in_one_service(void **state)
{
	enum {
		MANY = 2000
	};
	static struct backend backends[MANY];
	static struct change changes[MANY];
	struct change_list list = {.changes = changes, .count = MANY};
	struct err err = {};
	double start;

	for (int i = 0; i < MANY; i++) {
		backends[i] = wanted.services[0].backends[0];
		backends[i].port = (uint16_t)(10000 + i);
		changes[i] = (struct change){.kind = CHANGE_BACKEND_ADD,
					     .service = &wanted.services[0],
					     .backend = &backends[i]};
	}
	start = seconds();
	if (apply_changes(fixture.maps, &list, &err))
		fail_msg("%s", err.text);
	print_message("%d backends into one service: %.3f s\n", MANY, seconds() - start);
	for (int i = 0; i < MANY; i++) {
		changes[i].kind = CHANGE_BACKEND_REMOVE;
		changes[i].is_now = true;
	}
	start = seconds();
	if (apply_changes(fixture.maps, &list, &err))
		fail_msg("%s", err.text);
	print_message("and out again at once: %.3f s\n", seconds() - start);
	whole_check(fixture.maps);
}

static void test_repair(void **state)
{
	struct err err = {};
	double start = seconds();

	fixture.maps->settings->is_dirty = 1;
	if (apply_repair(fixture.maps, &err))
		fail_msg("%s", err.text);
	print_message("repair: %.3f s\n", seconds() - start);
	whole_check(fixture.maps);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_load), cmocka_unit_test(test_read_back),
		cmocka_unit_test(test_one_change), cmocka_unit_test(test_thousand_in_one_service),
		cmocka_unit_test(test_repair),
	};
	struct limits limits = {.flows = 262144};
	int rc;

	if (getenv("WEIR_SCALE"))
		services = atoi(getenv("WEIR_SCALE"));
	limits.services = (uint32_t)services;
	limits.frontends = (uint32_t)services;
	limits.backends = (uint32_t)services * BACKENDS + 4096;
	limits.slots = ((uint32_t)services * 8192 + (1u << 20)) & ~255u;
	rc = fixture_start(&fixture);
	if (!rc)
		rc = fixture_load(&fixture, &limits);
	if (rc) {
		printf("SKIP test_apply_scale: no maps here: %s\n", strerror(-rc));
		fixture_stop(&fixture);
		return 0;
	}
	make_model();
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	model_free(&wanted);
	fixture_stop(&fixture);
	return rc;
}
