/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* config_keys.c - the keyword table and what turns text into values; see config_keys.h. */
#include "model/config_keys.h"

#include "base/err.h"
#include "base/num.h"
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIELD(type, member) .offset = offsetof(type, member), .size = sizeof(((type *)0)->member)
#define WORD_CHARACTERS     "letters, digits, '.', '_', '/', '-'"

static bool is_word(const char *text)
{
	for (; *text; text++) {
		if (!isascii(*text) || (!isalnum(*text) && !strchr("._/-", *text)))
			return false;
	}
	return true;
}

static int parse_word(char *field, size_t size, const char *text, struct err *err)
{
	char shown[TEXT_SHOWN_LEN];
	size_t len = strlen(text);

	if (!len || len >= size || !is_word(text))
		return err_set(err, -EINVAL, "got %s, wanted 1-%zu of " WORD_CHARACTERS,
			       text_show(text, shown), size - 1);
	memcpy(field, text, len + 1);
	return 0;
}

static int parse_name(void *element, const char *text, struct err *err)
{
	struct service *service = element;

	return parse_word(service->name, sizeof(service->name), text, err);
}

static int parse_zone(void *element, const char *text, struct err *err)
{
	struct backend *backend = element;

	return parse_word(backend->zone, sizeof(backend->zone), text, err);
}

/* A name as the kernel takes it (dev_valid_name), or a glob over such names. */
static int parse_pattern(void *element, const char *text, struct err *err)
{
	struct interface_rule *rule = element;
	char shown[TEXT_SHOWN_LEN];
	size_t len = strlen(text);
	bool is_good = len > 0 && len < PATTERN_LEN;

	for (size_t i = 0; i < len; i++)
		is_good = is_good && text[i] > ' ' && text[i] <= '~' && !strchr("/:", text[i]);
	if (!is_good)
		return err_set(err, -EINVAL,
			       "got %s, wanted a name or glob of 1-15 characters, as veth*",
			       text_show(text, shown));
	memcpy(rule->pattern, text, len + 1);
	return 0;
}

static int parse_hash_seed(void *element, const char *text, struct err *err)
{
	struct model *model = element;
	char shown[TEXT_SHOWN_LEN], half[17] = "";

	if (strlen(text) != 32 || strspn(text, "0123456789abcdefABCDEF") != 32)
		return err_set(err, -EINVAL, "got %s, wanted 32 hexadecimal digits",
			       text_show(text, shown));
	memcpy(half, text, 16);
	model->hash_seed[0] = strtoull(half, NULL, 16);
	model->hash_seed[1] = strtoull(text + 16, NULL, 16);
	model->has_hash_seed = true;
	return 0;
}

static int check_usable(const struct addr *addr, const char *text, struct err *err)
{
	const char *what = addr_unusable(addr);
	char shown[TEXT_SHOWN_LEN];

	if (!what)
		return 0;
	return err_set(err, -EINVAL, "got %s (%s), wanted a unicast address",
		       text_show(text, shown), what);
}

static int parse_usable(struct addr *addr, const char *text, struct err *err)
{
	struct addr parsed;
	int rc = addr_parse(text, &parsed, err);

	if (!rc)
		rc = check_usable(&parsed, text, err);
	if (!rc)
		*addr = parsed;
	return rc;
}

static int parse_vip_address(void *element, const char *text, struct err *err)
{
	return parse_usable(&((struct vip *)element)->addr, text, err);
}

static int parse_backend_address(void *element, const char *text, struct err *err)
{
	return parse_usable(&((struct backend *)element)->addr, text, err);
}

static int parse_vip_port(void *element, const char *text, struct err *err)
{
	struct vip *vip = element;
	char shown[TEXT_SHOWN_LEN];
	uint64_t port = 0;

	if (strcmp(text, "any") && strcmp(text, "*") && num_parse(text, 1, UINT16_MAX, &port, NULL))
		return err_set(err, -EINVAL, "got %s, wanted 1-65535 or any",
			       text_show(text, shown));
	vip->port = port;
	return 0;
}

/* "address:port". Any port must be said (":*"): a forgotten one must not open all. */
static int parse_vip(void *element, const char *text, struct err *err)
{
	struct vip *vip = element;
	char shown[TEXT_SHOWN_LEN];
	struct addr addr;
	uint16_t port;
	int rc;

	rc = endpoint_parse(text, &addr, &port, err);
	if (!rc)
		rc = check_usable(&addr, text, err);
	if (rc)
		return rc;
	if (!port && text[strlen(text) - 1] != '*')
		return err_set(err, -EINVAL,
			       "got %s, wanted address:port, or address:* for any port",
			       text_show(text, shown));
	vip->addr = addr;
	vip->port = port;
	return 0;
}

/* "address:port", or the address alone: the port of the VIP that was asked. */
static int parse_backend(void *element, const char *text, struct err *err)
{
	struct backend *backend = element;
	struct addr addr;
	uint16_t port;
	int rc;

	rc = endpoint_parse(text, &addr, &port, err);
	if (!rc)
		rc = check_usable(&addr, text, err);
	if (rc)
		return rc;
	backend->addr = addr;
	backend->port = port;
	return 0;
}

static void *add_interface(void *parent)
{
	return model_add_interface(parent);
}

static void *add_service(void *parent)
{
	return model_add_service(parent);
}

static void *add_vip(void *parent)
{
	return service_add_vip(parent);
}

static void *add_backend(void *parent)
{
	return service_add_backend(parent);
}

const struct config_key config_interface_keys[] = {
	{
		.name = "match",
		.kind = CONFIG_TEXT,
		.is_required = true,
		FIELD(struct interface_rule, pattern),
		.parse = parse_pattern,
		.format = "1-15 characters",
		.help = "name of the interface, or a glob (*, ?, [...])",
	},
	{
		.name = "role",
		.kind = CONFIG_CHOICE,
		.is_required = true,
		FIELD(struct interface_rule, role),
		.names = role_names,
		.help = "workload: clients and backends of this node; uplink: the network",
	},
	{
		.name = "hook",
		.kind = CONFIG_CHOICE,
		FIELD(struct interface_rule, hook),
		.names = hook_names,
		.fallback = "auto",
		.help = "how the programs attach; auto: tcx where the kernel has it, else clsact",
	},
	{},
};

#define LIMIT(member, low, high, standard, what)                                                  \
	{                                                                                         \
		.name = #member, .kind = CONFIG_NUMBER, FIELD(struct limits, member), .min = low, \
		.max = high, .fallback = standard, .help = what,                                  \
	}

static const struct config_key limit_keys[] = {
	LIMIT(services, 1, LIMIT_SERVICES_MAX, "4096", "services"),
	LIMIT(frontends, 1, LIMIT_FRONTENDS_MAX, "8192", "VIPs with their ports, of all services"),
	LIMIT(backends, 1, LIMIT_BACKENDS_MAX, "16384", "backends of all services"),
	LIMIT(slots, LIMIT_SLOTS_MIN, LIMIT_SLOTS_MAX, "4194304",
	      "entries of the tables by which backends are chosen"),
	LIMIT(flows, LIMIT_FLOWS_MIN, LIMIT_FLOWS_MAX, "262144", "connections known at a time"),
	{},
};

#define TIMEOUT(member, standard, what)                                                  \
	{                                                                                \
		.name = #member, .kind = CONFIG_SECONDS, FIELD(struct timeouts, member), \
		.min = 1000, .max = 16000000, .fallback = standard, .help = what,        \
	}

static const struct config_key timeout_keys[] = {
	TIMEOUT(tcp, "8000s", "TCP connection without a packet"),
	TIMEOUT(closing, "10s", "after both FINs or a RST, until the connection counts as closed"),
	TIMEOUT(closed, "120s", "closed connection that keeps its backend for late segments"),
	TIMEOUT(unproven, "10s", "TCP connection before the handshake is complete"),
	TIMEOUT(udp, "60s", "UDP flow without a packet"),
	TIMEOUT(udp_unanswered, "30s", "UDP flow that its backend has not answered yet"),
	{},
};

const struct config_key config_vip_keys[] = {
	{
		.name = "address",
		.kind = CONFIG_TEXT,
		.is_required = true,
		.is_identity = true,
		FIELD(struct vip, addr),
		.parse = parse_vip_address,
		.format = "IPv4 or IPv6 address",
		.help = "address that clients ask",
	},
	{
		.name = "port",
		.kind = CONFIG_TEXT,
		.is_required = true,
		.is_identity = true,
		FIELD(struct vip, port),
		.parse = parse_vip_port,
		.format = "1-65535 or any",
		.help = "port that clients ask",
	},
	{},
};

const struct config_key config_backend_keys[] = {
	{
		.name = "address",
		.kind = CONFIG_TEXT,
		.is_required = true,
		.is_identity = true,
		FIELD(struct backend, addr),
		.parse = parse_backend_address,
		.format = "IPv4 or IPv6 address",
		.help = "address of the server",
	},
	{
		.name = "port",
		.kind = CONFIG_NUMBER,
		.is_identity = true,
		FIELD(struct backend, port),
		.min = 1,
		.max = 65535,
		.help = "its port; may be absent where every VIP is for any port: the port asked",
	},
	{
		.name = "weight",
		.kind = CONFIG_NUMBER,
		FIELD(struct backend, weight),
		.max = WEIGHT_MAX,
		.fallback = "1",
		.help = "share of new connections; 0: none, those that exist go on",
	},
	{
		.name = "zone",
		.kind = CONFIG_TEXT,
		FIELD(struct backend, zone),
		.parse = parse_zone,
		.format = "1-31 of " WORD_CHARACTERS,
		.help = "where it is",
	},
	{
		.name = "labels",
		.kind = CONFIG_LABELS,
		FIELD(struct backend, labels),
		.format = "mapping of " WORD_CHARACTERS "; 151 bytes as key=value,key=value",
		.help = "for people and filters",
	},
	{},
};

const struct config_key config_service_keys[] = {
	{
		.name = "name",
		.kind = CONFIG_TEXT,
		.is_required = true,
		FIELD(struct service, name),
		.parse = parse_name,
		.format = "1-63 of " WORD_CHARACTERS,
		.help = "name of the service, once in a file",
	},
	{
		.name = "protocol",
		.kind = CONFIG_CHOICE,
		FIELD(struct service, protocol),
		.names = protocol_names,
		.fallback = "tcp",
		.help = "protocol of its VIPs and backends",
	},
	{
		.name = "algorithm",
		.kind = CONFIG_CHOICE,
		FIELD(struct service, algorithm),
		.names = algorithm_names,
		.fallback = "hash",
		.help = "how a backend is chosen; hash: by addresses and ports, weighted",
	},
	{
		.name = "path",
		.kind = CONFIG_CHOICE,
		FIELD(struct service, path),
		.names = path_names,
		.fallback = "fast",
		.help = "fast: past the node's stack; stack: through its routing and netfilter",
	},
	{
		.name = "drain_timeout",
		.kind = CONFIG_MILLISECONDS,
		FIELD(struct service, drain_timeout_ms),
		.max = 24 * 3600 * 1000,
		.fallback = "60s",
		.help = "how long the connections of a removed backend may go on",
	},
	{
		.name = "vip",
		.kind = CONFIG_ELEMENT,
		.is_required = true,
		.alternative = "vips",
		.parse = parse_vip,
		.keys = config_vip_keys,
		.add = add_vip,
		.place_offset = offsetof(struct vip, place),
		.format = "address:port, address:*, or a mapping",
		.help = "the one VIP",
	},
	{
		.name = "vips",
		.kind = CONFIG_LIST,
		.min = 1,
		.parse = parse_vip,
		.keys = config_vip_keys,
		.add = add_vip,
		.place_offset = offsetof(struct vip, place),
		.format = "list of address:port, address:*, or mappings",
		.help = "all VIPs, of one address family",
	},
	{
		.name = "backends",
		.kind = CONFIG_LIST,
		.parse = parse_backend,
		.keys = config_backend_keys,
		.add = add_backend,
		.place_offset = offsetof(struct backend, place),
		.format = "list of address:port, address, or mappings",
		.help = "the servers, of the address family of the VIPs; none: clients are refused",
	},
	{},
};

const struct config_key config_keys[] = {
	{
		.name = "interfaces",
		.kind = CONFIG_LIST,
		.max = INTERFACES_MAX,
		.keys = config_interface_keys,
		.add = add_interface,
		.place_offset = offsetof(struct interface_rule, place),
		.format = "list of mappings",
		.help = "where the programs attach; the first match counts",
	},
	{
		.name = "limits",
		.kind = CONFIG_MAP,
		FIELD(struct model, limits),
		.keys = limit_keys,
		.format = "mapping",
		.help = "sizes of the tables, fixed by `weir load`",
	},
	{
		.name = "timeouts",
		.kind = CONFIG_MAP,
		FIELD(struct model, timeouts),
		.keys = timeout_keys,
		.format = "mapping",
		.help = "when a silent connection is forgotten",
	},
	{
		.name = "hash_seed",
		.kind = CONFIG_TEXT,
		FIELD(struct model, hash_seed),
		.parse = parse_hash_seed,
		.format = "32 hexadecimal digits",
		.help = "seed of the choice of backends; the same on nodes that must choose alike",
	},
	{
		.name = "services",
		.kind = CONFIG_LIST,
		.keys = config_service_keys,
		.add = add_service,
		.place_offset = offsetof(struct service, place),
		.format = "list of mappings",
		.help = "what is balanced",
	},
	{},
};

const struct config_key *config_find_key(const struct config_key *keys, const char *name)
{
	for (; keys->name; keys++) {
		if (!strcmp(keys->name, name))
			return keys;
	}
	return NULL;
}

static void store(const struct config_key *key, void *element, uint64_t value)
{
	void *field = (char *)element + key->offset;

	if (key->size == sizeof(uint8_t))
		*(uint8_t *)field = value;
	else if (key->size == sizeof(uint16_t))
		*(uint16_t *)field = value;
	else
		*(uint32_t *)field = value;
}

static int set_number(const struct config_key *key, void *element, const char *text,
		      struct err *err)
{
	uint64_t value;
	int rc = num_parse(text, key->min, key->max, &value, err);

	if (!rc)
		store(key, element, value);
	return rc;
}

static int set_duration(const struct config_key *key, void *element, const char *text,
			struct err *err)
{
	char shown[TEXT_SHOWN_LEN];
	uint64_t ms;
	int rc = duration_parse(text, key->min, key->max, &ms, err);

	if (rc)
		return rc;
	if (key->kind == CONFIG_SECONDS && ms % 1000)
		return err_set(err, -EINVAL, "got %s, wanted whole seconds",
			       text_show(text, shown));
	store(key, element, key->kind == CONFIG_SECONDS ? ms / 1000 : ms);
	return 0;
}

static int set_choice(const struct config_key *key, void *element, const char *text,
		      struct err *err)
{
	int value = name_value(key->names, text);
	char shown[TEXT_SHOWN_LEN], range[128];

	if (value < 0)
		return err_set(err, -EINVAL, "got %s, wanted %s", text_show(text, shown),
			       config_format_range(key, range, sizeof(range)));
	store(key, element, value);
	return 0;
}

int config_set(const struct config_key *key, void *element, const char *text, struct err *err)
{
	switch (key->kind) {
	case CONFIG_NUMBER:
		return set_number(key, element, text, err);
	case CONFIG_SECONDS:
	case CONFIG_MILLISECONDS:
		return set_duration(key, element, text, err);
	case CONFIG_CHOICE:
		return set_choice(key, element, text, err);
	case CONFIG_TEXT:
		return key->parse(element, text, err);
	default:
		return err_set(err, -EINVAL, "got text, wanted %s", key->format);
	}
}

void config_set_defaults(const struct config_key *keys, void *element)
{
	for (; keys->name; keys++) {
		if (keys->fallback)
			config_set(keys, element, keys->fallback, NULL);
	}
}

/* Where in "a=1,c=3" a label with `key` belongs; -EEXIST if it is there already. */
static int find_label(const char *labels, const char *key, size_t *ret_at)
{
	size_t key_len = strlen(key), at = 0;

	while (labels[at]) {
		size_t len = strcspn(labels + at, "=");
		int order = strncmp(labels + at, key, len < key_len ? len : key_len);

		if (!order && len == key_len)
			return -EEXIST;
		if (order > 0 || (!order && len > key_len))
			break;
		at += strcspn(labels + at, ",");
		at += labels[at] == ',';
	}
	*ret_at = at;
	return 0;
}

int config_add_label(struct backend *backend, const char *key, const char *value, struct err *err)
{
	char *labels = backend->labels, shown[TEXT_SHOWN_LEN], text[LABELS_LEN + 2];
	size_t len = strlen(labels), at;
	int added;

	if (!*key || !is_word(key))
		return err_set(err, -EINVAL, "got key %s, wanted " WORD_CHARACTERS,
			       text_show(key, shown));
	if (!is_word(value))
		return err_set(err, -EINVAL, "got %s, wanted " WORD_CHARACTERS,
			       text_show(value, shown));
	if (find_label(labels, key, &at))
		return err_set(err, -EINVAL, "got key %s a second time, wanted it once",
			       text_show(key, shown));
	added = snprintf(text, sizeof(text), "%s%s=%s%s", len && at == len ? "," : "", key, value,
			 at < len ? "," : "");
	if (len + added >= LABELS_LEN)
		return err_set(err, -EINVAL, "got %zu bytes of labels, wanted 0-%d", len + added,
			       LABELS_LEN - 1);
	memmove(labels + at + added, labels + at, len - at + 1);
	memcpy(labels + at, text, added);
	return 0;
}

/* "auto, tcx or clsact" */
static const char *join_names(const struct name *names, char *text, size_t size)
{
	size_t len = 0;

	for (; names->text && len < size; names++) {
		const char *between = names[1].text ? ", " : " or ";

		len += snprintf(text + len, size - len, "%s%s", len ? between : "", names->text);
	}
	return text;
}

const char *config_format_range(const struct config_key *key, char *text, size_t size)
{
	char min[DURATION_TEXT_LEN], max[DURATION_TEXT_LEN];

	switch (key->kind) {
	case CONFIG_NUMBER:
		snprintf(text, size, "%llu-%llu", (unsigned long long)key->min,
			 (unsigned long long)key->max);
		return text;
	case CONFIG_SECONDS:
	case CONFIG_MILLISECONDS:
		snprintf(text, size, "%s-%s", duration_format(key->min, min),
			 duration_format(key->max, max));
		return text;
	case CONFIG_CHOICE:
		return join_names(key->names, text, size);
	default:
		snprintf(text, size, "%s", key->format);
		return text;
	}
}
