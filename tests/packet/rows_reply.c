/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* rows_reply.c - from the backend to the client, at both hooks; and what is no reply of ours. */
#include "rows.h"

#include <netinet/in.h>

static const enum lab_vip web = VIP_WEB, stack = VIP_STACK, pod = VIP_POD, any = VIP_ANY;

static void run_reply(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, *(const enum lab_vip *)row->arg);

	talk_establish(&talk);
	talk_return(&talk, FLAG_ACK | FLAG_PSH, 1000);
	talk_return(&talk, FLAG_ACK, 0);
	talk_send(&talk, FLAG_ACK, 10);
}

/* What the stack routes passes ingress untouched, and does nothing to the flow there. */
static void check_left_to_egress(struct talk *talk, const struct spec *in)
{
	struct step step = check_make(STEP_INGRESS, talk->back, in, WEIR_PASS_TO_EGRESS);

	check_step(talk->lab, &step);
	talk->is_routed = true;
	step = talk_reply_step(talk, in);
	check_step(talk->lab, &step);
}

static void run_stack(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_STACK);
	struct spec in;

	talk_establish(&talk);
	in = talk_reply(&talk, FLAG_ACK | FLAG_PSH, 1000);
	check_left_to_egress(&talk, &in);
}

/* No route to the client, so only the stack can judge. */
static void run_lost_client(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);
	struct spec in;

	talk.client = lab_host(row->variant, NET_LOST, 10);
	talk_open(&talk);
	in = talk_reply(&talk, FLAG_ACK, 10);
	if (row->variant->protocol == IPPROTO_TCP)
		check_left_to_egress(&talk, &in);
	talk.is_routed = true;
	if (row->variant->protocol == IPPROTO_UDP)
		talk_answer(&talk);
}

/* A flow by the fast path, a reply that escaped it. */
static void run_escaped(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);

	talk_establish(&talk);
	talk.is_routed = true;
	talk_return(&talk, FLAG_ACK, 10);
}

static void run_mtu(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);
	struct spec in;

	talk.client = lab_host(row->variant, NET_NARROW, 2);
	talk.from = LINK_NARROW;
	talk_establish(&talk);
	in = talk_reply(&talk, FLAG_ACK, 0);
	in.payload = 1280 - build_headers(&in);
	talk_return(&talk, FLAG_ACK, in.payload);
	in.payload++;
	check_left_to_egress(&talk, &in);
}

static void run_ttl_one(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);
	struct spec in;
	struct step step;

	talk_establish(&talk);
	in = talk_reply(&talk, FLAG_RST, 0);
	in.ttl = 1;
	step = check_make(STEP_INGRESS, LINK_BACKENDS, &in, WEIR_PASS_TTL);
	check_step(lab, &step);
	talk_check_flow(&talk,
			WEIR_FLOW_LIVE | WEIR_FLOW_PROVEN | WEIR_FLOW_COUNTED | WEIR_FLOW_ANSWERED);
}

static void run_ttl_one_stack(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_STACK);
	struct spec in;
	struct step step;

	talk_establish(&talk);
	in = talk_reply(&talk, FLAG_ACK, 0);
	in.ttl = 1;
	step = talk_reply_step(&talk, &in);
	check_step(lab, &step);
}

/* Passes both hooks as it is. */
static void check_foreign(struct lab *lab, const struct spec *in, enum weir_outcome outcome)
{
	struct step step = check_make(STEP_INGRESS, LINK_BACKENDS, in, outcome);

	check_step(lab, &step);
	step.kind = STEP_EGRESS;
	step.link = LINK_CLIENTS;
	check_step(lab, &step);
}

/* Whatever differs from the flow makes it somebody else's. */
static void run_foreign(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);
	struct talk other = talk_make(lab, row->variant, VIP_WEB);
	struct spec in, good;

	other.backend_addr = lab_host(row->variant, NET_BACKENDS, 11);
	other.backend_port = LAB_BACKEND_PORT;
	good = talk_reply(&other, FLAG_ACK, 10);
	check_foreign(lab, &good, WEIR_PASS_NO_FLOW);

	talk_aim(&talk, 11);
	talk_establish(&talk);
	good = talk_reply(&talk, FLAG_ACK, 10);
	in = good;
	in.source_port++;
	check_foreign(lab, &in, WEIR_PASS_NO_FLOW);
	in = good;
	in.destination_port++;
	check_foreign(lab, &in, WEIR_PASS_NO_FLOW);
	in = good;
	in.destination = lab_host(row->variant, NET_CLIENTS, 11);
	check_foreign(lab, &in, WEIR_PASS_NO_FLOW);
	in = good;
	in.source = lab_host(row->variant, NET_BACKENDS, 12);
	check_foreign(lab, &in, WEIR_PASS_NO_FLOW);
	in = good;
	in.protocol = good.protocol == IPPROTO_TCP ? IPPROTO_UDP : IPPROTO_TCP;
	check_foreign(lab, &in, WEIR_PASS_NO_FLOW);
	in = good;
	in.source = lab_host(row->variant, NET_BACKENDS, 200);
	check_foreign(lab, &in, WEIR_PASS_NOT_OURS);
	talk_return(&talk, FLAG_ACK, 10);
}

static void run_two_frontends(struct lab *lab, const struct row *row)
{
	struct talk one = talk_make(lab, row->variant, VIP_WEB);
	struct talk two = talk_make(lab, row->variant, VIP_SOLO);
	struct talk three = talk_make(lab, row->variant, VIP_FIXED);

	talk_establish(&one);
	talk_establish(&two);
	talk_establish(&three);
	talk_return(&one, FLAG_ACK, 1);
	talk_return(&three, FLAG_ACK, 2);
	talk_return(&two, FLAG_ACK, 3);
	talk_send(&one, FLAG_ACK, 4);
	check_that(lab_count_flows(lab) == 3, "three flows became %u", lab_count_flows(lab));
}

static void run_gso(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);
	struct spec in;
	struct step step;

	talk_establish(&talk);
	in = talk_reply(&talk, FLAG_ACK | FLAG_PSH, 2100);
	step = talk_reply_step(&talk, &in);
	step.gso_segments = 3;
	step.gso_size = 1000;
	step.changes[0].counters.reply_packets = 3;
	step.changes[0].counters.reply_bytes += 2 * build_headers(&in);
	check_step(lab, &step);
}

/* The client is behind a local veth: its MACs are written as its neighbour would. */
static void run_pod_client(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);
	struct spec in;
	struct step step;

	talk.client = lab_host(row->variant, NET_POD, 2);
	talk.from = LINK_POD;
	talk_open(&talk);
	in = talk_reply(&talk, FLAG_ACK, 10);
	step = talk_reply_step(&talk, &in);
	for (int i = 0; i < 6; i++) {
		step.out.to[i] = lab_pod_mac[i];
		step.out.from[i] = lab_macs[LINK_POD][i];
	}
	if (row->variant->protocol == IPPROTO_UDP) {
		step.changes[0].counters.opened = 1;
		step.changes[0].active = 1;
	}
	check_step(lab, &step);
}

static void run_odd(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, *(const enum lab_vip *)row->arg);
	struct spec in;
	struct step step;

	talk_establish(&talk);
	in = talk_reply(&talk, FLAG_ACK | FLAG_URG | FLAG_ECE, 77);
	in.option_words = row->variant->is_v6 ? 0 : 10;
	in.tcp_option_words = 10;
	in.tos = 0xb9;
	in.ttl = 255;
	in.urgent = 5;
	in.id = 0x1234;
	in.padding = 30;
	step = talk_reply_step(&talk, &in);
	check_step(lab, &step);
}

static const struct row_entry entries[] = {
	{"a reply over %s comes from the VIP", IN_ALL, run_reply, &web},
	{"a reply over %s with path: stack is translated on egress", IN_ALL, run_reply, &stack},
	{"a reply over %s from a local veth comes from the VIP", IN_ALL, run_reply, &pod},
	{"a reply over %s of an any-port flow comes from the port that was asked", IN_ALL,
	 run_reply, &any},
	{"a reply over %s with path: stack passes ingress untouched", IN_ALL, run_stack, NULL},
	{"a reply over %s to a client without a route is left to the stack", IN_ALL,
	 run_lost_client, NULL},
	{"a reply over %s that escaped the fast path is translated on egress", IN_ALL, run_escaped,
	 NULL},
	{"a reply over %s that is too big for the client's link is left to the stack", IN_ALL,
	 run_mtu, NULL},
	{"a reply over %s with TTL 1 passes untouched and changes no flow", IN_ALL, run_ttl_one,
	 NULL},
	{"a reply over %s with TTL 1 is translated on egress", IN_ALL, run_ttl_one_stack, NULL},
	{"a packet over %s that is not of the flow in one field is not translated", IN_ALL,
	 run_foreign, NULL},
	{"one client port over %s towards three VIPs gives three flows", IN_ALL, run_two_frontends,
	 NULL},
	{"a GSO reply over %s counts as its segments", IN_ALL, run_gso, NULL},
	{"a reply over %s to a client in a local veth gets the MACs of its link", IN_ALL,
	 run_pod_client, NULL},
	{"a reply over %s keeps options, class, urgent pointer and padding", IN_ALL, run_odd, &web},
	{"a reply over %s keeps options, class, urgent pointer and padding on egress", IN_ALL,
	 run_odd, &stack},
	{},
};

void rows_reply(void)
{
	rows_add_all(entries);
}
