/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* num.c - numbers and durations as text; see num.h. */
#include "base/num.h"

#include "base/err.h"
#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct unit {
	const char *name;
	uint64_t ms;
} units[] = {
	/* the largest first: duration_format takes the first that divides */
	{.name = "h", .ms = 3600 * 1000},
	{.name = "m", .ms = 60 * 1000},
	{.name = "s", .ms = 1000},
	{.name = "ms", .ms = 1},
};

/* The digits at the start of `text`; what follows, or NULL without digits or past 64 bits. */
static const char *read_digits(const char *text, uint64_t *ret_value)
{
	uint64_t value = 0;
	const char *at = text;

	if (at[0] == '0' && at[1] >= '0' && at[1] <= '9')
		return NULL; /* elsewhere that is octal */
	for (; *at >= '0' && *at <= '9'; at++) {
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, *at - '0', &value))
			return NULL;
	}
	if (at == text)
		return NULL;
	*ret_value = value;
	return at;
}

int num_parse(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value, struct err *err)
{
	char shown[TEXT_SHOWN_LEN];
	uint64_t value;
	const char *rest = read_digits(text, &value);

	if (!rest || *rest || value < min || value > max)
		return err_set(err, -EINVAL, "got %s, wanted %" PRIu64 "-%" PRIu64,
			       text_show(text, shown), min, max);
	*ret_value = value;
	return 0;
}

static const struct unit *find_unit(const char *name)
{
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (!strcmp(units[i].name, name))
			return &units[i];
	}
	return NULL;
}

int duration_parse(const char *text, uint64_t min_ms, uint64_t max_ms, uint64_t *ret_ms,
		   struct err *err)
{
	char shown[TEXT_SHOWN_LEN], min[DURATION_TEXT_LEN], max[DURATION_TEXT_LEN];
	uint64_t ms;
	const char *rest = read_digits(text, &ms);
	const struct unit *unit = rest ? find_unit(rest) : NULL;

	text_show(text, shown);
	duration_format(min_ms, min);
	duration_format(max_ms, max);
	if (!unit)
		return err_set(err, -EINVAL,
			       "got %s, wanted %s-%s: a number and one of ms, s, m, h", shown, min,
			       max);
	if (__builtin_mul_overflow(ms, unit->ms, &ms) || ms < min_ms || ms > max_ms)
		return err_set(err, -EINVAL, "got %s, wanted %s-%s", shown, min, max);
	*ret_ms = ms;
	return 0;
}

const char *duration_format(uint64_t ms, char *text)
{
	const struct unit *unit = units;

	if (!ms)
		return strcpy(text, "0s");
	while (ms % unit->ms)
		unit++;
	snprintf(text, DURATION_TEXT_LEN, "%" PRIu64 "%s", ms / unit->ms, unit->name);
	return text;
}
