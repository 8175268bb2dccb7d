/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * balance.h - 1 to 6, the way of a packet: start reading here.
 *
 * An adapter (skb.h) is included before this file and supplies struct context. Everything that
 * follows is shared by all hooks. A stage returns an outcome; WEIR_CONTINUE goes on to the next.
 */
#ifndef WEIR_BALANCE_H
#define WEIR_BALANCE_H

#include "flow.h"
#include "forward.h"
#include "outcome.h"
#include "packet.h"
#include "pick.h"
#include "refuse.h"
#include "service.h"
#include "track.h"

/* A packet of a known flow goes where the flow goes. */
static __always_inline enum weir_outcome balance_known(struct context *ctx, struct packet *packet,
						       struct flow *flow)
{
	track_forward(flow, packet);
	return forward_to_backend(ctx, packet, flow->backend, flow_backend(flow->seen),
				  flow->frontend->flags);
}

/*
 * Choose a backend whose tuple is free: the client may hold the same port towards another VIP of
 * the same backend, which could not tell the two apart. A backend id, PICK_*, or BALANCE_CLASH.
 */
#define BALANCE_CLASH -3
static __always_inline int balance_choose(const struct packet *packet, const struct flow_key *key,
					  bool is_wide, __u32 frontend_id, __u32 service)
{
	__be16 asked = packet->destination_port;
	int chosen = pick_backend(packet, service, WEIR_NONE);

	if (chosen < 0 || likely(!flow_clashes(key, is_wide, frontend_id, chosen, asked)))
		return chosen;
	internal_count(WEIR_INTERNAL_CLASHED);
	chosen = pick_backend(packet, service, chosen);
	if (chosen < 0 || flow_clashes(key, is_wide, frontend_id, chosen, asked))
		return BALANCE_CLASH;
	return chosen;
}

static __always_inline enum weir_outcome balance_nobody(struct context *ctx, struct packet *packet,
							int why)
{
	switch (why) {
	case BALANCE_CLASH:
		return refuse(ctx, packet, WEIR_REFUSED_CLASH, WEIR_DROP_CLASH);
	case PICK_HAIRPIN:
		return refuse(ctx, packet, WEIR_REFUSED_HAIRPIN, WEIR_DROP_HAIRPIN);
	default:
		return refuse(ctx, packet, WEIR_REFUSED_NO_BACKEND, WEIR_DROP_NO_BACKEND);
	}
}

/*
 * Record the new flow and return its backend: when another CPU was faster with the same flow,
 * that one's choice holds. A RST is worth no flow.
 */
static __always_inline __u32 balance_record(struct packet *packet, struct flow_key *key,
					    bool is_wide, __u32 frontend_id, __u32 chosen,
					    __u8 generation)
{
	__u64 what = frontend_id | (__u64)chosen << WEIR_WHAT_BACKEND_SHIFT;
	struct weir_counters *counter = forward_counters(chosen);
	bool is_midway = packet_is_tcp(packet) && !packet_is_syn(packet);
	int owner;

	if (packet_is_reset(packet))
		return chosen;
	if (packet->came_by == config.node_ifindex)
		what |= WEIR_FLOW_FROM_NODE;
	if (is_midway) {
		what |= WEIR_FLOW_PICKED_UP;
		internal_count(WEIR_INTERNAL_PICKED_UP);
	} else if (counter) {
		counter->chosen++;
	}
	key->who |= (__u64)generation << WEIR_WHO_GENERATION_SHIFT;
	owner = flow_add(key, what, packet, is_wide);
	if (owner != FLOW_UNTRACKED)
		return owner;
	internal_count(WEIR_INTERNAL_FLOW_UNTRACKED);
	return chosen;
}

/* A client on this node needs a way out: a backend on the node itself would answer past us. */
static __always_inline bool balance_is_reachable(struct context *ctx, struct packet *packet,
						 struct weir_backend *backend)
{
	struct weir_nexthop *nexthop;

	if (likely(packet->came_by != config.node_ifindex))
		return true;
	nexthop = nexthop_find(ctx, packet, &backend->address);
	return nexthop && nexthop->kind != WEIR_NEXTHOP_STACK;
}

/* The first packet that we see of a flow: choose, remember, send. */
static __always_inline enum weir_outcome balance_new(struct context *ctx, struct packet *packet,
						     struct flow_key *key, bool is_wide,
						     struct weir_frontend *frontend,
						     __u32 frontend_id)
{
	struct weir_backend *backend;
	int chosen;

	if (service_maybe_vip(&packet->source) && service_vip(&packet->source))
		return WEIR_DROP_VIP_SOURCE;
	chosen = balance_choose(packet, key, is_wide, frontend_id, frontend->service);
	backend = map_at(backends, chosen);
	if (!backend)
		return balance_nobody(ctx, packet, chosen);
	if (!balance_is_reachable(ctx, packet, backend))
		return balance_nobody(ctx, packet, PICK_HAIRPIN);
	chosen = balance_record(packet, key, is_wide, frontend_id, chosen, backend->generation);
	backend = map_at(backends, chosen);
	if (!backend)
		return WEIR_DROP_NO_BACKEND;
	return forward_to_backend(ctx, packet, backend, chosen, frontend->flags);
}

/* To a VIP, but no frontend: refuse, unless the address is also the node's own. */
static __always_inline enum weir_outcome balance_no_port(struct context *ctx, struct packet *packet)
{
	struct weir_vip *vip = service_vip(&packet->destination);

	if (!vip)
		return WEIR_CONTINUE;
	if (vip->flags & WEIR_VIP_LOCAL)
		return WEIR_PASS_LOCAL_PORT;
	return refuse(ctx, packet, WEIR_REFUSED_PORT, WEIR_DROP_NO_PORT);
}

static __always_inline bool balance_find(struct flow *flow, struct flow_key *key,
					 const struct packet *packet, bool is_wide,
					 enum flow_side side)
{
	flow->is_wide = is_wide;
	if (side == FLOW_FORWARD)
		flow_key_make(key, is_wide, &packet->source, packet->source_port,
			      packet->destination_port, packet->protocol);
	else
		flow_key_make(key, is_wide, &packet->destination, packet->destination_port,
			      packet->source_port, packet->protocol);
	return flow_find(flow, key, packet, side);
}

/*
 * A flow was found, but is it to go on? A new connection on its tuple, or a backend that is gone,
 * end it here: TCP in its middle gets a RST, everything else chooses afresh.
 */
static __always_inline enum weir_outcome balance_found(struct context *ctx, struct packet *packet,
						       struct flow *flow, bool *ret_is_afresh)
{
	if (unlikely(track_is_new(flow, packet))) {
		internal_count(WEIR_INTERNAL_PORT_REUSED);
		*ret_is_afresh = true;
	} else if (likely(backend_is_there(flow->backend, flow->frontend->service,
					   flow_generation(READ_ONCE(*flow->who))))) {
		return balance_known(ctx, packet, flow);
	} else if (!packet_is_tcp(packet) || packet_is_syn(packet)) {
		*ret_is_afresh = true;
	}
	flow_remove(flow);
	if (*ret_is_afresh)
		return WEIR_CONTINUE;
	return refuse(ctx, packet, WEIR_REFUSED_GONE, WEIR_DROP_GONE);
}

/*
 * 2 to 5: a packet to an address that may be a VIP, by one of the flow tables. An IPv4 packet to
 * an any-port frontend sets `*ret_is_wide` instead: its flows are in the wide one.
 */
static __always_inline enum weir_outcome balance_by_table(struct context *ctx,
							  struct packet *packet, bool is_wide,
							  bool *ret_is_wide)
{
	enum weir_outcome outcome;
	struct weir_frontend *frontend;
	struct flow flow = {};
	struct flow_key key = {};
	bool is_afresh = false;
	__u32 id;

	if (balance_find(&flow, &key, packet, is_wide, FLOW_FORWARD)) {
		outcome = balance_found(ctx, packet, &flow, &is_afresh);
		if (outcome != WEIR_CONTINUE)
			return outcome;
	}
	id = service_find(packet);
	frontend = map_at(frontend_list, id);
	if (!frontend)
		return balance_no_port(ctx, packet);
	if (!is_wide && frontend->flags & WEIR_FRONTEND_ANY_PORT) {
		*ret_is_wide = true;
		return WEIR_CONTINUE;
	}
	return balance_new(ctx, packet, &key, is_wide, frontend, id);
}

static __always_inline enum weir_outcome balance_to_service(struct context *ctx,
							    struct packet *packet)
{
	bool is_wide = packet->is_v6;

	if (!is_wide) {
		enum weir_outcome outcome = balance_by_table(ctx, packet, false, &is_wide);

		if (!is_wide)
			return outcome;
	}
	return balance_by_table(ctx, packet, true, &is_wide);
}

/* The flow that a backend's packet belongs to, in either table. */
static __always_inline bool balance_find_reply(struct flow *flow, const struct packet *packet)
{
	struct weir_settings *set;
	struct flow_key key = {};

	if (!packet->is_v6) {
		if (balance_find(flow, &key, packet, false, FLOW_REPLY))
			return true;
		set = map_at(settings, 0);
		if (!set || likely(!set->any_port_frontends))
			return false;
	}
	return balance_find(flow, &key, packet, true, FLOW_REPLY);
}

/* 2 to 5, the way back, where the packet comes in. */
static __always_inline enum weir_outcome balance_from_backend(struct context *ctx,
							      struct packet *packet)
{
	struct weir_nexthop *nexthop;
	struct flow flow = {};

	if (!balance_find_reply(&flow, packet))
		return WEIR_CONTINUE;
	if (flow.seen & WEIR_FLOW_FROM_NODE) {
		track_reply(&flow, packet);
		return forward_to_node(ctx, packet, &flow);
	}
	if (flow.frontend->flags & WEIR_FRONTEND_PATH_STACK)
		return WEIR_PASS_TO_EGRESS;
	nexthop = forward_way(ctx, packet, &packet->destination);
	if (!nexthop)
		return WEIR_PASS_TO_EGRESS;
	if (packet->ttl <= 1)
		return WEIR_PASS_TTL;
	track_reply(&flow, packet);
	return forward_to_client(ctx, packet, &flow, nexthop);
}

/*
 * A client that connects to a backend directly, from a port that an old flow of ours still
 * holds: the entry would translate the answers. A flow that goes on stays; only the client's own
 * kernel could open both, and anybody can forge a SYN.
 */
__noinline int balance_direct_syn(const struct packet *packet)
{
	struct packet answer;
	struct flow flow = {};

	if (!packet)
		return 0;
	answer = (struct packet){
		.source = packet->destination,
		.destination = packet->source,
		.source_port = packet->destination_port,
		.destination_port = packet->source_port,
		.protocol = packet->protocol,
		.is_v6 = packet->is_v6,
	};
	if (!balance_find_reply(&flow, &answer))
		return 0;
	if (flow.seen & WEIR_FLOW_PROVEN && !flow_is_closing(flow.seen))
		return 0;
	flow_remove(&flow);
	internal_count(WEIR_INTERNAL_FLOW_INVALIDATED);
	return 0;
}

/* A packet that we cannot read, but whose addresses we can. */
static __always_inline enum weir_outcome balance_malformed(const struct packet *packet)
{
	if (packet->has_addresses && service_maybe_vip(&packet->destination) &&
	    service_vip(&packet->destination))
		return WEIR_DROP_MALFORMED;
	return WEIR_PASS_MALFORMED;
}

static __always_inline enum weir_outcome balance_incoming(struct context *ctx,
							  struct packet *packet)
{
	enum weir_outcome outcome = packet_parse(ctx, packet);

	if (unlikely(outcome == WEIR_PASS_MALFORMED))
		return balance_malformed(packet);
	if (outcome != WEIR_CONTINUE)
		return outcome;
	if (service_maybe_vip(&packet->destination)) {
		outcome = balance_to_service(ctx, packet);
		if (outcome != WEIR_CONTINUE)
			return outcome;
	}
	if (packet_is_syn(packet) && service_maybe_backend(&packet->destination))
		balance_direct_syn(packet);
	if (!service_maybe_backend(&packet->source))
		return WEIR_PASS_NOT_OURS;
	outcome = balance_from_backend(ctx, packet);
	return outcome == WEIR_CONTINUE ? WEIR_PASS_NO_FLOW : outcome;
}

/*
 * A packet comes in, by a workload, an uplink, or from this node by weir1. What came by weir1 was
 * routed to a VIP, and the stack would route it there again, round and round.
 */
static __always_inline enum weir_outcome balance_ingress(struct context *ctx, struct packet *packet)
{
	enum weir_outcome outcome = balance_incoming(ctx, packet);

	if (likely(packet->came_by != config.node_ifindex) || outcome == WEIR_FORWARDED_STACK)
		return outcome;
	return outcome_action(outcome) == OUTCOME_PASS ? WEIR_DROP_FROM_NODE : outcome;
}

/* A packet goes out to a client: the replies that the stack has routed. */
static __always_inline enum weir_outcome balance_egress(struct context *ctx, struct packet *packet)
{
	enum weir_outcome outcome = packet_parse(ctx, packet);
	struct flow flow = {};

	if (outcome != WEIR_CONTINUE)
		return outcome;
	if (!service_maybe_backend(&packet->source))
		return WEIR_PASS_NOT_OURS;
	if (!balance_find_reply(&flow, packet))
		return WEIR_PASS_NO_FLOW;
	track_reply(&flow, packet);
	return forward_on_egress(ctx, packet, &flow);
}

#endif
