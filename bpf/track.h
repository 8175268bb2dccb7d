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
#define TRACK_TRIES      4 /* against other CPUs that change the same flow */

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

/* What a client's packet makes of the flow. */
static __always_inline __u64 track_next_forward(struct flow *flow, const struct packet *packet)
{
	__u64 what = flow->seen;

	if (!packet_is_tcp(packet))
		return track_revive(what);
	what = track_segment(what, packet, WEIR_FLOW_FIN_CLIENT);
	if (unlikely(!(what & WEIR_FLOW_PROVEN)) && what & WEIR_FLOW_ANSWERED &&
	    !packet_is_reset(packet) && track_ack_is_good(flow, packet))
		return track_prove(what);
	return what;
}

/* What a backend's packet makes of it. */
static __always_inline __u64 track_next_reply(struct flow *flow, const struct packet *packet)
{
	__u64 what = flow->seen;

	if (!packet_is_tcp(packet))
		return track_prove(track_revive(what));
	what = track_segment(what, packet, WEIR_FLOW_FIN_BACKEND);
	if (likely(what & WEIR_FLOW_PROVEN) || packet_is_reset(packet))
		return what;
	if (packet->tcp_flags & TCP_SYN)
		return track_syn_ack(flow, what, packet);
	return what & WEIR_FLOW_PICKED_UP ? track_prove(what) : what;
}

static __always_inline bool track_update(struct flow *flow, __u64 what)
{
	what = track_seen_now(what);
	return what == flow->seen || flow_change(flow->what, flow->seen, what);
}

/*
 * Another CPU changed the flow at the same moment, perhaps by the other direction's packet: apply
 * this one to what is there now, or a FIN would be lost and the flow stay open for hours. Takes
 * the parts of the flow, so that struct flow can live in registers on the usual way.
 */
static __noinline int track_again(__u64 *what, __u64 seen, struct weir_flow_detail *detail,
				  const struct packet *packet, enum flow_side side)
{
	struct flow flow = {.what = what, .seen = seen, .spilled = detail};

	for (int i = 0; i < TRACK_TRIES; i++) {
		__u64 now = READ_ONCE(*what);

		if (!flow_is_taken(now) || (now ^ seen) & FLOW_IDENTITY)
			return 0;
		flow.seen = now;
		if (track_update(&flow, side == FLOW_FORWARD ? track_next_forward(&flow, packet)
							     : track_next_reply(&flow, packet)))
			return 0;
	}
	return 0;
}

static __always_inline void track_forward(struct flow *flow, const struct packet *packet)
{
	if (unlikely(!track_update(flow, track_next_forward(flow, packet))))
		track_again(flow->what, flow->seen, flow_detail(flow), packet, FLOW_FORWARD);
}

static __always_inline void track_reply(struct flow *flow, const struct packet *packet)
{
	if (unlikely(!track_update(flow, track_next_reply(flow, packet))))
		track_again(flow->what, flow->seen, flow_detail(flow), packet, FLOW_REPLY);
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
