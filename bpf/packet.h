/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * packet.h - 1: bytes to struct packet.
 *
 * Trusts nothing that the packet says of itself: version, header length, total length and
 * fragment bits are checked before a port is read. Relies on the adapter (skb.h) for bytes.
 */
#ifndef WEIR_PACKET_H
#define WEIR_PACKET_H

#include "env.h"

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

#define IP_FRAGMENT 0x3fff /* "more fragments" or an offset */

struct packet {
	struct weir_address source, destination;
	__be16 source_port, destination_port;
	bool is_v6;
	bool has_addresses; /* set before anything of the transport header is judged */
	__u8 protocol; /* IPPROTO_TCP or IPPROTO_UDP */
	__u8 ttl; /* or hop limit */
	__u8 tcp_flags; /* TCP_*; 0 for UDP */
	__u8 transport; /* offset of the TCP or UDP header from the start of the frame */
	__u8 headers; /* bytes from the IP header to the payload */
	__u32 length; /* bytes from the IP header on, without padding */
	__u32 sequence, acknowledgement; /* host order */
	__u32 came_by; /* ifindex; set before parsing */

	/* what the later stages leave for each other */
	int action; /* of the send */
	__u32 chosen; /* backend id */
	__u32 frontend; /* id */
	__u8 generation; /* of the backend */
	__u8 frontend_flags;
};

static __always_inline void packet_address_v4(struct weir_address *address, __be32 v4)
{
	address->word[0] = 0;
	address->word[1] = 0;
	address->word[2] = bpf_htonl(0xffff);
	address->word[3] = v4;
}

static __always_inline bool address_equal(const struct weir_address *a,
					  const struct weir_address *b)
{
	return a->word[3] == b->word[3] && a->word[2] == b->word[2] && a->word[1] == b->word[1] &&
	       a->word[0] == b->word[0];
}

static __always_inline bool packet_is_tcp(const struct packet *packet)
{
	return packet->protocol == IPPROTO_TCP;
}

/* A SYN opens a connection; a SYN-ACK does not (cilium#40427). */
static __always_inline bool packet_is_syn(const struct packet *packet)
{
	return (packet->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

static __always_inline bool packet_is_reset(const struct packet *packet)
{
	return packet->tcp_flags & TCP_RST;
}

/*
 * IPv4 (RFC 791). A total length of 0 is a GSO packet above 64 KiB (BIG TCP): the frame's length
 * stands for it.
 */
static __always_inline enum weir_outcome packet_parse_v4(struct context *ctx, struct packet *packet)
{
	struct iphdr *ip = context_at(ctx, ETH_HLEN, sizeof(*ip));
	__u32 frame = context_length(ctx), header;

	if (!ip || ip->version != 4 || ip->ihl < 5)
		return WEIR_PASS_MALFORMED;
	header = ip->ihl * 4;
	packet->length = bpf_ntohs(ip->tot_len);
	if (!packet->length && context_segment_size(ctx))
		packet->length = frame - ETH_HLEN;
	if (packet->length < header || packet->length > frame - ETH_HLEN)
		return WEIR_PASS_MALFORMED;
	packet_address_v4(&packet->source, ip->saddr);
	packet_address_v4(&packet->destination, ip->daddr);
	packet->has_addresses = true;
	if (ip->frag_off & bpf_htons(IP_FRAGMENT))
		return WEIR_PASS_FRAGMENT;
	packet->protocol = ip->protocol;
	packet->ttl = ip->ttl;
	packet->transport = ETH_HLEN + header;
	return WEIR_CONTINUE;
}

/* ::ffff:0:0/96 stands for IPv4 in our maps, and for nothing on a wire (RFC 6890). */
static __always_inline bool packet_is_mapped(const struct weir_address *address)
{
	return !(address->word[0] | address->word[1]) && address->word[2] == bpf_htonl(0xffff);
}

/* IPv6 (RFC 8200). */
static __always_inline enum weir_outcome packet_parse_v6(struct context *ctx, struct packet *packet)
{
	struct ipv6hdr *ip = context_at(ctx, ETH_HLEN, sizeof(*ip));
	__u32 frame = context_length(ctx);

	if (!ip || ip->version != 6)
		return WEIR_PASS_MALFORMED;
	packet->length = sizeof(*ip) + bpf_ntohs(ip->payload_len);
	if (packet->length == sizeof(*ip) && context_segment_size(ctx))
		packet->length = frame - ETH_HLEN;
	if (packet->length > frame - ETH_HLEN)
		return WEIR_PASS_MALFORMED;
	__builtin_memcpy(&packet->source, &ip->saddr, sizeof(packet->source));
	__builtin_memcpy(&packet->destination, &ip->daddr, sizeof(packet->destination));
	if (packet_is_mapped(&packet->source) || packet_is_mapped(&packet->destination))
		return WEIR_PASS_MALFORMED;
	packet->has_addresses = true;
	packet->is_v6 = true;
	packet->protocol = ip->nexthdr;
	packet->ttl = ip->hop_limit;
	packet->transport = ETH_HLEN + sizeof(*ip);
	switch (ip->nexthdr) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
	case IPPROTO_AH:
		return WEIR_PASS_EXTENSION;
	case IPPROTO_FRAGMENT:
		return WEIR_PASS_FRAGMENT;
	default:
		return WEIR_CONTINUE;
	}
}

static __always_inline enum weir_outcome packet_parse_tcp(struct context *ctx,
							  struct packet *packet)
{
	struct tcphdr *tcp = context_at(ctx, packet->transport, sizeof(*tcp));
	__u32 before = packet->transport - ETH_HLEN, header;

	if (!tcp)
		return WEIR_PASS_MALFORMED;
	header = tcp->doff * 4;
	if (header < sizeof(*tcp) || before + header > packet->length)
		return WEIR_PASS_MALFORMED;
	packet->source_port = tcp->source;
	packet->destination_port = tcp->dest;
	packet->sequence = bpf_ntohl(tcp->seq);
	packet->acknowledgement = bpf_ntohl(tcp->ack_seq);
	packet->tcp_flags = ((__u8 *)tcp)[13];
	packet->headers = before + header;
	return WEIR_CONTINUE;
}

static __always_inline enum weir_outcome packet_parse_udp(struct context *ctx,
							  struct packet *packet)
{
	struct udphdr *udp = context_at(ctx, packet->transport, sizeof(*udp));
	__u32 before = packet->transport - ETH_HLEN;

	if (!udp || bpf_ntohs(udp->len) < sizeof(*udp) ||
	    before + bpf_ntohs(udp->len) > packet->length)
		return WEIR_PASS_MALFORMED;
	packet->source_port = udp->source;
	packet->destination_port = udp->dest;
	packet->headers = before + sizeof(*udp);
	return WEIR_CONTINUE;
}

static __always_inline enum weir_outcome packet_parse(struct context *ctx, struct packet *packet)
{
	struct ethhdr *eth;
	enum weir_outcome outcome;

	context_pull(ctx);
	eth = context_at(ctx, 0, sizeof(*eth));
	if (!eth)
		return WEIR_PASS_MALFORMED;
	if (context_has_tag(ctx) || eth->h_proto == bpf_htons(ETH_P_8021Q) ||
	    eth->h_proto == bpf_htons(ETH_P_8021AD))
		return WEIR_PASS_VLAN;
	if (eth->h_proto == bpf_htons(ETH_P_IP))
		outcome = packet_parse_v4(ctx, packet);
	else if (eth->h_proto == bpf_htons(ETH_P_IPV6))
		outcome = packet_parse_v6(ctx, packet);
	else
		return WEIR_PASS_NOT_IP;
	if (outcome != WEIR_CONTINUE)
		return outcome;
	if (packet->protocol == IPPROTO_TCP)
		return packet_parse_tcp(ctx, packet);
	if (packet->protocol == IPPROTO_UDP)
		return packet_parse_udp(ctx, packet);
	return WEIR_PASS_PROTOCOL;
}

#endif
