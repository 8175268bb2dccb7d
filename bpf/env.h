/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * env.h - the one include of libbpf's BPF headers. Unit tests compile bpf/ natively by putting
 * their own bpf_native.h in its place (tests/unit/bpf_native.h).
 */
#ifndef WEIR_ENV_H
#define WEIR_ENV_H

#include <linux/types.h>

#ifdef __bpf__
#include <stddef.h>
#include <stdbool.h>
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#define CONFIG const volatile
#else
#include "tests/unit/bpf_native.h"
#define CONFIG
#endif

#include "abi.h"

#ifndef likely
#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#endif
#ifndef READ_ONCE
#define READ_ONCE(x)         (*(volatile typeof(x) *)&(x))
#define WRITE_ONCE(x, value) (*(volatile typeof(x) *)&(x) = (value))
#endif

/* The value at `index` of an ARRAY map, or NULL. */
#define map_at(map, index)                               \
	({                                               \
		__u32 map_index = (index);               \
		bpf_map_lookup_elem(&(map), &map_index); \
	})

/* What is fixed at load; the values here only let other tools load the object. */
CONFIG struct weir_constants config = {
	.flow_buckets = 1 << 16,
	.flow_wide_buckets = 1 << 16,
	.vip_filter_words = 1024,
	.backend_filter_words = 1024,
	.backends = 1 << 14,
	.age_shift = 10,
};

#endif
