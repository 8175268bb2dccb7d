/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * abi.h - the contract between the packet path (bpf/) and user space (userspace/datapath/).
 *
 * Keys and values of every pinned map, the limits, the list of outcomes, and the version. Both
 * sides compile this file; there is no second copy of any struct. docs/maps.md is its manual.
 *
 * Rules: fixed-width types; __be16/__be32 for network order, everything else is host order;
 * padding is named and zero; each size is asserted. A change of any layout changes
 * WEIR_ABI_VERSION, which is part of the pin path.
 */
#ifndef WEIR_ABI_H
#define WEIR_ABI_H

#include <linux/types.h>

#define WEIR_ABI_VERSION 1

#define WEIR_FRONTENDS_MAX (1u << 17) /* bits of a frontend id in a flow */
#define WEIR_BACKENDS_MAX  (1u << 20) /* bits of a backend id in a flow */
#define WEIR_SERVICES_MAX  (1u << 17)
#define WEIR_SLOTS_MAX     (1u << 28)
#define WEIR_NAME_LEN      64 /* name of a service, with the final NUL */
#define WEIR_ZONE_LEN      32
#define WEIR_LABELS_LEN    152

/* An IPv6 address, or an IPv4 address a.b.c.d as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2). */
struct weir_address {
	__be32 word[4];
};
_Static_assert(sizeof(struct weir_address) == 16, "weir_address");

/*
 * Map `frontends` (HASH): (VIP, port, protocol) to a frontend id. Writer: apply. Reader: the
 * first packet of a flow. An any-port frontend has port 0.
 */
struct weir_frontend_key {
	struct weir_address vip;
	__be16 port; /* 0: any port */
	__u8 protocol; /* IPPROTO_TCP, IPPROTO_UDP */
	__u8 zero;
	__u32 zero2;
};
_Static_assert(sizeof(struct weir_frontend_key) == 24, "weir_frontend_key");

/*
 * Map `frontend_list` (ARRAY, mmapped): frontend id to what it stands for. Writer: apply, before
 * the key is in `frontends` and until no flow can need it. Readers: every packet of a flow.
 */
#define WEIR_FRONTEND_VALID      (1u << 0) /* flows of this frontend go on */
#define WEIR_FRONTEND_PATH_STACK (1u << 1) /* `path: stack`: the kernel routes, not we */
#define WEIR_FRONTEND_ANY_PORT   (1u << 2)
struct weir_frontend {
	struct weir_address vip;
	__be16 port; /* 0: any port */
	__u8 protocol;
	__u8 flags; /* WEIR_FRONTEND_* */
	__u32 service; /* service id */
	__u32 next; /* next frontend of the service or free frontend; user space only */
	__u32 reserved;
};
_Static_assert(sizeof(struct weir_frontend) == 32, "weir_frontend");

#define WEIR_NONE 0xffffffffu /* no such id: end of a list */

/*
 * Map `vips` (HASH): the exact set of VIPs. Writer: apply. Reader: a packet to a VIP that
 * belongs to no flow and no frontend.
 */
#define WEIR_VIP_LOCAL (1u << 0) /* also an address of this node: other ports pass to the stack */
struct weir_vip {
	__u32 flags; /* WEIR_VIP_* */
	__u32 frontends; /* how many frontends have this address; user space only */
};
_Static_assert(sizeof(struct weir_vip) == 8, "weir_vip");

/* Map `services` (ARRAY, mmapped): service id to its part of `slots`. Writer: apply. */
#define WEIR_ALGORITHM_HASH 0
#define WEIR_SERVICE_VALID  (1u << 0)
struct weir_service {
	__u64 region; /* start of its slots, low 32 bits; their number (a power of two, or 0 for "no
		       * usable backend"), high 32 bits. One store flips it. */
	__u64 region_lower; /* the lower tier; reserved, 0 */
	__u8 algorithm; /* WEIR_ALGORITHM_* */
	__u8 flags; /* WEIR_SERVICE_* */
	__u16 zero;
	__u32 reserved[11]; /* health, retry and limits of later versions; 0 */
};
_Static_assert(sizeof(struct weir_service) == 64, "weir_service");

/* Map `slots` (ARRAY, mmapped): regions of weighted Maglev tables. Writer: apply. */
struct weir_slot {
	__u32 primary; /* backend id */
	__u32 secondary; /* backend id; the same as primary where there is only one */
};
_Static_assert(sizeof(struct weir_slot) == 8, "weir_slot");

/*
 * Map `backends` (ARRAY, mmapped): backend id to where it is and what stands against it. One id
 * for each (service, address, port). Writer: apply; each reason bit has one writer.
 * A backend is usable for a new flow when `reasons` is 0 and `service` is the service asked for.
 */
#define WEIR_REASON_DRAINED (1u << 0) /* operator, or being removed: no new flows */
#define WEIR_REASON_DOWN    (1u << 1) /* active checks; reserved */
#define WEIR_REASON_EJECTED (1u << 2) /* passive health; reserved */
#define WEIR_REASON_GONE    (1u << 3) /* removed: its flows end */
#define WEIR_REASON_WEIGHT  (1u << 4) /* weight 0: no new flows */
struct weir_backend {
	struct weir_address address;
	__be16 port; /* 0: keep the port of the packet (any-port service) */
	__u8 generation; /* one more each time the id is used again */
	__u8 zero;
	__u32 reasons; /* WEIR_REASON_*; a free id has GONE */
	__u32 service; /* service id; WEIR_NONE for a free id */
	__u32 zero2;
	__u64 gone_at; /* CLOCK_MONOTONIC ns from which it is gone; 0: stays */
	__u32 reserved[6];
};
_Static_assert(sizeof(struct weir_backend) == 64, "weir_backend");

/* Map `gauges` (ARRAY, mmapped): backend id to what is open now. Writer: the packet path. */
struct weir_gauge {
	__u32 active; /* flows counted as open, over all CPUs, changed atomically */
	__u32 reserved; /* half-open, later */
};
_Static_assert(sizeof(struct weir_gauge) == 8, "weir_gauge");

/*
 * Map `counters` (ARRAY, mmapped), index cpu * limits.backends + backend id. Writer: the packet
 * path on that CPU. They only grow, until the id is used again; then apply sets them to 0.
 * Packets are counted as on the wire (a GSO packet is its segments), bytes from the IP header on.
 */
struct weir_counters {
	__u64 forward_packets, forward_bytes; /* client to backend */
	__u64 reply_packets, reply_bytes; /* backend to client */
	__u64 chosen; /* flows sent here: SYNs and first datagrams, answered or not */
	__u64 opened; /* connections proven: handshake done, or a datagram answered */
	__u64 closed; /* connections over; opened + revived - closed = active */
	__u64 revived; /* closed ones that a late segment opened again, and those picked up midway */
};
_Static_assert(sizeof(struct weir_counters) == 64, "weir_counters");

/*
 * Maps `flows` (IPv4) and `flows_wide` (IPv6 and any-port): ARRAY, mmapped; one bucket of four
 * flows. Writer: the packet path, by compare-and-swap of `what`. See bpf/flow.h for the protocol.
 */
#define WEIR_WAYS 4
struct weir_flow {
	__u64 who;
	__u64 what;
};
struct weir_bucket {
	struct weir_flow way[WEIR_WAYS];
};
_Static_assert(sizeof(struct weir_bucket) == 64, "weir_bucket");
struct weir_flow_wide {
	__u64 who; /* the low 32 bits hold the destination port instead of an address */
	__u64 what;
	struct weir_address client;
};
struct weir_bucket_wide {
	struct weir_flow_wide way[WEIR_WAYS];
};
_Static_assert(sizeof(struct weir_bucket_wide) == 128, "weir_bucket_wide");

/*
 * who: the client's end.                 what: the rest.
 *  0-31 client address (network order)    0-16 frontend id
 * 32-47 client port (network order)      17-36 backend id
 * 48    protocol: 0 TCP, 1 UDP           37-50 state and flags, WEIR_FLOW_*
 * 49-56 generation of the backend        51-63 age: when last seen, in units of `age_shift`
 * 57-63 0
 */
#define WEIR_WHO_PORT_SHIFT       32
#define WEIR_WHO_UDP              (1ull << 48)
#define WEIR_WHO_GENERATION_SHIFT 49
#define WEIR_WHO_CLIENT_MASK      ((1ull << 49) - 1) /* what must be equal for "the same client end" */
#define WEIR_WHAT_FRONTEND_MASK   0x1ffffull
#define WEIR_WHAT_BACKEND_SHIFT   17
#define WEIR_WHAT_BACKEND_MASK    0xfffffull
#define WEIR_WHAT_AGE_SHIFT       51
#define WEIR_AGE_MASK             0x1fffull
#define WEIR_FLOW_STATE           (3ull << 37)
#define WEIR_FLOW_FREE            (0ull << 37)
#define WEIR_FLOW_CLAIMING        (1ull << 37) /* being written: nobody's */
#define WEIR_FLOW_LIVE            (2ull << 37)
#define WEIR_FLOW_CLOSED          (3ull << 37) /* over; keeps its backend for late segments */
#define WEIR_FLOW_ANSWERED        (1ull << 39) /* the backend has answered, not with a RST */
#define WEIR_FLOW_PROVEN          (1ull << 40) /* the client is no spoofer, or the backend said so */
#define WEIR_FLOW_FIN_CLIENT      (1ull << 41)
#define WEIR_FLOW_FIN_BACKEND     (1ull << 42)
#define WEIR_FLOW_RESET           (1ull << 43) /* a RST was the last segment */
#define WEIR_FLOW_COUNTED         (1ull << 44) /* part of gauge `active` */
#define WEIR_FLOW_PICKED_UP       (1ull << 45) /* seen first in its middle */
#define WEIR_FLOW_FROM_NODE       (1ull << 46) /* the client is this node: replies leave by weir1 */

/*
 * Maps `flow_details`, `flow_details_wide` (ARRAY, mmapped): the cold part of the flow of the
 * same index (bucket * 4 + way). Writer: the packet path, on SYN and SYN-ACK only.
 */
struct weir_flow_detail {
	__u32 client_isn; /* host order */
	__u32 backend_isn; /* host order; valid once ANSWERED */
	__u64 opened_at; /* CLOCK_MONOTONIC ns of the first packet */
	__u32 ifindex; /* interface that the first packet came in by */
	__u32 reserved[3];
};
_Static_assert(sizeof(struct weir_flow_detail) == 32, "weir_flow_detail");

/* Map `spill` (HASH, bounded): flows for which both their buckets were full of proven ones. */
struct weir_spill_key {
	__u64 who; /* port and protocol of the client's end; the rest 0 */
	struct weir_address client; /* IPv4 of `flows`: in word[3], the rest 0 */
};
struct weir_spill {
	__u64 who;
	__u64 what;
	struct weir_flow_detail detail;
};
_Static_assert(sizeof(struct weir_spill_key) == 24, "weir_spill_key");
_Static_assert(sizeof(struct weir_spill) == 48, "weir_spill");

/*
 * Map `nexthops` (ARRAY, mmapped), index cpu * WEIR_NEXTHOPS + hash of the destination: what the
 * kernel's FIB said, asked again about every second. Writer and reader: the packet path.
 */
#define WEIR_NEXTHOPS      4096
#define WEIR_NEXTHOP_STACK 1 /* no way that we can take: the stack decides */
#define WEIR_NEXTHOP_NEIGH 2 /* bpf_redirect_neigh */
#define WEIR_NEXTHOP_PEER  3 /* bpf_redirect_peer into a local veth */
struct weir_nexthop {
	struct weir_address destination;
	__u32 came_by; /* ifindex */
	__u32 stamp; /* jiffies >> nexthop shift; 0: never filled */
	__u32 ifindex; /* the way out */
	__u8 kind; /* WEIR_NEXTHOP_* */
	__u8 family; /* AF_INET, AF_INET6: of the gateway */
	__u16 mtu;
	struct weir_address gateway; /* IPv4: in word[0] */
	__u8 dmac[6], smac[6];
	__u32 reserved;
};
_Static_assert(sizeof(struct weir_nexthop) == 64, "weir_nexthop");

/* Map `interfaces` (HASH): ifindex to what we do there. Writer: attach. Reader: nexthop. */
#define WEIR_ROLE_WORKLOAD  1
#define WEIR_ROLE_UPLINK    2
#define WEIR_ROLE_NODE      3 /* weir1 */
#define WEIR_HOOK_TCX       1
#define WEIR_HOOK_CLSACT    2
#define WEIR_INTERFACE_PEER (1u << 0) /* a veth whose other end is in another namespace */
#define WEIR_INTERFACE_PORT (1u << 1) /* a bridge port: frames for other hosts are ours as well */
struct weir_interface {
	char name[16];
	__u8 role; /* WEIR_ROLE_* */
	__u8 hook; /* WEIR_HOOK_* */
	__u16 flags; /* WEIR_INTERFACE_* */
	__u32 reserved;
};
_Static_assert(sizeof(struct weir_interface) == 24, "weir_interface");

/*
 * Maps `vip_filter` and `backend_filter` (ARRAY of __u64, mmapped): blocked Bloom filters over
 * addresses (bpf/filter.h), asked before anything else. A bit too many costs time only. Writer:
 * apply sets bits; a rebuild clears.
 */

/*
 * Map `outcomes` (ARRAY, mmapped), index cpu * WEIR_HOOKS + hook: how each packet ended. Writer:
 * the packet path on that CPU.
 */
#define WEIR_HOOK_INGRESS 0 /* tc ingress */
#define WEIR_HOOK_EGRESS  1 /* tc egress */
#define WEIR_HOOK_XDP     2 /* reserved */
#define WEIR_HOOKS        4
#define WEIR_OUTCOMES_MAX 64
struct weir_outcome_counters {
	__u64 packets[WEIR_OUTCOMES_MAX];
};
_Static_assert(sizeof(struct weir_outcome_counters) == 512, "weir_outcome_counters");

/*
 * The outcomes: name, action, what a person should read. NONE goes on, PASS leaves the packet to
 * the stack, SENT means that we sent it (or a packet of our own), DROP ends it.
 */
#define WEIR_OUTCOMES(X)                                                                           \
	X(CONTINUE, NONE, "no decision yet; never counted")                                        \
	X(PASS_NOT_IP, PASS, "neither IPv4 nor IPv6")                                              \
	X(PASS_OTHER_HOST, PASS, "the frame is for another host, or for all of them")              \
	X(PASS_VLAN, PASS, "carries a VLAN tag")                                                   \
	X(PASS_FRAGMENT, PASS, "a fragment")                                                       \
	X(PASS_EXTENSION, PASS, "IPv6 with extension headers")                                     \
	X(PASS_PROTOCOL, PASS, "neither TCP nor UDP")                                              \
	X(PASS_MALFORMED, PASS, "malformed, and not known to be ours")                             \
	X(PASS_NOT_OURS, PASS, "neither to a service nor from a backend")                          \
	X(PASS_NO_FLOW, PASS, "from the address of a backend, but of no flow of ours")             \
	X(PASS_LOCAL_PORT, PASS, "to another port of a VIP that is an address of this node")       \
	X(PASS_TTL, PASS, "TTL 1: left to the stack, which answers")                               \
	X(PASS_TO_EGRESS, PASS, "a reply that the stack routes: translated on egress")             \
	X(FORWARDED, SENT, "to its backend")                                                       \
	X(FORWARDED_STACK, PASS, "to its backend, routed by the stack")                            \
	X(REPLIED, SENT, "back to its client")                                                     \
	X(REPLIED_STACK, PASS, "back to its client, routed by the stack")                          \
	X(REFUSED_PORT, SENT, "no service at this port of the VIP: answered with a RST")           \
	X(REFUSED_NO_BACKEND, SENT, "no usable backend: answered with a RST")                      \
	X(REFUSED_GONE, SENT, "its backend was removed: answered with a RST")                      \
	X(REFUSED_CLASH, SENT, "tuple clash, no other backend: answered with a RST")               \
	X(REFUSED_HAIRPIN, SENT, "only the client or its node could serve it: RST")                \
	X(REFUSED_FULL, SENT, "no room for the flow, not even in the spill map: RST")              \
	X(DROP_MALFORMED, DROP, "to a VIP, but a header is shorter than it says")                  \
	X(DROP_NO_PORT, DROP, "no service at this port of the VIP")                                \
	X(DROP_NO_BACKEND, DROP, "the service has no usable backend")                              \
	X(DROP_GONE, DROP, "its backend was removed")                                              \
	X(DROP_CLASH, DROP, "tuple clash, no other backend")                                       \
	X(DROP_HAIRPIN, DROP, "only the client or its node could serve it")                        \
	X(DROP_RATE, DROP, "a RST was due, but the rate bucket is empty")                          \
	X(DROP_VIP_SOURCE, DROP, "claims to come from a VIP")                                      \
	X(DROP_FROM_NODE, DROP, "from this node to a VIP, but for no service: it would come back") \
	X(DROP_WRITE, DROP, "the kernel refused to change or send the packet")

enum weir_outcome {
#define X(name, action, text) WEIR_##name,
	WEIR_OUTCOMES(X)
#undef X
	WEIR_OUTCOME_COUNT
};
_Static_assert(WEIR_OUTCOME_COUNT <= WEIR_OUTCOMES_MAX, "outcomes");

/* Map `internals` (ARRAY, mmapped), index cpu: what happened beside the outcomes. */
#define WEIR_INTERNALS(X)                                                               \
	X(FLOW_ADDED, "flows added to the table")                                       \
	X(FLOW_EVICTED, "unproven or idle flows that made room for a new one")          \
	X(FLOW_SPILLED, "flows that went to the spill map")                             \
	X(FLOW_UNTRACKED, "packets of flows for which buckets and spill map were full") \
	X(FLOW_RACED, "flows that two CPUs added at once; one was taken back")          \
	X(FLOW_SWEPT, "flows freed by the sweep")                                       \
	X(FLOW_INVALIDATED, "stale flows freed by a direct SYN to a backend")           \
	X(PICKED_UP, "flows seen first in their middle")                                \
	X(PORT_REUSED, "SYNs on a closing flow: a backend was chosen afresh")           \
	X(SECONDARY, "choices of the secondary: the primary was not usable")            \
	X(REHASHED, "choices beyond the pair: neither was usable")                      \
	X(CLASHED, "tuple clashes seen at creation")                                    \
	X(HAIRPIN, "clients that are their own primary")                                \
	X(NEXTHOP_ASKED, "FIB lookups")
enum weir_internal {
#define X(name, text) WEIR_INTERNAL_##name,
	WEIR_INTERNALS(X)
#undef X
	WEIR_INTERNAL_COUNT
};
#define WEIR_INTERNALS_MAX 32
struct weir_internal_counters {
	__u64 count[WEIR_INTERNALS_MAX];
};
_Static_assert(WEIR_INTERNAL_COUNT <= WEIR_INTERNALS_MAX, "internals");

/*
 * Map `settings` (ARRAY of one, mmapped): what the installation is. Writer: load and apply. The
 * packet path reads the time-outs in its sweep; the rest reaches it as read-only data at load.
 */
struct weir_timeouts {
	__u32 tcp, closing, closed, unproven, udp, udp_unanswered; /* seconds */
};
struct weir_list {
	__u32 head, tail; /* ids, WEIR_NONE when empty; linked by `next` */
};
struct weir_settings {
	__u32 abi_version; /* WEIR_ABI_VERSION */
	__u32 cpus; /* possible CPUs: the factor in [cpu][...] arrays */
	/* limits, fixed at load */
	__u32 services, frontends, backends, slots;
	__u32 flow_buckets, flow_wide_buckets; /* powers of two */
	__u32 vip_filter_words, backend_filter_words; /* powers of two */
	__u64 flow_seed[2]; /* secret, random at load */
	__u64 hash_seed[2]; /* of the slot choice and the tables; nodes that must agree share it */
	__u32 age_shift; /* jiffies >> age_shift is the age in flows */
	__u32 jiffies_per_second;
	__u32 node_ifindex; /* weir1; 0: none */
	__u32 host_ifindex; /* weir0; 0: none */
	struct weir_timeouts timeouts;
	/* user space only, below */
	__u32 is_dirty; /* a change is under way: the next run repairs first */
	__u32 zero;
	struct weir_list free_services, free_frontends, free_backends; /* FIFO: oldest first */
	struct weir_list leaving; /* backends being removed */
	__u32 any_port_frontends; /* how many there are; the packet path reads it */
	__u32 spilled; /* flows in `spill`; writer: the packet path */
	__u32 stale_vips, stale_backends; /* freed since the filters were rebuilt; user space */
	__u32 reserved[38];
};
_Static_assert(sizeof(struct weir_settings) == 320, "weir_settings");

/*
 * The programs' read-only data: what is fixed when they are loaded, and so a constant to the
 * verifier. Writer: load, from `settings`. Not pinned.
 */
struct weir_constants {
	__u64 flow_seed[2], hash_seed[2];
	__u32 flow_buckets, flow_wide_buckets; /* powers of two */
	__u32 vip_filter_words, backend_filter_words; /* powers of two */
	__u32 backends; /* the factor of [cpu][backend] */
	__u32 age_shift;
	__u32 rate_refill; /* packets of our own allowed per jiffy and CPU */
	__u32 rate_burst;
	__u32 node_ifindex; /* weir1 */
	__u8 node_mac[6]; /* of both ends of the pair */
	__u8 has_csum_ipv6; /* bpf_l4_csum_replace knows BPF_F_IPV6 */
	__u8 has_kern_ctx; /* there is the kfunc bpf_cast_to_kern_ctx */
};
_Static_assert(sizeof(struct weir_constants) == 80, "weir_constants");

/* Map `service_info` (ARRAY, mmapped): what only people and user space need. Writer: apply. */
struct weir_service_info {
	char name[WEIR_NAME_LEN]; /* empty: the id is free */
	__u32 first_frontend, first_backend; /* lists linked by `next` */
	__u32 frontends, backends; /* their lengths; backends counts those leaving too */
	__u32 drain_timeout_ms;
	__u32 next; /* free list */
	__u8 protocol;
	__u8 is_leaving; /* removed; its backends still drain */
	__u8 family; /* 4 or 6; 0 not known yet */
	__u8 path; /* 0 fast, 1 stack */
	__u32 reserved[9];
};
_Static_assert(sizeof(struct weir_service_info) == 128, "weir_service_info");

/* Map `backend_info` (ARRAY, mmapped): the same for backends. Writer: apply. */
struct weir_backend_info {
	__u32 next; /* next backend of the service, or free id */
	__u32 next_leaving;
	__u16 weight;
	__u16 is_leaving; /* removed by its source; gone when its drain is over */
	__u32 zero;
	__u64 freed_at; /* CLOCK_MONOTONIC ns; a free id rests a second at least */
	char zone[WEIR_ZONE_LEN];
	char labels[WEIR_LABELS_LEN]; /* "key=value,key=value" */
	__u64 reserved[6];
};
_Static_assert(sizeof(struct weir_backend_info) == 256, "weir_backend_info");

/* Map `service_index` (HASH): name to service id. Writer: apply. */
struct weir_service_name {
	char name[WEIR_NAME_LEN];
};

#endif
