/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * cmd_apply.c - weir apply: what is installed becomes what the file says.
 *
 * All that can be refused is refused before the first change: the file, interfaces that cannot
 * carry us, limits (in apply_changes).
 */
#include "base/err.h"
#include "datapath/apply.h"
#include "datapath/attach.h"
#include "datapath/installed.h"
#include "datapath/routes.h"
#include "model/diff.h"
#include "weir/cmd.h"
#include "weir/file.h"
#include "weir/interfaces.h"
#include "weir/print.h"
#include "weir/request.h"
#include "weir/session.h"

#include <stdio.h>

static int find_changes(struct maps *maps, const struct model *wanted, struct model *ret_installed,
			struct change_list *ret_list)
{
	struct err err = {};

	if (installed_read(maps, ret_installed, &err))
		return print_fail("%s", err.text);
	if (!diff_models(ret_installed, wanted, ret_list))
		return EXIT_DONE;
	model_free(ret_installed);
	return print_no_memory();
}

static const struct {
	const char *noun, *verb;
} words[] = {
	[CHANGE_TIMEOUTS] = {"set of time-outs", "changed"},
	[CHANGE_SERVICE_ADD] = {"service", "added"},
	[CHANGE_SERVICE_SET] = {"service", "changed"},
	[CHANGE_BACKEND_ADD] = {"backend", "added"},
	[CHANGE_BACKEND_SET] = {"backend", "changed"},
	[CHANGE_BACKEND_DRAIN] = {"backend", "drained"},
	[CHANGE_BACKEND_UNDRAIN] = {"backend", "undrained"},
	[CHANGE_VIP_ADD] = {"VIP", "added"},
	[CHANGE_VIP_REMOVE] = {"VIP", "removed"},
	[CHANGE_BACKEND_REMOVE] = {"backend", "removed"},
	[CHANGE_SERVICE_REMOVE] = {"service", "removed"},
};
#define WORDS (sizeof(words) / sizeof(words[0]))

static void summarize_one(size_t count, const char *noun, const char *verb, const char **between)
{
	char text[PRINT_COUNT_LEN];

	if (!count)
		return;
	printf("%s%s %s", *between, print_count(count, noun, text), verb);
	*between = ", ";
}

/* "applied: 3 services added, 12 backends added, 1 interface attached" */
static void summarize(const struct change_list *list, const struct attach_report *report)
{
	const char *between = "applied: ";
	size_t counts[WORDS] = {};

	for (size_t i = 0; i < list->count; i++)
		counts[list->changes[i].kind]++;
	for (size_t kind = 0; kind < WORDS; kind++)
		summarize_one(counts[kind], words[kind].noun, words[kind].verb, &between);
	summarize_one(report->attached, "interface", "attached", &between);
	summarize_one(report->detached, "interface", "detached", &between);
	puts(*between == ',' ? "" : "applied: nothing differs");
}

static int carry_out(struct maps *maps, const struct model *wanted, const struct change_list *list)
{
	struct attach_report report = {};
	struct err err = {};
	size_t differences;
	int code = interfaces_compare(maps, wanted, false, &differences);

	if (code)
		return code;
	if (apply_changes(maps, list, &err) || routes_sync(maps, &err) ||
	    attach_interfaces(maps, wanted->interfaces, wanted->interface_count, &report, &err))
		return print_fail("%s", err.text);
	summarize(list, &report);
	return EXIT_DONE;
}

static int show_differences(struct maps *maps, const struct model *wanted,
			    const struct change_list *list)
{
	size_t differences;
	int code;

	for (size_t i = 0; i < list->count; i++)
		change_print(stdout, &list->changes[i]);
	code = interfaces_compare(maps, wanted, true, &differences);
	if (code)
		return code;
	return list->count || differences ? EXIT_DIFFERS : EXIT_DONE;
}

static int apply_model(struct maps *maps, const struct model *wanted, bool is_dry)
{
	struct change_list list = {};
	struct model installed;
	int code = find_changes(maps, wanted, &installed, &list);

	if (code)
		return code;
	file_warn(maps, wanted);
	code = is_dry ? show_differences(maps, wanted, &list) : carry_out(maps, wanted, &list);
	change_list_free(&list);
	model_free(&installed);
	return code;
}

int cmd_apply(const struct request *request)
{
	bool is_dry = request_has(request, OPTION_DRY_RUN);
	struct model wanted;
	struct maps *maps;
	int lock = -1, code = file_read(request->operands[0], &wanted);

	if (code)
		return code;
	code = is_dry ? session_read(&maps) : session_write(&maps, &lock);
	if (!code) {
		code = apply_model(maps, &wanted, is_dry);
		session_end(maps, lock);
	}
	model_free(&wanted);
	return code;
}
