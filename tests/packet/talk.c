/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* talk.c - conversations; see talk.h. */
#include "talk.h"

#include "datapath/stats.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define CLIENT_HOST 10
#define CLIENT_PORT 20000
#define PORTS_TRIED 60

#define FLOW_BITS ((1ull << WEIR_WHAT_AGE_SHIFT) - (1ull << 37)) /* state and flags of `what` */

static const uint8_t neighbour_mac[6] = {0x02, 0, 0, 0, 0, 2};

static bool is_tcp(const struct talk *talk)
{
	return talk->variant->protocol == IPPROTO_TCP;
}

struct talk talk_make(struct lab *lab, const struct variant *variant, enum lab_vip vip)
{
	bool is_any = vip == VIP_ANY || vip == VIP_ANY_TWIN;

	return (struct talk){
		.lab = lab,
		.variant = variant,
		.vip = vip,
		.asked = is_any             ? LAB_ANY_PORT
			 : vip == VIP_FIXED ? LAB_FIXED_PORT
					    : LAB_PORT,
		.client = lab_host(variant, NET_CLIENTS, CLIENT_HOST),
		.client_port = CLIENT_PORT,
		.from = LINK_CLIENTS,
		.back = vip == VIP_POD      ? LINK_POD
			: vip == VIP_NARROW ? LINK_NARROW
					    : LINK_BACKENDS,
		.is_routed = vip == VIP_STACK || vip == VIP_LOST,
		.client_isn = 0xfffffff0, /* numbers wrap */
		.backend_isn = 0xffffffff,
		.backend = WEIR_NONE,
	};
}

static struct spec make_spec(const struct talk *talk, enum lab_link link, uint8_t flags,
			     size_t payload)
{
	struct spec spec = {
		.is_v6 = talk->variant->is_v6,
		.protocol = talk->variant->protocol,
		.flags = is_tcp(talk) ? flags : 0,
		.window = 1000,
		.payload = payload,
	};

	memcpy(spec.to, lab_macs[link], sizeof(spec.to));
	memcpy(spec.from, neighbour_mac, sizeof(spec.from));
	return spec;
}

struct spec talk_forward(const struct talk *talk, uint8_t flags, size_t payload)
{
	struct spec spec = make_spec(talk, talk->from, flags, payload);

	spec.source = talk->client;
	spec.destination = lab_vip(talk->variant, talk->vip);
	spec.source_port = talk->client_port;
	spec.destination_port = talk->asked;
	spec.sequence = talk->client_isn + !(flags & FLAG_SYN);
	spec.acknowledgement = flags & FLAG_ACK ? talk->backend_isn + 1 : 0;
	return spec;
}

struct spec talk_reply(const struct talk *talk, uint8_t flags, size_t payload)
{
	struct spec spec = make_spec(talk, talk->back, flags, payload);

	spec.source = talk->backend_addr;
	spec.destination = talk->client;
	spec.source_port = talk->backend_port;
	spec.destination_port = talk->client_port;
	spec.sequence = talk->backend_isn + !(flags & FLAG_SYN);
	spec.acknowledgement = flags & FLAG_ACK ? talk->client_isn + 1 : 0;
	return spec;
}

static void lower_ttl(struct spec *spec)
{
	spec->ttl = (uint8_t)((spec->ttl ? spec->ttl : 64) - 1);
	spec->is_ttl_zero = !spec->ttl;
}

struct spec talk_to_backend(const struct talk *talk, const struct spec *in)
{
	struct spec out = *in;

	out.destination = talk->backend_addr;
	out.destination_port = talk->backend_port;
	if (talk->is_routed)
		return out;
	lower_ttl(&out);
	if (talk->vip == VIP_POD) {
		memcpy(out.to, lab_pod_mac, sizeof(out.to));
		memcpy(out.from, lab_macs[LINK_POD], sizeof(out.from));
	}
	return out;
}

struct spec talk_to_client(const struct talk *talk, const struct spec *in)
{
	struct spec out = *in;

	out.source = lab_vip(talk->variant, talk->vip);
	out.source_port = talk->asked;
	if (talk->from == LINK_NODE) {
		memcpy(out.to, lab_macs[LINK_NODE], sizeof(out.to));
		memcpy(out.from, lab_macs[LINK_NODE], sizeof(out.from));
	} else if (!talk->is_routed) {
		lower_ttl(&out);
	}
	return out;
}

struct step talk_forward_step(const struct talk *talk, const struct spec *in)
{
	struct step step = check_make(STEP_INGRESS, talk->from, in,
				      talk->is_routed ? WEIR_FORWARDED_STACK : WEIR_FORWARDED);

	step.out = talk_to_backend(talk, in);
	step.changes[0].backend = talk->backend;
	step.changes[0].counters.forward_packets = 1;
	step.changes[0].counters.forward_bytes = build_ip_length(in);
	return step;
}

/* Replies that the stack routes are translated as they leave. */
struct step talk_reply_step(const struct talk *talk, const struct spec *in)
{
	bool is_routed = talk->is_routed && talk->from != LINK_NODE;
	struct step step = check_make(is_routed ? STEP_EGRESS : STEP_INGRESS,
				      is_routed ? LINK_CLIENTS : talk->back, in,
				      is_routed ? WEIR_REPLIED_STACK : WEIR_REPLIED);

	step.out = talk_to_client(talk, in);
	step.changes[0].backend = talk->backend;
	step.changes[0].counters.reply_packets = 1;
	step.changes[0].counters.reply_bytes = build_ip_length(in);
	return step;
}

void talk_send(const struct talk *talk, uint8_t flags, size_t payload)
{
	struct spec in = talk_forward(talk, flags, payload);
	struct step step = talk_forward_step(talk, &in);

	check_step(talk->lab, &step);
}

void talk_return(const struct talk *talk, uint8_t flags, size_t payload)
{
	struct spec in = talk_reply(talk, flags, payload);
	struct step step = talk_reply_step(talk, &in);

	check_step(talk->lab, &step);
}

/* Where a forwarded packet goes. */
static void read_destination(const struct talk *talk, const struct frame *frame,
			     struct addr *ret_addr, uint16_t *ret_port)
{
	const uint8_t *ip = frame->bytes + 14, *ports;

	*ret_addr = (struct addr){.bytes = {[10] = 0xff, [11] = 0xff}};
	if (talk->variant->is_v6) {
		memcpy(ret_addr->bytes, ip + 24, 16);
		ports = ip + 40;
	} else {
		memcpy(ret_addr->bytes + 12, ip + 16, 4);
		ports = ip + (ip[0] & 15) * 4;
	}
	*ret_port = (uint16_t)(ports[2] << 8 | ports[3]);
}

void talk_learn(struct talk *talk, const struct step *step, const struct result *result)
{
	enum weir_outcome outcome = check_outcome(result, STEP_INGRESS);
	bool is_any = talk->vip == VIP_ANY || talk->vip == VIP_ANY_TWIN;
	struct addr addr;
	uint16_t port;

	check_that(outcome == WEIR_FORWARDED || outcome == WEIR_FORWARDED_STACK,
		   "not forwarded, but %s", outcome_name(outcome));
	read_destination(talk, &result->out, &addr, &port);
	talk->backend = lab_backend(talk->lab, talk->variant, talk->vip, &addr, is_any ? 0 : port);
	check_that(talk->backend != WEIR_NONE, "forwarded to somebody else");
	check_that(!is_any || port == step->in.destination_port, "any port: port is changed");
	talk->backend_addr = addr;
	talk->backend_port = port;
}

void talk_open_with(struct talk *talk, const struct spec *in, const struct step *more)
{
	static struct result result; /* large */
	struct step step = check_make(STEP_INGRESS, talk->from, in, WEIR_CONTINUE);

	check_run(talk->lab, &step, &result);
	talk_learn(talk, &step, &result);
	step = talk_forward_step(talk, in);
	step.changes[0].counters.chosen = 1;
	if (more) {
		memcpy(step.internals, more->internals, sizeof(step.internals));
		step.changes[1] = more->changes[1];
	}
	check_add_internal(&step, WEIR_INTERNAL_FLOW_ADDED, 1);
	check_result(&step, &result);
}

void talk_open(struct talk *talk)
{
	struct spec in = talk_forward(talk, FLAG_SYN, is_tcp(talk) ? 0 : 100);

	talk_open_with(talk, &in, NULL);
}

void talk_answer(const struct talk *talk)
{
	struct spec in = talk_reply(talk, FLAG_SYN | FLAG_ACK, is_tcp(talk) ? 0 : 200);
	struct step step = talk_reply_step(talk, &in);

	if (!is_tcp(talk)) {
		step.changes[0].counters.opened = 1;
		step.changes[0].active = 1;
	}
	check_step(talk->lab, &step);
}

struct step talk_ended(const struct talk *talk)
{
	struct step step = {.changes[0].backend = WEIR_NONE};

	step.changes[1].backend = talk->backend;
	step.changes[1].counters.closed = 1;
	step.changes[1].active = -1;
	return step;
}

void talk_prove(const struct talk *talk)
{
	struct spec in = talk_forward(talk, FLAG_ACK, 0);
	struct step step = talk_forward_step(talk, &in);

	step.changes[0].counters.opened = 1;
	step.changes[0].active = 1;
	check_step(talk->lab, &step);
}

void talk_establish(struct talk *talk)
{
	talk_open(talk);
	talk_answer(talk);
	if (is_tcp(talk))
		talk_prove(talk);
}

void talk_finish(const struct talk *talk)
{
	talk_send(talk, FLAG_FIN | FLAG_ACK, 0);
	talk_return(talk, FLAG_FIN | FLAG_ACK, 0);
}

void talk_aim(struct talk *talk, unsigned int host)
{
	struct addr wanted = lab_host(talk->variant, NET_BACKENDS, host);
	struct talk probe = *talk;

	for (int i = 0; i < PORTS_TRIED; i++, probe.client_port++) {
		talk_open(&probe);
		talk_forget(&probe);
		if (!addr_equal(&probe.backend_addr, &wanted))
			continue;
		talk->client_port = probe.client_port;
		return;
	}
	check_fail("none of %d ports leads to backend host %u", PORTS_TRIED, host);
}

void talk_forget(const struct talk *talk)
{
	struct lab_flow flow;

	check_that(talk_find_flow(talk, &flow), "the flow is not in the table");
	flow.what &= ~FLOW_BITS;
	lab_write_flow(talk->lab, &flow);
}

bool talk_find_flow(const struct talk *talk, struct lab_flow *ret_flow)
{
	return lab_find_flow(talk->lab, talk->variant, &talk->client, talk->client_port, talk->vip,
			     talk->asked, ret_flow);
}

void talk_check_flow(const struct talk *talk, __u64 bits)
{
	struct lab_flow flow;
	bool is_there = talk_find_flow(talk, &flow);

	if (!bits) {
		check_that(!is_there, "the flow is still there: %llx", is_there ? flow.what : 0);
		return;
	}
	check_that(is_there, "the flow is not in the table");
	check_that((flow.what & FLOW_BITS) == bits, "state of the flow: got %llx, wanted %llx",
		   (flow.what & FLOW_BITS) >> 37, bits >> 37);
}

void talk_age(const struct talk *talk, unsigned int seconds)
{
	struct lab_flow flow;

	check_that(talk_find_flow(talk, &flow), "the flow is not in the table");
	flow.what = lab_aged(talk->lab, flow.what, seconds);
	check_that(!lab_write_flow(talk->lab, &flow), "cannot change the flow");
}

/* RFC 9293, 3.10.7.1; a fresh IP header, its options all "end of list". */
struct spec talk_refusal(const struct spec *in)
{
	struct spec out = {
		.is_v6 = in->is_v6,
		.protocol = IPPROTO_TCP,
		.source = in->destination,
		.destination = in->source,
		.source_port = in->destination_port,
		.destination_port = in->source_port,
		.fragment = in->is_v6 ? 0 : 0x4000,
		.option_words = in->option_words,
		.has_zero_options = true,
		.flags = FLAG_RST,
	};

	memcpy(out.to, in->from, sizeof(out.to));
	memcpy(out.from, in->to, sizeof(out.from));
	if (in->flags & FLAG_ACK) {
		out.sequence = in->acknowledgement;
	} else {
		out.flags |= FLAG_ACK;
		out.acknowledgement = in->sequence + (uint32_t)in->payload +
				      !!(in->flags & FLAG_SYN) + !!(in->flags & FLAG_FIN);
	}
	return out;
}
