/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* rows_any.c - services at any port of their VIP. */
#include "rows.h"

#include <netinet/in.h>

static void run_ports(struct lab *lab, const struct row *row)
{
	static const uint16_t ports[] = {1, 22, LAB_PORT, 9999, 65535};
	struct talk talk = talk_make(lab, row->variant, VIP_ANY);

	for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++, talk.client_port++) {
		talk.asked = ports[i];
		talk_establish(&talk);
		check_that(talk.backend_port == ports[i], "port %u became %u", ports[i],
			   talk.backend_port);
		talk_send(&talk, FLAG_ACK, 10);
		talk_return(&talk, FLAG_ACK, 10);
	}
	check_that(lab_count_flows(lab) == 5, "five flows became %u", lab_count_flows(lab));
}

/* The same client's end, two ports of the VIP: two flows, whatever their backends. */
static void run_same_end(struct lab *lab, const struct row *row)
{
	struct talk one = talk_make(lab, row->variant, VIP_ANY), two = one;

	two.asked = one.asked + 1;
	talk_establish(&one);
	talk_establish(&two);
	talk_return(&one, FLAG_ACK, 10);
	talk_return(&two, FLAG_ACK, 10);
	talk_send(&one, FLAG_ACK, 10);
	talk_send(&two, FLAG_ACK, 10);
	check_that(lab_count_flows(lab) == 2, "two flows became %u", lab_count_flows(lab));
}

static void run_fixed_wins(struct lab *lab, const struct row *row)
{
	struct talk fixed = talk_make(lab, row->variant, VIP_FIXED);
	struct talk beside = talk_make(lab, row->variant, VIP_ANY);

	beside.asked = LAB_FIXED_PORT + 1;
	talk_establish(&fixed);
	talk_establish(&beside);
	talk_return(&fixed, FLAG_ACK, 10);
	talk_return(&beside, FLAG_ACK, 10);
	check_that(fixed.backend_port == LAB_FIXED_BACKEND_PORT, "not the fixed port's backend");
}

/* A reply from another port than the one that was asked is no reply. */
static void run_other_port(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_ANY);
	struct spec in;
	struct step step;

	talk_establish(&talk);
	in = talk_reply(&talk, FLAG_ACK, 10);
	in.source_port++;
	step = check_make(STEP_INGRESS, LINK_BACKENDS, &in, WEIR_PASS_NO_FLOW);
	check_step(lab, &step);
	step.kind = STEP_EGRESS;
	check_step(lab, &step);
}

/* IPv4 flows at any port lie in the wide table, all others in the narrow one. */
static void run_tables(struct lab *lab, const struct row *row)
{
	const struct weir_bucket *narrow = maps_array(lab->maps, MAP_flows);
	struct talk any = talk_make(lab, row->variant, VIP_ANY);
	struct talk fixed = talk_make(lab, row->variant, VIP_FIXED);
	unsigned int in_narrow = 0;

	talk_open(&any);
	talk_open(&fixed);
	for (__u32 i = 0; i < lab->maps->settings->flow_buckets * WEIR_WAYS; i++)
		in_narrow += !!narrow[i / WEIR_WAYS].way[i % WEIR_WAYS].what;
	check_that(in_narrow == !row->variant->is_v6, "%u flows in the narrow table", in_narrow);
	check_that(lab_count_flows(lab) == 2, "%u flows in both", lab_count_flows(lab));
}

static const struct row_entry entries[] = {
	{"%s to an any-port service keeps its port in both directions", IN_ALL, run_ports, NULL},
	{"one client port over %s to two ports of an any-port VIP gives two flows", IN_ALL,
	 run_same_end, NULL},
	{"a fixed port over %s wins over the any-port service of its VIP", IN_ALL, run_fixed_wins,
	 NULL},
	{"a reply over %s from a port that was not asked is not translated", IN_ALL, run_other_port,
	 NULL},
	{"any-port flows over %s lie in the wide table", IN_ALL, run_tables, NULL},
	{},
};

void rows_any(void)
{
	rows_add_all(entries);
}
