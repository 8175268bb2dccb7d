/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * weir_kernel.h - constants of newer kernels that the packaged linux/bpf.h of some Debian lacks.
 * Values from include/uapi/linux/bpf.h and if_ether.h. Never guessed from a version: whether the
 * running kernel knows them is probed at load.
 */
#ifndef WEIR_KERNEL_H
#define WEIR_KERNEL_H

#define WEIR_TCX_INGRESS 46 /* BPF_TCX_INGRESS, 6.6 */
#define WEIR_TCX_EGRESS  47 /* BPF_TCX_EGRESS, 6.6 */
#define WEIR_CSUM_IPV6   (1ull << 7) /* BPF_F_IPV6 of bpf_l4_csum_replace, 6.16 and stable */

#endif
