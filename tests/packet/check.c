/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* check.c - runs a step and compares; see check.h. */
#include "check.h"

#include "datapath/programs.h"
#include "datapath/stats.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define IP_HEADER_MAX 40 /* without options */
#define TEST_COMPLETE (1u << 2) /* BPF_F_TEST_SKB_CHECKSUM_COMPLETE, 6.10 */

jmp_buf check_end;
char check_message[600];
bool check_is_skipped;
bool check_reached[WEIR_OUTCOME_COUNT];

void check_fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(check_message, sizeof(check_message), format, args);
	va_end(args);
	longjmp(check_end, 1);
}

void check_that(bool is_true, const char *format, ...)
{
	va_list args;

	if (is_true)
		return;
	va_start(args, format);
	vsnprintf(check_message, sizeof(check_message), format, args);
	va_end(args);
	longjmp(check_end, 1);
}

void check_skip(const char *reason)
{
	check_is_skipped = true;
	check_fail("%s", reason);
}

struct step check_make(enum step_kind kind, enum lab_link link, const struct spec *in,
		       enum weir_outcome outcome)
{
	struct step step = {.kind = kind, .link = link, .in = *in, .outcome = outcome};

	step.out = step.in;
	step.changes[0].backend = WEIR_NONE;
	step.changes[1].backend = WEIR_NONE;
	return step;
}

void check_add_internal(struct step *step, enum weir_internal internal, unsigned int count)
{
	int i = 0;

	while (step->internals[i].count)
		i++;
	step->internals[i].internal = internal;
	step->internals[i].count = count;
}

void check_read_tally(struct lab *lab, struct tally *tally)
{
	for (int hook = 0; hook < 2; hook++)
		for (int i = 0; i < WEIR_OUTCOME_COUNT; i++)
			tally->outcomes[hook][i] = stats_outcome(lab->maps, hook, i);
	for (int i = 0; i < WEIR_INTERNAL_COUNT; i++)
		tally->internals[i] = stats_internal(lab->maps, i);
	for (__u32 i = 0; i < LAB_BACKENDS_MAX; i++)
		stats_backend(lab->maps, i, &tally->counters[i], &tally->active[i]);
}

static void run_packet(struct lab *lab, const struct step *step, struct result *result)
{
	struct __sk_buff skb = {
		.ifindex = lab->ifindex[step->link],
		.ingress_ifindex = lab->ifindex[step->link],
		.gso_segs = step->gso_segments,
		.gso_size = step->gso_size,
	};
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = result->in.bytes,
		    .data_size_in = (__u32)result->in.length, .data_out = result->out.bytes,
		    .data_size_out = sizeof(result->out.bytes), .ctx_in = &skb,
		    .ctx_size_in = sizeof(skb), .repeat = 1,
		    .flags = step->is_complete ? TEST_COMPLETE : 0);
	int rc = bpf_prog_test_run_opts(
		lab->programs[step->kind == STEP_EGRESS ? WEIR_HOOK_EGRESS : WEIR_HOOK_INGRESS],
		&run);

	check_that(rc != -EBADMSG, "the sum of the CHECKSUM_COMPLETE packet is not true any more");
	if (rc == -EINVAL && result->in.length < ETH_HLEN + IP_HEADER_MAX)
		check_skip("BPF_PROG_TEST_RUN of this kernel refuses so short a frame");
	check_that(!rc, "BPF_PROG_TEST_RUN: %s", strerror(-rc));
	result->action = (int)run.retval;
	result->out.length = run.data_size_out;
}

void check_run(struct lab *lab, const struct step *step, struct result *ret_result)
{
	memset(ret_result, 0, sizeof(*ret_result));
	check_read_tally(lab, &ret_result->before);
	if (step->kind == STEP_SWEEP) {
		check_that(!programs_run(lab->sweep), "the sweep does not run");
	} else {
		build(&step->in, &ret_result->in);
		run_packet(lab, step, ret_result);
	}
	check_read_tally(lab, &ret_result->after);
}

enum weir_outcome check_outcome(const struct result *result, enum step_kind kind)
{
	enum weir_outcome found = WEIR_CONTINUE;

	for (int i = 0; kind != STEP_SWEEP && i < WEIR_OUTCOME_COUNT; i++) {
		if (result->after.outcomes[kind][i] == result->before.outcomes[kind][i])
			continue;
		if (found != WEIR_CONTINUE)
			return WEIR_CONTINUE;
		found = i;
	}
	return found;
}

static void compare_outcomes(const struct step *step, const struct result *result)
{
	for (int hook = 0; hook < 2; hook++) {
		for (int i = 0; i < WEIR_OUTCOME_COUNT; i++) {
			__u64 got =
				result->after.outcomes[hook][i] - result->before.outcomes[hook][i];
			__u64 want = step->kind != STEP_SWEEP && hook == (int)step->kind &&
				     i == (int)step->outcome;

			if (want && !got)
				check_fail("outcome: got %s, wanted %s",
					   outcome_name(check_outcome(result, step->kind)),
					   outcome_name(step->outcome));
		}
	}
	for (int hook = 0; hook < 2; hook++)
		for (int i = 0; i < WEIR_OUTCOME_COUNT; i++)
			check_that(result->after.outcomes[hook][i] ==
					   result->before.outcomes[hook][i] +
						   (hook == (int)step->kind &&
						    i == (int)step->outcome),
				   "outcome %s of hook %d rose by %lld", outcome_name(i), hook,
				   result->after.outcomes[hook][i] -
					   result->before.outcomes[hook][i]);
}

/* What TC is told, by the action of the outcome in the list. */
static void compare_action(const struct step *step, const struct result *result)
{
	static const struct {
		const char *action;
		int code;
	} rows[] = {{"pass", TC_ACT_UNSPEC}, {"sent", TC_ACT_REDIRECT}, {"drop", TC_ACT_SHOT}};
	const char *action = outcome_action(step->outcome);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (!strcmp(rows[i].action, action))
			check_that(result->action == rows[i].code, "action: got %d, wanted %d (%s)",
				   result->action, rows[i].code, action);
}

static void compare_packet(const struct step *step, const struct result *result)
{
	char text[DIFFERENCE_LEN];
	struct frame want;

	build(&step->out, &want);
	if (build_compare(&want, &result->out, text))
		check_fail("packet out: %s", text);
}

static const struct {
	const char *name;
	size_t offset;
} counter_names[] = {
	{"forward packets", offsetof(struct weir_counters, forward_packets)},
	{"forward bytes", offsetof(struct weir_counters, forward_bytes)},
	{"reply packets", offsetof(struct weir_counters, reply_packets)},
	{"reply bytes", offsetof(struct weir_counters, reply_bytes)},
	{"chosen", offsetof(struct weir_counters, chosen)},
	{"opened", offsetof(struct weir_counters, opened)},
	{"closed", offsetof(struct weir_counters, closed)},
	{"revived", offsetof(struct weir_counters, revived)},
};

static __u64 counter_at(const struct weir_counters *counters, size_t offset)
{
	return *(const __u64 *)((const char *)counters + offset);
}

static void compare_backend(const struct step *step, const struct result *result, __u32 id)
{
	int active = (int)(result->after.active[id] - result->before.active[id]), want_active = 0;

	for (size_t i = 0; i < sizeof(counter_names) / sizeof(counter_names[0]); i++) {
		size_t offset = counter_names[i].offset;
		__u64 got = counter_at(&result->after.counters[id], offset) -
			    counter_at(&result->before.counters[id], offset);
		__u64 want = 0;

		for (int j = 0; j < 2; j++)
			if (step->changes[j].backend == id)
				want += counter_at(&step->changes[j].counters, offset);
		check_that(got == want, "%s of backend %u: rose by %lld, wanted %lld",
			   counter_names[i].name, id, got, want);
	}
	for (int j = 0; j < 2; j++)
		if (step->changes[j].backend == id)
			want_active += step->changes[j].active;
	check_that(active == want_active, "active of backend %u: rose by %d, wanted %d", id, active,
		   want_active);
}

static void compare_internals(const struct step *step, const struct result *result)
{
	for (int i = 0; i < WEIR_INTERNAL_COUNT; i++) {
		__u64 got = result->after.internals[i] - result->before.internals[i], want = 0;

		if (i == WEIR_INTERNAL_NEXTHOP_ASKED && !step->has_fib)
			continue;
		for (size_t j = 0; j < 4 && step->internals[j].count; j++)
			if ((int)step->internals[j].internal == i)
				want = step->internals[j].count;
		check_that(got == want, "internal %s: rose by %lld, wanted %lld", internal_name(i),
			   got, want);
	}
}

void check_result(const struct step *step, const struct result *result)
{
	compare_outcomes(step, result);
	if (step->kind != STEP_SWEEP) {
		compare_action(step, result);
		compare_packet(step, result);
		check_reached[step->outcome] = true;
	}
	for (__u32 i = 0; i < LAB_BACKENDS_MAX; i++)
		compare_backend(step, result, i);
	compare_internals(step, result);
}

void check_step(struct lab *lab, const struct step *step)
{
	static struct result result; /* large */

	check_run(lab, step, &result);
	check_result(step, &result);
}
