/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* rows_table.c - a full flow table: who makes room for whom, the spill map, and no room at all. */
#include "rows.h"

#include <bpf/bpf.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define PROVEN    (WEIR_FLOW_LIVE | WEIR_FLOW_ANSWERED | WEIR_FLOW_PROVEN)
#define UNPROVEN  WEIR_FLOW_LIVE
#define SPILL_MAX 8192
#define IDLE      9000 /* seconds: beyond the time-out, below the range of ages */
#define OLDER     12000

static bool is_wide(const struct row *row)
{
	return row->variant->is_v6;
}

static __u64 *what_at(struct lab *lab, bool wide, __u32 index)
{
	struct weir_bucket *narrow = maps_array(lab->maps, MAP_flows);
	struct weir_bucket_wide *others = maps_array(lab->maps, MAP_flows_wide);

	return wide ? &others[index / WEIR_WAYS].way[index % WEIR_WAYS].what
		    : &narrow[index / WEIR_WAYS].way[index % WEIR_WAYS].what;
}

/* Give the same way of every bucket other bits, last seen so many seconds ago. */
static void change_way(struct lab *lab, bool wide, __u32 way, __u64 bits, unsigned int seconds)
{
	for (__u32 i = way; i < lab->maps->settings->flow_buckets * WEIR_WAYS; i += WEIR_WAYS)
		*what_at(lab, wide, i) = lab_aged(lab, bits, seconds);
}

static __u32 way_of(const struct talk *talk)
{
	struct lab_flow flow;

	check_that(talk_find_flow(talk, &flow), "the flow is not in the table");
	check_that(flow.place, "the flow is spilled");
	for (__u32 i = 0; i < talk->lab->maps->settings->flow_buckets * WEIR_WAYS; i++)
		if (what_at(talk->lab, talk->variant->is_v6, i) == flow.place)
			return i % WEIR_WAYS;
	check_fail("the flow is in the other table");
}

/* In each bucket of a full table one way is worth less than the rest: the new flow takes that. */
struct room {
	__u64 others, victim; /* bits */
	unsigned int others_age, victim_age; /* seconds */
	bool is_free; /* nobody is evicted */
};

static void run_room(struct lab *lab, const struct row *row)
{
	const struct room *room = row->arg;
	struct talk talk = talk_make(lab, row->variant, VIP_SOLO);
	struct spec in = talk_forward(&talk, FLAG_SYN, 10);
	struct step more = {.changes[1].backend = WEIR_NONE};

	if (!room->is_free)
		check_add_internal(&more, WEIR_INTERNAL_FLOW_EVICTED, 1);
	for (__u32 way = 0; way < WEIR_WAYS; way++, in.source_port++) {
		lab_fill_table(lab, is_wide(row), PROVEN);
		for (__u32 i = 0; i < WEIR_WAYS; i++)
			change_way(lab, is_wide(row), i, i == way ? room->victim : room->others,
				   i == way ? room->victim_age : room->others_age);
		talk.client_port = in.source_port;
		talk_open_with(&talk, &in, &more);
		check_that(way_of(&talk) == way, "way %u made room, not %u", way_of(&talk), way);
	}
}

static const struct room free_before_closed = {WEIR_FLOW_CLOSED, WEIR_FLOW_FREE, IDLE, 0, true},
			 closed_before_unproven = {UNPROVEN, WEIR_FLOW_CLOSED, 300, 0, false},
			 unproven_before_idle = {PROVEN, UNPROVEN, IDLE, 0, false},
			 idle_before_live = {PROVEN, PROVEN, 0, IDLE, false},
			 oldest_unproven = {UNPROVEN, UNPROVEN, 8, 20, false},
			 oldest_closed = {WEIR_FLOW_CLOSED, WEIR_FLOW_CLOSED, 8, 20, false},
			 oldest_idle = {PROVEN, PROVEN, IDLE, OLDER, false};

static void run_order(struct lab *lab, const struct row *row)
{
	static const struct room *const order[] = {&free_before_closed, &closed_before_unproven,
						   &unproven_before_idle};

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		struct row each = *row;

		each.arg = order[i];
		run_room(lab, &each);
		memset(maps_array(lab->maps, MAP_flows), 0, lab->maps->sizes[MAP_flows]);
		memset(maps_array(lab->maps, MAP_flows_wide), 0, lab->maps->sizes[MAP_flows_wide]);
	}
}

/* The first packet of a flow for which there is no room but in the spill map. */
static void open_spilled(struct talk *talk)
{
	struct spec in = talk_forward(talk, FLAG_SYN, 10);
	struct step step = check_make(STEP_INGRESS, talk->from, &in, WEIR_CONTINUE);
	static struct result result;

	check_run(talk->lab, &step, &result);
	talk_learn(talk, &step, &result);
	step = talk_forward_step(talk, &in);
	step.changes[0].counters.chosen = 1;
	check_add_internal(&step, WEIR_INTERNAL_FLOW_SPILLED, 1);
	check_result(&step, &result);
}

static void run_spilled(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);
	struct lab_flow flow;

	lab_fill_table(lab, is_wide(row), PROVEN);
	open_spilled(&talk);
	check_that(lab->maps->settings->spilled == 1, "spilled: %u", lab->maps->settings->spilled);
	check_that(talk_find_flow(&talk, &flow) && !flow.place, "the flow is not in `spill`");
	talk_check_flow(&talk, UNPROVEN);
	talk_answer(&talk);
	if (row->variant->protocol == IPPROTO_TCP)
		talk_prove(&talk);
	talk_check_flow(&talk, PROVEN | WEIR_FLOW_COUNTED);
	talk_send(&talk, FLAG_ACK, 10);
	talk_return(&talk, FLAG_ACK, 10);
	maps_backends(lab->maps)[talk.backend].reasons = WEIR_REASON_DRAINED;
	talk_send(&talk, FLAG_ACK, 10); /* found, not chosen again */
}

/* A SYN that is sent again finds its spilled flow, and a new one takes its place. */
static void run_spilled_again(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);

	lab_fill_table(lab, is_wide(row), PROVEN);
	open_spilled(&talk);
	talk_send(&talk, FLAG_SYN, 10);
	talk_send(&talk, FLAG_SYN, 0);
	check_that(lab->maps->settings->spilled == 1, "spilled: %u", lab->maps->settings->spilled);
}

static void run_spilled_pair(struct lab *lab, const struct row *row)
{
	struct talk one = talk_make(lab, row->variant, VIP_WEB), two = one;

	two.client = lab_host(row->variant, NET_CLIENTS, 11);
	lab_fill_table(lab, is_wide(row), PROVEN);
	open_spilled(&one);
	open_spilled(&two);
	talk_answer(&one);
	talk_answer(&two);
	talk_send(&one, FLAG_SYN, 10);
	talk_send(&two, FLAG_SYN, 10);
}

static void fill_spill(struct lab *lab)
{
	struct weir_spill_key *keys = calloc(SPILL_MAX, sizeof(*keys));
	struct weir_spill *values = calloc(SPILL_MAX, sizeof(*values));
	__u32 count = SPILL_MAX;
	int rc = -1;

	for (__u32 i = 0; keys && values && i < SPILL_MAX; i++) {
		keys[i].who = (__u64)(i + 1) << WEIR_WHO_PORT_SHIFT;
		keys[i].client.word[3] = htonl(240u << 24);
		values[i].what = lab_aged(lab, PROVEN, 0);
	}
	if (keys && values)
		rc = bpf_map_update_batch(lab->maps->fds[MAP_spill], keys, values, &count, NULL);
	free(keys);
	free(values);
	check_that(!rc && count == SPILL_MAX, "cannot fill the spill map");
	lab->maps->settings->spilled = SPILL_MAX;
}

/* A datagram goes by the hash alone, to the same backend each time; nobody translates its answer. */
static void run_untracked(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);
	struct spec in = talk_forward(&talk, 0, 10);
	static struct result result;
	struct step step;
	__u32 first;

	lab_fill_table(lab, is_wide(row), PROVEN);
	fill_spill(lab);
	step = check_make(STEP_INGRESS, talk.from, &in, WEIR_CONTINUE);
	check_run(lab, &step, &result);
	talk_learn(&talk, &step, &result);
	step = talk_forward_step(&talk, &in);
	step.changes[0].counters.chosen = 1;
	check_add_internal(&step, WEIR_INTERNAL_FLOW_UNTRACKED, 1);
	check_result(&step, &result);
	first = talk.backend;
	step = talk_forward_step(&talk, &in);
	check_add_internal(&step, WEIR_INTERNAL_FLOW_UNTRACKED, 1);
	step.changes[0].counters.chosen = 1;
	check_step(lab, &step);
	check_that(talk.backend == first, "another backend");
	talk_check_flow(&talk, 0);
	in = talk_reply(&talk, 0, 10);
	step = check_make(STEP_INGRESS, LINK_BACKENDS, &in, WEIR_PASS_NO_FLOW);
	check_step(lab, &step);
}

/* TCP could not be answered: a RST says so at once, to a SYN as to a segment of an unknown flow. */
static void run_full(struct lab *lab, const struct row *row)
{
	static const uint8_t flags[] = {FLAG_SYN, FLAG_ACK};
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);

	lab_fill_table(lab, is_wide(row), PROVEN);
	fill_spill(lab);
	for (size_t i = 0; i < sizeof(flags); i++) {
		struct spec in = talk_forward(&talk, flags[i], 10);
		struct step step = check_make(STEP_INGRESS, talk.from, &in, WEIR_REFUSED_FULL);

		step.out = talk_refusal(&in);
		check_add_internal(&step, WEIR_INTERNAL_FLOW_UNTRACKED, 1);
		check_step(lab, &step);
	}
}

/* No flow of nobody was harmed. */
static void run_nobody_evicted(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);
	size_t size = is_wide(row) ? lab->maps->sizes[MAP_flows_wide] : lab->maps->sizes[MAP_flows];
	enum map_id id = is_wide(row) ? MAP_flows_wide : MAP_flows;
	void *before = malloc(size);
	bool is_same;

	lab_fill_table(lab, is_wide(row), PROVEN);
	memcpy(before, maps_array(lab->maps, id), size);
	for (int i = 0; i < 20; i++, talk.client_port++)
		open_spilled(&talk);
	is_same = !memcmp(before, maps_array(lab->maps, id), size);
	free(before);
	check_that(is_same, "a proven flow was changed");
	check_that(lab->maps->settings->spilled == 20, "spilled: %u", lab->maps->settings->spilled);
}

static const struct row_entry entries[] = {
	{"a new flow over %s takes a free place, then a closed, then an unproven one", IN_ALL,
	 run_order, NULL},
	{"a new flow over %s takes the place of the oldest unproven one", IN_ALL, run_room,
	 &oldest_unproven},
	{"a new flow over %s takes the place of the flow closed longest", IN_ALL, run_room,
	 &oldest_closed},
	{"a new flow over %s takes the place of a proven one only when that is over", IN_ALL,
	 run_room, &idle_before_live},
	{"a new flow over %s takes the place of the proven one that is over longest", IN_ALL,
	 run_room, &oldest_idle},
	{"among live proven flows over %s nobody makes room", IN_ALL, run_nobody_evicted, NULL},
	{"a flow over %s that found no room lives in the spill map", IN_ALL, run_spilled, NULL},
	{"a packet sent again over %s finds its spilled flow", IN_ALL, run_spilled_again, NULL},
	{"two clients of one port over %s have two spilled flows", IN_TCP, run_spilled_pair, NULL},
	{"with the spill map full as well %s is served by its hash", IN_UDP, run_untracked, NULL},
	{"with the spill map full as well %s is refused", IN_TCP, run_full, NULL},
	{},
};

void rows_table(void)
{
	rows_add_all(entries);
}
