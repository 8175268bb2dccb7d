/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* rows_close.c - how flows end, how their tuple is used again, and how late segments revive them. */
#include "rows.h"

#include <netinet/in.h>

#define OPEN (WEIR_FLOW_LIVE | WEIR_FLOW_ANSWERED | WEIR_FLOW_PROVEN | WEIR_FLOW_COUNTED)
#define FINS (WEIR_FLOW_FIN_CLIENT | WEIR_FLOW_FIN_BACKEND)

enum ending {
	BY_FINS,
	BY_CLIENT_RST,
	BY_BACKEND_RST,
	BY_SWEEP,
	BY_RST_AND_SWEEP
};
#define CLOSED (WEIR_FLOW_CLOSED | WEIR_FLOW_ANSWERED | WEIR_FLOW_PROVEN)

/* Make an established flow closing, or closed; true: it is not counted any more. */
static bool end(const struct talk *talk, enum ending ending)
{
	struct step step;

	switch (ending) {
	case BY_CLIENT_RST:
		talk_send(talk, FLAG_RST, 0);
		talk_check_flow(talk, OPEN | WEIR_FLOW_RESET);
		return false;
	case BY_BACKEND_RST:
		talk_return(talk, FLAG_RST, 0);
		talk_check_flow(talk, OPEN | WEIR_FLOW_RESET);
		return false;
	case BY_FINS:
		talk_finish(talk);
		talk_check_flow(talk, OPEN | FINS);
		return false;
	case BY_SWEEP:
		end(talk, BY_FINS);
		break;
	case BY_RST_AND_SWEEP:
		end(talk, BY_CLIENT_RST);
	}
	talk_age(talk, 60);
	step = talk_ended(talk);
	step.kind = STEP_SWEEP;
	check_step(talk->lab, &step);
	talk_check_flow(talk, CLOSED | (ending == BY_SWEEP ? FINS : WEIR_FLOW_RESET));
	return true;
}

static void run_one_fin(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);

	talk_establish(&talk);
	talk_send(&talk, FLAG_FIN | FLAG_ACK, 0);
	talk_check_flow(&talk, OPEN | WEIR_FLOW_FIN_CLIENT);
	talk_return(&talk, FLAG_ACK, 1000); /* half closed: the backend still sends */
	talk_check_flow(&talk, OPEN | WEIR_FLOW_FIN_CLIENT);
	talk_return(&talk, FLAG_FIN | FLAG_ACK, 0);
	talk_check_flow(&talk, OPEN | FINS);
	talk_send(&talk, FLAG_ACK, 0);
	talk_check_flow(&talk, OPEN | FINS);
}

static void run_reset_cleared(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);

	talk_establish(&talk);
	end(&talk, BY_CLIENT_RST);
	talk_send(&talk, FLAG_ACK, 10);
	talk_check_flow(&talk, OPEN);
	end(&talk, BY_CLIENT_RST);
	talk_return(&talk, FLAG_ACK, 10);
	talk_check_flow(&talk, OPEN);
	end(&talk, BY_BACKEND_RST);
	talk_return(&talk, FLAG_ACK, 10);
	talk_check_flow(&talk, OPEN);
}

/* A new connection on the tuple of one that is closing. */
static void run_reused(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);
	struct step more;
	struct spec in;

	talk_establish(&talk);
	more = talk_ended(&talk);
	if (end(&talk, *(const enum ending *)row->arg))
		more.changes[1].backend = WEIR_NONE; /* it was taken off the gauge by the sweep */
	check_add_internal(&more, WEIR_INTERNAL_PORT_REUSED, 1);
	talk.client_isn += 1000000;
	in = talk_forward(&talk, FLAG_SYN, 0);
	talk_open_with(&talk, &in, &more);
	talk_check_flow(&talk, WEIR_FLOW_LIVE);
	talk_answer(&talk);
	talk_prove(&talk);
	check_that(lab_count_flows(lab) == 1, "one flow became %u", lab_count_flows(lab));
}

/* The backend is drained by then: the new connection may not go there. */
static void run_reused_drained(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);
	struct step more;
	struct spec in;
	__u32 old;

	talk_establish(&talk);
	old = talk.backend;
	end(&talk, BY_FINS);
	maps_backends(lab->maps)[old].reasons = WEIR_REASON_DRAINED;
	more = talk_ended(&talk);
	check_add_internal(&more, WEIR_INTERNAL_PORT_REUSED, 1);
	check_add_internal(&more, WEIR_INTERNAL_SECONDARY, 1);
	in = talk_forward(&talk, FLAG_SYN, 0);
	talk_open_with(&talk, &in, &more);
	check_that(talk.backend != old, "given to the drained backend");
}

/* After both FINs it stays on its way to the end; a RST was a lie. */
static void check_revived(const struct talk *talk, enum ending ending, struct step step)
{
	step.changes[0].counters.revived = 1;
	step.changes[0].active = 1;
	check_step(talk->lab, &step);
	talk_check_flow(talk, ending == BY_SWEEP ? OPEN | FINS : OPEN);
}

static void run_revived(struct lab *lab, const struct row *row)
{
	const enum ending ending = *(const enum ending *)row->arg;
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);
	struct spec in;

	talk_establish(&talk);
	end(&talk, ending);
	in = talk_forward(&talk, FLAG_ACK, 10);
	check_revived(&talk, ending, talk_forward_step(&talk, &in));
	talk_forget(&talk);
	talk.client_port++;
	talk_establish(&talk);
	end(&talk, ending);
	in = talk_reply(&talk, FLAG_ACK, 10);
	check_revived(&talk, ending, talk_reply_step(&talk, &in));
}

static void run_reset_closed(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);

	talk_establish(&talk);
	end(&talk, BY_SWEEP);
	talk_send(&talk, FLAG_RST, 0);
	talk_return(&talk, FLAG_RST, 0);
	talk_check_flow(&talk, CLOSED | FINS | WEIR_FLOW_RESET);
}

/* Its backend is drained: a late segment of the old connection still goes there. */
static void run_closed_drained(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);
	struct spec in;

	talk_establish(&talk);
	end(&talk, BY_SWEEP);
	maps_backends(lab->maps)[talk.backend].reasons = WEIR_REASON_DRAINED;
	in = talk_forward(&talk, FLAG_ACK, 10);
	check_revived(&talk, BY_SWEEP, talk_forward_step(&talk, &in));
}

static const enum ending fins = BY_FINS, client_rst = BY_CLIENT_RST, backend_rst = BY_BACKEND_RST,
			 swept = BY_SWEEP, rst_swept = BY_RST_AND_SWEEP;

static const struct row_entry entries[] = {
	{"%s closes with the second FIN, not with the first", IN_TCP, run_one_fin, NULL},
	{"a RST over %s marks the flow, a later segment clears the mark", IN_TCP, run_reset_cleared,
	 NULL},
	{"a SYN over %s after both FINs chooses afresh", IN_TCP, run_reused, &fins},
	{"a SYN over %s after the client's RST chooses afresh", IN_TCP, run_reused, &client_rst},
	{"a SYN over %s after the backend's RST chooses afresh", IN_TCP, run_reused, &backend_rst},
	{"a SYN over %s on a closed flow chooses afresh", IN_TCP, run_reused, &swept},
	{"a SYN over %s on a flow that a RST closed chooses afresh", IN_TCP, run_reused,
	 &rst_swept},
	{"a SYN over %s after both FINs does not go to the backend that is drained now", IN_TCP,
	 run_reused_drained, NULL},
	{"a late segment over %s revives a flow that both FINs closed, from either side", IN_TCP,
	 run_revived, &swept},
	{"a late segment over %s revives a flow that a RST closed, from either side", IN_TCP,
	 run_revived, &rst_swept},
	{"a RST over %s does not revive a closed flow", IN_TCP, run_reset_closed, NULL},
	{"a late segment over %s of a closed flow goes to its backend, drained or not", IN_TCP,
	 run_closed_drained, NULL},
	{},
};

void rows_close(void)
{
	rows_add_all(entries);
}
