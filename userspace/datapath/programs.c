/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* programs.c - pins and runs the programs; see programs.h. */
#include "datapath/programs.h"

#include "base/err.h"
#include "bpf/abi.h"
#include "kernel-headers/weir_kernel.h"
#include "tc.skel.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SWEEP_TRIES    200
#define SWEEP_PAUSE_NS 5000000

int programs_print(enum libbpf_print_level level, const char *format, va_list args)
{
	return getenv("WEIR_DEBUG") ? vfprintf(stderr, format, args) : 0;
}

bool programs_map_has_size(int fd, size_t value_size)
{
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);

	return !bpf_obj_get_info_by_fd(fd, &info, &len) && info.value_size == value_size;
}

/* The new pin takes the old one's name by rename(2), so there is never a moment without. */
static int pin_program(const struct bpf_program *program, const char *directory, const char *name,
		       struct err *err)
{
	char path[320], aside[336];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	snprintf(aside, sizeof(aside), "%s_new", path);
	unlink(aside);
	if (bpf_obj_pin(bpf_program__fd(program), aside) || rename(aside, path))
		return err_set(err, -errno, "%s: cannot pin: %s", path, strerror(errno));
	return 0;
}

int programs_pin(struct tc_bpf *tc, const char *directory, struct err *err)
{
	const struct {
		const struct bpf_program *program;
		const char *name;
	} rows[] = {
		{tc->progs.tc_ingress, PROGRAM_INGRESS},
		{tc->progs.tc_egress, PROGRAM_EGRESS},
		{tc->progs.read_clock, PROGRAM_CLOCK},
		{tc->progs.sweep_now, PROGRAM_SWEEP},
	};
	int rc = 0;

	for (size_t i = 0; !rc && i < sizeof(rows) / sizeof(rows[0]); i++)
		rc = pin_program(rows[i].program, directory, rows[i].name, err);
	return rc;
}

int programs_run(int fd)
{
	char packet[64] = {};
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = packet, .data_size_in = sizeof(packet),
		    .repeat = 1);

	if (bpf_prog_test_run_opts(fd, &run))
		return -errno;
	return (int)run.retval;
}

/*
 * The kernel allocates timers without waiting and may be out of the memory for that for a moment
 * (44 of 64 were refused once, right after a large unload). Timers that run only get the callback.
 */
int programs_start_sweep(struct tc_bpf *tc, struct err *err)
{
	const struct timespec pause = {.tv_nsec = SWEEP_PAUSE_NS};
	int rc = programs_run(bpf_program__fd(tc->progs.sweep_start));

	for (int i = 0; rc > 0 && i < SWEEP_TRIES; i++) {
		nanosleep(&pause, NULL);
		rc = programs_run(bpf_program__fd(tc->progs.sweep_start));
	}
	if (rc)
		return err_set(err, rc < 0 ? rc : -ENOMEM,
			       "the sweep of flows does not start: %d timers refused", rc);
	return 0;
}

/* bpf_l4_csum_replace(skb, 36, 0, 0, BPF_F_PSEUDO_HDR | BPF_F_IPV6), whose answer it returns. */
bool programs_know_csum_ipv6(void)
{
	const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2, .imm = 36},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_3, .imm = 0},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_4, .imm = 0},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K,
		 .dst_reg = BPF_REG_5,
		 .imm = BPF_F_PSEUDO_HDR | WEIR_CSUM_IPV6},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_l4_csum_replace},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "csum_probe", "Dual BSD/GPL", insns,
			       sizeof(insns) / sizeof(insns[0]), NULL);
	bool is_known;

	if (fd < 0)
		return false;
	is_known = programs_run(fd) == 0;
	close(fd);
	return is_known;
}

bool programs_know_kern_ctx(void)
{
	struct btf *btf = btf__load_vmlinux_btf();
	bool is_known =
		btf && btf__find_by_name_kind(btf, "bpf_cast_to_kern_ctx", BTF_KIND_FUNC) > 0;

	btf__free(btf);
	return is_known;
}
