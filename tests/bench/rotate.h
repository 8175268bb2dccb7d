/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * rotate.h - what bench_prog.c tells rotate.bpf.c: which packets to make.
 *
 * Flow f of `flows` is that of client f % clients, from port 1024 + f / clients, to service
 * f * services / flows; both sides count on it. Step n of a run has the flow n * ROTATE_FACTOR
 * mod flows: each flow once, in an order that no prefetcher follows.
 */
#ifndef WEIR_BENCH_ROTATE_H
#define WEIR_BENCH_ROTATE_H

#include <linux/types.h>

#define ROTATE_FLOWS_MAX (1u << 17)
#define ROTATE_FACTOR    0x9e3779b1u /* odd */
#define ROTATE_PORT      1024 /* of the first flows */

struct rotate {
	__u32 step; /* of the next packet */
	__u32 flows_mask, flows_shift;
	__u32 clients_mask, clients_shift;
	__u32 services;
	__be32 prefix[2][3]; /* IPv6: of source and destination */
	__u32 source, destination; /* first address of each, host order; IPv6: the last word */
	__be32 sequence, acknowledgement;
	__u8 flags, is_reply, is_v6;
	__be16 server_port; /* of VIP, backend or bystander */
};

#endif
