/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * programs.h - the loaded programs: their pins, what the kernel lets them do, the sweep.
 */
#ifndef WEIR_PROGRAMS_H
#define WEIR_PROGRAMS_H

#include <bpf/libbpf.h>
#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

struct err;
struct tc_bpf; /* the skeleton */

/* Pins in the map directory; each is replaced in one step. */
#define PROGRAM_INGRESS "prog_ingress"
#define PROGRAM_EGRESS  "prog_egress"
#define PROGRAM_CLOCK   "prog_clock" /* SEC("syscall"): stores bpf_jiffies64() in its __u64 */
#define PROGRAM_SWEEP   "prog_sweep" /* sweeps all flows once when run */

int programs_pin(struct tc_bpf *tc, const char *directory, struct err *err);

/* Start the timers of the sweep, or give them this program's callback. */
int programs_start_sweep(struct tc_bpf *tc, struct err *err);

/* Run a pinned TC program once on an empty packet; its return value, or a negative errno. */
int programs_run(int fd);

/* Does this kernel's bpf_l4_csum_replace know BPF_F_IPV6? Asked by running it. */
bool programs_know_csum_ipv6(void);

/* Does this kernel have the kfunc bpf_cast_to_kern_ctx (6.2)? Asked of its BTF. */
bool programs_know_kern_ctx(void);

bool programs_map_has_size(int fd, size_t value_size);

/* For libbpf_set_print: silent, unless WEIR_DEBUG is set. */
int programs_print(enum libbpf_print_level level, const char *format, va_list args);

#endif
