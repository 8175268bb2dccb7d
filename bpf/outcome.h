/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* outcome.h - 6: count the outcome, give the action. */
#ifndef WEIR_OUTCOME_H
#define WEIR_OUTCOME_H

#include "maps.h"

enum outcome_action_kind {
	OUTCOME_NONE,
	OUTCOME_PASS,
	OUTCOME_SENT,
	OUTCOME_DROP
};

static const __u8 outcome_actions[WEIR_OUTCOMES_MAX] = {
#define X(name, action, text) [WEIR_##name] = OUTCOME_##action,
	WEIR_OUTCOMES(X)
#undef X
};

static __always_inline enum outcome_action_kind outcome_action(enum weir_outcome outcome)
{
	return outcome_actions[outcome & (WEIR_OUTCOMES_MAX - 1)];
}

static __always_inline enum outcome_action_kind outcome_finish(int hook, enum weir_outcome outcome)
{
	__u32 slot = bpf_get_smp_processor_id() * WEIR_HOOKS + hook;
	struct weir_outcome_counters *counters = map_at(outcomes, slot);

	if (counters)
		counters->packets[outcome & (WEIR_OUTCOMES_MAX - 1)]++;
	return outcome_action(outcome);
}

#endif
