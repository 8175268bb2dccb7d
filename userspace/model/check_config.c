/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * check_config.c - what no single value of a configuration shows: it compares elements with each
 * other. See config_check in config.h.
 *
 * Everything is sorted first and compared with its neighbours: files have 250,000 backends.
 */
#include "model/config.h"
#include "model/sorted.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* " (first at line 7)" for what has a line. */
static const char *format_first(struct place first, char *text, size_t size)
{
	*text = '\0';
	if (first.line)
		snprintf(text, size, " (first at line %d)", first.line);
	return text;
}

/* A walk over pairs: there are 256 at most, usually a handful. */
static void check_interfaces(const struct model *model, struct config_errors *errors)
{
	const struct interface_rule *rules = model->interfaces;
	char first[32];

	for (size_t i = 0; i < model->interface_count; i++) {
		for (size_t j = 0; j < i; j++) {
			if (!*rules[i].pattern || strcmp(rules[i].pattern, rules[j].pattern))
				continue;
			config_errors_add(errors, rules[i].place, "match",
					  "got %s a second time, wanted it once%s",
					  rules[i].pattern,
					  format_first(rules[j].place, first, sizeof(first)));
			break;
		}
	}
}

static int check_names(const struct model *model, struct config_errors *errors)
{
	struct sorted_services services;
	char first[32];
	int rc = sorted_services(model, &services);

	if (rc)
		return rc;
	for (size_t i = 1; i < services.count; i++) {
		const struct service *service = services.list[i], *before = services.list[i - 1];

		if (!*service->name || strcmp(before->name, service->name))
			continue;
		config_errors_add(errors, service->place, "name",
				  "got %s a second time, wanted it once%s", service->name,
				  format_first(before->place, first, sizeof(first)));
	}
	free(services.list);
	return 0;
}

/*
 * A VIP stands once for each address, port and protocol. An any-port VIP beside fixed ones of
 * the same address is fine: the fixed port wins.
 */
static void check_overlaps(const struct sorted_vips *vips, struct config_errors *errors)
{
	char endpoint[ENDPOINT_TEXT_LEN], first[32];

	for (size_t i = 1; i < vips->count; i++) {
		const struct vip_entry *entry = &vips->list[i], *before = entry - 1;

		if (sorted_compare_vips(before, &entry->vip->addr, entry->service->protocol,
					entry->vip->port))
			continue;
		config_errors_add(errors, entry->vip->place, "vips",
				  "got %s, which is a VIP of service %s%s, wanted another",
				  endpoint_format(&entry->vip->addr, entry->vip->port, endpoint),
				  before->service->name,
				  format_first(before->vip->place, first, sizeof(first)));
	}
}

/*
 * The VIP that a packet to this backend would be for. An any-port VIP takes every port, and a
 * backend without a port is asked at every port.
 */
static const struct vip_entry *find_clash(const struct sorted_vips *vips,
					  const struct backend *backend, uint8_t protocol)
{
	const struct vip_entry *found = sorted_find_vip(vips, &backend->addr, protocol, 0);

	if (!found || !addr_equal(&found->vip->addr, &backend->addr) ||
	    found->service->protocol != protocol)
		return NULL;
	if (!found->vip->port || !backend->port)
		return found;
	found = sorted_find_vip(vips, &backend->addr, protocol, backend->port);
	if (found && !sorted_compare_vips(found, &backend->addr, protocol, backend->port))
		return found;
	return NULL;
}

/* What all VIPs of a service say about its other elements. */
struct demands {
	const struct addr *family; /* an address of the family that all must have; NULL: none yet */
	const struct vip *fixed; /* a VIP with a port; NULL: backends need no port */
};

static struct demands collect_demands(const struct service *service)
{
	struct demands demands = {};

	for (size_t i = 0; i < service->vip_count; i++) {
		const struct vip *vip = &service->vips[i];

		if (!sorted_is_known(&vip->addr))
			continue;
		if (!demands.family)
			demands.family = &vip->addr;
		if (!demands.fixed && vip->port)
			demands.fixed = vip;
	}
	for (size_t i = 0; i < service->backend_count && !demands.family; i++) {
		const struct backend *backend = &service->backends[i];

		if (sorted_is_known(&backend->addr) && !backend->is_leaving)
			demands.family = &backend->addr;
	}
	return demands;
}

static void check_family(const struct demands *demands, const struct addr *addr, struct place place,
			 const char *where, struct config_errors *errors)
{
	char address[ADDR_TEXT_LEN], family[ADDR_TEXT_LEN];

	if (addr_is_v4(addr) == addr_is_v4(demands->family))
		return;
	config_errors_add(errors, place, where, "got %s, wanted %s: the service has %s",
			  addr_format(addr, address), addr_is_v4(demands->family) ? "IPv4" : "IPv6",
			  addr_format(demands->family, family));
}

static void check_backend(const struct service *service, const struct backend *backend,
			  const struct demands *demands, const struct sorted_vips *vips,
			  struct config_errors *errors)
{
	char endpoint[ENDPOINT_TEXT_LEN], address[ADDR_TEXT_LEN];
	const struct vip_entry *clash = find_clash(vips, backend, service->protocol);

	check_family(demands, &backend->addr, backend->place, "backends", errors);
	if (demands->fixed && !backend->port)
		config_errors_add(
			errors, backend->place, "backends",
			"got %s without a port, wanted one: VIP %s has one",
			addr_format(&backend->addr, address),
			endpoint_format(&demands->fixed->addr, demands->fixed->port, endpoint));
	if (clash)
		config_errors_add(errors, backend->place, "backends",
				  "got %s, which is a VIP of service %s, wanted a server",
				  endpoint_format(&backend->addr, backend->port, endpoint),
				  clash->service->name);
}

static int check_twice(const struct service *service, struct config_errors *errors)
{
	char endpoint[ENDPOINT_TEXT_LEN], first[32];
	struct sorted_backends backends;
	int rc = sorted_backends(service, &backends);

	if (rc)
		return rc;
	for (size_t i = 1; i < backends.count; i++) {
		const struct backend *backend = backends.list[i], *before = backends.list[i - 1];

		if (!sorted_is_known(&backend->addr) || sorted_compare_backends(before, backend))
			continue;
		config_errors_add(errors, backend->place, "backends",
				  "got %s a second time, wanted it once%s",
				  endpoint_format(&backend->addr, backend->port, endpoint),
				  format_first(before->place, first, sizeof(first)));
	}
	free(backends.list);
	return 0;
}

static int check_service(const struct service *service, const struct sorted_vips *vips,
			 struct config_errors *errors)
{
	struct demands demands = collect_demands(service);

	for (size_t i = 0; i < service->vip_count; i++) {
		const struct vip *vip = &service->vips[i];

		if (sorted_is_known(&vip->addr))
			check_family(&demands, &vip->addr, vip->place, "vips", errors);
	}
	for (size_t i = 0; i < service->backend_count; i++) {
		const struct backend *backend = &service->backends[i];

		if (sorted_is_known(&backend->addr) && !backend->is_leaving)
			check_backend(service, backend, &demands, vips, errors);
	}
	return check_twice(service, errors);
}

/* `place` is that of the first one too many. A limit of 0 is one that could not be read. */
static void check_limit(size_t count, uint32_t limit, struct place place, const char *what,
			struct config_errors *errors)
{
	if (limit && count > limit)
		config_errors_add(errors, place, what, "got %zu in all, wanted at most %u (limits)",
				  count, limit);
}

static void check_limits(const struct model *model, struct config_errors *errors)
{
	struct place service_place = {}, vip_place = {}, backend_place = {};
	const struct limits *limits = &model->limits;
	size_t vips = 0, backends = 0, over;

	if (model->service_count > limits->services)
		service_place = model->services[limits->services].place;
	for (size_t i = 0; i < model->service_count; i++) {
		const struct service *service = &model->services[i];

		over = limits->frontends - vips;
		if (vips <= limits->frontends && service->vip_count > over)
			vip_place = service->vips[over].place;
		vips += service->vip_count;
		over = limits->backends - backends;
		if (backends <= limits->backends && service->backend_count > over)
			backend_place = service->backends[over].place;
		backends += service->backend_count;
	}
	check_limit(model->service_count, limits->services, service_place, "services", errors);
	check_limit(vips, limits->frontends, vip_place, "vips", errors);
	check_limit(backends, limits->backends, backend_place, "backends", errors);
}

int config_check(const struct model *model, struct config_errors *errors)
{
	size_t before = errors->count + errors->left_out;
	struct sorted_vips vips;
	int rc;

	rc = sorted_vips(model, &vips);
	if (rc)
		return rc;
	check_limits(model, errors);
	check_overlaps(&vips, errors);
	check_interfaces(model, errors);
	rc = check_names(model, errors);
	for (size_t i = 0; i < model->service_count && !rc; i++)
		rc = check_service(&model->services[i], &vips, errors);
	free(vips.list);
	if (rc)
		return rc;
	return errors->count + errors->left_out > before ? -EINVAL : 0;
}
