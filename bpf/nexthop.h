/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * nexthop.h - 5a: which way out? A small cache per CPU of what the kernel's FIB says of a
 * destination, asked again about every second, so it needs nobody in user space to stay true.
 *
 * Per CPU, because then no entry is ever written while it is read: the programs of a CPU do not
 * interrupt each other. A look-up costs a load; bpf_fib_lookup on each packet would cost 39 ns.
 */
#ifndef WEIR_NEXTHOP_H
#define WEIR_NEXTHOP_H

#include "maps.h"
#include "packet.h"
#include "filter.h"

#define NEXTHOP_AF_INET     2
#define NEXTHOP_AF_INET6    10
#define NEXTHOP_STAMP_SHIFT 1 /* a stamp lasts half a unit of age: about a second */

/*
 * Answers depend on the interface that asks (VRF, forwarding), so it is part of the key; without
 * it in the hash, replies from two uplinks to one client would chase each other out of an entry.
 */
#define NEXTHOP_SPREAD 0x9e3779b97f4a7c15ull

static __always_inline __u32 nexthop_now(void)
{
	return (bpf_jiffies64() >> (config.age_shift - NEXTHOP_STAMP_SHIFT)) | 1u << 31;
}

static __always_inline void nexthop_question(struct bpf_fib_lookup *fib, bool is_v6,
					     const struct weir_address *source,
					     const struct weir_address *destination, __u32 ifindex)
{
	fib->ifindex = ifindex;
	fib->tot_len = 1; /* asks for the MTU, and fits any */
	if (is_v6) {
		fib->family = NEXTHOP_AF_INET6;
		__builtin_memcpy(fib->ipv6_src, source, sizeof(*source));
		__builtin_memcpy(fib->ipv6_dst, destination, sizeof(*destination));
	} else {
		fib->family = NEXTHOP_AF_INET;
		fib->ipv4_src = source->word[3];
		fib->ipv4_dst = destination->word[3];
	}
}

/*
 * Ask the FIB and fill the entry. Anything but "this way" is the stack's to decide: a local
 * address, no route, forwarding switched off. Without a neighbour the kernel's redirect finds it.
 */
__noinline int nexthop_ask(struct __sk_buff *skb, struct weir_nexthop *nexthop,
			   const struct weir_address *source,
			   const struct weir_address *destination, __u32 is_v6)
{
	struct bpf_fib_lookup fib = {};
	struct weir_interface *interface;
	__u32 came_by;
	long answer;

	if (!nexthop || !source || !destination)
		return 0;
	came_by = skb->ifindex;
	internal_count(WEIR_INTERNAL_NEXTHOP_ASKED);
	nexthop_question(&fib, is_v6, source, destination, came_by);
	answer = bpf_fib_lookup(skb, &fib, sizeof(fib), 0);
	nexthop->destination = *destination;
	nexthop->came_by = came_by;
	nexthop->stamp = nexthop_now();
	nexthop->kind = WEIR_NEXTHOP_STACK;
	if (answer != BPF_FIB_LKUP_RET_SUCCESS && answer != BPF_FIB_LKUP_RET_NO_NEIGH)
		return 0;
	nexthop->kind = WEIR_NEXTHOP_NEIGH;
	nexthop->ifindex = fib.ifindex;
	nexthop->mtu = fib.mtu_result > 1 ? fib.mtu_result : 0;
	nexthop->family = fib.family;
	__builtin_memcpy(&nexthop->gateway, fib.ipv6_dst, sizeof(nexthop->gateway));
	interface = bpf_map_lookup_elem(&interfaces, &fib.ifindex);
	if (answer == BPF_FIB_LKUP_RET_SUCCESS && interface &&
	    interface->flags & WEIR_INTERFACE_PEER) {
		nexthop->kind = WEIR_NEXTHOP_PEER;
		__builtin_memcpy(nexthop->dmac, fib.dmac, sizeof(nexthop->dmac));
		__builtin_memcpy(nexthop->smac, fib.smac, sizeof(nexthop->smac));
	}
	return 0;
}

static __always_inline struct weir_nexthop *nexthop_find(struct context *ctx, struct packet *packet,
							 struct weir_address *destination)
{
	__u64 hash = filter_hash(destination) + context_ifindex(ctx) * NEXTHOP_SPREAD;
	__u32 slot = (hash >> 40) & (WEIR_NEXTHOPS - 1);
	struct weir_nexthop *nexthop =
		map_at(nexthops, bpf_get_smp_processor_id() * WEIR_NEXTHOPS + slot);

	if (!nexthop)
		return NULL;
	if (unlikely(nexthop->stamp != nexthop_now() || nexthop->came_by != context_ifindex(ctx) ||
		     !address_equal(&nexthop->destination, destination)))
		nexthop_ask(ctx->skb, nexthop, &packet->source, destination, packet->is_v6);
	return nexthop;
}

#endif
