/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * test_flow_threads.c - the flow table under threads that are CPUs, so small that they meet all
 * the time. STRESS_SECONDS (2) is how long each test goes on.
 *
 * What is found must be what was asked for, and when all is quiet again the books must balance.
 *
 * On few cores the moments between two steps of one CPU are too short for another to come in, so
 * each READ_ONCE and WRITE_ONCE may be followed by a pause. One in an operation: after two, an
 * entry may have been given away and come back, which no real CPU stands still long enough for.
 */
#include "native_steps.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#define THREADS NATIVE_CPUS
static atomic_bool is_over;

static __thread __u64 pause_state = 1;
static __thread bool may_pause;

static void steps_between(void)
{
	pause_state = pause_state * 6364136223846793005ull + native_cpu + 1;
	if (!may_pause || pause_state >> 54 & 255)
		return;
	may_pause = false;
	sched_yield();
}

static double now_s(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Short by default: longer runs find a wrong entry in about two of 10^8 look-ups (docs/design.md). */
static double stress_seconds(void)
{
	const char *text = getenv("STRESS_SECONDS");

	return text ? atof(text) : 0.3;
}

/* Half of the time one of few, the same for all CPUs for a while. */
static const struct tuple *choose(__u64 random)
{
	__u64 hot = world_internal(WEIR_INTERNAL_FLOW_ADDED) / 256 * 7;

	return &tuples[(random & 1 ? hot + random / 2 % 4 : random / 2) % TUPLES];
}

/*
 * One CPU: packets of all flows; now and then time passes, and the sweep runs, more than one at
 * once, as when the program `sweep_now` meets a timer.
 */
static void *run_cpu(void *arg)
{
	__u64 state = (uintptr_t)arg + 99;

	native_cpu = (__u32)(uintptr_t)arg;
	while (!atomic_load(&is_over)) {
		__u64 random = world_random(&state);
		const struct tuple *tuple = choose(random >> 32);

		may_pause = true;
		if (random % 512 == 0)
			__atomic_fetch_add(&native_jiffies, 5 * WORLD_HZ, __ATOMIC_RELAXED);
		else if (random % 64 == 0)
			world_sweep();
		else if (random & 1)
			step_client(tuple, random >> 16);
		else
			step_backend(tuple, random >> 16);
	}
	return NULL;
}

static void run_threads(void *(*run)(void *), double seconds)
{
	pthread_t threads[THREADS];
	double end = now_s() + seconds;
	struct timespec pause = {0, 10000000};

	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, run, (void *)i), 0);
	while (now_s() < end)
		nanosleep(&pause, NULL);
	is_over = true;
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

static void check_books(void)
{
	struct flows_count count;
	const char *problem = flows_audit(&count);

	if (problem)
		fail_msg("%s", problem);
}

/* All operations at once. */
static void test_stress(void **state)
{
	open_tuples(12);
	is_over = false;
	run_threads(run_cpu, stress_seconds());
	print_message("%lu found, %lu missed, %llu added, %llu evicted, %llu spilled, %llu raced\n",
		      found, missed, world_internal(WEIR_INTERNAL_FLOW_ADDED),
		      world_internal(WEIR_INTERNAL_FLOW_EVICTED),
		      world_internal(WEIR_INTERNAL_FLOW_SPILLED),
		      world_internal(WEIR_INTERNAL_FLOW_RACED));
	assert_int_equal(wrong, 0);
	check_books();
	assert_int_equal(count_duplicates(), 0);
	assert_true(found > 1000 && missed > 1000);
	/* and when all is over, nothing is left */
	native_jiffies += 9000 * WORLD_HZ;
	world_sweep();
	native_jiffies += 9000 * WORLD_HZ;
	world_sweep();
	check_books();
	assert_int_equal(world_settings()->spilled, 0);
	for (__u32 id = 0; id < WORLD_BACKENDS; id++)
		assert_int_equal(native_values(&gauges)[id].active, 0);
	world_close();
}

/* --- rounds: all threads do the same thing at the same moment -------------------------------- */

static pthread_barrier_t start_line, finish_line;
static const struct tuple *round_tuple;
static int owners[THREADS];

/* Each round every CPU adds the one flow, as if its packets had come in by several queues. */
static void *add_in_rounds(void *arg)
{
	uintptr_t cpu = (uintptr_t)arg;

	native_cpu = (__u32)cpu;
	for (;;) {
		struct packet packet;

		pthread_barrier_wait(&start_line);
		if (is_over)
			return NULL;
		may_pause = true;
		packet = packet_to(round_tuple->target, round_tuple->client, round_tuple->port);
		owners[cpu] = flows_add(round_tuple->target, &packet, round_tuple->backend, 0);
		pthread_barrier_wait(&finish_line);
	}
}

static void check_round(void)
{
	const struct tuple *tuple = round_tuple;
	struct packet packet = packet_to(tuple->target, tuple->client, tuple->port);
	struct search search = {.tuple = tuple, .key = key_of(tuple->target, &packet)};
	struct flow flow;

	for (int i = 0; i < THREADS; i++)
		assert_int_equal(owners[i], tuple->backend);
	flows_walk(search_one, &search);
	assert_int_equal(search.hits, 1);
	assert_true(flows_find(&flow, tuple->target, &packet, FLOW_FORWARD));
	assert_true(is_mine(tuple, &flow));
}

/*
 * All add one flow to a table in which strangers' entries of the same client end lie, so that a
 * look at the wrong moment would take a stranger's backend for the flow's.
 */
static void test_one_flow(void **state)
{
	double end = now_s() + stress_seconds();
	pthread_t threads[THREADS];
	__u64 random = 5;
	__u32 rounds = 0;

	open_tuples(12);
	is_over = false;
	pthread_barrier_init(&start_line, NULL, THREADS + 1);
	pthread_barrier_init(&finish_line, NULL, THREADS + 1);
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, add_in_rounds, (void *)i), 0);
	for (; now_s() < end; rounds++) {
		struct packet packet;
		struct flow flow;

		do
			round_tuple = &tuples[world_random(&random) % TUPLES];
		while (packet = packet_to(round_tuple->target, round_tuple->client,
					  round_tuple->port),
		       flows_find(&flow, round_tuple->target, &packet, FLOW_FORWARD));
		pthread_barrier_wait(&start_line);
		pthread_barrier_wait(&finish_line);
		check_round();
	}
	is_over = true;
	pthread_barrier_wait(&start_line);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	print_message("%u rounds, %llu raced\n", rounds, world_internal(WEIR_INTERNAL_FLOW_RACED));
	check_books();
	assert_true(rounds > 100);
	pthread_barrier_destroy(&start_line);
	pthread_barrier_destroy(&finish_line);
	world_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stress),
		cmocka_unit_test(test_one_flow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
