/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * lab.h - a network namespace of its own with Weir loaded in it, the same services for every row,
 * and what rows need to reach into it: operator's commands, the flow tables, the clock.
 *
 * Packets go in by BPF_PROG_TEST_RUN only. Nothing is attached and the timers of the sweep are
 * gone, so nothing but the row itself moves a counter.
 */
#ifndef WEIR_TEST_LAB_H
#define WEIR_TEST_LAB_H

#include "base/addr.h"
#include "bpf/abi.h"
#include "datapath/maps.h"
#include "model/diff.h"

#include <stdbool.h>
#include <stdint.h>

struct err;

#define LAB_BACKENDS_MAX 256
#define LAB_PORT         80 /* of all services with one port */
#define LAB_BACKEND_PORT 8080
#define LAB_FREE_PORT    81 /* of no service */
#define LAB_ANY_PORT     7000 /* asked of VIP_ANY by rows that do not care */

struct variant {
	const char *name; /* "TCP/IPv4" */
	const char *suffix; /* "tcp4" */
	bool is_v6;
	uint8_t protocol;
};
enum {
	TCP4,
	TCP6,
	UDP4,
	UDP6,
	VARIANTS
};
extern const struct variant lab_variants[VARIANTS];

/* The last byte of the VIP (UDP: 100 more); each is a service of every variant. */
enum lab_vip {
	VIP_WEB = 1, /* three backends */
	VIP_STACK, /* path: stack, three backends */
	VIP_TWIN, /* the same backends as VIP_WEB */
	VIP_ONE, /* one backend */
	VIP_OTHER, /* the same single backend */
	VIP_ANY, /* any port, three backends that are asked at the same port */
	VIP_EMPTY, /* no backends */
	VIP_POD, /* a backend in a local veth */
	VIP_GATEWAY, /* behind a gateway */
	VIP_NARROW, /* behind an MTU of 1280 */
	VIP_LOST, /* no route */
	VIP_SOLO, /* one backend, nobody else's */
	VIP_ANY_TWIN, /* any port, the backends of VIP_ANY */
	VIP_MIXED, /* the backends of VIP_ANY, at the port LAB_ANY_PORT */
	VIP_FIXED, /* port 443 of VIP_ANY's address */
	VIP_WEB_TOO, /* a second VIP of the service of VIP_WEB */
	VIP_COUNT,
};
#define LAB_FIXED_PORT         443
#define LAB_FIXED_BACKEND_PORT 8443

/* Networks: the second byte of the address. */
enum lab_net {
	NET_CLIENTS = 1,
	NET_BACKENDS,
	NET_POD,
	NET_NARROW,
	NET_GATEWAY,
	NET_LOST
};

enum lab_link {
	LINK_CLIENTS,
	LINK_BACKENDS,
	LINK_POD,
	LINK_NARROW,
	LINK_NODE,
	LINK_COUNT
};

struct lab {
	struct maps *maps;
	int lock;
	int programs[2]; /* by hook */
	int sweep; /* program */
	int rate; /* map refuse_buckets */
	uint32_t ifindex[LINK_COUNT];
	bool is_inside; /* the namespace */
	bool has_timers; /* those of the sweep have freed a flow, before they were stopped */
	bool has_complete; /* the kernel can check CHECKSUM_COMPLETE in a test run */
};

extern const uint8_t lab_macs[LINK_COUNT][6]; /* of the node's end of each link */
extern const uint8_t lab_pod_mac[6]; /* of the pod's end */

int lab_open(struct lab *lab, struct err *err);
void lab_close(struct lab *lab);

/* Load again: the programs are exchanged, maps and flows stay. */
int lab_reload(struct lab *lab, struct err *err);

/* As after load and the first apply: all maps empty but for the services above. */
int lab_reset(struct lab *lab, struct err *err);

struct addr lab_vip(const struct variant *variant, enum lab_vip vip);
struct addr lab_host(const struct variant *variant, enum lab_net net, unsigned int host);
const char *lab_service(const struct variant *variant, enum lab_vip vip, char *name);

/* Id of the service's backend at an address and port (host order), or WEIR_NONE. */
__u32 lab_backend(struct lab *lab, const struct variant *variant, enum lab_vip vip,
		  const struct addr *addr, uint16_t port);

/* One operator's command through apply_changes; `backend` may be NULL. */
int lab_operate(struct lab *lab, enum change_kind kind, bool is_now, const struct variant *variant,
		enum lab_vip vip, const struct backend *backend, struct err *err);

int lab_apply(struct lab *lab, const struct change_list *list, struct err *err);

/* A flow as it lies in a table, or a copy when it is in `spill`. */
struct lab_flow {
	__u64 who, what;
	struct weir_flow_detail detail;
	__u64 *place; /* of `what`; NULL when spilled */
	struct weir_spill_key spill_key;
};

/* The flow of a client's end at a VIP; false when there is none. `asked` and ports: host order. */
bool lab_find_flow(struct lab *lab, const struct variant *variant, const struct addr *client,
		   uint16_t client_port, enum lab_vip vip, uint16_t asked,
		   struct lab_flow *ret_flow);
int lab_write_flow(struct lab *lab, const struct lab_flow *flow); /* its `what` */
unsigned int lab_count_flows(struct lab *lab); /* in all tables */

/* Fill every entry of a table that is free: with flows of nobody, with these bits of `what`. */
void lab_fill_table(struct lab *lab, bool is_wide, __u64 bits);

void lab_age_all(struct lab *lab, unsigned int seconds); /* every entry of both tables */

/* `what` as if the flow had been seen last so many seconds ago. */
__u64 lab_aged(struct lab *lab, __u64 what, unsigned int seconds);

#endif
