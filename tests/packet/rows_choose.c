/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * rows_choose.c - which backend a first packet gets: not a drained one, not the client itself, and
 * never one that could not tell the client's flows apart.
 */
#include "rows.h"

#include "base/err.h"

#include <netinet/in.h>
#include <string.h>

static bool is_tcp(const struct row *row)
{
	return row->variant->protocol == IPPROTO_TCP;
}

/* Every backend gets some of 60 flows. */
static void run_spread(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);
	unsigned int seen[3] = {};

	for (int i = 0; i < 60; i++, talk.client_port += 7) {
		talk_open(&talk);
		for (unsigned int host = 0; host < 3; host++) {
			struct addr addr = lab_host(row->variant, NET_BACKENDS, 11 + host);

			seen[host] += addr_equal(&addr, &talk.backend_addr);
		}
	}
	for (int host = 0; host < 3; host++)
		check_that(seen[host] >= 5, "backend %d got %u of 60 flows", host, seen[host]);
}

/* The choice depends on nothing but the packet: without its flow it is made again. */
static void run_again(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);
	__u32 first;

	for (int i = 0; i < 10; i++, talk.client_port++) {
		talk_open(&talk);
		first = talk.backend;
		talk_forget(&talk);
		talk_open(&talk);
		check_that(talk.backend == first, "another choice for the same packet");
	}
}

/* A first packet that its primary may not have: the pair's other one. */
static void check_goes_elsewhere(struct talk *talk, enum weir_internal why, unsigned int count)
{
	struct spec in = talk_forward(talk, FLAG_SYN, 20);
	struct step more = {.changes[1].backend = WEIR_NONE};
	__u32 not = talk->backend;

	check_add_internal(&more, WEIR_INTERNAL_SECONDARY, 1);
	if (count)
		check_add_internal(&more, why, count);
	talk_open_with(talk, &in, &more);
	check_that(talk->backend != not, "the same backend again");
}

static void check_refused(const struct talk *talk, uint8_t flags, enum weir_outcome outcome,
			  enum weir_internal why)
{
	struct spec in = talk_forward(talk, flags, 20);
	struct step step = check_make(STEP_INGRESS, talk->from, &in, outcome);

	if (talk->variant->protocol == IPPROTO_TCP && !(flags & FLAG_RST))
		step.out = talk_refusal(&in);
	check_add_internal(&step, WEIR_INTERNAL_REHASHED, 1);
	check_add_internal(&step, why, 1);
	check_step(talk->lab, &step);
}

static void run_hairpin(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);
	struct step more = {.changes[1].backend = WEIR_NONE};
	bool was_primary = false, was_other = false;

	talk.client = lab_host(row->variant, NET_BACKENDS, 12);
	talk.from = LINK_BACKENDS;
	check_add_internal(&more, WEIR_INTERNAL_SECONDARY, 1);
	check_add_internal(&more, WEIR_INTERNAL_HAIRPIN, 1);
	for (int i = 0; i < 40; i++, talk.client_port++) {
		struct spec in = talk_forward(&talk, FLAG_SYN, 20);
		struct step step = check_make(STEP_INGRESS, talk.from, &in, WEIR_CONTINUE);
		static struct result result;
		bool is_primary;

		check_run(lab, &step, &result);
		talk_learn(&talk, &step, &result);
		check_that(!addr_equal(&talk.backend_addr, &talk.client), "sent to itself");
		is_primary = result.after.internals[WEIR_INTERNAL_HAIRPIN] !=
			     result.before.internals[WEIR_INTERNAL_HAIRPIN];
		talk_forget(&talk);
		talk_open_with(&talk, &in, is_primary ? &more : NULL);
		was_primary |= is_primary;
		was_other |= !is_primary;
	}
	check_that(was_primary && was_other, "40 clients' ports, one kind of choice");
}

static void run_hairpin_alone(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_ONE);

	talk.client = lab_host(row->variant, NET_BACKENDS, 31);
	talk.from = LINK_BACKENDS;
	check_refused(&talk, FLAG_SYN, is_tcp(row) ? WEIR_REFUSED_HAIRPIN : WEIR_DROP_HAIRPIN,
		      WEIR_INTERNAL_HAIRPIN);
	if (is_tcp(row))
		check_refused(&talk, FLAG_RST, WEIR_DROP_HAIRPIN, WEIR_INTERNAL_HAIRPIN);
	check_that(!lab_count_flows(lab), "it made a flow");
}

/* A port from which two services would choose the same backend, each for itself. */
static void find_shared_port(struct talk *one, struct talk *two)
{
	for (int i = 0; i < 60; i++, one->client_port++) {
		two->client_port = one->client_port;
		talk_open(one);
		talk_forget(one);
		talk_open(two);
		talk_forget(two);
		if (addr_equal(&one->backend_addr, &two->backend_addr))
			return;
	}
	check_fail("no port from which both choose the same");
}

static void run_clash(struct lab *lab, const struct row *row)
{
	const enum lab_vip *vips = row->arg;
	struct talk one = talk_make(lab, row->variant, vips[0]);
	struct talk two = talk_make(lab, row->variant, vips[1]);
	struct addr first;

	find_shared_port(&one, &two);
	first = one.backend_addr;
	talk_establish(&one);
	check_goes_elsewhere(&two, WEIR_INTERNAL_CLASHED, 1);
	check_that(!addr_equal(&first, &two.backend_addr), "both VIPs use one backend");
	talk_answer(&two);
	if (is_tcp(row))
		talk_prove(&two);
	talk_return(&one, FLAG_ACK, 10);
	talk_return(&two, FLAG_ACK, 10);
	talk_send(&one, FLAG_ACK, 10);
}

static const enum lab_vip twins[] = {VIP_WEB, VIP_TWIN}, any_twins[] = {VIP_ANY, VIP_ANY_TWIN},
			  any_first[] = {VIP_ANY, VIP_MIXED}, any_last[] = {VIP_MIXED, VIP_ANY};

static void run_clash_alone(struct lab *lab, const struct row *row)
{
	struct talk one = talk_make(lab, row->variant, VIP_ONE);
	struct talk two = talk_make(lab, row->variant, VIP_OTHER);

	talk_establish(&one);
	check_refused(&two, FLAG_SYN, is_tcp(row) ? WEIR_REFUSED_CLASH : WEIR_DROP_CLASH,
		      WEIR_INTERNAL_CLASHED);
	if (is_tcp(row))
		check_refused(&two, FLAG_RST, WEIR_DROP_CLASH, WEIR_INTERNAL_CLASHED);
	two.client_port++;
	talk_open(&two);
	talk_return(&one, FLAG_ACK, 10);
}

/* The client has closed the first: its port is free again. */
static void run_clash_over(struct lab *lab, const struct row *row)
{
	struct talk one = talk_make(lab, row->variant, VIP_ONE);
	struct talk two = talk_make(lab, row->variant, VIP_OTHER);
	struct spec in = talk_forward(&two, FLAG_SYN, 0);
	struct step more;

	talk_establish(&one);
	talk_finish(&one);
	more = talk_ended(&one);
	talk_open_with(&two, &in, &more);
	talk_check_flow(&one, 0);
}

static void operate(struct lab *lab, const struct row *row, enum change_kind kind, enum lab_vip vip,
		    unsigned int host, uint16_t weight)
{
	struct backend backend = {.addr = lab_host(row->variant, NET_BACKENDS, host),
				  .port = LAB_BACKEND_PORT,
				  .weight = weight};
	struct err err = {};

	if (lab_operate(lab, kind, false, row->variant, vip, &backend, &err))
		check_fail("the operator's command failed: %s", err.text);
}

/* The bit alone, before the table is built anew: what packets meet in between. */
static void run_drain_bit(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);

	talk_open(&talk);
	talk_forget(&talk);
	maps_backends(lab->maps)[talk.backend].reasons = *(const __u32 *)row->arg;
	check_goes_elsewhere(&talk, 0, 0);
}

static const __u32 drained = WEIR_REASON_DRAINED, weight_bit = WEIR_REASON_WEIGHT,
		   down = WEIR_REASON_DOWN, ejected = WEIR_REASON_EJECTED, gone = WEIR_REASON_GONE;

static void run_pair_out(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);
	struct spec in = talk_forward(&talk, FLAG_SYN, 0);
	struct step more = {.changes[1].backend = WEIR_NONE};
	struct addr survivor = lab_host(row->variant, NET_BACKENDS, 13);
	static struct result result;
	struct step step;

	for (unsigned int host = 11; host < 13; host++) {
		struct addr addr = lab_host(row->variant, NET_BACKENDS, host);
		__u32 id = lab_backend(lab, row->variant, VIP_WEB, &addr, LAB_BACKEND_PORT);

		maps_backends(lab->maps)[id].reasons = WEIR_REASON_DRAINED;
	}
	for (int i = 0; i < 60; i++, talk.client_port++) {
		in.source_port = talk.client_port;
		step = check_make(STEP_INGRESS, LINK_CLIENTS, &in, WEIR_FORWARDED);
		check_run(lab, &step, &result);
		talk_learn(&talk, &step, &result);
		check_that(addr_equal(&talk.backend_addr, &survivor), "given to a drained backend");
		if (result.after.internals[WEIR_INTERNAL_REHASHED] ==
		    result.before.internals[WEIR_INTERNAL_REHASHED])
			continue;
		talk_forget(&talk);
		check_add_internal(&more, WEIR_INTERNAL_REHASHED, 1);
		if (result.after.internals[WEIR_INTERNAL_SECONDARY] !=
		    result.before.internals[WEIR_INTERNAL_SECONDARY])
			check_add_internal(&more, WEIR_INTERNAL_SECONDARY, 1);
		talk_open_with(&talk, &in, &more);
		return;
	}
	check_fail("60 packets, and each pair held the one that is left");
}

/* Slots that another service has taken meanwhile must not lead to its backends. */
static void run_stolen_slots(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_SOLO);
	struct talk other = talk_make(lab, row->variant, VIP_WEB);
	struct weir_service *services = maps_services(lab->maps);
	const struct weir_backend *backends = maps_backends(lab->maps);
	struct spec in = talk_forward(&talk, FLAG_SYN, 9);
	struct step step = check_make(STEP_INGRESS, LINK_CLIENTS, &in,
				      is_tcp(row) ? WEIR_REFUSED_NO_BACKEND : WEIR_DROP_NO_BACKEND);

	talk_open(&talk);
	talk_forget(&talk);
	talk_open(&other);
	services[backends[talk.backend].service].region =
		services[backends[other.backend].service].region;
	if (is_tcp(row))
		step.out = talk_refusal(&in);
	check_add_internal(&step, WEIR_INTERNAL_REHASHED, 1);
	check_step(lab, &step);
}

static void run_all_drained(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_SOLO);
	struct talk late = talk;
	struct spec in = talk_forward(&late, FLAG_SYN, 0);
	struct step step;

	talk_establish(&talk);
	late.client_port = ++in.source_port;
	operate(lab, row, CHANGE_BACKEND_DRAIN, VIP_SOLO, 51, 1);
	step = check_make(STEP_INGRESS, LINK_CLIENTS, &in,
			  is_tcp(row) ? WEIR_REFUSED_NO_BACKEND : WEIR_DROP_NO_BACKEND);
	if (is_tcp(row))
		step.out = talk_refusal(&in);
	check_step(lab, &step);
	talk_send(&talk, FLAG_ACK, 10);
	talk_return(&talk, FLAG_ACK, 10);
	operate(lab, row, CHANGE_BACKEND_UNDRAIN, VIP_SOLO, 51, 1);
	talk_open(&late);
}

static void run_weight_zero(struct lab *lab, const struct row *row)
{
	struct addr idle = lab_host(row->variant, NET_BACKENDS, 12);
	struct talk talk = talk_make(lab, row->variant, VIP_WEB), late = talk;

	talk_aim(&talk, 12);
	talk_establish(&talk);
	operate(lab, row, CHANGE_BACKEND_SET, VIP_WEB, 12, 0);
	talk_send(&talk, FLAG_ACK, 10);
	talk_return(&talk, FLAG_ACK, 10);
	late.client_port = 30000;
	for (int i = 0; i < 40; i++, late.client_port++) {
		talk_open(&late);
		check_that(!addr_equal(&late.backend_addr, &idle), "given to weight 0");
	}
}

static const struct row_entry entries[] = {
	{"flows over %s are spread over all backends", IN_ALL, run_spread, NULL},
	{"a first packet over %s gets the same backend each time", IN_ALL, run_again, NULL},
	{"a backend that calls its own service over %s gets another", IN_ALL, run_hairpin, NULL},
	{"the only backend that calls its own service over %s is refused", IN_ALL,
	 run_hairpin_alone, NULL},
	{"one client port over %s to two VIPs of one backend: the second gets another", IN_ALL,
	 run_clash, twins},
	{"one client port over %s to two any-port VIPs of one backend: the second gets another",
	 IN_ALL, run_clash, any_twins},
	{"one client port over %s to an any-port, then a fixed VIP: the second gets another",
	 IN_ALL, run_clash, any_first},
	{"one client port over %s to a fixed, then an any-port VIP: the second gets another",
	 IN_ALL, run_clash, any_last},
	{"one client port over %s to two VIPs of the only backend is refused", IN_ALL,
	 run_clash_alone, NULL},
	{"a connection over %s that is over clashes with none", IN_TCP, run_clash_over, NULL},
	{"a first packet over %s to a drained primary goes to the secondary", IN_ALL, run_drain_bit,
	 &drained},
	{"a first packet over %s to a primary of weight 0 goes to the secondary", IN_ALL,
	 run_drain_bit, &weight_bit},
	{"a first packet over %s to a primary that is down goes to the secondary", IN_ALL,
	 run_drain_bit, &down},
	{"a first packet over %s to an ejected primary goes to the secondary", IN_ALL,
	 run_drain_bit, &ejected},
	{"a first packet over %s to a primary that is gone goes to the secondary", IN_ALL,
	 run_drain_bit, &gone},
	{"a first packet over %s whose pair is out goes to the one that is left", IN_ALL,
	 run_pair_out, NULL},
	{"slots that are another service's by now lead %s to none of its backends", IN_ALL,
	 run_stolen_slots, NULL},
	{"with all backends drained %s is refused, flows go on, and undrain ends it", IN_ALL,
	 run_all_drained, NULL},
	{"a backend of weight 0 keeps its flows over %s and gets no more", IN_ALL, run_weight_zero,
	 NULL},
	{},
};

void rows_choose(void)
{
	rows_add_all(entries);
}
