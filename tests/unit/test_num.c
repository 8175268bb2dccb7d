/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* test_num.c - base/num.c and base/text.c and base/err.c: numbers, durations, messages. */
#include "base/err.h"
#include "base/num.h"
#include "base/text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void test_num_takes_the_whole_range(void **state)
{
	static const struct {
		const char *text;
		uint64_t min, max, value;
	} rows[] = {
		{"0", 0, 10, 0},
		{"1", 1, 65535, 1},
		{"65535", 1, 65535, 65535},
		{"18446744073709551615", 0, UINT64_MAX, UINT64_MAX},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint64_t value = 42;

		assert_int_equal(num_parse(rows[i].text, rows[i].min, rows[i].max, &value, NULL),
				 0);
		assert_true(value == rows[i].value);
	}
}

static void test_num_refuses_with_message(void **state)
{
	static const struct {
		const char *text, *message;
	} rows[] = {
		{"70000", "got 70000, wanted 1-65535"},
		{"65536", "got 65536, wanted 1-65535"},
		{"0", "got 0, wanted 1-65535"},
		{"80x", "got 80x, wanted 1-65535"},
		{"8 0", "got 8 0, wanted 1-65535"},
		{"", "got \"\", wanted 1-65535"},
		{" 80", "got  80, wanted 1-65535"},
		{"80 ", "got 80 , wanted 1-65535"},
		{"+80", "got +80, wanted 1-65535"},
		{"-80", "got -80, wanted 1-65535"},
		{"080", "got 080, wanted 1-65535"},
		{"0x50", "got 0x50, wanted 1-65535"},
		{"8_0", "got 8_0, wanted 1-65535"},
		{"8e1", "got 8e1, wanted 1-65535"},
		{"18446744073709551616", "got 18446744073709551616, wanted 1-65535"},
		{"18446744073709551696", "got 18446744073709551696, wanted 1-65535"},
		{"99999999999999999999999", "got 99999999999999999999999, wanted 1-65535"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint64_t value = 42;
		struct err err = {};

		assert_int_equal(num_parse(rows[i].text, 1, 65535, &value, &err), -EINVAL);
		assert_string_equal(err.text, rows[i].message);
		assert_true(value == 42);
	}
}

static void test_duration_takes_each_unit(void **state)
{
	static const struct {
		const char *text;
		uint64_t ms;
	} rows[] = {
		{"0s", 0},       {"0ms", 0},        {"1ms", 1},
		{"250ms", 250},  {"30s", 30000},    {"5m", 300000},
		{"2h", 7200000}, {"24h", 86400000}, {"86400s", 86400000},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint64_t ms = 42;

		assert_int_equal(duration_parse(rows[i].text, 0, 86400000, &ms, NULL), 0);
		assert_true(ms == rows[i].ms);
	}
}

static void test_duration_refuses_with_message(void **state)
{
	static const struct {
		const char *text, *message;
	} rows[] = {
		{"25h", "got 25h, wanted 1s-24h"},
		{"999ms", "got 999ms, wanted 1s-24h"},
		{"0s", "got 0s, wanted 1s-24h"},
		{"18446744073709551615h", "got 18446744073709551615h, wanted 1s-24h"},
		{"5124095576030431h", "got 5124095576030431h, wanted 1s-24h"},
		{"60", "got 60, wanted 1s-24h: a number and one of ms, s, m, h"},
		{"s", "got s, wanted 1s-24h: a number and one of ms, s, m, h"},
		{"", "got \"\", wanted 1s-24h: a number and one of ms, s, m, h"},
		{"1d", "got 1d, wanted 1s-24h: a number and one of ms, s, m, h"},
		{"1h30m", "got 1h30m, wanted 1s-24h: a number and one of ms, s, m, h"},
		{"1.5h", "got 1.5h, wanted 1s-24h: a number and one of ms, s, m, h"},
		{"1 s", "got 1 s, wanted 1s-24h: a number and one of ms, s, m, h"},
		{"1S", "got 1S, wanted 1s-24h: a number and one of ms, s, m, h"},
		{"-1s", "got -1s, wanted 1s-24h: a number and one of ms, s, m, h"},
		{"1s ", "got 1s , wanted 1s-24h: a number and one of ms, s, m, h"},
		{"010s", "got 010s, wanted 1s-24h: a number and one of ms, s, m, h"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint64_t ms = 42;
		struct err err = {};

		assert_int_equal(duration_parse(rows[i].text, 1000, 86400000, &ms, &err), -EINVAL);
		assert_string_equal(err.text, rows[i].message);
		assert_true(ms == 42);
	}
}

static void test_duration_format_takes_the_largest_unit(void **state)
{
	static const struct {
		uint64_t ms;
		const char *text;
	} rows[] = {
		{0, "0s"},       {1, "1ms"},           {1500, "1500ms"},
		{30000, "30s"},  {90000, "90s"},       {120000, "2m"},
		{7200000, "2h"}, {16000000, "16000s"}, {UINT64_MAX, "18446744073709551615ms"},
	};
	char text[DURATION_TEXT_LEN];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_string_equal(duration_format(rows[i].ms, text), rows[i].text);
}

static void test_distance_counts_edits(void **state)
{
	char word[34];

	(void)state;
	assert_int_equal(text_distance("port", "port"), 0);
	assert_int_equal(text_distance("prot", "port"), 1);
	assert_int_equal(text_distance("prots", "port"), 2);
	assert_int_equal(text_distance("por", "port"), 1);
	assert_int_equal(text_distance("", "port"), 4);
	assert_int_equal(text_distance("kitten", "sitting"), 3);
	memset(word, 'a', 33);
	word[33] = '\0';
	assert_int_equal(text_distance(word, "port"), TEXT_FAR);
	word[32] = '\0';
	assert_int_equal(text_distance("port", word), 32);
}

static void test_show_cuts_exactly_at_its_length(void **state)
{
	char text[TEXT_SHOWN_LEN + 1], shown[TEXT_SHOWN_LEN];

	(void)state;
	memset(text, 'x', sizeof(text));
	text[TEXT_SHOWN_LEN - 1] = '\0';
	assert_string_equal(text_show(text, shown), text);
	text[TEXT_SHOWN_LEN - 1] = 'x';
	text[TEXT_SHOWN_LEN] = '\0';
	text_show(text, shown);
	assert_int_equal(strlen(shown), TEXT_SHOWN_LEN - 1);
	assert_string_equal(shown + TEXT_SHOWN_LEN - 4, "...");
	assert_string_equal(text_show("a\tb\x80\x7f", shown), "a?b??");
}

static void test_prefix_stands_before_and_stays_inside(void **state)
{
	struct err err = {};

	(void)state;
	assert_int_equal(err_set(&err, -ENOENT, "no %s", "file"), -ENOENT);
	err_prefix(&err, "%s", "weir.yaml");
	assert_string_equal(err.text, "weir.yaml: no file");
	memset(err.text, 'x', sizeof(err.text) - 1);
	err_prefix(&err, "weir");
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
	assert_memory_equal(err.text, "weir: xxx", 9);
	assert_int_equal(err_set(NULL, -EINVAL, "nobody listens"), -EINVAL);
	err_prefix(NULL, "nobody listens");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_num_takes_the_whole_range),
		cmocka_unit_test(test_num_refuses_with_message),
		cmocka_unit_test(test_duration_takes_each_unit),
		cmocka_unit_test(test_duration_refuses_with_message),
		cmocka_unit_test(test_duration_format_takes_the_largest_unit),
		cmocka_unit_test(test_distance_counts_edits),
		cmocka_unit_test(test_show_cuts_exactly_at_its_length),
		cmocka_unit_test(test_prefix_stands_before_and_stays_inside),
	};

	return cmocka_run_group_tests_name("num", tests, NULL, NULL);
}
