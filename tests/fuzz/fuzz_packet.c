/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * fuzz_packet.c - any frames through the packet path, compiled natively. Nothing is read or
 * written outside of the frame, every packet ends in an outcome, and what was done to the frame
 * is what that outcome says, judged by a second parser that shares nothing with bpf/.
 *
 * The input is a list of frames: a byte of options, the length of the linear part, the frame's
 * length (little endian), the frame. The services "trap" have VIPs that stand nowhere in the
 * seeds but at wrong offsets: in options, payloads, behind the end.
 */
#include "tests/unit/native_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OPTION_EGRESS   0x01
#define OPTION_SUMMED   0x06 /* ip_summed << 1 */
#define OPTION_GSO      0x08
#define OPTION_NODE     0x10 /* came by weir1 */
#define OPTION_TAG      0x20
#define OPTION_OVERHEAR 0x40
#define OPTION_LATER    0x80 /* time has passed since the last frame */

#define FRAME_MAX   2048
#define NODE        9 /* ifindex of weir1 */
#define STACK       7 /* service with `path: stack` */
#define EMPTY       8 /* service without backends */
#define PER_SERVICE 4 /* backends */

struct endpoint {
	__u8 family, vip;
	__u16 port;
	__u8 protocol, flags;
};

/* By service. */
static const struct endpoint endpoints[] = {
	{4, 1, 80, IPPROTO_TCP, 0},
	{4, 1, 53, IPPROTO_UDP, 0},
	{4, 3, 0, IPPROTO_TCP, 0},
	{6, 4, 443, IPPROTO_TCP, 0},
	{6, 5, 0, IPPROTO_UDP, 0},
	{4, 99, 0, IPPROTO_TCP, 0}, /* trap */
	{6, 99, 0, IPPROTO_TCP, 0}, /* trap */
	{4, 7, 80, IPPROTO_TCP, WEIR_FRONTEND_PATH_STACK},
	{4, 8, 80, IPPROTO_TCP, 0},
};
#define ENDPOINTS (sizeof(endpoints) / sizeof(endpoints[0]))

static struct native_skb *nskb;

static void require(bool is_true)
{
	if (!is_true)
		abort();
}

static struct weir_address endpoint_vip(__u32 service)
{
	return endpoints[service].family == 6 ? world_v6(1, endpoints[service].vip)
					      : world_v4(192, 0, 2, endpoints[service].vip);
}

static struct weir_address endpoint_backend(__u32 service, __u32 n)
{
	return endpoints[service].family == 6 ? world_v6(2, service * 16 + n)
					      : world_v4(10, 2, service, n);
}

/* Half of the backends are reached by a neighbour, some by a local veth, some not at all. */
static long answer_fib(struct bpf_fib_lookup *fib)
{
	const __u8 *to = (const __u8 *)(fib->family == 10 ? &fib->ipv6_dst[3] : &fib->ipv4_dst);

	if (to[3] % 4 == 3)
		return BPF_FIB_LKUP_RET_NOT_FWDED;
	fib->ifindex = to[3] % 4 == 2 ? 8 : 7;
	fib->mtu_result = 1500;
	memset(fib->dmac, 0xdd, sizeof(fib->dmac));
	memset(fib->smac, 0xcc, sizeof(fib->smac));
	return to[3] % 4 == 1 ? BPF_FIB_LKUP_RET_NO_NEIGH : BPF_FIB_LKUP_RET_SUCCESS;
}

static void open_world(void)
{
	struct weir_interface veth = {.flags = WEIR_INTERFACE_PEER};
	__u32 ifindex = 8;

	world_open(4, 4, 4, ENDPOINTS * PER_SERVICE);
	for (__u32 service = 0; service < ENDPOINTS; service++) {
		const struct endpoint *endpoint = &endpoints[service];
		__u32 start = service * PER_SERVICE;

		world_frontend(service + 1, endpoint_vip(service), bpf_htons(endpoint->port),
			       endpoint->protocol, service, endpoint->flags);
		for (__u32 n = 0; n < PER_SERVICE && service != EMPTY; n++) {
			world_backend(start + n, endpoint_backend(service, n),
				      bpf_htons(endpoint->port ? 8080 : 0), service);
			native_values(&slots)[start + n] =
				(struct weir_slot){start + n, start + (n + 1) % PER_SERVICE};
		}
		world_region(service, start, service == EMPTY ? 0 : PER_SERVICE);
	}
	require(!bpf_map_update_elem(&interfaces, &ifindex, &veth, BPF_ANY));
	config.node_ifindex = NODE;
	config.node_mac[0] = 2;
	native_fib = answer_fib;
	nskb = native_skb_new();
}

static void empty_world(void)
{
	native_clear(&flows);
	native_clear(&flows_wide);
	native_clear(&flow_details);
	native_clear(&flow_details_wide);
	native_clear(&spill);
	native_clear(&counters);
	native_clear(&gauges);
	native_clear(&refuse_buckets);
	world_settings()->spilled = 0;
	native_jiffies = (native_jiffies | 0xffff) + 1; /* what is known of next hops is too old */
}

/* --- the second parser ---------------------------------------------------------------------- */

/* Where in a well-formed frame of ours the parts are; `transport` 0 for any other frame. */
struct layout {
	__u32 ip, transport, end;
	__u8 version, protocol;
	const __u8 *source, *destination; /* addresses */
	__u32 address_length;
	__u32 source_port, destination_port;
};

static __u32 read16(const __u8 *at)
{
	return (__u32)at[0] << 8 | at[1];
}

static bool lay_out_ip(struct layout *layout, const __u8 *frame, __u32 length, bool is_gso)
{
	const __u8 *ip = frame + 14;
	__u32 after = length - 14, header, total;

	if (read16(frame + 12) == 0x0800) {
		if (after < 20 || ip[0] >> 4 != 4 || (ip[0] & 15) < 5)
			return false;
		header = (ip[0] & 15) * 4;
		total = read16(ip + 2);
		if (read16(ip + 6) & 0x3fff)
			return false;
		layout->protocol = ip[9];
		layout->source = ip + 12;
		layout->address_length = 4;
	} else if (read16(frame + 12) == 0x86dd) {
		if (after < 40 || ip[0] >> 4 != 6)
			return false;
		header = 40;
		total = read16(ip + 4);
		total = total ? 40 + total : is_gso ? 0 : 40;
		layout->protocol = ip[6];
		layout->source = ip + 8;
		layout->address_length = 16;
	} else {
		return false;
	}
	if (!total && is_gso)
		total = after;
	layout->version = ip[0] >> 4;
	layout->destination = layout->source + layout->address_length;
	layout->transport = 14 + header;
	layout->end = 14 + total;
	return total >= header && total <= after;
}

static struct layout lay_out(const __u8 *frame, __u32 length, bool is_gso)
{
	struct layout layout = {}, none = {};
	__u32 least;

	if (length < 14 || !lay_out_ip(&layout, frame, length, is_gso))
		return none;
	if (layout.protocol != IPPROTO_TCP && layout.protocol != IPPROTO_UDP)
		return none;
	if (layout.transport + (layout.protocol == IPPROTO_TCP ? 20 : 8) > layout.end)
		return none;
	least = layout.protocol == IPPROTO_TCP ? (frame[layout.transport + 12] >> 4) * 4u
					       : read16(frame + layout.transport + 4);
	if (least < (layout.protocol == IPPROTO_TCP ? 20 : 8) ||
	    layout.transport + least > layout.end)
		return none;
	layout.source_port = read16(frame + layout.transport);
	layout.destination_port = read16(frame + layout.transport + 2);
	return layout;
}

static bool is_address(const __u8 *at, const struct layout *layout, struct weir_address address)
{
	const __u8 *bytes = (const __u8 *)&address;

	return layout->address_length == 4 ? !memcmp(at, bytes + 12, 4) : !memcmp(at, bytes, 16);
}

/* The service that the frame's destination is, or ENDPOINTS. */
static __u32 service_of(const struct layout *layout)
{
	__u32 service = 0;

	for (; service < ENDPOINTS; service++) {
		const struct endpoint *endpoint = &endpoints[service];

		if (layout->transport && endpoint->family == layout->version &&
		    endpoint->protocol == layout->protocol &&
		    (!endpoint->port || endpoint->port == layout->destination_port) &&
		    is_address(layout->destination, layout, endpoint_vip(service)))
			break;
	}
	return service;
}

/* --- verdicts ------------------------------------------------------------------------------- */

struct run {
	__u8 before[FRAME_MAX], after[FRAME_MAX];
	__u32 length, options;
	struct layout layout; /* of `before` */
};

/* The two frames, but for MACs, TTL, checksums, and one end's address and port. */
static bool is_rewritten(struct run *run, bool is_source)
{
	const struct layout *layout = &run->layout;
	__u32 address = (is_source ? layout->source : layout->destination) - run->before;
	__u32 port = layout->transport + (is_source ? 0 : 2);
	__u32 check = layout->transport + (layout->protocol == IPPROTO_TCP ? 16 : 6);
	static __u8 want[FRAME_MAX];

	if (nskb->skb.len != run->length)
		return false;
	memcpy(want, run->before, run->length);
	memcpy(want, run->after, 12);
	memcpy(want + address, run->after + address, layout->address_length);
	memcpy(want + port, run->after + port, 2);
	memcpy(want + check, run->after + check, 2);
	if (layout->version == 4)
		memcpy(want + 24, run->after + 24, 2);
	want[layout->version == 4 ? 22 : 21] = run->after[layout->version == 4 ? 22 : 21];
	return !memcmp(want, run->after, run->length);
}

static void check_forwarded(struct run *run)
{
	__u32 service = service_of(&run->layout), to = 0;
	const __u8 *destination = run->after + (run->layout.destination - run->before);

	require(service < ENDPOINTS && service != EMPTY);
	require(is_rewritten(run, false));
	while (to < PER_SERVICE &&
	       !is_address(destination, &run->layout, endpoint_backend(service, to)))
		to++;
	require(to < PER_SERVICE);
	require(read16(run->after + run->layout.transport + 2) ==
		(endpoints[service].port ? 8080 : run->layout.destination_port));
}

static void check_replied(struct run *run)
{
	const __u8 *source = run->after + (run->layout.source - run->before);
	bool is_ours = false;

	require(run->layout.transport);
	require(is_rewritten(run, true));
	for (__u32 service = 0; service < ENDPOINTS; service++)
		for (__u32 n = 0; n < PER_SERVICE; n++)
			if (is_address(run->layout.source, &run->layout,
				       endpoint_backend(service, n)) &&
			    is_address(source, &run->layout, endpoint_vip(service)))
				is_ours = true;
	require(is_ours);
}

/* A RST with the ends exchanged, and nothing behind it. */
static void check_refused(struct run *run)
{
	struct layout answer = lay_out(run->after, nskb->skb.len, false);
	const struct layout *layout = &run->layout;

	require(layout->transport && layout->protocol == IPPROTO_TCP && answer.transport);
	require(answer.transport == layout->transport && nskb->skb.len == answer.end);
	require(answer.end == answer.transport + 20);
	require(answer.protocol == IPPROTO_TCP && answer.version == layout->version);
	require(!memcmp(answer.source, layout->destination, layout->address_length));
	require(!memcmp(answer.destination, layout->source, layout->address_length));
	require(answer.source_port == layout->destination_port);
	require(answer.destination_port == layout->source_port);
	require(run->after[answer.transport + 13] & TCP_RST);
	require(!(run->before[layout->transport + 13] & TCP_RST));
}

static void check(struct run *run, enum weir_outcome outcome)
{
	require(outcome > WEIR_CONTINUE && outcome < WEIR_OUTCOME_COUNT);
	switch (outcome) {
	case WEIR_FORWARDED:
	case WEIR_FORWARDED_STACK:
		check_forwarded(run);
		break;
	case WEIR_REPLIED:
	case WEIR_REPLIED_STACK:
		check_replied(run);
		break;
	default:
		if (outcome_action(outcome) == OUTCOME_SENT)
			check_refused(run);
		if (outcome_action(outcome) == OUTCOME_PASS)
			require(nskb->skb.len == run->length &&
				!memcmp(run->before, run->after, run->length));
	}
	if (outcome_action(outcome) == OUTCOME_SENT)
		require(native_redirect.kind);
}

static void enter(struct run *run, __u32 linear)
{
	struct __sk_buff *skb = &nskb->skb;

	if (run->options & OPTION_LATER)
		native_jiffies += 6 * WORLD_HZ;
	native_skb_set(nskb, run->before, run->length, linear < run->length ? linear : run->length);
	skb->ifindex = run->options & OPTION_NODE ? NODE : 5;
	skb->vlan_present = !!(run->options & OPTION_TAG);
	skb->pkt_type = run->options & OPTION_OVERHEAR ? PACKET_OTHERHOST : PACKET_HOST;
	skb->gso_size = run->options & OPTION_GSO ? 1400 : 0;
	skb->gso_segs = run->options & OPTION_GSO ? 2 : 0;
	nskb->ip_summed = (run->options & OPTION_SUMMED) >> 1;
	nskb->csum_start = run->layout.transport ? run->layout.transport : 14;
	nskb->csum_offset = run->layout.protocol == IPPROTO_UDP ? 6 : 16;
	/* the kernel lets no partial checksum point outside of the frame */
	if (nskb->csum_start + nskb->csum_offset + 2 > run->length)
		nskb->ip_summed = CHECKSUM_NONE;
	config.has_kern_ctx = run->length & 1;
	native_redirect.kind = 0;
}

static void run_frame(struct run *run, __u32 linear)
{
	struct packet packet = {};
	enum weir_outcome outcome;

	run->layout = lay_out(run->before, run->length, run->options & OPTION_GSO);
	enter(run, linear);
	outcome = run->options & OPTION_EGRESS ? balance_egress(&nskb->skb, &packet)
					       : balance_ingress(&nskb->skb, &packet);
	native_skb_copy(nskb, run->after);
	outcome_finish(WEIR_HOOK_INGRESS, outcome);
	check(run, outcome);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct run run;

	if (!nskb)
		open_world();
	empty_world();
	while (size > 4) {
		__u32 length = data[2] | (__u32)data[3] << 8, linear = data[1];

		run.options = data[0];
		data += 4, size -= 4;
		if (length > size)
			length = size;
		if (length > FRAME_MAX)
			length = FRAME_MAX;
		memcpy(run.before, data, length);
		run.length = length;
		/* TC never sees less than an Ethernet header */
		if (length >= ETH_HLEN)
			run_frame(&run, linear < ETH_HLEN ? ETH_HLEN : linear);
		data += length, size -= length;
	}
	world_sweep();
	return 0;
}
