/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * csum.h - 5b: Internet checksums, corrected for what changed (RFC 1624), never made anew: a sum
 * that was wrong stays wrong. Sums are 32 bits with the carries still in them.
 */
#ifndef WEIR_CSUM_H
#define WEIR_CSUM_H

#include "env.h"

static __always_inline __u32 csum_add(__u32 a, __u32 b)
{
	__u64 sum = (__u64)a + b;

	return (__u32)sum + (__u32)(sum >> 32);
}

static __always_inline __u16 csum_fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* What a change of one 32-bit word does to a sum. */
static __always_inline __u32 csum_diff_word(__be32 from, __be32 to)
{
	return csum_add(~from, to);
}

static __always_inline __u32 csum_diff_port(__be16 from, __be16 to)
{
	return csum_add((__u16)~from, to);
}

static __always_inline __u32 csum_diff_address(const struct weir_address *from,
					       const struct weir_address *to, bool is_v6)
{
	__u32 diff = csum_diff_word(from->word[3], to->word[3]);

	if (!is_v6)
		return diff;
	diff = csum_add(diff, csum_diff_word(from->word[0], to->word[0]));
	diff = csum_add(diff, csum_diff_word(from->word[1], to->word[1]));
	return csum_add(diff, csum_diff_word(from->word[2], to->word[2]));
}

/* RFC 1624, eqn. 3: HC' = ~(~HC + ~m + m'). */
static __always_inline __u16 csum_apply(__u16 check, __u32 diff)
{
	return ~csum_fold(csum_add((__u16)~check, diff));
}

/* Sum of `words` 16-bit words (a constant), whatever was written there: no aliasing rules. */
static __always_inline __u32 csum_words(const void *data, int words)
{
	const __u16 __attribute__((may_alias)) *word = data;
	__u32 sum = 0;

#pragma unroll
	for (int i = 0; i < words; i++)
		sum += word[i];
	return sum;
}

#endif
