/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * skb.h - what the core needs of a packet at TC: reading, checksum-safe writing, sending.
 *
 * A packet here may carry a partial checksum or be a GSO packet of many segments, so transport
 * checksums go through bpf_l4_csum_replace. An XDP adapter supplies the same functions.
 */
#ifndef WEIR_SKB_H
#define WEIR_SKB_H

#include "csum.h"
#include "env.h"
#include "kernel-headers/weir_kernel.h"
#ifdef __bpf__
#include "kernel-headers/weir_skb.h"
#endif

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/in.h>
#include <linux/pkt_cls.h>

struct context {
	struct __sk_buff *skb;
	int action; /* of the last send */
};

/* Bytes of headers that the parser may want: Ethernet, the largest IPv4 header, TCP. */
#define HEADERS_MAX (14 + 60 + 20)

/* Make the headers readable: GRO and fragmented skbs may keep them outside the linear part. */
static __always_inline void context_pull(struct context *ctx)
{
	__u32 want = ctx->skb->len < HEADERS_MAX ? ctx->skb->len : HEADERS_MAX;

	if (unlikely(ctx->skb->data_end - ctx->skb->data < want))
		bpf_skb_pull_data(ctx->skb, want);
}

/* `length` (a constant) bytes at `offset` from the start of the frame, or NULL. */
static __always_inline void *context_at(struct context *ctx, __u32 offset, __u32 length)
{
	void *data = (void *)(long)ctx->skb->data;
	void *end = (void *)(long)ctx->skb->data_end;

	if (offset > HEADERS_MAX || data + offset + length > end)
		return NULL;
	return data + offset;
}

static __always_inline __u32 context_length(struct context *ctx)
{
	return ctx->skb->len;
}

static __always_inline __u32 context_ifindex(struct context *ctx)
{
	return ctx->skb->ifindex;
}

static __always_inline bool context_has_tag(struct context *ctx)
{
	return ctx->skb->vlan_present;
}

/* Is the frame addressed to this interface? Others are seen on bridge ports and when sniffed. */
static __always_inline bool context_is_to_us(struct context *ctx)
{
	return ctx->skb->pkt_type == PACKET_HOST;
}

/* Segments on the wire, and the payload of each (0 when it is only one). */
static __always_inline __u32 context_segments(struct context *ctx)
{
	return ctx->skb->gso_segs > 1 ? ctx->skb->gso_segs : 1;
}

static __always_inline __u32 context_segment_size(struct context *ctx)
{
	return ctx->skb->gso_size;
}

static __always_inline bool context_has_checksum(struct context *ctx, __u32 offset)
{
	__u16 *checksum = context_at(ctx, offset, sizeof(*checksum));

	return !checksum || *checksum;
}

/* Values of ip_summed, from include/linux/skbuff.h. */
#define CHECKSUM_COMPLETE 2
#define CHECKSUM_PARTIAL  3

/* Unknown is as good as COMPLETE: the kernel's helpers are right for every state. */
static __always_inline __u8 context_summed(struct context *ctx)
{
	return config.has_kern_ctx ? skb_ip_summed(ctx->skb) : CHECKSUM_COMPLETE;
}

/*
 * By the kernel's helpers. Without BPF_F_IPV6 the kernel breaks CHECKSUM_COMPLETE on IPv6, so its
 * change is taken back.
 */
static __always_inline bool context_replace_checksum(struct context *ctx, __u32 offset, bool is_udp,
						     bool is_v6, __u32 diff, __be16 old_port,
						     __be16 new_port)
{
	__u64 flags = is_udp ? BPF_F_MARK_MANGLED_0 : 0;
	__u64 v6 = is_v6 && config.has_csum_ipv6 ? WEIR_CSUM_IPV6 : 0;

	/* The kernel leaves such a packet alone: nothing makes up for what CHECKSUM_COMPLETE sees. */
	if (is_udp && unlikely(!context_has_checksum(ctx, offset))) {
		if (is_v6)
			bpf_csum_update(ctx->skb, diff);
		bpf_csum_update(ctx->skb, csum_diff_port(old_port, new_port));
		return true;
	}
	if (bpf_l4_csum_replace(ctx->skb, offset, 0, diff, flags | BPF_F_PSEUDO_HDR | v6))
		return false;
	if (is_v6 && !config.has_csum_ipv6)
		bpf_csum_update(ctx->skb, diff);
	if (old_port != new_port &&
	    bpf_l4_csum_replace(ctx->skb, offset, old_port, new_port, flags | sizeof(new_port)))
		return false;
	return true;
}

/*
 * Correct the transport checksum at `offset` for a change of addresses by `diff` and of a port.
 * UDP without a checksum stays so; a partial checksum follows the pseudo header only. By hand
 * unless the sum of the whole packet must follow: the two helpers cost 60 ns of 137 (measured).
 */
static __always_inline bool context_fix_checksum(struct context *ctx, __u32 offset, bool is_udp,
						 bool is_v6, __u32 diff, __be16 old_port,
						 __be16 new_port)
{
	__u8 summed = context_summed(ctx);
	__u16 *check;

	if (unlikely(summed == CHECKSUM_COMPLETE))
		return context_replace_checksum(ctx, offset, is_udp, is_v6, diff, old_port,
						new_port);
	check = context_at(ctx, offset, sizeof(*check));
	if (!check)
		return false;
	if (summed == CHECKSUM_PARTIAL)
		*check = csum_fold(csum_add(*check, diff));
	else if (!is_udp || *check)
		*check = csum_apply(*check, csum_add(diff, csum_diff_port(old_port, new_port)));
	else
		return true;
	if (is_udp && !*check)
		*check = 0xffff; /* RFC 768: 0 would mean none */
	return true;
}

/* The hop limit is under CHECKSUM_COMPLETE, and IPv6 has no header checksum to balance it. */
static __always_inline void context_fix_complete(struct context *ctx, __u32 diff)
{
	if (unlikely(context_summed(ctx) == CHECKSUM_COMPLETE))
		bpf_csum_update(ctx->skb, diff);
}

/*
 * Set the checksum of a packet of our own, whatever state the packet was in before: `pseudo` is
 * the sum of the pseudo header, `sum` that of header and payload (checksum field 0), unfolded.
 * The field first holds what a partial checksum wants, the folded pseudo header P; only for
 * the other states does the helper then add 2P + sum, which makes ~(P + sum) of it.
 */
static __always_inline bool context_set_checksum(struct context *ctx, __u32 offset, __u16 pseudo,
						 __u32 diff)
{
	return !bpf_skb_store_bytes(ctx->skb, offset, &pseudo, sizeof(pseudo), 0) &&
	       !bpf_l4_csum_replace(ctx->skb, offset, 0, diff, 0);
}

/*
 * A change of length ends CHECKSUM_COMPLETE, whose sum would be that of other bytes; a packet that
 * is as long as its answer takes another length for a moment.
 */
static __always_inline bool context_resize(struct context *ctx, __u32 length)
{
	if (ctx->skb->len == length && bpf_skb_change_tail(ctx->skb, length - 1, 0))
		return false;
	return !bpf_skb_change_tail(ctx->skb, length, 0);
}

/* Each of the sends says whether the kernel took the packet. */
static __always_inline bool context_sent(struct context *ctx, int action)
{
	ctx->action = action;
	return action == TC_ACT_REDIRECT;
}

static __always_inline bool context_send_nexthop(struct context *ctx,
						 const struct weir_nexthop *nexthop)
{
	struct bpf_redir_neigh neigh = {};

	if (nexthop->kind == WEIR_NEXTHOP_PEER)
		return context_sent(ctx, bpf_redirect_peer(nexthop->ifindex, 0));
	neigh.nh_family = nexthop->family;
	neigh.ipv6_nh[0] = nexthop->gateway.word[0];
	neigh.ipv6_nh[1] = nexthop->gateway.word[1];
	neigh.ipv6_nh[2] = nexthop->gateway.word[2];
	neigh.ipv6_nh[3] = nexthop->gateway.word[3];
	return context_sent(ctx, bpf_redirect_neigh(nexthop->ifindex, &neigh, sizeof(neigh), 0));
}

/* Out of an interface as it stands, Ethernet header included. */
static __always_inline bool context_send_out(struct context *ctx, __u32 ifindex)
{
	return context_sent(ctx, bpf_redirect(ifindex, 0));
}

#endif
