/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* load_counts.h - what load.c counts, and how it is printed: `key value` lines or JSON. */
#ifndef TOOLS_LOAD_COUNTS_H
#define TOOLS_LOAD_COUNTS_H

#include "load_options.h"

#define NAMES_MAX 4096 /* different backends */

enum failure {
	FAILURE_REFUSED,
	FAILURE_TIMEOUT,
	FAILURE_RESET,
	FAILURE_SHORT,
	FAILURE_WRONG,
	FAILURE_UNREACHABLE,
	FAILURE_OTHER,
	FAILURE_COUNT,
};

static const char *const failures[] = {
	[FAILURE_REFUSED] = "refused", /* RST to the SYN; UDP: port unreachable */
	[FAILURE_TIMEOUT] = "timeout", /* not done within --timeout */
	[FAILURE_RESET] = "reset", /* RST later */
	[FAILURE_SHORT] = "short", /* closed before the answer was complete */
	[FAILURE_WRONG] = "wrong", /* an answer, but not the right one */
	[FAILURE_UNREACHABLE] = "unreachable", /* no route, or ICMP said so */
	[FAILURE_OTHER] = "other", /* told on stderr */
};

static struct {
	uint64_t issued, good, connections, moved, held, survived;
	uint64_t failed[FAILURE_COUNT];
	uint32_t *latencies; /* us, one for each good request */
	size_t latencies_max;
	struct {
		char name[NET_NAME_LEN];
		uint64_t count;
	} backends[NAMES_MAX];
	unsigned int backend_count;
} counts;

static void die(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void count_latency(uint64_t us)
{
	if (counts.good == counts.latencies_max) {
		counts.latencies_max = counts.latencies_max ? 2 * counts.latencies_max : 1024;
		counts.latencies =
			realloc(counts.latencies, counts.latencies_max * sizeof(*counts.latencies));
		if (!counts.latencies)
			die("realloc");
	}
	counts.latencies[counts.good] = us < UINT32_MAX ? us : UINT32_MAX;
}

static void count_backend(const char *name)
{
	unsigned int i;

	for (i = 0; i < counts.backend_count; i++)
		if (!strcmp(counts.backends[i].name, name))
			break;
	if (i == NAMES_MAX) {
		fprintf(stderr, "load: more than %d different backends\n", NAMES_MAX);
		exit(1);
	}
	if (i == counts.backend_count) {
		snprintf(counts.backends[i].name, NET_NAME_LEN, "%s", name);
		counts.backend_count++;
	}
	counts.backends[i].count++;
}

static uint64_t count_failed(void)
{
	uint64_t failed = 0;

	for (int i = 0; i < FAILURE_COUNT; i++)
		failed += counts.failed[i];
	return failed;
}

static int compare_latency(const void *a, const void *b)
{
	uint32_t one = *(const uint32_t *)a, other = *(const uint32_t *)b;

	return one < other ? -1 : one > other;
}

/* The smallest latency that `percent` of the good requests did not exceed. */
static uint64_t percentile(unsigned int percent)
{
	uint64_t rank = (counts.good * percent + 99) / 100;

	return counts.good ? counts.latencies[rank ? rank - 1 : 0] : 0;
}

static void print_number(const char *key, uint64_t value)
{
	static bool is_later;

	if (options.is_json)
		printf("%s\"%s\": %llu", is_later ? ", " : "{", key, (unsigned long long)value);
	else
		printf("%s %llu\n", key, (unsigned long long)value);
	is_later = true;
}

static void print_backends(void)
{
	if (options.is_json)
		printf(", \"backends\": {");
	for (unsigned int i = 0; i < counts.backend_count; i++)
		printf(options.is_json ? "%s\"%s\": %llu" : "%sbackend %s %llu\n",
		       options.is_json && i ? ", " : "", counts.backends[i].name,
		       (unsigned long long)counts.backends[i].count);
	if (options.is_json)
		printf("}}\n");
}

static void print_results(uint64_t us)
{
	if (counts.good)
		qsort(counts.latencies, counts.good, sizeof(*counts.latencies), compare_latency);
	print_number("requests", counts.good + count_failed());
	print_number("ok", counts.good);
	print_number("failed", count_failed());
	for (int i = 0; i < FAILURE_COUNT; i++)
		print_number(failures[i], counts.failed[i]);
	print_number("connections", counts.connections);
	print_number("moved", counts.moved);
	if (options.hold) {
		print_number("held", counts.held);
		print_number("survived", counts.survived);
	}
	print_number("elapsed_us", us);
	print_number("latency_min_us", percentile(0));
	print_number("latency_p50_us", percentile(50));
	print_number("latency_p99_us", percentile(99));
	print_number("latency_max_us", percentile(100));
	print_backends();
}

#endif
