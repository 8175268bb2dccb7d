/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* tc.bpf.c - the programs for TC, and the two that user space runs once. Thin: see balance.h. */
#include "skb.h"
#include "balance.h"
#include "sweep.h"

/* Passed packets go on to the next program of the hook (TCX_NEXT; clsact: next filter). */
static __always_inline int tc_action(struct packet *packet, int hook, enum weir_outcome outcome)
{
	switch (outcome_finish(hook, outcome)) {
	case OUTCOME_SENT:
		return packet->action;
	case OUTCOME_DROP:
		return TC_ACT_SHOT;
	default:
		return TC_ACT_UNSPEC;
	}
}

SEC("tc")
int tc_ingress(struct __sk_buff *skb)
{
	struct packet packet = {};

	return tc_action(&packet, WEIR_HOOK_INGRESS, balance_ingress(skb, &packet));
}

SEC("tc")
int tc_egress(struct __sk_buff *skb)
{
	struct packet packet = {};

	return tc_action(&packet, WEIR_HOOK_EGRESS, balance_egress(skb, &packet));
}

/* Run once at load: returns how many timers would not start. */
SEC("tc")
int sweep_start(struct __sk_buff *skb)
{
	return sweep_start_all();
}

/* Run by user space: sweep everything now. Returns 0. */
SEC("tc")
int sweep_now(struct __sk_buff *skb)
{
	sweep_all();
	return 0;
}

/* Run by user space: what time is it in jiffies? */
SEC("syscall")
int read_clock(__u64 *ret_jiffies)
{
	*ret_jiffies = bpf_jiffies64();
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
