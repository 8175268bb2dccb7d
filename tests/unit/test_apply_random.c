/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * test_apply_random.c - random lists of changes, valid and not, against a plain model of what
 * they mean. Needs root; skips where bpf(2) is refused. WEIR_RANDOM_SEED, WEIR_RANDOM_STEPS.
 */
#include <unistd.h>

#include "fixture_maps.h"

#define syscall(...) ((void)0) /* no packets here that purge would have to wait for, many times */
#include "../../userspace/datapath/purge.c"
#undef syscall

#include "model/diff.h"

enum {
	SERVICES = 6,
	BACKENDS = 7,
	VIPS = 9,
	LIST_MAX = 12
};

/* What is meant to be there. */
struct toy_backend {
	bool is_there, is_leaving, is_drained;
	bool is_new; /* in this list: leaves no trace when it is removed again */
	bool is_over; /* leaving without a drain */
	uint16_t weight;
};
struct toy_service {
	bool is_there, is_leaving, is_new;
	uint8_t protocol;
	enum path path;
	struct toy_backend backends[BACKENDS];
	bool vips[VIPS];
};
struct toy {
	struct toy_service services[SERVICES];
};

static struct fixture fixture;
static struct addr backend_addrs[BACKENDS], vip_addrs[VIPS];

/* What a list points to. */
static struct change changes[LIST_MAX];
static struct service services[LIST_MAX];
static struct backend backends[LIST_MAX];
static struct vip vips[LIST_MAX];

static uint32_t roll(uint32_t sides)
{
	return (uint32_t)random() % sides;
}

/* --- the model --- */

static bool toy_vip_is_free(const struct toy *toy, int vip, uint8_t protocol)
{
	for (int i = 0; i < SERVICES; i++) {
		const struct toy_service *service = &toy->services[i];

		if (service->is_there && !service->is_leaving && service->vips[vip] &&
		    service->protocol == protocol)
			return false;
	}
	return true;
}

static int toy_add_service(struct toy_service *service, const struct service *plain)
{
	if (service->is_there && !service->is_leaving)
		return -EEXIST;
	/* Another protocol: all of the old one is over. */
	if (service->is_there && service->protocol != plain->protocol)
		*service = (struct toy_service){};
	if (!service->is_there)
		*service = (struct toy_service){.is_new = true};
	service->is_there = true;
	service->is_leaving = false;
	service->protocol = plain->protocol;
	service->path = plain->path;
	return 0;
}

static void toy_leave(struct toy_backend *backend, bool is_now)
{
	if (backend->is_there && backend->is_new) {
		*backend = (struct toy_backend){};
	} else if (backend->is_there) {
		backend->is_leaving = true;
		backend->is_drained = false;
		backend->is_over |= is_now;
	}
}

static int toy_remove_service(struct toy_service *service, bool is_now)
{
	if (!service->is_there || (service->is_leaving && !is_now))
		return -ENOENT;
	if (service->is_new) {
		*service = (struct toy_service){};
		return 0;
	}
	service->is_leaving = true;
	memset(service->vips, 0, sizeof(service->vips));
	for (int i = 0; i < BACKENDS; i++)
		toy_leave(&service->backends[i], is_now);
	return 0;
}

static int toy_change_backend(struct toy_backend *backend, const struct change *change)
{
	bool is_here = backend->is_there && !backend->is_leaving;

	if (change->kind == CHANGE_BACKEND_ADD) {
		if (is_here)
			return -EEXIST;
		if (!backend->is_there)
			backend->is_new = true;
		backend->is_there = true;
		backend->is_leaving = backend->is_drained = backend->is_over = false;
		backend->weight = change->backend->weight;
		return 0;
	}
	if (change->kind == CHANGE_BACKEND_REMOVE) {
		if (!backend->is_there || (backend->is_leaving && !change->is_now))
			return -ENOENT;
		toy_leave(backend, change->is_now);
		return 0;
	}
	if (!is_here)
		return -ENOENT;
	if (change->kind == CHANGE_BACKEND_SET)
		backend->weight = change->backend->weight;
	else
		backend->is_drained = change->kind == CHANGE_BACKEND_DRAIN;
	return 0;
}

/* `which`: number of the backend or VIP. */
static int toy_change(struct toy *toy, int number, int which, const struct change *change)
{
	struct toy_service *service = &toy->services[number];
	bool is_here = service->is_there && !service->is_leaving;

	switch (change->kind) {
	case CHANGE_SERVICE_ADD:
		return toy_add_service(service, change->service);
	case CHANGE_SERVICE_REMOVE:
		return toy_remove_service(service, change->is_now);
	case CHANGE_SERVICE_SET:
		if (is_here)
			service->path = change->service->path;
		return is_here ? 0 : -ENOENT;
	case CHANGE_VIP_ADD:
		if (!is_here)
			return -ENOENT;
		if (service->vips[which] || !toy_vip_is_free(toy, which, service->protocol))
			return -EEXIST;
		service->vips[which] = true;
		return 0;
	case CHANGE_VIP_REMOVE:
		if (!is_here || !service->vips[which])
			return -ENOENT;
		service->vips[which] = false;
		return 0;
	default:
		if (!is_here && !(service->is_there && change->kind == CHANGE_BACKEND_REMOVE))
			return -ENOENT;
		return toy_change_backend(&service->backends[which], change);
	}
}

/* The list is done, and with `is_later` all drains are over. */
static void toy_settle(struct toy *toy, bool is_later)
{
	for (int i = 0; i < SERVICES; i++) {
		struct toy_service *service = &toy->services[i];
		bool is_empty = true;

		service->is_new = false;
		for (int j = 0; j < BACKENDS; j++) {
			struct toy_backend *backend = &service->backends[j];

			backend->is_new = false;
			if (backend->is_over || (is_later && backend->is_leaving))
				*backend = (struct toy_backend){};
			is_empty &= !backend->is_there;
		}
		if (service->is_leaving && is_empty)
			*service = (struct toy_service){};
	}
}

/* --- random changes --- */

static void make_change(int i, int number, int which)
{
	static const enum change_kind kinds[] = {
		CHANGE_SERVICE_ADD,    CHANGE_SERVICE_ADD,   CHANGE_SERVICE_REMOVE,
		CHANGE_SERVICE_SET,    CHANGE_BACKEND_ADD,   CHANGE_BACKEND_ADD,
		CHANGE_BACKEND_ADD,    CHANGE_BACKEND_ADD,   CHANGE_BACKEND_REMOVE,
		CHANGE_BACKEND_SET,    CHANGE_BACKEND_DRAIN, CHANGE_BACKEND_UNDRAIN,
		CHANGE_VIP_ADD,        CHANGE_VIP_ADD,       CHANGE_VIP_REMOVE,
		CHANGE_BACKEND_REMOVE,
	};

	services[i] = (struct service){
		.protocol = roll(4) ? IPPROTO_TCP : IPPROTO_UDP,
		.path = roll(2) ? PATH_FAST : PATH_STACK,
		.drain_timeout_ms = 60000,
	};
	snprintf(services[i].name, sizeof(services[i].name), "service-%d", number);
	backends[i] = (struct backend){
		.addr = backend_addrs[which % BACKENDS],
		.port = 80,
		.weight = (uint16_t)roll(4),
	};
	vips[i] = (struct vip){.addr = vip_addrs[which % VIPS], .port = which % 3 ? 80 : 0};
	changes[i] = (struct change){
		.kind = kinds[roll(sizeof(kinds) / sizeof(kinds[0]))],
		.is_now = !roll(4),
		.service = &services[i],
		.backend = &backends[i],
		.vip = &vips[i],
	};
}

static int which_of(const struct change *change, int which)
{
	bool is_vip = change->kind == CHANGE_VIP_ADD || change->kind == CHANGE_VIP_REMOVE;

	return which % (is_vip ? VIPS : BACKENDS);
}

/*
 * A list whose changes the model takes one after the other; returns the length. Sometimes the
 * last is one that it refuses, with `*ret_code`.
 */
static size_t make_list(struct toy *toy, int *ret_code)
{
	size_t count = 0, wanted = 1 + roll(LIST_MAX);
	bool is_bad = !roll(4);

	*ret_code = 0;
	while (count < wanted) {
		int number = (int)roll(SERVICES), which = (int)roll(BACKENDS * VIPS);
		struct toy after = *toy;

		make_change((int)count, number, which);
		*ret_code = toy_change(&after, number, which_of(&changes[count], which),
				       &changes[count]);
		if (!*ret_code) {
			*toy = after;
			count++;
		} else if (is_bad && count + 1 >= wanted) {
			return count + 1;
		}
	}
	return count;
}

/* --- comparing --- */

static void compare_service(const struct toy_service *toy, const struct service *service)
{
	size_t count = 0;

	assert_int_equal(service->is_leaving, toy->is_leaving);
	assert_int_equal(service->protocol, toy->protocol);
	if (!toy->is_leaving)
		assert_int_equal(service->path, toy->path);
	for (int i = 0; i < BACKENDS; i++) {
		const struct toy_backend *want = &toy->backends[i];
		const struct backend *have = service_find_backend(service, &backend_addrs[i], 80);

		assert_int_equal(have != NULL, want->is_there);
		if (!have)
			continue;
		count++;
		assert_int_equal(have->is_leaving, want->is_leaving);
		assert_int_equal(have->is_drained, want->is_drained);
		if (!want->is_leaving)
			assert_int_equal(have->weight, want->weight);
	}
	assert_int_equal(service->backend_count, count);
	count = 0;
	for (int i = 0; i < VIPS; i++)
		count += toy->vips[i];
	assert_int_equal(service->vip_count, count);
	for (size_t i = 0; i < service->vip_count; i++) {
		int which = service->vips[i].addr.bytes[15];

		assert_true(toy->vips[which]);
		assert_int_equal(service->vips[i].port, which % 3 ? 80 : 0);
	}
}

static void compare(const struct toy *toy)
{
	struct model model;
	struct err err = {};
	size_t count = 0;

	if (installed_read(fixture.maps, &model, &err))
		fail_msg("%s", err.text);
	for (int i = 0; i < SERVICES; i++) {
		const struct service *service;
		char name[32];

		snprintf(name, sizeof(name), "service-%d", i);
		service = model_find_service(&model, name);
		assert_int_equal(service != NULL, toy->services[i].is_there);
		if (!service)
			continue;
		count++;
		compare_service(&toy->services[i], service);
	}
	assert_int_equal(model.service_count, count);
	model_free(&model);
}

/* --- */

static void print_list(size_t count)
{
	for (size_t i = 0; i < count; i++)
		change_print(stderr, &changes[i]);
}

static size_t step_lists(struct toy *toy)
{
	struct toy after = *toy;
	struct change_list list = {.changes = changes};
	struct err err = {};
	int want, rc;

	list.count = make_list(&after, &want);
	rc = apply_changes(fixture.maps, &list, &err);
	if (rc != want) {
		print_list(list.count);
		fail_msg("got %d (%s), wanted %d", rc, err.text, want);
	}
	if (!rc) {
		toy_settle(&after, false);
		*toy = after;
	}
	return list.count;
}

static void step_time(struct toy *toy)
{
	struct err err = {};

	fixture_pass_time(fixture.maps);
	if (apply_collect(fixture.maps, &err))
		fail_msg("%s", err.text);
	fixture_pass_time(fixture.maps); /* what was freed just now has rested too */
	toy_settle(toy, true);
}

static long setting(const char *name, long otherwise)
{
	const char *text = getenv(name);

	return text ? atol(text) : otherwise;
}

static void test_random_changes(void **state)
{
	const struct limits limits = {.services = SERVICES,
				      .frontends = 4 * VIPS,
				      .backends = 3 * SERVICES * BACKENDS,
				      .slots = 128 * 1024,
				      .flows = 256};
	long steps = setting("WEIR_RANDOM_STEPS", 10000);
	struct toy toy = {};

	srandom((unsigned int)setting("WEIR_RANDOM_SEED", 1));
	assert_int_equal(fixture_load(&fixture, &limits), 0);
	for (int i = 0; i < BACKENDS; i++)
		backend_addrs[i] = (struct addr){{[10] = 0xff, 0xff, 10, 0, 0, (uint8_t)i}};
	for (int i = 0; i < VIPS; i++)
		vip_addrs[i] = (struct addr){{[10] = 0xff, 0xff, 192, 0, 2, (uint8_t)i}};
	for (long done = 0; done < steps;) {
		done += (long)step_lists(&toy);
		compare(&toy);
		if (!roll(4))
			step_time(&toy);
		if (!roll(20))
			assert_int_equal(apply_repair(fixture.maps, NULL), 0);
		compare(&toy);
		whole_check(fixture.maps);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_changes),
	};
	int rc = fixture_start(&fixture);

	if (rc) {
		printf("SKIP test_apply_random: no maps here: %s\n", strerror(-rc));
		fixture_stop(&fixture);
		return 0;
	}
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	fixture_stop(&fixture);
	return rc;
}
