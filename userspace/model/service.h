/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * service.h - what Weir balances, as plain data: services, their VIPs and backends, the
 * interfaces, limits and time-outs. Filled by the configuration file, by reading the installed
 * maps, or by an operator's command; compared by diff.h; no kernel types here.
 */
#ifndef WEIR_SERVICE_H
#define WEIR_SERVICE_H

#include "base/addr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NAME_LEN    64 /* with the final NUL: the same as WEIR_NAME_LEN */
#define ZONE_LEN    32
#define LABELS_LEN  152
#define PATTERN_LEN 16 /* interface names and patterns, as IFNAMSIZ */

#define WEIGHT_MAX               1000
#define WEIGHT_DEFAULT           1
#define DRAIN_TIMEOUT_MS_DEFAULT 60000

enum algorithm {
	ALGORITHM_HASH
}; /* values as WEIR_ALGORITHM_* */
enum path {
	PATH_FAST,
	PATH_STACK
};
enum role {
	ROLE_WORKLOAD = 1,
	ROLE_UPLINK = 2
}; /* values as WEIR_ROLE_* */
enum hook {
	HOOK_AUTO,
	HOOK_TCX,
	HOOK_CLSACT
};

/* Where a thing stands in its file, for messages; line 0: not from a file. */
struct place {
	int line, column;
};

struct vip {
	struct addr addr;
	uint16_t port; /* host order; 0: any port */
	struct place place;
};

struct backend {
	struct addr addr;
	uint16_t port; /* host order; 0: the port of the VIP that was asked (any-port services) */
	uint16_t weight; /* 0-WEIGHT_MAX; 0: no new flows */
	bool is_drained; /* by the operator: state, not configuration; diff ignores it */
	bool is_leaving; /* removed, its drain is not over: installed state only */
	char zone[ZONE_LEN];
	char labels[LABELS_LEN]; /* "key=value,key=value", sorted by key */
	struct place place;
};

struct service {
	char name[NAME_LEN];
	uint8_t protocol; /* IPPROTO_TCP or IPPROTO_UDP */
	enum algorithm algorithm;
	enum path path;
	uint32_t drain_timeout_ms;
	struct vip *vips; /* owned */
	size_t vip_count;
	struct backend *backends; /* owned */
	size_t backend_count;
	bool is_leaving; /* removed, its backends still drain: installed state only */
	struct place place;
};

/* Interfaces whose name matches get the programs of the role. */
struct interface_rule {
	char pattern[PATTERN_LEN]; /* a name, or a glob as of fnmatch(3): "veth*" */
	enum role role;
	enum hook hook;
	struct place place;
};

#define INTERFACES_MAX      256 /* rules */
#define LIMIT_SERVICES_MAX  (1u << 17) /* each the same as WEIR_*_MAX */
#define LIMIT_FRONTENDS_MAX (1u << 17)
#define LIMIT_BACKENDS_MAX  (1u << 20)
#define LIMIT_SLOTS_MAX     (1u << 28)
#define LIMIT_SLOTS_MIN     256 /* one table */
#define LIMIT_FLOWS_MAX     (1u << 24)
#define LIMIT_FLOWS_MIN     1024

/* Sizes of maps, fixed by `weir load`. */
struct limits {
	uint32_t services, frontends, backends, slots, flows;
};

/* Seconds. */
struct timeouts {
	uint32_t tcp, closing, closed, unproven, udp, udp_unanswered;
};

struct model {
	struct interface_rule *interfaces; /* owned */
	size_t interface_count;
	struct service *services; /* owned */
	size_t service_count;
	struct limits limits;
	struct timeouts timeouts;
	bool has_hash_seed; /* `hash_seed` was configured: nodes that must agree share it */
	uint64_t hash_seed[2];
};

/* Defaults for everything that a file may leave out; no services, no interfaces. */
void model_init(struct model *model);
void model_free(struct model *model); /* and everything it owns; may be half-built */

/*
 * Append a zeroed element and return it, or NULL without memory. The pointer lasts until the next
 * add. Only these functions grow the arrays.
 */
struct interface_rule *model_add_interface(struct model *model);
struct service *model_add_service(struct model *model);
struct vip *service_add_vip(struct service *service);
struct backend *service_add_backend(struct service *service);

/* Lookups give NULL for absent. The second is a walk, meant for one service. */
struct service *model_find_service(const struct model *model, const char *name);
struct backend *service_find_backend(const struct service *service, const struct addr *addr,
				     uint16_t port);

/* The words for the values of an enum; the last has no text. */
struct name {
	const char *text;
	int value;
};
extern const struct name protocol_names[], algorithm_names[], path_names[], role_names[],
	hook_names[];

/* One table each, both ways; NULL or -EINVAL for what is not in it. */
int name_value(const struct name *names, const char *text);
const char *protocol_name(uint8_t protocol);
const char *algorithm_name(enum algorithm algorithm);
const char *path_name(enum path path);
const char *role_name(enum role role);
const char *hook_name(enum hook hook);

#endif
