/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* test_regions.c - the allocator of slot regions, and the index of plans. */
#include "datapath/index.h"
#include "datapath/regions.h"
#include "datapath/slots.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_first_fit(void **state)
{
	struct regions regions = {};

	(void)state;
	assert_int_equal(regions_init(&regions, 16384), 0);
	assert_int_equal(regions_take(&regions, 256), 0);
	assert_int_equal(regions_take(&regions, 8192), 8192);
	assert_int_equal(regions_take(&regions, 256), 256);
	assert_int_equal(regions_take(&regions, 512), 512);
	assert_int_equal(regions_take(&regions, 8192), REGION_NONE);
	regions_clear(&regions, 8192, 8192);
	assert_int_equal(regions_take(&regions, 8192), 8192);
	regions_free(&regions);
}

static void test_full_to_the_last_block(void **state)
{
	struct regions regions = {};

	(void)state;
	assert_int_equal(regions_init(&regions, 100 * SLOTS_MIN + 255), 0);
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(regions_take(&regions, SLOTS_MIN), i * SLOTS_MIN);
	assert_int_equal(regions_take(&regions, SLOTS_MIN), REGION_NONE);
	regions_clear(&regions, 99 * SLOTS_MIN, SLOTS_MIN);
	assert_int_equal(regions_take(&regions, 2 * SLOTS_MIN), REGION_NONE);
	assert_int_equal(regions_take(&regions, SLOTS_MIN), 99 * SLOTS_MIN);
	regions_free(&regions);
}

static void test_too_large(void **state)
{
	struct regions regions = {};

	(void)state;
	assert_int_equal(regions_init(&regions, 1024), 0);
	assert_int_equal(regions_take(&regions, 2048), REGION_NONE);
	assert_int_equal(regions_take(&regions, 1024), 0);
	regions_free(&regions);
}

/* Against a byte per block: never two owners, always aligned, none while one would have fit. */
static void test_random_against_bytes(void **state)
{
	enum {
		BLOCKS = 1000,
		LIVE = 200,
		STEPS = 20000
	};
	static uint8_t model[BLOCKS];
	struct {
		uint32_t start, size;
	} live[LIVE] = {};
	struct regions regions = {};

	(void)state;
	srandom(1);
	assert_int_equal(regions_init(&regions, BLOCKS * SLOTS_MIN), 0);
	for (int step = 0; step < STEPS; step++) {
		int i = (int)(random() % LIVE);
		uint32_t count = 1u << random() % 9, first = 0;

		if (live[i].size) {
			regions_clear(&regions, live[i].start, live[i].size);
			memset(model + live[i].start / SLOTS_MIN, 0, live[i].size / SLOTS_MIN);
			live[i].size = 0;
			continue;
		}
		while (first + count <= BLOCKS && memchr(model + first, 1, count))
			first += count;
		live[i].start = regions_take(&regions, count * SLOTS_MIN);
		if (first + count > BLOCKS) {
			assert_int_equal(live[i].start, REGION_NONE);
			continue;
		}
		assert_int_equal(live[i].start, first * SLOTS_MIN);
		live[i].size = count * SLOTS_MIN;
		memset(model + first, 1, count);
	}
	regions_free(&regions);
}

static void test_index_finds_all(void **state)
{
	enum {
		COUNT = 5000
	};
	struct index index = {};

	(void)state;
	/* Few hashes, many entries of each: every candidate must come up once. */
	for (uint32_t i = 0; i < COUNT; i++)
		assert_int_equal(index_add(&index, i % 700 * 0x9e3779b9ull, i), 0);
	for (uint32_t hash = 0; hash < 701; hash++) {
		uint64_t key = hash * 0x9e3779b9ull;
		uint32_t at = index_first(&index, key), i, found = 0;

		while ((i = index_next(&index, key, &at)) != INDEX_END) {
			assert_int_equal(i % 700, hash);
			found++;
		}
		assert_int_equal(found, hash == 700 ? 0 : COUNT / 700 + (hash < COUNT % 700));
	}
	index_free(&index);
	assert_int_equal(index_hash("a", 1) == index_hash("b", 1), 0);
}

static void test_empty_index(void **state)
{
	struct index index = {};
	uint32_t at = index_first(&index, 5);

	(void)state;
	assert_int_equal(index_next(&index, 5, &at), INDEX_END);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_fit),
		cmocka_unit_test(test_full_to_the_last_block),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_random_against_bytes),
		cmocka_unit_test(test_index_finds_all),
		cmocka_unit_test(test_empty_index),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
