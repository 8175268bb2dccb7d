/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * bench_prog.c - what a packet costs in Weir's ingress program, by BPF_PROG_TEST_RUN.
 *
 *	bench_prog ROUNDS SERVICES ROW...
 *
 * Runs where `run` has installed Weir in the lab: SERVICES services of each address family (VIPs
 * 10.96.0.0 and fd00:96::, from 0 up), with backends 10.4.0.0 and fd00:4:: from 0 up, clients
 * 10.9.0.0 and fd00:9:: behind wl0, the way to the backends out of up1.
 *
 * A round runs the packets of a row (rotate.bpf.c) through an empty program and through Weir's.
 * The flows of a row are made by their handshake, through Weir's program. Time is that of the
 * thread, so that others on the machine do not count. One line for each run on stdout:
 * row, variant, round, ns per packet.
 */
#include "bpf/abi.h"
#include "base/err.h"
#include "datapath/maps.h"
#include "datapath/netlink.h"
#include "datapath/programs.h"
#include "tests/bench/rotate.h"
#include "bench/rotate.skel.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define REPEAT       (1 << 20) /* packets of a run */
#define ISN_CLIENT   1000
#define ISN_BACKEND  5000
#define VIP_PORT     80
#define BACKEND_PORT 8080
#define BYSTANDERS   256 /* addresses */

#define TCP_SYN 0x02
#define TCP_ACK 0x10

enum kind {
	FORWARD,
	REPLY,
	ADD,
	BYSTANDER
};

struct row {
	const char *name;
	enum kind kind;
	bool is_v6;
	__u32 flows_shift, clients_shift; /* powers of two */
};

static const struct row rows[] = {
	{"forward", FORWARD, false, 14, 8},          {"reply", REPLY, false, 14, 8},
	{"forward-1", FORWARD, false, 0, 0},         {"reply-1", REPLY, false, 0, 0},
	{"forward-131k", FORWARD, false, 17, 8},     {"reply-131k", REPLY, false, 17, 8},
	{"forward-v6", FORWARD, true, 14, 8},        {"reply-v6", REPLY, true, 14, 8},
	{"reply-16k-clients", REPLY, false, 14, 14}, {"new", ADD, false, 17, 8},
	{"not-ours", BYSTANDER, false, 14, 8},       {"forward-many", FORWARD, false, 14, 8},
	{"reply-many", REPLY, false, 14, 8},         {"not-ours-many", BYSTANDER, false, 14, 8},
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

struct bench {
	struct maps *maps;
	struct rotate_bpf *programs;
	struct rotate *rotate;
	__u32 services;
	int rounds;
	struct netlink_link workload, uplink;
	__u8 frame[128];
	__u32 frame_len;
};

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "bench_prog: ");
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
	exit(1);
}

/* A TCP segment with six bytes of data; the rest is written by rotate.bpf.c. */
static void make_frame(struct bench *bench, bool is_v6)
{
	struct ethhdr *eth = (struct ethhdr *)bench->frame;
	struct iphdr *v4 = (struct iphdr *)(eth + 1);
	struct ip6_hdr *v6 = (struct ip6_hdr *)(eth + 1);
	struct tcphdr *tcp = is_v6 ? (struct tcphdr *)(v6 + 1) : (struct tcphdr *)(v4 + 1);
	__u16 payload = sizeof(*tcp) + 6;

	memset(bench->frame, 0, sizeof(bench->frame));
	eth->h_proto = htons(is_v6 ? ETH_P_IPV6 : ETH_P_IP);
	if (is_v6) {
		v6->ip6_flow = htonl(6u << 28);
		v6->ip6_plen = htons(payload);
		v6->ip6_nxt = IPPROTO_TCP;
	} else {
		v4->version = 4;
		v4->ihl = 5;
		v4->tot_len = htons(sizeof(*v4) + payload);
		v4->protocol = IPPROTO_TCP;
	}
	tcp->doff = 5;
	bench->frame_len = (__u32)((__u8 *)tcp - bench->frame) + payload;
}

/* Addresses of one kind: IPv4, or the prefix fd00:NET:: and a last word. */
struct range {
	__u32 v4;
	__u16 v6;
};
static const struct range clients = {0x0a090000, 0x9}, vips = {0x0a600000, 0x96},
			  backends = {0x0a040000, 0x4}, bystanders = {0x0ac80000, 0x200};

static void set_end(struct rotate *rotate, int end, const struct range *range)
{
	__u32 first = rotate->is_v6 ? 0 : range->v4;

	rotate->prefix[end][0] = htonl(0xfd000000 | range->v6);
	rotate->prefix[end][1] = 0;
	rotate->prefix[end][2] = 0;
	if (end == 0)
		rotate->source = first;
	else
		rotate->destination = first;
}

static void set_flows(struct bench *bench, const struct row *row)
{
	struct rotate *rotate = bench->rotate;

	make_frame(bench, row->is_v6);
	rotate->flows_shift = row->flows_shift;
	rotate->flows_mask = (1u << row->flows_shift) - 1;
	rotate->clients_shift = row->clients_shift;
	rotate->clients_mask = (1u << row->clients_shift) - 1;
	rotate->is_v6 = row->is_v6;
}

static void set_forward(struct bench *bench, __u8 flags)
{
	struct rotate *rotate = bench->rotate;

	rotate->step = 0;
	rotate->is_reply = false;
	set_end(rotate, 0, &clients);
	set_end(rotate, 1, &vips);
	rotate->services = bench->services;
	rotate->server_port = htons(VIP_PORT);
	rotate->sequence = htonl(flags & TCP_SYN ? ISN_CLIENT : ISN_CLIENT + 1);
	rotate->acknowledgement = flags & TCP_ACK ? htonl(ISN_BACKEND + 1) : 0;
	rotate->flags = flags;
}

static void set_reply(struct bench *bench, __u8 flags)
{
	struct rotate *rotate = bench->rotate;

	rotate->step = 0;
	rotate->is_reply = true;
	set_end(rotate, 0, &backends);
	set_end(rotate, 1, &clients);
	rotate->server_port = htons(BACKEND_PORT);
	rotate->sequence = htonl(flags & TCP_SYN ? ISN_BACKEND : ISN_BACKEND + 1);
	rotate->acknowledgement = htonl(ISN_CLIENT + 1);
	rotate->flags = flags;
}

static void set_bystander(struct bench *bench)
{
	set_forward(bench, TCP_ACK);
	set_end(bench->rotate, 1, &bystanders);
	bench->rotate->services = BYSTANDERS;
}

static __u64 thread_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (__u64)now.tv_sec * 1000000000ull + (__u64)now.tv_nsec;
}

/* Nanoseconds per packet. */
static double run_packets(struct bench *bench, const struct bpf_program *program, int repeat)
{
	const struct netlink_link *link =
		bench->rotate->is_reply ? &bench->uplink : &bench->workload;
	struct __sk_buff skb = {.ifindex = link->ifindex};
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = bench->frame,
		    .data_size_in = bench->frame_len, .ctx_in = &skb, .ctx_size_in = sizeof(skb),
		    .repeat = repeat);
	__u64 start;

	memcpy(bench->frame, link->mac, sizeof(link->mac)); /* sent to us */
	start = thread_ns();
	if (bpf_prog_test_run_opts(bpf_program__fd(program), &run))
		die("test run: %s", strerror(errno));
	return (double)(thread_ns() - start) / repeat;
}

static __u64 count_outcome(const struct bench *bench, enum weir_outcome outcome)
{
	const struct weir_outcome_counters *counters = maps_array(bench->maps, MAP_outcomes);
	__u64 sum = 0;

	for (__u32 cpu = 0; cpu < bench->maps->settings->cpus; cpu++)
		sum += counters[cpu * WEIR_HOOKS + WEIR_HOOK_INGRESS].packets[outcome];
	return sum;
}

/*
 * A table half full may lose a flow in a hundred thousand before it is proven: both its buckets
 * were full. One packet in a thousand may end otherwise; more, and the time means nothing.
 */
static bool is_enough(__u64 seen, __u64 wanted)
{
	return seen <= wanted && seen >= wanted - wanted / 1000;
}

/* The filter of backends takes a stranger for one of them now and then. */
static __u64 count_ends(const struct bench *bench, enum weir_outcome outcome)
{
	__u64 count = count_outcome(bench, outcome);

	if (outcome == WEIR_PASS_NOT_OURS)
		count += count_outcome(bench, WEIR_PASS_NO_FLOW);
	return count;
}

/* Through Weir's program. */
static double run_weir(struct bench *bench, enum weir_outcome outcome, int repeat)
{
	__u64 before = count_ends(bench, outcome), seen;
	double ns = run_packets(bench, bench->programs->progs.rotate_weir, repeat);

	seen = count_ends(bench, outcome) - before;
	if (!is_enough(seen, (__u64)repeat))
		die("%llu of %d packets had outcome %d", (unsigned long long)seen, repeat, outcome);
	return ns;
}

/* Forget all flows. The sweep does not mind: to it they are free entries. */
static void clear_flows(struct bench *bench)
{
	memset(maps_array(bench->maps, MAP_flows), 0, bench->maps->sizes[MAP_flows]);
	memset(maps_array(bench->maps, MAP_flows_wide), 0, bench->maps->sizes[MAP_flows_wide]);
	memset(maps_array(bench->maps, MAP_gauges), 0, bench->maps->sizes[MAP_gauges]);
}

/* The number of the flow whose client end is `who` with the address that ends in `last`. */
static __u32 flow_number(const struct rotate *rotate, __u64 who, __be32 last)
{
	__u32 client = ntohl(last) - rotate->source;
	__u32 port = ntohs((__u16)(who >> WEIR_WHO_PORT_SHIFT)) - ROTATE_PORT;

	return port << rotate->clients_shift | client;
}

static __u32 backend_number(struct bench *bench, __u64 what)
{
	__u32 id = what >> WEIR_WHAT_BACKEND_SHIFT & WEIR_WHAT_BACKEND_MASK;

	return ntohl(maps_backends(bench->maps)[id].address.word[3]) -
	       (bench->rotate->is_v6 ? 0 : backends.v4);
}

/* Walk the table: each flow's backend into `numbers`; returns how many have all of `flags`. */
static __u32 read_flows(struct bench *bench, __u32 *numbers, __u64 flags)
{
	const struct weir_flow *narrow = maps_array(bench->maps, MAP_flows);
	const struct weir_flow_wide *wide = maps_array(bench->maps, MAP_flows_wide);
	const struct weir_settings *set = bench->maps->settings;
	__u32 count =
		WEIR_WAYS * (bench->rotate->is_v6 ? set->flow_wide_buckets : set->flow_buckets);
	__u32 found = 0;

	for (__u32 i = 0; i < count; i++) {
		__u64 who = bench->rotate->is_v6 ? wide[i].who : narrow[i].who;
		__u64 what = bench->rotate->is_v6 ? wide[i].what : narrow[i].what;
		__be32 last = bench->rotate->is_v6 ? wide[i].client.word[3] : (__be32)who;

		if ((what & WEIR_FLOW_STATE) != WEIR_FLOW_LIVE || (what & flags) != flags)
			continue;
		numbers[flow_number(bench->rotate, who, last) & bench->rotate->flows_mask] =
			backend_number(bench, what);
		found++;
	}
	return found;
}

static void expect_flows(struct bench *bench, __u64 flags, const char *when)
{
	static __u32 numbers[ROTATE_FLOWS_MAX];
	__u32 flows = bench->rotate->flows_mask + 1, found = read_flows(bench, numbers, flags);

	if (!is_enough(found, flows))
		die("%u of %u flows after the %s", found, flows, when);
	for (__u32 step = 0; step < flows; step++)
		bench->programs->bss->backend_at[step] =
			numbers[(step * ROTATE_FACTOR) & bench->rotate->flows_mask];
}

/* The handshake of every flow of the row. */
static void open_flows(struct bench *bench)
{
	int flows = (int)bench->rotate->flows_mask + 1;

	clear_flows(bench);
	set_forward(bench, TCP_SYN);
	run_weir(bench, WEIR_FORWARDED, flows);
	expect_flows(bench, 0, "SYN");
	set_reply(bench, TCP_SYN | TCP_ACK);
	run_weir(bench, WEIR_REPLIED, flows);
	set_forward(bench, TCP_ACK);
	run_weir(bench, WEIR_FORWARDED, flows);
	expect_flows(bench, WEIR_FLOW_PROVEN | WEIR_FLOW_COUNTED, "handshake");
}

static void run_round(struct bench *bench, const struct row *row, int round)
{
	static const enum weir_outcome outcomes[] = {
		[FORWARD] = WEIR_FORWARDED,
		[REPLY] = WEIR_REPLIED,
		[ADD] = WEIR_FORWARDED,
		[BYSTANDER] = WEIR_PASS_NOT_OURS,
	};
	int repeat = row->kind == ADD ? 1 << row->flows_shift : REPEAT;
	double empty, weir;

	empty = run_packets(bench, bench->programs->progs.rotate_empty, repeat);
	if (row->kind == ADD) {
		clear_flows(bench);
		bench->rotate->step = 0;
	}
	weir = run_weir(bench, outcomes[row->kind], repeat);
	if (round < 0) /* warms up */
		return;
	printf("%s\tempty\t%d\t%.2f\n", row->name, round, empty);
	printf("%s\tweir\t%d\t%.2f\n", row->name, round, weir);
}

static void run_row(struct bench *bench, const struct row *row)
{
	set_flows(bench, row);
	if (row->kind == FORWARD || row->kind == REPLY)
		open_flows(bench);
	if (row->kind == BYSTANDER)
		set_bystander(bench);
	else if (row->kind == REPLY)
		set_reply(bench, TCP_ACK);
	else
		set_forward(bench, row->kind == ADD ? TCP_SYN : TCP_ACK);
	for (int round = -1; round < bench->rounds; round++)
		run_round(bench, row, round);
}

static const struct row *find_row(const char *name)
{
	for (size_t i = 0; i < ROWS; i++)
		if (!strcmp(rows[i].name, name))
			return &rows[i];
	die("no row %s", name);
}

static void set_jump(struct bench *bench, __u32 index, int program)
{
	if (bpf_map_update_elem(bpf_map__fd(bench->programs->maps.jump), &index, &program, BPF_ANY))
		die("jump %u: %s", index, strerror(errno));
}

static void find_links(struct bench *bench)
{
	struct netlink *netlink;
	struct err err = {};

	if (netlink_open(&netlink, &err) || netlink_link(netlink, "wl0", &bench->workload, &err) ||
	    netlink_link(netlink, "up1", &bench->uplink, &err))
		die("%s", err.text);
	netlink_close(netlink);
}

static void open_bench(struct bench *bench)
{
	char path[320];
	struct err err = {};
	int program;

	libbpf_set_print(programs_print);
	if (maps_open(&bench->maps, &err))
		die("%s", err.text);
	snprintf(path, sizeof(path), "%s/%s", bench->maps->directory, PROGRAM_INGRESS);
	program = bpf_obj_get(path);
	if (program < 0)
		die("%s: %s", path, strerror(errno));
	bench->programs = rotate_bpf__open_and_load();
	if (!bench->programs)
		die("rotate.bpf.o: %s", strerror(errno));
	set_jump(bench, 0, bpf_program__fd(bench->programs->progs.empty));
	set_jump(bench, 1, program);
	bench->rotate = &bench->programs->bss->rotate;
	find_links(bench);
}

int main(int argc, char **argv)
{
	struct bench bench = {};

	if (argc < 4) {
		fprintf(stderr, "usage: bench_prog ROUNDS SERVICES ROW...\n");
		return 2;
	}
	bench.rounds = atoi(argv[1]);
	bench.services = (__u32)atoi(argv[2]);
	open_bench(&bench);
	for (int i = 3; i < argc; i++)
		run_row(&bench, find_row(argv[i]));
	rotate_bpf__destroy(bench.programs);
	maps_close(bench.maps);
	return 0;
}
