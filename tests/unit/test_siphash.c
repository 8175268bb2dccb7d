/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * test_siphash.c - bpf/siphash.h against the vectors of its authors' reference implementation,
 * and against a second implementation that reads bytes and takes any number of rounds.
 */
#include "bpf/siphash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define KEY0     0x0706050403020100ull /* bytes 00 01 ... 0f */
#define KEY1     0x0f0e0d0c0b0a0908ull
#define WORDS    8
#define RANDOMLY 100000
#define RESTS    8 /* 0 to 7 bytes after the words */

static uint64_t read_little(const uint8_t *bytes, size_t count)
{
	uint64_t word = 0;

	for (size_t i = 0; i < count; i++)
		word |= (uint64_t)bytes[i] << (8 * i);
	return word;
}

static uint64_t rotate(uint64_t word, int by)
{
	return word << by | word >> (64 - by);
}

/* Section 2.2 of the paper, half a round after the other. */
static void rounds(uint64_t v[4], int count)
{
	while (count--) {
		v[0] += v[1];
		v[2] += v[3];
		v[1] = rotate(v[1], 13) ^ v[0];
		v[3] = rotate(v[3], 16) ^ v[2];
		v[0] = rotate(v[0], 32);
		v[2] += v[1];
		v[0] += v[3];
		v[1] = rotate(v[1], 17) ^ v[2];
		v[3] = rotate(v[3], 21) ^ v[0];
		v[2] = rotate(v[2], 32);
	}
}

/* SipHash-c-d of any bytes. */
static uint64_t reference(int c, int d, const uint8_t *data, size_t length, uint64_t key0,
			  uint64_t key1)
{
	static const char constants[] = "somepseudorandomlygeneratedbytes";
	uint64_t v[4], word;
	size_t at = 0;

	for (int i = 0; i < 4; i++) {
		v[i] = 0;
		for (int byte = 0; byte < 8; byte++) /* big-endian */
			v[i] = v[i] << 8 | (uint8_t)constants[i * 8 + byte];
		v[i] ^= i % 2 ? key1 : key0;
	}
	for (bool is_last = false; !is_last; at += 8) {
		is_last = length - at < 8;
		word = is_last ? read_little(data + at, length - at) | (uint64_t)length << 56
			       : read_little(data + at, 8);
		v[3] ^= word;
		rounds(v, c);
		v[0] ^= word;
	}
	v[2] ^= 0xff;
	rounds(v, d);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* siphash() with a count that is a constant, as its users have it. */
static uint64_t of_words(const __u64 *words, int count, uint64_t key0, uint64_t key1)
{
	switch (count) {
#define CASE(n) \
	case n: \
		return siphash(words, n, key0, key1)
		CASE(0);
		CASE(1);
		CASE(2);
		CASE(3);
		CASE(4);
		CASE(5);
		CASE(6);
		CASE(7);
		CASE(8);
	default:
		fail();
		return 0;
	}
}

/* siphash_rest() with counts that are constants. */
static uint64_t of_bytes(const __u64 *words, int count, uint64_t rest, int bytes, uint64_t key0,
			 uint64_t key1)
{
	switch (count) {
#define REST(n) \
	case n: \
		return siphash_rest(words, n, rest, bytes, key0, key1)
		REST(0);
		REST(1);
		REST(2);
		REST(3);
		REST(4);
		REST(5);
		REST(6);
		REST(7);
	default:
		fail();
		return 0;
	}
}

/* Messages 00 01 02 ...: the first vectors of the reference implementation, of 2-4 and of 1-3. */
static void test_reference(void **state)
{
	static const uint64_t vectors24[] = {
		0x726fdb47dd0e0e31, 0x74f839c593dc67fd, 0x0d6c8009d9a94f5a, 0x85676696d7fb7e2d,
		0xcf2794e0277187b7, 0x18765564cd99a68d, 0xcbc9466e58fee3ce, 0xab0200f58b01d137,
		0x93f5f5799a932462, 0x9e0082df0ba9e4b0, 0x7a5dbbc594ddb9f3, 0xf4b32f46226bada7,
		0x751e8fbc860ee5fb, 0x14ea5627c0843d90, 0xf723ca908e7af2ee, 0xa129ca6149be45e5,
	};
	static const uint64_t vectors13[] = {
		0xabac0158050fc4dc, 0xc9f49bf37d57ca93, 0x82cb9b024dc7d44d,
		0x8bf80ab8e7ddf7fb, 0xcf75576088d38328, 0xdef9d52f49533b67,
		0xc50d2b50c59f22a7, 0xd3927d989bb11140, 0x369095118d299a8e,
	};
	uint8_t data[64];

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof(vectors24) / sizeof(vectors24[0]); i++)
		assert_true(reference(2, 4, data, i, KEY0, KEY1) == vectors24[i]);
	for (size_t i = 0; i < sizeof(vectors13) / sizeof(vectors13[0]); i++)
		assert_true(reference(1, 3, data, i, KEY0, KEY1) == vectors13[i]);
}

/* Of the vectors of SipHash-1-3 those for whole words. */
static void test_vectors(void **state)
{
	static const uint64_t vectors[] = {
		0xabac0158050fc4dc, 0x369095118d299a8e, 0xcc4fdd1a7d908b66, 0xf464aeb267349c8c,
		0x81157b6c16a7b60d, 0xc1d2363299e41531, 0x9f3143f8df074c46, 0xb4bcc0db243c6d75,
	};
	__u64 words[WORDS];

	for (int i = 0; i < WORDS; i++)
		words[i] = KEY0 + i * 0x0808080808080808ull;
	for (int i = 0; i < WORDS; i++)
		assert_true(of_words(words, i, KEY0, KEY1) == vectors[i]);
}

static void test_random(void **state)
{
	uint64_t seed = 1;

	for (int i = 0; i < RANDOMLY; i++) {
		uint8_t bytes[8 * WORDS];
		uint64_t numbers[WORDS + 2];
		__u64 words[WORDS];
		int count = i % (WORDS + 1);

		for (int j = 0; j < WORDS + 2; j++)
			numbers[j] = seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		memcpy(bytes, numbers, sizeof(bytes));
		memcpy(words, numbers, sizeof(words));
		assert_true(of_words(words, count, numbers[WORDS], numbers[WORDS + 1]) ==
			    reference(1, 3, bytes, 8 * count, numbers[WORDS], numbers[WORDS + 1]));
	}
}

/* Words and the beginning of another: what lies above its bytes is 0. */
static void test_rest(void **state)
{
	uint64_t seed = 2;

	for (int i = 0; i < RANDOMLY; i++) {
		int count = i % WORDS, bytes = i / WORDS % RESTS;
		uint64_t numbers[WORDS + 2], rest;
		uint8_t data[8 * WORDS];
		__u64 words[WORDS];

		for (int j = 0; j < WORDS + 2; j++)
			numbers[j] = seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		memcpy(data, numbers, sizeof(data));
		memcpy(words, numbers, sizeof(words));
		rest = numbers[count] & ((1ull << (8 * bytes)) - 1);
		assert_true(of_bytes(words, count, rest, bytes, numbers[WORDS],
				     numbers[WORDS + 1]) == reference(1, 3, data, 8 * count + bytes,
								      numbers[WORDS],
								      numbers[WORDS + 1]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reference),
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
