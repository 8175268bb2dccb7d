/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * net.h - what the test server (backend.c) and the test client (load.c) agree on: end points as
 * text, whole numbers, the byte pattern of a body. It relies on nothing of the project, so that
 * a mistake there cannot hide itself in its own tests.
 */
#ifndef TOOLS_NET_H
#define TOOLS_NET_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#define NET_TEXT_LEN 64 /* "[address]:port", with the final NUL */
#define NET_NAME_LEN 64 /* name of a backend, with the final NUL */

union net_address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static inline socklen_t net_len(const union net_address *address)
{
	return address->any.sa_family == AF_INET6 ? sizeof(address->v6) : sizeof(address->v4);
}

static inline uint16_t net_port(const union net_address *address)
{
	return ntohs(address->any.sa_family == AF_INET6 ? address->v6.sin6_port
							: address->v4.sin_port);
}

static inline void net_set_port(union net_address *address, uint16_t port)
{
	if (address->any.sa_family == AF_INET6)
		address->v6.sin6_port = htons(port);
	else
		address->v4.sin_port = htons(port);
}

static inline bool net_equal(const union net_address *a, const union net_address *b)
{
	if (a->any.sa_family != b->any.sa_family || net_port(a) != net_port(b))
		return false;
	if (a->any.sa_family == AF_INET6)
		return !memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, 16);
	return a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
}

/* The whole of `text` as a decimal number up to `max`; 0 or -EINVAL. */
static inline int net_parse_number(const char *text, uint64_t max, uint64_t *ret_number)
{
	unsigned long long number;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	number = strtoull(text, &end, 10);
	if (errno || *end || number > max)
		return -EINVAL;
	*ret_number = number;
	return 0;
}

/* An address without a port, which becomes 0. 0 or -EINVAL. */
static inline int net_parse_address(const char *text, union net_address *ret_address)
{
	union net_address address = {};

	if (inet_pton(AF_INET, text, &address.v4.sin_addr) == 1)
		address.any.sa_family = AF_INET;
	else if (inet_pton(AF_INET6, text, &address.v6.sin6_addr) == 1)
		address.any.sa_family = AF_INET6;
	else
		return -EINVAL;
	*ret_address = address;
	return 0;
}

/* "10.0.0.1:80", "[fd00::1]:80", and a range of ports as "10.0.0.1:80-99". 0 or -EINVAL. */
static inline int net_parse_range(const char *text, union net_address *ret_first,
				  uint16_t *ret_last_port)
{
	char copy[NET_TEXT_LEN + 8], *address = copy, *port, *last;
	uint64_t first_number, last_number;
	union net_address first;

	if (snprintf(copy, sizeof(copy), "%s", text) >= (int)sizeof(copy))
		return -EINVAL;
	port = strrchr(copy, ':');
	if (!port)
		return -EINVAL;
	*port++ = 0;
	if (*address == '[') {
		if (address[strlen(address) - 1] != ']')
			return -EINVAL;
		address[strlen(address) - 1] = 0;
		address++;
	}
	if (net_parse_address(address, &first) ||
	    (address == copy) != (first.any.sa_family == AF_INET))
		return -EINVAL;
	last = strchr(port, '-');
	if (last)
		*last++ = 0;
	if (net_parse_number(port, 65535, &first_number) ||
	    net_parse_number(last ? last : port, 65535, &last_number) || !first_number ||
	    last_number < first_number)
		return -EINVAL;
	net_set_port(&first, first_number);
	*ret_first = first;
	*ret_last_port = last_number;
	return 0;
}

/* Address and port as text; `text` holds NET_TEXT_LEN bytes and is returned. */
static inline const char *net_format(const union net_address *address, char *text)
{
	char ip[INET6_ADDRSTRLEN];

	if (address->any.sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &address->v6.sin6_addr, ip, sizeof(ip));
		snprintf(text, NET_TEXT_LEN, "[%s]:%u", ip, net_port(address));
	} else {
		inet_ntop(AF_INET, &address->v4.sin_addr, ip, sizeof(ip));
		snprintf(text, NET_TEXT_LEN, "%s:%u", ip, net_port(address));
	}
	return text;
}

/*
 * The byte at `offset` of every generated body. It repeats after 2^32 bytes only, so a segment or
 * page that comes twice, or not at all, never looks right.
 */
static inline uint8_t net_pattern(uint64_t offset)
{
	return ((uint32_t)offset * 2654435761u) >> 24;
}

static inline void net_fill_pattern(uint8_t *to, uint64_t offset, size_t len)
{
	for (size_t i = 0; i < len; i++)
		to[i] = net_pattern(offset + i);
}

static inline uint64_t net_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000ull + now.tv_nsec / 1000;
}

/* As many open files as we may have: each connection is one. */
static inline void net_raise_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

#endif
