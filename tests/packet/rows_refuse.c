/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* rows_refuse.c - what nobody serves: the RST and each of its fields (RFC 9293), or a drop. */
#include "rows.h"

#include "base/err.h"
#include "datapath/stats.h"

#include <bpf/bpf.h>
#include <netinet/in.h>
#include <string.h>

#define RATE_TRIES 100

/* A segment, and what is odd about it. */
struct segment {
	uint8_t flags, ip_options, tcp_options;
	size_t payload, padding;
};

static struct spec make_segment(const struct talk *talk, const struct segment *segment)
{
	struct spec in = talk_forward(talk, segment->flags, segment->payload);

	in.option_words = talk->variant->is_v6 ? 0 : segment->ip_options;
	in.tcp_option_words = segment->tcp_options;
	in.padding = segment->padding;
	in.tos = 0x2e;
	in.id = 0x4321;
	in.ttl = 9;
	return in;
}

static void check_refused(struct lab *lab, const struct spec *in, enum weir_outcome outcome)
{
	struct step step = check_make(STEP_INGRESS, LINK_CLIENTS, in, outcome);

	step.out = talk_refusal(in);
	check_step(lab, &step);
}

static void run_port(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);
	struct spec in;

	talk.asked = LAB_FREE_PORT;
	in = make_segment(&talk, row->arg);
	check_refused(lab, &in, WEIR_REFUSED_PORT);
	check_that(!lab_count_flows(lab), "it made a flow");
}

static void run_no_backend(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_EMPTY);
	struct spec in = make_segment(&talk, row->arg);

	check_refused(lab, &in, WEIR_REFUSED_NO_BACKEND);
	check_that(!lab_count_flows(lab), "it made a flow");
}

static const struct segment syn = {FLAG_SYN, 0, 0, 0, 0}, syn_data = {FLAG_SYN, 0, 5, 40, 0},
			    ack = {FLAG_ACK, 0, 0, 0, 0},
			    data = {FLAG_ACK | FLAG_PSH | FLAG_FIN, 0, 3, 1200, 0},
			    fin = {FLAG_FIN, 0, 0, 0, 0}, naked_data = {FLAG_PSH, 0, 0, 301, 0},
			    all = {FLAG_SYN | FLAG_FIN | FLAG_PSH | FLAG_URG, 0, 0, 7, 0},
			    padded = {FLAG_SYN, 0, 0, 0, 14}, padded_data = {FLAG_FIN, 0, 0, 3, 50},
			    syn_ack = {FLAG_SYN | FLAG_ACK, 0, 0, 0, 0}, none = {0, 0, 0, 0, 0},
			    options_1 = {FLAG_SYN, 1, 2, 10, 0},
			    options_10 = {FLAG_ACK, 10, 10, 100, 0},
			    options_alone = {FLAG_SYN, 10, 0, 0, 0};

static void run_dropped(struct lab *lab, const struct row *row)
{
	static const struct {
		enum lab_vip vip;
		uint16_t port;
		enum weir_outcome outcome;
	} rows[] = {
		{VIP_WEB, LAB_FREE_PORT, WEIR_DROP_NO_PORT},
		{VIP_EMPTY, LAB_PORT, WEIR_DROP_NO_BACKEND},
	};
	bool is_tcp = row->variant->protocol == IPPROTO_TCP;

	for (size_t i = 0; i < 2; i++) {
		struct talk talk = talk_make(lab, row->variant, rows[i].vip);
		struct spec in;
		struct step step;

		talk.asked = rows[i].port;
		in = talk_forward(&talk, FLAG_RST, 20);
		step = check_make(STEP_INGRESS, LINK_CLIENTS, &in, rows[i].outcome);
		check_step(lab, &step);
		in = talk_forward(&talk, is_tcp ? FLAG_RST | FLAG_ACK | FLAG_SYN : 0, 20);
		step = check_make(STEP_INGRESS, LINK_CLIENTS, &in, rows[i].outcome);
		check_step(lab, &step);
	}
	check_that(!lab_count_flows(lab), "it made a flow");
}

/* The port is served, but by the other protocol. */
static void run_other_protocol(struct lab *lab, const struct row *row)
{
	bool is_tcp = row->variant->protocol == IPPROTO_TCP;
	const struct variant *other = &lab_variants[row->variant->is_v6 ? (is_tcp ? UDP6 : TCP6)
									: (is_tcp ? UDP4 : TCP4)];
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);
	struct spec in = talk_forward(&talk, FLAG_SYN, 20);
	struct step step;

	in.destination = lab_vip(other, VIP_WEB);
	step = check_make(STEP_INGRESS, LINK_CLIENTS, &in,
			  is_tcp ? WEIR_REFUSED_PORT : WEIR_DROP_NO_PORT);
	if (is_tcp)
		step.out = talk_refusal(&in);
	check_step(lab, &step);
}

/* The VIP is an address of the node as well. */
static void run_local(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_WEB), closed = talk;
	struct addr vip = lab_vip(row->variant, VIP_WEB);
	struct weir_vip entry;
	struct spec in;
	struct step step;

	closed.asked = LAB_FREE_PORT;
	in = talk_forward(&closed, FLAG_SYN, 20);
	check_that(!bpf_map_lookup_elem(lab->maps->fds[MAP_vips], &vip, &entry), "no such VIP");
	entry.flags |= WEIR_VIP_LOCAL;
	check_that(!bpf_map_update_elem(lab->maps->fds[MAP_vips], &vip, &entry, BPF_EXIST),
		   "cannot mark the VIP");
	step = check_make(STEP_INGRESS, LINK_CLIENTS, &in, WEIR_PASS_LOCAL_PORT);
	check_step(lab, &step);
	talk_open(&talk);
}

/* Refilled with each jiffy, so it must happen within the one in which the bucket was emptied. */
static void run_rate(struct lab *lab, const struct row *row)
{
	struct refuse_bucket {
		__u64 filled_at, tokens;
	} buckets[lab->maps->settings->cpus];
	struct talk talk = talk_make(lab, row->variant, VIP_EMPTY);
	struct spec in = talk_forward(&talk, FLAG_SYN, 0);
	struct step step = check_make(STEP_INGRESS, LINK_CLIENTS, &in, WEIR_DROP_RATE);
	static struct result result;
	__u64 now = 0;
	__u32 zero = 0;

	for (int i = 0; i < RATE_TRIES; i++) {
		check_that(!stats_jiffies(lab->maps, &now), "no clock");
		for (__u32 cpu = 0; cpu < lab->maps->settings->cpus; cpu++)
			buckets[cpu] = (struct refuse_bucket){now, 0};
		check_that(!bpf_map_update_elem(lab->rate, &zero, buckets, BPF_ANY),
			   "cannot empty the bucket");
		check_run(lab, &step, &result);
		if (check_outcome(&result, STEP_INGRESS) != WEIR_REFUSED_NO_BACKEND) {
			check_result(&step, &result);
			return;
		}
	}
	check_fail("in %d tries no packet came in the jiffy of the empty bucket", RATE_TRIES);
}

/* What the bucket has not is dropped; a full one lets exactly its tokens through. */
static void run_rate_last(struct lab *lab, const struct row *row)
{
	struct refuse_bucket {
		__u64 filled_at, tokens;
	} buckets[lab->maps->settings->cpus];
	struct talk talk = talk_make(lab, row->variant, VIP_EMPTY);
	struct spec in = talk_forward(&talk, FLAG_SYN, 0);
	struct step step = check_make(STEP_INGRESS, LINK_CLIENTS, &in, WEIR_REFUSED_NO_BACKEND);
	__u64 now = 0, cpu = 0;
	__u32 zero = 0;

	step.out = talk_refusal(&in);
	check_that(!stats_jiffies(lab->maps, &now), "no clock");
	memset(buckets, 0, sizeof(buckets)); /* filled at jiffy 0: full with the next packet */
	check_that(!bpf_map_update_elem(lab->rate, &zero, buckets, BPF_ANY), "cannot empty it");
	check_step(lab, &step);
	check_that(!bpf_map_lookup_elem(lab->rate, &zero, buckets), "cannot read it");
	while (cpu < lab->maps->settings->cpus && !buckets[cpu].filled_at)
		cpu++;
	check_that(cpu < lab->maps->settings->cpus, "no bucket was filled");
	check_that(buckets[cpu].tokens == 999, "tokens left: %llu, wanted 999",
		   buckets[cpu].tokens);
	check_that(buckets[cpu].filled_at >= now, "filled in the past");
}

static const struct row_entry entries[] = {
	{"a SYN over %s to a free port of a VIP gets a RST", IN_TCP, run_port, &syn},
	{"a SYN over %s with data to a free port gets a RST that acknowledges it", IN_TCP, run_port,
	 &syn_data},
	{"an ACK over %s to a free port gets a RST with its number", IN_TCP, run_port, &ack},
	{"a SYN-ACK over %s to a free port gets a RST with its number", IN_TCP, run_port, &syn_ack},
	{"data with ACK and FIN over %s to a free port gets a RST with its number", IN_TCP,
	 run_port, &data},
	{"a FIN over %s to a free port gets a RST that acknowledges it", IN_TCP, run_port, &fin},
	{"data without ACK over %s to a free port gets a RST that acknowledges it", IN_TCP,
	 run_port, &naked_data},
	{"SYN and FIN with data over %s to a free port get a RST that acknowledges all", IN_TCP,
	 run_port, &all},
	{"a segment without flags over %s to a free port gets a RST", IN_TCP, run_port, &none},
	{"padding behind a SYN over %s is not acknowledged by the RST", IN_TCP, run_port, &padded},
	{"padding behind data over %s is not acknowledged by the RST", IN_TCP, run_port,
	 &padded_data},
	{"a SYN over %s with 4 bytes of IP options gets a RST", IN_TCP4, run_port, &options_1},
	{"an ACK over %s with all options gets a RST", IN_TCP4, run_port, &options_10},
	{"a SYN over %s with 40 bytes of IP options gets a RST", IN_TCP4, run_port, &options_alone},
	{"a SYN over %s to a service without backends gets a RST", IN_TCP, run_no_backend, &syn},
	{"data over %s to a service without backends gets a RST", IN_TCP, run_no_backend, &data},
	{"a RST over %s is never answered", IN_TCP, run_dropped, NULL},
	{"%s that nobody serves is dropped", IN_UDP, run_dropped, NULL},
	{"%s to a port that only the other protocol serves is refused", IN_ALL, run_other_protocol,
	 NULL},
	{"%s to another port of a VIP that is the node's own address passes", IN_ALL, run_local,
	 NULL},
	{"a SYN over %s is dropped when the rate bucket is empty", IN_TCP, run_rate, NULL},
	{"a RST over %s takes one of the bucket's 1000 tokens", IN_TCP, run_rate_last, NULL},
	{},
};

void rows_refuse(void)
{
	rows_add_all(entries);
}
