/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * rows_node.c - clients on the node itself, whose packets come by weir1; and frames that are not
 * addressed to the node.
 */
#include "rows.h"

#include <bpf/bpf.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define FROM_NODE WEIR_FLOW_FROM_NODE

static bool is_tcp(const struct row *row)
{
	return row->variant->protocol == IPPROTO_TCP;
}

static struct talk make_local(struct lab *lab, const struct row *row, enum lab_vip vip)
{
	struct talk talk = talk_make(lab, row->variant, vip);

	talk.client = lab_host(row->variant, NET_BACKENDS, 1);
	talk.from = LINK_NODE;
	talk.is_routed = false; /* it has been through the stack, on its way to the VIP */
	return talk;
}

static void run_served(struct lab *lab, const struct row *row)
{
	struct talk talk = make_local(lab, row, *(const enum lab_vip *)row->arg);

	talk_open(&talk);
	talk_check_flow(&talk, WEIR_FLOW_LIVE | FROM_NODE);
	talk_answer(&talk);
	if (is_tcp(row))
		talk_prove(&talk);
	talk_send(&talk, FLAG_ACK, 10);
	talk_return(&talk, FLAG_ACK, 10);
}

/* It has arrived: its TTL does not matter any more. */
static void run_ttl(struct lab *lab, const struct row *row)
{
	struct talk talk = make_local(lab, row, VIP_WEB);
	struct spec in;
	struct step step;

	talk_open(&talk);
	talk_answer(&talk);
	in = talk_reply(&talk, FLAG_SYN | FLAG_ACK, 0);
	in.ttl = 1;
	step = talk_reply_step(&talk, &in);
	check_step(lab, &step);
}

static void check_refused(const struct talk *talk, enum weir_outcome refused,
			  enum weir_outcome dropped)
{
	bool is_tcp = talk->variant->protocol == IPPROTO_TCP;
	struct spec in = talk_forward(talk, FLAG_SYN, 10);
	struct step step = check_make(STEP_INGRESS, LINK_NODE, &in, is_tcp ? refused : dropped);

	if (is_tcp)
		step.out = talk_refusal(&in);
	check_step(talk->lab, &step);
	check_that(!lab_count_flows(talk->lab), "it made a flow");
}

static void run_no_way(struct lab *lab, const struct row *row)
{
	struct talk talk = make_local(lab, row, VIP_LOST);

	check_refused(&talk, WEIR_REFUSED_HAIRPIN, WEIR_DROP_HAIRPIN);
}

/* The backend is a process of the node: it would answer past us. */
static void run_own_backend(struct lab *lab, const struct row *row)
{
	struct talk talk = make_local(lab, row, VIP_SOLO);
	struct addr addr = lab_host(row->variant, NET_BACKENDS, 51);
	__u32 id = lab_backend(lab, row->variant, VIP_SOLO, &addr, LAB_BACKEND_PORT);

	talk.client = lab_host(row->variant, NET_CLIENTS, 1);
	addr = lab_host(row->variant, NET_POD, 1);
	memcpy(&maps_backends(lab->maps)[id].address, &addr, sizeof(addr));
	check_refused(&talk, WEIR_REFUSED_HAIRPIN, WEIR_DROP_HAIRPIN);
}

static void run_free_port(struct lab *lab, const struct row *row)
{
	struct talk talk = make_local(lab, row, VIP_WEB);

	talk.asked = LAB_FREE_PORT;
	check_refused(&talk, WEIR_REFUSED_PORT, WEIR_DROP_NO_PORT);
}

/* What passes elsewhere would be routed to weir0 again. */
static void run_no_return(struct lab *lab, const struct row *row)
{
	struct talk talk = make_local(lab, row, VIP_WEB);
	struct spec in[5];
	struct step step;

	for (int i = 0; i < 5; i++)
		in[i] = talk_forward(&talk, FLAG_SYN, 10);
	in[0].protocol = IPPROTO_ICMP;
	if (row->variant->is_v6) {
		in[1].has_extension = true;
		in[1].extension = IPPROTO_DSTOPTS;
	} else {
		in[1].fragment = 0x2000;
	}
	in[2].destination = lab_host(row->variant, NET_BACKENDS, 200);
	in[3].length_error = 1;
	in[4].vlan = 0x8100;
	for (int i = 0; i < 5; i++) {
		step = check_make(STEP_INGRESS, LINK_NODE, &in[i], WEIR_DROP_FROM_NODE);
		check_step(lab, &step);
	}
}

static void run_ttl_one(struct lab *lab, const struct row *row)
{
	struct talk talk = make_local(lab, row, VIP_WEB);
	struct spec in = talk_forward(&talk, FLAG_SYN, 10);
	struct step step;

	talk_open(&talk);
	in.ttl = 1;
	step = check_make(STEP_INGRESS, LINK_NODE, &in, WEIR_DROP_FROM_NODE);
	check_step(lab, &step);
}

static const uint8_t stranger[6] = {0x02, 0, 0, 9, 9, 9},
		     everybody[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		     some_group[6] = {0x01, 0, 0x5e, 0, 0, 1};

static void run_overheard(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);
	struct spec in[3];
	struct step step;

	talk_establish(&talk);
	in[0] = talk_forward(&talk, FLAG_ACK, 10);
	in[1] = talk_reply(&talk, FLAG_ACK, 10);
	in[2] = talk_forward(&talk, FLAG_SYN, 10);
	in[2].destination_port = LAB_FREE_PORT;
	for (int i = 0; i < 3; i++) {
		memcpy(in[i].to, row->arg, sizeof(in[i].to));
		step = check_make(STEP_INGRESS, i == 1 ? LINK_BACKENDS : LINK_CLIENTS, &in[i],
				  WEIR_PASS_OTHER_HOST);
		check_step(lab, &step);
	}
}

static void mark_port(struct lab *lab, enum lab_link link, bool is_port)
{
	struct weir_interface interface = {.role = WEIR_ROLE_WORKLOAD,
					   .flags = WEIR_INTERFACE_PORT};
	int rc = is_port ? bpf_map_update_elem(lab->maps->fds[MAP_interfaces], &lab->ifindex[link],
					       &interface, BPF_ANY)
			 : bpf_map_delete_elem(lab->maps->fds[MAP_interfaces], &lab->ifindex[link]);

	check_that(!rc, "cannot mark the port of the bridge");
}

static void run_port(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);
	static struct result result;
	struct spec in;
	struct step step;

	talk_establish(&talk);
	in = talk_forward(&talk, FLAG_ACK, 10);
	memcpy(in.to, stranger, sizeof(in.to));
	step = talk_forward_step(&talk, &in);
	mark_port(lab, LINK_CLIENTS, true);
	check_run(lab, &step, &result);
	mark_port(lab, LINK_CLIENTS, false);
	check_result(&step, &result);
}

static const enum lab_vip web = VIP_WEB, pod = VIP_POD, any = VIP_ANY, stack = VIP_STACK;

static const struct row_entry entries[] = {
	{"%s of the node itself is served, its replies leave by weir1 with their TTL", IN_ALL,
	 run_served, &web},
	{"%s of the node itself to a local veth is served", IN_ALL, run_served, &pod},
	{"%s of the node itself at any port is served", IN_ALL, run_served, &any},
	{"%s of the node itself with path: stack does not go through the stack twice", IN_ALL,
	 run_served, &stack},
	{"a reply over %s with TTL 1 to the node itself has arrived", IN_ALL, run_ttl, NULL},
	{"%s of the node itself to a backend without a route is refused", IN_ALL, run_no_way, NULL},
	{"%s of the node itself to a backend on the node is refused", IN_ALL, run_own_backend,
	 NULL},
	{"%s of the node itself to a free port is refused", IN_ALL, run_free_port, NULL},
	{"what is not served of %s by weir1 is dropped, not routed back", IN_ALL, run_no_return,
	 NULL},
	{"%s with TTL 1 by weir1 is dropped, not routed back", IN_ALL, run_ttl_one, NULL},
	{"%s in a frame for another host passes", IN_ALL, run_overheard, stranger},
	{"%s in a broadcast frame passes", IN_ALL, run_overheard, everybody},
	{"%s in a multicast frame passes", IN_ALL, run_overheard, some_group},
	{"%s in a frame for another host is served on a bridge's port", IN_ALL, run_port, NULL},
	{},
};

void rows_node(void)
{
	rows_add_all(entries);
}
