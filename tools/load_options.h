/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * load_options.h - the command line of load.c: what may be asked (`rows`), what was asked
 * (`options`), and the text of the request that follows from it. Leaves the program on bad usage.
 */
#ifndef TOOLS_LOAD_OPTIONS_H
#define TOOLS_LOAD_OPTIONS_H

#include "net.h"

#include <getopt.h>

enum body {
	BODY_NAME,
	BODY_PATTERN,
	BODY_ECHO
};

static struct {
	bool is_udp, is_json, same_socket, check_client;
	union net_address target;
	union net_address source; /* family 0: the kernel's choice */
	unsigned int sources; /* addresses from `source` on */
	const char *path, *until_file;
	uint64_t requests, concurrency, keepalive, hold, timeout_ms, size, source_port;
	double rate; /* requests/s; 0: as fast as it goes */
	double duration_s; /* 0: no limit */
	enum body body;
	uint64_t body_len; /* of BODY_PATTERN and BODY_ECHO */
} options = {.path = "/", .keepalive = 1, .timeout_ms = 5000};

static char request[2][512]; /* header that keeps the connection, that closes it */

struct option_row {
	const char *name;
	const char *argument; /* NULL: none */
	const char *help;
	void (*set)(const struct option_row *row, const char *value);
	void *to;
	uint64_t min, max; /* of a number */
};

static void usage(void);

static void set_flag(const struct option_row *row, const char *value)
{
	(void)value;
	*(bool *)row->to = true;
}

static void set_text(const struct option_row *row, const char *value)
{
	*(const char **)row->to = value;
}

static void set_number(const struct option_row *row, const char *value)
{
	if (!net_parse_number(value, row->max, row->to) && *(uint64_t *)row->to >= row->min)
		return;
	fprintf(stderr, "load: --%s: got '%s', wanted %llu to %llu\n", row->name, value,
		(unsigned long long)row->min, (unsigned long long)row->max);
	exit(2);
}

static void set_real(const struct option_row *row, const char *value)
{
	char *end;
	double number = strtod(value, &end);

	if (*end || end == value || !(number > 0 && number < 1e9)) {
		fprintf(stderr, "load: --%s: got '%s', wanted a number above 0\n", row->name,
			value);
		exit(2);
	}
	*(double *)row->to = number;
}

static void set_target(const struct option_row *row, const char *value)
{
	uint16_t last;

	if (options.target.any.sa_family || net_parse_range(value, &options.target, &last) ||
	    last != net_port(&options.target)) {
		fprintf(stderr, "load: --%s: got '%s', wanted one ADDRESS:PORT or [ADDRESS]:PORT\n",
			row->name, value);
		exit(2);
	}
	options.is_udp = *row->name == 'u';
}

/* "10.1.0.2-9" is 10.1.0.2 to 10.1.0.9; "fd00::2-9" fd00::2 to fd00::9 (one byte, hex). */
static void set_source(const struct option_row *row, const char *value)
{
	char copy[NET_TEXT_LEN], *last, *end = NULL;
	unsigned long first_part, last_part;
	int base;

	snprintf(copy, sizeof(copy), "%s", value);
	last = strchr(copy, '-');
	if (last)
		*last++ = 0;
	if (net_parse_address(copy, &options.source))
		goto bad;
	options.sources = 1;
	if (!last)
		return;
	base = options.source.any.sa_family == AF_INET ? 10 : 16;
	first_part = base == 10 ? ntohl(options.source.v4.sin_addr.s_addr) & 0xff
				: options.source.v6.sin6_addr.s6_addr[15];
	last_part = strtoul(last, &end, base);
	if (end == last || *end || last_part > 255 || last_part < first_part)
		goto bad;
	options.sources = last_part - first_part + 1;
	return;
bad:
	fprintf(stderr, "load: --%s: got '%s', wanted ADDRESS or ADDRESS-LAST\n", row->name, value);
	exit(2);
}

/* clang-format off */
static const struct option_row rows[] = {
	{ .name = "tcp", .argument = "ADDR:PORT", .set = set_target,
	  .help = "HTTP requests to ADDR:PORT or [ADDR]:PORT" },
	{ .name = "udp", .argument = "ADDR:PORT", .set = set_target,
	  .help = "one datagram for each request" },
	{ .name = "requests", .argument = "N",
	  .set = set_number, .to = &options.requests, .min = 1, .max = UINT32_MAX,
	  .help = "stop after N requests (default 1)" },
	{ .name = "duration", .argument = "S", .set = set_real, .to = &options.duration_s,
	  .help = "stop after S seconds" },
	{ .name = "until-file", .argument = "PATH", .set = set_text, .to = &options.until_file,
	  .help = "stop when PATH exists" },
	{ .name = "concurrency", .argument = "C",
	  .set = set_number, .to = &options.concurrency, .min = 1, .max = 100000,
	  .help = "at most C requests at a time (default 1, with --hold 64)" },
	{ .name = "rate", .argument = "R", .set = set_real, .to = &options.rate,
	  .help = "start R requests a second" },
	{ .name = "keepalive", .argument = "K",
	  .set = set_number, .to = &options.keepalive, .min = 1, .max = UINT32_MAX,
	  .help = "TCP: K requests on each connection (default 1)" },
	{ .name = "path", .argument = "PATH", .set = set_text, .to = &options.path,
	  .help = "TCP: /, /bytes/N, /slow/MS, /echo (default /)" },
	{ .name = "size", .argument = "N",
	  .set = set_number, .to = &options.size, .min = 0, .max = 64 << 20,
	  .help = "bytes of the /echo body, or at least so many of the datagram" },
	{ .name = "same-socket", .set = set_flag, .to = &options.same_socket,
	  .help = "UDP: each caller keeps its socket" },
	{ .name = "source", .argument = "ADDR[-N]", .set = set_source,
	  .help = "from ADDR; or from ADDR to last part N, in turn" },
	{ .name = "source-port", .argument = "P",
	  .set = set_number, .to = &options.source_port, .min = 1, .max = 65535,
	  .help = "from this port" },
	{ .name = "timeout", .argument = "MS",
	  .set = set_number, .to = &options.timeout_ms, .min = 1, .max = 3600000,
	  .help = "for a whole request (default 5000)" },
	{ .name = "check-client", .set = set_flag, .to = &options.check_client,
	  .help = "the server must have seen our own address and port" },
	{ .name = "hold", .argument = "N",
	  .set = set_number, .to = &options.hold, .min = 1, .max = 100000,
	  .help = "open N connections, prove each, print `holding N`, wait for\n"
		  "                           SIGUSR1 or a line on stdin, prove each again" },
	{ .name = "json", .set = set_flag, .to = &options.is_json,
	  .help = "results as one JSON object" },
};
/* clang-format on */

#define ROWS (sizeof(rows) / sizeof(*rows))

static void usage(void)
{
	fputs("usage: load --tcp|--udp ADDR:PORT [OPTION...]\n", stderr);
	for (size_t i = 0; i < ROWS; i++)
		fprintf(stderr, "  --%-12s %-10s %s\n", rows[i].name,
			rows[i].argument ? rows[i].argument : "", rows[i].help);
	exit(2);
}

/* What an answer to --path must hold, and the request that asks for it. */
static void plan_request(void)
{
	char target[NET_TEXT_LEN], length[48] = "";

	if (!strncmp(options.path, "/bytes/", 7)) {
		options.body = BODY_PATTERN;
		if (net_parse_number(options.path + 7, 1ull << 40, &options.body_len))
			usage();
	} else if (!strcmp(options.path, "/echo")) {
		options.body = BODY_ECHO;
		options.body_len = options.size;
		snprintf(length, sizeof(length), "Content-Length: %llu\r\n",
			 (unsigned long long)options.size);
	}
	for (int is_last = 0; is_last < 2; is_last++)
		if (snprintf(request[is_last], sizeof(request[0]),
			     "%s %s HTTP/1.1\r\nHost: %s\r\n%sConnection: %s\r\n\r\n",
			     options.body == BODY_ECHO ? "POST" : "GET", options.path,
			     net_format(&options.target, target), length,
			     is_last ? "close" : "keep-alive") >= (int)sizeof(request[0]))
			usage();
}

static void settle_options(void)
{
	if (!options.target.any.sa_family || (options.is_udp && options.size > 65000) ||
	    (options.source.any.sa_family &&
	     options.source.any.sa_family != options.target.any.sa_family))
		usage();
	if (!options.sources)
		options.sources = 1;
	if (!options.requests)
		options.requests = options.duration_s || options.until_file ? UINT64_MAX : 1;
	if (!options.concurrency)
		options.concurrency = options.hold ? 64 : 1;
	if (options.is_udp)
		options.keepalive = options.same_socket ? UINT64_MAX : 1;
	if (options.hold)
		options.keepalive = UINT64_MAX;
	plan_request();
}

static void parse_options(int argc, char **argv)
{
	struct option known[ROWS + 1] = {};
	int index;

	for (size_t i = 0; i < ROWS; i++) {
		known[i].name = rows[i].name;
		known[i].has_arg = rows[i].argument ? required_argument : no_argument;
	}
	for (;;) {
		int found = getopt_long(argc, argv, "", known, &index);

		if (found == -1)
			break;
		if (found)
			usage();
		rows[index].set(&rows[index], optarg);
	}
	if (optind != argc)
		usage();
	settle_options();
}

#endif
