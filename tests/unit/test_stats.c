/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * test_stats.c - counters and flows as people see them. Flows are written here by the bit numbers
 * of the comment in bpf/abi.h, not by its macros, so a wrong macro fails, too.
 *
 * The arrays are plain memory; `spill` and the clock need the kernel, and root.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* unshare */
#endif
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "datapath/stats.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

#define CPUS      3
#define FRONTENDS 8
#define BACKENDS  16
#define BUCKETS   4

/* Bits of `what`. */
#define LIVE        (2ull << 37)
#define CLAIMING    (1ull << 37)
#define CLOSED      (3ull << 37)
#define ANSWERED    (1ull << 39)
#define PROVEN      (1ull << 40)
#define FIN_CLIENT  (1ull << 41)
#define FIN_BACKEND (1ull << 42)
#define RESET       (1ull << 43)
#define COUNTED     (1ull << 44)
#define PICKED_UP   (1ull << 45)
#define FROM_NODE   (1ull << 46)

static __u64 make_what(__u64 frontend, __u64 backend, __u64 flags, __u64 age)
{
	return frontend | backend << 17 | flags | age << 51;
}

/* `low` is an IPv4 address, or the asked port of a wide flow, in network order as it lies there. */
static __u64 make_who(__u32 low, uint16_t port, bool is_udp, __u64 generation)
{
	return low | (__u64)htons(port) << 32 | (is_udp ? 1ull << 48 : 0) | generation << 49;
}

static struct weir_address address_of(const char *text)
{
	struct addr addr;

	assert_int_equal(addr_parse(text, &addr, NULL), 0);
	return *(struct weir_address *)&addr;
}

static __u32 v4_of(const char *text)
{
	struct in_addr in;

	assert_int_equal(inet_pton(AF_INET, text, &in), 1);
	return in.s_addr;
}

static void *new_array(struct maps *maps, enum map_id id, size_t count, size_t size)
{
	maps->memory[id] = calloc(count, size);
	assert_non_null(maps->memory[id]);
	return maps->memory[id];
}

/* Frontends: 2 is 192.0.2.1:80, 3 is 192.0.2.2 any port, 5 is [fd00::1]:443; backend 7 and 9. */
static int make_maps(void **state)
{
	struct maps *maps = calloc(1, sizeof(*maps));
	struct weir_frontend *frontends;
	struct weir_backend *backends;

	if (!maps)
		return -1;
	for (int id = 0; id < MAP_COUNT; id++)
		maps->fds[id] = -1;
	snprintf(maps->directory, sizeof(maps->directory), "/nonexistent");
	maps->settings = new_array(maps, MAP_settings, 1, sizeof(*maps->settings));
	maps->settings->cpus = CPUS;
	maps->settings->frontends = FRONTENDS;
	maps->settings->backends = BACKENDS;
	maps->settings->flow_buckets = BUCKETS;
	maps->settings->flow_wide_buckets = BUCKETS;
	maps->settings->age_shift = 11;
	maps->settings->jiffies_per_second = 250;
	frontends = new_array(maps, MAP_frontend_list, FRONTENDS, sizeof(*frontends));
	frontends[2] = (struct weir_frontend){
		address_of("192.0.2.1"), htons(80), IPPROTO_TCP, WEIR_FRONTEND_VALID, 4, 0, 0};
	frontends[3] = (struct weir_frontend){address_of("192.0.2.2"),
					      0,
					      IPPROTO_UDP,
					      WEIR_FRONTEND_VALID | WEIR_FRONTEND_ANY_PORT,
					      5,
					      0,
					      0};
	frontends[5] = (struct weir_frontend){
		address_of("fd00::1"), htons(443), IPPROTO_TCP, WEIR_FRONTEND_VALID, 6, 0, 0};
	backends = new_array(maps, MAP_backends, BACKENDS, sizeof(*backends));
	backends[7].address = address_of("10.0.0.7");
	backends[7].port = htons(8080);
	backends[7].generation = 200;
	backends[9].address = address_of("fd00::9");
	backends[9].generation = 1;
	new_array(maps, MAP_flows, BUCKETS, sizeof(struct weir_bucket));
	new_array(maps, MAP_flows_wide, BUCKETS, sizeof(struct weir_bucket_wide));
	new_array(maps, MAP_gauges, BACKENDS, sizeof(struct weir_gauge));
	new_array(maps, MAP_counters, CPUS * BACKENDS, sizeof(struct weir_counters));
	new_array(maps, MAP_outcomes, CPUS * WEIR_HOOKS, sizeof(struct weir_outcome_counters));
	new_array(maps, MAP_internals, CPUS, sizeof(struct weir_internal_counters));
	maps->fds[MAP_spill] =
		bpf_map_create(BPF_MAP_TYPE_HASH, "spill", sizeof(struct weir_spill_key),
			       sizeof(struct weir_spill), 8192, NULL);
	*state = maps;
	return 0;
}

#define CLOCK_DIRECTORY "/tmp/weir-test-stats-XXXXXX" /* of mkdtemp(3), for the clock's pin */

static int free_maps(void **state)
{
	struct maps *maps = *state;

	if (!strncmp(maps->directory, CLOCK_DIRECTORY, strlen("/tmp/weir-test-stats-"))) {
		umount2(maps->directory, MNT_DETACH);
		rmdir(maps->directory);
	}

	for (int id = 0; id < MAP_COUNT; id++)
		free(maps->memory[id]);
	if (maps->fds[MAP_spill] >= 0)
		close(maps->fds[MAP_spill]);
	free(maps);
	return 0;
}

static bool has_spill(const struct maps *maps)
{
	if (maps->fds[MAP_spill] < 0)
		print_message("SKIP: the spill map needs root (CAP_BPF)\n");
	return maps->fds[MAP_spill] >= 0;
}

static struct weir_flow *narrow(struct maps *maps, int bucket, int way)
{
	struct weir_bucket *buckets = maps->memory[MAP_flows];

	return &buckets[bucket].way[way];
}

static struct weir_flow_wide *wide(struct maps *maps, int bucket, int way)
{
	struct weir_bucket_wide *buckets = maps->memory[MAP_flows_wide];

	return &buckets[bucket].way[way];
}

#define SEEN_MAX 64
struct seen {
	struct stats_flow flows[SEEN_MAX];
	size_t count;
	size_t stop_after;
};

static int see(const struct stats_flow *flow, void *arg)
{
	struct seen *seen = arg;

	assert_true(seen->count < SEEN_MAX);
	seen->flows[seen->count++] = *flow;
	return seen->count == seen->stop_after ? 42 : 0;
}

static struct stats_flow only_flow(struct maps *maps)
{
	struct seen seen = {};

	stats_flows(maps, see, &seen);
	assert_int_equal(seen.count, 1);
	return seen.flows[0];
}

static void assert_addr(const struct addr *addr, const char *text)
{
	char got[ADDR_TEXT_LEN];

	assert_string_equal(addr_format(addr, got), text);
}

static void ipv4_flow_is_decoded(void **state)
{
	struct maps *maps = *state;
	struct stats_flow flow;

	narrow(maps, 3, 2)->who = make_who(v4_of("10.9.8.7"), 40000, false, 200);
	narrow(maps, 3, 2)->what = make_what(2, 7, LIVE | ANSWERED | PROVEN | COUNTED, 0);
	flow = only_flow(maps);
	assert_int_equal(flow.protocol, IPPROTO_TCP);
	assert_addr(&flow.client, "10.9.8.7");
	assert_int_equal(flow.client_port, 40000);
	assert_addr(&flow.vip, "192.0.2.1");
	assert_int_equal(flow.vip_port, 80);
	assert_int_equal(flow.frontend, 2);
	assert_int_equal(flow.service, 4);
	assert_int_equal(flow.backend, 7);
	assert_addr(&flow.backend_addr, "10.0.0.7");
	assert_int_equal(flow.backend_port, 8080);
	assert_string_equal(flow.state, "open");
	assert_true(flow.is_counted);
	assert_false(flow.is_picked_up || flow.is_from_node || flow.is_spilled);
}

static void ipv6_flow_is_decoded(void **state)
{
	struct maps *maps = *state;
	struct stats_flow flow;

	wide(maps, 1, 3)->who = make_who(htons(443), 65535, false, 1);
	wide(maps, 1, 3)->what = make_what(5, 9, LIVE | PICKED_UP | FROM_NODE, 0);
	wide(maps, 1, 3)->client = address_of("fd00::c:1");
	flow = only_flow(maps);
	assert_addr(&flow.client, "fd00::c:1");
	assert_int_equal(flow.client_port, 65535);
	assert_addr(&flow.vip, "fd00::1");
	assert_int_equal(flow.vip_port, 443);
	assert_addr(&flow.backend_addr, "fd00::9");
	assert_int_equal(flow.backend_port, 443); /* that of the VIP: the backend has none */
	assert_string_equal(flow.state, "unproven");
	assert_true(flow.is_picked_up && flow.is_from_node);
	assert_false(flow.is_counted);
}

static void any_port_flow_knows_its_port(void **state)
{
	struct maps *maps = *state;
	struct stats_flow flow;

	wide(maps, 0, 0)->who = make_who(htons(5353), 1, true, 200);
	wide(maps, 0, 0)->what = make_what(3, 7, LIVE | ANSWERED, 0);
	wide(maps, 0, 0)->client = address_of("10.1.2.3");
	flow = only_flow(maps);
	assert_int_equal(flow.protocol, IPPROTO_UDP);
	assert_addr(&flow.client, "10.1.2.3");
	assert_int_equal(flow.client_port, 1);
	assert_int_equal(flow.vip_port, 5353);
	assert_int_equal(flow.backend_port, 8080);
	assert_string_equal(flow.state, "answered");
}

static void highest_ids_do_not_run_into_each_other(void **state)
{
	struct maps *maps = *state;
	struct weir_frontend *frontends = calloc(1u << 17, sizeof(*frontends));
	struct weir_backend *backends = calloc(1u << 20, sizeof(*backends));
	struct stats_flow flow;

	assert_true(frontends && backends);
	free(maps->memory[MAP_frontend_list]);
	free(maps->memory[MAP_backends]);
	maps->memory[MAP_frontend_list] = frontends;
	maps->memory[MAP_backends] = backends;
	maps->settings->frontends = 1u << 17;
	maps->settings->backends = 1u << 20;
	frontends[0x1ffff].vip = address_of("192.0.2.9");
	backends[0xfffff].generation = 255;
	backends[0xfffff].address = address_of("10.0.0.9");
	narrow(maps, 0, 0)->who = make_who(0xffffffff, 65535, true, 255);
	narrow(maps, 0, 0)->what = make_what(0x1ffff, 0xfffff, LIVE, 0x1fff);
	flow = only_flow(maps);
	assert_int_equal(flow.frontend, 0x1ffff);
	assert_int_equal(flow.backend, 0xfffff);
	assert_addr(&flow.backend_addr, "10.0.0.9");
	assert_addr(&flow.client, "255.255.255.255");
	assert_string_equal(flow.state, "unproven");
	narrow(maps, 0, 0)->what = make_what(0, 0xfffff, LIVE, 0);
	assert_int_equal(only_flow(maps).frontend, 0);
	narrow(maps, 0, 0)->what = make_what(0x1ffff, 0, LIVE, 0);
	assert_int_equal(only_flow(maps).backend, 0);
}

static void states_have_their_names(void **state)
{
	static const struct {
		__u64 bits;
		const char *name;
	} rows[] = {
		{LIVE, "unproven"},
		{LIVE | ANSWERED, "answered"},
		{LIVE | PROVEN, "open"},
		{LIVE | ANSWERED | PROVEN, "open"},
		{LIVE | ANSWERED | PROVEN | FIN_CLIENT, "open"},
		{LIVE | ANSWERED | PROVEN | FIN_BACKEND, "open"},
		{LIVE | ANSWERED | PROVEN | FIN_CLIENT | FIN_BACKEND, "closing"},
		{LIVE | FIN_CLIENT | FIN_BACKEND, "closing"},
		{LIVE | RESET, "reset"},
		{LIVE | ANSWERED | PROVEN | FIN_CLIENT | FIN_BACKEND | RESET, "reset"},
		{CLOSED | ANSWERED | PROVEN | RESET, "closed"},
		{CLOSED, "closed"},
	};
	struct maps *maps = *state;

	narrow(maps, 0, 1)->who = make_who(1, 1, false, 200);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		narrow(maps, 0, 1)->what = make_what(2, 7, rows[i].bits, 0);
		assert_string_equal(only_flow(maps).state, rows[i].name);
	}
}

static void free_and_half_written_flows_are_not_shown(void **state)
{
	struct maps *maps = *state;
	struct seen seen = {};

	narrow(maps, 0, 0)->what = make_what(2, 7, PROVEN | COUNTED, 0);
	narrow(maps, 0, 1)->what = make_what(2, 7, CLAIMING | PROVEN | COUNTED, 0);
	wide(maps, 0, 0)->what = make_what(5, 9, CLAIMING, 0);
	stats_flows(maps, see, &seen);
	assert_int_equal(seen.count, 0);
}

static void ids_beyond_the_limits_are_not_followed(void **state)
{
	struct maps *maps = *state;
	struct seen seen = {};

	narrow(maps, 0, 0)->what = make_what(FRONTENDS, 7, LIVE, 0);
	narrow(maps, 0, 1)->what = make_what(2, BACKENDS, LIVE, 0);
	stats_flows(maps, see, &seen);
	assert_int_equal(seen.count, 0);
}

static void flow_of_a_reused_backend_id_does_not_name_the_new_one(void **state)
{
	struct maps *maps = *state;
	struct stats_flow flow;

	narrow(maps, 0, 0)->who = make_who(1, 1, false, 199);
	narrow(maps, 0, 0)->what = make_what(2, 7, LIVE | PROVEN, 0);
	flow = only_flow(maps);
	assert_int_equal(flow.backend, 7);
	assert_addr(&flow.backend_addr, "::");
	assert_int_equal(flow.backend_port, 0);
}

static void walk_stops_when_told(void **state)
{
	struct maps *maps = *state;
	struct seen seen = {.stop_after = 2};

	for (int way = 0; way < 4; way++) {
		narrow(maps, way, way)->what = make_what(2, 7, LIVE, 0);
		wide(maps, way, way)->what = make_what(5, 9, LIVE, 0);
	}
	assert_int_equal(stats_flows(maps, see, &seen), 42);
	assert_int_equal(seen.count, 2);
	seen = (struct seen){.stop_after = 6};
	assert_int_equal(stats_flows(maps, see, &seen), 42);
	assert_int_equal(seen.count, 6);
}

static void put_spilled(struct maps *maps, const struct weir_spill_key *key, __u64 who, __u64 what)
{
	struct weir_spill value = {.who = who, .what = what};

	assert_int_equal(bpf_map_update_elem(maps->fds[MAP_spill], key, &value, BPF_ANY), 0);
}

static void spilled_flows_are_shown(void **state)
{
	struct maps *maps = *state;
	__u64 port = make_who(0, 1234, false, 0);
	struct weir_spill_key v4 = {.who = port};
	struct weir_spill_key v6 = {.who = port, .client = address_of("fd00::77")};
	struct seen seen = {};
	size_t first;

	if (!has_spill(maps))
		skip();
	v4.client.word[3] = v4_of("10.0.0.1");
	put_spilled(maps, &v4, make_who(v4_of("10.0.0.1"), 1234, false, 200),
		    make_what(2, 7, LIVE | PROVEN | COUNTED, 0));
	put_spilled(maps, &v6, make_who(htons(443), 1234, false, 1),
		    make_what(5, 9, LIVE | PROVEN | COUNTED, 0));
	stats_flows(maps, see, &seen);
	assert_int_equal(seen.count, 2);
	first = seen.flows[0].frontend == 2 ? 0 : 1;
	assert_true(seen.flows[0].is_spilled && seen.flows[1].is_spilled);
	assert_addr(&seen.flows[first].client, "10.0.0.1");
	assert_int_equal(seen.flows[first].vip_port, 80);
	assert_addr(&seen.flows[first].backend_addr, "10.0.0.7");
	assert_addr(&seen.flows[!first].client, "fd00::77");
	assert_int_equal(seen.flows[!first].client_port, 1234);
}

static void recount_covers_all_three_tables(void **state)
{
	struct maps *maps = *state;
	__u32 counts[BACKENDS];
	__u32 in_spill = 0;

	memset(counts, 0xff, sizeof(counts));
	narrow(maps, 0, 0)->what = make_what(2, 7, LIVE | PROVEN | COUNTED, 0);
	narrow(maps, 0, 1)->what = make_what(2, 7, LIVE | PROVEN | COUNTED | RESET, 5);
	narrow(maps, 0, 2)->what = make_what(2, 7, LIVE, 0);
	narrow(maps, 0, 3)->what = make_what(2, 7, CLAIMING | COUNTED, 0);
	narrow(maps, 1, 0)->what = make_what(2, BACKENDS, LIVE | COUNTED, 0);
	wide(maps, 3, 3)->what = make_what(3, 7, LIVE | COUNTED, 0);
	wide(maps, 3, 2)->what = make_what(5, 9, LIVE | COUNTED, 0);
	for (__u32 i = 0; maps->fds[MAP_spill] >= 0 && i < 5000; i++, in_spill++)
		put_spilled(maps, &(struct weir_spill_key){.client.word = {0, 0, 0, i}}, i,
			    make_what(2, 8, LIVE | COUNTED, 0));
	if (in_spill)
		assert_int_equal(stats_recount(maps, counts), 0);
	else
		assert_true(stats_recount(maps, counts) < 0);
	assert_int_equal(counts[7], 3);
	assert_int_equal(counts[9], 1);
	assert_int_equal(counts[8], in_spill);
	assert_int_equal(counts[0], 0);
	assert_int_equal(counts[BACKENDS - 1], 0);
}

struct changer {
	struct weir_flow_wide *flow;
	bool is_over;
};

/*
 * Ever new flows in one entry, by the rules of bpf/flow.h; all of flow i can be told from i. Mostly
 * `what` is the same as that of the flow before.
 */
static void *change_flow(void *arg)
{
	struct changer *changer = arg;
	struct weir_flow_wide *flow = changer->flow;

	for (__u32 i = 0; !__atomic_load_n(&changer->is_over, __ATOMIC_RELAXED); i++) {
		__atomic_exchange_n(&flow->what, CLAIMING, __ATOMIC_SEQ_CST);
		__atomic_store_n(&flow->who, make_who(htons(443), i, false, 1), __ATOMIC_RELAXED);
		for (int word = 0; word < 4; word++)
			__atomic_store_n(&flow->client.word[word], i, __ATOMIC_RELAXED);
		__atomic_exchange_n(&flow->what,
				    make_what(5, 8 + (i >> 6) % 8, LIVE, i >> 16 & 0x1fff),
				    __ATOMIC_SEQ_CST);
	}
	return NULL;
}

static int see_whole(const struct stats_flow *flow, void *arg)
{
	__u32 words[4];
	size_t *count = arg;

	memcpy(words, flow->client.bytes, sizeof(words));
	for (int word = 1; word < 4; word++)
		assert_int_equal(words[word], words[0]);
	assert_int_equal(flow->client_port, words[0] & 0xffff);
	assert_int_equal(flow->backend, 8 + (words[0] >> 6) % 8);
	++*count;
	return 0;
}

static void flow_that_changes_is_never_seen_in_pieces(void **state)
{
	struct maps *maps = *state;
	struct changer changer = {.flow = wide(maps, 2, 1)};
	size_t count = 0;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, change_flow, &changer), 0);
	for (int i = 0; i < 20000; i++)
		stats_flows(maps, see_whole, &count);
	__atomic_store_n(&changer.is_over, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	assert_true(count > 0);
}

static void counters_are_summed_over_cpus(void **state)
{
	struct maps *maps = *state;
	struct weir_counters *counters = maps->memory[MAP_counters];
	struct weir_gauge *gauges = maps->memory[MAP_gauges];
	struct weir_counters sum;
	__u32 active;

	for (__u64 cpu = 0; cpu < CPUS; cpu++) {
		memset(&counters[cpu * BACKENDS + 6], 9, sizeof(*counters));
		counters[cpu * BACKENDS + 7] = (struct weir_counters){
			.forward_packets = 1 + cpu,
			.forward_bytes = 10 + cpu,
			.reply_packets = 100,
			.reply_bytes = 1000,
			.chosen = 20000,
			.opened = 10000,
			.closed = 100000,
			.revived = 1ull << 40,
		};
	}
	gauges[7].active = 55;
	stats_backend(maps, 7, &sum, &active);
	assert_int_equal(sum.forward_packets, 6);
	assert_int_equal(sum.forward_bytes, 33);
	assert_int_equal(sum.reply_packets, 300);
	assert_int_equal(sum.reply_bytes, 3000);
	assert_int_equal(sum.chosen, 60000);
	assert_int_equal(sum.opened, 30000);
	assert_int_equal(sum.closed, 300000);
	assert_int_equal(sum.revived, 3ull << 40);
	assert_int_equal(active, 55);
}

static void outcomes_are_summed_over_cpus(void **state)
{
	struct maps *maps = *state;
	struct weir_outcome_counters *counters = maps->memory[MAP_outcomes];
	struct weir_internal_counters *internals = maps->memory[MAP_internals];

	for (int cpu = 0; cpu < CPUS; cpu++) {
		counters[cpu * 4 + WEIR_HOOK_EGRESS].packets[WEIR_FORWARDED] = 10 + cpu;
		counters[cpu * 4 + WEIR_HOOK_INGRESS].packets[WEIR_FORWARDED] = 1000;
		internals[cpu].count[WEIR_INTERNAL_CLASHED] = 7;
	}
	assert_int_equal(stats_outcome(maps, WEIR_HOOK_EGRESS, WEIR_FORWARDED), 33);
	assert_int_equal(stats_outcome(maps, WEIR_HOOK_INGRESS, WEIR_FORWARDED), 3000);
	assert_int_equal(stats_outcome(maps, WEIR_HOOK_EGRESS, WEIR_REPLIED), 0);
	assert_int_equal(stats_internal(maps, WEIR_INTERNAL_CLASHED), 21);
	assert_int_equal(stats_internal(maps, WEIR_INTERNAL_HAIRPIN), 0);
}

static void outcomes_have_their_names(void **state)
{
	static const char *const actions[] = {"none", "pass", "sent", "drop"};

	(void)state;
	assert_string_equal(outcome_name(WEIR_FORWARDED), "FORWARDED");
	assert_string_equal(outcome_action(WEIR_FORWARDED), "sent");
	assert_string_equal(outcome_action(WEIR_FORWARDED_STACK), "pass");
	assert_string_equal(outcome_action(WEIR_DROP_RATE), "drop");
	assert_string_equal(outcome_action(WEIR_CONTINUE), "none");
	assert_string_equal(outcome_text(WEIR_FORWARDED), "to its backend");
	assert_string_equal(internal_name(WEIR_INTERNAL_CLASHED), "CLASHED");
	for (int i = 0; i < WEIR_OUTCOME_COUNT; i++) {
		size_t known = 0;

		assert_non_null(outcome_name(i));
		assert_non_null(outcome_text(i));
		for (size_t j = 0; j < 4; j++)
			known += !strcmp(outcome_action(i), actions[j]);
		assert_int_equal(known, 1);
	}
	for (int i = 0; i < WEIR_INTERNAL_COUNT; i++)
		assert_true(internal_name(i) && internal_text(i));
	assert_null(outcome_name(WEIR_OUTCOME_COUNT));
	assert_null(internal_text(WEIR_INTERNAL_COUNT));
}

static void without_a_clock_flows_come_without_age(void **state)
{
	struct maps *maps = *state;
	struct seen seen = {};
	__u64 jiffies = 77;
	int rc;

	if (!has_spill(maps))
		skip();
	narrow(maps, 0, 0)->what = make_what(2, 7, LIVE, 1000);
	rc = stats_flows(maps, see, &seen);
	assert_int_equal(rc, -ENOENT);
	assert_int_equal(seen.count, 1);
	assert_int_equal(seen.flows[0].idle_s, 0);
	assert_int_equal(stats_jiffies(maps, &jiffies), -ENOENT);
	assert_int_equal(jiffies, 77);
}

/* The clock as the packet path has it: *(__u64 *)ctx = bpf_jiffies64(). */
static int load_clock(const char *path)
{
	const struct bpf_insn program[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 6, .src_reg = 1},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_jiffies64},
		{.code = BPF_STX | BPF_MEM | BPF_DW, .dst_reg = 6, .src_reg = 0},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .prog_flags = BPF_F_SLEEPABLE);
	int fd = bpf_prog_load(BPF_PROG_TYPE_SYSCALL, "clock", "GPL", program,
			       sizeof(program) / sizeof(program[0]), &opts);
	int rc = fd < 0 ? -errno : bpf_obj_pin(fd, path);

	if (fd >= 0)
		close(fd);
	return rc;
}

/* A bpf file system of our own, in a mount namespace of our own. */
static int pin_clock(struct maps *maps)
{
	char path[sizeof(maps->directory) + 16];

	snprintf(maps->directory, sizeof(maps->directory), CLOCK_DIRECTORY);
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return -errno;
	if (!mkdtemp(maps->directory))
		return -errno;
	if (mount("bpf", maps->directory, "bpf", 0, NULL))
		return -errno;
	snprintf(path, sizeof(path), "%s/prog_clock", maps->directory);
	return load_clock(path);
}

/* Idle time of a flow that was seen `units` ago, while the clock stays within one unit. */
static unsigned int idle_after(struct maps *maps, __u64 units)
{
	__u64 before = 0, after = 0;
	unsigned int idle_s;

	do {
		assert_int_equal(stats_jiffies(maps, &before), 0);
		narrow(maps, 0, 0)->what = make_what(2, 7, LIVE, ((before >> 11) - units) & 0x1fff);
		idle_s = only_flow(maps).idle_s;
		assert_int_equal(stats_jiffies(maps, &after), 0);
	} while (before >> 11 != after >> 11);
	return idle_s;
}

static void ages_are_told_by_the_kernels_clock(void **state)
{
	struct maps *maps = *state;
	struct timespec pause = {.tv_nsec = 40 * 1000 * 1000};
	__u64 first = 0, second = 0;
	struct seen seen = {};

	if (geteuid() || pin_clock(maps)) {
		print_message("SKIP: the clock needs root (CAP_BPF, CAP_SYS_ADMIN)\n");
		skip();
	}
	assert_int_equal(stats_jiffies(maps, &first), 0);
	nanosleep(&pause, NULL);
	assert_int_equal(stats_jiffies(maps, &second), 0);
	assert_true(second >= first + 3); /* at 100 Hz, the slowest */
	assert_true(second < first + 10000);
	assert_int_equal(idle_after(maps, 0), 0);
	assert_int_equal(idle_after(maps, 5), 5 * 2048 / 250);
	assert_int_equal(idle_after(maps, 1000), 1000 * 2048 / 250);
	assert_int_equal(idle_after(maps, 8000), 8000 * 2048 / 250);
	assert_int_equal(idle_after(maps, -1), 0); /* seen after the clock was read */
	assert_int_equal(stats_flows(maps, see, &seen), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_maps, free_maps)
		TEST(ipv4_flow_is_decoded),
		TEST(ipv6_flow_is_decoded),
		TEST(any_port_flow_knows_its_port),
		TEST(highest_ids_do_not_run_into_each_other),
		TEST(states_have_their_names),
		TEST(free_and_half_written_flows_are_not_shown),
		TEST(ids_beyond_the_limits_are_not_followed),
		TEST(flow_of_a_reused_backend_id_does_not_name_the_new_one),
		TEST(walk_stops_when_told),
		TEST(spilled_flows_are_shown),
		TEST(recount_covers_all_three_tables),
		TEST(flow_that_changes_is_never_seen_in_pieces),
		TEST(counters_are_summed_over_cpus),
		TEST(outcomes_are_summed_over_cpus),
		TEST(outcomes_have_their_names),
		TEST(without_a_clock_flows_come_without_age),
		TEST(ages_are_told_by_the_kernels_clock),
	};

	return cmocka_run_group_tests_name("stats", tests, NULL, NULL);
}
