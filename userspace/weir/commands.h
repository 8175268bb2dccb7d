/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * commands.h - the command table: every command of `weir`, once. Dispatch, help, completion and
 * the test of the man page walk it. A new verb is a function in a cmd_*.c and one row here.
 */
#ifndef WEIR_COMMANDS_H
#define WEIR_COMMANDS_H

#include "model/service.h"

#include <stdio.h>

#define VERSION "0.1"

struct err;
struct request;

enum exit_code {
	EXIT_DONE,
	EXIT_FAILED,
	EXIT_MISUSED,
	EXIT_NOT_LOADED,
	EXIT_DIFFERS, /* or unhealthy */
};

enum option {
	OPTION_HELP = 1 << 0,
	OPTION_VERSION = 1 << 1,
	OPTION_JSON = 1 << 2,
	OPTION_DRY_RUN = 1 << 3,
	OPTION_NOW = 1 << 4,
	OPTION_ALL = 1 << 5,
	OPTION_WATCH = 1 << 6,
};
#define OPTIONS_ALWAYS (OPTION_HELP | OPTION_VERSION)

struct option_row {
	const char *name;
	char letter; /* 0: none */
	enum option flag;
	const char *value; /* what may follow, or NULL */
	const char *help;
};
extern const struct option_row options[]; /* the last has no name */

/* What a word after the verb is: completion offers it. */
enum operand {
	OPERAND_NONE,
	OPERAND_FILE,
	OPERAND_SERVICE, /* one that is installed */
	OPERAND_BACKEND, /* one of the service before it */
	OPERAND_OTHER, /* nothing that we could know */
};
#define OPERANDS_MAX 3

/* A word with a value behind the operands: "weight 2". */
struct keyword {
	const char *name;
	const char *value;
	enum operand operand;
	const struct name *names; /* the words that may be its value, or NULL */
	bool is_list; /* takes one value and more */
	bool is_required;
};

struct command {
	const char *path; /* "service add" */
	const char *arguments; /* as the usage line shows them */
	const char *help; /* one line */
	int (*run)(const struct request *request); /* returns an exit code */
	unsigned int options; /* besides OPTIONS_ALWAYS */
	int operands_min;
	enum operand operands[OPERANDS_MAX]; /* in their order, OPERAND_NONE: no more */
	const struct keyword *keywords; /* the last has no name; NULL: none */
};
extern const struct command commands[]; /* the last has no path */

/*
 * The command that `words` begin with, by unambiguous prefixes. `ret_path` (COMMANDS_PATH_LEN
 * bytes) is what was understood; a group alone ("service") gives no command and 0 with
 * `is_group_fine`. Returns the number of words used, or -EINVAL with a message.
 */
#define COMMANDS_PATH_LEN 64
int commands_find(const char *const *words, int count, bool is_group_fine, char *ret_path,
		  const struct command **ret_command, struct err *err);

/* The commands at or below `path`, or all about the one that it names. */
void commands_print_help(FILE *out, const char *path);
void commands_print_usage(FILE *out, const struct command *command);

#endif
