/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* test_addr.c - base/addr.c: addresses and endpoints as text and back. */
#include "base/addr.h"
#include "base/err.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct addr parsed(const char *text)
{
	struct addr addr;
	struct err err = {};

	if (addr_parse(text, &addr, &err))
		fail_msg("%s: %s", text, err.text);
	return addr;
}

static void test_parse_gives_sixteen_bytes(void **state)
{
	static const uint8_t v4[16] = {[10] = 0xff, 0xff, 10, 1, 2, 3};
	static const uint8_t v6[16] = {0xfd, 0, [14] = 0x12, 0x34};
	struct addr addr;

	(void)state;
	addr = parsed("10.1.2.3");
	assert_memory_equal(addr.bytes, v4, 16);
	assert_true(addr_is_v4(&addr));
	addr = parsed("fd00::1234");
	assert_memory_equal(addr.bytes, v6, 16);
	assert_false(addr_is_v4(&addr));
	addr = parsed("::ffff:10.1.2.3");
	assert_memory_equal(addr.bytes, v4, 16);
}

static void test_format_is_the_shortest(void **state)
{
	static const struct {
		const char *text, *shortest;
	} rows[] = {
		{"10.0.0.1", "10.0.0.1"},
		{"255.255.255.255", "255.255.255.255"},
		{"FD00:0:0:0:0:0:0:1", "fd00::1"},
		{"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
		{"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
		{"::", "::"},
		{"::1", "::1"},
		{"::ffff:192.0.2.1", "192.0.2.1"},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
	};
	char text[ADDR_TEXT_LEN];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct addr addr = parsed(rows[i].text);

		assert_string_equal(addr_format(&addr, text), rows[i].shortest);
	}
}

static void test_parse_refuses_with_message(void **state)
{
	static const struct {
		const char *text, *message;
	} rows[] = {
		{"", "got \"\", wanted an IPv4 or IPv6 address"},
		{"10.0.0", "got 10.0.0, wanted an IPv4 or IPv6 address"},
		{"10.0.0.256", "got 10.0.0.256, wanted an IPv4 or IPv6 address"},
		{"10.0.0.01", "got 10.0.0.01, wanted an IPv4 or IPv6 address"},
		{"10.0.0.1 ", "got 10.0.0.1 , wanted an IPv4 or IPv6 address"},
		{"10.0.0.1:80", "got 10.0.0.1:80, wanted an IPv4 or IPv6 address"},
		{"fe80::1%eth0", "got fe80::1%eth0, wanted an IPv4 or IPv6 address"},
		{"[fd00::1]", "got [fd00::1], wanted an IPv4 or IPv6 address"},
		{"fd00:::1", "got fd00:::1, wanted an IPv4 or IPv6 address"},
		{"web\x1b[31m\n", "got web?[31m?, wanted an IPv4 or IPv6 address"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct addr addr = {.bytes = {42}};
		struct err err = {};

		assert_int_equal(addr_parse(rows[i].text, &addr, &err), -EINVAL);
		assert_string_equal(err.text, rows[i].message);
		assert_int_equal(addr.bytes[0], 42);
	}
}

static void test_endpoint_there_and_back(void **state)
{
	static const struct {
		const char *text, *back;
		uint16_t port;
	} rows[] = {
		{"10.0.0.1:80", "10.0.0.1:80", 80},
		{"10.0.0.1:65535", "10.0.0.1:65535", 65535},
		{"10.0.0.1", "10.0.0.1:*", 0},
		{"10.0.0.1:*", "10.0.0.1:*", 0},
		{"[fd00::1]:1", "[fd00::1]:1", 1},
		{"[fd00::1]", "[fd00::1]:*", 0},
		{"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
		 "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", 65535},
	};
	char text[ENDPOINT_TEXT_LEN];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct addr addr;
		uint16_t port = 1;

		assert_int_equal(endpoint_parse(rows[i].text, &addr, &port, NULL), 0);
		assert_int_equal(port, rows[i].port);
		assert_string_equal(endpoint_format(&addr, port, text), rows[i].back);
	}
}

static void test_endpoint_refuses(void **state)
{
	static const char *const texts[] = {
		"",
		":80",
		"10.0.0.1:",
		"10.0.0.1:0",
		"10.0.0.1:65536",
		"10.0.0.1:80x",
		"10.0.0.1:+80",
		"10.0.0.1:080",
		"10.0.0.1:**",
		"10.0.0.1:80:90",
		"fd00::1",
		"fd00::1:80",
		"[fd00::1",
		"[fd00::1]80",
		"[fd00::1]:",
		"[10.0.0.1]:80",
		"[]:80",
		"[[fd00::1]]:80",
		"fd00::1]:80",
		"web:80",
		"[fd00:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0001]:80",
	};
	char message[200];

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct addr addr = {.bytes = {42}};
		uint16_t port = 42;
		struct err err = {};

		if (endpoint_parse(texts[i], &addr, &port, &err) != -EINVAL)
			fail_msg("%s: taken", texts[i]);
		snprintf(message, sizeof(message),
			 "got %s, wanted an address and a port, as 10.0.0.1:80 or [fd00::1]:80",
			 *texts[i] ? texts[i] : "\"\"");
		assert_string_equal(err.text, message);
		assert_int_equal(addr.bytes[0], 42);
		assert_int_equal(port, 42);
	}
}

static void test_long_text_is_cut_in_messages(void **state)
{
	char text[2000], message[200];
	struct addr addr;
	struct err err = {};

	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(addr_parse(text, &addr, &err), -EINVAL);
	snprintf(message, sizeof(message), "got %.68s..., wanted an IPv4 or IPv6 address", text);
	assert_string_equal(err.text, message);
}

static void test_compare_is_an_order_of_bytes(void **state)
{
	struct addr low = parsed("10.0.0.1"), high = parsed("10.0.0.2"), v6 = parsed("fd00::1");

	(void)state;
	assert_true(addr_compare(&low, &high) < 0);
	assert_true(addr_compare(&high, &low) > 0);
	assert_true(addr_compare(&high, &v6) < 0);
	assert_true(addr_equal(&low, &low));
	assert_false(addr_equal(&low, &high));
}

static void test_unusable_says_what_it_is(void **state)
{
	static const struct {
		const char *text, *what;
	} rows[] = {
		{"0.0.0.0", "an unspecified address"},
		{"0.1.2.3", "an unspecified address"},
		{"1.0.0.0", NULL},
		{"126.255.255.255", NULL},
		{"127.0.0.1", "a loopback address"},
		{"127.255.255.255", "a loopback address"},
		{"128.0.0.0", NULL},
		{"169.253.255.255", NULL},
		{"169.254.0.0", "a link-local address"},
		{"169.254.255.255", "a link-local address"},
		{"169.255.0.0", NULL},
		{"223.255.255.255", NULL},
		{"224.0.0.0", "a multicast address"},
		{"239.255.255.255", "a multicast address"},
		{"240.0.0.0", NULL},
		{"255.255.255.254", NULL},
		{"255.255.255.255", "the broadcast address"},
		{"::", "an unspecified address"},
		{"::1", "a loopback address"},
		{"::2", NULL},
		{"fe7f:ffff::1", NULL},
		{"fe80::1", "a link-local address"},
		{"febf:ffff::1", "a link-local address"},
		{"fec0::1", NULL},
		{"feff::1", NULL},
		{"ff00::", "a multicast address"},
		{"ff02::1", "a multicast address"},
		{"fd00::1", NULL},
		{"2001:db8::1", NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct addr addr = parsed(rows[i].text);
		const char *what = addr_unusable(&addr);

		if (!what != !rows[i].what || (what && strcmp(what, rows[i].what)))
			fail_msg("%s: got %s, wanted %s", rows[i].text, what ? what : "usable",
				 rows[i].what ? rows[i].what : "usable");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_gives_sixteen_bytes),
		cmocka_unit_test(test_format_is_the_shortest),
		cmocka_unit_test(test_parse_refuses_with_message),
		cmocka_unit_test(test_endpoint_there_and_back),
		cmocka_unit_test(test_endpoint_refuses),
		cmocka_unit_test(test_long_text_is_cut_in_messages),
		cmocka_unit_test(test_compare_is_an_order_of_bytes),
		cmocka_unit_test(test_unusable_says_what_it_is),
	};

	return cmocka_run_group_tests_name("addr", tests, NULL, NULL);
}
