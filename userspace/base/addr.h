/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * addr.h - IP addresses as text and as 16 bytes; an IPv4 address a.b.c.d is ::ffff:a.b.c.d
 * (RFC 4291, 2.5.5.2), in memory the same as struct weir_address.
 */
#ifndef WEIR_ADDR_H
#define WEIR_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

struct addr {
	uint8_t bytes[16]; /* network order */
};

#define ADDR_TEXT_LEN     48 /* longest address as text, with the final NUL */
#define ENDPOINT_TEXT_LEN 56 /* "[address]:port" */

/* Whole string, no port, no scope. -EINVAL with a message "got ..., wanted ...". */
int addr_parse(const char *text, struct addr *ret_addr, struct err *err);

/* "10.0.0.1:80", "[fd00::1]:80"; a missing port gives 0, as ":*" does. -EINVAL with a message. */
int endpoint_parse(const char *text, struct addr *ret_addr, uint16_t *ret_port, struct err *err);

/* Shortest text (RFC 5952); returns `text`, which holds ADDR_TEXT_LEN bytes. */
const char *addr_format(const struct addr *addr, char *text);

/* "10.0.0.1:80", "[fd00::1]:80", port 0 as "*"; `text` holds ENDPOINT_TEXT_LEN bytes. */
const char *endpoint_format(const struct addr *addr, uint16_t port, char *text);

bool addr_is_v4(const struct addr *addr);
bool addr_equal(const struct addr *a, const struct addr *b);
int addr_compare(const struct addr *a, const struct addr *b); /* memcmp order */

/* NULL when it can be a backend, else what it is: "a loopback address", "a multicast address"... */
const char *addr_unusable(const struct addr *addr);

#endif
