/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * test_csum.c - Internet checksums: bpf/csum.h against a full recomputation, and what skb.h,
 * forward.h and refuse.h make of a packet in each state of its checksum: as it leaves, it must be
 * right to its receiver, and what CHECKSUM_COMPLETE says must hold.
 */
#include "native_world.h"
#include "native_frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define CASES   1000000
#define PACKETS 4000 /* of each kind */

static struct native_skb *nskb;

/* Random bytes in which 0 and 0xffff are common. */
static __u16 awkward(__u64 *state)
{
	static const __u16 corners[] = {0, 0xffff, 1, 0xfffe, 0x0100, 0xff00, 0x8000};
	__u64 random = world_random(state);

	return random % 3 ? (__u16)(random >> 32) : corners[(random >> 32) % 7];
}

static void fill(__u64 *state, __u16 *words, int count)
{
	for (int i = 0; i < count; i++)
		words[i] = awkward(state);
}

/* The checksum of 16-bit words in memory order, made anew. */
static __u16 checksum_of(const __u16 *words, int count)
{
	__u32 sum = 0;

	for (int i = 0; i < count; i++) {
		sum += words[i];
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return (__u16)~sum;
}

/* csum_add, csum_fold and csum_words: sums with the carries still in them stay the same sum. */
static void test_sums(void **state)
{
	__u64 random = 1;

	for (int i = 0; i < CASES; i++) {
		__u16 words[18];
		__u32 a, b;

		fill(&random, words, 18);
		assert_int_equal((__u16)~csum_fold(csum_words(words, 18)), checksum_of(words, 18));
		a = csum_words(words, 6);
		b = csum_words(words + 6, 12);
		assert_int_equal((__u16)~csum_fold(csum_add(a, b)), checksum_of(words, 18));
		memcpy(&a, words, sizeof(a));
		memcpy(&b, words + 2, sizeof(b));
		assert_int_equal((__u16)~csum_fold(csum_add(a, b)), checksum_of(words, 4));
	}
	assert_int_equal(csum_fold(0xffffffff), 0xffff);
	assert_int_equal(csum_fold(0), 0);
	assert_int_equal(csum_add(0xffffffff, 1), 1);
}

/*
 * A header of ten words of which one 32-bit word changes: csum_apply gives what a recomputation
 * gives, and never 0xffff unless all is 0 (RFC 1624, 3).
 */
static void test_word(void **state)
{
	__u64 random = 2;

	for (int i = 0; i < CASES; i++) {
		__u32 from, to, at = world_random(&random) % 4 * 2;
		__u16 words[10], check;

		fill(&random, words, 10);
		words[8] |= 1; /* a header is never all 0 */
		check = checksum_of(words, 10);
		memcpy(&from, words + at, sizeof(from));
		fill(&random, words + at, 2);
		memcpy(&to, words + at, sizeof(to));
		assert_int_equal(csum_apply(check, csum_diff_word(from, to)),
				 checksum_of(words, 10));
		assert_int_equal(csum_apply(check, csum_diff_word(from, from)), check);
	}
}

/* An address in a pseudo header; a sum that was wrong by some amount stays wrong by it. */
static void test_address(void **state)
{
	__u64 random = 3;

	for (int i = 0; i < CASES; i++) {
		__u16 words[20], check, wrong;
		struct weir_address from, to;
		bool is_v6 = i % 2;
		int first = is_v6 ? 0 : 6;

		fill(&random, words, 20);
		words[8] |= 1;
		check = checksum_of(words + first, 20 - first);
		memcpy(&from, words, sizeof(from));
		fill(&random, words, 8);
		memcpy(&to, words, sizeof(to));
		assert_int_equal(csum_apply(check, csum_diff_address(&from, &to, is_v6)),
				 checksum_of(words + first, 20 - first));
		wrong = check ^ 0x0100;
		assert_int_not_equal(csum_apply(wrong, csum_diff_address(&from, &to, is_v6)) %
					     0xffff,
				     checksum_of(words + first, 20 - first) % 0xffff);
	}
}

/* --- packets -------------------------------------------------------------------------------- */

struct kind {
	bool is_v6;
	__u8 protocol;
	__u8 ip_summed;
	bool has_csum_ipv6, has_kern_ctx;
};

static struct weir_address random_address(__u64 *state, bool is_v6)
{
	struct weir_address address = world_v4(0, 0, 0, 0);

	fill(state, (__u16 *)(void *)&address.word[3], 2);
	if (is_v6)
		fill(state, (__u16 *)(void *)&address, 6);
	return address;
}

static struct frame random_frame(const struct kind *kind, __u64 *state)
{
	return (struct frame){
		.is_v6 = kind->is_v6,
		.protocol = kind->protocol,
		.source = random_address(state, kind->is_v6),
		.destination = random_address(state, kind->is_v6),
		.source_port = awkward(state),
		.destination_port = awkward(state),
		.tcp_flags = TCP_ACK,
		.ttl = (__u8)(2 + world_random(state) % 250),
		.ip_options = world_random(state) % 11 * 4,
		.tcp_options = world_random(state) % 11 * 4,
		.sequence = awkward(state),
		.acknowledgement = awkward(state),
		.payload = world_random(state) % 40,
		.padding = kind->ip_summed == CHECKSUM_PARTIAL ? 0 : world_random(state) % 8,
		.seed = world_random(state),
	};
}

/* The frame in nskb, in the state of its kind; returns its length. */
static __u32 enter(const struct kind *kind, const struct frame *of)
{
	__u8 bytes[400];
	__u32 length = frame_build(of, bytes);
	struct frame_parts parts = frame_parts(bytes);

	if (kind->ip_summed == CHECKSUM_PARTIAL)
		frame_make_partial(bytes);
	native_skb_set(nskb, bytes, length, length < 60 ? length : 60);
	if (kind->ip_summed == CHECKSUM_COMPLETE)
		native_skb_complete(nskb);
	nskb->ip_summed = kind->ip_summed;
	nskb->csum_start = parts.transport;
	nskb->csum_offset = parts.checksum - parts.transport;
	config.has_csum_ipv6 = native_has_csum_ipv6 = kind->has_csum_ipv6;
	config.has_kern_ctx = kind->has_kern_ctx;
	return length;
}

/* The frame as it would be on the wire. */
static void leave(__u8 *bytes)
{
	native_skb_copy(nskb, bytes);
	if (nskb->ip_summed == CHECKSUM_PARTIAL)
		frame_finish_partial(bytes, nskb->skb.len, nskb->csum_start, nskb->csum_offset);
}

static void check_left(const struct kind *kind, bool is_checked)
{
	__u8 bytes[400];

	leave(bytes);
	assert_true(frame_header_is_right(bytes));
	if (is_checked)
		assert_true(frame_is_right(bytes));
	if (nskb->ip_summed == CHECKSUM_COMPLETE)
		assert_true(native_skb_complete_holds(nskb));
	if (kind->ip_summed == CHECKSUM_PARTIAL)
		assert_int_equal(nskb->ip_summed, CHECKSUM_PARTIAL);
}

static void for_each_kind(void (*call)(const struct kind *kind, __u64 *state))
{
	static const __u8 summed[] = {CHECKSUM_NONE, CHECKSUM_UNNECESSARY, CHECKSUM_COMPLETE,
				      CHECKSUM_PARTIAL};
	__u64 state = 4;

	for (int i = 0; i < 64; i++) {
		struct kind kind = {i & 1, i & 2 ? IPPROTO_UDP : IPPROTO_TCP, summed[i >> 2 & 3],
				    i >> 4 & 1, i >> 5};

		for (int n = 0; n < PACKETS; n++)
			call(&kind, &state);
	}
}

/* One end of the packet, its port and perhaps its TTL are exchanged. */
static void rewrite(const struct kind *kind, __u64 *state)
{
	struct weir_address to = random_address(state, kind->is_v6), *of_end;
	struct frame of = random_frame(kind, state);
	bool is_source = world_random(state) % 2, is_aged = world_random(state) % 2;
	__be16 port = world_random(state) % 4 ? bpf_htons(awkward(state)) : 0;
	__u8 bytes[400], want[400];
	struct context ctx = {.skb = &nskb->skb};
	struct packet packet = {};
	__u32 length = enter(kind, &of);

	if (!port)
		port = bpf_htons(is_source ? of.source_port : of.destination_port);
	assert_int_equal(packet_parse(&ctx, &packet), WEIR_CONTINUE);
	assert_true(forward_rewrite(&ctx, &packet, is_source ? FORWARD_SOURCE : FORWARD_DESTINATION,
				    &to, port, is_aged));
	check_left(kind, true);

	/* nothing else has changed: it is the frame that would have been built so */
	of_end = is_source ? &of.source : &of.destination;
	*of_end = to;
	*(is_source ? &of.source_port : &of.destination_port) = bpf_ntohs(port);
	of.ttl -= is_aged;
	assert_int_equal(frame_build(&of, want), length);
	leave(bytes);
	if (frame_get16(bytes + frame_parts(bytes).checksum) % 0xffff == 0)
		frame_put16(bytes + frame_parts(bytes).checksum,
			    frame_get16(want + frame_parts(want).checksum));
	assert_memory_equal(bytes, want, length);
}

static void test_rewrite(void **state)
{
	for_each_kind(rewrite);
}

/* UDP over IPv4 without a checksum stays without; the IP header is right all the same. */
static void rewrite_unchecked(const struct kind *kind, __u64 *state)
{
	struct weir_address to = random_address(state, kind->is_v6);
	struct frame of = random_frame(kind, state);
	struct context ctx = {.skb = &nskb->skb};
	struct packet packet = {};
	__u8 bytes[400];

	if (kind->is_v6 || kind->protocol == IPPROTO_TCP || kind->ip_summed == CHECKSUM_PARTIAL)
		return;
	of.has_no_checksum = true;
	enter(kind, &of);
	assert_int_equal(packet_parse(&ctx, &packet), WEIR_CONTINUE);
	assert_true(forward_rewrite(&ctx, &packet, FORWARD_DESTINATION, &to,
				    bpf_htons(of.destination_port), true));
	check_left(kind, false);
	leave(bytes);
	assert_int_equal(frame_get16(bytes + frame_parts(bytes).checksum), 0);
}

static void test_rewrite_unchecked(void **state)
{
	for_each_kind(rewrite_unchecked);
}

/* A RST in the place of any TCP packet. */
static void answer(const struct kind *kind, __u64 *state)
{
	struct frame of = random_frame(kind, state);
	struct context ctx = {.skb = &nskb->skb};
	struct packet packet = {};
	__u8 bytes[400], *tcp;

	if (kind->protocol != IPPROTO_TCP)
		return;
	if (world_random(state) % 8 == 0) /* already as long as its answer */
		of.tcp_options = of.padding = of.payload = 0;
	of.tcp_flags = world_random(state) & (TCP_FIN | TCP_SYN | TCP_ACK);
	enter(kind, &of);
	assert_int_equal(packet_parse(&ctx, &packet), WEIR_CONTINUE);
	assert_true(refuse_send(&ctx, &packet));
	check_left(kind, true);

	leave(bytes);
	tcp = bytes + frame_parts(bytes).transport;
	assert_int_equal(nskb->skb.len, frame_parts(bytes).end);
	assert_int_equal(nskb->skb.len, tcp + 20 - bytes);
	assert_int_equal(frame_get16(tcp), of.destination_port);
	assert_int_equal(frame_get16(tcp + 2), of.source_port);
	assert_int_equal(tcp[13], of.tcp_flags & TCP_ACK ? TCP_RST : TCP_RST | TCP_ACK);
	assert_int_equal(native_redirect.kind, NATIVE_REDIRECT_OUT);
}

static void test_answer(void **state)
{
	for_each_kind(answer);
}

/* When the kernel cannot give us the bytes, every writer says so. */
static void test_refused(void **state)
{
	struct kind kind = {.protocol = IPPROTO_TCP};
	struct context ctx = {.skb = &nskb->skb};
	struct packet packet = {};
	__u64 random = 5;
	struct frame of = random_frame(&kind, &random);
	struct weir_address to = world_v4(10, 0, 0, 1);

	enter(&kind, &of);
	assert_int_equal(packet_parse(&ctx, &packet), WEIR_CONTINUE);
	nskb->is_refused = true;
	assert_false(forward_rewrite(&ctx, &packet, FORWARD_DESTINATION, &to, 1, true));
	assert_false(refuse_send(&ctx, &packet));
	assert_false(context_set_checksum(&ctx, 50, 1, 1));
	config.has_kern_ctx = false;
	assert_false(context_fix_checksum(&ctx, 50, false, false, 1, 2, 3));
}

static int open_all(void **state)
{
	world_open(1, 1, 1, 1);
	nskb = native_skb_new();
	return 0;
}

static int close_all(void **state)
{
	native_skb_free(nskb);
	world_close();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sums),
		cmocka_unit_test(test_word),
		cmocka_unit_test(test_address),
		cmocka_unit_test(test_rewrite),
		cmocka_unit_test(test_rewrite_unchecked),
		cmocka_unit_test(test_answer),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, open_all, close_all);
}
