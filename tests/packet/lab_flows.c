/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* lab_flows.c - the flow tables as rows see and change them; see lab.h. */
#include "lab.h"

#include "datapath/stats.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <netinet/in.h>
#include <string.h>

static bool is_taken(__u64 what)
{
	return (what & WEIR_FLOW_STATE) == WEIR_FLOW_LIVE ||
	       (what & WEIR_FLOW_STATE) == WEIR_FLOW_CLOSED;
}

/* What is looked for: the client's end as `who` says it, in one of the tables. */
struct wanted {
	bool is_wide;
	__u64 who; /* without generation */
	struct weir_address client, vip;
	__be16 port; /* of the frontend */
};

static bool is_wanted(struct lab *lab, const struct wanted *wanted, __u64 who, __u64 what,
		      const struct weir_address *client)
{
	const struct weir_frontend *frontend =
		&maps_frontends(lab->maps)[what & WEIR_WHAT_FRONTEND_MASK];

	return is_taken(what) && (who & WEIR_WHO_CLIENT_MASK) == wanted->who &&
	       (!client || !memcmp(client, &wanted->client, sizeof(*client))) &&
	       !memcmp(&frontend->vip, &wanted->vip, sizeof(frontend->vip)) &&
	       frontend->port == wanted->port;
}

static bool find_spilled(struct lab *lab, const struct wanted *wanted, struct lab_flow *ret_flow)
{
	struct weir_spill_key key = {.who = wanted->who & ~0xffffffffull};
	struct weir_spill spilled;

	if (wanted->is_wide)
		key.client = wanted->client;
	else
		key.client.word[3] = (__u32)wanted->who;
	if (bpf_map_lookup_elem(lab->maps->fds[MAP_spill], &key, &spilled) ||
	    !is_wanted(lab, wanted, spilled.who, spilled.what, NULL))
		return false;
	*ret_flow = (struct lab_flow){
		.who = spilled.who,
		.what = spilled.what,
		.detail = spilled.detail,
		.spill_key = key,
	};
	return true;
}

static bool find_narrow(struct lab *lab, const struct wanted *wanted, struct lab_flow *ret_flow)
{
	struct weir_bucket *buckets = maps_array(lab->maps, MAP_flows);
	const struct weir_flow_detail *details = maps_array(lab->maps, MAP_flow_details);

	for (__u32 i = 0; i < lab->maps->settings->flow_buckets * WEIR_WAYS; i++) {
		struct weir_flow *flow = &buckets[i / WEIR_WAYS].way[i % WEIR_WAYS];

		if (!is_wanted(lab, wanted, flow->who, flow->what, NULL))
			continue;
		*ret_flow = (struct lab_flow){flow->who, flow->what, details[i], &flow->what, {}};
		return true;
	}
	return false;
}

static bool find_wide(struct lab *lab, const struct wanted *wanted, struct lab_flow *ret_flow)
{
	struct weir_bucket_wide *buckets = maps_array(lab->maps, MAP_flows_wide);
	const struct weir_flow_detail *details = maps_array(lab->maps, MAP_flow_details_wide);

	for (__u32 i = 0; i < lab->maps->settings->flow_wide_buckets * WEIR_WAYS; i++) {
		struct weir_flow_wide *flow = &buckets[i / WEIR_WAYS].way[i % WEIR_WAYS];

		if (!is_wanted(lab, wanted, flow->who, flow->what, &flow->client))
			continue;
		*ret_flow = (struct lab_flow){flow->who, flow->what, details[i], &flow->what, {}};
		return true;
	}
	return false;
}

bool lab_find_flow(struct lab *lab, const struct variant *variant, const struct addr *client,
		   uint16_t client_port, enum lab_vip vip, uint16_t asked,
		   struct lab_flow *ret_flow)
{
	bool is_any = vip == VIP_ANY || vip == VIP_ANY_TWIN;
	struct wanted wanted = {.is_wide = variant->is_v6 || is_any};
	struct addr addr = lab_vip(variant, vip);
	__be32 v4;

	memcpy(&wanted.client, client, sizeof(wanted.client));
	memcpy(&wanted.vip, &addr, sizeof(wanted.vip));
	memcpy(&v4, client->bytes + 12, sizeof(v4));
	wanted.port = is_any ? 0 : htons(asked);
	wanted.who = (__u64)htons(client_port) << WEIR_WHO_PORT_SHIFT |
		     (variant->protocol == IPPROTO_UDP ? WEIR_WHO_UDP : 0) |
		     (wanted.is_wide ? htons(asked) : v4);
	return (wanted.is_wide ? find_wide(lab, &wanted, ret_flow)
			       : find_narrow(lab, &wanted, ret_flow)) ||
	       find_spilled(lab, &wanted, ret_flow);
}

int lab_write_flow(struct lab *lab, const struct lab_flow *flow)
{
	struct weir_spill spilled = {.who = flow->who, .what = flow->what, .detail = flow->detail};

	if (flow->place) {
		*flow->place = flow->what;
		return 0;
	}
	return bpf_map_update_elem(lab->maps->fds[MAP_spill], &flow->spill_key, &spilled,
				   BPF_EXIST);
}

unsigned int lab_count_flows(struct lab *lab)
{
	const struct weir_bucket *narrow = maps_array(lab->maps, MAP_flows);
	const struct weir_bucket_wide *wide = maps_array(lab->maps, MAP_flows_wide);
	unsigned int count = lab->maps->settings->spilled;

	for (__u32 i = 0; i < lab->maps->settings->flow_buckets * WEIR_WAYS; i++)
		count += is_taken(narrow[i / WEIR_WAYS].way[i % WEIR_WAYS].what);
	for (__u32 i = 0; i < lab->maps->settings->flow_wide_buckets * WEIR_WAYS; i++)
		count += is_taken(wide[i / WEIR_WAYS].way[i % WEIR_WAYS].what);
	return count;
}

/* Clients of 240.0.0.0/8, a network that no row uses. */
void lab_fill_table(struct lab *lab, bool is_wide, __u64 bits)
{
	struct weir_bucket *narrow = maps_array(lab->maps, MAP_flows);
	struct weir_bucket_wide *wide = maps_array(lab->maps, MAP_flows_wide);
	__u64 what = lab_aged(lab, bits, 0);

	for (__u32 i = 0; i < lab->maps->settings->flow_buckets * WEIR_WAYS; i++) {
		struct weir_flow *flow = &narrow[i / WEIR_WAYS].way[i % WEIR_WAYS];
		struct weir_flow_wide *other = &wide[i / WEIR_WAYS].way[i % WEIR_WAYS];

		if (!is_wide && !is_taken(flow->what))
			*flow = (struct weir_flow){htonl(240u << 24 | i), what};
		if (is_wide && !is_taken(other->what))
			*other = (struct weir_flow_wide){
				htons(LAB_PORT), what, {{0, 0, 0, htonl(240u << 24 | i)}}};
	}
}

void lab_age_all(struct lab *lab, unsigned int seconds)
{
	struct weir_bucket *narrow = maps_array(lab->maps, MAP_flows);
	struct weir_bucket_wide *wide = maps_array(lab->maps, MAP_flows_wide);

	for (__u32 i = 0; i < lab->maps->settings->flow_buckets * WEIR_WAYS; i++) {
		__u64 *what = &narrow[i / WEIR_WAYS].way[i % WEIR_WAYS].what;

		*what = lab_aged(lab, *what, seconds);
		what = &wide[i / WEIR_WAYS].way[i % WEIR_WAYS].what;
		*what = lab_aged(lab, *what, seconds);
	}
}

__u64 lab_aged(struct lab *lab, __u64 what, unsigned int seconds)
{
	const struct weir_settings *settings = lab->maps->settings;
	__u64 now = 0, age;

	stats_jiffies(lab->maps, &now);
	age = (now - (__u64)seconds * settings->jiffies_per_second) >> settings->age_shift;
	return (what & ((1ull << WEIR_WHAT_AGE_SHIFT) - 1)) | (age & WEIR_AGE_MASK)
								      << WEIR_WHAT_AGE_SHIFT;
}
