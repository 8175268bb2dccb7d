/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* request.c - reads the command line by the tables of commands.h; see request.h. */
#include "weir/request.h"

#include "base/err.h"
#include "base/num.h"
#include "base/text.h"
#include "weir/print.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define WATCH_S_DEFAULT 1
#define WATCH_S_MAX     3600

bool request_has(const struct request *request, enum option option)
{
	return request->options & option;
}

const char *request_value(const struct request *request, const char *keyword)
{
	for (size_t i = 0; i < request->setting_count; i++) {
		if (!strcmp(request->settings[i].keyword->name, keyword))
			return request->settings[i].text;
	}
	return NULL;
}

int request_misuse(const struct request *request, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (request->command) {
		print_say("%s%s%s", request->path, *request->path ? ": " : "", text);
		commands_print_usage(stderr, request->command);
	} else {
		print_say("%s", text);
		fprintf(stderr, "try `weir --help`\n");
	}
	return EXIT_MISUSED;
}

static const struct option_row *find_option(const char *text)
{
	for (const struct option_row *row = options; row->name; row++) {
		if (!strcmp(text, row->name) || (row->letter && text[1] == row->letter && !text[2]))
			return row;
	}
	return NULL;
}

/* The optional value of --watch: only a number is one. */
static bool take_watch(const char *next, struct request *request, int *ret_code)
{
	uint64_t seconds = WATCH_S_DEFAULT;
	struct err err;
	bool has_value = next && isdigit((unsigned char)*next);

	if (has_value && num_parse(next, 1, WATCH_S_MAX, &seconds, &err))
		*ret_code = request_misuse(request, "--watch: %s", err.text);
	request->watch_s = (unsigned int)seconds;
	return has_value;
}

/* Options out of `argv`, the rest into `words`. */
static int split_options(int argc, char **argv, struct request *request, const char **words,
			 int *ret_count)
{
	char shown[TEXT_SHOWN_LEN];
	bool is_over = false;
	int code = EXIT_DONE;

	*ret_count = 0;
	for (int i = 1; i < argc && !code; i++) {
		const struct option_row *row;

		if (is_over || argv[i][0] != '-' || !argv[i][1]) {
			words[(*ret_count)++] = argv[i];
			continue;
		}
		is_over = !strcmp(argv[i], "--");
		if (is_over)
			continue;
		row = find_option(argv[i]);
		if (!row)
			return request_misuse(request, "got %s, which is no option",
					      text_show(argv[i], shown));
		request->options |= row->flag;
		if (row->flag == OPTION_WATCH)
			i += take_watch(i + 1 < argc ? argv[i + 1] : NULL, request, &code);
	}
	return code;
}

static int check_options(const struct request *request)
{
	unsigned int allowed = OPTIONS_ALWAYS | request->command->options;

	for (const struct option_row *row = options; row->name; row++) {
		if (request->options & row->flag & ~allowed)
			return request_misuse(request, "%s is not for this command", row->name);
	}
	return EXIT_DONE;
}

/* NULL: no keyword begins like this; `*ret_count` tells one from several. */
static const struct keyword *find_keyword(const struct keyword *keywords, const char *word,
					  int *ret_count)
{
	const struct keyword *found = NULL;
	size_t len = strlen(word);

	*ret_count = 0;
	for (; keywords && len && keywords->name; keywords++) {
		if (strncmp(keywords->name, word, len))
			continue;
		found = keywords;
		++*ret_count;
	}
	return *ret_count == 1 ? found : NULL;
}

static int refuse_word(const struct request *request, const char *word, int matches)
{
	const struct keyword *keywords = request->command->keywords;
	char shown[TEXT_SHOWN_LEN], wanted[128];
	size_t used = 0;

	if (!keywords)
		return request_misuse(request, "got %s, wanted nothing more",
				      text_show(word, shown));
	for (; keywords->name; keywords++)
		used += snprintf(wanted + used, sizeof(wanted) - used, "%s%s",
				 !used              ? ""
				 : keywords[1].name ? ", "
						    : " or ",
				 keywords->name);
	return request_misuse(request, "got %s%s, wanted %s", text_show(word, shown),
			      matches ? ", which is short for several" : "", wanted);
}

static void add_setting(struct request *request, const struct keyword *keyword, const char *text)
{
	request->settings[request->setting_count++] = (struct setting){keyword, text};
}

/* "weight 2 zone a": `words` begin with a keyword. */
static int read_settings(struct request *request, const char *const *words, int count)
{
	const struct keyword *keywords = request->command->keywords, *keyword;
	int matches;

	for (int i = 0; i < count;) {
		keyword = find_keyword(keywords, words[i], &matches);
		if (!keyword)
			return refuse_word(request, words[i], matches);
		if (request_value(request, keyword->name))
			return request_misuse(request, "got %s a second time, wanted it once",
					      keyword->name);
		if (++i == count)
			return request_misuse(request, "%s: got nothing, wanted %s", keyword->name,
					      keyword->value);
		add_setting(request, keyword, words[i++]);
		while (keyword->is_list && i < count && !find_keyword(keywords, words[i], &matches))
			add_setting(request, keyword, words[i++]);
	}
	for (keyword = keywords; keyword && keyword->name; keyword++) {
		if (keyword->is_required && !request_value(request, keyword->name))
			return request_misuse(request, "got no %s, wanted %s %s", keyword->name,
					      keyword->name, keyword->value);
	}
	return EXIT_DONE;
}

static int read_operands(struct request *request, const char *const *words, int count)
{
	const struct command *command = request->command;
	int at = 0, matches;

	for (; at < count && at < OPERANDS_MAX && command->operands[at]; at++) {
		if (at >= command->operands_min &&
		    find_keyword(command->keywords, words[at], &matches))
			break;
		request->operands[at] = words[at];
	}
	if (at < command->operands_min)
		return request_misuse(request, "got nothing more, wanted %s", command->arguments);
	return read_settings(request, words + at, count - at);
}

static int read_words(struct request *request, const char *const *words, int count)
{
	bool is_about = request->options & OPTIONS_ALWAYS;
	struct err err = {};
	int used, code;

	used = commands_find(words, count, is_about, request->path, &request->command, &err);
	if (used < 0)
		return request_misuse(request, "%s", err.text);
	if (is_about)
		return EXIT_DONE;
	code = check_options(request);
	return code ? code : read_operands(request, words + used, count - used);
}

int request_parse(int argc, char **argv, struct request *ret_request)
{
	const char **words = calloc((size_t)argc + 1, sizeof(*words));
	struct request request = {};
	int count, code;

	request.settings = calloc((size_t)argc + 1, sizeof(*request.settings));
	if (words && request.settings) {
		code = split_options(argc, argv, &request, words, &count);
		if (!code)
			code = read_words(&request, words, count);
	} else {
		code = print_no_memory();
	}
	free(words);
	if (code)
		request_free(&request);
	else
		*ret_request = request;
	return code;
}

void request_free(struct request *request)
{
	free(request->settings);
	request->settings = NULL;
}
