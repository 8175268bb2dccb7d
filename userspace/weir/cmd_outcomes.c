/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* cmd_outcomes.c - weir outcomes: how packets ended on each hook, and what happened beside. */
#include "datapath/stats.h"
#include "weir/cmd.h"
#include "weir/print.h"
#include "weir/request.h"
#include "weir/session.h"
#include "weir/table.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const int hooks[] = {WEIR_HOOK_INGRESS, WEIR_HOOK_EGRESS};
#define HOOKS (sizeof(hooks) / sizeof(hooks[0]))

static const struct column outcome_columns[] = {
	{"outcome", "OUTCOME", COLUMN_TEXT},   {"action", "ACTION", COLUMN_TEXT},
	{"ingress", "INGRESS", COLUMN_NUMBER}, {"egress", "EGRESS", COLUMN_NUMBER},
	{"text", "MEANING", COLUMN_TEXT},      {},
};

static const struct column internal_columns[] = {
	{"internal", "INTERNAL", COLUMN_TEXT},
	{"count", "COUNT", COLUMN_NUMBER},
	{"text", "MEANING", COLUMN_TEXT},
	{},
};

/* CONTINUE is no end. */
static void fill_outcomes(struct maps *maps, bool is_all, struct table *table)
{
	table_init(table, outcome_columns);
	for (int outcome = WEIR_CONTINUE + 1; outcome < WEIR_OUTCOME_COUNT; outcome++) {
		__u64 packets[HOOKS], sum = 0;

		for (size_t i = 0; i < HOOKS; i++) {
			packets[i] = stats_outcome(maps, hooks[i], outcome);
			sum += packets[i];
		}
		if (!sum && !is_all)
			continue;
		table_add_text(table, outcome_name(outcome));
		table_add_text(table, outcome_action(outcome));
		for (size_t i = 0; i < HOOKS; i++)
			table_add_number(table, packets[i]);
		table_add_text(table, outcome_text(outcome));
	}
}

static void fill_internals(struct maps *maps, bool is_all, struct table *table)
{
	table_init(table, internal_columns);
	for (int internal = 0; internal < WEIR_INTERNAL_COUNT; internal++) {
		__u64 count = stats_internal(maps, internal);

		if (!count && !is_all)
			continue;
		table_add_text(table, internal_name(internal));
		table_add_number(table, count);
		table_add_text(table, internal_text(internal));
	}
}

static int print_both(const struct table *outcomes, const struct table *internals, bool is_json)
{
	int code;

	if (is_json)
		return print_json(json_pack("{s:o, s:o}", "outcomes", table_json(outcomes),
					    "internals", table_json(internals)));
	code = table_print_text(outcomes, stdout);
	if (!code && outcomes->cells && internals->cells)
		putchar('\n');
	return code ? code : table_print_text(internals, stdout);
}

int cmd_outcomes(const struct request *request)
{
	bool is_all = request_has(request, OPTION_ALL);
	struct table outcomes, internals;
	struct maps *maps;
	int code = session_read(&maps);

	if (code)
		return code;
	if (maps_array(maps, MAP_outcomes) && maps_array(maps, MAP_internals)) {
		fill_outcomes(maps, is_all, &outcomes);
		fill_internals(maps, is_all, &internals);
		code = print_both(&outcomes, &internals, request_has(request, OPTION_JSON));
		table_free(&outcomes);
		table_free(&internals);
	} else {
		code = print_fail("%s: cannot map the arrays: %s", maps->directory,
				  strerror(errno));
	}
	maps_close(maps);
	return code;
}
