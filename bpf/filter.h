/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * filter.h - a blocked Bloom filter over addresses: one 64-bit word, three bits in it.
 *
 * The packet path asks it before anything else, so a packet that is not ours costs two loads.
 * User space sets the bits. A false positive costs time, never a wrong answer. The hash is public
 * and weak on purpose: whoever collides with it only reaches the exact look-up behind it.
 */
#ifndef WEIR_FILTER_H
#define WEIR_FILTER_H

#include "abi.h"

static inline __attribute__((always_inline)) __u64 filter_hash(const struct weir_address *address)
{
	__u64 high = (__u64)address->word[0] << 32 | address->word[1];
	__u64 low = (__u64)address->word[2] << 32 | address->word[3];

	return ((high * 0x9e3779b97f4a7c15ull) ^ low) * 0xff51afd7ed558ccdull;
}

/* Index of the word; `words` is a power of two. */
static inline __attribute__((always_inline)) __u32 filter_word(__u64 hash, __u32 words)
{
	return (__u32)(hash >> 32) & (words - 1);
}

static inline __attribute__((always_inline)) __u64 filter_bits(__u64 hash)
{
	return 1ull << (hash >> 58) | 1ull << ((hash >> 26) & 63) | 1ull << ((hash >> 20) & 63);
}

#endif
