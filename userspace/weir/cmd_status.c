/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* cmd_status.c - weir status: what is loaded, attached and used; `weir` alone: that in short. */
#include "base/err.h"
#include "datapath/attach.h"
#include "datapath/load.h"
#include "datapath/netlink.h"
#include "datapath/stats.h"
#include "weir/cmd.h"
#include "weir/memory.h"
#include "weir/print.h"
#include "weir/request.h"
#include "weir/table.h"
#include "weir/view.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOTES_MAX 64

/* What was found; problems make the exit code 4, warnings do not. */
struct state {
	struct maps *maps;
	struct attach_state *interfaces; /* owned */
	size_t interface_count;
	size_t services, leaving_services, frontends, backends, usable, leaving, slots, flows;
	uint64_t active;
	uint32_t host, node; /* ifindex of weir0 and weir1, 0: absent */
	char problems[NOTES_MAX][160], warnings[NOTES_MAX][160];
	size_t problem_count, warning_count;
};

static void note(char (*notes)[160], size_t *count, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void note(char (*notes)[160], size_t *count, const char *format, ...)
{
	va_list args;

	if (*count == NOTES_MAX)
		return;
	va_start(args, format);
	vsnprintf(notes[(*count)++], sizeof(*notes), format, args);
	va_end(args);
}

#define PROBLEM(state, ...) note((state)->problems, &(state)->problem_count, __VA_ARGS__)
#define WARNING(state, ...) note((state)->warnings, &(state)->warning_count, __VA_ARGS__)

static int count_flow(const struct stats_flow *flow, void *arg)
{
	struct state *state = arg;

	state->flows++;
	return 0;
}

static int count_service(struct state *state, __u32 service)
{
	struct maps *maps = state->maps;
	size_t count;
	__u32 *ids;
	int code = view_backends(maps, service, &ids, &count);

	if (code)
		return code;
	state->services++;
	state->leaving_services += view_is_leaving(maps, service);
	state->frontends += maps_service_info(maps)[service].frontends;
	state->slots += maps_services(maps)[service].region >> 32;
	state->backends += count;
	for (size_t i = 0; i < count; i++) {
		state->usable += view_is_usable(maps, ids[i]);
		state->leaving += maps_backend_info(maps)[ids[i]].is_leaving != 0;
		state->active += maps_gauges(maps)[ids[i]].active;
	}
	free(ids);
	return EXIT_DONE;
}

static int count_all(struct state *state)
{
	size_t count;
	__u32 *ids;
	int code = view_services(state->maps, NULL, &ids, &count);

	if (code)
		return code;
	for (size_t i = 0; !code && i < count; i++)
		code = count_service(state, ids[i]);
	free(ids);
	stats_flows(state->maps, count_flow, state);
	return code;
}

static const char *role_text(const struct weir_interface *interface)
{
	return interface->role == WEIR_ROLE_NODE ? "node" : role_name(interface->role);
}

static const char *hook_text(const struct weir_interface *interface)
{
	return hook_name(interface->hook == WEIR_HOOK_TCX ? HOOK_TCX : HOOK_CLSACT);
}

static int look_at_links(struct state *state)
{
	const struct weir_settings *settings = state->maps->settings;
	struct netlink_link link;
	struct netlink *netlink;
	struct err err = {};

	if (attach_list(state->maps, &state->interfaces, &state->interface_count, &err) ||
	    netlink_open(&netlink, &err))
		return print_fail("%s", err.text);
	if (!netlink_link(netlink, LOAD_HOST, &link, NULL) &&
	    link.ifindex == settings->host_ifindex)
		state->host = link.ifindex;
	if (!netlink_link(netlink, LOAD_NODE, &link, NULL) &&
	    link.ifindex == settings->node_ifindex)
		state->node = link.ifindex;
	netlink_close(netlink);
	return EXIT_DONE;
}

/* Forwarding is needed for the way to backends, by the stack and by the FIB look-ups alike. */
static void judge_sysctls(struct state *state)
{
	static const char *const paths[] = {"ipv4/ip_forward", "ipv6/conf/all/forwarding"};
	long value;

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		if (!netlink_sysctl_get(paths[i], &value, NULL) && !value)
			WARNING(state, "/proc/sys/net/%s is 0: nothing is forwarded to backends",
				paths[i]);
	}
}

static void judge(struct state *state)
{
	if (state->maps->settings->is_dirty)
		PROBLEM(state, "a change was cut short: the next one finishes or repairs it");
	if (!state->host || !state->node)
		PROBLEM(state, "%s and %s are not here: run `weir load` again", LOAD_HOST,
			LOAD_NODE);
	for (size_t i = 0; i < state->interface_count; i++) {
		if (!state->interfaces[i].is_live)
			PROBLEM(state, "interface %.15s does not carry the program: apply again",
				state->interfaces[i].interface.name);
	}
	if (state->services && state->interface_count <= 1)
		WARNING(state, "no interface is attached: only this node is served");
	judge_sysctls(state);
}

static int look(struct state *state)
{
	int code;

	memset(state, 0, sizeof(*state));
	code = view_open(&state->maps);
	if (code)
		return code;
	code = count_all(state);
	if (!code)
		code = look_at_links(state);
	if (!code)
		judge(state);
	return code;
}

static void free_state(struct state *state)
{
	free(state->interfaces);
	maps_close(state->maps);
}

static json_t *notes_json(char (*notes)[160], size_t count)
{
	json_t *json = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(json, json_string(notes[i]));
	return json;
}

static json_t *interfaces_json(const struct state *state)
{
	json_t *json = json_array();

	for (size_t i = 0; i < state->interface_count; i++) {
		const struct attach_state *interface = &state->interfaces[i];

		json_array_append_new(json, json_pack("{s:s, s:I, s:s, s:s, s:b}", "name",
						      interface->interface.name, "ifindex",
						      (json_int_t)interface->ifindex, "role",
						      role_text(&interface->interface), "hook",
						      hook_text(&interface->interface), "live",
						      (int)interface->is_live));
	}
	return json;
}

static json_t *limits_json(const struct weir_settings *settings)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I}", "services", (json_int_t)settings->services,
			 "frontends", (json_int_t)settings->frontends, "backends",
			 (json_int_t)settings->backends, "slots", (json_int_t)settings->slots,
			 "flows", (json_int_t)settings->flow_buckets * WEIR_WAYS);
}

static json_t *timeouts_json(const struct weir_timeouts *timeouts)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "tcp", (json_int_t)timeouts->tcp,
			 "closing", (json_int_t)timeouts->closing, "closed",
			 (json_int_t)timeouts->closed, "unproven", (json_int_t)timeouts->unproven,
			 "udp", (json_int_t)timeouts->udp, "udp_unanswered",
			 (json_int_t)timeouts->udp_unanswered);
}

static json_t *counts_json(const struct state *state)
{
	return json_pack(
		"{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "services",
		(json_int_t)state->services, "leaving_services",
		(json_int_t)state->leaving_services, "frontends", (json_int_t)state->frontends,
		"backends", (json_int_t)state->backends, "usable_backends",
		(json_int_t)state->usable, "leaving_backends", (json_int_t)state->leaving, "slots",
		(json_int_t)state->slots, "flows", (json_int_t)state->flows, "spilled_flows",
		(json_int_t)state->maps->settings->spilled, "active", (json_int_t)state->active);
}

static json_t *memory_json(const struct maps *maps)
{
	json_t *json = json_object();

	for (int id = 0; id < MAP_COUNT; id++)
		json_object_set_new(json, map_names[id],
				    json_integer((json_int_t)memory_map(maps, id)));
	return json;
}

static json_t *state_json(struct state *state)
{
	const struct weir_settings *settings = state->maps->settings;

	return json_pack("{s:b, s:b, s:I, s:s, s:I, s:o, s:o, s:o, s:o, s:b, s:b, s:I, s:o, s:o, "
			 "s:o}",
			 "loaded", 1, "healthy", !state->problem_count, "abi_version",
			 (json_int_t)settings->abi_version, "directory", state->maps->directory,
			 "cpus", (json_int_t)settings->cpus, "counts", counts_json(state), "limits",
			 limits_json(settings), "timeouts", timeouts_json(&settings->timeouts),
			 "interfaces", interfaces_json(state), LOAD_HOST, state->host != 0,
			 LOAD_NODE, state->node != 0, "memory_bytes",
			 (json_int_t)memory_total(state->maps), "memory_by_map",
			 memory_json(state->maps), "problems",
			 notes_json(state->problems, state->problem_count), "warnings",
			 notes_json(state->warnings, state->warning_count));
}

static void print_counts(const struct state *state)
{
	const struct weir_settings *settings = state->maps->settings;

	printf("services   %zu of %u, %zu leaving\n", state->services, settings->services,
	       state->leaving_services);
	printf("frontends  %zu of %u\n", state->frontends, settings->frontends);
	printf("backends   %zu of %u, %zu usable, %zu leaving\n", state->backends,
	       settings->backends, state->usable, state->leaving);
	printf("slots      %zu of %u\n", state->slots, settings->slots);
	printf("flows      %zu of %u, %llu active, %u spilled\n", state->flows,
	       (settings->flow_buckets + settings->flow_wide_buckets) * WEIR_WAYS,
	       (unsigned long long)state->active, settings->spilled);
}

static void print_interfaces(const struct state *state)
{
	for (size_t i = 0; i < state->interface_count; i++) {
		const struct attach_state *interface = &state->interfaces[i];

		printf("interface  %.15s %s %s %s\n", interface->interface.name,
		       role_text(&interface->interface), hook_text(&interface->interface),
		       interface->is_live ? "live" : "NOT LIVE");
	}
	printf("%-10s %s\n%-10s %s\n", LOAD_HOST, state->host ? "present" : "ABSENT", LOAD_NODE,
	       state->node ? "present" : "ABSENT");
}

static void print_notes(struct state *state)
{
	for (size_t i = 0; i < state->problem_count; i++)
		printf("problem    %s\n", state->problems[i]);
	for (size_t i = 0; i < state->warning_count; i++)
		printf("warning    %s\n", state->warnings[i]);
}

static void print_state(struct state *state)
{
	const struct weir_settings *settings = state->maps->settings;
	const struct weir_timeouts *timeouts = &settings->timeouts;
	char size[PRINT_SIZE_LEN];

	printf("loaded     ABI v%u, %s, %u CPUs\n", settings->abi_version, state->maps->directory,
	       settings->cpus);
	print_counts(state);
	printf("timeouts   tcp %us, closing %us, closed %us, unproven %us, udp %us, "
	       "udp_unanswered %us\n",
	       timeouts->tcp, timeouts->closing, timeouts->closed, timeouts->unproven,
	       timeouts->udp, timeouts->udp_unanswered);
	print_interfaces(state);
	for (int id = 0; id < MAP_COUNT; id++)
		printf("map        %-17s %s\n", map_names[id],
		       print_size(memory_map(state->maps, id), size));
	printf("memory     %s\n", print_size(memory_total(state->maps), size));
	print_notes(state);
}

/* "interfaces eth0 (uplink), weir1 (node)" */
static void print_short(struct state *state)
{
	printf("loaded     ABI v%u, %s\n", state->maps->settings->abi_version,
	       state->maps->directory);
	fputs("interfaces", stdout);
	for (size_t i = 0; i < state->interface_count; i++)
		printf("%s %.15s (%s)", i ? "," : "", state->interfaces[i].interface.name,
		       role_text(&state->interfaces[i].interface));
	printf("\nflows      %zu, %llu active\n", state->flows, (unsigned long long)state->active);
	print_notes(state);
}

/* `weir -j` is `weir status -j` with the services. */
static int print_overview(struct state *state, bool is_json)
{
	struct table services;
	int code = view_table_services(state->maps, &services);

	if (code)
		return code;
	if (is_json) {
		json_t *json = state_json(state);

		if (json)
			json_object_set_new(json, "services", table_json(&services));
		code = print_json(json);
	} else {
		print_short(state);
		if (services.cells)
			putchar('\n');
		code = table_print_text(&services, stdout);
	}
	table_free(&services);
	return code;
}

static int run(const struct request *request, bool is_overview)
{
	bool is_json = request_has(request, OPTION_JSON);
	struct state *state = malloc(sizeof(*state));
	int code = state ? look(state) : print_no_memory();

	if (code == EXIT_NOT_LOADED && is_json)
		print_json(json_pack("{s:b, s:b}", "loaded", 0, "healthy", 0));
	if (!code && is_overview)
		code = print_overview(state, is_json);
	else if (!code && is_json)
		code = print_json(state_json(state));
	else if (!code)
		print_state(state);
	if (!code && state->problem_count)
		code = EXIT_DIFFERS;
	if (state)
		free_state(state);
	free(state);
	return code;
}

int cmd_overview(const struct request *request)
{
	return run(request, true);
}

int cmd_status(const struct request *request)
{
	return run(request, false);
}
