/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * native_flows.h - frontends, backends and clients for tests of the flow table, the packets
 * between them, and the count of what the tables hold.
 */
#ifndef WEIR_NATIVE_FLOWS_H
#define WEIR_NATIVE_FLOWS_H

#include "native_world.h"

/* What a client asks for: a frontend, and at an any-port one a port. */
struct target {
	bool is_v6, is_any_port;
	__u8 protocol;
	__u8 vip; /* last byte of the address */
	__u16 port; /* of the frontend; what is asked for at an any-port one */
	__u32 frontend, service;
};
static const struct target targets[] = {
	{false, false, IPPROTO_TCP, 1, 80, 11, 0}, {false, false, IPPROTO_TCP, 2, 80, 12, 0},
	{false, false, IPPROTO_UDP, 1, 53, 13, 1}, {false, true, IPPROTO_TCP, 3, 100, 14, 2},
	{false, true, IPPROTO_TCP, 3, 200, 14, 2}, {true, false, IPPROTO_TCP, 4, 443, 15, 3},
	{true, true, IPPROTO_UDP, 5, 300, 16, 4},  {true, true, IPPROTO_UDP, 5, 400, 16, 4},
	{true, false, IPPROTO_TCP, 6, 443, 17, 3},
};
#define FLOWS_TARGETS  (sizeof(targets) / sizeof(targets[0]))
#define FLOWS_BACKENDS 4 /* of each service, ids service * 16 and on */

static inline bool target_is_wide(const struct target *target)
{
	return target->is_v6 || target->is_any_port;
}

static inline struct weir_address target_vip(const struct target *target)
{
	return target->is_v6 ? world_v6(1, target->vip) : world_v4(192, 0, 2, target->vip);
}

static inline __u32 target_backend(const struct target *target, __u32 n)
{
	return target->service * 16 + n % FLOWS_BACKENDS;
}

static inline void flows_open(__u32 buckets, __u32 wide_buckets, __u32 spilled)
{
	static const __u16 backend_ports[] = {8080, 5353, 0, 8443, 0};

	world_open(buckets, wide_buckets, spilled, 1);
	for (__u32 i = 0; i < FLOWS_TARGETS; i++) {
		const struct target *to = &targets[i];

		world_frontend(to->frontend, target_vip(to),
			       to->is_any_port ? 0 : bpf_htons(to->port), to->protocol, to->service,
			       0);
		for (__u32 n = 0; n < FLOWS_BACKENDS; n++) {
			__u32 id = target_backend(to, n);

			world_backend(id, to->is_v6 ? world_v6(2, id) : world_v4(10, 2, 0, id),
				      bpf_htons(backend_ports[to->service]), to->service);
		}
	}
}

static inline struct weir_address client_address(const struct target *target, __u32 client)
{
	return target->is_v6 ? world_v6(3, client) : world_v4(10, 3, client >> 8, client);
}

/* A client's packet, as the parser would have read it. */
static inline struct packet packet_to(const struct target *target, __u32 client, __u16 client_port)
{
	return (struct packet){
		.source = client_address(target, client),
		.destination = target_vip(target),
		.source_port = bpf_htons(client_port),
		.destination_port = bpf_htons(target->port),
		.is_v6 = target->is_v6,
		.protocol = target->protocol,
		.tcp_flags = target->protocol == IPPROTO_TCP ? TCP_ACK : 0,
		.came_by = 5,
	};
}

/* The answer of a backend of the target. */
static inline struct packet packet_from(const struct target *target, __u32 backend, __u32 client,
					__u16 client_port)
{
	const struct weir_backend *by = &native_values(&backends)[backend];
	struct packet packet = packet_to(target, client, client_port);

	packet.destination = packet.source;
	packet.destination_port = packet.source_port;
	packet.source = by->address;
	packet.source_port = by->port ? by->port : bpf_htons(target->port);
	return packet;
}

static inline struct flow_key key_of(const struct target *target, const struct packet *to)
{
	struct flow_key key = {};

	if (target_is_wide(target))
		flow_key_make(&key, true, &to->source, to->source_port, to->destination_port,
			      to->protocol);
	else
		flow_key_make(&key, false, &to->source, to->source_port, to->destination_port,
			      to->protocol);
	return key;
}

/* As balance_record adds it: what flow_add says. */
static inline int flows_add(const struct target *target, const struct packet *to, __u32 backend,
			    __u64 flags)
{
	struct flow_key key = key_of(target, to);

	key.who |= (__u64)native_values(&backends)[backend].generation << WEIR_WHO_GENERATION_SHIFT;
	return flow_add(&key, target->frontend | (__u64)backend << WEIR_WHAT_BACKEND_SHIFT | flags,
			to, target_is_wide(target));
}

static inline bool flows_find(struct flow *flow, const struct target *target,
			      const struct packet *packet, enum flow_side side)
{
	memset(flow, 0, sizeof(*flow));
	return target_is_wide(target) ? balance_find(flow, packet, true, side)
				      : balance_find(flow, packet, false, side);
}

/* Every entry of both tables and of `spill`; `is_wide` is what its maps are, `at` its index. */
typedef void flows_visit(__u64 *who, __u64 *what, bool is_wide, __u32 at, void *arg);

static inline void flows_walk(flows_visit *visit, void *arg)
{
	struct native_map *map = spill.type_native;
	struct weir_spill *spilled = native_values(&spill);

	for (__u32 i = 0; i < config.flow_buckets * WEIR_WAYS; i++) {
		struct weir_flow *flow = &native_values(&flows)[i / WEIR_WAYS].way[i % WEIR_WAYS];

		visit(&flow->who, &flow->what, false, i, arg);
	}
	for (__u32 i = 0; i < config.flow_wide_buckets * WEIR_WAYS; i++) {
		struct weir_flow_wide *flow =
			&native_values(&flows_wide)[i / WEIR_WAYS].way[i % WEIR_WAYS];

		visit(&flow->who, &flow->what, true, i, arg);
	}
	for (__u32 i = 0; i < map->max_entries; i++)
		if (map->is_used[i])
			visit(&spilled[i].who, &spilled[i].what, false, FLOW_SPILLED, arg);
}

static inline __u32 flows_spilled(void)
{
	__u32 used = 0;

	for (__u32 i = 0; i < spill.type_native->max_entries; i++)
		used += spill.type_native->is_used[i];
	return used;
}

struct flows_count {
	__u32 counted[WORLD_BACKENDS];
	__u32 taken, claiming;
};

static inline void flows_count_one(__u64 *who, __u64 *what, bool is_wide, __u32 at, void *arg)
{
	struct flows_count *count = arg;

	count->taken += flow_is_taken(*what);
	count->claiming += (*what & WEIR_FLOW_STATE) == WEIR_FLOW_CLAIMING;
	if (*what & WEIR_FLOW_COUNTED)
		count->counted[flow_backend(*what)]++;
}

/*
 * The books: each gauge is the number of counted flows, and what the counters say it is. NULL, or
 * what is wrong.
 */
static inline const char *flows_audit(struct flows_count *count)
{
	memset(count, 0, sizeof(*count));
	flows_walk(flows_count_one, count);
	if (count->claiming)
		return "an entry is still claimed";
	for (__u32 id = 0; id < WORLD_BACKENDS; id++) {
		struct weir_counters sum = world_counters(id);
		__u32 active = native_values(&gauges)[id].active;

		if (active != count->counted[id])
			return "a gauge is not the number of counted flows";
		if (sum.opened + sum.revived - sum.closed != active)
			return "opened + revived - closed is not active";
	}
	if (world_settings()->spilled != flows_spilled())
		return "settings.spilled is not the number of spilled flows";
	return NULL;
}

#endif
