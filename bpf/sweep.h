/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * sweep.h - ends what is over: one timer per shard of the flow tables, every four seconds. A flow
 * that closes leaves the gauge and keeps its backend for late segments; later it is freed.
 *
 * Timers live as long as their map is pinned, so this goes on without user space.
 */
#ifndef WEIR_SWEEP_H
#define WEIR_SWEEP_H

#include "flow.h"

#define SWEEP_SHARDS          64
#define SWEEP_INTERVAL_NS     4000000000ull
#define SWEEP_CLOCK_MONOTONIC 1

struct sweeper {
	struct bpf_timer timer;
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SWEEP_SHARDS);
	__type(key, __u32);
	__type(value, struct sweeper);
} sweepers SEC(".maps");

struct sweep {
	__u64 now;
	__u32 first; /* bucket */
	__u32 zero;
};

/* What becomes of a flow whose time is over: open ones close, the others are freed. */
static __always_inline __u64 sweep_next(__u64 what, __u64 now)
{
	if ((what & WEIR_FLOW_STATE) == WEIR_FLOW_LIVE && flow_is_closing(what) &&
	    what & WEIR_FLOW_PROVEN)
		return (what & ~(WEIR_FLOW_STATE | WEIR_FLOW_COUNTED) &
			((1ull << WEIR_WHAT_AGE_SHIFT) - 1)) |
		       WEIR_FLOW_CLOSED | now << WEIR_WHAT_AGE_SHIFT;
	return what & ~FLOW_FLAGS;
}

/* True when the entry is free afterwards. */
static __always_inline bool sweep_entry(__u64 *who, __u64 *what, __u64 now,
					const struct weir_settings *set)
{
	__u64 seen = READ_ONCE(*what), next;

	if (!flow_is_taken(seen) || !flow_is_over(READ_ONCE(*who), seen, now, set))
		return false;
	next = sweep_next(seen, now);
	if (!flow_change(what, seen, next) || flow_is_taken(next))
		return false;
	internal_count(WEIR_INTERNAL_FLOW_SWEPT);
	return true;
}

static __always_inline long sweep_bucket_of(__u32 step, const struct sweep *sweep, bool is_wide)
{
	struct weir_settings *set = map_at(settings, 0);
	__u64 *bucket = flow_bucket(is_wide, sweep->first + step);

	if (!set || !bucket)
		return 1;
	for (int way = 0; way < WEIR_WAYS; way++) {
		__u64 *entry = flow_entry(bucket, is_wide, way);

		sweep_entry(entry, entry + 1, sweep->now, set);
	}
	return 0;
}

static long sweep_bucket(__u32 step, void *sweep)
{
	return sweep_bucket_of(step, sweep, false);
}

static long sweep_bucket_wide(__u32 step, void *sweep)
{
	return sweep_bucket_of(step, sweep, true);
}

/*
 * Of two sweeps at once only the one that claims an entry deletes it: the other would delete the
 * flow that came after it.
 */
static long sweep_spilled(void *map, const void *key, void *value, void *arg)
{
	struct weir_settings *set = map_at(settings, 0);
	struct weir_spill *spilled = value;
	struct sweep *sweep = arg;
	__u64 seen;

	if (!set || !spilled || !sweep)
		return 1;
	sweep_entry(&spilled->who, &spilled->what, sweep->now, set);
	seen = READ_ONCE(spilled->what);
	if ((seen & WEIR_FLOW_STATE) != WEIR_FLOW_FREE ||
	    !flow_change(&spilled->what, seen, seen | WEIR_FLOW_CLAIMING))
		return 0;
	if (bpf_map_delete_elem(map, key))
		WRITE_ONCE(spilled->what, seen);
	else
		__sync_fetch_and_add(&set->spilled, -1);
	return 0;
}

static __always_inline void sweep_shard(__u32 shard)
{
	__u32 narrow = config.flow_buckets / SWEEP_SHARDS;
	__u32 wide = config.flow_wide_buckets / SWEEP_SHARDS;
	struct sweep sweep = {.now = flow_now(), .first = shard * narrow};

	bpf_loop(narrow, sweep_bucket, &sweep, 0);
	sweep.first = shard * wide;
	bpf_loop(wide, sweep_bucket_wide, &sweep, 0);
	if (shard == 0)
		bpf_for_each_map_elem(&spill, sweep_spilled, &sweep, 0);
}

/* A step of bpf_loop: 64 shards in line cost the verifier 371,000 instructions. */
static long sweep_step(__u32 shard, void *arg)
{
	sweep_shard(shard);
	return 0;
}

static __always_inline void sweep_all(void)
{
	bpf_loop(SWEEP_SHARDS, sweep_step, NULL, 0);
}

static int sweep_on_timer(void *map, __u32 *shard, struct sweeper *sweeper)
{
	sweep_shard(*shard);
	bpf_timer_start(&sweeper->timer, SWEEP_INTERVAL_NS, 0);
	return 0;
}

/* Start all timers, spread over the interval; those that run get this program's callback. */
static __always_inline int sweep_start_all(void)
{
	int failed = 0;

	for (__u32 shard = 0; shard < SWEEP_SHARDS; shard++) {
		struct sweeper *sweeper = map_at(sweepers, shard);

		if (!sweeper)
			return -1;
		bpf_timer_init(&sweeper->timer, &sweepers, SWEEP_CLOCK_MONOTONIC);
		if (bpf_timer_set_callback(&sweeper->timer, sweep_on_timer) ||
		    bpf_timer_start(&sweeper->timer,
				    (shard + 1) * (SWEEP_INTERVAL_NS / SWEEP_SHARDS), 0))
			failed++;
	}
	return failed;
}

#endif
