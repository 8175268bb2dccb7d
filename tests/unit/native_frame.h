/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * native_frame.h - frames for native tests: built byte by byte, and judged by a second, plain
 * implementation of the checksums that shares nothing with bpf/.
 */
#ifndef WEIR_NATIVE_FRAME_H
#define WEIR_NATIVE_FRAME_H

#include "bpf/packet.h"

/* What a frame is to be. Ports in host order. */
struct frame {
	bool is_v6;
	__u8 protocol;
	struct weir_address source, destination;
	__u16 source_port, destination_port;
	__u8 tcp_flags, ttl;
	__u8 ip_options, tcp_options; /* bytes, a multiple of 4 */
	__u32 sequence, acknowledgement;
	__u32 payload; /* bytes of it */
	__u32 padding; /* after the packet's end */
	__u64 seed; /* of the payload */
	bool has_no_checksum; /* UDP with 0 */
};

static inline void frame_put16(__u8 *at, __u32 value)
{
	at[0] = (__u8)(value >> 8);
	at[1] = (__u8)value;
}

static inline void frame_put32(__u8 *at, __u32 value)
{
	frame_put16(at, value >> 16);
	frame_put16(at + 2, value);
}

static inline __u32 frame_get16(const __u8 *at)
{
	return (__u32)at[0] << 8 | at[1];
}

/* Sum of big-endian words as RFC 1071 has it, byte by byte, folded. */
static inline __u32 frame_sum(const __u8 *bytes, size_t length, __u32 sum)
{
	for (size_t i = 0; i < length; i++) {
		sum += i % 2 ? bytes[i] : (__u32)bytes[i] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return sum;
}

/* Where the parts of a frame of our making lie. */
struct frame_parts {
	__u32 transport, end; /* of the packet, without padding */
	__u32 checksum; /* of the transport */
	__u8 protocol;
	bool is_v6;
};

static inline struct frame_parts frame_parts(const __u8 *frame)
{
	struct frame_parts parts = {.is_v6 = frame[14] >> 4 == 6};

	if (parts.is_v6) {
		parts.transport = 14 + 40;
		parts.end = parts.transport + frame_get16(frame + 18);
		parts.protocol = frame[20];
	} else {
		parts.transport = 14 + (frame[14] & 15) * 4;
		parts.end = 14 + frame_get16(frame + 16);
		parts.protocol = frame[23];
	}
	parts.checksum = parts.transport + (parts.protocol == IPPROTO_TCP ? 16 : 6);
	return parts;
}

static inline __u32 frame_pseudo(const __u8 *frame, const struct frame_parts *parts)
{
	__u32 sum = frame_sum(parts->is_v6 ? frame + 22 : frame + 26, parts->is_v6 ? 32 : 8, 0);

	sum += parts->protocol + (parts->end - parts->transport);
	return (sum & 0xffff) + (sum >> 16);
}

/* The transport checksum as it must be: over pseudo header and all, its own field taken as 0. */
static inline __u32 frame_checksum(const __u8 *frame)
{
	struct frame_parts parts = frame_parts(frame);
	__u32 sum = frame_sum(frame + parts.transport, parts.checksum - parts.transport,
			      frame_pseudo(frame, &parts));

	sum = frame_sum(frame + parts.checksum + 2, parts.end - parts.checksum - 2, sum);
	return 0xffff & ~sum;
}

static inline bool frame_header_is_right(const __u8 *frame)
{
	return frame[14] >> 4 == 6 || frame_sum(frame + 14, (frame[14] & 15) * 4, 0) == 0xffff;
}

/* Would a receiver take it? UDP 0 is "no checksum". */
static inline bool frame_is_right(const __u8 *frame)
{
	struct frame_parts parts = frame_parts(frame);
	__u32 is = frame_get16(frame + parts.checksum), want = frame_checksum(frame);

	if (!frame_header_is_right(frame))
		return false;
	if (parts.protocol == IPPROTO_UDP && !is)
		return false;
	return is % 0xffff == want % 0xffff;
}

static inline __u32 frame_put_ip(const struct frame *of, __u8 *frame, __u32 transport_length)
{
	__u32 header = of->is_v6 ? 40 : 20 + of->ip_options;
	__u8 *ip = frame + 14;

	if (of->is_v6) {
		frame_put32(ip, 6u << 28);
		frame_put16(ip + 4, transport_length);
		ip[6] = of->protocol;
		ip[7] = of->ttl;
		memcpy(ip + 8, &of->source, 16);
		memcpy(ip + 24, &of->destination, 16);
		return header;
	}
	ip[0] = (__u8)(0x40 | header / 4);
	frame_put16(ip + 2, header + transport_length);
	frame_put16(ip + 4, (__u16)of->seed);
	ip[8] = of->ttl;
	ip[9] = of->protocol;
	memcpy(ip + 12, &of->source.word[3], 4);
	memcpy(ip + 16, &of->destination.word[3], 4);
	memset(ip + 20, 1, of->ip_options); /* no operation */
	frame_put16(ip + 10, 0xffff & ~frame_sum(ip, header, 0));
	return header;
}

/* Build it; returns its length. `frame` holds 200 bytes more than payload and padding. */
static inline __u32 frame_build(const struct frame *of, __u8 *frame)
{
	__u32 header = of->protocol == IPPROTO_TCP ? 20u + of->tcp_options : 8;
	__u32 length = header + of->payload, right;
	struct frame_parts parts;
	__u64 state = of->seed | 1;
	__u8 *transport;

	memset(frame, 0, 200);
	memcpy(frame, "\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02", 12);
	frame_put16(frame + 12, of->is_v6 ? 0x86dd : 0x0800);
	transport = frame + 14 + frame_put_ip(of, frame, length);
	frame_put16(transport, of->source_port);
	frame_put16(transport + 2, of->destination_port);
	if (of->protocol == IPPROTO_TCP) {
		frame_put32(transport + 4, of->sequence);
		frame_put32(transport + 8, of->acknowledgement);
		transport[12] = (__u8)(header / 4 << 4);
		transport[13] = of->tcp_flags;
		memset(transport + 20, 1, of->tcp_options);
	} else {
		frame_put16(transport + 4, length);
	}
	for (__u32 i = 0; i < of->payload + of->padding; i++) {
		state ^= state << 13, state ^= state >> 7, state ^= state << 17;
		transport[header + i] = (__u8)(state >> 32);
	}
	parts = frame_parts(frame);
	right = frame_checksum(frame);
	if (!right && of->protocol == IPPROTO_UDP)
		right = 0xffff;
	frame_put16(frame + parts.checksum, of->has_no_checksum ? 0 : right);
	return parts.end + of->padding;
}

/* As a local stack leaves it to the device: the field holds the sum of the pseudo header. */
static inline void frame_make_partial(__u8 *frame)
{
	struct frame_parts parts = frame_parts(frame);

	frame_put16(frame + parts.checksum, frame_pseudo(frame, &parts));
}

/* What the device does with it; no padding is there then. */
static inline void frame_finish_partial(__u8 *frame, __u32 length, __u32 start, __u32 offset)
{
	__u32 sum = 0xffff & ~frame_sum(frame + start, length - start, 0);

	frame_put16(frame + start + offset, sum ? sum : 0xffff);
}

#endif
