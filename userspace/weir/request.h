/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* request.h - what was asked on the command line: the words, sorted by the command's row. */
#ifndef WEIR_REQUEST_H
#define WEIR_REQUEST_H

#include "weir/commands.h"

#include <stdbool.h>
#include <stddef.h>

/* One value of a keyword; a list gives several. */
struct setting {
	const struct keyword *keyword;
	const char *text;
};

struct request {
	const struct command *command; /* NULL: --help or --version about no single command */
	char path[COMMANDS_PATH_LEN]; /* what help is about */
	unsigned int options; /* OPTION_* */
	unsigned int watch_s;
	const char *operands[OPERANDS_MAX]; /* NULL: not given */
	struct setting *settings; /* owned, in their order */
	size_t setting_count;
};

/* EXIT_DONE, EXIT_MISUSED with a message and the usage, or EXIT_FAILED. */
int request_parse(int argc, char **argv, struct request *ret_request);
void request_free(struct request *request);

bool request_has(const struct request *request, enum option option);

/* The value of a keyword, or NULL. */
const char *request_value(const struct request *request, const char *keyword);

/* Say what is wrong with the words, and the usage. Returns EXIT_MISUSED. */
int request_misuse(const struct request *request, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
