/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * check.h - one step of a row: a packet through a hook, or a run of the sweep, and everything
 * that it is to change. What is not named must not change: every outcome, every counter of every
 * backend and every internal counter is compared by equality. Only FIB look-ups are left out
 * (unless asked for), because answers of the FIB are kept for about a second.
 *
 * A failed check ends its row.
 */
#ifndef WEIR_TEST_CHECK_H
#define WEIR_TEST_CHECK_H

#include "build.h"
#include "lab.h"

#include <setjmp.h>

enum step_kind {
	STEP_INGRESS,
	STEP_EGRESS,
	STEP_SWEEP
};

struct step {
	enum step_kind kind;
	enum lab_link link;
	struct spec in, out;
	enum weir_outcome outcome; /* the only one to rise, by one; CONTINUE: none */
	uint16_t gso_segments, gso_size;
	bool is_complete; /* the skb is CHECKSUM_COMPLETE, and its sum must stay true */

	struct step_change {
		__u32 backend;
		struct weir_counters counters; /* what is added */
		int active;
	} changes[2]; /* both count where they are of one backend */
	struct {
		enum weir_internal internal;
		unsigned int count; /* 0: end of the list */
	} internals[4];
	bool has_fib; /* FIB look-ups are to be compared as well */
};

struct tally {
	__u64 outcomes[2][WEIR_OUTCOME_COUNT], internals[WEIR_INTERNAL_COUNT];
	struct weir_counters counters[LAB_BACKENDS_MAX];
	__u32 active[LAB_BACKENDS_MAX];
};

struct result {
	struct tally before, after;
	struct frame in, out;
	int action;
};

/* `out` is the same as `in`, no backend changes. */
struct step check_make(enum step_kind kind, enum lab_link link, const struct spec *in,
		       enum weir_outcome outcome);
void check_add_internal(struct step *step, enum weir_internal internal, unsigned int count);

void check_step(struct lab *lab, const struct step *step);

/* The two halves of it. */
void check_run(struct lab *lab, const struct step *step, struct result *ret_result);
void check_result(const struct step *step, const struct result *result);

/* The outcome of a result, or CONTINUE when none or several have risen. */
enum weir_outcome check_outcome(const struct result *result, enum step_kind kind);

/* A tally before something that is not a packet; what follows is compared by check_result. */
void check_read_tally(struct lab *lab, struct tally *tally);

void check_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
void check_that(bool is_true, const char *format, ...) __attribute__((format(printf, 2, 3)));
void check_skip(const char *reason) __attribute__((noreturn));

/* Of the row under way. */
extern jmp_buf check_end;
extern char check_message[600];
extern bool check_is_skipped;
extern bool check_reached[WEIR_OUTCOME_COUNT];

#endif
