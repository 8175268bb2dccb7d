/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * rotate.bpf.c - makes one test run walk many flows: BPF_PROG_TEST_RUN repeats one packet, so
 * this program writes the next flow's addresses, ports and TTL into it and jumps on, to an empty
 * program or to Weir's. What the one takes longer than the other is Weir's cost.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "rotate.h"

struct rotate rotate;
__u32 backend_at[ROTATE_FLOWS_MAX]; /* backend of the flow of each step */

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
} jump SEC(".maps");

struct ends {
	__be32 source, destination;
	__be16 source_port, destination_port;
};

static __always_inline struct ends rotate_ends(__u32 step)
{
	__u32 flow = (step * ROTATE_FACTOR) & rotate.flows_mask;
	__u32 client = flow & rotate.clients_mask;
	__be16 port = bpf_htons(ROTATE_PORT + (flow >> rotate.clients_shift));
	__u32 service = (__u64)flow * rotate.services >> rotate.flows_shift;

	if (rotate.is_reply)
		return (struct ends){
			.source = bpf_htonl(rotate.source +
					    backend_at[step & (ROTATE_FLOWS_MAX - 1)]),
			.destination = bpf_htonl(rotate.destination + client),
			.source_port = rotate.server_port,
			.destination_port = port,
		};
	return (struct ends){
		.source = bpf_htonl(rotate.source + client),
		.destination = bpf_htonl(rotate.destination + service),
		.source_port = port,
		.destination_port = rotate.server_port,
	};
}

static __always_inline void rotate_address(__be32 *address, const __be32 *prefix, __be32 last)
{
	address[0] = prefix[0];
	address[1] = prefix[1];
	address[2] = prefix[2];
	address[3] = last;
}

static __always_inline int rotate_tcp(struct tcphdr *tcp, void *end, const struct ends *ends)
{
	if ((void *)(tcp + 1) > end)
		return -1;
	tcp->source = ends->source_port;
	tcp->dest = ends->destination_port;
	tcp->seq = rotate.sequence;
	tcp->ack_seq = rotate.acknowledgement;
	((__u8 *)tcp)[13] = rotate.flags;
	return 0;
}

/* Everything of the packet that Weir changes, and what differs from flow to flow. */
static __always_inline int rotate_next(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct ipv6hdr *v6 = data + ETH_HLEN;
	struct iphdr *v4 = data + ETH_HLEN;
	__u32 step = rotate.step++ & rotate.flows_mask;
	struct ends ends = rotate_ends(step);

	if (!rotate.is_v6) {
		if ((void *)(v4 + 1) > end)
			return -1;
		v4->ttl = 64;
		v4->saddr = ends.source;
		v4->daddr = ends.destination;
		return rotate_tcp((void *)(v4 + 1), end, &ends);
	}
	if ((void *)(v6 + 1) > end)
		return -1;
	v6->hop_limit = 64;
	rotate_address(v6->saddr.s6_addr32, rotate.prefix[0], ends.source);
	rotate_address(v6->daddr.s6_addr32, rotate.prefix[1], ends.destination);
	return rotate_tcp((void *)(v6 + 1), end, &ends);
}

SEC("tc")
int rotate_empty(struct __sk_buff *skb)
{
	if (!rotate_next(skb))
		bpf_tail_call_static(skb, &jump, 0);
	return TC_ACT_SHOT;
}

SEC("tc")
int rotate_weir(struct __sk_buff *skb)
{
	if (!rotate_next(skb))
		bpf_tail_call_static(skb, &jump, 1);
	return TC_ACT_SHOT;
}

SEC("tc")
int empty(struct __sk_buff *skb)
{
	return TC_ACT_UNSPEC;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
