/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* rows_change.c - flows while the operator changes services: drained, removed, gone, used again. */
#include "rows.h"

#include "base/err.h"
#include "datapath/apply.h"

#include <netinet/in.h>
#include <string.h>

static bool is_tcp(const struct talk *talk)
{
	return talk->variant->protocol == IPPROTO_TCP;
}

/* A command about the talk's backend. */
static void operate(const struct talk *talk, enum change_kind kind, bool is_now)
{
	struct backend backend = {
		.addr = talk->backend_addr, .port = LAB_BACKEND_PORT, .weight = 1};
	struct err err = {};

	if (lab_operate(talk->lab, kind, is_now, talk->variant, talk->vip, &backend, &err))
		check_fail("the operator's command failed: %s", err.text);
}

/* New flows, and none of them goes to `host`. */
static void check_avoided(const struct talk *talk, const struct addr *host)
{
	struct talk late = *talk;

	late.client_port = 30000;
	for (int i = 0; i < 20; i++, late.client_port++) {
		talk_open(&late);
		check_that(!addr_equal(&late.backend_addr, host), "a new flow for the old backend");
	}
}

static void run_drained(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);

	talk_establish(&talk);
	operate(&talk, CHANGE_BACKEND_DRAIN, false);
	check_avoided(&talk, &talk.backend_addr);
	talk_send(&talk, FLAG_ACK, 10);
	talk_return(&talk, FLAG_ACK, 10);
}

/* A SYN that is sent again belongs to the flow that it began. */
static void run_drained_syn(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);

	talk_open(&talk);
	operate(&talk, CHANGE_BACKEND_DRAIN, false);
	talk_send(&talk, FLAG_SYN, 0);
	talk_answer(&talk);
}

static void run_undrained(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_WEB), late;

	talk_open(&talk);
	talk_forget(&talk);
	operate(&talk, CHANGE_BACKEND_DRAIN, false);
	operate(&talk, CHANGE_BACKEND_UNDRAIN, false);
	late = talk;
	talk_open(&late);
	check_that(late.backend == talk.backend, "the choice is another than before");
}

static void run_removed(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);

	talk_establish(&talk);
	operate(&talk, CHANGE_BACKEND_REMOVE, false);
	check_avoided(&talk, &talk.backend_addr);
	talk_send(&talk, FLAG_ACK, 10);
	talk_return(&talk, FLAG_ACK, 10);
}

static void run_returned(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);

	talk_establish(&talk);
	operate(&talk, CHANGE_BACKEND_REMOVE, false);
	operate(&talk, CHANGE_BACKEND_ADD, false);
	talk_send(&talk, FLAG_ACK, 10);
	talk_return(&talk, FLAG_ACK, 10);
}

/* How a backend goes. */
enum leaving {
	BY_NOW, /* removed without a drain */
	BY_TIME, /* removed, and its time is over */
	BY_COLLECT, /* the same, and its id was collected */
	BY_REUSE, /* its id serves another */
	BY_SERVICE, /* its id serves another service */
};

static void make_gone(const struct talk *talk, enum leaving leaving)
{
	struct weir_backend *backend = &maps_backends(talk->lab->maps)[talk->backend];
	struct err err = {};

	operate(talk, CHANGE_BACKEND_REMOVE, leaving == BY_NOW);
	if (leaving == BY_TIME || leaving == BY_COLLECT)
		backend->gone_at = 1;
	if (leaving == BY_COLLECT && apply_collect(talk->lab->maps, &err))
		check_fail("collect failed: %s", err.text);
	if (leaving == BY_REUSE || leaving == BY_SERVICE) {
		backend->gone_at = 0;
		backend->reasons = 0;
		backend->generation += leaving == BY_REUSE;
		backend->service += leaving == BY_SERVICE;
	}
}

/* The flow ends with its backend's gauge; a packet of it is refused. */
static void check_refused(const struct talk *talk, uint8_t flags, enum weir_outcome outcome,
			  bool was_counted)
{
	struct spec in = talk_forward(talk, flags, 20);
	struct step step = check_make(STEP_INGRESS, LINK_CLIENTS, &in, outcome);

	if (outcome == WEIR_REFUSED_GONE)
		step.out = talk_refusal(&in);
	if (was_counted)
		step.changes[1] = talk_ended(talk).changes[1];
	check_step(talk->lab, &step);
	talk_check_flow(talk, 0);
}

static void run_gone(struct lab *lab, const struct row *row)
{
	const enum leaving *leaving = row->arg;
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);
	struct spec in;
	struct step step;
	__u32 old;

	talk_establish(&talk);
	old = talk.backend;
	make_gone(&talk, *leaving);
	in = talk_reply(&talk, FLAG_ACK, 10);
	step = check_make(STEP_INGRESS, LINK_BACKENDS, &in, WEIR_PASS_NO_FLOW);
	check_step(lab, &step);
	if (is_tcp(&talk)) {
		check_refused(&talk, FLAG_ACK | FLAG_PSH, WEIR_REFUSED_GONE, true);
		return;
	}
	step = talk_ended(&talk);
	in = talk_forward(&talk, 0, 30);
	talk_open_with(&talk, &in, &step);
	check_that(talk.backend != old, "given to the backend that is gone");
}

static void run_gone_reset(struct lab *lab, const struct row *row)
{
	const enum leaving *leaving = row->arg;
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);

	talk_establish(&talk);
	make_gone(&talk, *leaving);
	check_refused(&talk, FLAG_RST, WEIR_DROP_GONE, true);
}

/* The same SYN again, of a flow that was not answered yet. */
static void run_gone_syn(struct lab *lab, const struct row *row)
{
	const enum leaving *leaving = row->arg;
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);
	__u32 old;

	talk_open(&talk);
	old = talk.backend;
	make_gone(&talk, *leaving);
	talk_open(&talk);
	check_that(talk.backend != old, "given to the backend that is gone");
	talk_answer(&talk);
	talk_prove(&talk);
}

/* A new connection on the tuple of a flow whose backend is gone. */
static void run_gone_again(struct lab *lab, const struct row *row)
{
	const enum leaving *leaving = row->arg;
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);
	struct spec in;
	struct step more;

	talk_establish(&talk);
	make_gone(&talk, *leaving);
	more = talk_ended(&talk);
	talk.client_isn += 1000;
	in = talk_forward(&talk, FLAG_SYN, 0);
	talk_open_with(&talk, &in, &more);
}

static const enum leaving by_now = BY_NOW, by_time = BY_TIME, by_collect = BY_COLLECT,
			  by_reuse = BY_REUSE, by_service = BY_SERVICE;

static void operate_service(const struct talk *talk, enum change_kind kind, bool is_now)
{
	struct err err = {};

	if (lab_operate(talk->lab, kind, is_now, talk->variant, talk->vip, NULL, &err))
		check_fail("the operator's command failed: %s", err.text);
}

static void check_not_ours(const struct talk *talk, const struct spec *in, enum weir_outcome want)
{
	struct step step = check_make(STEP_INGRESS, LINK_CLIENTS, in, want);

	check_step(talk->lab, &step);
}

static void run_service_removed(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_SOLO), late = talk;
	struct spec in;

	talk_establish(&talk);
	operate_service(&talk, CHANGE_SERVICE_REMOVE, false);
	talk_send(&talk, FLAG_ACK, 10);
	talk_return(&talk, FLAG_ACK, 10);
	late.client_port++;
	in = talk_forward(&late, FLAG_SYN, 0);
	check_not_ours(&late, &in, WEIR_PASS_NOT_OURS);
}

static void run_service_gone(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_SOLO);
	struct spec in;
	struct step step;

	talk_establish(&talk);
	operate_service(&talk, CHANGE_SERVICE_REMOVE, true);
	in = talk_forward(&talk, FLAG_ACK, 10);
	check_not_ours(&talk, &in, WEIR_PASS_NOT_OURS);
	in = talk_reply(&talk, FLAG_ACK, 10);
	step = check_make(STEP_INGRESS, LINK_BACKENDS, &in, WEIR_PASS_NO_FLOW);
	check_step(lab, &step);
	check_that(!lab_count_flows(lab), "the flow is still there");
}

/* The service has a second VIP: only flows of the one that went end. */
static void run_vip_removed(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_WEB);
	struct talk other = talk_make(lab, row->variant, VIP_WEB_TOO);
	struct err err = {};
	struct spec in;
	struct vip vip = {.addr = lab_vip(row->variant, VIP_WEB), .port = LAB_PORT};
	struct service service = {.protocol = row->variant->protocol};
	struct change change = {.kind = CHANGE_VIP_REMOVE, .service = &service, .vip = &vip};
	struct change_list list = {&change, 1};

	other.client_port++;
	talk_establish(&talk);
	talk_establish(&other);
	lab_service(row->variant, VIP_WEB, service.name);
	if (lab_apply(lab, &list, &err))
		check_fail("the operator's command failed: %s", err.text);
	in = talk_forward(&talk, FLAG_ACK, 10);
	check_not_ours(&talk, &in, WEIR_PASS_NOT_OURS);
	talk_send(&other, FLAG_ACK, 10);
	talk_return(&other, FLAG_ACK, 10);
}

/* One of two ports of an address goes: the address is still ours. */
static void run_port_removed(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_ANY);
	struct talk fixed = talk_make(lab, row->variant, VIP_FIXED);
	struct spec in;
	struct step step;

	talk_establish(&talk);
	talk_establish(&fixed);
	operate_service(&talk, CHANGE_SERVICE_REMOVE, true);
	talk_send(&fixed, FLAG_ACK, 10);
	in = talk_forward(&talk, FLAG_ACK, 10);
	step = check_make(STEP_INGRESS, LINK_CLIENTS, &in,
			  is_tcp(&talk) ? WEIR_REFUSED_PORT : WEIR_DROP_NO_PORT);
	if (is_tcp(&talk))
		step.out = talk_refusal(&in);
	check_step(lab, &step);
}

static void run_path(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_SOLO);
	struct service service = {.protocol = row->variant->protocol, .path = PATH_STACK};
	struct change change = {.kind = CHANGE_SERVICE_SET, .service = &service};
	struct change_list list = {&change, 1};
	struct err err = {};

	talk_establish(&talk);
	lab_service(row->variant, VIP_SOLO, service.name);
	if (lab_apply(lab, &list, &err))
		check_fail("the operator's command failed: %s", err.text);
	talk.is_routed = true;
	talk_send(&talk, FLAG_ACK, 10);
	talk_return(&talk, FLAG_ACK, 10);
	service.path = PATH_FAST;
	if (lab_apply(lab, &list, &err))
		check_fail("the operator's command failed: %s", err.text);
	talk.is_routed = false;
	talk_send(&talk, FLAG_ACK, 10);
	talk_return(&talk, FLAG_ACK, 10);
}

static void run_reload(struct lab *lab, const struct row *row)
{
	struct talk talk = talk_make(lab, row->variant, VIP_WEB), late = talk;
	struct err err = {};

	talk_establish(&talk);
	if (lab_reload(lab, &err))
		check_fail("cannot load again: %s", err.text);
	talk_send(&talk, FLAG_ACK, 10);
	talk_return(&talk, FLAG_ACK, 10);
	late.client_port++;
	talk_establish(&late);
}

/* Old flows stay where they are, new ones also reach the newcomer. */
static void run_added(struct lab *lab, const struct row *row)
{
	struct talk talks[6], late = talk_make(lab, row->variant, VIP_WEB);
	struct talk newcomer = late;
	unsigned int reached = 0;

	for (int i = 0; i < 6; i++) {
		talks[i] = talk_make(lab, row->variant, VIP_WEB);
		talks[i].client_port = (uint16_t)(20000 + i);
		talk_establish(&talks[i]);
	}
	newcomer.backend_addr = lab_host(row->variant, NET_BACKENDS, 19);
	operate(&newcomer, CHANGE_BACKEND_ADD, false);
	for (int i = 0; i < 6; i++)
		talk_send(&talks[i], FLAG_ACK, 10);
	late.client_port = 30000;
	for (int i = 0; i < 40; i++, late.client_port++) {
		talk_open(&late);
		reached += addr_equal(&late.backend_addr, &newcomer.backend_addr);
	}
	check_that(reached >= 3, "the new backend got %u of 40 flows", reached);
}

static const struct row_entry entries[] = {
	{"a first packet over %s to a drained backend goes to another, flows stay", IN_ALL,
	 run_drained, NULL},
	{"a SYN sent again over %s stays with its backend, though that is drained by now", IN_TCP,
	 run_drained_syn, NULL},
	{"a backend over %s that is undrained gets its share back", IN_ALL, run_undrained, NULL},
	{"flows over %s of a removed backend go on while it drains", IN_ALL, run_removed, NULL},
	{"flows over %s of a backend that was removed and added again go on", IN_ALL, run_returned,
	 NULL},
	{"a flow over %s of a backend removed at once ends", IN_ALL, run_gone, &by_now},
	{"a flow over %s of a backend whose drain is over ends", IN_ALL, run_gone, &by_time},
	{"a flow over %s of a backend that was collected ends", IN_ALL, run_gone, &by_collect},
	{"a flow over %s is not inherited by the next backend of the same id", IN_ALL, run_gone,
	 &by_reuse},
	{"a flow over %s is not inherited by another service's backend", IN_ALL, run_gone,
	 &by_service},
	{"a RST over %s to a backend removed at once is dropped", IN_TCP, run_gone_reset, &by_now},
	{"a RST over %s to a backend whose drain is over is dropped", IN_TCP, run_gone_reset,
	 &by_time},
	{"a SYN sent again over %s to a backend removed at once goes to another", IN_TCP,
	 run_gone_syn, &by_now},
	{"a SYN sent again over %s to a backend whose drain is over goes to another", IN_TCP,
	 run_gone_syn, &by_time},
	{"a new SYN over %s on a flow of a backend removed at once goes to another", IN_TCP,
	 run_gone_again, &by_now},
	{"a new SYN over %s on a flow whose backend's id is used again chooses afresh", IN_TCP,
	 run_gone_again, &by_reuse},
	{"flows over %s of a removed service go on while it drains, new ones are not ours", IN_ALL,
	 run_service_removed, NULL},
	{"flows over %s of a service removed at once are nobody's", IN_ALL, run_service_gone, NULL},
	{"flows over %s of a removed VIP are nobody's, those of its service's other VIP go on",
	 IN_ALL, run_vip_removed, NULL},
	{"%s to a removed port of a VIP that has others is refused", IN_ALL, run_port_removed,
	 NULL},
	{"flows over %s follow a change of their service's path", IN_ALL, run_path, NULL},
	{"flows over %s go on when the programs are loaded again", IN_ALL, run_reload, NULL},
	{"a new backend over %s takes new flows only", IN_ALL, run_added, NULL},
	{},
};

void rows_change(void)
{
	rows_add_all(entries);
}
