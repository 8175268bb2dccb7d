/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* diff.c - the changes from one model to another; see diff.h. */
#include "model/diff.h"

#include "base/num.h"
#include "model/sorted.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int change_list_add(struct change_list *list, const struct change *change)
{
	struct change *grown;

	if (!(list->count & (list->count - 1))) { /* 0 or a power of two: full */
		grown = reallocarray(list->changes, list->count ? list->count * 2 : 1,
				     sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		list->changes = grown;
	}
	list->changes[list->count++] = *change;
	return 0;
}

void change_list_free(struct change_list *list)
{
	free(list->changes);
	*list = (struct change_list){};
}

/* Both sides in order, and the list that grows. Once `rc` is set, nothing more is added. */
struct diff {
	struct sorted_vips old_vips, new_vips;
	struct sorted_services old, new;
	struct change_list list;
	int rc;
};

static void add_change(struct diff *diff, struct change change)
{
	if (!diff->rc)
		diff->rc = change_list_add(&diff->list, &change);
}

static void add_backend(struct diff *diff, enum change_kind kind, const struct service *service,
			const struct backend *backend)
{
	add_change(diff, (struct change){.kind = kind, .service = service, .backend = backend});
}

static void add_vip(struct diff *diff, enum change_kind kind, const struct service *service,
		    const struct vip *vip)
{
	add_change(diff, (struct change){.kind = kind, .service = service, .vip = vip});
}

/* The VIP of this endpoint on the other side; NULL for none. */
static const struct vip_entry *find_same(const struct sorted_vips *vips, const struct vip *vip,
					 uint8_t protocol)
{
	const struct vip_entry *found = sorted_find_vip(vips, &vip->addr, protocol, vip->port);

	if (!found || sorted_compare_vips(found, &vip->addr, protocol, vip->port))
		return NULL;
	return found;
}

static bool is_named(const struct vip_entry *entry, const struct service *service)
{
	return !strcmp(entry->service->name, service->name);
}

/* 4, 6, or 0 for a service without any address. */
static int family_of(const struct service *service)
{
	const struct addr *addr = NULL;

	for (size_t i = 0; i < service->backend_count && !addr; i++) {
		if (!service->backends[i].is_leaving)
			addr = &service->backends[i].addr;
	}
	if (service->vip_count)
		addr = &service->vips[0].addr;
	if (!addr)
		return 0;
	return addr_is_v4(addr) ? 4 : 6;
}

static bool must_replace(const struct service *old, const struct service *new)
{
	int old_family = family_of(old), new_family = family_of(new);

	return old->protocol != new->protocol ||
	       (old_family && new_family && old_family != new_family);
}

static bool is_same_service(const struct service *a, const struct service *b)
{
	return a->algorithm == b->algorithm && a->path == b->path &&
	       a->drain_timeout_ms == b->drain_timeout_ms;
}

static bool is_same_backend(const struct backend *a, const struct backend *b)
{
	return a->weight == b->weight && !strcmp(a->zone, b->zone) && !strcmp(a->labels, b->labels);
}

/* Which of two sorted lists goes on: below 0 the old alone, above 0 the new alone, 0 both. */
static int step(bool has_old, bool has_new, int order)
{
	if (!has_old || !has_new)
		return has_old ? -1 : 1;
	return order;
}

static void visit_backends(struct diff *diff, const struct service *new,
			   const struct sorted_backends *old, const struct sorted_backends *wanted,
			   enum change_kind kind)
{
	size_t i = 0, j = 0;

	while (i < old->count || j < wanted->count) {
		bool has_old = i < old->count, has_new = j < wanted->count;
		const struct backend *a = has_old ? old->list[i] : NULL;
		const struct backend *b = has_new ? wanted->list[j] : NULL;
		int order = step(has_old, has_new, a && b ? sorted_compare_backends(a, b) : 0);

		if (order > 0 && kind == CHANGE_BACKEND_ADD)
			add_backend(diff, kind, new, b);
		if (order < 0 && kind == CHANGE_BACKEND_REMOVE)
			add_backend(diff, kind, new, a);
		if (order == 0 && kind == CHANGE_BACKEND_SET && !is_same_backend(a, b))
			add_backend(diff, kind, new, b);
		i += order <= 0;
		j += order >= 0;
	}
}

/* The installed service that must give up this VIP first; NULL when none holds it. */
static const struct service *find_holder(const struct diff *diff, const struct service *new,
					 const struct vip *vip)
{
	const struct vip_entry *entry = find_same(&diff->old_vips, vip, new->protocol);
	const struct service *wanted;

	if (!entry || is_named(entry, new))
		return NULL;
	wanted = sorted_find_service(&diff->new, entry->service->name);
	/* Removed already, to make room for another of its name? */
	return wanted && must_replace(entry->service, wanted) ? NULL : entry->service;
}

static void add_vips(struct diff *diff, const struct service *old, const struct service *new)
{
	const struct service *holder;
	const struct vip_entry *same;

	for (size_t i = 0; i < new->vip_count; i++) {
		const struct vip *vip = &new->vips[i];

		same = find_same(&diff->old_vips, vip, new->protocol);
		if (old && same && is_named(same, new))
			continue;
		holder = find_holder(diff, new, vip);
		if (holder)
			add_vip(diff, CHANGE_VIP_REMOVE, holder, vip);
		add_vip(diff, CHANGE_VIP_ADD, new, vip);
	}
}

/* Those that another service takes over are removed there, just before. */
static void remove_vips(struct diff *diff, const struct service *old)
{
	for (size_t i = 0; i < old->vip_count; i++) {
		if (!find_same(&diff->new_vips, &old->vips[i], old->protocol))
			add_vip(diff, CHANGE_VIP_REMOVE, old, &old->vips[i]);
	}
}

/* All that makes `old` to `new`; no `old`: it is not there, or was removed to make room. */
static void visit_service(struct diff *diff, const struct service *old, const struct service *new)
{
	static const struct service absent;
	struct sorted_backends have = {}, want = {};
	struct change change = {.kind = old ? CHANGE_SERVICE_SET : CHANGE_SERVICE_ADD,
				.service = new};

	if (!old || !is_same_service(old, new))
		add_change(diff, change);
	if (sorted_backends(old ? old : &absent, &have) || sorted_backends(new, &want)) {
		diff->rc = -ENOMEM;
	} else {
		visit_backends(diff, new, &have, &want, CHANGE_BACKEND_ADD);
		visit_backends(diff, new, &have, &want, CHANGE_BACKEND_SET);
		add_vips(diff, old, new);
		if (old)
			remove_vips(diff, old);
		visit_backends(diff, new, &have, &want, CHANGE_BACKEND_REMOVE);
	}
	free(have.list);
	free(want.list);
}

static void remove_service(struct diff *diff, const struct service *old, bool is_now)
{
	add_change(diff, (struct change){
				 .kind = CHANGE_SERVICE_REMOVE,
				 .is_now = is_now,
				 .service = old,
			 });
}

enum round {
	ROUND_MAKE_ROOM,
	ROUND_CHANGE,
	ROUND_REMOVE,
};

static void visit_pair(struct diff *diff, enum round round, const struct service *old,
		       const struct service *new)
{
	bool is_replaced = old && new &&must_replace(old, new);

	if (round == ROUND_MAKE_ROOM && is_replaced)
		remove_service(diff, old, true);
	if (round == ROUND_CHANGE && new)
		visit_service(diff, is_replaced ? NULL : old, new);
	if (round == ROUND_REMOVE && !new)
		remove_service(diff, old, false);
}

static void visit_services(struct diff *diff, enum round round)
{
	size_t i = 0, j = 0;

	while (i < diff->old.count || j < diff->new.count) {
		const struct service *old = i < diff->old.count ? diff->old.list[i] : NULL;
		const struct service *new = j < diff->new.count ? diff->new.list[j] : NULL;
		int order = step(old, new, old && new ? strcmp(old->name, new->name) : 0);

		visit_pair(diff, round, order <= 0 ? old : NULL, order >= 0 ? new : NULL);
		i += order <= 0;
		j += order >= 0;
	}
}

static int sort_models(struct diff *diff, const struct model *installed, const struct model *wanted)
{
	int rc = sorted_services(installed, &diff->old);

	if (!rc)
		rc = sorted_services(wanted, &diff->new);
	if (!rc)
		rc = sorted_vips(installed, &diff->old_vips);
	if (!rc)
		rc = sorted_vips(wanted, &diff->new_vips);
	return rc;
}

int diff_models(const struct model *installed, const struct model *wanted,
		struct change_list *ret_list)
{
	struct diff diff = {};

	diff.rc = sort_models(&diff, installed, wanted);
	if (memcmp(&installed->timeouts, &wanted->timeouts, sizeof(wanted->timeouts)))
		add_change(&diff,
			   (struct change){.kind = CHANGE_TIMEOUTS, .timeouts = &wanted->timeouts});
	for (int round = ROUND_MAKE_ROOM; round <= ROUND_REMOVE && !diff.rc; round++)
		visit_services(&diff, round);
	free(diff.old.list);
	free(diff.new.list);
	free(diff.old_vips.list);
	free(diff.new_vips.list);
	if (diff.rc)
		change_list_free(&diff.list);
	else
		*ret_list = diff.list;
	return diff.rc;
}

static const struct {
	const char *noun, *verb;
} words[] = {
	[CHANGE_TIMEOUTS] = {"timeouts", "set"},
	[CHANGE_SERVICE_ADD] = {"service", "add"},
	[CHANGE_SERVICE_SET] = {"service", "set"},
	[CHANGE_BACKEND_ADD] = {"backend", "add"},
	[CHANGE_BACKEND_SET] = {"backend", "set"},
	[CHANGE_BACKEND_DRAIN] = {"backend", "drain"},
	[CHANGE_BACKEND_UNDRAIN] = {"backend", "undrain"},
	[CHANGE_VIP_ADD] = {"vip", "add"},
	[CHANGE_VIP_REMOVE] = {"vip", "remove"},
	[CHANGE_BACKEND_REMOVE] = {"backend", "remove"},
	[CHANGE_SERVICE_REMOVE] = {"service", "remove"},
};

static void print_timeouts(FILE *out, const struct timeouts *timeouts)
{
	fprintf(out,
		", tcp %us, closing %us, closed %us, unproven %us, udp %us, udp_unanswered %us",
		timeouts->tcp, timeouts->closing, timeouts->closed, timeouts->unproven,
		timeouts->udp, timeouts->udp_unanswered);
}

static void print_service(FILE *out, const struct service *service)
{
	char drain[DURATION_TEXT_LEN];

	fprintf(out, ", %s, algorithm %s, path %s, drain_timeout %s",
		protocol_name(service->protocol), algorithm_name(service->algorithm),
		path_name(service->path), duration_format(service->drain_timeout_ms, drain));
}

static void print_backend(FILE *out, const struct backend *backend)
{
	fprintf(out, ", weight %u", backend->weight);
	if (*backend->zone)
		fprintf(out, ", zone %s", backend->zone);
	if (*backend->labels)
		fprintf(out, ", labels %s", backend->labels);
}

void change_print(FILE *out, const struct change *change)
{
	char endpoint[ENDPOINT_TEXT_LEN];
	enum change_kind kind = change->kind;

	fputs(words[kind].noun, out);
	if (change->service)
		fprintf(out, " %s", change->service->name);
	if (change->vip)
		fprintf(out, " %s %s",
			endpoint_format(&change->vip->addr, change->vip->port, endpoint),
			protocol_name(change->service->protocol));
	if (change->backend)
		fprintf(out, " %s",
			endpoint_format(&change->backend->addr, change->backend->port, endpoint));
	fprintf(out, ": %s", words[kind].verb);
	if (kind == CHANGE_TIMEOUTS)
		print_timeouts(out, change->timeouts);
	if (kind == CHANGE_SERVICE_ADD || kind == CHANGE_SERVICE_SET)
		print_service(out, change->service);
	if (kind == CHANGE_BACKEND_ADD || kind == CHANGE_BACKEND_SET)
		print_backend(out, change->backend);
	fputs(change->is_now ? " now\n" : "\n", out);
}
