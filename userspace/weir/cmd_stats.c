/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* cmd_stats.c - weir stats: totals, or with --watch the rates between two looks. */
#include "datapath/stats.h"
#include "weir/cmd.h"
#include "weir/print.h"
#include "weir/request.h"
#include "weir/table.h"
#include "weir/view.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The counters in the order of the columns. */
static const size_t fields[] = {
	offsetof(struct weir_counters, chosen),
	offsetof(struct weir_counters, opened),
	offsetof(struct weir_counters, closed),
	offsetof(struct weir_counters, revived),
	offsetof(struct weir_counters, forward_packets),
	offsetof(struct weir_counters, forward_bytes),
	offsetof(struct weir_counters, reply_packets),
	offsetof(struct weir_counters, reply_bytes),
};
#define FIELDS (sizeof(fields) / sizeof(fields[0]))
_Static_assert(sizeof(struct weir_counters) == FIELDS * sizeof(__u64), "every counter is shown");

#define COLUMNS(suffix, heading_suffix)                                                       \
	{                                                                                     \
		{"service", "SERVICE", COLUMN_TEXT}, {"backend", "BACKEND", COLUMN_TEXT},     \
			{"active", "ACTIVE", COLUMN_NUMBER},                                  \
			{"chosen" suffix, "CHOSEN" heading_suffix, COLUMN_NUMBER},            \
			{"opened" suffix, "OPENED" heading_suffix, COLUMN_NUMBER},            \
			{"closed" suffix, "CLOSED" heading_suffix, COLUMN_NUMBER},            \
			{"revived" suffix, "REVIVED" heading_suffix, COLUMN_NUMBER},          \
			{"forward_packets" suffix, "FWD-PKTS" heading_suffix, COLUMN_NUMBER}, \
			{"forward_bytes" suffix, "FWD-BYTES" heading_suffix, COLUMN_NUMBER},  \
			{"reply_packets" suffix, "RPL-PKTS" heading_suffix, COLUMN_NUMBER},   \
			{"reply_bytes" suffix, "RPL-BYTES" heading_suffix, COLUMN_NUMBER},    \
		{                                                                             \
		}                                                                             \
	}

static const struct column total_columns[] = COLUMNS("", "");
static const struct column rate_columns[] = COLUMNS("_per_s", "/s");

/* A backend at one moment. */
struct sample {
	__u32 id;
	__u8 generation; /* the id may be another backend's at the next look */
	__u32 active;
	__u64 values[FIELDS];
};

struct look {
	struct sample *samples; /* owned; by id, once it is complete */
	size_t count, room;
	uint64_t at_ns;
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void free_look(struct look *look)
{
	free(look->samples);
	*look = (struct look){};
}

static struct sample *take_sample(struct maps *maps, __u32 id, struct look *look)
{
	struct weir_counters sum;
	struct sample *sample;

	if (look->count == look->room) {
		size_t room = look->room ? look->room * 2 : 64;
		struct sample *more = reallocarray(look->samples, room, sizeof(*more));

		if (!more)
			return NULL;
		look->samples = more;
		look->room = room;
	}
	sample = &look->samples[look->count++];
	*sample = (struct sample){.id = id, .generation = maps_backends(maps)[id].generation};
	stats_backend(maps, id, &sum, &sample->active);
	for (size_t i = 0; i < FIELDS; i++)
		memcpy(&sample->values[i], (const char *)&sum + fields[i], sizeof(__u64));
	return sample;
}

static int compare_samples(const void *a, const void *b)
{
	const struct sample *one = a, *other = b;

	return (one->id > other->id) - (one->id < other->id);
}

/* What was counted since the last look; all of it for a backend that is new since then. */
static void subtract(const struct look *last, struct sample *sample, uint64_t elapsed_ns)
{
	const struct sample *before = NULL;

	if (last->count)
		before = bsearch(sample, last->samples, last->count, sizeof(*sample),
				 compare_samples);
	if (before && before->generation != sample->generation)
		before = NULL;
	for (size_t i = 0; i < FIELDS; i++) {
		__u64 counted = sample->values[i] - (before ? before->values[i] : 0);

		sample->values[i] = (__u64)((double)counted * 1e9 / (double)elapsed_ns + 0.5);
	}
}

static void add_row(struct table *table, const char *service, const char *backend,
		    const struct sample *sample)
{
	table_add_text(table, service);
	if (backend)
		table_add_text(table, backend);
	else
		table_add_absent(table);
	table_add_number(table, sample->active);
	for (size_t i = 0; i < FIELDS; i++)
		table_add_number(table, sample->values[i]);
}

/* The sum of a service, then its backends. `last` NULL: totals. */
static int add_stats(struct maps *maps, __u32 service, const struct look *last, struct look *look,
		     struct table *table)
{
	const char *name = view_service_name(maps, service);
	char text[ENDPOINT_TEXT_LEN];
	struct sample sum = {}, *shown;
	size_t count;
	__u32 *ids;
	int code = view_backends(maps, service, &ids, &count);

	if (code)
		return code;
	shown = calloc(count + 1, sizeof(*shown));
	for (size_t i = 0; shown && i < count; i++) {
		const struct sample *sample = take_sample(maps, ids[i], look);

		if (!sample) {
			free(shown);
			shown = NULL;
			break;
		}
		shown[i] = *sample;
		if (last)
			subtract(last, &shown[i], look->at_ns - last->at_ns);
		sum.active += shown[i].active;
		for (size_t field = 0; field < FIELDS; field++)
			sum.values[field] += shown[i].values[field];
	}
	if (shown)
		add_row(table, name, NULL, &sum);
	for (size_t i = 0; shown && i < count; i++)
		add_row(table, name, view_endpoint(maps, ids[i], text), &shown[i]);
	code = shown ? EXIT_DONE : print_no_memory();
	free(shown);
	free(ids);
	return code;
}

/* One look at the services that are asked for, into a table of totals or of rates since `last`. */
static int look_around(const char *name, const struct look *last, struct look *look,
		       struct table *ret_table)
{
	struct maps *maps;
	__u32 *ids = NULL;
	size_t count = 0;
	int code = view_open(&maps);

	table_init(ret_table, last ? rate_columns : total_columns);
	if (code)
		return code;
	look->at_ns = now_ns();
	code = view_services(maps, name, &ids, &count);
	for (size_t i = 0; !code && i < count; i++)
		code = add_stats(maps, ids[i], last, look, ret_table);
	if (look->count)
		qsort(look->samples, look->count, sizeof(*look->samples), compare_samples);
	free(ids);
	maps_close(maps);
	return code;
}

static volatile sig_atomic_t is_over;

static void end_watch(int signal)
{
	is_over = 1;
}

static void catch_signals(void)
{
	struct sigaction action = {.sa_handler = end_watch};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

static void wait_until(uint64_t at_ns)
{
	struct timespec at = {
		.tv_sec = (time_t)(at_ns / 1000000000),
		.tv_nsec = (long)(at_ns % 1000000000),
	};

	while (!is_over && clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
		;
}

/* One document a line, or tables with a blank line between them. */
static int print_round(const struct table *table, bool is_json, bool is_first)
{
	int code;

	if (!is_json && !is_first)
		putchar('\n');
	code = is_json ? table_print_json(table, stdout, ", ") : table_print_text(table, stdout);
	return code ? code : print_flush();
}

/* Every round opens the maps anew: they may have been loaded again meanwhile. */
static int watch(const struct request *request)
{
	struct look last = {}, next = {};
	struct table table;
	bool is_first = true;
	int code;

	catch_signals();
	code = look_around(request->operands[0], NULL, &last, &table);
	table_free(&table);
	while (!code) {
		wait_until(last.at_ns + (uint64_t)request->watch_s * 1000000000);
		if (is_over)
			break;
		code = look_around(request->operands[0], &last, &next, &table);
		if (!code)
			code = print_round(&table, request_has(request, OPTION_JSON), is_first);
		table_free(&table);
		free_look(&last);
		last = next;
		next = (struct look){};
		is_first = false;
	}
	free_look(&last);
	return code;
}

int cmd_stats(const struct request *request)
{
	struct table table;
	struct look look = {};
	int code;

	if (request_has(request, OPTION_WATCH))
		return watch(request);
	code = look_around(request->operands[0], NULL, &look, &table);
	if (!code)
		code = table_print(&table, request_has(request, OPTION_JSON));
	table_free(&table);
	free_look(&look);
	return code;
}
