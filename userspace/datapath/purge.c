/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* purge.c - frees flows of frontends that were taken away; see purge.h. */
#include "datapath/purge.h"

#include "datapath/store.h"

#include <linux/membarrier.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool is_orphan(struct maps *maps, __u64 what)
{
	__u32 frontend = (__u32)(what & WEIR_WHAT_FRONTEND_MASK);
	__u64 state = what & WEIR_FLOW_STATE;

	if (state != WEIR_FLOW_LIVE && state != WEIR_FLOW_CLOSED)
		return false;
	return frontend >= maps->settings->frontends ||
	       !(maps_frontends(maps)[frontend].flags & WEIR_FRONTEND_VALID);
}

/*
 * The flow was open for the gauge of its backend. `closed` goes to this CPU's counters: there one
 * instruction cannot be in the middle of an increment of the packet path. A run killed right here
 * leaves the gauge one too high; then the backend's id is never used again, nothing worse.
 */
static void count_closed(struct maps *maps, __u64 what)
{
	const struct weir_settings *settings = maps->settings;
	__u32 backend = (__u32)(what >> WEIR_WHAT_BACKEND_SHIFT & WEIR_WHAT_BACKEND_MASK);
	int cpu = sched_getcpu();
	size_t row = cpu < 0 || (__u32)cpu >= settings->cpus ? 0 : (size_t)cpu;

	if (!(what & WEIR_FLOW_COUNTED) || backend >= settings->backends)
		return;
	__atomic_fetch_sub(&maps_gauges(maps)[backend].active, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&maps_counters(maps)[row * settings->backends + backend].closed, 1,
			   __ATOMIC_RELAXED);
	STORED();
}

static void free_if_orphan(struct maps *maps, __u64 *place)
{
	__u64 what = __atomic_load_n(place, __ATOMIC_ACQUIRE);

	while (is_orphan(maps, what)) {
		if (__atomic_compare_exchange_n(place, &what, 0, false, __ATOMIC_ACQ_REL,
						__ATOMIC_ACQUIRE)) {
			count_closed(maps, what);
			return;
		}
	}
}

static void purge_tables(struct maps *maps)
{
	struct weir_bucket *buckets = maps_array(maps, MAP_flows);
	struct weir_bucket_wide *wide = maps_array(maps, MAP_flows_wide);

	for (__u32 i = 0; i < maps->settings->flow_buckets; i++) {
		for (int way = 0; way < WEIR_WAYS; way++)
			free_if_orphan(maps, &buckets[i].way[way].what);
	}
	for (__u32 i = 0; i < maps->settings->flow_wide_buckets; i++) {
		for (int way = 0; way < WEIR_WAYS; way++)
			free_if_orphan(maps, &wide[i].way[way].what);
	}
}

/* Keys are gathered first: a walk that deletes what it stands on starts again. */
static int gather_spilled(struct maps *maps, struct weir_spill_key **ret_keys, size_t *ret_count)
{
	struct weir_spill_key key, *keys = NULL, *last = NULL;
	struct weir_spill value;
	size_t count = 0, room = 0;

	while (!bpf_map_get_next_key(maps->fds[MAP_spill], last, &key)) {
		last = &key;
		if (bpf_map_lookup_elem(maps->fds[MAP_spill], &key, &value) ||
		    !is_orphan(maps, value.what))
			continue;
		if (count == room) {
			struct weir_spill_key *more;

			room = room ? room * 2 : 64;
			more = reallocarray(keys, room, sizeof(*keys));
			if (!more) {
				free(keys);
				return -ENOMEM;
			}
			keys = more;
		}
		keys[count++] = key;
	}
	*ret_keys = keys;
	*ret_count = count;
	return 0;
}

static int purge_spilled(struct maps *maps)
{
	struct weir_spill_key *keys;
	struct weir_spill value;
	size_t count;
	int rc = gather_spilled(maps, &keys, &count);

	if (rc)
		return rc;
	for (size_t i = 0; i < count; i++) {
		/* In one step, so that what is uncounted is what was deleted. */
		if (bpf_map_lookup_and_delete_elem(maps->fds[MAP_spill], &keys[i], &value))
			continue;
		__atomic_fetch_sub(&maps->settings->spilled, 1, __ATOMIC_RELAXED);
		count_closed(maps, value.what);
	}
	free(keys);
	return 0;
}

int purge_flows(struct maps *maps, struct err *err)
{
	int rc;

	if (!maps_array(maps, MAP_flows) || !maps_array(maps, MAP_flows_wide) ||
	    !maps_gauges(maps) || !maps_counters(maps))
		return err_set(err, -ENOMEM, "cannot map the flow tables: %s", strerror(errno));
	/*
	 * A grace period of RCU: no program that saw the frontend before it was taken away still
	 * runs, so none adds a flow behind us. A kernel without it (nohz_full) leaves a race of
	 * some microseconds, whose flow would be found by the next purge.
	 */
	syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
	purge_tables(maps);
	rc = purge_spilled(maps);
	return rc ? err_set(err, rc, "out of memory") : 0;
}
