/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * packet_test.c - the runner: packet tables through the loaded, verified programs.
 *
 *   packet-test [--list] [TEXT...]    all rows, or those whose sentence holds one of the texts
 *
 * Each row starts from a fresh configuration and empty flow tables. The last line sums up; the
 * exit status is 0 when nothing failed. Every outcome must be reached by a row, but for those in
 * the table `unreached`, which no row may reach. Needs root; skips with a reason without bpf().
 */
#include "rows.h"

#include "base/err.h"
#include "datapath/stats.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static void (*const topics[])(void) = {
	rows_parse,  rows_forward, rows_reply, rows_checksum, rows_refuse, rows_choose, rows_any,
	rows_change, rows_track,   rows_close, rows_table,    rows_sweep,  rows_node,
};

/* Outcomes that a test run cannot reach, and why. */
static const struct {
	enum weir_outcome outcome;
	const char *reason;
} unreached[] = {
	{WEIR_DROP_WRITE, "a linear skb of a test run can always be written, cut and redirected"},
};

static struct row *rows;
static size_t row_count, row_room;
static unsigned int passed, failed, skipped;

void rows_add(unsigned int variants, row_run run, const void *arg, const char *sentence)
{
	for (int i = 0; i < VARIANTS; i++) {
		struct row *row;

		if (!(variants & 1u << i))
			continue;
		if (row_count == row_room) {
			row_room = row_room ? row_room * 2 : 256;
			rows = reallocarray(rows, row_room, sizeof(*rows));
			if (!rows)
				abort();
		}
		row = &rows[row_count++];
		*row = (struct row){.run = run, .variant = &lab_variants[i], .arg = arg};
		snprintf(row->name, sizeof(row->name), sentence, lab_variants[i].name);
	}
}

void rows_add_all(const struct row_entry *entries)
{
	for (; entries->sentence; entries++)
		rows_add(entries->variants, entries->run, entries->arg, entries->sentence);
}

static bool is_asked_for(const struct row *row, int argc, char **argv)
{
	bool has_texts = false;

	for (int i = 1; i < argc; i++) {
		if (argv[i][0] == '-')
			continue;
		has_texts = true;
		if (strstr(row->name, argv[i]))
			return true;
	}
	return !has_texts;
}

static void report(const char *name, const char *trouble)
{
	if (!trouble) {
		passed++;
		printf("ok %s\n", name);
	} else if (check_is_skipped) {
		skipped++;
		printf("skip %s: %s\n", name, trouble);
	} else {
		failed++;
		printf("not ok %s\n    %s\n", name, trouble);
	}
	fflush(stdout);
}

static void run_row(struct lab *lab, const struct row *row)
{
	struct err err = {};

	check_is_skipped = false;
	if (setjmp(check_end)) {
		report(row->name, check_message);
		return;
	}
	if (lab_reset(lab, &err))
		check_fail("cannot set the row up: %s", err.text);
	row->run(lab, row);
	report(row->name, NULL);
}

/* The sentences must tell rows apart. */
static void check_names(void)
{
	char text[200];

	for (size_t i = 0; i < row_count; i++) {
		for (size_t j = 0; j < i; j++) {
			if (strcmp(rows[i].name, rows[j].name))
				continue;
			snprintf(text, sizeof(text), "two rows have the name: %s", rows[i].name);
			report("every row has a name of its own", text);
			return;
		}
	}
	report("every row has a name of its own", NULL);
}

static const char *find_reason(enum weir_outcome outcome)
{
	for (size_t i = 0; i < sizeof(unreached) / sizeof(unreached[0]); i++)
		if (unreached[i].outcome == outcome)
			return unreached[i].reason;
	return NULL;
}

static void check_outcomes(void)
{
	char name[80];

	check_is_skipped = false;
	for (int i = WEIR_CONTINUE + 1; i < WEIR_OUTCOME_COUNT; i++) {
		const char *reason = find_reason(i), *trouble = NULL;

		snprintf(name, sizeof(name), "outcome %s is %sreached", outcome_name(i),
			 reason ? "never " : "");
		if (!check_reached[i] && !reason)
			trouble = "no row that passed ends in it";
		else if (check_reached[i] && reason)
			trouble = "a row reaches it: take it out of the table `unreached`";
		report(name, trouble);
	}
}

static const char *find_obstacle(void)
{
	const struct bpf_insn insns[] = {{.code = BPF_ALU64 | BPF_MOV | BPF_K},
					 {.code = BPF_JMP | BPF_EXIT}};
	int fd;

	if (geteuid())
		return "not root";
	fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "packet_test", "GPL", insns, 2, NULL);
	if (fd < 0)
		return errno == EPERM ? "the kernel refuses bpf()" : NULL;
	close(fd);
	return NULL;
}

static int run_all(int argc, char **argv)
{
	struct err err = {};
	struct lab lab;
	bool is_whole = argc == 1;

	if (lab_open(&lab, &err)) {
		printf("not ok the lab: %s\n", err.text);
		failed++;
		lab_close(&lab);
		return 1;
	}
	check_names();
	for (size_t i = 0; i < row_count; i++)
		if (is_asked_for(&rows[i], argc, argv))
			run_row(&lab, &rows[i]);
	if (is_whole)
		check_outcomes();
	lab_close(&lab);
	return failed ? 1 : 0;
}

int main(int argc, char **argv)
{
	const char *obstacle;
	int status = 0;

	for (size_t i = 0; i < sizeof(topics) / sizeof(topics[0]); i++)
		topics[i]();
	if (argc > 1 && !strcmp(argv[1], "--list")) {
		for (size_t i = 0; i < row_count; i++)
			printf("%s\n", rows[i].name);
		return 0;
	}
	obstacle = find_obstacle();
	if (obstacle) {
		printf("skip all rows: %s\n", obstacle);
		skipped = (unsigned int)row_count;
	} else {
		status = run_all(argc, argv);
	}
	printf("%u passed, %u failed, %u skipped\n", passed, failed, skipped);
	return status;
}
