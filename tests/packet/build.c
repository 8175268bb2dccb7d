/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* build.c - packets by byte; see build.h. */
#include "build.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define ETH_LEN       14
#define TAG_LEN       4
#define V6_LEN        40
#define EXTENSION_LEN 8
#define TCP_LEN       20
#define UDP_LEN       8

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value);
}

/* One's complement sum of the bytes as big-endian words (RFC 1071). */
static uint32_t sum_bytes(uint32_t sum, const uint8_t *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		sum += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static uint16_t add_error(uint32_t checksum, uint16_t error)
{
	checksum += error;
	return (uint16_t)((checksum & 0xffff) + (checksum >> 16));
}

static size_t v4_header(const struct spec *spec)
{
	return 20 + spec->option_words * 4u;
}

static size_t ip_header(const struct spec *spec)
{
	if (!spec->is_v6)
		return v4_header(spec);
	return V6_LEN + (spec->has_extension ? EXTENSION_LEN : 0);
}

static size_t transport_header(const struct spec *spec)
{
	switch (spec->protocol) {
	case IPPROTO_TCP:
		return TCP_LEN + spec->tcp_option_words * 4u;
	case IPPROTO_UDP:
		return UDP_LEN;
	default:
		return 0;
	}
}

size_t build_ip_offset(const struct spec *spec)
{
	return ETH_LEN + (spec->vlan ? TAG_LEN : 0);
}

size_t build_headers(const struct spec *spec)
{
	return ip_header(spec) + transport_header(spec);
}

size_t build_ip_length(const struct spec *spec)
{
	return build_headers(spec) + spec->payload;
}

static void build_eth(const struct spec *spec, uint8_t *at)
{
	memcpy(at, spec->to, 6);
	memcpy(at + 6, spec->from, 6);
	at += 12;
	if (spec->vlan) {
		put16(at, spec->vlan);
		put16(at + 2, 5);
		at += TAG_LEN;
	}
	put16(at, spec->ethertype ? spec->ethertype : spec->is_v6 ? 0x86dd : 0x0800);
}

static uint8_t ttl_of(const struct spec *spec)
{
	return spec->ttl || spec->is_ttl_zero ? spec->ttl : 64;
}

static void build_v4(const struct spec *spec, uint8_t *at)
{
	size_t header = v4_header(spec);
	int length = (int)build_ip_length(spec) + spec->length_error;

	at[0] = (uint8_t)((spec->version ? spec->version : 4) << 4);
	at[0] |= spec->header_words ? spec->header_words : (uint8_t)(header / 4);
	at[1] = spec->tos;
	put16(at + 2, spec->is_length_zero ? 0 : (uint32_t)length);
	put16(at + 4, spec->id);
	put16(at + 6, spec->fragment);
	at[8] = ttl_of(spec);
	at[9] = spec->protocol;
	put16(at + 10, 0);
	memcpy(at + 12, spec->source.bytes + 12, 4);
	memcpy(at + 16, spec->destination.bytes + 12, 4);
	for (size_t i = 20; i < header; i++)
		at[i] = i != header - 1 && !spec->has_zero_options; /* no operation, end of list */
	put16(at + 10, add_error(0xffff - sum_bytes(0, at, header), spec->ip_error));
}

static void build_v6(const struct spec *spec, uint8_t *at)
{
	int length = (int)(build_ip_length(spec) - V6_LEN) + spec->length_error;

	put32(at,
	      (spec->version ? spec->version : 6u) << 28 | (uint32_t)spec->tos << 20 | spec->id);
	put16(at + 4, spec->is_length_zero ? 0 : (uint32_t)length);
	at[6] = spec->has_extension ? spec->extension : spec->protocol;
	at[7] = ttl_of(spec);
	memcpy(at + 8, spec->source.bytes, 16);
	memcpy(at + 24, spec->destination.bytes, 16);
	if (spec->has_extension) {
		memset(at + V6_LEN, 0, EXTENSION_LEN);
		at[V6_LEN] = spec->protocol;
		/* As a fragment header (44): offset 8, more fragments. Else PadN of four bytes. */
		put16(at + V6_LEN + 2, spec->extension == IPPROTO_FRAGMENT ? 9 : 0x0104);
	}
}

static void build_tcp(const struct spec *spec, uint8_t *at)
{
	uint8_t words =
		spec->data_offset ? spec->data_offset : (uint8_t)(5 + spec->tcp_option_words);

	put16(at, spec->source_port);
	put16(at + 2, spec->destination_port);
	put32(at + 4, spec->sequence);
	put32(at + 8, spec->acknowledgement);
	at[12] = (uint8_t)(words << 4);
	at[13] = spec->flags;
	put16(at + 14, spec->window);
	put16(at + 16, 0);
	put16(at + 18, spec->urgent);
	memset(at + TCP_LEN, 1, spec->tcp_option_words * 4u); /* no operation */
}

static void build_udp(const struct spec *spec, uint8_t *at)
{
	put16(at, spec->source_port);
	put16(at + 2, spec->destination_port);
	put16(at + 4, (uint32_t)((int)(UDP_LEN + spec->payload) + spec->udp_length_error));
	put16(at + 6, 0);
}

/* Over the pseudo header, the header with its checksum as it stands, and the payload. */
static uint32_t sum_transport(const struct spec *spec, const uint8_t *at)
{
	size_t length = transport_header(spec) + spec->payload;
	size_t skip = spec->is_v6 ? 0 : 12;
	uint8_t rest[4] = {0, spec->protocol, (uint8_t)(length >> 8), (uint8_t)length};
	uint32_t sum = sum_bytes(0, spec->source.bytes + skip, 16 - skip);

	sum = sum_bytes(sum, spec->destination.bytes + skip, 16 - skip);
	sum = sum_bytes(sum, rest, sizeof(rest));
	return sum_bytes(sum, at, length);
}

static void build_transport(const struct spec *spec, uint8_t *at)
{
	uint32_t checksum;

	if (spec->protocol == IPPROTO_TCP)
		build_tcp(spec, at);
	else if (spec->protocol == IPPROTO_UDP)
		build_udp(spec, at);
	else
		return;
	checksum = add_error(0xffff - sum_transport(spec, at), spec->transport_error);
	if (spec->protocol == IPPROTO_TCP)
		put16(at + 16, checksum);
	else if (!spec->has_no_checksum)
		put16(at + 6, checksum ? checksum : 0xffff); /* RFC 768 */
}

void build(const struct spec *spec, struct frame *frame)
{
	uint8_t *ip = frame->bytes + build_ip_offset(spec);
	uint8_t *transport = ip + ip_header(spec);
	uint8_t *payload = transport + transport_header(spec);

	memset(frame, 0, sizeof(*frame));
	build_eth(spec, frame->bytes);
	for (size_t i = 0; i < spec->payload; i++)
		payload[i] = (uint8_t)(i * 7 + 13);
	if (spec->mark)
		put16(payload, spec->mark);
	memset(payload + spec->payload, 0xee, spec->padding);
	if (spec->is_v6)
		build_v6(spec, ip);
	else
		build_v4(spec, ip);
	build_transport(spec, transport);
	frame->length = build_ip_offset(spec) + build_ip_length(spec) + spec->padding;
	if (spec->cut && spec->cut < frame->length) {
		memset(frame->bytes + spec->cut, 0, frame->length - spec->cut);
		frame->length = spec->cut;
	}
}

uint16_t build_transport_checksum(const struct frame *frame, const struct spec *spec)
{
	const uint8_t *at = frame->bytes + build_ip_offset(spec) + ip_header(spec);

	at += spec->protocol == IPPROTO_TCP ? 16 : 6;
	return (uint16_t)(at[0] << 8 | at[1]);
}

struct field {
	const char *name;
	size_t offset, size;
};

static const struct field eth_fields[] = {
	{"Ethernet destination", 0, 6}, {"Ethernet source", 6, 6}, {"ethertype", 12, 2}, {}};
static const struct field v4_fields[] = {{"IP version and header length", 0, 1},
					 {"IP type of service", 1, 1},
					 {"IP total length", 2, 2},
					 {"IP identification", 4, 2},
					 {"IP fragment bits", 6, 2},
					 {"IP TTL", 8, 1},
					 {"IP protocol", 9, 1},
					 {"IP header checksum", 10, 2},
					 {"IP source", 12, 4},
					 {"IP destination", 16, 4},
					 {}};
static const struct field v6_fields[] = {{"IPv6 version, class and label", 0, 4},
					 {"IPv6 payload length", 4, 2},
					 {"IPv6 next header", 6, 1},
					 {"IPv6 hop limit", 7, 1},
					 {"IPv6 source", 8, 16},
					 {"IPv6 destination", 24, 16},
					 {}};
static const struct field tcp_fields[] = {
	{"TCP source port", 0, 2},     {"TCP destination port", 2, 2},
	{"TCP sequence number", 4, 4}, {"TCP acknowledgement number", 8, 4},
	{"TCP data offset", 12, 1},    {"TCP flags", 13, 1},
	{"TCP window", 14, 2},         {"TCP checksum", 16, 2},
	{"TCP urgent pointer", 18, 2}, {}};
static const struct field udp_fields[] = {{"UDP source port", 0, 2},
					  {"UDP destination port", 2, 2},
					  {"UDP length", 4, 2},
					  {"UDP checksum", 6, 2},
					  {}};

static const struct field *field_at(const struct field *fields, size_t offset)
{
	for (; fields->name; fields++)
		if (offset >= fields->offset && offset < fields->offset + fields->size)
			return fields;
	return NULL;
}

/* The field of an untagged packet that holds the byte at `*offset`, which becomes its start. */
static const struct field *find_field(const uint8_t *bytes, size_t *offset)
{
	const uint8_t *ip = bytes + ETH_LEN;
	bool is_v6 = bytes[12] == 0x86;
	size_t header = is_v6 ? V6_LEN : (ip[0] & 15u) * 4u;
	uint8_t protocol = is_v6 ? ip[6] : ip[9];
	const struct field *found = field_at(eth_fields, *offset);
	size_t start = 0;

	if (!found) {
		start = ETH_LEN;
		found = field_at(is_v6 ? v6_fields : v4_fields, *offset - start);
	}
	if (!found && *offset >= ETH_LEN + header) {
		start = ETH_LEN + header;
		if (protocol == IPPROTO_TCP || protocol == IPPROTO_UDP)
			found = field_at(protocol == IPPROTO_TCP ? tcp_fields : udp_fields,
					 *offset - start);
	}
	if (found)
		*offset = start + found->offset;
	return found;
}

static size_t print_bytes(char *text, size_t room, const uint8_t *bytes, size_t count)
{
	size_t used = 0;

	for (size_t i = 0; i < count && used < room; i++)
		used += (size_t)snprintf(text + used, room - used, "%02x", bytes[i]);
	return used;
}

const char *build_compare(const struct frame *want, const struct frame *got, char *text)
{
	size_t at = 0, size = 1, used;
	const struct field *field;

	while (at < want->length && at < got->length && want->bytes[at] == got->bytes[at])
		at++;
	if (at == want->length && at == got->length)
		return NULL;
	if (at == want->length || at == got->length) {
		snprintf(text, DIFFERENCE_LEN, "length of the frame: got %zu, wanted %zu",
			 got->length, want->length);
		return text;
	}
	field = find_field(want->bytes, &at);
	if (field)
		size = field->size;
	used = (size_t)snprintf(text, DIFFERENCE_LEN, "%s (byte %zu): got ",
				field ? field->name : "options or payload", at);
	used += print_bytes(text + used, DIFFERENCE_LEN - used, got->bytes + at, size);
	used += (size_t)snprintf(text + used, DIFFERENCE_LEN - used, ", wanted ");
	print_bytes(text + used, DIFFERENCE_LEN - used, want->bytes + at, size);
	return text;
}
