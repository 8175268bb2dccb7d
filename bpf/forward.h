/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * forward.h - 5: rewrite and send; and the way back.
 *
 * Towards a backend the destination is exchanged, towards the client the source. With `path:
 * fast` we also pick the way out and lower the TTL; whatever we cannot send goes on through the
 * stack, which lowers it. A reply that the stack routes is left alone here and translated on the
 * egress of the client's interface, so netfilter sees one tuple in both directions.
 */
#ifndef WEIR_FORWARD_H
#define WEIR_FORWARD_H

#include "csum.h"
#include "flow.h"
#include "nexthop.h"

enum forward_end {
	FORWARD_DESTINATION,
	FORWARD_SOURCE
};

/* Lower the TTL (RFC 1812, 5.3.1) in a header that was checked. */
static __always_inline void forward_age_v4(struct iphdr *ip)
{
	ip->check = csum_apply(ip->check, csum_diff_word(bpf_htons(0x0100), 0));
	ip->ttl--;
}

static __always_inline bool forward_rewrite_v4(struct context *ctx, struct packet *packet,
					       enum forward_end end,
					       const struct weir_address *address, __u32 diff,
					       bool is_aged)
{
	struct iphdr *ip = context_at(ctx, ETH_HLEN, sizeof(*ip));

	if (!ip)
		return false;
	if (end == FORWARD_DESTINATION)
		ip->daddr = address->word[3];
	else
		ip->saddr = address->word[3];
	ip->check = csum_apply(ip->check, diff);
	if (is_aged)
		forward_age_v4(ip);
	return true;
}

static __always_inline bool forward_rewrite_v6(struct context *ctx, struct packet *packet,
					       enum forward_end end,
					       const struct weir_address *address, bool is_aged)
{
	struct ipv6hdr *ip = context_at(ctx, ETH_HLEN, sizeof(*ip));

	if (!ip)
		return false;
	__builtin_memcpy(end == FORWARD_DESTINATION ? &ip->daddr : &ip->saddr, address,
			 sizeof(*address));
	if (is_aged) {
		ip->hop_limit--;
		context_fix_complete(ctx, csum_diff_word(bpf_htons(1), 0));
	}
	return true;
}

static __always_inline bool forward_rewrite_ports(struct context *ctx, struct packet *packet,
						  enum forward_end end, __be16 port)
{
	__be16 *ports = context_at(ctx, packet->transport, 2 * sizeof(*ports));

	if (!ports)
		return false;
	ports[end == FORWARD_DESTINATION] = port;
	return true;
}

/* Offset of the transport checksum. */
static __always_inline __u32 forward_checksum_at(const struct packet *packet)
{
	return packet->transport + (packet_is_tcp(packet) ? offsetof(struct tcphdr, check)
							  : offsetof(struct udphdr, check));
}

/* Exchange one end of the packet; false when the kernel refuses to let us write. */
static __always_inline bool forward_rewrite(struct context *ctx, struct packet *packet,
					    enum forward_end end,
					    const struct weir_address *address, __be16 port,
					    bool is_aged)
{
	const struct weir_address *old =
		end == FORWARD_DESTINATION ? &packet->destination : &packet->source;
	__be16 old_port =
		end == FORWARD_DESTINATION ? packet->destination_port : packet->source_port;
	__u32 diff = csum_diff_address(old, address, packet->is_v6);
	bool is_written = packet->is_v6
				  ? forward_rewrite_v6(ctx, packet, end, address, is_aged)
				  : forward_rewrite_v4(ctx, packet, end, address, diff, is_aged);

	return is_written && forward_rewrite_ports(ctx, packet, end, port) &&
	       context_fix_checksum(ctx, forward_checksum_at(packet), !packet_is_tcp(packet),
				    packet->is_v6, diff, old_port, port);
}

/* Packets and bytes as on the wire: the headers of a GSO packet are sent once per segment. */
static __always_inline __u64 forward_wire_bytes(const struct packet *packet, __u32 segments)
{
	return packet->length + (segments - 1) * packet->headers;
}

static __always_inline struct weir_counters *forward_counters(__u32 backend)
{
	return map_at(counters, bpf_get_smp_processor_id() * config.backends + backend);
}

/* Would each segment fit through the way out? An unknown MTU is taken to fit. */
static __always_inline bool forward_fits(struct context *ctx, const struct packet *packet,
					 const struct weir_nexthop *nexthop)
{
	__u32 size = context_segment_size(ctx);

	if (likely(!size))
		return !nexthop->mtu || packet->length <= nexthop->mtu;
	return !nexthop->mtu || packet->headers + size <= nexthop->mtu;
}

/* The way out that we can take ourselves, or NULL: then it is the stack's. */
static __always_inline struct weir_nexthop *forward_way(struct context *ctx, struct packet *packet,
							struct weir_address *destination)
{
	struct weir_nexthop *nexthop = nexthop_find(ctx, packet, destination);

	if (!nexthop || nexthop->kind == WEIR_NEXTHOP_STACK || !forward_fits(ctx, packet, nexthop))
		return NULL;
	return nexthop;
}

/* A local veth gets the frame as its neighbour would send it. */
static __always_inline bool forward_write_macs(struct context *ctx, const __u8 *to,
					       const __u8 *from)
{
	struct ethhdr *eth = context_at(ctx, 0, sizeof(*eth));

	if (!eth)
		return false;
	__builtin_memcpy(eth->h_dest, to, ETH_ALEN);
	__builtin_memcpy(eth->h_source, from, ETH_ALEN);
	return true;
}

static __always_inline bool forward_send(struct context *ctx, const struct weir_nexthop *nexthop)
{
	if (nexthop->kind == WEIR_NEXTHOP_PEER &&
	    !forward_write_macs(ctx, nexthop->dmac, nexthop->smac))
		return false;
	return context_send_nexthop(ctx, nexthop);
}

/*
 * Client's packet to its backend. One from this node has been through the stack as a packet to
 * the VIP; its replies will come back so too. A second way through it would show conntrack half a
 * connection, whose third segment is INVALID.
 */
static __always_inline enum weir_outcome forward_to_backend(struct context *ctx,
							    struct packet *packet,
							    struct weir_backend *backend,
							    __u32 backend_id, __u8 frontend_flags)
{
	__be16 port = backend->port ? backend->port : packet->destination_port;
	struct weir_counters *counter = forward_counters(backend_id);
	__u32 segments = context_segments(ctx);
	struct weir_nexthop *nexthop = NULL;

	if (!(frontend_flags & WEIR_FRONTEND_PATH_STACK) || packet->came_by == config.node_ifindex)
		nexthop = forward_way(ctx, packet, &backend->address);
	if (nexthop && packet->ttl <= 1)
		return WEIR_PASS_TTL;
	if (counter) {
		counter->forward_packets += segments;
		counter->forward_bytes += forward_wire_bytes(packet, segments);
	}
	if (!forward_rewrite(ctx, packet, FORWARD_DESTINATION, &backend->address, port, nexthop))
		return WEIR_DROP_WRITE;
	if (!nexthop)
		return WEIR_FORWARDED_STACK;
	return forward_send(ctx, nexthop) ? WEIR_FORWARDED : WEIR_DROP_WRITE;
}

static __always_inline bool forward_reply_write(struct context *ctx, struct packet *packet,
						const struct flow *flow, bool is_aged)
{
	const struct weir_frontend *frontend = flow->frontend;
	__be16 port = frontend->port ? frontend->port : (__be16)READ_ONCE(*flow->who);
	struct weir_counters *counter = forward_counters(flow_backend(flow->seen));
	__u32 segments = context_segments(ctx);

	if (counter) {
		counter->reply_packets += segments;
		counter->reply_bytes += forward_wire_bytes(packet, segments);
	}
	return forward_rewrite(ctx, packet, FORWARD_SOURCE, &frontend->vip, port, is_aged);
}

/* The client is this node: out of weir1, in at weir0. It has arrived, so it does not age. */
static __always_inline enum weir_outcome forward_to_node(struct context *ctx, struct packet *packet,
							 const struct flow *flow)
{
	__u8 mac[ETH_ALEN];

#pragma unroll
	for (int i = 0; i < ETH_ALEN; i++)
		mac[i] = config.node_mac[i];
	if (!forward_reply_write(ctx, packet, flow, false) || !forward_write_macs(ctx, mac, mac) ||
	    !context_send_out(ctx, config.node_ifindex))
		return WEIR_DROP_WRITE;
	return WEIR_REPLIED;
}

/* Backend's packet to its client, as it comes in. */
static __always_inline enum weir_outcome forward_to_client(struct context *ctx,
							   struct packet *packet,
							   const struct flow *flow,
							   const struct weir_nexthop *nexthop)
{
	if (!forward_reply_write(ctx, packet, flow, true) || !forward_send(ctx, nexthop))
		return WEIR_DROP_WRITE;
	return WEIR_REPLIED;
}

/* The same as it goes out to the client: routed already, so only translated. */
static __always_inline enum weir_outcome forward_on_egress(struct context *ctx,
							   struct packet *packet,
							   const struct flow *flow)
{
	return forward_reply_write(ctx, packet, flow, false) ? WEIR_REPLIED_STACK : WEIR_DROP_WRITE;
}

#endif
