/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * siphash.h - SipHash-1-3 (Aumasson and Bernstein, 2012; the reduced-round form that Linux calls
 * hsiphash on 64-bit machines) of a few 64-bit words with a 128-bit secret.
 *
 * One copy for the packet path and user space. A word is hashed as its 8 bytes, little endian.
 */
#ifndef WEIR_SIPHASH_H
#define WEIR_SIPHASH_H

#include <linux/types.h>

#define SIPHASH_ROTL(x, b) (((x) << (b)) | ((x) >> (64 - (b))))
#define SIPHASH_ROUND                                                                     \
	do {                                                                              \
		v0 += v1, v1 = SIPHASH_ROTL(v1, 13), v1 ^= v0, v0 = SIPHASH_ROTL(v0, 32); \
		v2 += v3, v3 = SIPHASH_ROTL(v3, 16), v3 ^= v2;                            \
		v0 += v3, v3 = SIPHASH_ROTL(v3, 21), v3 ^= v0;                            \
		v2 += v1, v1 = SIPHASH_ROTL(v1, 17), v1 ^= v2, v2 = SIPHASH_ROTL(v2, 32); \
	} while (0)

/*
 * `count` whole words (a constant of at most 8, so that the loop disappears), then the last block:
 * up to 7 bytes of the message, and its length modulo 256 in the top byte.
 */
static inline __attribute__((always_inline)) __u64 siphash_block(const __u64 *word, int count,
								 __u64 last, __u64 key0, __u64 key1)
{
	__u64 v0 = key0 ^ 0x736f6d6570736575ull, v1 = key1 ^ 0x646f72616e646f6dull;
	__u64 v2 = key0 ^ 0x6c7967656e657261ull, v3 = key1 ^ 0x7465646279746573ull;

#ifdef __clang__
#pragma unroll
#endif
	for (int i = 0; i < count; i++) {
		v3 ^= word[i];
		SIPHASH_ROUND;
		v0 ^= word[i];
	}
	v3 ^= last;
	SIPHASH_ROUND;
	v0 ^= last;
	v2 ^= 0xff;
	SIPHASH_ROUND;
	SIPHASH_ROUND;
	SIPHASH_ROUND;
	return v0 ^ v1 ^ v2 ^ v3;
}

/* A message of whole words. */
static inline __attribute__((always_inline)) __u64 siphash(const __u64 *word, int count, __u64 key0,
							   __u64 key1)
{
	return siphash_block(word, count, (__u64)(count * 8) << 56, key0, key1);
}

/* A message of `count` words and the low `bytes` (less than 8) bytes of `rest`, the others 0. */
static inline __attribute__((always_inline)) __u64 siphash_rest(const __u64 *word, int count,
								__u64 rest, int bytes, __u64 key0,
								__u64 key1)
{
	return siphash_block(word, count, (__u64)(count * 8 + bytes) << 56 | rest, key0, key1);
}

#endif
