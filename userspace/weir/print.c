/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* print.c - see print.h. */
#include "weir/print.h"

#include "model/config_errors.h"
#include "weir/commands.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void say(const char *format, va_list args)
{
	fputs("weir: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
}

void print_say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args);
	va_end(args);
}

int print_fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args);
	va_end(args);
	return EXIT_FAILED;
}

int print_no_memory(void)
{
	return print_fail("out of memory");
}

void print_config_errors(const struct config_errors *errors)
{
	for (size_t i = 0; i < errors->count; i++)
		print_say("%s", errors->errors[i].text);
	if (errors->left_out)
		print_say("... and %zu more", errors->left_out);
}

int print_flush(void)
{
	if (!fflush(stdout) && !ferror(stdout))
		return EXIT_DONE;
	return print_fail("standard output: %s", strerror(errno ? errno : EIO));
}

int print_json(json_t *json)
{
	int rc;

	if (!json)
		return print_no_memory();
	rc = json_dumpf(json, stdout, JSON_INDENT(2));
	json_decref(json);
	putchar('\n');
	return rc && !ferror(stdout) ? print_no_memory() : EXIT_DONE;
}

const char *print_size(uint64_t bytes, char *text)
{
	static const char *const units[] = {"KiB", "MiB", "GiB"};
	double size = (double)bytes / 1024;
	size_t unit = 0;

	for (; size >= 1024 && unit < 2; unit++)
		size /= 1024;
	snprintf(text, PRINT_SIZE_LEN, "%.1f %s", size, units[unit]);
	return text;
}

const char *print_count(size_t count, const char *noun, char *text)
{
	snprintf(text, PRINT_COUNT_LEN, "%zu %s%s", count, noun, count == 1 ? "" : "s");
	return text;
}
