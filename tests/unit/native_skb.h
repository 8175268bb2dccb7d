/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * native_skb.h - a model of the kernel's sk_buff for native tests, and the helpers that take one.
 *
 * The frame lies below 4 GiB, since __sk_buff holds 32-bit pointers, at an address 4n+2, as
 * drivers place it. What is beyond `data_end` is poisoned for the address sanitizer. Whatever the
 * kernel may answer by moving the data moves it here, and the old place is poisoned too.
 *
 * The checksum helpers follow net/core/filter.c and net/core/utils.c of Linux 6.16:
 * bpf_l4_csum_replace, inet_proto_csum_replace4 and inet_proto_csum_replace_by_diff.
 */
#ifndef WEIR_NATIVE_SKB_H
#define WEIR_NATIVE_SKB_H

#include "kernel-headers/weir_kernel.h"

#include <sanitizer/asan_interface.h>
#include <sys/mman.h>

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/in.h>
#include <linux/pkt_cls.h>

/* Values of ip_summed, as in include/linux/skbuff.h. */
#define CHECKSUM_NONE        0
#define CHECKSUM_UNNECESSARY 1
#define CHECKSUM_COMPLETE    2
#define CHECKSUM_PARTIAL     3

#define NATIVE_FRAME_MAX (1 << 17)
#define NATIVE_AREA      (NATIVE_FRAME_MAX + 1024)
#define NATIVE_HEADROOM  66 /* makes 4n+2 */
#define NATIVE_RED_ZONE  256

struct native_skb {
	struct __sk_buff skb; /* first: what the helpers get */
	__u8 ip_summed;
	__u32 csum; /* COMPLETE: sum of the frame from the IP header on */
	__u32 csum_start, csum_offset; /* PARTIAL: from the start of the frame, from csum_start */
	bool is_refused; /* the kernel has no memory: nothing can be written */
	__u8 *area, *side[2]; /* two places, and the one that holds the linear part */
	__u8 rest[NATIVE_FRAME_MAX]; /* what is not linear: bytes data_end - data and on */
};

/* What the last redirect asked for. */
struct native_redirect {
	int kind; /* 0 none, else NATIVE_REDIRECT_* */
	__u32 ifindex;
	struct bpf_redir_neigh neigh;
};
#define NATIVE_REDIRECT_OUT   1
#define NATIVE_REDIRECT_NEIGH 2
#define NATIVE_REDIRECT_PEER  3
static __thread struct native_redirect native_redirect;

static bool native_has_csum_ipv6 = true; /* the kernel knows BPF_F_IPV6 */

/* --- sums ----------------------------------------------------------------------------------- */

static inline __u32 native_csum_add(__u32 a, __u32 b)
{
	__u64 sum = (__u64)a + b;

	return (__u32)((sum & 0xffffffff) + (sum >> 32));
}

static inline __u16 native_csum_fold(__u32 sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)sum;
}

/* Sum of the bytes as 16-bit words in memory order; an odd last byte is followed by 0. */
static inline __u32 native_csum(const void *data, size_t length)
{
	const __u8 *bytes = data;
	__u64 sum = 0;

	for (size_t i = 0; i < length; i++)
		sum += i % 2 ? (__u32)bytes[i] << 8 : bytes[i];
	while (sum >> 32)
		sum = (sum & 0xffffffff) + (sum >> 32);
	return (__u32)sum;
}

/* --- the frame ------------------------------------------------------------------------------ */

static inline __u8 *native_skb_data(const struct native_skb *nskb)
{
	return (__u8 *)(unsigned long)nskb->skb.data;
}

static inline __u32 native_skb_linear(const struct native_skb *nskb)
{
	return nskb->skb.data_end - nskb->skb.data;
}

static inline void native_skb_free(struct native_skb *nskb)
{
	if (!nskb)
		return;
	ASAN_UNPOISON_MEMORY_REGION(nskb->area, 2 * NATIVE_AREA);
	munmap(nskb->area, 2 * NATIVE_AREA);
	free(nskb);
}

static inline struct native_skb *native_skb_new(void)
{
	struct native_skb *nskb = calloc(1, sizeof(*nskb));
	void *area = mmap(NULL, 2 * NATIVE_AREA, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	if (!nskb || area == MAP_FAILED)
		abort();
	nskb->area = area;
	nskb->side[0] = nskb->area;
	nskb->side[1] = nskb->area + NATIVE_AREA;
	ASAN_POISON_MEMORY_REGION(nskb->area, 2 * NATIVE_AREA);
	return nskb;
}

/* Bytes of the frame, wherever they are, as the hardware would send them. */
static inline void native_skb_copy(const struct native_skb *nskb, __u8 *frame)
{
	__u32 linear = native_skb_linear(nskb);

	memcpy(frame, native_skb_data(nskb), linear);
	memcpy(frame + linear, nskb->rest + linear, nskb->skb.len - linear);
}

/* Put the frame to the other place, `linear` bytes of it readable at once. */
static inline void native_skb_place(struct native_skb *nskb, const __u8 *frame, __u32 length,
				    __u32 linear)
{
	__u8 *old = nskb->side[0], *data = nskb->side[1] + NATIVE_HEADROOM;

	ASAN_POISON_MEMORY_REGION(old, NATIVE_HEADROOM + native_skb_linear(nskb) + 8);
	nskb->side[0] = nskb->side[1];
	nskb->side[1] = old;
	ASAN_UNPOISON_MEMORY_REGION(data, linear);
	ASAN_POISON_MEMORY_REGION(data + linear, NATIVE_RED_ZONE);
	memcpy(data, frame, linear);
	memcpy(nskb->rest + linear, frame + linear, length - linear);
	nskb->skb.data = (__u32)(unsigned long)data;
	nskb->skb.data_end = nskb->skb.data + linear;
	nskb->skb.len = length;
}

/* A new frame in an skb that may have held another. */
static inline void native_skb_set(struct native_skb *nskb, const __u8 *frame, __u32 length,
				  __u32 linear)
{
	if (length > NATIVE_FRAME_MAX || linear > length)
		abort();
	native_skb_place(nskb, frame, length, linear);
	nskb->skb.pkt_type = PACKET_HOST;
	nskb->skb.gso_size = nskb->skb.gso_segs = 0;
	nskb->skb.vlan_present = 0;
	nskb->ip_summed = CHECKSUM_NONE;
	nskb->csum = 0;
	nskb->is_refused = false;
}

/* bpf_try_make_writable: `length` bytes linear and our own, which may move all of them. */
static inline bool native_skb_write(struct native_skb *nskb, __u32 length)
{
	__u8 *frame;

	if (nskb->is_refused || length > nskb->skb.len)
		return false;
	frame = malloc(nskb->skb.len);
	if (!frame)
		abort();
	native_skb_copy(nskb, frame);
	if (length < native_skb_linear(nskb))
		length = native_skb_linear(nskb);
	native_skb_place(nskb, frame, nskb->skb.len, length);
	free(frame);
	return true;
}

/* The driver says COMPLETE: it has summed all from the IP header on, padding included. */
static inline void native_skb_complete(struct native_skb *nskb)
{
	static __u8 frame[NATIVE_FRAME_MAX];

	native_skb_copy(nskb, frame);
	nskb->ip_summed = CHECKSUM_COMPLETE;
	nskb->csum = native_csum(frame + ETH_HLEN, nskb->skb.len - ETH_HLEN);
}

/* Is what COMPLETE says still true of the data? */
static inline bool native_skb_complete_holds(const struct native_skb *nskb)
{
	static __u8 frame[NATIVE_FRAME_MAX];
	__u32 sum;

	native_skb_copy(nskb, frame);
	sum = native_csum(frame + ETH_HLEN, nskb->skb.len - ETH_HLEN);
	return native_csum_fold(sum) % 0xffff == native_csum_fold(nskb->csum) % 0xffff;
}

/* The state of its checksum, which programs of the kernel read by a kfunc (weir_skb.h). */
static inline __u8 skb_ip_summed(struct __sk_buff *skb)
{
	return ((struct native_skb *)skb)->ip_summed;
}

/* --- helpers -------------------------------------------------------------------------------- */

static inline long bpf_skb_pull_data(struct __sk_buff *skb, __u32 length)
{
	struct native_skb *nskb = (struct native_skb *)skb;

	return native_skb_write(nskb, length ? length : skb->len) ? 0 : -ENOMEM;
}

static inline long bpf_skb_store_bytes(struct __sk_buff *skb, __u32 offset, const void *from,
				       __u32 length, __u64 flags)
{
	struct native_skb *nskb = (struct native_skb *)skb;

	if (flags)
		return -EINVAL;
	if (!native_skb_write(nskb, offset + length))
		return -EFAULT;
	memcpy(native_skb_data(nskb) + offset, from, length);
	return 0;
}

/* inet_proto_csum_replace_by_diff; the kernel's csum_fold also complements. */
static inline void native_replace_by_diff(struct native_skb *nskb, __u16 *sum, __u32 diff,
					  bool is_pseudo, bool is_ipv6)
{
	if (nskb->ip_summed != CHECKSUM_PARTIAL) {
		*sum = ~native_csum_fold(native_csum_add(diff, ~(__u32)*sum));
		if (nskb->ip_summed == CHECKSUM_COMPLETE && is_pseudo && !is_ipv6)
			nskb->csum = ~native_csum_add(diff, ~nskb->csum);
	} else if (is_pseudo) {
		*sum = native_csum_fold(native_csum_add(diff, *sum));
	}
}

/* inet_proto_csum_replace4, of which replace2 is a case. */
static inline void native_replace_field(struct native_skb *nskb, __u16 *sum, __u32 from, __u32 to,
					bool is_pseudo)
{
	if (nskb->ip_summed != CHECKSUM_PARTIAL) {
		*sum = ~native_csum_fold(native_csum_add(native_csum_add(~(__u32)*sum, ~from), to));
		if (nskb->ip_summed == CHECKSUM_COMPLETE && is_pseudo)
			nskb->csum = ~native_csum_add(native_csum_add(~nskb->csum, ~from), to);
	} else if (is_pseudo) {
		*sum = native_csum_fold(native_csum_add(native_csum_add(*sum, ~from), to));
	}
}

static inline long bpf_l4_csum_replace(struct __sk_buff *skb, __u32 offset, __u64 from, __u64 to,
				       __u64 flags)
{
	struct native_skb *nskb = (struct native_skb *)skb;
	__u64 known = BPF_F_MARK_MANGLED_0 | BPF_F_MARK_ENFORCE | BPF_F_PSEUDO_HDR |
		      BPF_F_HDR_FIELD_MASK | (native_has_csum_ipv6 ? WEIR_CSUM_IPV6 : 0);
	bool is_pseudo = flags & BPF_F_PSEUDO_HDR, is_mmzero = flags & BPF_F_MARK_MANGLED_0;
	__u64 width = flags & BPF_F_HDR_FIELD_MASK;
	__u16 *sum;

	if (flags & ~known || (width != 0 && width != 2 && width != 4) || (!width && from))
		return -EINVAL;
	if (offset > 0xffff || offset & 1 || !native_skb_write(nskb, offset + 2))
		return -EFAULT;
	sum = (__u16 *)(native_skb_data(nskb) + offset);
	if (is_mmzero && !(flags & BPF_F_MARK_ENFORCE) && !*sum)
		return 0;
	if (width)
		native_replace_field(nskb, sum, (__u32)from, (__u32)to, is_pseudo);
	else
		native_replace_by_diff(nskb, sum, (__u32)to, is_pseudo, flags & WEIR_CSUM_IPV6);
	if (is_mmzero && !*sum)
		*sum = 0xffff;
	return 0;
}

static inline long bpf_csum_update(struct __sk_buff *skb, __u32 csum)
{
	struct native_skb *nskb = (struct native_skb *)skb;

	if (nskb->ip_summed != CHECKSUM_COMPLETE)
		return -ENOTSUP;
	nskb->csum = native_csum_add(nskb->csum, csum);
	return nskb->csum;
}

/* Other lengths end COMPLETE; the frame becomes linear and loses its segments (6.16). */
static inline long bpf_skb_change_tail(struct __sk_buff *skb, __u32 length, __u64 flags)
{
	struct native_skb *nskb = (struct native_skb *)skb;
	__u32 least = nskb->ip_summed == CHECKSUM_PARTIAL ? nskb->csum_start + nskb->csum_offset + 2
							  : ETH_HLEN;
	static __u8 frame[NATIVE_FRAME_MAX];

	if (flags || length > NATIVE_FRAME_MAX || length < least)
		return -EINVAL;
	if (nskb->is_refused)
		return -ENOMEM;
	memset(frame, 0, length);
	native_skb_copy(nskb, frame);
	if (length != skb->len && nskb->ip_summed == CHECKSUM_COMPLETE)
		nskb->ip_summed = CHECKSUM_NONE;
	native_skb_place(nskb, frame, length, length);
	skb->gso_size = skb->gso_segs = 0;
	return 0;
}

static inline long bpf_redirect(__u32 ifindex, __u64 flags)
{
	if (flags & ~(__u64)BPF_F_INGRESS)
		return TC_ACT_SHOT;
	native_redirect = (struct native_redirect){NATIVE_REDIRECT_OUT, ifindex, {}};
	return TC_ACT_REDIRECT;
}

static inline long bpf_redirect_peer(__u32 ifindex, __u64 flags)
{
	if (flags)
		return TC_ACT_SHOT;
	native_redirect = (struct native_redirect){NATIVE_REDIRECT_PEER, ifindex, {}};
	return TC_ACT_REDIRECT;
}

static inline long bpf_redirect_neigh(__u32 ifindex, struct bpf_redir_neigh *neigh, int length,
				      __u64 flags)
{
	if (flags || (length && length < (int)sizeof(*neigh)))
		return TC_ACT_SHOT;
	native_redirect = (struct native_redirect){NATIVE_REDIRECT_NEIGH, ifindex, {}};
	if (length)
		native_redirect.neigh = *neigh;
	return TC_ACT_REDIRECT;
}

/* The FIB of the test: BPF_FIB_LKUP_RET_*. */
static long (*native_fib)(struct bpf_fib_lookup *fib);

static inline long bpf_fib_lookup(struct __sk_buff *skb, struct bpf_fib_lookup *fib, int length,
				  __u32 flags)
{
	if (length != (int)sizeof(*fib) || flags)
		return -EINVAL;
	return native_fib ? native_fib(fib) : BPF_FIB_LKUP_RET_NOT_FWDED;
}

#endif
