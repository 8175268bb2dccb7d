/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * test_flow.c - the flow table on one CPU: against a simple model over random operations, and
 * rule by rule: who makes room for whom, what clashes, when a time is over.
 */
#include "native_flows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define UNIT (1ull << WORLD_AGE_SHIFT) /* jiffies */

static const struct target *const tcp4 = &targets[0], *const udp4 = &targets[2];
static const struct target *const any4 = &targets[3], *const tcp6 = &targets[5];

static void check_books(void)
{
	struct flows_count count;
	const char *wrong = flows_audit(&count);

	if (wrong)
		fail_msg("%s", wrong);
}

/* --- the model ------------------------------------------------------------------------------ */

#define MODEL_OPERATIONS 200000
#define MODEL_CLIENTS    12
#define MODEL_PORTS      2
#define MODEL_FLOWS      (MODEL_CLIENTS * MODEL_PORTS * FLOWS_TARGETS)

/* What we think of the flow of one tuple. */
struct model {
	const struct target *target;
	__u32 client, backend, isn, backend_isn;
	__u16 port;
	bool is_known; /* added, and not known to be gone */
	bool is_proven, is_answered, is_closed, is_reset, is_picked_up;
	bool has_fin_client, has_fin_backend;
	bool is_spilled;
	__u64 seen; /* in units, without end */
};

static struct model models[MODEL_FLOWS];
static __u64 random_state;

static __u32 random_below(__u32 limit)
{
	return (world_random(&random_state) >> 32) % limit;
}

static __u64 units_now(void)
{
	return native_jiffies / UNIT;
}

static bool model_is_closing(const struct model *model)
{
	return model->is_closed || model->is_reset ||
	       (model->has_fin_client && model->has_fin_backend);
}

static __u32 model_timeout(const struct model *model)
{
	if (model->is_closed)
		return 120;
	if (model_is_closing(model))
		return 10;
	if (model->target->protocol == IPPROTO_UDP)
		return model->is_proven ? 60 : 30;
	return model->is_proven ? 8000 : 10;
}

static bool model_is_over(const struct model *model)
{
	return units_now() - model->seen > model_timeout(model) * WORLD_HZ / UNIT + 1;
}

/* It may neither be lost nor make room. */
static bool model_must_be(const struct model *model)
{
	return model->is_known && model->is_proven && !model->is_closed && !model_is_over(model);
}

static struct packet model_packet(const struct model *model, enum flow_side side)
{
	return side == FLOW_FORWARD
		       ? packet_to(model->target, model->client, model->port)
		       : packet_from(model->target, model->backend, model->client, model->port);
}

static __u64 model_flags(const struct model *model)
{
	return (model->is_closed ? WEIR_FLOW_CLOSED : WEIR_FLOW_LIVE) |
	       (model->is_answered ? WEIR_FLOW_ANSWERED : 0) |
	       (model->is_proven ? WEIR_FLOW_PROVEN : 0) |
	       (model->is_proven && !model->is_closed ? WEIR_FLOW_COUNTED : 0) |
	       (model->has_fin_client ? WEIR_FLOW_FIN_CLIENT : 0) |
	       (model->has_fin_backend ? WEIR_FLOW_FIN_BACKEND : 0) |
	       (model->is_reset ? WEIR_FLOW_RESET : 0) |
	       (model->is_picked_up ? WEIR_FLOW_PICKED_UP : 0);
}

static bool models_share(const struct model *a, const struct model *b)
{
	return a->target->service == b->target->service && a->client == b->client &&
	       a->port == b->port && a->backend == b->backend &&
	       (!a->target->is_any_port || a->target->port == b->target->port);
}

/* A reply to a flow that has ended may be one to the flow that followed it by another VIP. */
static bool models_explain(const struct model *model, const struct flow *flow)
{
	for (size_t i = 0; i < MODEL_FLOWS; i++)
		if (models[i].is_known && models_share(&models[i], model) &&
		    models[i].target->frontend == flow_frontend(flow->seen))
			return true;
	return false;
}

/* Find it; what is found is exactly what we think, and what must be is found. */
static bool model_find(struct model *model, enum flow_side side, struct flow *flow)
{
	struct packet packet = model_packet(model, side);
	bool is_found = flows_find(flow, model->target, &packet, side);

	if (!is_found ||
	    (side == FLOW_REPLY && flow_frontend(flow->seen) != model->target->frontend)) {
		assert_false(model_must_be(model));
		assert_true(!is_found || models_explain(model, flow));
		model->is_known = model->is_known && is_found;
		return false;
	}
	assert_true(model->is_known);
	assert_int_equal(flow_frontend(flow->seen), model->target->frontend);
	assert_int_equal(flow_backend(flow->seen), model->backend);
	assert_int_equal(flow->seen & FLOW_FLAGS, model_flags(model));
	assert_int_equal(flow->seen >> WEIR_WHAT_AGE_SHIFT, model->seen % 8192);
	assert_ptr_equal(flow->frontend, &native_values(&frontend_list)[model->target->frontend]);
	assert_ptr_equal(flow->backend, &native_values(&backends)[model->backend]);
	assert_int_equal(flow_generation(*flow->who), flow->backend->generation);
	return true;
}

static void model_revive(struct model *model)
{
	model->is_reset = false;
	model->is_closed = false;
}

/* What a packet does to the flow, in words of our own. */
static void model_track(struct model *model, enum flow_side side, const struct packet *packet)
{
	bool is_client = side == FLOW_FORWARD;

	model->seen = units_now();
	if (packet->protocol == IPPROTO_UDP) {
		model_revive(model);
		if (!is_client)
			model->is_answered = model->is_proven = true;
		return;
	}
	if (packet->tcp_flags & TCP_RST) {
		model->is_reset = true;
		return;
	}
	model_revive(model);
	if (packet->tcp_flags & TCP_FIN)
		*(is_client ? &model->has_fin_client : &model->has_fin_backend) = true;
	if (model->is_proven)
		return;
	if (is_client && model->is_answered && packet->tcp_flags & TCP_ACK &&
	    packet->acknowledgement - model->backend_isn - 1 < 65536)
		model->is_proven = true;
	if (!is_client && packet->tcp_flags & TCP_SYN &&
	    packet->acknowledgement == model->isn + 1) {
		model->is_answered = true;
		model->backend_isn = packet->sequence;
	} else if (!is_client && !(packet->tcp_flags & TCP_SYN) && model->is_picked_up) {
		model->is_answered = model->is_proven = true;
	}
}

/*
 * Another frontend's flow that the backend could not tell from ours, as flow_clashes sees it. It
 * does not look into `spill`, so nor do we let such a flow begin.
 */
static bool model_clashes(struct model *model, const struct packet *packet)
{
	struct flow_key key = key_of(model->target, packet);
	bool is_clash = flow_clashes(&key, target_is_wide(model->target), model->target->frontend,
				     model->backend, packet->destination_port);
	bool may_clash = false;

	for (size_t i = 0; i < MODEL_FLOWS; i++) {
		struct model *other = &models[i];

		if (other == model || !other->is_known || !models_share(model, other))
			continue;
		if (other->is_spilled)
			return true;
		if (model_is_closing(other)) {
			other->is_known = is_clash && other->is_known;
			continue;
		}
		may_clash = true;
		if (model_must_be(other))
			assert_true(is_clash);
	}
	assert_true(may_clash || !is_clash);
	return is_clash;
}

/* Whether `spill` can take the flow's client end. */
static bool model_could_spill(const struct model *model, const struct packet *packet)
{
	struct flow_key key = key_of(model->target, packet);
	struct weir_spill_key spill_key;
	struct weir_spill *there;

	flow_spill_key(&spill_key, &key, target_is_wide(model->target));
	there = bpf_map_lookup_elem(&spill, &spill_key);
	return there ? !flow_is_taken(there->what)
		     : flows_spilled() < spill.type_native->max_entries;
}

static void model_add(struct model *model, const struct packet *packet)
{
	bool is_midway = packet->protocol == IPPROTO_TCP && packet->tcp_flags != TCP_SYN;
	bool could_spill = model_could_spill(model, packet);
	struct flow flow;
	int owner;

	model->backend = target_backend(model->target, random_below(FLOWS_BACKENDS));
	if (model_clashes(model, packet))
		return;
	*model = (struct model){
		.target = model->target,
		.client = model->client,
		.port = model->port,
		.backend = model->backend,
		.isn = packet->sequence,
		.is_picked_up = is_midway,
		.seen = units_now(),
	};
	owner = flows_add(model->target, packet, model->backend,
			  is_midway ? WEIR_FLOW_PICKED_UP : 0);
	if (owner == FLOW_UNTRACKED) {
		assert_false(could_spill);
		return;
	}
	assert_int_equal(owner, model->backend);
	model->is_known = true;
	assert_true(model_find(model, FLOW_FORWARD, &flow));
	model->is_spilled = flow.index == FLOW_SPILLED;
}

/* A packet of the client: finds its flow, or makes one, as balance.h does it. */
static void model_client(struct model *model)
{
	static const __u8 flags[] = {TCP_SYN, TCP_SYN,           TCP_ACK, TCP_ACK,
				     TCP_ACK, TCP_ACK | TCP_FIN, TCP_RST};
	struct packet packet = model_packet(model, FLOW_FORWARD);
	struct flow flow;
	bool is_new;

	if (packet.protocol == IPPROTO_TCP)
		packet.tcp_flags = flags[random_below(7)];
	packet.sequence = packet.tcp_flags == TCP_SYN && random_below(2) ? random_below(5) * 1000
									 : model->isn;
	packet.acknowledgement = random_below(4) ? model->backend_isn + 1 : random_below(100);
	if (!model_find(model, FLOW_FORWARD, &flow)) {
		if (packet.tcp_flags != TCP_RST)
			model_add(model, &packet);
		return;
	}
	is_new = packet.tcp_flags == TCP_SYN &&
		 (model_is_closing(model) || (!model->is_proven && packet.sequence != model->isn));
	assert_int_equal(track_is_new(&flow, &packet), is_new);
	if (is_new) {
		flow_remove(&flow);
		model->is_known = false;
		model_add(model, &packet);
		return;
	}
	track_forward(&flow, &packet);
	model_track(model, FLOW_FORWARD, &packet);
}

/* A packet of the backend: finds the flow, or is nobody's. */
static void model_backend(struct model *model)
{
	static const __u8 flags[] = {TCP_SYN | TCP_ACK,
				     TCP_SYN | TCP_ACK,
				     TCP_SYN | TCP_ACK,
				     TCP_ACK,
				     TCP_ACK,
				     TCP_ACK | TCP_FIN,
				     TCP_RST};
	struct packet packet = model_packet(model, FLOW_REPLY);
	struct flow flow;

	if (packet.protocol == IPPROTO_TCP)
		packet.tcp_flags = flags[random_below(7)];
	packet.sequence = random_below(1000);
	packet.acknowledgement = random_below(4) ? model->isn + 1 : random_below(100);
	if (!model_find(model, FLOW_REPLY, &flow))
		return;
	track_reply(&flow, &packet);
	model_track(model, FLOW_REPLY, &packet);
}

static void models_sweep(void)
{
	world_sweep();
	for (size_t i = 0; i < MODEL_FLOWS; i++) {
		struct model *model = &models[i];

		if (!model->is_known || !model_is_over(model))
			continue;
		if (model->is_proven && model_is_closing(model) && !model->is_closed) {
			model->is_closed = true;
			model->seen = units_now();
		} else {
			model->is_known = false;
		}
	}
}

static void model_pass_time(void)
{
	static const __u32 seconds[] = {1, 1, 2, 3, 10, 15, 40, 130, 1900};

	native_jiffies += (__u64)seconds[random_below(9)] * WORLD_HZ + random_below(WORLD_HZ);
	if (random_below(4))
		models_sweep();
}

static void models_check(void)
{
	struct flow flow;
	__u32 counted = 0;

	for (size_t i = 0; i < MODEL_FLOWS; i++) {
		if (models[i].is_known && model_find(&models[i], FLOW_FORWARD, &flow)) {
			counted += models[i].is_proven && !models[i].is_closed;
			assert_true(model_find(&models[i], FLOW_REPLY, &flow));
		}
	}
	for (__u32 id = 0; id < WORLD_BACKENDS; id++)
		counted -= native_values(&gauges)[id].active;
	assert_int_equal(counted, 0);
	check_books();
}

static void models_open(__u32 spilled)
{
	flows_open(4, 4, spilled);
	random_state = 7;
	for (__u32 i = 0; i < MODEL_FLOWS; i++)
		models[i] = (struct model){
			.target = &targets[i % FLOWS_TARGETS],
			.client = i / FLOWS_TARGETS / MODEL_PORTS,
			.port = 40000 + i / FLOWS_TARGETS % MODEL_PORTS,
		};
}

static void run_model(__u32 spilled)
{
	__u64 begin;

	models_open(spilled);
	begin = units_now();
	for (int i = 0; i < MODEL_OPERATIONS; i++) {
		struct model *model = &models[random_below(MODEL_FLOWS)];
		struct flow flow;

		native_cpu = random_below(NATIVE_CPUS);
		switch (random_below(60)) {
		case 0:
			model_pass_time();
			break;
		case 1:
			if (model_find(model, random_below(2) ? FLOW_FORWARD : FLOW_REPLY, &flow))
				flow_remove(&flow);
			model->is_known = false;
			break;
		default:
			if (random_below(2))
				model_client(model);
			else
				model_backend(model);
		}
		if (i % 64 == 0)
			models_check();
	}
	models_check();
	/* it has seen all that it should: ages have come around, and every way to make room */
	assert_true(units_now() - begin > 8192);
	assert_true(world_internal(WEIR_INTERNAL_FLOW_EVICTED) > 1000);
	assert_true(world_internal(WEIR_INTERNAL_FLOW_SWEPT) > 1000);
	assert_true(world_internal(WEIR_INTERNAL_FLOW_SPILLED) > 20);
	world_close();
}

static void test_model(void **state)
{
	run_model(64);
}

static void test_model_small_spill(void **state)
{
	run_model(3);
}

/* --- who makes room ------------------------------------------------------------------------- */

/* A table of one pair of buckets, all entries of which the test writes. */
static void open_pair(void)
{
	flows_open(2, 2, 4);
}

/* A client whose two buckets are 0 and 1, in this order; one in a row as `n` grows. */
static struct packet client_of_pair(__u32 n)
{
	for (__u32 client = 0;; client++) {
		struct packet packet = packet_to(tcp4, client, 1000);
		struct flow_key key = key_of(tcp4, &packet);

		if (key.bucket[0] == 0 && key.bucket[1] == 1 && !n--)
			return packet;
	}
}

static __u64 *what_at(__u32 index)
{
	return &native_values(&flows)[index / WEIR_WAYS].way[index % WEIR_WAYS].what;
}

/* A stranger's entry that was last seen `seconds` ago. */
static void put(__u32 index, __u64 flags, __u32 seconds)
{
	__u64 age = (flow_now() - seconds * WORLD_HZ / UNIT) & WEIR_AGE_MASK;

	native_values(&flows)[index / WEIR_WAYS].way[index % WEIR_WAYS].who =
		0x1234567890ull + index;
	*what_at(index) = tcp4->frontend | flags | age << WEIR_WHAT_AGE_SHIFT;
	if (flags & WEIR_FLOW_COUNTED) {
		native_values(&gauges)[0].active++;
		native_values(&counters)[0].opened++;
	}
}

#define LIVE   WEIR_FLOW_LIVE
#define PROVEN (WEIR_FLOW_LIVE | WEIR_FLOW_ANSWERED | WEIR_FLOW_PROVEN | WEIR_FLOW_COUNTED)
#define CLOSED (WEIR_FLOW_CLOSED | WEIR_FLOW_ANSWERED | WEIR_FLOW_PROVEN)

/* Where a new flow lands. */
static __u32 land(__u32 n)
{
	struct packet packet = client_of_pair(n);
	struct flow flow;

	assert_int_equal(flows_add(tcp4, &packet, 1, 0), 1);
	assert_true(flows_find(&flow, tcp4, &packet, FLOW_FORWARD));
	check_books();
	return flow.index;
}

/* In this order each row makes room before those after it, and the older before the younger. */
static void test_victims(void **state)
{
	static const struct {
		__u64 flags;
		__u32 seconds;
	} rows[] = {
		{WEIR_FLOW_FREE, 0}, {CLOSED, 90}, {CLOSED, 20},   {LIVE, 9000},
		{LIVE, 8},           {LIVE, 2},    {PROVEN, 8100}, {PROVEN | FLOW_BOTH_FINS, 60},
	};
	static const __u32 places[] = {5, 7, 2, 6, 3, 0, 1, 4};

	open_pair();
	for (int i = 0; i < 8; i++)
		put(places[i], rows[i].flags, rows[i].seconds);
	for (int i = 0; i < 8; i++) {
		assert_int_equal(land(i), places[i]);
		/* now it is somebody's whom nobody may evict */
		put(places[i], PROVEN, 0);
	}
	assert_int_equal(world_internal(WEIR_INTERNAL_FLOW_EVICTED), 7);
	assert_int_equal(land(8), FLOW_SPILLED);
	world_close();
}

/* Neither the time-out's last second nor any flag of a proven flow lets it make room. */
static void test_never_proven(void **state)
{
	static const struct {
		__u64 flags;
		__u32 seconds;
	} rows[] = {
		{PROVEN, 0},
		{PROVEN, 7999},
		{PROVEN | FLOW_BOTH_FINS, 9},
		{PROVEN | WEIR_FLOW_RESET, 9},
		{PROVEN | WEIR_FLOW_FIN_CLIENT, 7999},
		{PROVEN | WEIR_FLOW_PICKED_UP, 5000},
		{WEIR_FLOW_CLAIMING, 0},
		{PROVEN | WEIR_FLOW_FROM_NODE, 100},
	};
	__u64 before[8];

	open_pair();
	for (int i = 0; i < 8; i++) {
		put(i, rows[i].flags, rows[i].seconds);
		before[i] = *what_at(i);
	}
	for (__u32 n = 0; n < 5; n++) {
		struct packet packet = client_of_pair(n);

		assert_int_equal(flows_add(tcp4, &packet, 1, 0), n < 4 ? 1 : FLOW_UNTRACKED);
	}
	assert_int_equal(flows_spilled(), 4);
	for (int i = 0; i < 8; i++)
		assert_true(*what_at(i) == before[i]);
	world_close();
}

/* Of free places, one in the emptier bucket; of equal buckets, the first. */
static void test_emptier(void **state)
{
	open_pair();
	assert_int_equal(land(0), 0);
	assert_int_equal(land(1), 4);
	assert_int_equal(land(2), 1);
	put(2, PROVEN, 0);
	assert_int_equal(land(3), 5);
	assert_int_equal(land(4), 6);
	world_close();
}

/*
 * Another CPU may stamp a flow with a unit that began after this one looked at the clock: that
 * flow was seen just now, and is not 8191 units old.
 */
static void test_clock_between(void **state)
{
	struct sweep sweep;
	__u64 before;

	open_pair();
	sweep = (struct sweep){.now = flow_now()};
	native_jiffies += UNIT;
	for (__u32 i = 0; i < 2 * WEIR_WAYS; i++)
		put(i, i % 2 ? PROVEN : LIVE, 0);
	before = *what_at(1);
	sweep_bucket(0, &sweep);
	sweep_bucket(1, &sweep);
	assert_true(*what_at(1) == before);
	assert_true(flow_is_taken(*what_at(0)));
	assert_int_equal(flow_worth(0, *what_at(1), sweep.now), WEIR_NONE);
	assert_true(flow_worth(0, *what_at(0), sweep.now) >=
		    flow_worth(0, *what_at(0), flow_now()));
	check_books();
	world_close();
}

/* --- time ----------------------------------------------------------------------------------- */

struct span {
	const struct target *target;
	__u64 flags;
	__u32 seconds;
};

/* Not a jiffy too early whatever the clock stood at, and at most two units too late. */
static void check_span(const struct span *span, __u64 start)
{
	struct packet packet = packet_to(span->target, 1, 1000);
	__u64 limit = (__u64)span->seconds * WORLD_HZ;
	struct flow flow;

	flows_open(4, 4, 1);
	native_jiffies = start;
	assert_int_equal(flows_add(span->target, &packet, target_backend(span->target, 0), 0),
			 target_backend(span->target, 0));
	assert_true(flows_find(&flow, span->target, &packet, FLOW_FORWARD));
	assert_true(flow_change(flow.what, flow.seen, (flow.seen & ~FLOW_FLAGS) | span->flags));
	native_jiffies = start + limit;
	world_sweep();
	assert_true(flows_find(&flow, span->target, &packet, FLOW_FORWARD));
	assert_int_equal(flow.seen & FLOW_FLAGS, span->flags);
	native_jiffies = start + limit + 2 * UNIT;
	world_sweep();
	assert_false(flows_find(&flow, span->target, &packet, FLOW_FORWARD) &&
		     (flow.seen & FLOW_FLAGS) == span->flags);
	check_books();
	world_close();
}

static void test_timeouts(void **state)
{
	const struct span spans[] = {
		{tcp4, PROVEN, 8000},
		{tcp4, PROVEN | WEIR_FLOW_FIN_CLIENT, 8000},
		{tcp4, PROVEN | FLOW_BOTH_FINS, 10},
		{tcp4, PROVEN | WEIR_FLOW_RESET, 10},
		{tcp4, LIVE | WEIR_FLOW_RESET, 10},
		{tcp4, CLOSED | FLOW_BOTH_FINS, 120},
		{tcp4, LIVE, 10},
		{tcp4, LIVE | WEIR_FLOW_ANSWERED, 10},
		{tcp4, LIVE | WEIR_FLOW_PICKED_UP, 10},
		{tcp6, PROVEN, 8000},
		{tcp6, LIVE, 10},
		{any4, PROVEN, 8000},
		{udp4, PROVEN, 60},
		{udp4, LIVE, 30},
		{&targets[6], PROVEN, 60},
		{&targets[6], LIVE, 30},
	};
	__u64 phase = 11;

	for (size_t i = 0; i < sizeof(spans) / sizeof(spans[0]); i++) {
		check_span(&spans[i], 1ull << 32);
		check_span(&spans[i], (1ull << 32) + UNIT - 1);
		/* around the end of the 13 bits */
		check_span(&spans[i], UNIT * 8192 - 1);
		for (int n = 0; n < 20; n++)
			check_span(&spans[i], world_random(&phase) >> 20);
	}
}

/* What the sweep makes of each: a proven one that closes is closed first, all others are freed. */
static void test_sweep_states(void **state)
{
	open_pair();
	put(0, PROVEN | FLOW_BOTH_FINS, 60);
	put(1, PROVEN | WEIR_FLOW_RESET, 60);
	put(2, PROVEN, 9000);
	put(3, LIVE | WEIR_FLOW_RESET, 60);
	put(4, CLOSED | FLOW_BOTH_FINS, 130);
	put(5, WEIR_FLOW_CLAIMING, 9000);
	world_sweep();
	assert_int_equal(*what_at(0) & FLOW_FLAGS, CLOSED | FLOW_BOTH_FINS);
	assert_int_equal(*what_at(0) >> WEIR_WHAT_AGE_SHIFT, flow_now());
	assert_int_equal(*what_at(1) & FLOW_FLAGS, CLOSED | WEIR_FLOW_RESET);
	assert_int_equal(*what_at(2) & FLOW_FLAGS, 0);
	assert_int_equal(*what_at(3) & FLOW_FLAGS, 0);
	assert_int_equal(*what_at(4) & FLOW_FLAGS, 0);
	assert_int_equal(*what_at(5) & FLOW_FLAGS, WEIR_FLOW_CLAIMING);
	assert_int_equal(native_values(&gauges)[0].active, 0);
	assert_int_equal(world_counters(0).closed, 3);
	assert_int_equal(world_internal(WEIR_INTERNAL_FLOW_SWEPT), 3);
	world_close();
}

/* The timers: every bucket of both tables and the spill map within two intervals, again and again. */
static void test_timers(void **state)
{
	struct flows_count count;

	flows_open(2 * SWEEP_SHARDS, SWEEP_SHARDS, 4);
	assert_int_equal(sweep_start_all(), 0);
	for (int round = 0; round < 3; round++) {
		for (__u32 client = 0; client < 300; client++) {
			struct packet to4 = packet_to(tcp4, client, 1000);
			struct packet to6 = packet_to(tcp6, client, 1000);

			assert_true(flows_add(tcp4, &to4, 0, 0) >= 0);
			if (client < 150)
				assert_true(flows_add(tcp6, &to6, 48, 0) >= 0);
		}
		assert_null(flows_audit(&count));
		assert_true(count.taken >= 350);
		native_timers_run(native_ns + 2 * SWEEP_INTERVAL_NS);
		assert_null(flows_audit(&count));
		assert_true(count.taken >= 350);
		native_jiffies += 15 * WORLD_HZ;
		native_timers_run(native_ns + SWEEP_INTERVAL_NS);
		assert_null(flows_audit(&count));
		assert_int_equal(count.taken, 0);
	}
	/* started again, as when the programs are replaced, they still run once in an interval */
	assert_int_equal(sweep_start_all(), 0);
	for (int i = 0; i < SWEEP_SHARDS; i++)
		assert_in_range(native_timers[i].due, native_ns + 1, native_ns + SWEEP_INTERVAL_NS);
	world_close();
}

/* --- tuples --------------------------------------------------------------------------------- */

/* One client end, two VIPs, one backend: seen unless the older flow is over, which it ends. */
static void test_clash(void **state)
{
	const struct target *twin = &targets[1];
	struct packet first = packet_to(tcp4, 1, 1000), second = packet_to(twin, 1, 1000);
	struct flow_key key;
	struct flow flow;

	flows_open(4, 4, 1);
	key = key_of(twin, &second);
	assert_false(flow_clashes(&key, false, twin->frontend, 1, second.destination_port));
	flows_add(tcp4, &first, 1, 0);
	assert_true(flow_clashes(&key, false, twin->frontend, 1, second.destination_port));
	assert_false(flow_clashes(&key, false, twin->frontend, 2, second.destination_port));
	assert_false(flow_clashes(&key, false, tcp4->frontend, 1, first.destination_port));
	second.source_port++;
	key = key_of(twin, &second);
	assert_false(flow_clashes(&key, false, twin->frontend, 1, second.destination_port));
	second.source_port--;
	key = key_of(twin, &second);

	assert_true(flows_find(&flow, tcp4, &first, FLOW_FORWARD));
	flow_change(flow.what, flow.seen, flow.seen | FLOW_BOTH_FINS);
	assert_false(flow_clashes(&key, false, twin->frontend, 1, second.destination_port));
	assert_false(flows_find(&flow, tcp4, &first, FLOW_FORWARD));
	world_close();
}

/* At an any-port frontend two ports of one client end are two flows, and the replies know which. */
static void test_any_port(void **state)
{
	const struct target *other = &targets[4];
	struct packet to_one = packet_to(any4, 1, 1000), to_other = packet_to(other, 1, 1000);
	__u32 backend = target_backend(any4, 2);
	struct packet from_one, from_other;
	struct flow one, two;

	flows_open(4, 4, 1);
	flows_add(any4, &to_one, backend, 0);
	from_one = packet_from(any4, backend, 1, 1000);
	from_other = packet_from(other, backend, 1, 1000);
	assert_true(flows_find(&one, any4, &to_one, FLOW_FORWARD));
	assert_false(flows_find(&two, other, &to_other, FLOW_FORWARD));
	assert_true(flows_find(&one, any4, &from_one, FLOW_REPLY));
	assert_false(flows_find(&two, other, &from_other, FLOW_REPLY));
	flows_add(other, &to_other, backend, 0);
	assert_true(flows_find(&one, any4, &from_one, FLOW_REPLY));
	assert_true(flows_find(&two, other, &from_other, FLOW_REPLY));
	assert_true(one.index != two.index);
	assert_int_equal((__be16)*two.who, to_other.destination_port);
	world_close();
}

/* A backend id that stands for somebody else by now belongs to no flow. */
static void test_generation(void **state)
{
	struct packet to = packet_to(tcp4, 1, 1000), from;
	struct weir_backend *backend;
	struct flow flow;

	flows_open(4, 4, 1);
	from = packet_from(tcp4, 1, 1, 1000);
	backend = &native_values(&backends)[1];
	flows_add(tcp4, &to, 1, 0);
	assert_true(flows_find(&flow, tcp4, &from, FLOW_REPLY));
	backend->generation++;
	assert_false(flows_find(&flow, tcp4, &from, FLOW_REPLY));
	assert_true(flows_find(&flow, tcp4, &to, FLOW_FORWARD)); /* the caller judges it */
	assert_false(backend_is_there(flow.backend, 0, flow_generation(*flow.who)));
	backend->generation--;
	backend->reasons = WEIR_REASON_GONE;
	assert_false(flows_find(&flow, tcp4, &from, FLOW_REPLY));
	backend->reasons = WEIR_REASON_DRAINED;
	assert_true(flows_find(&flow, tcp4, &from, FLOW_REPLY));
	backend->gone_at = native_ns + 5;
	assert_true(flows_find(&flow, tcp4, &from, FLOW_REPLY));
	native_ns += 5;
	assert_false(flows_find(&flow, tcp4, &from, FLOW_REPLY));
	world_close();
}

/* A flow added while another entry of it is there: the lower index stays, one backend is told. */
static void test_twin(void **state)
{
	struct flows_count count;
	struct packet packet;

	open_pair();
	packet = client_of_pair(0);
	assert_int_equal(land(0), 0);
	assert_int_equal(flows_add(tcp4, &packet, 2, 0), 1);
	assert_null(flows_audit(&count));
	assert_int_equal(count.taken, 1);
	assert_int_equal(world_internal(WEIR_INTERNAL_FLOW_RACED), 1);

	*what_at(6) = *what_at(0);
	native_values(&flows)[1].way[2].who = native_values(&flows)[0].way[0].who;
	*what_at(0) = 0;
	put(4, LIVE, 0);
	put(5, LIVE, 0);
	assert_int_equal(flows_add(tcp4, &packet, 2, 0), 2); /* lands at 0, and sees 6 */
	assert_false(flow_is_taken(*what_at(6)));
	assert_true(flow_is_taken(*what_at(0)));
	world_close();
}

/* `spill` holds one flow of a client end: the one that is there, or another when it is removed. */
static void test_spill_again(void **state)
{
	struct packet packet;
	struct flow flow;

	open_pair();
	packet = client_of_pair(0);
	for (__u32 i = 0; i < 2 * WEIR_WAYS; i++)
		put(i, PROVEN, 100);
	assert_int_equal(flows_add(tcp4, &packet, 1, 0), 1);
	assert_int_equal(flows_add(tcp4, &packet, 2, 0), 1); /* another CPU was faster */
	assert_int_equal(flows_add(&targets[1], &packet, 2, 0), FLOW_UNTRACKED);
	assert_true(flows_find(&flow, tcp4, &packet, FLOW_FORWARD));
	flow_change(flow.what, flow.seen, track_prove(flow.seen));
	check_books();

	assert_true(flows_find(&flow, tcp4, &packet, FLOW_FORWARD));
	flow_remove(&flow);
	assert_false(flows_find(&flow, tcp4, &packet, FLOW_FORWARD));
	packet.sequence = 77;
	assert_int_equal(flows_add(tcp4, &packet, 2, 0), 2);
	assert_true(flows_find(&flow, tcp4, &packet, FLOW_FORWARD));
	assert_int_equal(flow.index, FLOW_SPILLED);
	assert_int_equal(flow_backend(flow.seen), 2);
	assert_int_equal(flow_generation(*flow.who), flow.backend->generation);
	assert_int_equal(flow_detail(&flow)->client_isn, 77);
	assert_int_equal(flows_spilled(), 1);
	check_books();
	native_jiffies += 20 * WORLD_HZ;
	world_sweep();
	assert_int_equal(flows_spilled(), 0);
	check_books();
	world_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model),    cmocka_unit_test(test_model_small_spill),
		cmocka_unit_test(test_victims),  cmocka_unit_test(test_never_proven),
		cmocka_unit_test(test_emptier),  cmocka_unit_test(test_clock_between),
		cmocka_unit_test(test_timeouts), cmocka_unit_test(test_sweep_states),
		cmocka_unit_test(test_timers),   cmocka_unit_test(test_clash),
		cmocka_unit_test(test_any_port), cmocka_unit_test(test_generation),
		cmocka_unit_test(test_twin),     cmocka_unit_test(test_spill_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
