/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * refuse.h - 5c: answers a TCP segment that nobody serves with a RST from the VIP, in place, out
 * of the interface that it came in by: the client fails at once instead of timing out.
 *
 * RFC 9293, 3.10.7.1: a segment with ACK is answered with its acknowledgement number, others with
 * RST,ACK that acknowledges all of the segment. A RST is never answered. Rate-limited per CPU.
 */
#ifndef WEIR_REFUSE_H
#define WEIR_REFUSE_H

#include "csum.h"
#include "forward.h"

#define REFUSE_TTL 64

/* Packets of our own that this CPU may still send; refilled as jiffies go by. */
struct refuse_bucket {
	__u64 filled_at; /* jiffies */
	__u64 tokens;
};
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct refuse_bucket);
} refuse_buckets SEC(".maps");

static __always_inline bool refuse_is_allowed(void)
{
	struct refuse_bucket *bucket = map_at(refuse_buckets, 0);
	__u64 now = bpf_jiffies64();

	if (!bucket)
		return false;
	if (now != bucket->filled_at) {
		__u64 more = (now - bucket->filled_at) * config.rate_refill;

		bucket->filled_at = now;
		bucket->tokens = more + bucket->tokens < config.rate_burst ? more + bucket->tokens
									   : config.rate_burst;
	}
	if (!bucket->tokens)
		return false;
	bucket->tokens--;
	return true;
}

/* Sequence space that the segment takes: payload by the IP length, SYN and FIN one each. */
static __always_inline __u32 refuse_segment_length(const struct packet *packet)
{
	return packet->length - packet->headers + !!(packet->tcp_flags & TCP_SYN) +
	       !!(packet->tcp_flags & TCP_FIN);
}

static __always_inline void refuse_make_tcp(const struct packet *packet, struct tcphdr *tcp)
{
	__builtin_memset(tcp, 0, sizeof(*tcp));
	tcp->source = packet->destination_port;
	tcp->dest = packet->source_port;
	tcp->doff = sizeof(*tcp) / 4;
	tcp->rst = 1;
	if (packet->tcp_flags & TCP_ACK) {
		tcp->seq = bpf_htonl(packet->acknowledgement);
	} else {
		tcp->ack = 1;
		tcp->ack_seq = bpf_htonl(packet->sequence + refuse_segment_length(packet));
	}
}

/*
 * The IP header keeps its length, because a partial checksum starts where the transport header
 * was; its options are overwritten with 0, "end of list" (RFC 791).
 */
static __always_inline bool refuse_write_v4(struct context *ctx, const struct packet *packet)
{
	struct iphdr *ip = context_at(ctx, ETH_HLEN, sizeof(*ip));
	__u32 header = packet->transport - ETH_HLEN;

	if (!ip)
		return false;
	ip->tos = 0;
	ip->tot_len = bpf_htons(header + sizeof(struct tcphdr));
	ip->id = 0;
	ip->frag_off = bpf_htons(0x4000);
	ip->ttl = REFUSE_TTL;
	ip->saddr = packet->destination.word[3];
	ip->daddr = packet->source.word[3];
	ip->check = 0;
	ip->check = ~csum_fold(csum_words(ip, sizeof(*ip) / 2));
	for (__u32 i = sizeof(*ip); i < 60; i += 4) {
		__u32 *option = context_at(ctx, ETH_HLEN + i, sizeof(*option));

		if (i >= header || !option)
			break;
		*option = 0;
	}
	return true;
}

static __always_inline bool refuse_write_v6(struct context *ctx, const struct packet *packet)
{
	struct ipv6hdr *ip = context_at(ctx, ETH_HLEN, sizeof(*ip));

	if (!ip)
		return false;
	*(__be32 *)ip = bpf_htonl(6u << 28);
	ip->payload_len = bpf_htons(sizeof(struct tcphdr));
	ip->nexthdr = IPPROTO_TCP;
	ip->hop_limit = REFUSE_TTL;
	__builtin_memcpy(&ip->saddr, &packet->destination, sizeof(ip->saddr));
	__builtin_memcpy(&ip->daddr, &packet->source, sizeof(ip->daddr));
	return true;
}

static __always_inline __u32 refuse_pseudo_sum(const struct packet *packet)
{
	__u32 sum = bpf_htons(sizeof(struct tcphdr)) + bpf_htons(IPPROTO_TCP);

	if (packet->is_v6)
		return sum + csum_words(&packet->source, 8) + csum_words(&packet->destination, 8);
	return sum + csum_words(&packet->source.word[3], 2) +
	       csum_words(&packet->destination.word[3], 2);
}

/* Turn the frame into the RST and send it back the way it came. */
static __always_inline bool refuse_send(struct context *ctx, const struct packet *packet)
{
	__u32 pseudo = csum_fold(refuse_pseudo_sum(packet)), diff;
	struct tcphdr tcp, *in_place;
	struct ethhdr *eth;
	__u8 from[ETH_ALEN], to[ETH_ALEN];

	refuse_make_tcp(packet, &tcp);
	diff = csum_add(csum_add(pseudo, pseudo), csum_words(&tcp, sizeof(tcp) / 2));
	if (!context_resize(ctx, packet->transport + sizeof(tcp)))
		return false;
	context_pull(ctx);
	if (!(packet->is_v6 ? refuse_write_v6(ctx, packet) : refuse_write_v4(ctx, packet)))
		return false;
	in_place = context_at(ctx, packet->transport, sizeof(tcp));
	eth = context_at(ctx, 0, sizeof(*eth));
	if (!in_place || !eth)
		return false;
	*in_place = tcp;
	__builtin_memcpy(from, eth->h_source, ETH_ALEN);
	__builtin_memcpy(to, eth->h_dest, ETH_ALEN);
	return forward_write_macs(ctx, from, to) &&
	       context_set_checksum(ctx, forward_checksum_at(packet), pseudo, diff) &&
	       context_send_out(ctx, context_ifindex(ctx));
}

/*
 * Refuse the packet: TCP by a RST, `refused` being the outcome; what cannot be answered is
 * dropped under the name `dropped`.
 */
__noinline int refuse(struct __sk_buff *skb, struct packet *packet, __u32 refused, __u32 dropped)
{
	struct context ctx = {.skb = skb};

	if (!packet)
		return WEIR_DROP_WRITE;
	if (!packet_is_tcp(packet) || packet_is_reset(packet))
		return dropped;
	if (!refuse_is_allowed())
		return WEIR_DROP_RATE;
	if (!refuse_send(&ctx, packet))
		return WEIR_DROP_WRITE;
	packet->action = ctx.action;
	return refused;
}

#endif
