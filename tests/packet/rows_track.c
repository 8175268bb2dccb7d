/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* rows_track.c - what a flow learns from its packets: answered, proven, picked up; and what not. */
#include "rows.h"

#include <netinet/in.h>

#define LIVE     WEIR_FLOW_LIVE
#define ANSWERED (WEIR_FLOW_LIVE | WEIR_FLOW_ANSWERED)
#define OPEN     (ANSWERED | WEIR_FLOW_PROVEN | WEIR_FLOW_COUNTED)

static void run_handshake(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);

	talk_open(&talk);
	talk_check_flow(&talk, LIVE);
	talk_answer(&talk);
	talk_check_flow(&talk, row->variant->protocol == IPPROTO_TCP ? ANSWERED : OPEN);
	if (row->variant->protocol == IPPROTO_TCP)
		talk_prove(&talk);
	talk_check_flow(&talk, OPEN);
	for (int i = 0; i < 2; i++) { /* nothing of it is counted twice */
		talk_return(&talk, FLAG_ACK, 10);
		talk_send(&talk, FLAG_ACK, 10);
	}
	talk_check_flow(&talk, OPEN);
}

static void run_detail(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);
	struct lab_flow flow;

	talk_open(&talk);
	talk_answer(&talk);
	check_that(talk_find_flow(&talk, &flow), "the flow is not in the table");
	check_that(flow.detail.client_isn == talk.client_isn, "client's number: %x",
		   flow.detail.client_isn);
	check_that(flow.detail.backend_isn == talk.backend_isn, "backend's number: %x",
		   flow.detail.backend_isn);
	check_that(flow.detail.ifindex == lab->ifindex[LINK_CLIENTS], "came by %u",
		   flow.detail.ifindex);
	check_that(flow.detail.opened_at, "no time");
}

static void run_unanswered(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);

	talk_open(&talk);
	for (int i = 0; i < 3; i++)
		talk_send(&talk, FLAG_SYN, 10);
	talk_check_flow(&talk, LIVE);
}

/* A SYN-ACK that does not acknowledge our SYN. */
static void run_wrong_syn_ack(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);
	struct spec in;
	struct step step;

	talk_open(&talk);
	in = talk_reply(&talk, FLAG_SYN | FLAG_ACK, 0);
	in.acknowledgement++;
	step = talk_reply_step(&talk, &in);
	check_step(lab, &step);
	talk_check_flow(&talk, LIVE);
	talk_send(&talk, FLAG_ACK, 0);
	talk_check_flow(&talk, LIVE);
}

static void run_refused_by_backend(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);

	talk_open(&talk);
	talk_return(&talk, FLAG_RST | FLAG_ACK, 0);
	talk_check_flow(&talk, LIVE | WEIR_FLOW_RESET);
}

/* The final ACK, and how far it is from the SYN-ACK's number. */
struct final_ack {
	bool is_answered, is_proven;
	uint8_t flags;
	int32_t offset; /* from the right number */
};

static void run_final_ack(struct lab *lab, const struct row *row)
{
	const struct final_ack *final = row->arg;
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);
	struct spec in;
	struct step step;

	talk_open(&talk);
	if (final->is_answered)
		talk_answer(&talk);
	in = talk_forward(&talk, final->flags, 0);
	in.acknowledgement = talk.backend_isn + 1 + (uint32_t) final->offset;
	step = talk_forward_step(&talk, &in);
	if (final->is_proven) {
		step.changes[0].counters.opened = 1;
		step.changes[0].active = 1;
	}
	check_step(lab, &step);
	talk_check_flow(&talk, final->is_proven          ? OPEN
			       : final->flags & FLAG_RST ? ANSWERED | WEIR_FLOW_RESET
			       : final->is_answered      ? ANSWERED
							 : LIVE);
}

static const struct final_ack exact = {true, true, FLAG_ACK, 0},
			      with_data = {true, true, FLAG_ACK | FLAG_PSH, 1000},
			      farthest = {true, true, FLAG_ACK, 65535},
			      too_far = {true, false, FLAG_ACK, 65536},
			      too_near = {true, false, FLAG_ACK, -1},
			      early = {false, false, FLAG_ACK, 0},
			      forged = {true, false, FLAG_ACK, 0x12345678},
			      reset = {true, false, FLAG_RST | FLAG_ACK, 0},
			      no_ack = {true, false, FLAG_PSH, 0};

static void run_syn_on_live(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);
	struct spec in;
	struct step step;

	talk_establish(&talk);
	in = talk_forward(&talk, FLAG_SYN, 0);
	in.sequence += 100000;
	step = talk_forward_step(&talk, &in);
	check_step(lab, &step);
	talk_check_flow(&talk, OPEN);
}

static void run_new_isn(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);
	struct step more = {.changes[1].backend = WEIR_NONE};
	struct spec in;

	check_add_internal(&more, WEIR_INTERNAL_PORT_REUSED, 1);
	talk_open(&talk);
	talk_answer(&talk);
	talk.client_isn += 77;
	in = talk_forward(&talk, FLAG_SYN, 0);
	talk_open_with(&talk, &in, &more);
	talk_check_flow(&talk, LIVE);
	talk_answer(&talk);
	talk_prove(&talk);
	check_that(lab_count_flows(lab) == 1, "one flow became %u", lab_count_flows(lab));
}

/* A segment in the middle of a connection that we do not know. */
static void open_midway(struct talk *talk, uint8_t flags, size_t payload)
{
	struct spec in = talk_forward(talk, flags, payload);
	struct step step = check_make(STEP_INGRESS, talk->from, &in, WEIR_CONTINUE);
	static struct result result;

	check_run(talk->lab, &step, &result);
	talk_learn(talk, &step, &result);
	step = talk_forward_step(talk, &in);
	check_add_internal(&step, WEIR_INTERNAL_PICKED_UP, 1);
	check_add_internal(&step, WEIR_INTERNAL_FLOW_ADDED, 1);
	check_result(&step, &result);
}

static void run_midway(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_WEB), first = talk;
	struct spec in;
	struct step step;

	talk_open(&first);
	talk_forget(&first);
	open_midway(&talk, FLAG_ACK | FLAG_PSH, 100);
	check_that(talk.backend == first.backend, "not the backend of its SYN");
	talk_check_flow(&talk, LIVE | WEIR_FLOW_PICKED_UP);
	talk_send(&talk, FLAG_ACK, 10);
	talk_check_flow(&talk, LIVE | WEIR_FLOW_PICKED_UP);
	in = talk_reply(&talk, FLAG_ACK, 10);
	step = talk_reply_step(&talk, &in);
	step.changes[0].counters.revived = 1;
	step.changes[0].active = 1;
	check_step(lab, &step);
	talk_check_flow(&talk, OPEN | WEIR_FLOW_PICKED_UP);
	talk_return(&talk, FLAG_ACK, 10);
}

/* A SYN-ACK is not a SYN: it opens nothing new. */
static void run_midway_syn_ack(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);

	open_midway(&talk, FLAG_SYN | FLAG_ACK, 0);
	talk_check_flow(&talk, LIVE | WEIR_FLOW_PICKED_UP);
}

static void run_closing_syn_ack(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);

	talk_establish(&talk);
	talk_finish(&talk);
	talk_send(&talk, FLAG_SYN | FLAG_ACK, 0);
	talk_check_flow(&talk, OPEN | WEIR_FLOW_FIN_CLIENT | WEIR_FLOW_FIN_BACKEND);
}

static void run_midway_reset(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);

	open_midway(&talk, FLAG_ACK, 0);
	talk_return(&talk, FLAG_RST, 0);
	talk_check_flow(&talk, LIVE | WEIR_FLOW_PICKED_UP | WEIR_FLOW_RESET);
}

static void run_unknown_reset(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_SOLO);
	struct spec in = talk_forward(&talk, FLAG_RST, 0);
	struct step step;

	talk_open(&talk);
	talk_forget(&talk);
	step = talk_forward_step(&talk, &in);
	check_step(lab, &step);
	check_that(!lab_count_flows(lab), "a RST made a flow");
}

/* A client's SYN to the backend itself, on the tuple of a flow in this state. */
struct direct {
	enum {
		UNPROVEN,
		PROVEN,
		CLOSING
	} state;
	enum lab_vip vip;
};

static void run_direct_syn(struct lab *lab, const struct row *row)
{
	const struct direct *direct = row->arg;
	struct talk talk = talk_make(lab, row->variant, direct->vip);
	struct spec in;
	struct step step;

	if (direct->state == UNPROVEN)
		talk_open(&talk);
	else
		talk_establish(&talk);
	if (direct->state == CLOSING)
		talk_finish(&talk);
	in = talk_forward(&talk, FLAG_SYN, 0);
	in.destination = talk.backend_addr;
	in.destination_port = talk.backend_port;
	step = check_make(STEP_INGRESS, LINK_CLIENTS, &in, WEIR_PASS_NOT_OURS);
	if (direct->state != PROVEN)
		check_add_internal(&step, WEIR_INTERNAL_FLOW_INVALIDATED, 1);
	if (direct->state == CLOSING)
		step.changes[0] = talk_ended(&talk).changes[1];
	check_step(lab, &step);
	talk_check_flow(&talk, direct->state == PROVEN ? OPEN : 0);
	in.flags = FLAG_ACK;
	step = check_make(STEP_INGRESS, LINK_CLIENTS, &in, WEIR_PASS_NOT_OURS);
	check_step(lab, &step);
}

static const struct direct unproven = {UNPROVEN, VIP_WEB}, proven = {PROVEN, VIP_WEB},
			   closing = {CLOSING, VIP_WEB}, any_unproven = {UNPROVEN, VIP_ANY},
			   any_closing = {CLOSING, VIP_ANY}, any_proven = {PROVEN, VIP_ANY};

static const struct row_entry entries[] = {
	{"%s is proven by its handshake, once", IN_ALL, run_handshake, NULL},
	{"%s notes both initial numbers, the interface and the time", IN_TCP, run_detail, NULL},
	{"%s without an answer stays unproven", IN_ALL, run_unanswered, NULL},
	{"a SYN-ACK over %s with a wrong number is no answer", IN_TCP, run_wrong_syn_ack, NULL},
	{"a RST of the backend over %s is no answer", IN_TCP, run_refused_by_backend, NULL},
	{"the right ACK over %s proves the client", IN_TCP, run_final_ack, &exact},
	{"an ACK with data over %s proves the client", IN_TCP, run_final_ack, &with_data},
	{"an ACK over %s 65535 beyond the number proves the client", IN_TCP, run_final_ack,
	 &farthest},
	{"an ACK over %s 65536 beyond the number proves nothing", IN_TCP, run_final_ack, &too_far},
	{"an ACK over %s one before the number proves nothing", IN_TCP, run_final_ack, &too_near},
	{"an ACK over %s before the SYN-ACK proves nothing", IN_TCP, run_final_ack, &early},
	{"a forged ACK over %s proves nothing", IN_TCP, run_final_ack, &forged},
	{"a RST over %s with the right number proves nothing", IN_TCP, run_final_ack, &reset},
	{"a segment over %s without ACK proves nothing", IN_TCP, run_final_ack, &no_ack},
	{"a SYN over %s on a live proven flow stays with it", IN_TCP, run_syn_on_live, NULL},
	{"a SYN over %s with another number on an unproven flow chooses afresh", IN_TCP,
	 run_new_isn, NULL},
	{"%s in its middle is picked up, and proven by the backend's answer", IN_TCP, run_midway,
	 NULL},
	{"a SYN-ACK over %s of no flow is picked up, and no new connection", IN_TCP,
	 run_midway_syn_ack, NULL},
	{"a SYN-ACK over %s on a closing flow stays with it", IN_TCP, run_closing_syn_ack, NULL},
	{"%s in its middle is not proven by a RST", IN_TCP, run_midway_reset, NULL},
	{"a RST over %s of no flow is sent on and makes none", IN_TCP, run_unknown_reset, NULL},
	{"a SYN over %s straight to the backend frees an unproven flow", IN_TCP, run_direct_syn,
	 &unproven},
	{"a SYN over %s straight to the backend frees a closing flow", IN_TCP, run_direct_syn,
	 &closing},
	{"a SYN over %s straight to the backend leaves a live flow", IN_TCP, run_direct_syn,
	 &proven},
	{"a SYN over %s straight to the backend frees an unproven any-port flow", IN_TCP,
	 run_direct_syn, &any_unproven},
	{"a SYN over %s straight to the backend frees a closing any-port flow", IN_TCP,
	 run_direct_syn, &any_closing},
	{"a SYN over %s straight to the backend leaves a live any-port flow", IN_TCP,
	 run_direct_syn, &any_proven},
	{},
};

void rows_track(void)
{
	rows_add_all(entries);
}
