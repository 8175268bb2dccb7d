/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* addr.c - IP addresses as text and as 16 bytes; see addr.h. */
#include "base/addr.h"

#include "base/err.h"
#include "base/num.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const uint8_t v4_prefix[12] = {[10] = 0xff, [11] = 0xff};

int addr_parse(const char *text, struct addr *ret_addr, struct err *err)
{
	char shown[TEXT_SHOWN_LEN];
	struct addr addr;

	memcpy(addr.bytes, v4_prefix, sizeof(v4_prefix));
	if (inet_pton(AF_INET, text, addr.bytes + sizeof(v4_prefix)) != 1 &&
	    inet_pton(AF_INET6, text, addr.bytes) != 1)
		return err_set(err, -EINVAL, "got %s, wanted an IPv4 or IPv6 address",
			       text_show(text, shown));
	*ret_addr = addr;
	return 0;
}

/* What follows the address: nothing, ":*" or ":port". */
static int parse_port(const char *rest, uint16_t *ret_port)
{
	uint64_t port = 0;

	if (*rest && strcmp(rest, ":*") && num_parse(rest + 1, 1, UINT16_MAX, &port, NULL))
		return -EINVAL;
	*ret_port = port;
	return 0;
}

/*
 * Cut "address" or "[address]" out of `text`; returns what follows, or NULL. IPv6 must stand in
 * brackets: "fd00::1:80" would be an address without a port.
 */
static const char *cut_address(const char *text, char *address)
{
	bool has_bracket = *text == '[';
	size_t len = strcspn(text + has_bracket, has_bracket ? "]" : ":");
	const char *rest = text + has_bracket + len;

	if (len >= ADDR_TEXT_LEN || (has_bracket && *rest++ != ']') || (*rest && *rest != ':'))
		return NULL;
	memcpy(address, text + has_bracket, len);
	address[len] = '\0';
	if (has_bracket != !!strchr(address, ':'))
		return NULL;
	return rest;
}

int endpoint_parse(const char *text, struct addr *ret_addr, uint16_t *ret_port, struct err *err)
{
	char shown[TEXT_SHOWN_LEN], address[ADDR_TEXT_LEN];
	struct addr addr;
	uint16_t port;
	const char *rest;

	rest = cut_address(text, address);
	if (!rest || addr_parse(address, &addr, NULL) || parse_port(rest, &port))
		return err_set(
			err, -EINVAL,
			"got %s, wanted an address and a port, as 10.0.0.1:80 or [fd00::1]:80",
			text_show(text, shown));
	*ret_addr = addr;
	*ret_port = port;
	return 0;
}

const char *addr_format(const struct addr *addr, char *text)
{
	if (addr_is_v4(addr))
		inet_ntop(AF_INET, addr->bytes + sizeof(v4_prefix), text, ADDR_TEXT_LEN);
	else
		inet_ntop(AF_INET6, addr->bytes, text, ADDR_TEXT_LEN);
	return text;
}

const char *endpoint_format(const struct addr *addr, uint16_t port, char *text)
{
	char address[ADDR_TEXT_LEN], number[8] = "*";
	bool is_v4 = addr_is_v4(addr);

	if (port)
		snprintf(number, sizeof(number), "%u", port);
	snprintf(text, ENDPOINT_TEXT_LEN, "%s%s%s:%s", is_v4 ? "" : "[", addr_format(addr, address),
		 is_v4 ? "" : "]", number);
	return text;
}

bool addr_is_v4(const struct addr *addr)
{
	return !memcmp(addr->bytes, v4_prefix, sizeof(v4_prefix));
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
	return !addr_compare(a, b);
}

int addr_compare(const struct addr *a, const struct addr *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

/* Ranges as prefixes of the 16 bytes; an IPv4 prefix of n bits has 96 + n. */
static const struct range {
	uint8_t bytes[16];
	unsigned int bits;
	const char *what;
} unusable[] = {
#define V4(a, b, c, d) [10] = 0xff, 0xff, a, b, c, d
	{.bytes = {V4(0, 0, 0, 0)}, .bits = 104, .what = "an unspecified address"},
	{.bytes = {V4(127, 0, 0, 0)}, .bits = 104, .what = "a loopback address"},
	{.bytes = {V4(169, 254, 0, 0)}, .bits = 112, .what = "a link-local address"},
	{.bytes = {V4(224, 0, 0, 0)}, .bits = 100, .what = "a multicast address"},
	{.bytes = {V4(255, 255, 255, 255)}, .bits = 128, .what = "the broadcast address"},
#undef V4
	{.bytes = {0}, .bits = 128, .what = "an unspecified address"},
	{.bytes = {[15] = 1}, .bits = 128, .what = "a loopback address"},
	{.bytes = {0xfe, 0x80}, .bits = 10, .what = "a link-local address"},
	{.bytes = {0xff}, .bits = 8, .what = "a multicast address"},
};

static bool has_prefix(const uint8_t *bytes, const uint8_t *prefix, unsigned int bits)
{
	uint8_t mask = 0xff00 >> (bits % 8);

	return !memcmp(bytes, prefix, bits / 8) &&
	       (bits % 8 == 0 || ((bytes[bits / 8] ^ prefix[bits / 8]) & mask) == 0);
}

const char *addr_unusable(const struct addr *addr)
{
	for (size_t i = 0; i < sizeof(unusable) / sizeof(unusable[0]); i++) {
		if (has_prefix(addr->bytes, unusable[i].bytes, unusable[i].bits))
			return unusable[i].what;
	}
	return NULL;
}
