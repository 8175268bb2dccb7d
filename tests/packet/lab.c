/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* lab.c - namespace, load, services; see lab.h. */
#include "lab.h"

#include "base/err.h"
#include "datapath/apply.h"
#include "datapath/attach.h"
#include "datapath/load.h"
#include "datapath/lock.h"
#include "datapath/netlink.h"
#include "datapath/programs.h"
#include "model/config.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <glob.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOCK_WAIT_MS 1000
#define ROOT_PREFIX  "/sys/fs/bpf/weir-packet-"

const struct variant lab_variants[VARIANTS] = {
	[TCP4] = {"TCP/IPv4", "tcp4", false, IPPROTO_TCP},
	[TCP6] = {"TCP/IPv6", "tcp6", true, IPPROTO_TCP},
	[UDP4] = {"UDP/IPv4", "udp4", false, IPPROTO_UDP},
	[UDP6] = {"UDP/IPv6", "udp6", true, IPPROTO_UDP},
};

const uint8_t lab_macs[LINK_COUNT][6] = {
	[LINK_CLIENTS] = {0x02, 0, 0, 1, 0, 1},      [LINK_BACKENDS] = {0x02, 0, 0, 2, 0, 1},
	[LINK_POD] = {0x02, 0, 0, 3, 0, 1},          [LINK_NARROW] = {0x02, 0, 0, 4, 0, 1},
	[LINK_NODE] = {0x02, 'W', 'E', 'I', 'R', 0},
};
const uint8_t lab_pod_mac[6] = {0x02, 0, 0, 3, 0, 2};

static const char *const link_names[LINK_COUNT] = {
	"clients", "backends", "pod", "narrow", LOAD_NODE,
};

/* Backends are hosts first, first + 1, ... of the network. */
static const struct lab_service {
	const char *name;
	const char *options;
	enum lab_net net;
	unsigned int first, count;
	uint16_t vip_port, backend_port; /* 0: any, the same */
} services[VIP_COUNT] = {
	[VIP_WEB] = {"web", "", NET_BACKENDS, 11, 3, LAB_PORT, LAB_BACKEND_PORT},
	[VIP_STACK] = {"stack", "path: stack, ", NET_BACKENDS, 21, 3, LAB_PORT, LAB_BACKEND_PORT},
	[VIP_TWIN] = {"twin", "", NET_BACKENDS, 11, 3, LAB_PORT, LAB_BACKEND_PORT},
	[VIP_ONE] = {"one", "", NET_BACKENDS, 31, 1, LAB_PORT, LAB_BACKEND_PORT},
	[VIP_OTHER] = {"other", "", NET_BACKENDS, 31, 1, LAB_PORT, LAB_BACKEND_PORT},
	[VIP_ANY] = {"any", "", NET_BACKENDS, 41, 3, 0, 0},
	[VIP_EMPTY] = {"empty", "", NET_BACKENDS, 0, 0, LAB_PORT, LAB_BACKEND_PORT},
	[VIP_POD] = {"pod", "", NET_POD, 2, 1, LAB_PORT, LAB_BACKEND_PORT},
	[VIP_GATEWAY] = {"gateway", "", NET_GATEWAY, 2, 1, LAB_PORT, LAB_BACKEND_PORT},
	[VIP_NARROW] = {"narrow", "", NET_NARROW, 2, 1, LAB_PORT, LAB_BACKEND_PORT},
	[VIP_LOST] = {"lost", "", NET_LOST, 2, 1, LAB_PORT, LAB_BACKEND_PORT},
	[VIP_SOLO] = {"solo", "", NET_BACKENDS, 51, 1, LAB_PORT, LAB_BACKEND_PORT},
	[VIP_ANY_TWIN] = {"any-twin", "", NET_BACKENDS, 41, 3, 0, 0},
	[VIP_MIXED] = {"mixed", "", NET_BACKENDS, 41, 3, LAB_PORT, LAB_ANY_PORT},
	[VIP_FIXED] = {"fixed", "", NET_BACKENDS, 61, 1, LAB_FIXED_PORT, LAB_FIXED_BACKEND_PORT},
};

/* Host 1 is the node; of most others no MAC is known. */
static const char *const set_up[] = {
	"ip link set lo up",
	"ip link add clients address 02:00:00:01:00:01 type veth peer name clients1",
	"ip link add backends address 02:00:00:02:00:01 type veth peer name backends1",
	"ip link add pod address 02:00:00:03:00:01 type veth peer name pod1",
	"ip link add narrow address 02:00:00:04:00:01 mtu 1280 type veth"
	" peer name narrow1 mtu 1280",
	"for i in clients backends pod narrow; do ip link set $i up; ip link set ${i}1 up; done",
	"n=1; for i in clients backends pod narrow; do"
	" ip addr add 10.$n.0.1/24 dev $i; ip addr add fd00:$n::1/64 dev $i nodad;"
	" n=$((n + 1)); done",
	"ip neigh add 10.3.0.2 lladdr 02:00:00:03:00:02 dev pod",
	"ip neigh add fd00:3::2 lladdr 02:00:00:03:00:02 dev pod",
	"for i in 51 254; do ip neigh add 10.2.0.$i lladdr 02:00:00:02:00:02 dev backends;"
	" ip neigh add fd00:2::$i lladdr 02:00:00:02:00:02 dev backends; done",
	"ip neigh add 10.4.0.2 lladdr 02:00:00:04:00:02 dev narrow",
	"ip neigh add fd00:4::2 lladdr 02:00:00:04:00:02 dev narrow",
	"ip route add 10.5.0.0/24 via 10.2.0.254",
	"ip route add fd00:5::/64 via fd00:2::254",
	"echo 1 >/proc/sys/net/ipv4/ip_forward",
	"echo 1 >/proc/sys/net/ipv6/conf/all/forwarding",
};

struct addr lab_vip(const struct variant *variant, enum lab_vip vip)
{
	char text[ADDR_TEXT_LEN];
	struct addr addr = {};

	if (vip == VIP_FIXED)
		vip = VIP_ANY;
	snprintf(text, sizeof(text), variant->is_v6 ? "2001:db8::%u" : "192.0.2.%u",
		 variant->protocol == IPPROTO_UDP ? 100 + vip : vip);
	addr_parse(text, &addr, NULL);
	return addr;
}

struct addr lab_host(const struct variant *variant, enum lab_net net, unsigned int host)
{
	char text[ADDR_TEXT_LEN];
	struct addr addr = {};

	snprintf(text, sizeof(text), variant->is_v6 ? "fd00:%u::%u" : "10.%u.0.%u", net, host);
	addr_parse(text, &addr, NULL);
	return addr;
}

const char *lab_service(const struct variant *variant, enum lab_vip vip, char *name)
{
	if (vip == VIP_WEB_TOO)
		vip = VIP_WEB;
	snprintf(name, NAME_LEN, "%s-%s", services[vip].name, variant->suffix);
	return name;
}

/* An element of `vips` or `backends` in YAML's flow style. */
static void print_end(FILE *out, const struct addr *addr, uint16_t port)
{
	char text[ADDR_TEXT_LEN];

	fprintf(out, "{address: \"%s\"", addr_format(addr, text));
	if (port)
		fprintf(out, ", port: %u", port);
	fprintf(out, "}, ");
}

static void print_service(FILE *out, const struct variant *variant, enum lab_vip vip)
{
	const struct lab_service *service = &services[vip];
	struct addr addr = lab_vip(variant, vip);
	char name[NAME_LEN];

	fprintf(out, "  - {name: %s, protocol: %s, %svips: [", lab_service(variant, vip, name),
		variant->protocol == IPPROTO_TCP ? "tcp" : "udp", service->options);
	if (service->vip_port)
		print_end(out, &addr, service->vip_port);
	else
		fprintf(out, "{address: \"%s\", port: any}, ", addr_format(&addr, name));
	if (vip == VIP_WEB) {
		addr = lab_vip(variant, VIP_WEB_TOO);
		print_end(out, &addr, service->vip_port);
	}
	fprintf(out, "], backends: [");
	for (unsigned int i = 0; i < service->count; i++) {
		addr = lab_host(variant, service->net, service->first + i);
		print_end(out, &addr, service->backend_port);
	}
	fprintf(out, "]}\n");
}

static int parse_base(struct model *ret_model, struct err *err)
{
	struct config_errors errors;
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);
	int rc;

	if (!out)
		return err_set(err, -ENOMEM, "out of memory");
	fprintf(out,
		"limits: {services: 128, frontends: 128, backends: %u, slots: 131072, "
		"flows: 1024}\nservices:\n",
		LAB_BACKENDS_MAX);
	for (int v = 0; v < VARIANTS; v++)
		for (enum lab_vip vip = VIP_WEB; vip < VIP_WEB_TOO; vip++)
			print_service(out, &lab_variants[v], vip);
	fclose(out);
	rc = config_parse("lab", text, length, ret_model, &errors);
	if (rc) {
		config_errors_print(&errors, stdout);
		err_set(err, rc, "the services of the lab are not a valid configuration");
	}
	config_errors_free(&errors);
	free(text);
	if (rc)
		return rc;
	ret_model->has_hash_seed = true;
	ret_model->hash_seed[0] = 0x0706050403020100;
	ret_model->hash_seed[1] = 0x0f0e0d0c0b0a0908;
	return 0;
}

static int apply_base(struct lab *lab, struct err *err)
{
	struct change_list changes = {};
	struct model nothing, base = {};
	int rc = parse_base(&base, err);

	if (rc)
		return rc;
	model_init(&nothing);
	rc = diff_models(&nothing, &base, &changes);
	if (!rc)
		rc = apply_changes(lab->maps, &changes, err);
	change_list_free(&changes);
	model_free(&nothing);
	model_free(&base);
	return rc;
}

static int enter_namespace(struct lab *lab, struct err *err)
{
	cpu_set_t first;

	CPU_ZERO(&first);
	CPU_SET(sched_getcpu(), &first);
	if (sched_setaffinity(0, sizeof(first), &first)) /* the packet path keeps state per CPU */
		return err_set(err, -errno, "sched_setaffinity: %s", strerror(errno));
	if (unshare(CLONE_NEWNET))
		return err_set(err, -errno, "cannot make a network namespace: %s", strerror(errno));
	lab->is_inside = true;
	for (size_t i = 0; i < sizeof(set_up) / sizeof(set_up[0]); i++)
		if (system(set_up[i]))
			return err_set(err, -EIO, "failed: %s", set_up[i]);
	return 0;
}

static int open_pin(struct lab *lab, const char *name, int *ret_fd, struct err *err)
{
	char path[320];

	snprintf(path, sizeof(path), "%s/%s", lab->maps->directory, name);
	*ret_fd = bpf_obj_get(path);
	return *ret_fd < 0 ? err_set(err, -errno, "%s: %s", path, strerror(errno)) : 0;
}

/* Without its pin the map of timers has no user left but programs, and the kernel ends them. */
static int stop_timers(struct lab *lab, struct err *err)
{
	char path[320];

	snprintf(path, sizeof(path), "%s/sweepers", lab->maps->directory);
	return unlink(path) ? err_set(err, -errno, "%s: %s", path, strerror(errno)) : 0;
}

static int find_links(struct lab *lab, struct err *err)
{
	struct weir_interface pod = {
		.name = "pod", .role = WEIR_ROLE_WORKLOAD, .flags = WEIR_INTERFACE_PEER};
	struct netlink_link link;
	struct netlink *netlink;
	int rc = netlink_open(&netlink, err);

	if (rc)
		return rc;
	for (int i = 0; !rc && i < LINK_COUNT; i++) {
		rc = netlink_link(netlink, link_names[i], &link, err);
		if (!rc)
			lab->ifindex[i] = link.ifindex;
	}
	netlink_close(netlink);
	if (!rc && bpf_map_update_elem(lab->maps->fds[MAP_interfaces], &lab->ifindex[LINK_POD],
				       &pod, BPF_ANY))
		rc = err_set(err, -errno, "map interfaces: %s", strerror(errno));
	return rc;
}

/* BPF_F_TEST_SKB_CHECKSUM_COMPLETE, 6.10: an unknown flag is refused. */
static bool knows_complete(int program)
{
	char packet[64] = {};
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = packet, .data_size_in = sizeof(packet),
		    .flags = 1u << 2, .repeat = 1);

	return !bpf_prog_test_run_opts(program, &run);
}

static int load(struct lab *lab, struct err *err)
{
	struct model base = {};
	int rc = parse_base(&base, err);

	if (!rc)
		rc = load_install(&base, err);
	model_free(&base);
	if (!rc)
		rc = maps_open(&lab->maps, err);
	if (rc)
		return rc;
	lab->lock = lock_take(lab->maps->directory, LOCK_WAIT_MS, err);
	if (lab->lock < 0)
		return lab->lock;
	lab->maps->is_writable = true;
	attach_remove_node(lab->maps);
	return 0;
}

static int open_pins(struct lab *lab, struct err *err)
{
	int rc = open_pin(lab, PROGRAM_INGRESS, &lab->programs[WEIR_HOOK_INGRESS], err);

	if (!rc)
		rc = open_pin(lab, PROGRAM_EGRESS, &lab->programs[WEIR_HOOK_EGRESS], err);
	if (!rc)
		rc = open_pin(lab, PROGRAM_SWEEP, &lab->sweep, err);
	if (!rc)
		rc = open_pin(lab, "refuse_buckets", &lab->rate, err);
	return rc;
}

static void close_pins(struct lab *lab)
{
	int *fds[] = {&lab->programs[0], &lab->programs[1], &lab->sweep, &lab->rate, &lab->lock};

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
	maps_close(lab->maps);
	lab->maps = NULL;
}

/* A run that was killed leaves its pins. */
static void remove_stale_pins(void)
{
	glob_t found;

	if (glob(ROOT_PREFIX "*", 0, NULL, &found))
		return;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		char command[300];
		int pid = atoi(found.gl_pathv[i] + strlen(ROOT_PREFIX));

		if (pid <= 0 || !kill(pid, 0) || errno != ESRCH)
			continue;
		snprintf(command, sizeof(command), "rm -r '%s'", found.gl_pathv[i]);
		if (system(command))
			fprintf(stderr, "cannot remove %s\n", found.gl_pathv[i]);
	}
	globfree(&found);
}

/* Each shard's timer looks every four seconds, one of them every 63 ms. */
static bool has_timers(struct lab *lab)
{
	const struct timespec pause = {.tv_nsec = 10000000};
	unsigned int before;

	lab_fill_table(lab, false, WEIR_FLOW_LIVE);
	lab_age_all(lab, 100);
	before = lab_count_flows(lab);
	for (int i = 0; i < 500; i++, nanosleep(&pause, NULL))
		if (lab_count_flows(lab) < before)
			return true;
	return false;
}

int lab_open(struct lab *lab, struct err *err)
{
	char root[64];
	int rc;

	*lab = (struct lab){.lock = -1, .programs = {-1, -1}, .sweep = -1, .rate = -1};
	snprintf(root, sizeof(root), ROOT_PREFIX "%d", getpid());
	setenv("WEIR_ROOT", root, 1);
	remove_stale_pins();
	rc = enter_namespace(lab, err);
	if (!rc)
		rc = load(lab, err);
	if (!rc)
		rc = open_pins(lab, err);
	if (!rc)
		rc = find_links(lab, err);
	if (rc)
		return rc;
	lab->has_timers = has_timers(lab);
	lab->has_complete = knows_complete(lab->sweep);
	return stop_timers(lab, err);
}

int lab_reload(struct lab *lab, struct err *err)
{
	int rc;

	close_pins(lab);
	rc = load(lab, err);
	if (!rc)
		rc = open_pins(lab, err);
	return rc ? rc : stop_timers(lab, err);
}

/* Only inside: in another namespace weir0 may be somebody else's. */
void lab_close(struct lab *lab)
{
	close_pins(lab);
	if (lab->is_inside)
		load_remove(NULL);
}

static void empty_hash(struct maps *maps, enum map_id id)
{
	unsigned char key[64];

	while (!bpf_map_get_next_key(maps->fds[id], NULL, key))
		if (bpf_map_delete_elem(maps->fds[id], key))
			return;
}

int lab_reset(struct lab *lab, struct err *err)
{
	static const enum map_id arrays[] = {
		MAP_frontend_list, MAP_services,     MAP_backends,          MAP_gauges,
		MAP_counters,      MAP_flows,        MAP_flows_wide,        MAP_flow_details,
		MAP_nexthops,      MAP_vip_filter,   MAP_flow_details_wide, MAP_backend_filter,
		MAP_service_info,  MAP_backend_info,
	};
	static const enum map_id hashes[] = {MAP_frontends, MAP_vips, MAP_spill, MAP_service_index};
	struct weir_settings *settings;
	int rc;

	if (!lab->maps)
		return err_set(err, -ENOENT, "not loaded any more");
	settings = lab->maps->settings;
	for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++) {
		void *array = maps_array(lab->maps, arrays[i]);

		if (!array)
			return err_set(err, -ENOMEM, "cannot map %s", map_names[arrays[i]]);
		memset(array, 0, lab->maps->sizes[arrays[i]]);
	}
	for (size_t i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++)
		empty_hash(lab->maps, hashes[i]);
	settings->any_port_frontends = 0;
	settings->spilled = 0;
	settings->stale_vips = 0;
	settings->stale_backends = 0;
	rc = apply_format(lab->maps, err);
	return rc ? rc : apply_base(lab, err);
}

__u32 lab_backend(struct lab *lab, const struct variant *variant, enum lab_vip vip,
		  const struct addr *addr, uint16_t port)
{
	const struct weir_backend *backends = maps_backends(lab->maps);
	const struct weir_service_info *infos = maps_service_info(lab->maps);
	char name[NAME_LEN];

	lab_service(variant, vip, name);
	for (__u32 i = 0; i < lab->maps->settings->backends; i++)
		if (backends[i].service != WEIR_NONE && backends[i].port == htons(port) &&
		    !memcmp(&backends[i].address, addr, sizeof(*addr)) &&
		    !strcmp(infos[backends[i].service].name, name))
			return i;
	return WEIR_NONE;
}

int lab_apply(struct lab *lab, const struct change_list *list, struct err *err)
{
	return apply_changes(lab->maps, list, err);
}

int lab_operate(struct lab *lab, enum change_kind kind, bool is_now, const struct variant *variant,
		enum lab_vip vip, const struct backend *backend, struct err *err)
{
	struct vip at = {.addr = lab_vip(variant, vip), .port = services[vip].vip_port};
	struct service service = {.protocol = variant->protocol};
	struct change change = {
		.kind = kind,
		.is_now = is_now,
		.service = &service,
		.backend = backend,
		.vip = kind == CHANGE_VIP_ADD || kind == CHANGE_VIP_REMOVE ? &at : NULL,
	};
	struct change_list list = {.changes = &change, .count = 1};

	lab_service(variant, vip, service.name);
	return apply_changes(lab->maps, &list, err);
}
