/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* rows_forward.c - from the client to a backend: what changes, what does not, and the way out. */
#include "rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void run_not_ours(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);
	struct spec in = talk_forward(&talk, FLAG_SYN, 30);
	struct step step;

	in.destination = lab_host(row->variant, NET_BACKENDS, 200);
	step = check_make(STEP_INGRESS, LINK_CLIENTS, &in, WEIR_PASS_NOT_OURS);
	check_step(lab, &step);
	step.kind = STEP_EGRESS;
	check_step(lab, &step);
}

/* The first packet, and those that follow. */
static void run_first(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, *(const enum lab_vip *)row->arg);

	talk_open(&talk);
	talk_check_flow(&talk, WEIR_FLOW_LIVE);
	talk_send(&talk, FLAG_SYN, 0);
	talk_send(&talk, FLAG_ACK, 0);
	talk_send(&talk, FLAG_ACK | FLAG_PSH, 900);
	check_that(lab_count_flows(lab) == 1, "one flow became %u", lab_count_flows(lab));
}

static const enum lab_vip web = VIP_WEB, stack = VIP_STACK, pod = VIP_POD, gateway = VIP_GATEWAY,
			  lost = VIP_LOST, fixed = VIP_FIXED;

/* One field of a client's packet that must arrive as it is. */
struct oddity {
	uint8_t tos, flags, tcp_options, ip_options, ttl;
	uint16_t id, fragment, urgent;
	size_t payload, padding;
	int udp_length_error;
};

static void run_odd(struct lab *lab, const struct row *row)
{
	const struct oddity *odd = row->arg;
	struct talk talk = talk_make(lab, row->variant, VIP_SOLO);
	struct spec in = talk_forward(&talk, FLAG_SYN, 0);
	struct step step;

	in.tos = odd->tos;
	in.tcp_option_words = odd->tcp_options;
	in.option_words = row->variant->is_v6 ? 0 : odd->ip_options;
	in.ttl = odd->ttl;
	in.id = odd->id;
	in.fragment = odd->fragment;
	in.urgent = odd->urgent;
	in.payload = odd->payload;
	in.padding = odd->padding;
	in.udp_length_error = odd->udp_length_error;
	talk_open_with(&talk, &in, NULL);
	in.flags = talk_forward(&talk, FLAG_ACK | odd->flags, 0).flags;
	step = talk_forward_step(&talk, &in);
	check_step(lab, &step);
}

static const struct oddity options_1 = {.ip_options = 1}, options_10 = {.ip_options = 10},
			   many_tcp_options = {.tcp_options = 10, .payload = 50},
			   both_options = {.ip_options = 10, .tcp_options = 10, .payload = 33},
			   ecn = {.tos = 0xbb, .flags = FLAG_ECE | FLAG_CWR},
			   urgent = {.flags = FLAG_URG, .urgent = 0xabcd, .payload = 7},
			   padded = {.padding = 18, .payload = 1}, ttl_255 = {.ttl = 255},
			   ttl_2 = {.ttl = 2}, no_fragments = {.fragment = 0x4000, .id = 0xbeef},
			   evil = {.fragment = 0x8000}, odd_length = {.payload = 301},
			   long_one = {.payload = 1400}, empty = {},
			   short_udp = {.payload = 40, .udp_length_error = -10};

static void run_ttl_one(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, *(const enum lab_vip *)row->arg);
	struct spec in = talk_forward(&talk, FLAG_SYN, 10);
	struct step step;

	in.ttl = 1;
	if (talk.is_routed) {
		talk_open_with(&talk, &in, NULL);
		return;
	}
	talk_open(&talk);
	for (in.ttl = 0; in.ttl < 2; in.ttl++) {
		in.is_ttl_zero = !in.ttl;
		step = check_make(STEP_INGRESS, LINK_CLIENTS, &in, WEIR_PASS_TTL);
		check_step(lab, &step);
	}
	talk_send(&talk, FLAG_ACK, 0);
}

/* Nothing is larger than the MTU of 1280 but the packet. */
static void run_mtu(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_NARROW);
	struct spec in = talk_forward(&talk, FLAG_ACK, 0);
	struct step step;

	talk_open(&talk);
	in.payload = 1280 - build_headers(&in);
	step = talk_forward_step(&talk, &in);
	check_step(lab, &step);
	in.payload++;
	talk.is_routed = true;
	step = talk_forward_step(&talk, &in);
	check_step(lab, &step);
}

/* Three segments of 1000 bytes and one of 200: the headers are sent four times. */
static void run_gso(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_NARROW);
	struct spec in = talk_forward(&talk, FLAG_ACK | FLAG_PSH, 2400);
	struct step step;

	talk_open(&talk);
	in.tcp_option_words = row->variant->is_v6 ? 0 : 3;
	step = talk_forward_step(&talk, &in);
	step.gso_segments = 3;
	step.gso_size = 1000;
	step.changes[0].counters.forward_packets = 3;
	step.changes[0].counters.forward_bytes += 2 * build_headers(&in);
	check_step(lab, &step);
	step.gso_size = 1281 - build_headers(&in); /* one byte too many in each segment */
	talk.is_routed = true;
	step.outcome = WEIR_FORWARDED_STACK;
	step.out = talk_to_backend(&talk, &in);
	check_step(lab, &step);
}

/* A GSO packet above 64 KiB says 0; the frame's length stands for it. */
static void run_big_tcp(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_SOLO);
	struct spec in = talk_forward(&talk, FLAG_ACK | FLAG_PSH, 2000);
	struct step step;

	talk_open(&talk);
	in.is_length_zero = true;
	step = talk_forward_step(&talk, &in);
	step.gso_segments = 2;
	step.gso_size = 1000;
	step.changes[0].counters.forward_packets = 2;
	step.changes[0].counters.forward_bytes += build_headers(&in);
	check_step(lab, &step);
}

static void run_vip_source(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);
	struct spec in = talk_forward(&talk, FLAG_SYN, 10);
	struct step step;

	in.source = lab_vip(row->variant, VIP_TWIN);
	step = check_make(STEP_INGRESS, LINK_CLIENTS, &in, WEIR_DROP_VIP_SOURCE);
	check_step(lab, &step);
	in.source = in.destination;
	step = check_make(STEP_INGRESS, LINK_CLIENTS, &in, WEIR_DROP_VIP_SOURCE);
	check_step(lab, &step);
	check_that(!lab_count_flows(lab), "it made a flow");
}

/* The nexthop of the destination on this CPU, as the packet path noted it. */
static const struct weir_nexthop *find_nexthop(struct lab *lab, const struct addr *destination)
{
	const struct weir_nexthop *nexthops = maps_array(lab->maps, MAP_nexthops);

	for (__u32 i = 0; i < WEIR_NEXTHOPS * lab->maps->settings->cpus; i++)
		if (nexthops[i].stamp &&
		    !memcmp(&nexthops[i].destination, destination, sizeof(*destination)))
			return &nexthops[i];
	check_fail("no nexthop is noted");
}

static void run_nexthop(struct lab *lab, const struct row *row)
{
	static const struct {
		enum lab_vip vip;
		__u8 kind;
		enum lab_link link;
		unsigned int mtu;
	} ways[] = {
		{VIP_SOLO, WEIR_NEXTHOP_NEIGH, LINK_BACKENDS, 1500},
		{VIP_ONE, WEIR_NEXTHOP_NEIGH, LINK_BACKENDS, 0}, /* no neighbour, no MTU */
		{VIP_GATEWAY, WEIR_NEXTHOP_NEIGH, LINK_BACKENDS, 1500},
		{VIP_NARROW, WEIR_NEXTHOP_NEIGH, LINK_NARROW, 1280},
		{VIP_POD, WEIR_NEXTHOP_PEER, LINK_POD, 1500},
		{VIP_LOST, WEIR_NEXTHOP_STACK, 0, 0},
	};

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		struct talk talk = talk_make(lab, row->variant, ways[i].vip);
		const struct weir_nexthop *nexthop;
		struct addr gateway;

		talk_open(&talk);
		nexthop = find_nexthop(lab, &talk.backend_addr);
		check_that(nexthop->kind == ways[i].kind, "way %zu: kind %u", i, nexthop->kind);
		check_that(nexthop->came_by == lab->ifindex[LINK_CLIENTS], "way %zu: came by", i);
		if (nexthop->kind == WEIR_NEXTHOP_STACK)
			continue;
		check_that(nexthop->ifindex == lab->ifindex[ways[i].link], "way %zu: link %u", i,
			   nexthop->ifindex);
		check_that(nexthop->mtu == ways[i].mtu, "way %zu: MTU %u", i, nexthop->mtu);
		if (ways[i].vip != VIP_GATEWAY)
			continue;
		gateway = lab_host(row->variant, NET_BACKENDS, 254);
		check_that(!memcmp(&nexthop->gateway,
				   gateway.bytes + (row->variant->is_v6 ? 0 : 12),
				   row->variant->is_v6 ? 16 : 4),
			   "the gateway is another");
	}
}

/* The answer is kept for about a second, so a second packet may ask again at most once. */
static void run_fib_once(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_SOLO);
	struct tally before, after;

	check_read_tally(lab, &before);
	talk_open(&talk);
	for (int i = 0; i < 10; i++)
		talk_send(&talk, FLAG_ACK, 0);
	check_read_tally(lab, &after);
	after.internals[WEIR_INTERNAL_NEXTHOP_ASKED] -=
		before.internals[WEIR_INTERNAL_NEXTHOP_ASKED];
	check_that(after.internals[WEIR_INTERNAL_NEXTHOP_ASKED] >= 1 &&
			   after.internals[WEIR_INTERNAL_NEXTHOP_ASKED] <= 3,
		   "asked %llu times", after.internals[WEIR_INTERNAL_NEXTHOP_ASKED]);
}

static void run_new_route(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_LOST);
	const char *way = row->variant->is_v6 ? "fd00:6::2/128 via fd00:2::253"
					      : "10.6.0.2/32 via 10.2.0.253";
	struct spec in;
	struct step step;
	char command[100];

	talk_open(&talk);
	snprintf(command, sizeof(command), "ip route add %s", way);
	check_that(!system(command), "failed: %s", command);
	in = talk_forward(&talk, FLAG_ACK, 0);
	talk.is_routed = false;
	step = talk_forward_step(&talk, &in);
	for (int i = 0; i < 60; i++) { /* the old answer holds for up to about a second */
		static struct result result;

		check_run(lab, &step, &result);
		if (check_outcome(&result, STEP_INGRESS) == WEIR_FORWARDED_STACK) {
			usleep(50000);
			continue;
		}
		snprintf(command, sizeof(command), "ip route del %s", way);
		check_that(!system(command), "failed: %s", command);
		check_result(&step, &result);
		return;
	}
	check_fail("the new route is never taken");
}

static const struct row_entry entries[] = {
	{"%s between others passes both hooks", IN_ALL, run_not_ours, NULL},
	{"the first packet of %s opens a flow, all others follow it", IN_ALL, run_first, &web},
	{"%s with path: stack is translated and left to the stack", IN_ALL, run_first, &stack},
	{"%s to a backend in a local veth gets the MACs of its link", IN_ALL, run_first, &pod},
	{"%s to a backend behind a gateway is sent on", IN_ALL, run_first, &gateway},
	{"%s to a backend without a route is left to the stack", IN_ALL, run_first, &lost},
	{"%s to another port than the backend's is given that port", IN_ALL, run_first, &fixed},
	{"%s with an IP header of 24 bytes is served", IN_V4, run_odd, &options_1},
	{"%s with an IP header of 60 bytes is served", IN_V4, run_odd, &options_10},
	{"%s with 40 bytes of TCP options keeps them", IN_TCP, run_odd, &many_tcp_options},
	{"%s with all options that fit keeps them", IN_TCP4, run_odd, &both_options},
	{"%s keeps DSCP and ECN", IN_ALL, run_odd, &ecn},
	{"%s keeps the urgent pointer", IN_TCP, run_odd, &urgent},
	{"%s keeps padding behind the packet, which is not counted", IN_ALL, run_odd, &padded},
	{"%s with TTL 255 leaves with 254", IN_ALL, run_odd, &ttl_255},
	{"%s with TTL 2 leaves with 1", IN_ALL, run_odd, &ttl_2},
	{"%s keeps IP identification and \"don't fragment\"", IN_V4, run_odd, &no_fragments},
	{"%s with the reserved bit of IPv4 is no fragment", IN_V4, run_odd, &evil},
	{"%s of odd length has right checksums", IN_ALL, run_odd, &odd_length},
	{"%s of a full MTU is sent on", IN_ALL, run_odd, &long_one},
	{"%s without payload is sent on", IN_ALL, run_odd, &empty},
	{"%s with a UDP length below the packet's is served", IN_UDP, run_odd, &short_udp},
	{"%s with TTL 1 or 0 passes untouched to the stack, which answers", IN_ALL, run_ttl_one,
	 &web},
	{"%s with TTL 1 and path: stack is translated, the stack answers", IN_ALL, run_ttl_one,
	 &stack},
	{"%s larger than the MTU of the way out is left to the stack", IN_ALL, run_mtu, NULL},
	{"a GSO packet of %s counts as its segments, each must fit", IN_ALL, run_gso, NULL},
	{"a GSO packet of %s with a length of 0 is measured by its frame", IN_TCP, run_big_tcp,
	 NULL},
	{"%s from a VIP is dropped", IN_ALL, run_vip_source, NULL},
	{"%s notes link, gateway, MTU and kind of its way out", IN_ALL, run_nexthop, NULL},
	{"%s asks the FIB about once a second", IN_ALL, run_fib_once, NULL},
	{"%s takes a new route within about a second", IN_TCP, run_new_route, NULL},
	{},
};

void rows_forward(void)
{
	rows_add_all(entries);
}
