/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * test_filter.c - bpf/filter.h: an address that was added is always found, and of others fewer
 * than one in a hundred, at the 32 bits for each address that `weir load` provides.
 */
#include "native_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define ADDRESSES (1u << 17)
#define WORDS     (ADDRESSES / 2) /* 32 bits each */

/* The n-th address of a kind; the numbers that were added and those asked for do not overlap. */
typedef struct weir_address (*numbered)(__u32 n);

static struct weir_address consecutive_v4(__u32 n)
{
	return world_v4(10, n >> 16, n >> 8, n);
}

/* One in each /24, as nodes with a prefix for their pods have it. */
static struct weir_address sparse_v4(__u32 n)
{
	return world_v4(n >> 16, n >> 8, n, 17);
}

static struct weir_address consecutive_v6(__u32 n)
{
	return world_v6(7, n);
}

/* Hosts in networks of their own: the high half changes, the low one is the same. */
static struct weir_address sparse_v6(__u32 n)
{
	return (struct weir_address){
		.word = {bpf_htonl(0x20010db8), bpf_htonl(n), 0, bpf_htonl(1)},
	};
}

static struct weir_address random_v6(__u32 n)
{
	__u64 state = n * 2654435761ull + 1, high = world_random(&state);
	__u64 low = world_random(&state);

	return (struct weir_address){.word = {high, high >> 32, low, low >> 32}};
}

static bool is_in(const __u64 *words, struct weir_address address)
{
	__u64 hash = filter_hash(&address), bits = filter_bits(hash);

	assert_in_range(filter_word(hash, WORDS), 0, WORDS - 1);
	return (words[filter_word(hash, WORDS)] & bits) == bits;
}

static void check(numbered address_of)
{
	__u64 *words = calloc(WORDS, sizeof(*words));
	__u32 wrong = 0;

	assert_non_null(words);
	for (__u32 i = 0; i < ADDRESSES; i++) {
		struct weir_address address = address_of(i);
		__u64 hash = filter_hash(&address);

		words[filter_word(hash, WORDS)] |= filter_bits(hash);
	}
	for (__u32 i = 0; i < ADDRESSES; i++)
		assert_true(is_in(words, address_of(i)));
	for (__u32 i = ADDRESSES; i < 5 * ADDRESSES; i++)
		wrong += is_in(words, address_of(i));
	print_message("%u of %u others\n", wrong, 4 * ADDRESSES);
	assert_true(wrong < 4 * ADDRESSES / 100);
	free(words);
}

static void test_consecutive_v4(void **state)
{
	check(consecutive_v4);
}

static void test_sparse_v4(void **state)
{
	check(sparse_v4);
}

static void test_consecutive_v6(void **state)
{
	check(consecutive_v6);
}

static void test_sparse_v6(void **state)
{
	check(sparse_v6);
}

static void test_random_v6(void **state)
{
	check(random_v6);
}

/* The packet path's own question, over the map. */
static void test_service(void **state)
{
	struct weir_address vip = world_v4(192, 0, 2, 1), backend = world_v6(3, 9);

	world_open(1, 1, 1, 1);
	assert_false(service_maybe_vip(&vip));
	assert_false(service_maybe_backend(&backend));
	world_filter_add(native_values(&vip_filter), &vip);
	assert_true(service_maybe_vip(&vip));
	assert_false(service_maybe_vip(&backend));
	assert_false(service_maybe_backend(&vip));
	world_filter_add(native_values(&backend_filter), &backend);
	assert_true(service_maybe_backend(&backend));
	world_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_consecutive_v4), cmocka_unit_test(test_sparse_v4),
		cmocka_unit_test(test_consecutive_v6), cmocka_unit_test(test_sparse_v6),
		cmocka_unit_test(test_random_v6),      cmocka_unit_test(test_service),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
