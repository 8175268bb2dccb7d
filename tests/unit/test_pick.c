/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * test_pick.c - bpf/pick.h over tables that datapath/slots.c built: who gets how much, and who
 * when backends are out, when nobody is left, when the client is a backend itself, and while
 * tables change under it.
 */
#include "native_world.h"

#include "datapath/slots.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sched.h>
#include <stdint.h>

#include <cmocka.h>

#define SERVICE  3
#define STRANGER 4 /* another service */
#define REGION   4096 /* start of the service's slots */
#define CHOICES  1000000
#define MOST     16

static __u64 random_state;
static bool is_v6;

static struct weir_address backend_address(__u32 n)
{
	return is_v6 ? world_v6(2, n + 1) : world_v4(10, 2, 0, n + 1);
}

/* Ids 100 and on, with a region of their own; returns its size. */
static __u32 build(const __u16 *weights, __u32 count, __u32 start, __u32 first_id)
{
	struct slots_backend table[MOST];
	__u32 size = slots_size(count);

	for (__u32 n = 0; n < count; n++) {
		struct weir_address address = backend_address(n);

		world_backend(first_id + n, address, bpf_htons(80), SERVICE);
		table[n] = (struct slots_backend){first_id + n, weights[n], 80, {}};
		memcpy(&table[n].addr, &address, sizeof(address));
	}
	assert_int_equal(slots_build(table, count, (const uint64_t *)config.hash_seed, size,
				     native_values(&slots) + start),
			 0);
	return size;
}

static void open_service(const __u16 *weights, __u32 count)
{
	world_open(1, 1, 1, 1 << 16);
	random_state = 9;
	world_region(SERVICE, REGION, build(weights, count, REGION, 100));
}

static struct packet random_packet(void)
{
	__u64 random = world_random(&random_state), more = world_random(&random_state);

	return (struct packet){
		.source = is_v6 ? world_v6(3, random)
				: world_v4(172, random, random >> 8, random >> 16),
		.destination = is_v6 ? world_v6(1, 1) : world_v4(192, 0, 2, 1),
		.source_port = (__be16)more,
		.destination_port = bpf_htons(80),
		.protocol = IPPROTO_TCP,
		.is_v6 = is_v6,
	};
}

/* Choices by backend, of so many random clients; somebody is always found. */
static void count_choices(__u32 *counts)
{
	memset(counts, 0, MOST * sizeof(*counts));
	for (int i = 0; i < CHOICES; i++) {
		struct packet packet = random_packet();
		int chosen = pick_backend(&packet, SERVICE, WEIR_NONE);

		assert_in_range(chosen, 100, 100 + MOST - 1);
		counts[chosen - 100]++;
	}
}

/* Shares within `percent` of the share by weight, and a slot, among those that are not out. */
static void check_shares(const __u16 *weights, __u32 count, __u32 out, double percent)
{
	__u32 counts[MOST], slot = CHOICES / slots_size(count), sum = 0;

	for (__u32 n = 0; n < count; n++)
		sum += out >> n & 1 ? 0 : weights[n];
	count_choices(counts);
	for (__u32 n = 0; n < count; n++) {
		double want = out >> n & 1 ? 0 : (double)CHOICES * weights[n] / sum;
		double limit = out >> n & 1 ? 0 : CHOICES * percent / 100 + slot;

		assert_true(counts[n] - want <= limit && want - counts[n] <= limit);
	}
}

static void put_out(__u32 out, __u32 reason)
{
	for (__u32 n = 0; n < MOST; n++)
		native_values(&backends)[100 + n].reasons = out >> n & 1 ? reason : 0;
}

static const __u16 equal[] = {1, 1, 1, 1, 1}, mixed[] = {10, 20, 30, 40, 50, 100};

static void run_both(void (*run)(void))
{
	is_v6 = false;
	run();
	is_v6 = true;
	run();
}

static void check_distribution(void)
{
	open_service(equal, 5);
	check_shares(equal, 5, 0, 0.2);
	open_service(mixed, 6);
	check_shares(mixed, 6, 0, 0.2);
	assert_int_equal(world_internal(WEIR_INTERNAL_SECONDARY), 0);
	assert_int_equal(world_internal(WEIR_INTERNAL_REHASHED), 0);
}

static void test_distribution(void **state)
{
	run_both(check_distribution);
}

/* One is out, for any reason: its share is dealt to the others by weight, nobody else's moves. */
static void check_secondary(void)
{
	static const __u32 reasons[] = {WEIR_REASON_DRAINED, WEIR_REASON_DOWN, WEIR_REASON_EJECTED,
					WEIR_REASON_GONE, WEIR_REASON_WEIGHT};

	open_service(mixed, 6);
	for (__u32 n = 0; n < 5; n++) {
		put_out(1u << n, reasons[n]);
		check_shares(mixed, 6, 1u << n, 1.5);
	}
	assert_true(world_internal(WEIR_INTERNAL_SECONDARY) > 0);
	assert_int_equal(world_internal(WEIR_INTERNAL_REHASHED), 0);
	for (int i = 0; i < 100000; i++) {
		struct packet packet = random_packet();
		int before, after;

		put_out(0, 0);
		before = pick_backend(&packet, SERVICE, WEIR_NONE);
		put_out(1u << 2, WEIR_REASON_DRAINED);
		after = pick_backend(&packet, SERVICE, WEIR_NONE);
		assert_true(after != 102 && (before == 102 || after == before));
	}
}

static void test_secondary(void **state)
{
	run_both(check_secondary);
}

/* All but one out, whichever it is: always that one. None: nobody. */
static void test_last(void **state)
{
	struct packet packet;

	open_service(mixed, 6);
	for (__u32 n = 0; n < 6; n++) {
		put_out(0x3f & ~(1u << n), WEIR_REASON_DRAINED);
		for (int i = 0; i < 2000; i++) {
			packet = random_packet();
			assert_int_equal(pick_backend(&packet, SERVICE, WEIR_NONE), 100 + n);
		}
	}
	assert_true(world_internal(WEIR_INTERNAL_REHASHED) > 0);
	put_out(0x3f, WEIR_REASON_DRAINED);
	for (int i = 0; i < 1000; i++) {
		packet = random_packet();
		assert_int_equal(pick_backend(&packet, SERVICE, WEIR_NONE), PICK_NOBODY);
	}
	put_out(0, 0);
	world_region(SERVICE, REGION, 0);
	assert_int_equal(pick_backend(&packet, SERVICE, WEIR_NONE), PICK_NOBODY);
	assert_int_equal(pick_backend(&packet, WORLD_SERVICES, WEIR_NONE), PICK_NOBODY);
	assert_int_equal(pick_backend(NULL, SERVICE, WEIR_NONE), PICK_NOBODY);
}

/* A client that is a backend never gets itself; where only it is left, that has a name. */
static void test_hairpin(void **state)
{
	open_service(equal, 5);
	for (__u32 n = 0; n < 5; n++) {
		for (int i = 0; i < 2000; i++) {
			struct packet packet = random_packet();
			int chosen;

			packet.source = backend_address(n);
			chosen = pick_backend(&packet, SERVICE, WEIR_NONE);
			assert_true(chosen >= 100 && chosen < 105 && chosen != 100 + (int)n);
		}
	}
	assert_true(world_internal(WEIR_INTERNAL_HAIRPIN) > 0);
	put_out(0x1f & ~2u, WEIR_REASON_DRAINED);
	for (int i = 0; i < 100; i++) {
		struct packet packet = random_packet();

		packet.source = backend_address(1);
		assert_int_equal(pick_backend(&packet, SERVICE, WEIR_NONE), PICK_HAIRPIN);
		packet.source = backend_address(2);
		assert_int_equal(pick_backend(&packet, SERVICE, WEIR_NONE), 101);
	}
}

/* The backend whose tuple clashes is left out, unless there is no other. */
static void test_avoid(void **state)
{
	struct packet packet;

	open_service(equal, 5);
	for (int i = 0; i < 10000; i++) {
		int chosen, other;

		packet = random_packet();
		chosen = pick_backend(&packet, SERVICE, WEIR_NONE);
		other = pick_backend(&packet, SERVICE, chosen);
		assert_true(other >= 100 && other < 105 && other != chosen);
	}
	put_out(0x1f & ~1u, WEIR_REASON_DRAINED);
	assert_int_equal(pick_backend(&packet, SERVICE, 100), PICK_NOBODY);
	assert_int_equal(pick_backend(&packet, SERVICE, 101), 100);
}

/* The same packet always gets the same; any part of the tuple can change it, on its own. */
static void test_tuple(void **state)
{
	__u32 moved[5] = {};

	open_service(mixed, 6);
	for (int i = 0; i < 5000; i++) {
		struct packet packet = random_packet(), other[5];
		int chosen = pick_backend(&packet, SERVICE, WEIR_NONE);

		for (int part = 0; part < 5; part++)
			other[part] = packet;
		other[0].source.word[3] ^= bpf_htonl(1);
		other[1].destination.word[3] ^= bpf_htonl(1);
		other[2].source_port ^= bpf_htons(1);
		other[3].destination_port ^= bpf_htons(1);
		other[4].protocol = IPPROTO_UDP;
		for (int part = 0; part < 5; part++)
			moved[part] += pick_backend(&other[part], SERVICE, WEIR_NONE) != chosen;
		packet.ttl = 3, packet.sequence = 4, packet.tcp_flags = TCP_SYN;
		assert_int_equal(pick_backend(&packet, SERVICE, WEIR_NONE), chosen);
	}
	/* 1 - (sum of squared shares) of them: 3/4 with these weights */
	for (int part = 0; part < 5; part++)
		assert_in_range(moved[part], 5000 * 70 / 100, 5000 * 82 / 100);
}

/* A region that is another service's by now: none of its backends is ever chosen. */
static void test_stale(void **state)
{
	struct packet packet;
	__u32 size;

	open_service(equal, 5);
	size = slots_size(5);
	for (__u32 n = 0; n < 5; n++)
		native_values(&backends)[100 + n].service = STRANGER;
	for (int i = 0; i < 1000; i++) {
		packet = random_packet();
		assert_int_equal(pick_backend(&packet, SERVICE, WEIR_NONE), PICK_NOBODY);
		assert_true(pick_backend(&packet, STRANGER, WEIR_NONE) == PICK_NOBODY);
	}
	/* half of the slots are still ours: only ours is found, and always */
	world_backend(110, world_v4(10, 9, 9, 9), 0, SERVICE);
	for (__u32 i = 0; i < size; i += 2)
		native_values(&slots)[REGION + i] = (struct weir_slot){110, 110};
	for (int i = 0; i < 10000; i++) {
		packet = random_packet();
		assert_int_equal(pick_backend(&packet, SERVICE, WEIR_NONE), 110);
	}
	/* a region that ends beyond the map, or begins there */
	native_values(&slots)[(1 << 16) - 1] = (struct weir_slot){110, 110};
	world_region(SERVICE, (1 << 16) - 1, 256);
	for (int i = 0; i < 1000; i++) {
		packet = random_packet();
		assert_int_equal(pick_backend(&packet, SERVICE, WEIR_NONE), 110);
	}
	world_region(SERVICE, 1 << 16, 256);
	assert_int_equal(pick_backend(&packet, SERVICE, WEIR_NONE), PICK_NOBODY);
}

static atomic_bool is_over;
static __u32 regions[2][2]; /* start, size */

/* As apply does it: two tables of the service's backends, of different sizes, one store to flip. */
static void *flip(void *arg)
{
	for (__u32 i = 0; !atomic_load(&is_over); i++) {
		world_region(SERVICE, regions[i % 2][0], regions[i % 2][1]);
		if (i % 64 == 0)
			sched_yield();
	}
	return NULL;
}

static bool has_all(const __u32 *counts)
{
	for (int n = 0; n < 14; n++)
		if (!counts[n] && (n < 2 || n >= 8))
			return false;
	return true;
}

static void test_flip(void **state)
{
	__u32 counts[MOST] = {};
	pthread_t flipper;

	open_service(equal, 2);
	regions[0][0] = REGION;
	regions[0][1] = slots_size(2);
	regions[1][0] = 3 * REGION;
	/* addresses are the same, ids 108 and on are others */
	regions[1][1] = build(mixed, 6, 3 * REGION, 108);
	is_over = false;
	assert_int_equal(pthread_create(&flipper, NULL, flip, NULL), 0);
	/* on one core it takes a while until the other thread runs at all */
	for (int i = 0; i < CHOICES || (i < 100 * CHOICES && !has_all(counts)); i++) {
		struct packet packet = random_packet();
		int chosen = pick_backend(&packet, SERVICE, WEIR_NONE);

		assert_true(chosen == 100 || chosen == 101 || (chosen >= 108 && chosen < 114));
		counts[chosen - 100]++;
	}
	is_over = true;
	pthread_join(flipper, NULL);
	/* never a slot of one table under the mask of the other: nothing but whole tables were used */
	assert_int_equal(world_internal(WEIR_INTERNAL_REHASHED), 0);
	assert_true(has_all(counts));
}

static int close_world(void **state)
{
	is_v6 = false;
	world_close();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_distribution, close_world),
		cmocka_unit_test_teardown(test_secondary, close_world),
		cmocka_unit_test_teardown(test_last, close_world),
		cmocka_unit_test_teardown(test_hairpin, close_world),
		cmocka_unit_test_teardown(test_avoid, close_world),
		cmocka_unit_test_teardown(test_tuple, close_world),
		cmocka_unit_test_teardown(test_stale, close_world),
		cmocka_unit_test_teardown(test_flip, close_world),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
