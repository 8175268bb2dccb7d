/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * track.h - 3b: what a packet does to its flow: answered, proven, closing, revived, seen now.
 *
 * Sequence numbers are checked only in the handshake, where they tell a client from a spoofer. On
 * the way nothing is policed: every segment is translated. A RST or two FINs only start the time
 * after which the sweep closes the flow, so a forged one changes nothing for a flow that goes on.
 */
#ifndef WEIR_TRACK_H
#define WEIR_TRACK_H

#include "flow.h"

/*
 * How far the client's first good ACK may be ahead of the backend's SYN-ACK: what a backend that
 * speaks first can have in flight when an ACK was lost (10 segments by RFC 6928, with GSO).
 */
#define TRACK_ACK_WINDOW 65536

static __always_inline __u64 track_seen_now(__u64 what)
{
	return (what & ((1ull << WEIR_WHAT_AGE_SHIFT) - 1)) | flow_now() << WEIR_WHAT_AGE_SHIFT;
}

/* A closed flow lives again; a proven one is counted again. */
static __always_inline __u64 track_revive(__u64 what)
{
	if (likely((what & WEIR_FLOW_STATE) != WEIR_FLOW_CLOSED))
		return what;
	what = (what & ~WEIR_FLOW_STATE) | WEIR_FLOW_LIVE;
	return what & WEIR_FLOW_PROVEN ? what | WEIR_FLOW_COUNTED : what;
}

static __always_inline __u64 track_prove(__u64 what)
{
	return what | WEIR_FLOW_ANSWERED | WEIR_FLOW_PROVEN | WEIR_FLOW_COUNTED;
}

/* Does the ACK show that the client has seen the backend's SYN-ACK? */
static __always_inline bool track_ack_is_good(const struct flow *flow, const struct packet *packet)
{
	const struct weir_flow_detail *detail = flow_detail(flow);

	return packet->tcp_flags & TCP_ACK && detail &&
	       packet->acknowledgement - (detail->backend_isn + 1) < TRACK_ACK_WINDOW;
}

static __always_inline __u64 track_segment(__u64 what, const struct packet *packet, __u64 fin)
{
	if (packet_is_reset(packet))
		return what | WEIR_FLOW_RESET;
	what = track_revive(what & ~WEIR_FLOW_RESET);
	return packet->tcp_flags & TCP_FIN ? what | fin : what;
}

/* Swap in the new `what`; a lost race is repaired by the next packet of the flow. */
static __always_inline void track_update(struct flow *flow, __u64 what)
{
	what = track_seen_now(what);
	if (what != flow->seen)
		flow_change(flow->what, flow->seen, what);
}

static __always_inline void track_forward(struct flow *flow, const struct packet *packet)
{
	__u64 what = flow->seen;

	if (packet_is_tcp(packet)) {
		what = track_segment(what, packet, WEIR_FLOW_FIN_CLIENT);
		if (unlikely(!(what & WEIR_FLOW_PROVEN)) && what & WEIR_FLOW_ANSWERED &&
		    !packet_is_reset(packet) && track_ack_is_good(flow, packet))
			what = track_prove(what);
	} else {
		what = track_revive(what);
	}
	track_update(flow, what);
}

/* A SYN-ACK to the SYN that we know: remember its number, the client must acknowledge it. */
static __always_inline __u64 track_syn_ack(struct flow *flow, __u64 what,
					   const struct packet *packet)
{
	struct weir_flow_detail *detail = flow_detail(flow);

	if (!detail || packet->acknowledgement != detail->client_isn + 1)
		return what;
	detail->backend_isn = packet->sequence;
	return what | WEIR_FLOW_ANSWERED;
}

static __always_inline void track_reply(struct flow *flow, const struct packet *packet)
{
	__u64 what = flow->seen;

	if (packet_is_tcp(packet)) {
		what = track_segment(what, packet, WEIR_FLOW_FIN_BACKEND);
		if (unlikely(!(what & WEIR_FLOW_PROVEN)) && !packet_is_reset(packet)) {
			if (packet->tcp_flags & TCP_SYN)
				what = track_syn_ack(flow, what, packet);
			else if (what & WEIR_FLOW_PICKED_UP)
				what = track_prove(what);
		}
	} else {
		what = track_prove(track_revive(what));
	}
	track_update(flow, what);
}

/*
 * Does this SYN begin a new connection on the tuple of an old one (RFC 9293, 3.6.1; RFC 6191)?
 * On one that is closing: yes, and never on a dead backend's behalf. On one that never got
 * anywhere: if its number is another.
 */
static __always_inline bool track_is_new(const struct flow *flow, const struct packet *packet)
{
	const struct weir_flow_detail *detail;

	if (!packet_is_syn(packet))
		return false;
	if (flow_is_closing(flow->seen))
		return true;
	if (flow->seen & WEIR_FLOW_PROVEN)
		return false;
	detail = flow_detail(flow);
	return detail && detail->client_isn != packet->sequence;
}

#endif
