/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * test_flow_threads.c - the flow table under threads that are CPUs, so small that they meet all
 * the time. STRESS_SECONDS (2) is how long each test goes on.
 *
 * The backend of a flow is a function of its tuple, so that whoever finds a flow can tell whether
 * it is the one asked for. When all is quiet again the books must balance.
 *
 * On few cores the moments between two steps of one CPU are too short for another to come in, so
 * each READ_ONCE and WRITE_ONCE may be followed by a pause. One in an operation: after two, an
 * entry may have been given away and come back, which no real CPU stands still long enough for.
 */
#include <sched.h>

static void maybe_pause(void);
#define READ_ONCE(x)                                                            \
	({                                                                      \
		typeof(x) once_value = __atomic_load_n(&(x), __ATOMIC_RELAXED); \
		maybe_pause();                                                  \
		once_value;                                                     \
	})
#define WRITE_ONCE(x, value)                                       \
	({                                                         \
		__atomic_store_n(&(x), (value), __ATOMIC_RELAXED); \
		maybe_pause();                                     \
	})

#include "native_flows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#define THREADS NATIVE_CPUS
#define CLIENTS 10
#define PORTS   2

/* Of each client end one flow to each target; backends are not shared between frontends. */
struct tuple {
	const struct target *target;
	__u32 client, backend;
	__u16 port;
};
#define TUPLES (CLIENTS * PORTS * FLOWS_TARGETS)
static struct tuple tuples[TUPLES];

static atomic_bool is_over;
static atomic_ulong found, wrong, missed;

static __thread __u64 pause_state = 1;
static __thread bool may_pause;

static void maybe_pause(void)
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

static double stress_seconds(void)
{
	const char *text = getenv("STRESS_SECONDS");

	return text ? atof(text) : 2;
}

/* The n-th backend of the service, but not the same for two of its frontends. */
static __u32 backend_of(const struct target *target, __u32 client, __u16 port)
{
	__u32 half = (target->vip & 1) * 2; /* two frontends of one service: vip 1, 2 and 4, 6 */

	if (target->vip == 6)
		half = 2;
	return target_backend(target, half + (client * 7 + port) % 2);
}

static void open_tuples(void)
{
	flows_open(2, 2, 12);
	for (__u32 i = 0; i < TUPLES; i++) {
		const struct target *target = &targets[i % FLOWS_TARGETS];
		__u32 client = i / FLOWS_TARGETS / PORTS;
		__u16 port = 40000 + i / FLOWS_TARGETS % PORTS;

		tuples[i] = (struct tuple){target, client, backend_of(target, client, port), port};
	}
	is_over = false;
	found = wrong = missed = 0;
}

/* Found is the flow of the tuple, and of nobody else. */
static bool is_mine(const struct tuple *tuple, const struct flow *flow)
{
	return flow_frontend(flow->seen) == tuple->target->frontend &&
	       flow_backend(flow->seen) == tuple->backend &&
	       flow->backend == &native_values(&backends)[tuple->backend];
}

static void step_client(const struct tuple *tuple, __u64 random)
{
	static const __u8 flags[] = {TCP_SYN, TCP_ACK, TCP_ACK, TCP_ACK | TCP_FIN, TCP_RST};
	struct packet packet = packet_to(tuple->target, tuple->client, tuple->port);
	struct flow flow;
	int owner;

	if (packet.protocol == IPPROTO_TCP)
		packet.tcp_flags = flags[random % 5];
	packet.acknowledgement = 1; /* of a backend's number 0 */
	if (flows_find(&flow, tuple->target, &packet, FLOW_FORWARD)) {
		found++;
		wrong += !is_mine(tuple, &flow);
		if (!(random >> 8 & 7))
			flow_remove(&flow);
		else
			track_forward(&flow, &packet);
		return;
	}
	missed++;
	owner = flows_add(tuple->target, &packet, tuple->backend,
			  packet.tcp_flags & TCP_SYN ? 0 : WEIR_FLOW_PICKED_UP);
	wrong += owner != FLOW_UNTRACKED && owner != (int)tuple->backend;
}

static void step_backend(const struct tuple *tuple, __u64 random)
{
	static const __u8 flags[] = {TCP_SYN | TCP_ACK, TCP_ACK, TCP_ACK, TCP_ACK | TCP_FIN,
				     TCP_RST};
	struct packet packet =
		packet_from(tuple->target, tuple->backend, tuple->client, tuple->port);
	struct flow flow;

	if (packet.protocol == IPPROTO_TCP)
		packet.tcp_flags = flags[random % 5];
	packet.acknowledgement = 1; /* of a client's number 0 */
	if (!flows_find(&flow, tuple->target, &packet, FLOW_REPLY))
		return;
	found++;
	wrong += !is_mine(tuple, &flow);
	track_reply(&flow, &packet);
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

/* How often one flow lies in a table (not in `spill`, which is asked after them). */
struct search {
	const struct tuple *tuple;
	struct flow_key key;
	__u32 hits;
};

static void search_one(__u64 *who, __u64 *what, bool is_wide, __u32 at, void *arg)
{
	struct search *search = arg;

	if (at != FLOW_SPILLED && is_wide == target_is_wide(search->tuple->target) &&
	    flow_is_taken(*what) && flow_frontend(*what) == search->tuple->target->frontend &&
	    flow_is_of(who, &search->key, is_wide, FLOW_FORWARD))
		search->hits++;
}

static __u32 count_duplicates(void)
{
	__u32 duplicates = 0;

	for (__u32 i = 0; i < TUPLES; i++) {
		const struct tuple *tuple = &tuples[i];
		struct packet packet = packet_to(tuple->target, tuple->client, tuple->port);
		struct search search = {tuple, key_of(tuple->target, &packet), 0};

		flows_walk(search_one, &search);
		duplicates += search.hits > 1;
	}
	return duplicates;
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
	open_tuples();
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
	struct search search = {tuple, key_of(tuple->target, &packet), 0};
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

	open_tuples();
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
