/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * flow.h - 3: a connection that we know? The flow table: find, add, update, remove.
 *
 * One entry serves both directions, because the bucket is chosen by the client's end alone. IPv4
 * flows lie four to a cache line in `flows`; IPv6 and any-port flows, which need more words, in
 * `flows_wide`. Every flow has two candidate buckets; a new one goes where there is more room.
 *
 * Concurrency: `what` is changed by compare-and-swap only. Whoever swaps it to CLAIMING owns the
 * entry, writes the rest, and publishes by an exchange (a full barrier). Readers read `who`,
 * `what`, and `who` again. Two CPUs that add one flow at once both look again after publishing:
 * the lower index stays, the other is taken back. Relies on loads that are not reordered with
 * loads (x86); elsewhere the second look at `who` narrows the race to a wrong miss.
 *
 * A flow that has not proven its client real never takes the place of one that has.
 */
#ifndef WEIR_FLOW_H
#define WEIR_FLOW_H

#include "maps.h"
#include "packet.h"
#include "service.h"
#include "siphash.h"

#define FLOW_BOTH_FINS (WEIR_FLOW_FIN_CLIENT | WEIR_FLOW_FIN_BACKEND)
#define FLOW_FLAGS     ((((1ull << WEIR_WHAT_AGE_SHIFT) - 1) >> 37) << 37)
/* Frontend and backend: a change of `what` that keeps them is of the same flow. */
#define FLOW_IDENTITY  ((1ull << 37) - 1)
#define FLOW_SPILLED   0xffffffffu /* index of a flow in `spill` */
#define FLOW_CLAIMS    3 /* tries to claim an entry before the flow spills */
#define FLOW_UNTRACKED -1
#define FLOW_AGE_AHEAD \
	64 /* units that a flow may be ahead of a CPU's clock; time-outs end before */

/* The client's end, as it stands in `who` (without the generation), and the two buckets. */
struct flow_key {
	__u64 who;
	struct weir_address client; /* wide flows only */
	__u32 bucket[2];
};

/* A flow that was found or added, and `what` as it was then. */
struct flow {
	__u64 *what;
	__u64 *who;
	__u64 seen;
	__u32 index; /* bucket * WEIR_WAYS + way, or FLOW_SPILLED */
	__u64 is_wide; /* a bool; the verifier follows only whole words on the stack */
	struct weir_frontend *frontend;
	struct weir_backend *backend;
	struct weir_flow_detail *spilled; /* its cold part, when it lies in `spill` */
};

/* What lookups are after: the packet's other end must be this frontend, or this backend. */
enum flow_side {
	FLOW_FORWARD,
	FLOW_REPLY
};

static __always_inline __u32 flow_frontend(__u64 what)
{
	return what & WEIR_WHAT_FRONTEND_MASK;
}

static __always_inline __u32 flow_backend(__u64 what)
{
	return (what >> WEIR_WHAT_BACKEND_SHIFT) & WEIR_WHAT_BACKEND_MASK;
}

static __always_inline __u8 flow_generation(__u64 who)
{
	return who >> WEIR_WHO_GENERATION_SHIFT;
}

static __always_inline __u64 flow_now(void)
{
	return (bpf_jiffies64() >> config.age_shift) & WEIR_AGE_MASK;
}

/*
 * Units of age since the flow was last seen. Another CPU may have seen it in a unit that began
 * after we looked at the clock: that is now, not 8191 units ago.
 */
static __always_inline __u64 flow_idle(__u64 what, __u64 now)
{
	__u64 idle = (now - (what >> WEIR_WHAT_AGE_SHIFT)) & WEIR_AGE_MASK;

	return idle > WEIR_AGE_MASK - FLOW_AGE_AHEAD ? 0 : idle;
}

static __always_inline bool flow_is_taken(__u64 what)
{
	return what & (2ull << 37); /* LIVE or CLOSED */
}

static __always_inline bool flow_is_closing(__u64 what)
{
	return (what & WEIR_FLOW_STATE) == WEIR_FLOW_CLOSED || what & WEIR_FLOW_RESET ||
	       (what & FLOW_BOTH_FINS) == FLOW_BOTH_FINS;
}

/* Which of the time-outs holds for the flow: its offset in struct weir_timeouts. */
static __always_inline __u32 flow_timeout_kind(__u64 who, __u64 what)
{
	if ((what & WEIR_FLOW_STATE) == WEIR_FLOW_CLOSED)
		return offsetof(struct weir_timeouts, closed);
	if (flow_is_closing(what))
		return offsetof(struct weir_timeouts, closing);
	if (who & WEIR_WHO_UDP)
		return what & WEIR_FLOW_PROVEN ? offsetof(struct weir_timeouts, udp)
					       : offsetof(struct weir_timeouts, udp_unanswered);
	return what & WEIR_FLOW_PROVEN ? offsetof(struct weir_timeouts, tcp)
				       : offsetof(struct weir_timeouts, unproven);
}

/*
 * Seconds without a packet after which the sweep ends this state of the flow. The barrier keeps
 * clang from selecting among six pointers, each a state of its own to the verifier.
 */
static __always_inline __u32 flow_timeout(__u64 who, __u64 what,
					  const struct weir_timeouts *timeouts)
{
	__u64 kind = flow_timeout_kind(who, what);

	barrier_var(kind);
	if (kind > sizeof(*timeouts) - sizeof(__u32))
		return 0;
	return *(const __u32 *)((const char *)timeouts + kind);
}

/* The same in units of age; one unit more, because both ends of the interval are rounded down. */
static __always_inline __u64 flow_timeout_units(__u32 seconds, __u32 jiffies_per_second)
{
	return ((__u64)seconds * jiffies_per_second >> config.age_shift) + 1;
}

static __always_inline bool flow_is_over(__u64 who, __u64 what, __u64 now,
					 const struct weir_settings *set)
{
	__u32 seconds = flow_timeout(who, what, &set->timeouts);

	return flow_idle(what, now) > flow_timeout_units(seconds, set->jiffies_per_second);
}

/* The key for a client's end; wide flows also hold the port that the client asked for. */
static __always_inline void flow_key_make(struct flow_key *key, bool is_wide,
					  const struct weir_address *client, __be16 client_port,
					  __be16 asked_port, __u8 protocol)
{
	__u64 end = (__u64)client_port << WEIR_WHO_PORT_SHIFT |
		    (protocol == IPPROTO_UDP ? WEIR_WHO_UDP : 0);
	__u64 hash;

	if (is_wide) {
		__u64 word[2] = {
			(__u64)client->word[0] << 32 | client->word[1],
			(__u64)client->word[2] << 32 | client->word[3],
		};

		hash = siphash_rest(word, 2, end >> 32, 3, config.flow_seed[0],
				    config.flow_seed[1]);
		key->bucket[0] = hash & (config.flow_wide_buckets - 1);
		key->bucket[1] = (hash >> 32) & (config.flow_wide_buckets - 1);
		key->who = end | asked_port;
		key->client = *client;
	} else {
		hash = siphash_rest(NULL, 0, end | client->word[3], 7, config.flow_seed[0],
				    config.flow_seed[1]);
		key->bucket[0] = hash & (config.flow_buckets - 1);
		key->bucket[1] = (hash >> 32) & (config.flow_buckets - 1);
		key->who = end | client->word[3];
	}
}

/* An entry of either table starts with who, what; a wide one goes on with the client's address. */
static __always_inline __u64 *flow_bucket(bool is_wide, __u32 index)
{
	return is_wide ? (__u64 *)map_at(flows_wide, index) : (__u64 *)map_at(flows, index);
}

static __always_inline __u64 *flow_entry(__u64 *bucket, bool is_wide, int way)
{
	return bucket + way * (is_wide ? 4 : 2);
}

static __always_inline struct weir_flow_detail *flow_detail(const struct flow *flow)
{
	if (flow->spilled)
		return flow->spilled;
	return flow->is_wide ? map_at(flow_details_wide, flow->index)
			     : map_at(flow_details, flow->index);
}

/*
 * Does the entry belong to this client's end? A reply to an any-port flow knows the asked port
 * only through the backend, so the low half of `who` is left to flow_matches then.
 */
static __always_inline bool flow_is_of(const __u64 *entry, const struct flow_key *key, bool is_wide,
				       enum flow_side side)
{
	__u64 differs = (entry[0] ^ key->who) & WEIR_WHO_CLIENT_MASK;
	const struct weir_address *client = (const struct weir_address *)(entry + 2);

	if (is_wide && side == FLOW_REPLY)
		differs >>= 32;
	return !differs && (!is_wide || address_equal(client, &key->client));
}

/* The port at which the backend gets the flow. */
static __always_inline __be16 flow_backend_port(const struct weir_backend *backend, __u64 who,
						bool is_wide, __be16 asked_port)
{
	if (backend->port)
		return backend->port;
	return is_wide ? (__be16)who : asked_port;
}

/* Is the other end of the packet that of the flow? Fills flow->frontend and flow->backend. */
static __always_inline bool flow_matches(struct flow *flow, __u64 who, const struct packet *packet,
					 enum flow_side side)
{
	flow->frontend = map_at(frontend_list, flow_frontend(flow->seen));
	flow->backend = map_at(backends, flow_backend(flow->seen));
	if (!flow->frontend || !flow->backend)
		return false;
	if (side == FLOW_FORWARD) {
		const struct weir_frontend *frontend = flow->frontend;

		return frontend->flags & WEIR_FRONTEND_VALID &&
		       (frontend->port == packet->destination_port ||
			(flow->is_wide && frontend->flags & WEIR_FRONTEND_ANY_PORT)) &&
		       (flow->is_wide ? address_equal(&frontend->vip, &packet->destination)
				      : frontend->vip.word[3] == packet->destination.word[3]);
	}
	return flow_backend_port(flow->backend, who, flow->is_wide, packet->source_port) ==
		       packet->source_port &&
	       (flow->is_wide ? address_equal(&flow->backend->address, &packet->source)
			      : flow->backend->address.word[3] == packet->source.word[3]) &&
	       flow->frontend->flags & WEIR_FRONTEND_VALID &&
	       backend_is_there(flow->backend, flow->frontend->service, flow_generation(who));
}

/*
 * Is the entry still that of `who`, after its `what` was read? In a wide one another client may
 * have come in by the same port.
 */
static __always_inline bool flow_is_still(const __u64 *entry, __u64 who, const struct flow_key *key,
					  bool is_wide)
{
	if (READ_ONCE(entry[0]) != who)
		return false;
	if (!is_wide)
		return true;
	barrier();
	return address_equal((const struct weir_address *)(entry + 2), &key->client);
}

static __always_inline bool flow_try(struct flow *flow, const struct flow_key *key, __u64 *entry,
				     const struct packet *packet, enum flow_side side)
{
	__u64 who = READ_ONCE(entry[0]);

	if (likely(!flow_is_of(entry, key, flow->is_wide, side)))
		return false;
	flow->seen = READ_ONCE(entry[1]);
	flow->what = entry + 1;
	flow->who = entry;
	return flow_is_taken(flow->seen) && flow_matches(flow, who, packet, side) &&
	       flow_is_still(entry, who, key, flow->is_wide);
}

static __always_inline void flow_spill_key(struct weir_spill_key *spill_key,
					   const struct flow_key *key, bool is_wide)
{
	*spill_key = (struct weir_spill_key){
		.who = key->who & WEIR_WHO_CLIENT_MASK & ~0xffffffffull,
		.client.word[3] = (__u32)key->who,
	};
	if (is_wide)
		spill_key->client = key->client;
}

static __always_inline bool flow_try_spilled(struct flow *flow, const struct flow_key *key,
					     const struct packet *packet, enum flow_side side)
{
	struct weir_settings *set = map_at(settings, 0);
	struct weir_spill_key spill_key;
	struct weir_spill *spilled;

	if (!set || likely(!set->spilled))
		return false;
	flow_spill_key(&spill_key, key, flow->is_wide);
	spilled = bpf_map_lookup_elem(&spill, &spill_key);
	if (!spilled)
		return false;
	flow->spilled = &spilled->detail;
	flow->index = FLOW_SPILLED;
	flow->seen = READ_ONCE(spilled->what);
	flow->what = &spilled->what;
	flow->who = &spilled->who;
	/* asked again, because the map uses the memory of a deleted flow for another at once */
	return flow_is_taken(flow->seen) && flow_matches(flow, spilled->who, packet, side) &&
	       (side == FLOW_REPLY || (__u32)spilled->who == (__u32)key->who) &&
	       bpf_map_lookup_elem(&spill, &spill_key) == spilled;
}

/* Find the flow of a packet, as its client's packet (FLOW_FORWARD) or its backend's (FLOW_REPLY). */
static __always_inline bool flow_find(struct flow *flow, const struct flow_key *key,
				      const struct packet *packet, enum flow_side side)
{
#pragma unroll
	for (int i = 0; i < 2; i++) {
		__u64 *bucket = flow_bucket(flow->is_wide, key->bucket[i]);

		if (!bucket)
			return false;
#pragma unroll
		for (int way = 0; way < WEIR_WAYS; way++)
			if (flow_try(flow, key, flow_entry(bucket, flow->is_wide, way), packet,
				     side)) {
				flow->index = key->bucket[i] * WEIR_WAYS + way;
				return true;
			}
	}
	return flow_try_spilled(flow, key, packet, side);
}

/*
 * Change `what` from what was seen, and keep the gauge and the counters true: the one place
 * where COUNTED comes and goes. False when somebody else was faster.
 */
static __always_inline void flow_account(__u64 before, __u64 after)
{
	__u32 id = flow_backend(before);
	__u32 slot = bpf_get_smp_processor_id() * config.backends + id;
	struct weir_gauge *gauge;
	struct weir_counters *counter;

	if (likely(!((before ^ after) & WEIR_FLOW_COUNTED)))
		return;
	gauge = map_at(gauges, id);
	counter = map_at(counters, slot);
	if (!gauge || !counter)
		return;
	if (before & WEIR_FLOW_COUNTED) {
		__sync_fetch_and_add(&gauge->active, -1);
		counter->closed++;
	} else {
		__sync_fetch_and_add(&gauge->active, 1);
		if ((before & WEIR_FLOW_STATE) == WEIR_FLOW_CLOSED || before & WEIR_FLOW_PICKED_UP)
			counter->revived++;
		else
			counter->opened++;
	}
}

static __always_inline bool flow_change(__u64 *what, __u64 before, __u64 after)
{
	if (__sync_val_compare_and_swap(what, before, after) != before)
		return false;
	flow_account(before, after);
	return true;
}

static __always_inline void flow_remove(struct flow *flow)
{
	flow_change(flow->what, flow->seen, WEIR_FLOW_FREE | (flow->seen & ~FLOW_FLAGS));
}

/*
 * How willingly an entry makes room: 0 free, then closed, unproven, over; older first within a
 * kind. WEIR_NONE: never. A live proven flow is never given up for a new one. A global function,
 * so that its answer is any number to the verifier: known numbers cost it 10^6 states (6.18).
 */
__noinline __u32 flow_worth(__u64 who, __u64 what, __u64 now)
{
	__u32 youth = WEIR_AGE_MASK - flow_idle(what, now);
	struct weir_settings *set = map_at(settings, 0);

	switch (what & WEIR_FLOW_STATE) {
	case WEIR_FLOW_FREE:
		return 0;
	case WEIR_FLOW_CLOSED:
		return 1u << 16 | youth;
	case WEIR_FLOW_LIVE:
		if (!(what & WEIR_FLOW_PROVEN))
			return 2u << 16 | youth;
		return set && flow_is_over(who, what, now, set) ? 3u << 16 | youth : WEIR_NONE;
	default:
		return WEIR_NONE;
	}
}

/* An entry that may be claimed, and its `what` when it was judged. */
struct flow_place {
	__u64 *entry;
	__u64 seen;
	__u32 index, worth;
};

/* The lowest worth of a bucket and the way that has it: worth << 2 | way. */
static __always_inline __u64 flow_bucket_best(__u64 *bucket, bool is_wide, __u64 now)
{
	__u64 best = ~0ull;

	for (int way = 0; way < WEIR_WAYS; way++) {
		__u64 *entry = flow_entry(bucket, is_wide, way);
		__u64 worth = (__u64)flow_worth(entry[0], READ_ONCE(entry[1]), now) << 2 | way;

		if (worth < best)
			best = worth;
	}
	return best;
}

/* How many ways are in use; without branches, for the verifier's sake. */
static __always_inline __u32 flow_bucket_load(__u64 *bucket, bool is_wide)
{
	__u32 used = 0;

	for (int way = 0; way < WEIR_WAYS; way++) {
		__u64 what = READ_ONCE(flow_entry(bucket, is_wide, way)[1]);

		used += (what >> 37 | what >> 38) & 1;
	}
	return used;
}

/*
 * The entry of both buckets that makes room most willingly; of free ones, in the emptier bucket.
 */
static __always_inline bool flow_place_find(struct flow_place *place, const struct flow_key *key,
					    bool is_wide, __u64 now)
{
	__u64 *first = flow_bucket(is_wide, key->bucket[0]);
	__u64 *second = flow_bucket(is_wide, key->bucket[1]);
	__u64 best, other, *bucket;
	__u32 way, number = key->bucket[0];

	if (!first || !second)
		return false;
	best = flow_bucket_best(first, is_wide, now);
	other = flow_bucket_best(second, is_wide, now);
	if (other >> 2 == best >> 2
		    ? flow_bucket_load(second, is_wide) < flow_bucket_load(first, is_wide)
		    : other < best) {
		best = other;
		number = key->bucket[1];
	}
	bucket = flow_bucket(is_wide, number);
	if (!bucket)
		return false;
	way = best & (WEIR_WAYS - 1);
	place->worth = best >> 2;
	place->entry = flow_entry(bucket, is_wide, way);
	place->seen = READ_ONCE(place->entry[1]);
	place->index = number * WEIR_WAYS + way;
	return place->worth != WEIR_NONE &&
	       flow_worth(place->entry[0], place->seen, now) == place->worth;
}

static __always_inline bool flow_entry_clashes(__u64 *entry, const struct flow_key *key,
					       bool is_wide, __u32 frontend,
					       const struct weir_backend *backend, __be16 port)
{
	__u64 seen = READ_ONCE(entry[1]);
	struct weir_frontend *by;
	struct weir_backend *other;

	if (likely(!flow_is_of(entry, key, is_wide, FLOW_REPLY)) || !flow_is_taken(seen))
		return false;
	if (flow_frontend(seen) == frontend && flow_is_of(entry, key, is_wide, FLOW_FORWARD))
		return false;
	by = map_at(frontend_list, flow_frontend(seen));
	other = map_at(backends, flow_backend(seen));
	if (!by || !other || !address_equal(&other->address, &backend->address) ||
	    flow_backend_port(other, entry[0], is_wide, by->port) != port)
		return false;
	if (!flow_is_closing(seen))
		return true;
	flow_change(entry + 1, seen, seen & ~FLOW_FLAGS);
	return false;
}

static __always_inline bool flow_clashes_in(const struct flow_key *key, bool is_wide,
					    __u32 frontend, const struct weir_backend *backend,
					    __be16 port)
{
	for (int i = 0; i < 2; i++) {
		__u64 *bucket = flow_bucket(is_wide, key->bucket[i]);

		if (!bucket)
			return false;
		for (int way = 0; way < WEIR_WAYS; way++)
			if (flow_entry_clashes(flow_entry(bucket, is_wide, way), key, is_wide,
					       frontend, backend, port))
				return true;
	}
	return false;
}

/*
 * Does the client's end already have a flow to this very address and port, by another frontend?
 * Then the backend could not tell them apart. A flow that is over anyway is freed instead.
 */
__noinline int flow_clashes(const struct flow_key *key, bool is_wide, __u32 frontend,
			    __u32 backend_id, __u32 asked_port)
{
	struct weir_backend *backend = map_at(backends, backend_id);
	__be16 port;

	if (!key || !backend)
		return false;
	port = backend->port ? backend->port : asked_port;
	return is_wide ? flow_clashes_in(key, true, frontend, backend, port)
		       : flow_clashes_in(key, false, frontend, backend, port);
}

/* The cold part, from the first packet. */
static __always_inline void flow_describe(struct weir_flow_detail *detail,
					  const struct packet *packet)
{
	detail->client_isn = packet->sequence;
	detail->backend_isn = 0;
	detail->opened_at = bpf_ktime_get_ns();
	detail->ifindex = packet->came_by;
}

/*
 * The client's end has an entry in `spill` already. Another CPU may have added this very flow; one
 * that was removed and not yet swept is claimed and written anew.
 */
static __always_inline int flow_spill_onto(struct weir_spill *there,
					   const struct weir_spill_key *spill_key,
					   const struct weir_spill *value)
{
	__u64 seen = READ_ONCE(there->what);

	if (flow_is_taken(seen))
		return flow_frontend(seen) == flow_frontend(value->what) &&
				       (__u32)there->who == (__u32)value->who
			       ? (int)flow_backend(seen)
			       : FLOW_UNTRACKED;
	if ((seen & WEIR_FLOW_STATE) != WEIR_FLOW_FREE ||
	    !flow_change(&there->what, seen, seen | WEIR_FLOW_CLAIMING))
		return FLOW_UNTRACKED;
	if (bpf_map_lookup_elem(&spill, spill_key) != there) { /* its memory is another's by now */
		WRITE_ONCE(there->what, seen);
		return FLOW_UNTRACKED;
	}
	there->detail = value->detail;
	WRITE_ONCE(there->who, value->who);
	__sync_lock_test_and_set(&there->what, value->what);
	return flow_backend(value->what);
}

/* Both buckets are full of proven flows: a bounded hash takes the rest. */
static __always_inline int flow_spill(const struct flow_key *key, bool is_wide, __u64 what,
				      const struct packet *packet)
{
	struct weir_settings *set = map_at(settings, 0);
	struct weir_spill_key spill_key;
	struct weir_spill value = {.who = key->who, .what = what}, *there;

	if (!set)
		return FLOW_UNTRACKED;
	flow_describe(&value.detail, packet);
	flow_spill_key(&spill_key, key, is_wide);
	if (bpf_map_update_elem(&spill, &spill_key, &value, BPF_NOEXIST)) {
		there = bpf_map_lookup_elem(&spill, &spill_key);
		return there ? flow_spill_onto(there, &spill_key, &value) : FLOW_UNTRACKED;
	}
	__sync_fetch_and_add(&set->spilled, 1);
	internal_count(WEIR_INTERNAL_FLOW_SPILLED);
	return flow_backend(what);
}

/* Write a claimed entry and publish it. */
static __always_inline void flow_publish(const struct flow_place *place, const struct flow_key *key,
					 bool is_wide, __u64 what, const struct packet *packet)
{
	struct weir_flow_detail *detail = is_wide ? map_at(flow_details_wide, place->index)
						  : map_at(flow_details, place->index);

	if (detail)
		flow_describe(detail, packet);
	WRITE_ONCE(place->entry[0], key->who);
	if (is_wide)
		*(struct weir_address *)(place->entry + 2) = key->client;
	__sync_lock_test_and_set(place->entry + 1, what);
	internal_count(WEIR_INTERNAL_FLOW_ADDED);
}

/* `what` of an entry of the same flow (same end, same frontend), or 0. */
static __always_inline __u64 flow_twin(const __u64 *entry, const struct flow_key *key, bool is_wide,
				       __u32 frontend)
{
	__u64 who = READ_ONCE(entry[0]), seen;

	if (likely(!flow_is_of(entry, key, is_wide, FLOW_FORWARD)))
		return 0;
	seen = READ_ONCE(entry[1]);
	return flow_is_taken(seen) && flow_frontend(seen) == frontend &&
			       flow_is_still(entry, who, key, is_wide)
		       ? seen
		       : 0;
}

/*
 * After publishing: if other CPUs have added the same flow, the lowest index stays, and whoever
 * sees two takes the higher one back. Each published before it looked, so of any two one sees both.
 */
static __always_inline int flow_settle(const struct flow_place *place, const struct flow_key *key,
				       bool is_wide, __u64 what)
{
	__u32 lowest = place->index;
	__u64 stays = what;

	for (int i = 0; i < 2 * WEIR_WAYS; i++) {
		__u32 number = key->bucket[i / WEIR_WAYS],
		      index = number * WEIR_WAYS + i % WEIR_WAYS;
		__u64 *bucket = flow_bucket(is_wide, number), *entry, seen;

		if (!bucket || index == place->index)
			continue;
		entry = flow_entry(bucket, is_wide, i % WEIR_WAYS);
		seen = flow_twin(entry, key, is_wide, flow_frontend(what));
		if (likely(!seen))
			continue;
		internal_count(WEIR_INTERNAL_FLOW_RACED);
		if (index > place->index) {
			flow_change(entry + 1, seen, seen & ~FLOW_FLAGS);
		} else if (index < lowest) {
			lowest = index;
			stays = seen;
		}
	}
	if (lowest != place->index)
		flow_change(place->entry + 1, what, what & ~FLOW_FLAGS);
	return flow_backend(stays);
}

static __always_inline int flow_add_to(const struct flow_key *key, __u64 what,
				       const struct packet *packet, bool is_wide)
{
	__u64 now = flow_now();
	struct flow_place place;

	what |= WEIR_FLOW_LIVE | now << WEIR_WHAT_AGE_SHIFT;
	for (int i = 0; i < FLOW_CLAIMS; i++) {
		if (!flow_place_find(&place, key, is_wide, now))
			continue;
		if (!flow_change(place.entry + 1, place.seen,
				 (place.seen & ~FLOW_FLAGS) | WEIR_FLOW_CLAIMING))
			continue;
		if (place.worth)
			internal_count(WEIR_INTERNAL_FLOW_EVICTED);
		flow_publish(&place, key, is_wide, what, packet);
		return flow_settle(&place, key, is_wide, what);
	}
	return flow_spill(key, is_wide, what, packet);
}

/*
 * Add a flow. The key's `who` also holds the backend's generation, `what` frontend, backend and
 * flags; age and state are added here. Returns the flow's backend id, which is another than
 * asked for when another CPU added the same flow first; or FLOW_UNTRACKED: there is no room, not
 * even in the spill map.
 */
static __always_inline int flow_add(const struct flow_key *key, __u64 what,
				    const struct packet *packet, bool is_wide)
{
	return is_wide ? flow_add_to(key, what, packet, true)
		       : flow_add_to(key, what, packet, false);
}

#endif
