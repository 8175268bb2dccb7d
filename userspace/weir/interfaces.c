/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* interfaces.c - see interfaces.h. */
#include "weir/interfaces.h"

#include "base/err.h"
#include "datapath/attach.h"
#include "datapath/netlink.h"
#include "weir/commands.h"
#include "weir/print.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is there, what is attached, and what the file says. */
struct comparison {
	struct maps *maps;
	const struct model *model;
	struct netlink_link *links; /* owned */
	struct attach_state *states; /* owned */
	size_t link_count, state_count, differences;
	bool is_shown;
};

static const struct attach_state *find_state(const struct comparison *comparison, uint32_t ifindex)
{
	for (size_t i = 0; i < comparison->state_count; i++) {
		if (comparison->states[i].ifindex == ifindex)
			return &comparison->states[i];
	}
	return NULL;
}

static const struct netlink_link *find_link(const struct comparison *comparison, uint32_t ifindex)
{
	for (size_t i = 0; i < comparison->link_count; i++) {
		if (comparison->links[i].ifindex == ifindex)
			return &comparison->links[i];
	}
	return NULL;
}

static const struct interface_rule *find_rule(const struct comparison *comparison,
					      const struct netlink_link *link)
{
	const struct weir_settings *settings = comparison->maps->settings;
	const struct model *model = comparison->model;

	if (link->ifindex == settings->node_ifindex || link->ifindex == settings->host_ifindex)
		return NULL;
	return attach_rule(model->interfaces, model->interface_count, link->name);
}

static bool is_as_wanted(const struct attach_state *state, const struct interface_rule *rule)
{
	enum hook hook = state->interface.hook == WEIR_HOOK_TCX ? HOOK_TCX : HOOK_CLSACT;

	return state->is_live && state->interface.role == rule->role &&
	       (rule->hook == HOOK_AUTO || rule->hook == hook);
}

static void note_difference(struct comparison *comparison, const char *name, const char *verb,
			    const struct interface_rule *rule)
{
	comparison->differences++;
	if (!comparison->is_shown)
		return;
	printf("interface %.15s: %s", name, verb);
	if (rule)
		printf(", role %s, hook %s", role_name(rule->role), hook_name(rule->hook));
	putchar('\n');
}

static int compare_link(struct comparison *comparison, const struct netlink_link *link)
{
	const struct interface_rule *rule = find_rule(comparison, link);
	const struct attach_state *state = find_state(comparison, link->ifindex);
	const char *obstacle = rule ? attach_obstacle(link) : NULL;

	if (!rule || (obstacle && strpbrk(rule->pattern, "*?[")))
		return EXIT_DONE;
	if (obstacle)
		return print_fail("interface %s: %s", link->name, obstacle);
	if (!state)
		note_difference(comparison, link->name, "attach", rule);
	else if (!is_as_wanted(state, rule))
		note_difference(comparison, link->name, "attach again", rule);
	return EXIT_DONE;
}

static void compare_states(struct comparison *comparison)
{
	for (size_t i = 0; i < comparison->state_count; i++) {
		const struct attach_state *state = &comparison->states[i];
		const struct netlink_link *link = find_link(comparison, state->ifindex);

		if (state->interface.role == WEIR_ROLE_NODE && link)
			continue;
		if (!link || !find_rule(comparison, link))
			note_difference(comparison, state->interface.name, "detach", NULL);
	}
}

static int compare(struct comparison *comparison, struct netlink *netlink)
{
	struct err err = {};
	int code = EXIT_DONE;

	if (netlink_links(netlink, &comparison->links, &comparison->link_count, &err) ||
	    attach_list(comparison->maps, &comparison->states, &comparison->state_count, &err))
		return print_fail("%s", err.text);
	compare_states(comparison);
	for (size_t i = 0; !code && i < comparison->link_count; i++)
		code = compare_link(comparison, &comparison->links[i]);
	return code;
}

int interfaces_compare(struct maps *maps, const struct model *model, bool is_shown,
		       size_t *ret_differences)
{
	struct comparison comparison = {.maps = maps, .model = model, .is_shown = is_shown};
	struct netlink *netlink;
	struct err err = {};
	int code;

	if (netlink_open(&netlink, &err))
		return print_fail("%s", err.text);
	code = compare(&comparison, netlink);
	netlink_close(netlink);
	free(comparison.links);
	free(comparison.states);
	*ret_differences = comparison.differences;
	return code;
}
