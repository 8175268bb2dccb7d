/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* test_slots.c - the tables that datapath/slots.c builds. */
#include "datapath/slots.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static const uint64_t seed[2] = {0x0706050403020100ull, 0x0f0e0d0c0b0a0908ull};

/* Backend i is 10.x.y.z:80 with id 1000 + i: never the same number as its place. */
static struct slots_backend *make_backends(size_t count, uint16_t (*weigh)(size_t i))
{
	struct slots_backend *backends = calloc(count, sizeof(*backends));

	assert_non_null(backends);
	for (size_t i = 0; i < count; i++) {
		uint8_t *bytes = backends[i].addr.bytes;

		backends[i].id = (uint32_t)(1000 + i);
		backends[i].weight = weigh(i);
		backends[i].port = 80;
		bytes[10] = bytes[11] = 0xff;
		bytes[12] = 10;
		bytes[13] = (uint8_t)(i >> 16);
		bytes[14] = (uint8_t)(i >> 8);
		bytes[15] = (uint8_t)i;
	}
	return backends;
}

static uint16_t weigh_equal(size_t i)
{
	(void)i;
	return 1;
}

static uint16_t weigh_mixed(size_t i)
{
	return (uint16_t)(10 + i % 7 * 5);
}

static uint16_t weigh_extreme(size_t i)
{
	return i == 0 ? 1000 : 1;
}

static struct weir_slot *build(struct slots_backend *backends, size_t count, uint32_t size)
{
	struct weir_slot *slots = malloc(size * sizeof(*slots));

	assert_non_null(slots);
	memset(slots, 0xff, size * sizeof(*slots));
	assert_int_equal(slots_build(backends, count, seed, size, slots), 0);
	return slots;
}

/* How many slots each of the backends has as primary. */
static uint32_t *count_primaries(const struct weir_slot *slots, uint32_t size, size_t count)
{
	uint32_t *counts = calloc(count, sizeof(*counts));

	assert_non_null(counts);
	for (uint32_t i = 0; i < size; i++) {
		assert_in_range(slots[i].primary, 1000, 1000 + count - 1);
		assert_in_range(slots[i].secondary, 1000, 1000 + count - 1);
		counts[slots[i].primary - 1000]++;
	}
	return counts;
}

static void test_size(void **state)
{
	(void)state;
	assert_int_equal(slots_size(0), 0);
	assert_int_equal(slots_size(1), 256);
	assert_int_equal(slots_size(2), 256);
	assert_int_equal(slots_size(3), 512);
	assert_int_equal(slots_size(50), 8192);
	assert_int_equal(slots_size(64), 8192);
	assert_int_equal(slots_size(65), 16384);
	assert_int_equal(slots_size(WEIR_BACKENDS_MAX), 1u << 27);
}

static void check_no_holes(size_t count, uint16_t (*weigh)(size_t i))
{
	struct slots_backend *backends = make_backends(count, weigh);
	uint32_t size = slots_size(count);
	struct weir_slot *slots = build(backends, count, size);
	uint32_t *counts = count_primaries(slots, size, count);

	for (size_t i = 0; i < count; i++)
		assert_true(counts[i] > 0);
	for (uint32_t i = 0; i < size; i++)
		assert_int_equal(slots[i].primary == slots[i].secondary, count == 1);
	free(counts);
	free(slots);
	free(backends);
}

static void test_no_holes(void **state)
{
	static const size_t counts[] = {1, 2, 3, 7, 50, 64, 65, 333, 1000};

	(void)state;
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		check_no_holes(counts[i], weigh_equal);
		check_no_holes(counts[i], weigh_mixed);
		check_no_holes(counts[i], weigh_extreme);
	}
}

static void test_order_does_not_matter(void **state)
{
	enum {
		COUNT = 50
	};
	struct slots_backend *one = make_backends(COUNT, weigh_mixed);
	struct slots_backend *other = make_backends(COUNT, weigh_mixed);
	uint32_t size = slots_size(COUNT);
	struct weir_slot *first, *second;

	(void)state;
	for (size_t i = 0; i < COUNT / 2; i++) {
		struct slots_backend swap = other[i];

		other[i] = other[COUNT - 1 - i];
		other[COUNT - 1 - i] = swap;
	}
	first = build(one, COUNT, size);
	second = build(other, COUNT, size);
	assert_memory_equal(first, second, size * sizeof(*first));
	free(first);
	free(second);
	free(one);
	free(other);
}

/* Ids are only labels: other ids give the same table with other labels. */
static void test_ids_do_not_matter(void **state)
{
	enum {
		COUNT = 20
	};
	struct slots_backend *backends = make_backends(COUNT, weigh_mixed);
	uint32_t size = slots_size(COUNT);
	struct weir_slot *first = build(backends, COUNT, size), *second;

	(void)state;
	for (size_t i = 0; i < COUNT; i++)
		backends[i].id = 5000 - backends[i].id;
	second = build(backends, COUNT, size);
	for (uint32_t i = 0; i < size; i++) {
		assert_int_equal(first[i].primary, 5000 - second[i].primary);
		assert_int_equal(first[i].secondary, 5000 - second[i].secondary);
	}
	free(first);
	free(second);
	free(backends);
}

static void test_seed_matters(void **state)
{
	enum {
		COUNT = 20
	};
	static const uint64_t other_seed[2] = {1, 2};
	struct slots_backend *backends = make_backends(COUNT, weigh_equal);
	uint32_t size = slots_size(COUNT), same = 0;
	struct weir_slot *first = build(backends, COUNT, size);
	struct weir_slot *second = malloc(size * sizeof(*second));

	(void)state;
	assert_non_null(second);
	assert_int_equal(slots_build(backends, COUNT, other_seed, size, second), 0);
	for (uint32_t i = 0; i < size; i++)
		same += first[i].primary == second[i].primary;
	assert_in_range(same, size / COUNT / 2, size / COUNT * 2);
	free(first);
	free(second);
	free(backends);
}

/* Within 1 % wherever a share is 100 slots and more; within one slot everywhere. */
static void check_shares(size_t count, uint16_t (*weigh)(size_t i))
{
	struct slots_backend *backends = make_backends(count, weigh);
	uint32_t size = slots_size(count);
	struct weir_slot *slots = build(backends, count, size);
	uint32_t *counts = count_primaries(slots, size, count);
	double all = 0;

	for (size_t i = 0; i < count; i++)
		all += weigh(i);
	for (size_t i = 0; i < count; i++) {
		double want = size * weigh(i) / all, error = counts[i] - want;

		if (error < 0)
			error = -error;
		assert_true(error <= 1.0 || want < 1.0);
		if (want >= 100)
			assert_true(error <= want * 0.01);
	}
	free(counts);
	free(slots);
	free(backends);
}

static void test_shares_follow_weights(void **state)
{
	(void)state;
	check_shares(2, weigh_equal);
	check_shares(50, weigh_equal);
	check_shares(64, weigh_equal);
	check_shares(1000, weigh_equal);
	check_shares(50, weigh_mixed);
	check_shares(333, weigh_mixed);
	check_shares(1000, weigh_mixed);
}

static void test_one_heavy_among_light(void **state)
{
	enum {
		COUNT = 1000
	};
	struct slots_backend *backends = make_backends(COUNT, weigh_extreme);
	uint32_t size = slots_size(COUNT);
	struct weir_slot *slots = build(backends, COUNT, size);
	uint32_t *counts = count_primaries(slots, size, COUNT);

	(void)state;
	/* 1000 of 1999 parts. */
	assert_in_range(counts[0], size / 2 - size / 200, size / 2 + size / 200);
	free(counts);
	free(slots);
	free(backends);
}

static void test_one_leaves(void **state)
{
	enum {
		COUNT = 50,
		GONE = 17
	};
	struct slots_backend *backends = make_backends(COUNT, weigh_equal);
	uint32_t size = slots_size(COUNT), others = 0, moved = 0;
	struct weir_slot *before = build(backends, COUNT, size), *after;

	(void)state;
	memmove(&backends[GONE], &backends[GONE + 1], (COUNT - GONE - 1) * sizeof(*backends));
	after = build(backends, COUNT - 1, size);
	for (uint32_t i = 0; i < size; i++) {
		assert_int_not_equal(after[i].primary, 1000 + GONE);
		if (before[i].primary == 1000 + GONE)
			continue;
		others++;
		moved += before[i].primary != after[i].primary;
	}
	assert_true(moved <= others / 20);
	free(before);
	free(after);
	free(backends);
}

/* With one backend out, its slots go to the others in proportion: within 1.5 points each. */
static void check_ejection(size_t count, uint16_t (*weigh)(size_t i), size_t out)
{
	struct slots_backend *backends = make_backends(count, weigh);
	uint32_t size = slots_size(count);
	struct weir_slot *slots = build(backends, count, size);
	uint32_t *counts = calloc(count, sizeof(*counts));
	double all = 0;

	assert_non_null(counts);
	for (size_t i = 0; i < count; i++)
		all += i == out ? 0 : weigh(i);
	for (uint32_t i = 0; i < size; i++) {
		bool is_out = slots[i].primary == 1000 + out;

		counts[(is_out ? slots[i].secondary : slots[i].primary) - 1000]++;
	}
	for (size_t i = 0; i < count; i++) {
		double want = i == out ? 0 : weigh(i) / all;
		double error = (double)counts[i] / size - want;

		assert_true(error <= 0.015 && error >= -0.015);
		/* And each is near its own share, not only near the others'. */
		if (want * size >= 100)
			assert_true(error * size <= want * size * 0.03 + 2 &&
				    error * size >= -want * size * 0.03 - 2);
	}
	free(counts);
	free(slots);
	free(backends);
}

static void test_shares_after_ejection(void **state)
{
	(void)state;
	check_ejection(2, weigh_equal, 1);
	check_ejection(3, weigh_mixed, 0);
	check_ejection(10, weigh_mixed, 4);
	check_ejection(50, weigh_equal, 7);
	check_ejection(50, weigh_mixed, 49);
	check_ejection(200, weigh_mixed, 0);
}

static void test_too_small_is_refused(void **state)
{
	struct slots_backend *backends = make_backends(3, weigh_equal);
	struct weir_slot slots[2];

	(void)state;
	assert_true(slots_build(backends, 3, seed, 2, slots) < 0);
	free(backends);
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Printed, not asserted: this build has sanitizers. */
static void test_time(void **state)
{
	static const size_t counts[] = {50, 1000};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct slots_backend *backends = make_backends(counts[i], weigh_mixed);
		double start = seconds();

		free(build(backends, counts[i], slots_size(counts[i])));
		print_message("%zu backends: %.3f ms\n", counts[i], (seconds() - start) * 1e3);
		free(backends);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_no_holes),
		cmocka_unit_test(test_order_does_not_matter),
		cmocka_unit_test(test_ids_do_not_matter),
		cmocka_unit_test(test_seed_matters),
		cmocka_unit_test(test_shares_follow_weights),
		cmocka_unit_test(test_one_heavy_among_light),
		cmocka_unit_test(test_one_leaves),
		cmocka_unit_test(test_shares_after_ejection),
		cmocka_unit_test(test_too_small_is_refused),
		cmocka_unit_test(test_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
