/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* rows_checksum.c - checksums that are absent, zero, or wrong; and the sum of CHECKSUM_COMPLETE. */
#include "rows.h"

#include <netinet/in.h>

static const enum lab_vip solo = VIP_SOLO, stack = VIP_STACK;

static void run_absent(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, *(const enum lab_vip *)row->arg);
	struct spec in = talk_forward(&talk, 0, 50);
	struct step step;

	in.has_no_checksum = true;
	talk_open_with(&talk, &in, NULL);
	talk_answer(&talk);
	in = talk_reply(&talk, 0, 50);
	in.has_no_checksum = true;
	step = talk_reply_step(&talk, &in);
	check_step(lab, &step);
}

/*
 * Change two bytes of the payload until the checksum that leaves is `wanted`: in one's complement
 * that is the one of two zeros which UDP must send (RFC 768), and TCP as it comes out.
 */
static void find_payload(struct step *step, uint16_t wanted)
{
	static struct frame frame;

	for (uint32_t mark = 1; mark <= 0xffff; mark++) {
		step->in.mark = (uint16_t)mark;
		step->out.mark = (uint16_t)mark;
		build(&step->out, &frame);
		if (build_transport_checksum(&frame, &step->out) == wanted)
			return;
	}
	check_fail("no payload gives the checksum %04x", wanted);
}

static void run_zero(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, *(const enum lab_vip *)row->arg);
	uint16_t zero = row->variant->protocol == IPPROTO_UDP ? 0xffff : 0;
	struct spec in;
	struct step step;

	talk_establish(&talk);
	in = talk_forward(&talk, FLAG_ACK, 50);
	step = talk_forward_step(&talk, &in);
	find_payload(&step, zero);
	check_step(lab, &step);
	in = talk_reply(&talk, FLAG_ACK, 50);
	step = talk_reply_step(&talk, &in);
	find_payload(&step, zero);
	check_step(lab, &step);
}

/* The same where it comes in as zero. */
static void run_from_zero(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_SOLO);
	uint16_t zero = row->variant->protocol == IPPROTO_UDP ? 0xffff : 0;
	struct spec in;
	struct step step, turned;

	talk_establish(&talk);
	in = talk_forward(&talk, FLAG_ACK, 50);
	turned = step = talk_forward_step(&talk, &in);
	turned.out = in;
	find_payload(&turned, zero);
	step.in.mark = step.out.mark = turned.in.mark;
	check_step(lab, &step);
}

static void check_wrong(const struct talk *talk, struct step step, uint16_t ip, uint16_t transport)
{
	step.in.ip_error = step.out.ip_error = ip;
	step.in.transport_error = step.out.transport_error = transport;
	check_step(talk->lab, &step);
}

static void run_wrong(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, *(const enum lab_vip *)row->arg);
	struct spec in;

	talk_establish(&talk);
	in = talk_forward(&talk, FLAG_ACK, 50);
	check_wrong(&talk, talk_forward_step(&talk, &in), 0x1234, 0);
	check_wrong(&talk, talk_forward_step(&talk, &in), 0, 0x4321);
	check_wrong(&talk, talk_forward_step(&talk, &in), 1, 0x8000);
	in = talk_reply(&talk, FLAG_ACK, 50);
	check_wrong(&talk, talk_reply_step(&talk, &in), 0x1234, 0);
	check_wrong(&talk, talk_reply_step(&talk, &in), 0, 0x4321);
	check_wrong(&talk, talk_reply_step(&talk, &in), 1, 0x8000);
}

/* Not for a RST: its change of length ends CHECKSUM_COMPLETE, which a test run does not notice. */
static void check_complete(struct lab *lab, struct step step)
{
	if (!lab->has_complete)
		check_skip("BPF_PROG_TEST_RUN of this kernel knows no CHECKSUM_COMPLETE");
	step.is_complete = true;
	check_step(lab, &step);
}

static void run_complete(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, *(const enum lab_vip *)row->arg);
	struct spec in;

	talk_establish(&talk);
	in = talk_forward(&talk, FLAG_ACK, 55);
	check_complete(lab, talk_forward_step(&talk, &in));
	in = talk_reply(&talk, FLAG_ACK, 66);
	check_complete(lab, talk_reply_step(&talk, &in));
}

static void run_complete_absent(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_SOLO);
	struct spec in;

	talk_establish(&talk);
	in = talk_forward(&talk, 0, 55);
	in.has_no_checksum = true;
	check_complete(lab, talk_forward_step(&talk, &in));
}

static const struct row_entry entries[] = {
	{"%s without a checksum stays without", IN_UDP, run_absent, &solo},
	{"%s without a checksum stays without, with path: stack", IN_UDP, run_absent, &stack},
	{"a checksum of %s that becomes 0 is written as it must be", IN_ALL, run_zero, &solo},
	{"a checksum of %s that becomes 0 is written as it must be, with path: stack", IN_ALL,
	 run_zero, &stack},
	{"a checksum of %s that was 0 is corrected", IN_ALL, run_from_zero, NULL},
	{"wrong checksums of %s stay wrong by the same difference", IN_ALL, run_wrong, &solo},
	{"wrong checksums of %s stay wrong by the same difference, with path: stack", IN_ALL,
	 run_wrong, &stack},
	{"the sum that a card made of %s stays true", IN_ALL, run_complete, &solo},
	{"the sum that a card made of %s stays true, with path: stack", IN_ALL, run_complete,
	 &stack},
	{"the sum that a card made of %s without a checksum stays true", IN_UDP,
	 run_complete_absent, NULL},
	{},
};

void rows_checksum(void)
{
	rows_add_all(entries);
}
