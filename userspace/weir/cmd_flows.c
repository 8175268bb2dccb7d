/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* cmd_flows.c - weir flows: the connections in the flow table, filtered. */
#include "base/err.h"
#include "base/num.h"
#include "datapath/installed.h"
#include "datapath/stats.h"
#include "model/service.h"
#include "weir/cmd.h"
#include "weir/print.h"
#include "weir/request.h"
#include "weir/table.h"
#include "weir/view.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct filter {
	const char *service; /* NULL: any */
	__u32 service_id;
	bool has_backend, has_client;
	struct addr backend, client;
	uint16_t backend_port; /* 0: any */
	uint64_t limit;
};

struct collection {
	struct maps *maps;
	struct filter filter;
	struct stats_flow *flows; /* owned */
	size_t count, room;
};

static int read_filter(const struct request *request, struct filter *filter)
{
	const char *backend = request_value(request, "backend");
	const char *client = request_value(request, "client");
	const char *limit = request_value(request, "limit");
	struct err err = {};

	*filter = (struct filter){.service = request_value(request, "service"), .limit = SIZE_MAX};
	filter->has_backend = backend;
	filter->has_client = client;
	if (backend && endpoint_parse(backend, &filter->backend, &filter->backend_port, &err))
		return request_misuse(request, "backend: %s", err.text);
	if (client && addr_parse(client, &filter->client, &err))
		return request_misuse(request, "client: %s", err.text);
	if (limit && num_parse(limit, 1, UINT32_MAX, &filter->limit, &err))
		return request_misuse(request, "limit: %s", err.text);
	return EXIT_DONE;
}

static bool is_asked_for(const struct filter *filter, const struct stats_flow *flow)
{
	if (filter->service && flow->service != filter->service_id)
		return false;
	if (filter->has_client && !addr_equal(&flow->client, &filter->client))
		return false;
	if (filter->has_backend &&
	    (!addr_equal(&flow->backend_addr, &filter->backend) ||
	     (filter->backend_port && flow->backend_port != filter->backend_port)))
		return false;
	return true;
}

/* 1: that is enough. */
static int collect_flow(const struct stats_flow *flow, void *arg)
{
	struct collection *collection = arg;

	if (!is_asked_for(&collection->filter, flow))
		return 0;
	if (collection->count == collection->room) {
		size_t room = collection->room ? collection->room * 2 : 256;
		struct stats_flow *more = reallocarray(collection->flows, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		collection->flows = more;
		collection->room = room;
	}
	collection->flows[collection->count++] = *flow;
	return collection->count >= collection->filter.limit;
}

static int compare_flows(const void *a, const void *b, void *maps)
{
	const struct stats_flow *one = a, *other = b;
	int order = strcmp(view_service_name(maps, one->service),
			   view_service_name(maps, other->service));

	if (!order)
		order = addr_compare(&one->client, &other->client);
	if (!order)
		order = (int)one->client_port - (int)other->client_port;
	if (!order)
		order = addr_compare(&one->vip, &other->vip);
	return order ? order : (int)one->vip_port - (int)other->vip_port;
}

static const struct column flow_columns[] = {
	{"service", "SERVICE", COLUMN_TEXT},
	{"protocol", "PROTOCOL", COLUMN_TEXT},
	{"client", "CLIENT", COLUMN_TEXT},
	{"vip", "VIP", COLUMN_TEXT},
	{"backend", "BACKEND", COLUMN_TEXT},
	{"state", "STATE", COLUMN_TEXT},
	{"idle_s", "IDLE", COLUMN_NUMBER},
	{"flags", "FLAGS", COLUMN_LIST},
	{},
};

static void add_flags(const struct stats_flow *flow, struct table *table)
{
	const struct {
		bool is_set;
		const char *name;
	} flags[] = {
		{flow->is_counted, "active"},
		{flow->is_from_node, "from-node"},
		{flow->is_picked_up, "picked-up"},
		{flow->is_spilled, "spilled"},
	};
	char text[64] = "";
	size_t len = 0;

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		if (flags[i].is_set)
			len += snprintf(text + len, sizeof(text) - len, "%s%s", len ? "," : "",
					flags[i].name);
	}
	table_add_text(table, text);
}

static void add_flow(struct maps *maps, const struct stats_flow *flow, struct table *table)
{
	static const struct addr gone;
	char text[ENDPOINT_TEXT_LEN];

	table_add_text(table, view_service_name(maps, flow->service));
	table_add_text(table, protocol_name(flow->protocol));
	table_add_text(table, endpoint_format(&flow->client, flow->client_port, text));
	table_add_text(table, endpoint_format(&flow->vip, flow->vip_port, text));
	if (addr_equal(&flow->backend_addr, &gone))
		table_add_absent(table);
	else
		table_add_text(table,
			       endpoint_format(&flow->backend_addr, flow->backend_port, text));
	table_add_text(table, flow->state);
	table_add_number(table, flow->idle_s);
	add_flags(flow, table);
}

static int print_flows(struct collection *collection, bool is_json)
{
	struct table table;
	int code;

	if (collection->count)
		qsort_r(collection->flows, collection->count, sizeof(*collection->flows),
			compare_flows, collection->maps);
	table_init(&table, flow_columns);
	for (size_t i = 0; i < collection->count; i++)
		add_flow(collection->maps, &collection->flows[i], &table);
	code = table_print(&table, is_json);
	table_free(&table);
	return code;
}

static int find_flows(struct collection *collection)
{
	struct filter *filter = &collection->filter;
	int rc;

	if (filter->service) {
		filter->service_id = installed_service_id(collection->maps, filter->service);
		if (filter->service_id == WEIR_NONE)
			return print_fail("no service %s", filter->service);
	}
	rc = stats_flows(collection->maps, collect_flow, collection);
	if (rc == -ENOMEM)
		return print_no_memory();
	if (rc < 0)
		print_say("warning: idle times are not known: %s", strerror(-rc));
	return EXIT_DONE;
}

int cmd_flows(const struct request *request)
{
	struct collection collection = {};
	int code = read_filter(request, &collection.filter);

	if (!code)
		code = view_open(&collection.maps);
	if (code)
		return code;
	code = find_flows(&collection);
	if (!code)
		code = print_flows(&collection, request_has(request, OPTION_JSON));
	free(collection.flows);
	maps_close(collection.maps);
	return code;
}
