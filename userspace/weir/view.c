/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* view.c - see view.h. */
#include "weir/view.h"

#include "datapath/installed.h"
#include "model/service.h"
#include "weir/commands.h"
#include "weir/print.h"
#include "weir/session.h"
#include "weir/table.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int view_open(struct maps **ret_maps)
{
	struct maps *maps;
	int code = session_read(&maps);

	if (code)
		return code;
	if (!maps_services(maps) || !maps_service_info(maps) || !maps_frontends(maps) ||
	    !maps_backends(maps) || !maps_backend_info(maps) || !maps_gauges(maps) ||
	    !maps_counters(maps)) {
		code = print_fail("%s: cannot map the arrays: %s", maps->directory,
				  strerror(errno));
		maps_close(maps);
		return code;
	}
	*ret_maps = maps;
	return EXIT_DONE;
}

static bool is_service(struct maps *maps, __u32 id)
{
	return id < maps->settings->services &&
	       maps_services(maps)[id].flags & WEIR_SERVICE_VALID &&
	       maps_service_info(maps)[id].name[0];
}

const char *view_service_name(struct maps *maps, __u32 service)
{
	return is_service(maps, service) ? maps_service_info(maps)[service].name : "";
}

bool view_is_leaving(struct maps *maps, __u32 service)
{
	return maps_service_info(maps)[service].is_leaving;
}

static int compare_services(const void *a, const void *b, void *maps)
{
	const struct weir_service_info *infos = maps_service_info((struct maps *)maps);

	return strncmp(infos[*(const __u32 *)a].name, infos[*(const __u32 *)b].name, WEIR_NAME_LEN);
}

static int collect_services(struct maps *maps, __u32 **ret_ids, size_t *ret_count)
{
	__u32 *ids = calloc(maps->settings->services + 1, sizeof(*ids));
	size_t count = 0;

	if (!ids)
		return print_no_memory();
	for (__u32 id = 0; id < maps->settings->services; id++) {
		if (is_service(maps, id))
			ids[count++] = id;
	}
	qsort_r(ids, count, sizeof(*ids), compare_services, maps);
	*ret_ids = ids;
	*ret_count = count;
	return EXIT_DONE;
}

int view_services(struct maps *maps, const char *name, __u32 **ret_ids, size_t *ret_count)
{
	__u32 *ids, id;

	if (!name)
		return collect_services(maps, ret_ids, ret_count);
	id = installed_service_id(maps, name);
	if (id == WEIR_NONE || !is_service(maps, id))
		return print_fail("no service %s", name);
	ids = malloc(sizeof(*ids));
	if (!ids)
		return print_no_memory();
	*ids = id;
	*ret_ids = ids;
	*ret_count = 1;
	return EXIT_DONE;
}

static int compare_backend_ids(const void *a, const void *b, void *maps)
{
	const struct weir_backend *backends = maps_backends((struct maps *)maps);
	const struct weir_backend *one = &backends[*(const __u32 *)a];
	const struct weir_backend *other = &backends[*(const __u32 *)b];
	int order = memcmp(&one->address, &other->address, sizeof(one->address));

	return order ? order : (int)ntohs(one->port) - (int)ntohs(other->port);
}

/* A list that changes under the walk may be longer than it says; it is cut there. */
int view_backends(struct maps *maps, __u32 service, __u32 **ret_ids, size_t *ret_count)
{
	size_t room = maps_service_info(maps)[service].backends, count = 0;
	__u32 id = installed_first_backend(maps, service);
	__u32 *ids = calloc(room + 1, sizeof(*ids));

	if (!ids)
		return print_no_memory();
	for (size_t left = room; id != WEIR_NONE && left; left--) {
		if (maps_backends(maps)[id].service == service)
			ids[count++] = id;
		id = installed_next_backend(maps, id);
	}
	qsort_r(ids, count, sizeof(*ids), compare_backend_ids, maps);
	*ret_ids = ids;
	*ret_count = count;
	return EXIT_DONE;
}

const char *view_endpoint(struct maps *maps, __u32 backend, char *text)
{
	const struct weir_backend *entry = &maps_backends(maps)[backend];
	struct addr addr;

	memcpy(&addr, &entry->address, sizeof(addr));
	return endpoint_format(&addr, ntohs(entry->port), text);
}

const char *view_state(struct maps *maps, __u32 backend)
{
	static const struct {
		__u32 reason;
		const char *state;
	} states[] = {
		{WEIR_REASON_GONE, "leaving"},    {WEIR_REASON_DRAINED, "drained"},
		{WEIR_REASON_DOWN, "down"},       {WEIR_REASON_EJECTED, "ejected"},
		{WEIR_REASON_WEIGHT, "weight-0"},
	};
	__u32 reasons = maps_backends(maps)[backend].reasons;

	if (maps_backend_info(maps)[backend].is_leaving)
		return "leaving";
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		if (reasons & states[i].reason)
			return states[i].state;
	}
	return "usable";
}

bool view_is_usable(struct maps *maps, __u32 backend)
{
	return !maps_backends(maps)[backend].reasons &&
	       !maps_backend_info(maps)[backend].is_leaving;
}

uint64_t view_time_left(struct maps *maps, __u32 backend)
{
	__u64 gone_at = maps_backends(maps)[backend].gone_at, now_ns;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	now_ns = (__u64)now.tv_sec * 1000000000 + (__u64)now.tv_nsec;
	return gone_at > now_ns ? (gone_at - now_ns) / 1000000 : 0;
}

static int compare_frontends(const void *a, const void *b, void *maps)
{
	const struct weir_frontend *frontends = maps_frontends((struct maps *)maps);
	const struct weir_frontend *one = &frontends[*(const __u32 *)a];
	const struct weir_frontend *other = &frontends[*(const __u32 *)b];
	int order = memcmp(&one->vip, &other->vip, sizeof(one->vip));

	return order ? order : (int)ntohs(one->port) - (int)ntohs(other->port);
}

/* Ids of its VIPs, sorted; a leaving service has none as far as new connections go. */
static size_t list_frontends(struct maps *maps, __u32 service, __u32 *ids, size_t room)
{
	const struct weir_frontend *frontends = maps_frontends(maps);
	__u32 id = maps_service_info(maps)[service].first_frontend;
	size_t count = 0;

	for (; room && id < maps->settings->frontends; room--, id = frontends[id].next) {
		if (frontends[id].flags & WEIR_FRONTEND_VALID && frontends[id].service == service)
			ids[count++] = id;
	}
	qsort_r(ids, count, sizeof(*ids), compare_frontends, maps);
	return view_is_leaving(maps, service) ? 0 : count;
}

/* "10.96.0.10:80,10.96.0.11:80", owned by the caller; NULL without memory. */
static char *join_vips(struct maps *maps, __u32 service)
{
	size_t room = maps_service_info(maps)[service].frontends, count = 0, len = 0;
	__u32 *ids = calloc(room + 1, sizeof(*ids));
	char *text = calloc(room + 1, ENDPOINT_TEXT_LEN), endpoint[ENDPOINT_TEXT_LEN];
	struct addr addr;

	if (ids && text)
		count = list_frontends(maps, service, ids, room);
	for (size_t i = 0; i < count; i++) {
		const struct weir_frontend *frontend = &maps_frontends(maps)[ids[i]];

		memcpy(&addr, &frontend->vip, sizeof(addr));
		len += sprintf(text + len, "%s%s", len ? "," : "",
			       endpoint_format(&addr, ntohs(frontend->port), endpoint));
	}
	free(ids);
	return text;
}

static const struct column service_columns[] = {
	{"service", "SERVICE", COLUMN_TEXT},
	{"protocol", "PROTOCOL", COLUMN_TEXT},
	{"path", "PATH", COLUMN_TEXT},
	{"backends", "BACKENDS", COLUMN_NUMBER},
	{"usable", "USABLE", COLUMN_NUMBER},
	{"active", "ACTIVE", COLUMN_NUMBER},
	{"state", "STATE", COLUMN_TEXT},
	{"vips", "VIPS", COLUMN_LIST},
	{},
};

static int add_service(struct maps *maps, __u32 id, struct table *table)
{
	size_t count, usable = 0;
	__u64 active = 0;
	__u32 *backends;
	char *vips;
	int code = view_backends(maps, id, &backends, &count);

	if (code)
		return code;
	for (size_t i = 0; i < count; i++) {
		usable += view_is_usable(maps, backends[i]);
		active += maps_gauges(maps)[backends[i]].active;
	}
	free(backends);
	vips = join_vips(maps, id);
	if (!vips)
		return print_no_memory();
	table_add_text(table, view_service_name(maps, id));
	table_add_text(table, protocol_name(maps_service_info(maps)[id].protocol));
	table_add_text(table, path_name(maps_service_info(maps)[id].path));
	table_add_number(table, count);
	table_add_number(table, usable);
	table_add_number(table, active);
	table_add_text(table, view_is_leaving(maps, id) ? "leaving"
			      : usable                  ? "serving"
							: "refusing");
	table_add_text(table, vips);
	free(vips);
	return EXIT_DONE;
}

static const struct column backend_columns[] = {
	{"service", "SERVICE", COLUMN_TEXT},
	{"backend", "BACKEND", COLUMN_TEXT},
	{"weight", "WEIGHT", COLUMN_NUMBER},
	{"state", "STATE", COLUMN_TEXT},
	{"leaves_in_ms", "LEFT", COLUMN_MS},
	{"active", "ACTIVE", COLUMN_NUMBER},
	{"zone", "ZONE", COLUMN_TEXT},
	{"labels", "LABELS", COLUMN_LABELS},
	{},
};

static void add_backend_row(struct maps *maps, __u32 service, __u32 id, struct table *table)
{
	const struct weir_backend_info *info = &maps_backend_info(maps)[id];
	char text[ENDPOINT_TEXT_LEN];

	table_add_text(table, view_service_name(maps, service));
	table_add_text(table, view_endpoint(maps, id, text));
	table_add_number(table, info->weight);
	table_add_text(table, view_state(maps, id));
	if (info->is_leaving)
		table_add_number(table, view_time_left(maps, id));
	else
		table_add_absent(table);
	table_add_number(table, maps_gauges(maps)[id].active);
	if (*info->zone)
		table_add_text(table, info->zone);
	else
		table_add_absent(table);
	table_add_text(table, info->labels);
}

static int add_backends(struct maps *maps, __u32 service, struct table *table)
{
	__u32 *ids;
	size_t count;
	int code = view_backends(maps, service, &ids, &count);

	if (code)
		return code;
	for (size_t i = 0; i < count; i++)
		add_backend_row(maps, service, ids[i], table);
	free(ids);
	return EXIT_DONE;
}

/* A table of all services, or of one; `add` puts in what it is about. */
static int fill(struct maps *maps, const char *name, const struct column *columns,
		int (*add)(struct maps *maps, __u32 service, struct table *table),
		struct table *ret_table)
{
	__u32 *ids;
	size_t count;
	int code = view_services(maps, name, &ids, &count);

	if (code)
		return code;
	table_init(ret_table, columns);
	for (size_t i = 0; !code && i < count; i++)
		code = add(maps, ids[i], ret_table);
	free(ids);
	if (code)
		table_free(ret_table);
	return code;
}

int view_table_services(struct maps *maps, struct table *ret_table)
{
	return fill(maps, NULL, service_columns, add_service, ret_table);
}

int view_table_backends(struct maps *maps, const char *name, struct table *ret_table)
{
	return fill(maps, name, backend_columns, add_backends, ret_table);
}
