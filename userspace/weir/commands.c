/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* commands.c - the command table, how words find their row, and help; see commands.h. */
#include "weir/commands.h"

#include "base/err.h"
#include "base/text.h"
#include "weir/cmd.h"

#include <errno.h>
#include <string.h>

const struct option_row options[] = {
	{"--json", 'j', OPTION_JSON, NULL, "print JSON"},
	{"--dry-run", 0, OPTION_DRY_RUN, NULL, "print what would change, and change nothing"},
	{"--now", 0, OPTION_NOW, NULL, "end its connections at once, without a drain"},
	{"--all", 0, OPTION_ALL, NULL, "also what is zero"},
	{"--watch", 0, OPTION_WATCH, "SECONDS", "rates, again and again (every second)"},
	{"--help", 'h', OPTION_HELP, NULL, "this help"},
	{"--version", 'V', OPTION_VERSION, NULL, "the version"},
	{},
};

static const struct keyword service_keywords[] = {
	{.name = "vip",
	 .value = "ADDR:PORT",
	 .operand = OPERAND_OTHER,
	 .is_list = true,
	 .is_required = true},
	{.name = "protocol", .value = "tcp|udp", .names = protocol_names},
	{.name = "path", .value = "fast|stack", .names = path_names},
	{.name = "drain-timeout", .value = "DURATION", .operand = OPERAND_OTHER},
	{},
};

static const struct keyword backend_keywords[] = {
	{.name = "weight", .value = "N", .operand = OPERAND_OTHER},
	{.name = "zone", .value = "ZONE", .operand = OPERAND_OTHER},
	{.name = "labels", .value = "KEY=VALUE,...", .operand = OPERAND_OTHER},
	{},
};

static const struct keyword flow_keywords[] = {
	{.name = "service", .value = "NAME", .operand = OPERAND_SERVICE},
	{.name = "backend", .value = "ADDR[:PORT]", .operand = OPERAND_OTHER},
	{.name = "client", .value = "ADDR", .operand = OPERAND_OTHER},
	{.name = "limit", .value = "N", .operand = OPERAND_OTHER},
	{},
};

/* Sorted by path; the rows of one object stand together. */
const struct command commands[] = {
	{
		.path = "",
		.arguments = "",
		.help = "the state in short, and the services",
		.run = cmd_overview,
		.options = OPTION_JSON,
	},
	{
		.path = "apply",
		.arguments = "FILE [--dry-run]",
		.help = "make services and interfaces equal to the file, changing only what "
			"differs",
		.run = cmd_apply,
		.options = OPTION_DRY_RUN,
		.operands_min = 1,
		.operands = {OPERAND_FILE},
	},
	{
		.path = "backend add",
		.arguments = "SERVICE ADDR:PORT [weight N] [zone ZONE] [labels KEY=VALUE,...]",
		.help = "give a service one more backend",
		.run = cmd_backend_add,
		.operands_min = 2,
		.operands = {OPERAND_SERVICE, OPERAND_OTHER},
		.keywords = backend_keywords,
	},
	{
		.path = "backend drain",
		.arguments = "SERVICE ADDR:PORT",
		.help = "no new connections; those that exist go on",
		.run = cmd_backend_drain,
		.operands_min = 2,
		.operands = {OPERAND_SERVICE, OPERAND_BACKEND},
	},
	{
		.path = "backend list",
		.arguments = "[SERVICE]",
		.help = "backends with their state",
		.run = cmd_backend_list,
		.options = OPTION_JSON,
		.operands = {OPERAND_SERVICE},
	},
	{
		.path = "backend remove",
		.arguments = "SERVICE ADDR:PORT [--now]",
		.help = "drain a backend, then forget it",
		.run = cmd_backend_remove,
		.options = OPTION_NOW,
		.operands_min = 2,
		.operands = {OPERAND_SERVICE, OPERAND_BACKEND},
	},
	{
		.path = "backend undrain",
		.arguments = "SERVICE ADDR:PORT",
		.help = "new connections again",
		.run = cmd_backend_undrain,
		.operands_min = 2,
		.operands = {OPERAND_SERVICE, OPERAND_BACKEND},
	},
	{
		.path = "backend weight",
		.arguments = "SERVICE ADDR:PORT N",
		.help = "set its share of new connections; 0: none",
		.run = cmd_backend_weight,
		.operands_min = 3,
		.operands = {OPERAND_SERVICE, OPERAND_BACKEND, OPERAND_OTHER},
	},
	{
		.path = "completion bash",
		.arguments = "",
		.help = "print the completion script for bash",
		.run = cmd_completion_bash,
	},
	{
		.path = "config check",
		.arguments = "FILE",
		.help = "say what is wrong with a configuration file",
		.run = cmd_config_check,
		.operands_min = 1,
		.operands = {OPERAND_FILE},
	},
	{
		.path = "flows",
		.arguments = "[service NAME] [backend ADDR[:PORT]] [client ADDR] [limit N]",
		.help = "the connections that are known now",
		.run = cmd_flows,
		.options = OPTION_JSON,
		.keywords = flow_keywords,
	},
	{
		.path = "load",
		.arguments = "[FILE]",
		.help = "bring programs and maps into the kernel, or exchange the programs",
		.run = cmd_load,
		.operands = {OPERAND_FILE},
	},
	{
		.path = "outcomes",
		.arguments = "[--all]",
		.help = "how packets ended, by name",
		.run = cmd_outcomes,
		.options = OPTION_JSON | OPTION_ALL,
	},
	{
		.path = "service add",
		.arguments = "NAME vip ADDR:PORT... [protocol tcp|udp] [path fast|stack] "
			     "[drain-timeout DURATION]",
		.help = "a new service, without backends",
		.run = cmd_service_add,
		.operands_min = 1,
		.operands = {OPERAND_OTHER},
		.keywords = service_keywords,
	},
	{
		.path = "service list",
		.arguments = "",
		.help = "services with their VIPs",
		.run = cmd_service_list,
		.options = OPTION_JSON,
	},
	{
		.path = "service remove",
		.arguments = "NAME [--now]",
		.help = "drain a service with all its backends, then forget it",
		.run = cmd_service_remove,
		.options = OPTION_NOW,
		.operands_min = 1,
		.operands = {OPERAND_SERVICE},
	},
	{
		.path = "service show",
		.arguments = "NAME",
		.help = "all about one service",
		.run = cmd_service_show,
		.options = OPTION_JSON,
		.operands_min = 1,
		.operands = {OPERAND_SERVICE},
	},
	{
		.path = "stats",
		.arguments = "[SERVICE] [--watch [SECONDS]]",
		.help = "connections, packets and bytes of services and backends",
		.run = cmd_stats,
		.options = OPTION_JSON | OPTION_WATCH,
		.operands = {OPERAND_SERVICE},
	},
	{
		.path = "status",
		.arguments = "",
		.help = "what is loaded, attached and used; exit 4 when something is wrong",
		.run = cmd_status,
		.options = OPTION_JSON,
	},
	{
		.path = "unload",
		.arguments = "",
		.help = "take everything out of the kernel; ends all flows",
		.run = cmd_unload,
	},
	{},
};

/* The word of `path` that follows `prefix`, of `*ret_len` bytes; NULL: it is not below it. */
static const char *next_word(const char *path, const char *prefix, size_t *ret_len)
{
	size_t len = strlen(prefix);

	if (strncmp(path, prefix, len))
		return NULL;
	path += len;
	if (len && *path != ' ')
		return NULL;
	path += len > 0;
	*ret_len = strcspn(path, " ");
	return *ret_len ? path : NULL;
}

/*
 * The words that may follow `prefix` and begin with `start`: "add, list or remove". The rows of a
 * word stand together.
 */
static const char *list_words(const char *prefix, const char *start, char *text, size_t size)
{
	const char *last = NULL, *word;
	size_t len = 0, used = 0, last_len = 0;

	*text = '\0';
	for (const struct command *row = commands; row->path; row++) {
		word = next_word(row->path, prefix, &len);
		if (!word || strncmp(word, start, strlen(start)) ||
		    (last && len == last_len && !strncmp(word, last, len)))
			continue;
		if (last)
			used += snprintf(text + used, size - used, "%s%.*s", used ? ", " : "",
					 (int)last_len, last);
		last = word;
		last_len = len;
	}
	if (last)
		snprintf(text + used, size - used, "%s%.*s", used ? " or " : "", (int)last_len,
			 last);
	return text;
}

/* The one word after `prefix` that `word` begins. None begins another: tests/unit/test_weir.c. */
static int match_word(const char *prefix, const char *word, const char **ret_full, size_t *ret_len,
		      struct err *err)
{
	const char *found = NULL, *next;
	char shown[TEXT_SHOWN_LEN], wanted[256];
	size_t word_len = strlen(word), len, found_len = 0, count = 0;

	for (const struct command *row = commands; row->path && word_len; row++) {
		next = next_word(row->path, prefix, &len);
		if (!next || len < word_len || strncmp(next, word, word_len))
			continue;
		if (!found || len != found_len || strncmp(next, found, len))
			count++;
		found = next;
		found_len = len;
	}
	if (count != 1)
		return err_set(err, -EINVAL, "got %s%s, wanted %s", text_show(word, shown),
			       count ? ", which is short for several" : "",
			       list_words(prefix, count ? word : "", wanted, sizeof(wanted)));
	*ret_full = found;
	*ret_len = found_len;
	return 0;
}

static const struct command *find_exact(const char *path)
{
	for (const struct command *row = commands; row->path; row++) {
		if (!strcmp(row->path, path))
			return row;
	}
	return NULL;
}

int commands_find(const char *const *words, int count, bool is_group_fine, char *ret_path,
		  const struct command **ret_command, struct err *err)
{
	char path[COMMANDS_PATH_LEN] = "", wanted[256];
	size_t used = 0, len = 0;
	const char *full = "";
	int at = 0;

	for (; at < count && (!at || !find_exact(path)); at++) {
		if (match_word(path, words[at], &full, &len, err))
			return -EINVAL;
		used += snprintf(path + used, sizeof(path) - used, "%s%.*s", at ? " " : "",
				 (int)len, full);
	}
	if (!find_exact(path) && !is_group_fine)
		return err_set(err, -EINVAL, "%s: got nothing more, wanted %s", path,
			       list_words(path, "", wanted, sizeof(wanted)));
	*ret_command = find_exact(path);
	strcpy(ret_path, path);
	return at;
}

static void print_option_help(FILE *out, unsigned int shown)
{
	char text[64];

	fputs("\noptions:\n", out);
	for (const struct option_row *row = options; row->name; row++) {
		if (!(row->flag & shown))
			continue;
		snprintf(text, sizeof(text), "%s%s%s%s", row->name, row->value ? " [" : "",
			 row->value ? row->value : "", row->value ? "]" : "");
		if (row->letter)
			fprintf(out, "  -%c, %-20s %s\n", row->letter, text, row->help);
		else
			fprintf(out, "      %-20s %s\n", text, row->help);
	}
}

void commands_print_usage(FILE *out, const struct command *command)
{
	bool has_path = *command->path;

	fprintf(out, "usage: weir%s%s%s%s%s\n", has_path ? " " : "", command->path,
		*command->arguments ? " " : "", command->arguments,
		command->options & OPTION_JSON ? " [-j]" : "");
}

/* Two columns; what is too long for the first gets a line of its own. */
static void print_row(FILE *out, const struct command *row)
{
	char left[160];

	snprintf(left, sizeof(left), "weir%s%s%s%s", *row->path ? " " : "", row->path,
		 *row->arguments ? " " : "", row->arguments);
	if (strlen(left) > 38)
		fprintf(out, "  %s\n  %-38s %s\n", left, "", row->help);
	else
		fprintf(out, "  %-38s %s\n", left, row->help);
}

void commands_print_help(FILE *out, const char *path)
{
	const struct command *command = find_exact(path);
	unsigned int shown = OPTIONS_ALWAYS;
	size_t len;

	if (command && *path) {
		commands_print_usage(out, command);
		fprintf(out, "\n%s\n", command->help);
		print_option_help(out, command->options | OPTIONS_ALWAYS);
		return;
	}
	fprintf(out, "usage: weir%s%s [VERB] [ARGUMENT...] [OPTION...]\n\n",
		*path ? " " : " OBJECT", path);
	for (const struct command *row = commands; row->path; row++) {
		if (*path && !next_word(row->path, path, &len))
			continue;
		print_row(out, row);
		shown |= row->options;
	}
	print_option_help(out, shown);
	if (!*path)
		fputs("\nWords may be shortened as long as they stay unambiguous. weir(8) has "
		      "more.\n",
		      out);
}
