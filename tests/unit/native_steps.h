/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * native_steps.h - packets of a few flows through the flow table, for tests in which several CPUs
 * do that at once. The test supplies steps_between(), which is called before and after each
 * READ_ONCE and WRITE_ONCE of the packet path: there another CPU may come in.
 *
 * The backend of a flow is a function of its tuple, so that whoever finds a flow can tell whether
 * it is the one asked for.
 */
#ifndef WEIR_NATIVE_STEPS_H
#define WEIR_NATIVE_STEPS_H

static void steps_between(void);
#define READ_ONCE(x)                                                            \
	({                                                                      \
		steps_between();                                                \
		typeof(x) once_value = __atomic_load_n(&(x), __ATOMIC_RELAXED); \
		steps_between();                                                \
		once_value;                                                     \
	})
#define WRITE_ONCE(x, value)                                       \
	({                                                         \
		steps_between();                                   \
		__atomic_store_n(&(x), (value), __ATOMIC_RELAXED); \
		steps_between();                                   \
	})

#include "native_flows.h"

#include <stdatomic.h>

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

/* Found at all, found or told something wrong, not found. */
static atomic_ulong found, wrong, missed;

/* The n-th backend of the service, but not the same for two of its frontends. */
static __u32 backend_of(const struct target *target, __u32 client, __u16 port)
{
	__u32 half = (target->vip & 1) * 2; /* two frontends of one service: vip 1, 2 and 4, 6 */

	if (target->vip == 6)
		half = 2;
	return target_backend(target, half + (client * 7 + port) % 2);
}

static void open_tuples(__u32 spilled)
{
	flows_open(2, 2, spilled);
	for (__u32 i = 0; i < TUPLES; i++) {
		const struct target *target = &targets[i % FLOWS_TARGETS];
		__u32 client = i / FLOWS_TARGETS / PORTS;
		__u16 port = 40000 + i / FLOWS_TARGETS % PORTS;

		tuples[i] = (struct tuple){target, client, backend_of(target, client, port), port};
	}
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

/* How often one flow lies in a table (not in `spill`, which is asked after them). */
struct search {
	const struct tuple *tuple;
	struct flow_key key;
	__u32 hits, used, proven;
};

static void search_one(__u64 *who, __u64 *what, bool is_wide, __u32 at, void *arg)
{
	struct search *search = arg;

	__u64 fresh = WEIR_FLOW_LIVE | (*what & WEIR_FLOW_PICKED_UP);

	if (at == FLOW_SPILLED || is_wide != target_is_wide(search->tuple->target) ||
	    !flow_is_taken(*what) || flow_frontend(*what) != search->tuple->target->frontend ||
	    !flow_is_of(who, &search->key, is_wide, FLOW_FORWARD))
		return;
	search->hits++;
	search->used += (*what & FLOW_FLAGS) != fresh || *what >> WEIR_WHAT_AGE_SHIFT != flow_now();
	search->proven += !!(*what & WEIR_FLOW_PROVEN);
}

/*
 * Flows that lie in a table twice. An entry that a packet has used since is not taken back: then
 * the other one is in nobody's way, and ends as an unproven flow.
 */
static __u32 count_duplicates(void)
{
	__u32 duplicates = 0;

	for (__u32 i = 0; i < TUPLES; i++) {
		const struct tuple *tuple = &tuples[i];
		struct packet packet = packet_to(tuple->target, tuple->client, tuple->port);
		struct search search = {.tuple = tuple, .key = key_of(tuple->target, &packet)};

		flows_walk(search_one, &search);
		duplicates += (search.hits > 1 && !search.used) || search.proven > 1;
	}
	return duplicates;
}

#endif
