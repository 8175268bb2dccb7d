/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * stats.h - reads counters, outcomes and flows from the mapped arrays: no syscall per entry.
 */
#ifndef WEIR_STATS_H
#define WEIR_STATS_H

#include "base/addr.h"
#include "datapath/maps.h"

/* Sum over CPUs for one backend. */
void stats_backend(struct maps *maps, __u32 backend, struct weir_counters *ret_sum,
		   __u32 *ret_active);

/* Sum over CPUs of an outcome on a hook (WEIR_HOOK_*), and of an internal counter. */
__u64 stats_outcome(struct maps *maps, int hook, enum weir_outcome outcome);
__u64 stats_internal(struct maps *maps, enum weir_internal internal);

const char *outcome_name(enum weir_outcome outcome); /* "FORWARDED" */
const char *outcome_text(enum weir_outcome outcome);
const char *outcome_action(enum weir_outcome outcome); /* "pass", "sent", "drop", "none" */
const char *internal_name(enum weir_internal internal);
const char *internal_text(enum weir_internal internal);

struct stats_flow {
	uint8_t protocol;
	struct addr client, vip;
	uint16_t client_port, vip_port; /* host order */
	__u32 frontend, backend; /* ids */
	struct addr backend_addr; /* all zero: that backend is gone, its id serves another */
	uint16_t backend_port; /* host order */
	__u32 service; /* id */
	const char *state; /* "unproven", "answered", "open", "closing", "reset", "closed" */
	unsigned int idle_s; /* since the last packet, to within one age unit */
	bool is_picked_up, is_from_node, is_spilled, is_counted;
};

/*
 * Call `each` for every flow until it returns other than 0; returns that, or 0. A snapshot that
 * moves. When the age of flows cannot be told (stats_jiffies fails) they all come with idle_s 0,
 * and that error is returned at the end.
 */
int stats_flows(struct maps *maps, int (*each)(const struct stats_flow *flow, void *arg),
		void *arg);

/*
 * Count the flows in the tables that are part of `active`, per backend, into `ret_counts`
 * (settings->backends entries, zeroed by this): the truth that the gauges must equal at rest.
 */
int stats_recount(struct maps *maps, __u32 *ret_counts);

/*
 * The kernel's 64-bit jiffies now, the clock of ages in flows. User space has none, so the pinned
 * program `prog_clock` (SEC("syscall"), context one __u64, which it sets) is run.
 */
int stats_jiffies(struct maps *maps, __u64 *ret_jiffies);

#endif
