/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * balance.h - 1 to 6, the way of a packet: start reading here.
 *
 * C wants what is called first, so the ways in are at the end: balance_ingress, balance_egress.
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

/* Are there IPv4 flows in the wide table at all? */
static __always_inline bool balance_has_any_port(void)
{
	struct weir_settings *set = map_at(settings, 0);

	return set && set->any_port_frontends;
}

/* IPv4 flows lie in both tables, by their frontend's kind; a backend sees them side by side. */
static __always_inline bool balance_clashes(const struct packet *packet, const struct flow_key *key,
					    bool is_wide, __u32 frontend_id, __u32 chosen)
{
	__be16 asked = packet->destination_port;
	struct flow_key other = {};

	if (unlikely(flow_clashes(key, is_wide, frontend_id, chosen, asked)))
		return true;
	if (packet->is_v6 || likely(!balance_has_any_port()))
		return false;
	flow_key_make(&other, !is_wide, &packet->source, packet->source_port, asked,
		      packet->protocol);
	return flow_clashes(&other, !is_wide, frontend_id, chosen, asked);
}

/*
 * Choose a backend whose tuple is free: the client may hold the same port towards another VIP of
 * the same backend, which could not tell the two apart. A backend id, PICK_*, or BALANCE_CLASH.
 */
#define BALANCE_CLASH   -3
#define BALANCE_WIDE    -4 /* IPv4 to an any-port frontend: its flows are in the wide table */
#define BALANCE_NOT_VIP -5 /* the filter was wrong: go on as for any other packet */
#define BALANCE_NO_FLOW -6
static __always_inline int balance_choose(const struct packet *packet, const struct flow_key *key,
					  bool is_wide, __u32 frontend_id, __u32 service)
{
	int chosen = pick_backend(packet, service, WEIR_NONE);

	if (chosen < 0 || likely(!balance_clashes(packet, key, is_wide, frontend_id, chosen)))
		return chosen;
	internal_count(WEIR_INTERNAL_CLASHED);
	chosen = pick_backend(packet, service, chosen);
	if (chosen < 0 || balance_clashes(packet, key, is_wide, frontend_id, chosen))
		return BALANCE_CLASH;
	return chosen;
}

static __always_inline enum weir_outcome balance_nobody(struct __sk_buff *skb,
							struct packet *packet, int why)
{
	switch (why) {
	case BALANCE_CLASH:
		return refuse(skb, packet, WEIR_REFUSED_CLASH, WEIR_DROP_CLASH);
	case PICK_HAIRPIN:
		return refuse(skb, packet, WEIR_REFUSED_HAIRPIN, WEIR_DROP_HAIRPIN);
	default:
		return refuse(skb, packet, WEIR_REFUSED_NO_BACKEND, WEIR_DROP_NO_BACKEND);
	}
}

/* A client on this node needs a way out: a backend on the node itself would answer past us. */
static __always_inline bool balance_is_reachable(struct __sk_buff *skb, struct packet *packet,
						 struct weir_backend *backend)
{
	struct context ctx = {.skb = skb};
	struct weir_nexthop *nexthop;

	if (likely(packet->came_by != config.node_ifindex))
		return true;
	nexthop = nexthop_find(&ctx, packet, &backend->address);
	return nexthop && nexthop->kind != WEIR_NEXTHOP_STACK;
}

/* The first packet that we see of a flow: choose. The choice is left in the packet. */
static __always_inline enum weir_outcome balance_new(struct __sk_buff *skb, struct packet *packet,
						     bool is_wide, struct weir_frontend *frontend,
						     __u32 frontend_id)
{
	struct weir_backend *backend;
	struct flow_key key;
	int chosen;

	if (service_maybe_vip(&packet->source) && service_vip(&packet->source))
		return WEIR_DROP_VIP_SOURCE;
	flow_key_make(&key, is_wide, &packet->source, packet->source_port, packet->destination_port,
		      packet->protocol);
	chosen = balance_choose(packet, &key, is_wide, frontend_id, frontend->service);
	backend = map_at(backends, chosen);
	if (!backend)
		return balance_nobody(skb, packet, chosen);
	if (!balance_is_reachable(skb, packet, backend))
		return balance_nobody(skb, packet, PICK_HAIRPIN);
	packet->chosen = chosen;
	packet->generation = backend->generation;
	packet->frontend = frontend_id;
	packet->frontend_flags = frontend->flags;
	return WEIR_CONTINUE;
}

/* To a VIP, but no frontend: refuse, unless the address is also the node's own. */
static __always_inline int balance_no_port(struct __sk_buff *skb, struct packet *packet)
{
	struct weir_vip *vip = service_vip(&packet->destination);

	if (!vip)
		return BALANCE_NOT_VIP;
	if (vip->flags & WEIR_VIP_LOCAL)
		return WEIR_PASS_LOCAL_PORT;
	return refuse(skb, packet, WEIR_REFUSED_PORT, WEIR_DROP_NO_PORT);
}

/*
 * 4 for a packet of no flow: WEIR_CONTINUE when a backend was chosen. A global function, as are
 * others below: the verifier walks each once, not once for each way that leads to it, and each
 * has a stack frame of its own.
 */
__noinline int balance_miss(struct __sk_buff *skb, struct packet *packet, bool is_wide)
{
	struct weir_frontend *frontend;
	__u32 id;

	if (!packet)
		return WEIR_DROP_WRITE;
	id = service_find(packet);
	frontend = map_at(frontend_list, id);
	if (!frontend)
		return balance_no_port(skb, packet);
	if (!is_wide && frontend->flags & WEIR_FRONTEND_ANY_PORT)
		return BALANCE_WIDE;
	return balance_new(skb, packet, is_wide, frontend, id);
}

static __always_inline bool balance_find(struct flow *flow, const struct packet *packet,
					 bool is_wide, enum flow_side side)
{
	struct flow_key key;

	flow->is_wide = is_wide;
	if (side == FLOW_FORWARD)
		flow_key_make(&key, is_wide, &packet->source, packet->source_port,
			      packet->destination_port, packet->protocol);
	else
		flow_key_make(&key, is_wide, &packet->destination, packet->destination_port,
			      packet->source_port, packet->protocol);
	return flow_find(flow, &key, packet, side);
}

/*
 * A flow was found, but is it to go on? A new connection on its tuple, or a backend that is gone,
 * end it here: TCP in its middle gets a RST, everything else chooses afresh.
 */
static __always_inline int balance_found(struct context *ctx, struct packet *packet,
					 struct flow *flow)
{
	bool is_new = track_is_new(flow, packet);

	if (likely(!is_new) && likely(backend_is_there(flow->backend, flow->frontend->service,
						       flow_generation(READ_ONCE(*flow->who))))) {
		track_forward(flow, packet);
		return forward_to_backend(ctx, packet, flow->backend, flow_backend(flow->seen),
					  flow->frontend->flags);
	}
	flow_remove(flow);
	if (is_new)
		internal_count(WEIR_INTERNAL_PORT_REUSED);
	if (is_new || !packet_is_tcp(packet) || packet_is_syn(packet))
		return BALANCE_NO_FLOW;
	return refuse(ctx->skb, packet, WEIR_REFUSED_GONE, WEIR_DROP_GONE);
}

/*
 * 3 and 5, by the table of IPv4 flows and by the wide one. The first is in line: a return from a
 * function costs 5 ns where the CPU's return predictor is not trusted (measured on Zen 5).
 */
static __always_inline int balance_forward_by(struct __sk_buff *skb, struct packet *packet,
					      bool is_wide)
{
	struct context ctx = {.skb = skb};
	struct flow flow = {};
	int outcome;

	if (!packet || !balance_find(&flow, packet, is_wide, FLOW_FORWARD))
		return BALANCE_NO_FLOW;
	outcome = balance_found(&ctx, packet, &flow);
	if (ctx.action)
		packet->action = ctx.action;
	return outcome;
}

static __always_inline int balance_forward(struct __sk_buff *skb, struct packet *packet)
{
	return balance_forward_by(skb, packet, false);
}

__noinline int balance_forward_wide(struct __sk_buff *skb, struct packet *packet)
{
	return balance_forward_by(skb, packet, true);
}

/* What the flow is, as far as its first packet shows. */
static __always_inline __u64 balance_describe(const struct packet *packet)
{
	__u64 what = packet->frontend | (__u64)packet->chosen << WEIR_WHAT_BACKEND_SHIFT;

	if (packet->came_by == config.node_ifindex)
		what |= WEIR_FLOW_FROM_NODE;
	if (packet_is_tcp(packet) && !packet_is_syn(packet))
		what |= WEIR_FLOW_PICKED_UP;
	return what;
}

static __always_inline void balance_count(const struct packet *packet, __u64 what)
{
	struct weir_counters *counter = forward_counters(packet->chosen);

	if (what & WEIR_FLOW_PICKED_UP)
		internal_count(WEIR_INTERNAL_PICKED_UP);
	else if (counter)
		counter->chosen++;
}

/*
 * 4 still: remember the choice; false when it cannot be kept: TCP could not be answered then,
 * a datagram may want no answer. When another CPU was faster with the same flow, that one's
 * choice holds. A RST is worth no flow.
 */
__noinline int balance_record(struct packet *packet, bool is_wide)
{
	struct flow_key key;
	__u64 what;
	int owner;

	if (!packet || packet_is_reset(packet))
		return true;
	what = balance_describe(packet);
	flow_key_make(&key, is_wide, &packet->source, packet->source_port, packet->destination_port,
		      packet->protocol);
	key.who |= (__u64)packet->generation << WEIR_WHO_GENERATION_SHIFT;
	owner = flow_add(&key, what, packet, is_wide);
	if (owner == FLOW_UNTRACKED) {
		internal_count(WEIR_INTERNAL_FLOW_UNTRACKED);
		if (packet_is_tcp(packet))
			return false;
	} else {
		packet->chosen = owner;
	}
	balance_count(packet, what);
	return true;
}

/* 5 for the first packet of a flow. */
__noinline int balance_send(struct __sk_buff *skb, struct packet *packet)
{
	struct context ctx = {.skb = skb};
	struct weir_backend *backend;
	int outcome;

	if (!packet)
		return WEIR_DROP_WRITE;
	backend = map_at(backends, packet->chosen);
	if (!backend)
		return WEIR_DROP_NO_BACKEND;
	outcome = forward_to_backend(&ctx, packet, backend, packet->chosen, packet->frontend_flags);
	packet->action = ctx.action;
	return outcome;
}

/* 3 to 5: a packet to an address that may be a VIP; BALANCE_NOT_VIP where it is not. */
static __always_inline int balance_to_service(struct __sk_buff *skb, struct packet *packet)
{
	int outcome = BALANCE_WIDE;
	bool is_wide = false;

	if (!packet->is_v6) {
		outcome = balance_forward(skb, packet);
		if (likely(outcome != BALANCE_NO_FLOW))
			return outcome;
		outcome = balance_miss(skb, packet, false);
	}
	if (outcome == BALANCE_WIDE) {
		is_wide = true;
		outcome = balance_forward_wide(skb, packet);
		if (likely(outcome != BALANCE_NO_FLOW))
			return outcome;
		outcome = balance_miss(skb, packet, true);
	}
	if (outcome != WEIR_CONTINUE)
		return outcome;
	if (unlikely(!balance_record(packet, is_wide)))
		return refuse(skb, packet, WEIR_REFUSED_FULL, WEIR_DROP_WRITE);
	return balance_send(skb, packet);
}

/* The way back, where the packet comes in: out at once, or left to the stack and to egress. */
static __always_inline enum weir_outcome balance_reply_in(struct context *ctx,
							  struct packet *packet, struct flow *flow)
{
	struct weir_nexthop *nexthop;

	if (flow->seen & WEIR_FLOW_FROM_NODE) {
		track_reply(flow, packet);
		return forward_to_node(ctx, packet, flow);
	}
	if (flow->frontend->flags & WEIR_FRONTEND_PATH_STACK)
		return WEIR_PASS_TO_EGRESS;
	nexthop = forward_way(ctx, packet, &packet->destination);
	if (!nexthop)
		return WEIR_PASS_TO_EGRESS;
	if (packet->ttl <= 1)
		return WEIR_PASS_TTL;
	track_reply(flow, packet);
	return forward_to_client(ctx, packet, flow, nexthop);
}

static __always_inline enum weir_outcome balance_reply_out(struct context *ctx,
							   struct packet *packet, struct flow *flow)
{
	track_reply(flow, packet);
	return forward_on_egress(ctx, packet, flow);
}

static __always_inline int balance_reply_by(struct __sk_buff *skb, struct packet *packet,
					    bool is_wide, bool is_egress)
{
	struct context ctx = {.skb = skb};
	struct flow flow = {};
	int outcome;

	if (!packet || !balance_find(&flow, packet, is_wide, FLOW_REPLY))
		return BALANCE_NO_FLOW;
	outcome = is_egress ? balance_reply_out(&ctx, packet, &flow)
			    : balance_reply_in(&ctx, packet, &flow);
	packet->action = ctx.action;
	return outcome;
}

static __always_inline int balance_reply(struct __sk_buff *skb, struct packet *packet,
					 bool is_egress)
{
	return balance_reply_by(skb, packet, false, is_egress);
}

__noinline int balance_reply_wide(struct __sk_buff *skb, struct packet *packet, bool is_egress)
{
	return balance_reply_by(skb, packet, true, is_egress);
}

/* 3 and 5, the way back: a packet from an address that may be a backend's. */
static __always_inline enum weir_outcome balance_from_backend(struct __sk_buff *skb,
							      struct packet *packet, bool is_egress)
{
	int outcome = BALANCE_NO_FLOW;

	if (!packet->is_v6)
		outcome = balance_reply(skb, packet, is_egress);
	if (outcome == BALANCE_NO_FLOW && (packet->is_v6 || unlikely(balance_has_any_port())))
		outcome = balance_reply_wide(skb, packet, is_egress);
	return outcome == BALANCE_NO_FLOW ? WEIR_PASS_NO_FLOW : outcome;
}

/* The flow that a backend's packet belongs to, in either table. */
static __always_inline bool balance_find_reply(struct flow *flow, const struct packet *packet)
{
	if (!packet->is_v6 && balance_find(flow, packet, false, FLOW_REPLY))
		return true;
	return (packet->is_v6 || unlikely(balance_has_any_port())) &&
	       balance_find(flow, packet, true, FLOW_REPLY);
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

/*
 * A frame for another host is not ours to answer: somebody else has it too. But what crosses a
 * bridge is for another host as its ports see it.
 */
static __always_inline bool balance_is_overheard(struct context *ctx, struct packet *packet)
{
	struct weir_interface *interface;

	if (likely(context_is_to_us(ctx)))
		return false;
	interface = bpf_map_lookup_elem(&interfaces, &packet->came_by);
	return !interface || !(interface->flags & WEIR_INTERFACE_PORT);
}

static __always_inline enum weir_outcome balance_incoming(struct __sk_buff *skb,
							  struct packet *packet)
{
	struct context ctx = {.skb = skb};
	int outcome;

	packet->came_by = context_ifindex(&ctx);
	if (unlikely(balance_is_overheard(&ctx, packet)))
		return WEIR_PASS_OTHER_HOST;
	outcome = packet_parse(&ctx, packet);
	if (unlikely(outcome == WEIR_PASS_MALFORMED))
		return balance_malformed(packet);
	if (outcome != WEIR_CONTINUE)
		return outcome;
	if (service_maybe_vip(&packet->destination)) {
		outcome = balance_to_service(skb, packet);
		if (likely(outcome != BALANCE_NOT_VIP))
			return outcome;
	}
	if (packet_is_syn(packet) && service_maybe_backend(&packet->destination))
		balance_direct_syn(packet);
	if (!service_maybe_backend(&packet->source))
		return WEIR_PASS_NOT_OURS;
	return balance_from_backend(skb, packet, false);
}

/*
 * A packet comes in, by a workload, an uplink, or from this node by weir1. What came by weir1 was
 * routed to a VIP, and the stack would route it there again, round and round.
 */
static __always_inline enum weir_outcome balance_ingress(struct __sk_buff *skb,
							 struct packet *packet)
{
	enum weir_outcome outcome = balance_incoming(skb, packet);

	if (likely(packet->came_by != config.node_ifindex) || outcome == WEIR_FORWARDED_STACK)
		return outcome;
	return outcome_action(outcome) == OUTCOME_PASS ? WEIR_DROP_FROM_NODE : outcome;
}

/* A packet goes out to a client: the replies that the stack has routed. */
static __always_inline enum weir_outcome balance_egress(struct __sk_buff *skb,
							struct packet *packet)
{
	struct context ctx = {.skb = skb};
	enum weir_outcome outcome = packet_parse(&ctx, packet);

	if (outcome != WEIR_CONTINUE)
		return outcome;
	if (!service_maybe_backend(&packet->source))
		return WEIR_PASS_NOT_OURS;
	return balance_from_backend(skb, packet, true);
}

#endif
