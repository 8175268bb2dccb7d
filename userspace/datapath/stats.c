/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * stats.c - reads what the packet path writes, while it goes on writing: the counters, the flow
 * tables, and its clock. Writes nothing. Layouts are in bpf/abi.h.
 */
#include "datapath/stats.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READ_TRIES  8 /* looks at an entry that changes under us */
#define SPILL_BATCH 1024
#define AGES_AHEAD  16 /* a flow seen after we read the clock has an age that is still to come */

#define ACTION_NONE "none"
#define ACTION_PASS "pass"
#define ACTION_SENT "sent"
#define ACTION_DROP "drop"

static const struct {
	const char *name, *action, *text;
} outcomes[WEIR_OUTCOME_COUNT] = {
#define X(name, action, text) [WEIR_##name] = {#name, ACTION_##action, text},
	WEIR_OUTCOMES(X)
#undef X
};

static const struct {
	const char *name, *text;
} internals[WEIR_INTERNAL_COUNT] = {
#define X(name, text) [WEIR_INTERNAL_##name] = {#name, text},
	WEIR_INTERNALS(X)
#undef X
};

const char *outcome_name(enum weir_outcome outcome)
{
	return outcome < WEIR_OUTCOME_COUNT ? outcomes[outcome].name : NULL;
}

const char *outcome_text(enum weir_outcome outcome)
{
	return outcome < WEIR_OUTCOME_COUNT ? outcomes[outcome].text : NULL;
}

const char *outcome_action(enum weir_outcome outcome)
{
	return outcome < WEIR_OUTCOME_COUNT ? outcomes[outcome].action : NULL;
}

const char *internal_name(enum weir_internal internal)
{
	return internal < WEIR_INTERNAL_COUNT ? internals[internal].name : NULL;
}

const char *internal_text(enum weir_internal internal)
{
	return internal < WEIR_INTERNAL_COUNT ? internals[internal].text : NULL;
}

static __u64 read_counter(const __u64 *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

/* All of struct weir_counters is counters. */
static void add_counters(struct weir_counters *sum, const struct weir_counters *counters)
{
	const __u64 *from = (const __u64 *)counters;
	__u64 *to = (__u64 *)sum;
	size_t i;

	for (i = 0; i < sizeof(*sum) / sizeof(*to); i++)
		to[i] += read_counter(&from[i]);
}

void stats_backend(struct maps *maps, __u32 backend, struct weir_counters *ret_sum,
		   __u32 *ret_active)
{
	const struct weir_settings *settings = maps->settings;
	const struct weir_counters *counters = maps_counters(maps);
	const struct weir_gauge *gauges = maps_gauges(maps);
	__u32 cpu;

	*ret_sum = (struct weir_counters){};
	for (cpu = 0; counters && cpu < settings->cpus; cpu++)
		add_counters(ret_sum, &counters[(size_t)cpu * settings->backends + backend]);
	*ret_active = gauges ? __atomic_load_n(&gauges[backend].active, __ATOMIC_RELAXED) : 0;
}

__u64 stats_outcome(struct maps *maps, int hook, enum weir_outcome outcome)
{
	const struct weir_outcome_counters *counters = maps_array(maps, MAP_outcomes);
	__u64 sum = 0;
	__u32 cpu;

	for (cpu = 0; counters && cpu < maps->settings->cpus; cpu++)
		sum += read_counter(&counters[cpu * WEIR_HOOKS + hook].packets[outcome]);
	return sum;
}

__u64 stats_internal(struct maps *maps, enum weir_internal internal)
{
	const struct weir_internal_counters *counters = maps_array(maps, MAP_internals);
	__u64 sum = 0;
	__u32 cpu;

	for (cpu = 0; counters && cpu < maps->settings->cpus; cpu++)
		sum += read_counter(&counters[cpu].count[internal]);
	return sum;
}

int stats_jiffies(struct maps *maps, __u64 *ret_jiffies)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);
	char path[sizeof(maps->directory) + 16];
	__u64 jiffies = 0;
	int fd, rc;

	snprintf(path, sizeof(path), "%s/prog_clock", maps->directory);
	fd = bpf_obj_get(path);
	if (fd < 0)
		return -errno;
	/* The kernel writes the context of such a program back where it came from, not to ctx_out. */
	opts.ctx_in = &jiffies;
	opts.ctx_size_in = sizeof(jiffies);
	rc = bpf_prog_test_run_opts(fd, &opts);
	close(fd);
	if (rc)
		return rc < 0 ? rc : -rc;
	*ret_jiffies = jiffies;
	return 0;
}

/* One flow, as it was at one moment. */
struct snapshot {
	__u64 who, what;
	struct weir_address client; /* of wide flows */
	bool is_spilled;
};

typedef int (*snapshot_each)(const struct snapshot *snapshot, void *arg);

static bool is_taken(__u64 what)
{
	return (what & WEIR_FLOW_STATE) == WEIR_FLOW_LIVE ||
	       (what & WEIR_FLOW_STATE) == WEIR_FLOW_CLOSED;
}

/*
 * The rest of an entry is written only while `what` says CLAIMING: what was read between two
 * equal looks at `what` belongs together. At `who` as well, because the next client's `what` may
 * be the same. False for a free entry, and for one that never rests.
 */
static bool read_flow(const __u64 *who, const __u64 *what, const struct weir_address *client,
		      struct snapshot *ret_snapshot)
{
	struct snapshot taken = {};
	int i;

	for (i = 0; i < READ_TRIES; i++) {
		taken.what = __atomic_load_n(what, __ATOMIC_ACQUIRE);
		if (!is_taken(taken.what))
			return false;
		taken.who = __atomic_load_n(who, __ATOMIC_ACQUIRE);
		for (int word = 0; client && word < 4; word++)
			taken.client.word[word] =
				__atomic_load_n(&client->word[word], __ATOMIC_RELAXED);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (__atomic_load_n(who, __ATOMIC_ACQUIRE) == taken.who &&
		    __atomic_load_n(what, __ATOMIC_RELAXED) == taken.what) {
			*ret_snapshot = taken;
			return true;
		}
	}
	return false;
}

static int walk_narrow(struct maps *maps, snapshot_each each, void *arg)
{
	const struct weir_bucket *buckets = maps_array(maps, MAP_flows);
	struct snapshot snapshot;
	int rc = buckets ? 0 : -ENOMEM;
	__u32 i;
	int way;

	for (i = 0; !rc && i < maps->settings->flow_buckets; i++) {
		for (way = 0; !rc && way < WEIR_WAYS; way++) {
			const struct weir_flow *flow = &buckets[i].way[way];

			if (read_flow(&flow->who, &flow->what, NULL, &snapshot))
				rc = each(&snapshot, arg);
		}
	}
	return rc;
}

static int walk_wide(struct maps *maps, snapshot_each each, void *arg)
{
	const struct weir_bucket_wide *buckets = maps_array(maps, MAP_flows_wide);
	struct snapshot snapshot;
	int rc = buckets ? 0 : -ENOMEM;
	__u32 i;
	int way;

	for (i = 0; !rc && i < maps->settings->flow_wide_buckets; i++) {
		for (way = 0; !rc && way < WEIR_WAYS; way++) {
			const struct weir_flow_wide *flow = &buckets[i].way[way];

			if (read_flow(&flow->who, &flow->what, &flow->client, &snapshot))
				rc = each(&snapshot, arg);
		}
	}
	return rc;
}

struct spill_batch {
	struct weir_spill_key keys[SPILL_BATCH];
	struct weir_spill values[SPILL_BATCH];
};

static int walk_batch(const struct spill_batch *batch, __u32 count, snapshot_each each, void *arg)
{
	struct snapshot snapshot;
	int rc = 0;
	__u32 i;

	for (i = 0; !rc && i < count; i++) {
		const struct weir_spill *spill = &batch->values[i];

		if (!read_flow(&spill->who, &spill->what, &batch->keys[i].client, &snapshot))
			continue;
		snapshot.is_spilled = true;
		rc = each(&snapshot, arg);
	}
	return rc;
}

/*
 * By batches, which go on from a bucket of the hash: a walk by keys starts again when its key is
 * deleted meanwhile. The kernel copies values word by word, so a spilled flow may be torn; its
 * `who` never changes, and its `what` is one word.
 */
static int walk_spill(struct maps *maps, snapshot_each each, void *arg)
{
	struct spill_batch *batch = malloc(sizeof(*batch));
	__u32 place, *from = NULL;
	__u32 count;
	int rc, end;

	if (!batch)
		return -ENOMEM;
	do {
		count = SPILL_BATCH;
		end = 0;
		if (bpf_map_lookup_batch(maps->fds[MAP_spill], from, &place, batch->keys,
					 batch->values, &count, NULL))
			end = -errno;
		if (end && end != -ENOENT) {
			rc = end;
			break;
		}
		rc = walk_batch(batch, count, each, arg);
		from = &place;
	} while (!rc && !end);
	free(batch);
	return rc;
}

static int walk_flows(struct maps *maps, snapshot_each each, void *arg)
{
	int rc = walk_narrow(maps, each, arg);

	if (!rc)
		rc = walk_wide(maps, each, arg);
	if (!rc)
		rc = walk_spill(maps, each, arg);
	return rc;
}

static const char *flow_state(__u64 what)
{
	const __u64 fins = WEIR_FLOW_FIN_CLIENT | WEIR_FLOW_FIN_BACKEND;

	if ((what & WEIR_FLOW_STATE) == WEIR_FLOW_CLOSED)
		return "closed";
	if (what & WEIR_FLOW_RESET)
		return "reset";
	if ((what & fins) == fins)
		return "closing";
	if (what & WEIR_FLOW_PROVEN)
		return "open";
	return what & WEIR_FLOW_ANSWERED ? "answered" : "unproven";
}

struct decoder {
	struct maps *maps;
	const struct weir_frontend *frontends;
	const struct weir_backend *backends;
	bool has_clock;
	__u64 jiffies;
	int (*each)(const struct stats_flow *flow, void *arg);
	void *arg;
};

static unsigned int idle_seconds(const struct decoder *decoder, __u64 what)
{
	const struct weir_settings *settings = decoder->maps->settings;
	__u64 now = decoder->jiffies >> settings->age_shift;
	__u64 units = (now - (what >> WEIR_WHAT_AGE_SHIFT)) & WEIR_AGE_MASK;

	if (!decoder->has_clock || !settings->jiffies_per_second ||
	    units > WEIR_AGE_MASK - AGES_AHEAD)
		return 0;
	return (units << settings->age_shift) / settings->jiffies_per_second;
}

static void set_v4(struct addr *addr, __be32 v4)
{
	*addr = (struct addr){.bytes = {[10] = 0xff, [11] = 0xff}};
	memcpy(addr->bytes + 12, &v4, sizeof(v4));
}

static void set_addr(struct addr *addr, const struct weir_address *from)
{
	memcpy(addr->bytes, from, sizeof(addr->bytes));
}
_Static_assert(sizeof(struct addr) == sizeof(struct weir_address), "addr");

static void decode_backend(const struct weir_backend *backend, __u64 who, struct stats_flow *flow)
{
	if (backend->generation != (__u8)(who >> WEIR_WHO_GENERATION_SHIFT))
		return;
	set_addr(&flow->backend_addr, &backend->address);
	flow->backend_port = backend->port ? ntohs(backend->port) : flow->vip_port;
}

/* Which table a flow is in follows from its frontend; so does what the low half of `who` is. */
static void decode_ends(const struct weir_frontend *frontend, const struct snapshot *snapshot,
			struct stats_flow *flow)
{
	set_addr(&flow->vip, &frontend->vip);
	flow->vip_port = ntohs(frontend->port);
	flow->client_port = ntohs((__be16)(snapshot->who >> WEIR_WHO_PORT_SHIFT));
	if (addr_is_v4(&flow->vip) && !(frontend->flags & WEIR_FRONTEND_ANY_PORT)) {
		set_v4(&flow->client, (__be32)snapshot->who);
	} else {
		set_addr(&flow->client, &snapshot->client);
		flow->vip_port = ntohs((__be16)snapshot->who);
	}
}

static int decode_flow(const struct snapshot *snapshot, void *arg)
{
	const struct decoder *decoder = arg;
	const struct weir_settings *settings = decoder->maps->settings;
	__u64 who = snapshot->who, what = snapshot->what;
	struct stats_flow flow = {
		.protocol = who & WEIR_WHO_UDP ? IPPROTO_UDP : IPPROTO_TCP,
		.frontend = what & WEIR_WHAT_FRONTEND_MASK,
		.backend = (what >> WEIR_WHAT_BACKEND_SHIFT) & WEIR_WHAT_BACKEND_MASK,
		.state = flow_state(what),
		.idle_s = idle_seconds(decoder, what),
		.is_picked_up = what & WEIR_FLOW_PICKED_UP,
		.is_from_node = what & WEIR_FLOW_FROM_NODE,
		.is_spilled = snapshot->is_spilled,
		.is_counted = what & WEIR_FLOW_COUNTED,
	};

	if (flow.frontend >= settings->frontends || flow.backend >= settings->backends)
		return 0; /* no packet path of these limits wrote that */
	flow.service = decoder->frontends[flow.frontend].service;
	decode_ends(&decoder->frontends[flow.frontend], snapshot, &flow);
	decode_backend(&decoder->backends[flow.backend], who, &flow);
	return decoder->each(&flow, decoder->arg);
}

int stats_flows(struct maps *maps, int (*each)(const struct stats_flow *flow, void *arg), void *arg)
{
	struct decoder decoder = {
		.maps = maps,
		.frontends = maps_frontends(maps),
		.backends = maps_backends(maps),
		.each = each,
		.arg = arg,
	};
	int clock_error = stats_jiffies(maps, &decoder.jiffies);
	int rc;

	if (!decoder.frontends || !decoder.backends)
		return -ENOMEM;
	decoder.has_clock = !clock_error;
	rc = walk_flows(maps, decode_flow, &decoder);
	return rc ? rc : clock_error;
}

struct recount {
	__u32 *counts;
	__u32 backends;
};

static int count_flow(const struct snapshot *snapshot, void *arg)
{
	__u64 backend = (snapshot->what >> WEIR_WHAT_BACKEND_SHIFT) & WEIR_WHAT_BACKEND_MASK;
	struct recount *recount = arg;

	if (snapshot->what & WEIR_FLOW_COUNTED && backend < recount->backends)
		recount->counts[backend]++;
	return 0;
}

int stats_recount(struct maps *maps, __u32 *ret_counts)
{
	struct recount recount = {ret_counts, maps->settings->backends};

	memset(ret_counts, 0, sizeof(*ret_counts) * recount.backends);
	return walk_flows(maps, count_flow, &recount);
}
