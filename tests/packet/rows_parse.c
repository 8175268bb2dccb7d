/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * rows_parse.c - what is not IP, not TCP or UDP, not whole or not true. Each packet comes in
 * towards a VIP, comes in towards somebody else, and goes out from the address of a backend.
 */
#include "rows.h"

#include "datapath/stats.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define V4_END 34 /* of the IP header in the frame */
#define V6_END 54
#define DATA   100 /* payload of every packet */

/* One field of struct spec, and its value. */
struct edit {
	size_t offset, size;
	int64_t value;
};
#define SET(field, to)                                                              \
	{                                                                           \
		offsetof(struct spec, field), sizeof(((struct spec *)0)->field), to \
	}

#define EVERYWHERE(outcome) outcome, outcome

/* What is judged by the IP header alone ends the same everywhere. */
static const struct malady {
	const char *what;
	unsigned int variants;
	struct edit edits[3];
	enum weir_outcome to_vip, to_other;
} maladies[] = {
	{"an ARP frame beside %s", IN_ALL, {SET(ethertype, 0x0806)}, EVERYWHERE(WEIR_PASS_NOT_IP)},
	{"%s behind an MPLS label", IN_V4, {SET(ethertype, 0x8847)}, EVERYWHERE(WEIR_PASS_NOT_IP)},
	{"%s behind a VLAN tag", IN_ALL, {SET(vlan, 0x8100)}, EVERYWHERE(WEIR_PASS_VLAN)},
	{"%s behind a service VLAN tag", IN_ALL, {SET(vlan, 0x88a8)}, EVERYWHERE(WEIR_PASS_VLAN)},
	{"a first fragment of %s", IN_V4, {SET(fragment, 0x2000)}, EVERYWHERE(WEIR_PASS_FRAGMENT)},
	{"a middle fragment of %s", IN_V4, {SET(fragment, 0x2010)}, EVERYWHERE(WEIR_PASS_FRAGMENT)},
	{"a last fragment of %s", IN_V4, {SET(fragment, 0x0010)}, EVERYWHERE(WEIR_PASS_FRAGMENT)},
	{"a fragment of %s",
	 IN_V6,
	 {SET(has_extension, 1), SET(extension, IPPROTO_FRAGMENT)},
	 EVERYWHERE(WEIR_PASS_FRAGMENT)},
	{"%s behind hop-by-hop options",
	 IN_V6,
	 {SET(has_extension, 1), SET(extension, IPPROTO_HOPOPTS)},
	 EVERYWHERE(WEIR_PASS_EXTENSION)},
	{"%s behind a routing header",
	 IN_V6,
	 {SET(has_extension, 1), SET(extension, IPPROTO_ROUTING)},
	 EVERYWHERE(WEIR_PASS_EXTENSION)},
	{"%s behind destination options",
	 IN_V6,
	 {SET(has_extension, 1), SET(extension, IPPROTO_DSTOPTS)},
	 EVERYWHERE(WEIR_PASS_EXTENSION)},
	{"%s behind an authentication header",
	 IN_V6,
	 {SET(has_extension, 1), SET(extension, IPPROTO_AH)},
	 EVERYWHERE(WEIR_PASS_EXTENSION)},
	{"ICMP beside %s", IN_TCP4, {SET(protocol, IPPROTO_ICMP)}, EVERYWHERE(WEIR_PASS_PROTOCOL)},
	{"ICMPv6 beside %s",
	 IN_TCP6,
	 {SET(protocol, IPPROTO_ICMPV6)},
	 EVERYWHERE(WEIR_PASS_PROTOCOL)},
	{"SCTP beside %s", IN_TCP, {SET(protocol, IPPROTO_SCTP)}, EVERYWHERE(WEIR_PASS_PROTOCOL)},
	{"UDP-Lite beside %s",
	 IN_UDP,
	 {SET(protocol, IPPROTO_UDPLITE)},
	 EVERYWHERE(WEIR_PASS_PROTOCOL)},
	{"ESP beside %s", IN_UDP, {SET(protocol, IPPROTO_ESP)}, EVERYWHERE(WEIR_PASS_PROTOCOL)},

	{"%s of IP version 5", IN_ALL, {SET(version, 5)}, EVERYWHERE(WEIR_PASS_MALFORMED)},
	{"%s in a frame with the ethertype of IPv6",
	 IN_V4,
	 {SET(ethertype, 0x86dd)},
	 EVERYWHERE(WEIR_PASS_MALFORMED)},
	{"%s in a frame with the ethertype of IPv4",
	 IN_V6,
	 {SET(ethertype, 0x0800)},
	 EVERYWHERE(WEIR_PASS_MALFORMED)},
	{"%s cut in the IP header",
	 IN_TCP4,
	 {SET(cut, V4_END - 1)},
	 EVERYWHERE(WEIR_PASS_MALFORMED)},
	{"%s cut in the IPv6 header",
	 IN_UDP6,
	 {SET(cut, V6_END - 1)},
	 EVERYWHERE(WEIR_PASS_MALFORMED)},
	{"%s with an IP header of 16 bytes",
	 IN_V4,
	 {SET(header_words, 4)},
	 EVERYWHERE(WEIR_PASS_MALFORMED)},
	{"%s with an IP header longer than the packet",
	 IN_V4,
	 {SET(header_words, 15), SET(payload, 0)},
	 EVERYWHERE(WEIR_PASS_MALFORMED)},
	{"%s with a total length of 0",
	 IN_V4,
	 {SET(is_length_zero, 1)},
	 EVERYWHERE(WEIR_PASS_MALFORMED)},
	{"%s with a total length beyond the frame",
	 IN_ALL,
	 {SET(length_error, 1)},
	 EVERYWHERE(WEIR_PASS_MALFORMED)},
	{"%s cut in the payload", IN_V4, {SET(cut, V4_END + 60)}, EVERYWHERE(WEIR_PASS_MALFORMED)},
	{"%s cut in its payload", IN_V6, {SET(cut, V6_END + 60)}, EVERYWHERE(WEIR_PASS_MALFORMED)},

	{"%s with a payload length of 0",
	 IN_V6,
	 {SET(is_length_zero, 1)},
	 WEIR_DROP_MALFORMED,
	 WEIR_PASS_MALFORMED},
	{"%s whose TCP header does not fit the total length",
	 IN_TCP,
	 {SET(length_error, -DATA - 1)},
	 WEIR_DROP_MALFORMED,
	 WEIR_PASS_MALFORMED},
	{"%s cut in the TCP header",
	 IN_TCP4,
	 {SET(length_error, -DATA - 1), SET(cut, V4_END + 19)},
	 WEIR_DROP_MALFORMED,
	 WEIR_PASS_MALFORMED},
	{"%s cut in its TCP header",
	 IN_TCP6,
	 {SET(length_error, -DATA - 1), SET(cut, V6_END + 19)},
	 WEIR_DROP_MALFORMED,
	 WEIR_PASS_MALFORMED},
	{"%s that ends with its IP header",
	 IN_TCP4,
	 {SET(payload, 0), SET(cut, V4_END), SET(length_error, -20)},
	 WEIR_DROP_MALFORMED,
	 WEIR_PASS_MALFORMED},
	{"%s that ends with its IPv6 header",
	 IN_UDP6,
	 {SET(payload, 0), SET(cut, V6_END), SET(length_error, -8)},
	 WEIR_DROP_MALFORMED,
	 WEIR_PASS_MALFORMED},
	{"%s with a TCP header of 16 bytes",
	 IN_TCP,
	 {SET(data_offset, 4)},
	 WEIR_DROP_MALFORMED,
	 WEIR_PASS_MALFORMED},
	{"%s with a TCP header of 0 bytes",
	 IN_TCP,
	 {SET(data_offset, 16)},
	 WEIR_DROP_MALFORMED,
	 WEIR_PASS_MALFORMED},
	{"%s with a TCP header longer than the packet",
	 IN_TCP,
	 {SET(data_offset, 15), SET(payload, 39)},
	 WEIR_DROP_MALFORMED,
	 WEIR_PASS_MALFORMED},
	{"%s with a TCP header that only padding completes",
	 IN_TCP,
	 {SET(data_offset, 15), SET(payload, 0), SET(padding, 60)},
	 WEIR_DROP_MALFORMED,
	 WEIR_PASS_MALFORMED},
	{"%s with a UDP length of 7",
	 IN_UDP,
	 {SET(udp_length_error, -DATA - 1)},
	 WEIR_DROP_MALFORMED,
	 WEIR_PASS_MALFORMED},
	{"%s with a UDP length of 0",
	 IN_UDP,
	 {SET(udp_length_error, -DATA - 8)},
	 WEIR_DROP_MALFORMED,
	 WEIR_PASS_MALFORMED},
	{"%s with a UDP length beyond the packet",
	 IN_UDP,
	 {SET(udp_length_error, 1)},
	 WEIR_DROP_MALFORMED,
	 WEIR_PASS_MALFORMED},
	{"%s with a UDP length that only padding completes",
	 IN_UDP,
	 {SET(udp_length_error, 1), SET(padding, 20)},
	 WEIR_DROP_MALFORMED,
	 WEIR_PASS_MALFORMED},
	{"%s whose UDP header does not fit the total length",
	 IN_UDP,
	 {SET(length_error, -DATA - 1)},
	 WEIR_DROP_MALFORMED,
	 WEIR_PASS_MALFORMED},
};
#define MALADIES (sizeof(maladies) / sizeof(maladies[0]))

/* On the wire it would be an IPv6 packet to an IPv4 service: our maps must not confuse the two. */
static void run_mapped(struct lab *lab, const struct row *row)
{
	bool is_tcp = row->variant->protocol == IPPROTO_TCP;
	const struct variant *v4 = &lab_variants[is_tcp ? TCP4 : UDP4];
	struct talk talk = talk_make(lab, row->variant, *(const enum lab_vip *)row->arg);
	struct spec in = talk_forward(&talk, is_tcp ? FLAG_SYN : 0, 0);
	struct step step;

	in.destination = lab_vip(v4, *(const enum lab_vip *)row->arg);
	step = check_make(STEP_INGRESS, LINK_CLIENTS, &in, WEIR_PASS_MALFORMED);
	check_step(lab, &step);
	in.destination = lab_vip(row->variant, *(const enum lab_vip *)row->arg);
	in.source = lab_host(v4, NET_CLIENTS, 9);
	step = check_make(STEP_INGRESS, LINK_CLIENTS, &in, WEIR_PASS_MALFORMED);
	check_step(lab, &step);
}

enum way {
	TO_VIP,
	TO_OTHER,
	LEAVING,
	WAYS
};
static const char *const way_names[WAYS] = {"to a VIP", "to somebody else", "leaving"};

static struct ailing {
	const struct malady *malady;
	enum way way;
	enum weir_outcome outcome;
} ailing[MALADIES][WAYS];

static void edit(struct spec *spec, const struct edit *edits)
{
	for (int i = 0; i < 3 && edits[i].size; i++)
		memcpy((char *)spec + edits[i].offset, &edits[i].value, edits[i].size);
}

static void run_malady(struct lab *lab, const struct row *row)
{
	const struct ailing *sick = row->arg;
	struct talk talk = talk_make(lab, row->variant, VIP_SOLO);
	struct spec in;
	struct step step;

	talk.backend_addr = lab_host(row->variant, NET_BACKENDS, 51);
	talk.backend_port = LAB_BACKEND_PORT;
	in = sick->way == LEAVING ? talk_reply(&talk, FLAG_SYN, DATA)
				  : talk_forward(&talk, FLAG_SYN, DATA);
	if (sick->way == TO_OTHER)
		in.destination = lab_host(row->variant, NET_BACKENDS, 200);
	edit(&in, sick->malady->edits);
	step = check_make(sick->way == LEAVING ? STEP_EGRESS : STEP_INGRESS, LINK_CLIENTS, &in,
			  sick->outcome);
	check_step(lab, &step);
	check_that(!lab_count_flows(lab), "it made a flow");
}

static void add_malady(const struct malady *malady, struct ailing *of)
{
	char sentence[160];

	for (enum way way = 0; way < WAYS; way++) {
		of[way].malady = malady;
		of[way].way = way;
		of[way].outcome = way == TO_VIP ? malady->to_vip : malady->to_other;
		snprintf(sentence, sizeof(sentence), "%s, %s, ends in %s", malady->what,
			 way_names[way], outcome_name(of[way].outcome));
		rows_add(malady->variants, run_malady, &of[way], sentence);
	}
}

void rows_parse(void)
{
	static const enum lab_vip mapped_web = VIP_WEB, mapped_any = VIP_ANY;

	for (size_t i = 0; i < MALADIES; i++)
		add_malady(&maladies[i], ailing[i]);
	rows_add(IN_V6, run_mapped, &mapped_web,
		 "%s with an IPv4-mapped address is not of an IPv4 service");
	rows_add(IN_V6, run_mapped, &mapped_any,
		 "%s with an IPv4-mapped address is not of an any-port IPv4 service");
}
