/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* rows_sweep.c - what is over is closed or freed when its time has come, and not before. */
#include "rows.h"

#include <netinet/in.h>

#define OPEN (WEIR_FLOW_LIVE | WEIR_FLOW_ANSWERED | WEIR_FLOW_PROVEN | WEIR_FLOW_COUNTED)
#define FINS (WEIR_FLOW_FIN_CLIENT | WEIR_FLOW_FIN_BACKEND)

/* Seconds of a unit of age, rounded up. */
static unsigned int unit(struct lab *lab)
{
	const struct weir_settings *settings = lab->maps->settings;

	return (1u << settings->age_shift) / settings->jiffies_per_second + 1;
}

static struct step sweep(void)
{
	return (struct step){.kind = STEP_SWEEP,
			     .changes = {{.backend = WEIR_NONE}, {.backend = WEIR_NONE}}};
}

/* The sweep frees the flow after so many seconds, not before. */
static void check_freed(const struct talk *talk, unsigned int seconds, bool was_counted)
{
	struct step step = sweep();
	struct lab_flow flow;

	check_that(talk_find_flow(talk, &flow), "the flow is not in the table");
	talk_age(talk, seconds);
	check_step(talk->lab, &step); /* not before its time */
	talk_age(talk, seconds + 3 * unit(talk->lab));
	if (was_counted)
		step.changes[1] = talk_ended(talk).changes[1];
	check_add_internal(&step, WEIR_INTERNAL_FLOW_SWEPT, 1);
	check_step(talk->lab, &step);
	talk_check_flow(talk, 0);
	check_that(!talk->lab->maps->settings->spilled, "spilled flows are left");
}

static void run_unproven(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);

	talk_open(&talk);
	check_freed(&talk, row->variant->protocol == IPPROTO_TCP ? 10 : 30, false);
}

static void run_answered(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);

	talk_open(&talk);
	talk_answer(&talk);
	check_freed(&talk, 10, false);
}

static void run_idle(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, *(const enum lab_vip *)row->arg);

	talk_establish(&talk);
	check_freed(&talk, row->variant->protocol == IPPROTO_TCP ? 8000 : 60, true);
}

/* First closed, which takes it off the gauge, then freed. */
static void check_closed(const struct talk *talk, __u64 flags)
{
	struct step step = sweep();

	talk_age(talk, 10);
	check_step(talk->lab, &step);
	talk_check_flow(talk, OPEN | flags);
	talk_age(talk, 10 + 3 * unit(talk->lab));
	step.changes[1] = talk_ended(talk).changes[1];
	check_step(talk->lab, &step);
	talk_check_flow(talk, WEIR_FLOW_CLOSED | WEIR_FLOW_ANSWERED | WEIR_FLOW_PROVEN | flags);
	check_freed(talk, 120, false);
}

static void run_closing(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);

	talk_establish(&talk);
	talk_finish(&talk);
	check_closed(&talk, FINS);
}

static void run_reset(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);

	talk_establish(&talk);
	talk_send(&talk, FLAG_RST, 0);
	check_closed(&talk, WEIR_FLOW_RESET);
}

/* Never proven: there is nothing to close. */
static void run_refused(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);

	talk_open(&talk);
	talk_return(&talk, FLAG_RST | FLAG_ACK, 0);
	check_freed(&talk, 10, false);
}

static void run_one_fin(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);

	talk_establish(&talk);
	talk_send(&talk, FLAG_FIN | FLAG_ACK, 0);
	check_freed(&talk, 8000, true);
}

static void run_seen(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);
	struct step step = sweep();

	talk_establish(&talk);
	talk_age(&talk, 9000);
	talk_send(&talk, FLAG_ACK, 10);
	check_step(lab, &step);
	talk_age(&talk, 9000);
	talk_return(&talk, FLAG_ACK, 10);
	check_step(lab, &step);
	talk_check_flow(&talk, OPEN);
}

static void run_spilled(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_SOLO);
	struct spec in = talk_forward(&talk, FLAG_SYN, 0);
	struct step step;

	talk_open(&talk); /* to learn the backend */
	talk_forget(&talk);
	lab_fill_table(lab, row->variant->is_v6,
		       WEIR_FLOW_LIVE | WEIR_FLOW_ANSWERED | WEIR_FLOW_PROVEN);
	step = talk_forward_step(&talk, &in);
	step.changes[0].counters.chosen = 1;
	check_add_internal(&step, WEIR_INTERNAL_FLOW_SPILLED, 1);
	check_step(lab, &step);
	talk_answer(&talk);
	if (row->variant->protocol == IPPROTO_TCP)
		talk_prove(&talk);
	check_freed(&talk, row->variant->protocol == IPPROTO_TCP ? 8000 : 60, true);
}

static void run_timeouts(struct lab *lab, const struct row *row)
{
	bool is_tcp = row->variant->protocol == IPPROTO_TCP;
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);
	struct timeouts timeouts = {.tcp = 600,
				    .closing = 5,
				    .closed = 50,
				    .unproven = 20,
				    .udp = 300,
				    .udp_unanswered = 40};
	struct change change = {.kind = CHANGE_TIMEOUTS, .timeouts = &timeouts};
	struct change_list list = {&change, 1};
	struct weir_timeouts old = lab->maps->settings->timeouts;
	struct step step = sweep();

	talk_establish(&talk);
	check_that(!lab_apply(lab, &list, NULL), "the operator's command failed");
	talk_age(&talk, is_tcp ? 600 : 300);
	check_step(lab, &step);
	talk_age(&talk, (is_tcp ? 600 : 300) + 3 * unit(lab));
	step.changes[1] = talk_ended(&talk).changes[1];
	check_add_internal(&step, WEIR_INTERNAL_FLOW_SWEPT, 1);
	check_step(lab, &step);
	lab->maps->settings->timeouts = old;
}

/* One run looks at every entry of both tables. */
static void run_all_entries(struct lab *lab, const struct row *row)
{
	struct step step = sweep();
	unsigned int count;

	lab_fill_table(lab, false, WEIR_FLOW_LIVE);
	lab_fill_table(lab, true, WEIR_FLOW_LIVE);
	count = lab_count_flows(lab);
	check_that(count == 2048, "%u entries in both tables", count);
	check_step(lab, &step);
	lab_age_all(lab, 100);
	check_add_internal(&step, WEIR_INTERNAL_FLOW_SWEPT, count);
	check_step(lab, &step);
	check_that(!lab_count_flows(lab), "%u flows are left", lab_count_flows(lab));
}

static void run_timers(struct lab *lab, const struct row *row)
{
	check_that(lab->has_timers, "no flow was freed in five seconds");
}

static const enum lab_vip web = VIP_WEB, any = VIP_ANY;

static const struct row_entry entries[] = {
	{"%s without an answer is freed after its time-out", IN_ALL, run_unproven, NULL},
	{"%s answered but not proven is freed after its time-out", IN_TCP, run_answered, NULL},
	{"%s that is silent is freed after its time-out and leaves the gauge", IN_ALL, run_idle,
	 &web},
	{"%s at any port that is silent is freed after its time-out", IN_ALL, run_idle, &any},
	{"%s after both FINs is closed, and freed later", IN_TCP, run_closing, NULL},
	{"%s after a RST is closed, and freed later", IN_TCP, run_reset, NULL},
	{"%s that its backend refused is freed without being closed", IN_TCP, run_refused, NULL},
	{"%s after one FIN lives as long as before", IN_TCP, run_one_fin, NULL},
	{"%s is young again with each packet, from either side", IN_ALL, run_seen, NULL},
	{"%s in the spill map is swept as well", IN_ALL, run_spilled, NULL},
	{"changed time-outs hold for flows over %s that are there", IN_ALL, run_timeouts, NULL},
	{"the timers free flows (%s) without anybody's help", IN_TCP4, run_timers, NULL},
	{"one run of the sweep looks at every entry (%s)", IN_TCP4, run_all_entries, NULL},
	{},
};

void rows_sweep(void)
{
	rows_add_all(entries);
}
