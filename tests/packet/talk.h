/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * talk.h - a client's conversation with a service: its packets from both ends, what becomes of
 * them by the specification, and the usual beginnings.
 */
#ifndef WEIR_TEST_TALK_H
#define WEIR_TEST_TALK_H

#include "check.h"

struct talk {
	struct lab *lab;
	const struct variant *variant;
	enum lab_vip vip;
	uint16_t asked; /* port of the VIP */
	struct addr client;
	uint16_t client_port;
	enum lab_link from, back; /* where packets of the client and of the backend come in */
	bool is_routed; /* the stack routes: the TTL is its affair */
	uint32_t client_isn, backend_isn;

	/* known once the flow is open */
	__u32 backend;
	struct addr backend_addr;
	uint16_t backend_port;
};

struct talk talk_make(struct lab *lab, const struct variant *variant, enum lab_vip vip);

/* A packet of the client, or of the backend; UDP ignores `flags` (FLAG_*). */
struct spec talk_forward(const struct talk *talk, uint8_t flags, size_t payload);
struct spec talk_reply(const struct talk *talk, uint8_t flags, size_t payload);

/* What becomes of such a packet. */
struct spec talk_to_backend(const struct talk *talk, const struct spec *in);
struct spec talk_to_client(const struct talk *talk, const struct spec *in);

/* Steps with everything that an ordinary packet of a known flow changes; rows add to them. */
struct step talk_forward_step(const struct talk *talk, const struct spec *in);
struct step talk_reply_step(const struct talk *talk, const struct spec *in);

/* The same, checked. */
void talk_send(const struct talk *talk, uint8_t flags, size_t payload);
void talk_return(const struct talk *talk, uint8_t flags, size_t payload);

/* The backend that a forwarded packet shows is noted in `talk`; fails for any other packet. */
void talk_learn(struct talk *talk, const struct step *step, const struct result *result);

/* The first packet (SYN or datagram), which opens the flow and tells the backend. */
void talk_open(struct talk *talk);
/* The same with the first packet given; `more` (may be NULL): other internals, changes[1]. */
void talk_open_with(struct talk *talk, const struct spec *in, const struct step *more);

/* What the end of a counted flow changes, as `more` of the packet that ends it. */
struct step talk_ended(const struct talk *talk);

void talk_answer(const struct talk *talk); /* SYN-ACK, or the first datagram back */
void talk_prove(const struct talk *talk); /* TCP: the client's ACK */
void talk_establish(struct talk *talk); /* all of these */

/* TCP: both FINs. */
void talk_finish(const struct talk *talk);

/* Change the client's port until the service gives the backend `host` of NET_BACKENDS. */
void talk_aim(struct talk *talk, unsigned int host);

void talk_forget(const struct talk *talk); /* take the flow out of its table; gauges stay */
bool talk_find_flow(const struct talk *talk, struct lab_flow *ret_flow);
/* State and flags (WEIR_FLOW_*) are exactly these; 0: there is no flow. */
void talk_check_flow(const struct talk *talk, __u64 bits);
/* As if the last packet had been so many seconds ago. */
void talk_age(const struct talk *talk, unsigned int seconds);

/* The answer to a refused packet: a RST from the VIP. */
struct spec talk_refusal(const struct spec *in);

#endif
