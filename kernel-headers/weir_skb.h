/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * weir_skb.h - the one field of the kernel's own sk_buff that we read: is the transport checksum
 * complete, partial, or whole? By CO-RE, so its place is the running kernel's. The kfunc came with
 * 6.2: call this only where `config.has_kern_ctx` says that it is there.
 */
#ifndef WEIR_KERNEL_SKB_H
#define WEIR_KERNEL_SKB_H

#include <bpf/bpf_core_read.h>

struct sk_buff___weir {
	__u8 ip_summed : 2;
} __attribute__((preserve_access_index));

extern void *bpf_cast_to_kern_ctx(void *obj) __attribute__((weak)) __ksym;

static __always_inline __u8 skb_ip_summed(struct __sk_buff *skb)
{
	struct sk_buff___weir *kernel_skb = bpf_cast_to_kern_ctx(skb);

	return BPF_CORE_READ_BITFIELD(kernel_skb, ip_summed);
}

#endif
