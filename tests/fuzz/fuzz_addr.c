/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * fuzz_addr.c - any text as an address, an endpoint, a number or a duration. What is taken comes
 * back the same through its own text; what is refused is said in one printable line.
 */
#include "base/addr.h"
#include "base/err.h"
#include "base/num.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool is_true)
{
	if (!is_true)
		abort();
}

static void check_refused(const struct err *err)
{
	require(!strncmp(err->text, "got ", 4) && strstr(err->text, ", wanted "));
	for (const char *at = err->text; *at; at++)
		require(*at >= ' ' && *at <= '~');
}

static void check_endpoint(const char *text)
{
	char back[ENDPOINT_TEXT_LEN];
	struct addr addr, again;
	uint16_t port, same;
	struct err err;

	if (endpoint_parse(text, &addr, &port, &err)) {
		check_refused(&err);
		return;
	}
	require(!endpoint_parse(endpoint_format(&addr, port, back), &again, &same, NULL));
	require(addr_equal(&addr, &again) && port == same);
}

static void check_addr(const char *text)
{
	char back[ADDR_TEXT_LEN];
	struct addr addr, again;
	struct err err;

	if (addr_parse(text, &addr, &err)) {
		check_refused(&err);
		return;
	}
	require(!addr_parse(addr_format(&addr, back), &again, NULL));
	require(addr_equal(&addr, &again));
}

static void check_numbers(const char *text)
{
	char back[DURATION_TEXT_LEN];
	uint64_t value, again;
	struct err err;

	if (num_parse(text, 5, 70000, &value, &err))
		check_refused(&err);
	else
		require(value >= 5 && value <= 70000);
	if (duration_parse(text, 0, UINT64_MAX, &value, &err))
		check_refused(&err);
	else
		require(!duration_parse(duration_format(value, back), value, value, &again, NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = calloc(1, size + 1);

	if (!text)
		return 0;
	memcpy(text, data, size);
	check_addr(text);
	check_endpoint(text);
	check_numbers(text);
	free(text);
	return 0;
}
