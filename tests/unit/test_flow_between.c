/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * test_flow_between.c - the flow table when another CPU comes in between two steps of an
 * operation: every place in it, one after the other, with no luck needed.
 *
 * A short random history fills a tiny table. Then one operation runs on CPU 0, and at its first,
 * second, third ... step, which is one side of a READ_ONCE or WRITE_ONCE, some operations run on
 * CPU 1 as a whole; or CPU 1 handles a packet of the same flow there, and some operations run a
 * few steps later. Each time the history is played again from its seed.
 */
#include "native_steps.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define HISTORIES 2000
#define EVENTS    80 /* of a history */
#define AMONG     16 /* tuples of a history, which share the client's port */

/* What comes in between, after `countdown` more steps, by this seed. */
static __u32 countdown, steps;
static const struct tuple *subject; /* of the operation */
static bool is_twin; /* first a packet of the same flow, the others later */
static __u64 other_seed;

static const struct tuple *among[AMONG];

static void remove_flow(const struct tuple *tuple)
{
	struct packet packet = packet_to(tuple->target, tuple->client, tuple->port);
	struct flow flow;

	if (flows_find(&flow, tuple->target, &packet, FLOW_FORWARD))
		flow_remove(&flow);
}

static void run_event(__u64 *state)
{
	__u64 random = world_random(state);
	const struct tuple *tuple = among[(random >> 32) % AMONG];

	switch (random % 24) {
	case 0:
		native_jiffies += 6 * WORLD_HZ;
		break;
	case 1:
		world_sweep();
		break;
	case 2: /* as port reuse does it */
		remove_flow(tuple);
		break;
	case 3 ... 13:
		step_backend(tuple, random >> 16);
		break;
	default:
		step_client(tuple, random >> 16);
	}
}

/* All of the other clients' packets, so that one of them takes the place that has become free. */
static void run_others(const struct tuple *but)
{
	for (int i = 0; i < AMONG; i++)
		if (among[i] != but)
			step_client(among[i], 1);
}

static void steps_between(void)
{
	__u64 state = other_seed, random;

	steps++;
	if (!countdown || --countdown)
		return;
	random = world_random(&state);
	native_cpu = 1;
	if (is_twin) {
		step_client(subject, random);
		countdown = 1 + random % 40;
	} else if (random >> 8 & 1) {
		remove_flow(subject);
		run_others(subject);
	} else {
		for (int i = random % 6; i >= 0; i--)
			run_event(&state);
	}
	is_twin = false;
	native_cpu = 0;
}

static void clear_world(void)
{
	native_clear(&flows);
	native_clear(&flows_wide);
	native_clear(&flow_details);
	native_clear(&flow_details_wide);
	native_clear(&spill);
	native_clear(&counters);
	native_clear(&gauges);
	world_settings()->spilled = 0;
	native_jiffies = 1ull << 32;
}

/* The table as the history leaves it, and the state of its random numbers then. */
static __u64 play(__u64 seed)
{
	__u64 state = seed, random = world_random(&state);
	__u32 first = random % FLOWS_TARGETS, port = random >> 32 & 1;

	clear_world();
	countdown = 0;
	is_twin = false;
	for (int i = 0; i < AMONG; i++) {
		/* mostly of one target; the last ones of the next, perhaps the same service's */
		__u32 target = (first + (i >= AMONG - 2)) % FLOWS_TARGETS;
		__u32 client = (world_random(&state) >> 16) % CLIENTS;

		among[i] = &tuples[(client * PORTS + port) * FLOWS_TARGETS + target];
	}
	for (int i = 0; i < EVENTS; i++)
		run_event(&state);
	return state;
}

/* The tuple that run_event will choose. */
static const struct tuple *tuple_of_next(__u64 state)
{
	return among[(world_random(&state) >> 32) % AMONG];
}

static void check(__u64 seed, __u32 at)
{
	struct flows_count count;
	const char *problem = flows_audit(&count);

	if (problem || wrong || count_duplicates())
		fail_msg("history %llu, step %u: %lu wrong, %u duplicates, %s", seed, at, wrong,
			 count_duplicates(), problem ? problem : "books right");
}

static void test_between(void **state)
{
	__u64 runs = 0;

	open_tuples(3);
	for (__u64 seed = 1; seed <= HISTORIES; seed++) {
		__u64 here = play(seed), end;

		/* how many steps it has when nobody comes in */
		steps = 0;
		run_event(&here);
		end = steps;
		check(seed, 0);
		for (__u32 at = 1; at <= 2 * end; at++, runs++) {
			here = play(seed);
			other_seed = seed << 20 | at;
			countdown = (at + 1) / 2;
			subject = tuple_of_next(here);
			is_twin = at % 2;
			run_event(&here);
			check(seed, at);
		}
	}
	print_message("%llu runs, %llu raced, %llu spilled\n", runs,
		      world_internal(WEIR_INTERNAL_FLOW_RACED),
		      world_internal(WEIR_INTERNAL_FLOW_SPILLED));
	assert_true(world_internal(WEIR_INTERNAL_FLOW_RACED) > 10);
	world_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_between),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
