/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * build.h - packets from their description, right or wrong in any field, and what differs between
 * two of them. Checksums are summed up here over all bytes, never corrected: nothing is shared
 * with bpf/csum.h. Every field of 0 is the ordinary one.
 */
#ifndef WEIR_TEST_BUILD_H
#define WEIR_TEST_BUILD_H

#include "base/addr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_MAX      3000
#define DIFFERENCE_LEN 200

#define FLAG_FIN 0x01
#define FLAG_SYN 0x02
#define FLAG_RST 0x04
#define FLAG_PSH 0x08
#define FLAG_ACK 0x10
#define FLAG_URG 0x20
#define FLAG_ECE 0x40
#define FLAG_CWR 0x80

/* The bytes start at an address 4n+2, as drivers place them. */
struct frame {
	uint16_t offset;
	uint8_t bytes[FRAME_MAX];
	size_t length;
} __attribute__((aligned(4)));

struct spec {
	uint8_t to[6], from[6]; /* MACs */
	uint16_t ethertype; /* 0: of the family */
	uint16_t vlan; /* ethertype of a tag with id 5; 0: no tag */

	bool is_v6;
	uint8_t version; /* 0: right */
	uint8_t header_words; /* IPv4: what the header says of its length; 0: right */
	uint8_t option_words; /* IPv4 */
	bool has_zero_options; /* all of them "end of list" */
	uint8_t tos; /* or traffic class */
	uint16_t id; /* or the low half of the flow label */
	uint16_t fragment; /* IPv4: flags and offset */
	uint8_t ttl; /* 0: 64, unless is_ttl_zero */
	bool is_ttl_zero;
	uint8_t protocol; /* IPPROTO_TCP, IPPROTO_UDP, or any: then the payload follows */
	bool has_extension; /* IPv6: an extension header of 8 bytes */
	uint8_t extension; /* of this kind */
	int length_error; /* added to the total (IPv6: payload) length */
	bool is_length_zero; /* as in a GSO packet above 64 KiB */
	uint16_t ip_error; /* added to the header checksum */
	struct addr source, destination;

	uint16_t source_port, destination_port;
	uint32_t sequence, acknowledgement;
	uint8_t flags; /* FLAG_* */
	uint16_t window, urgent;
	uint8_t data_offset; /* TCP: words; 0: right; 16: 0 */
	uint8_t tcp_option_words;
	int udp_length_error;
	bool has_no_checksum; /* UDP: 0 */
	uint16_t transport_error; /* added to the checksum */

	size_t payload; /* bytes */
	size_t padding; /* bytes behind the packet */
	size_t cut; /* the frame ends here; 0: whole */
	uint16_t mark; /* the first two bytes of the payload */
};

void build(const struct spec *spec, struct frame *frame);

size_t build_ip_offset(const struct spec *spec); /* from the start of the frame */
size_t build_ip_length(const struct spec *spec); /* bytes from the IP header on, no padding */
size_t build_headers(const struct spec *spec); /* bytes of IP and transport headers */
uint16_t build_transport_checksum(const struct frame *frame, const struct spec *spec);

/* NULL when equal; else `text` says in which field they differ. */
const char *build_compare(const struct frame *want, const struct frame *got, char *text);

#endif
