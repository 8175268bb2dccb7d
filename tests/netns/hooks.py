#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""hooks.py - which programs the kernel has at the tc hooks of this namespace's interfaces, one a
line: "wl0 ingress tcx 123". Asks the kernel itself; Debian 12's bpftool does not know tcx."""
import ctypes
import os
import re
import socket
import struct
import subprocess

BPF_PROG_QUERY = 16
TCX = {"ingress": 46, "egress": 47}  # enum bpf_attach_type
SYSCALL = {"x86_64": 321, "aarch64": 280}[os.uname().machine]
IDS = 64

libc = ctypes.CDLL(None, use_errno=True)


def tcx_programs(ifindex, hook):
    ids = (ctypes.c_uint32 * IDS)()
    attr = ctypes.create_string_buffer(
        struct.pack("IIIIQIIQQQQ", ifindex, TCX[hook], 0, 0, ctypes.addressof(ids), IDS,
                    0, 0, 0, 0, 0))
    if libc.syscall(SYSCALL, BPF_PROG_QUERY, attr, len(attr.raw) - 1):
        return []  # this kernel has no tcx
    count = struct.unpack_from("I", attr, 24)[0]
    return list(ids)[:count]


def clsact_programs(name, hook):
    text = subprocess.run(["tc", "filter", "show", "dev", name, hook], text=True,
                          capture_output=True, check=True).stdout
    return re.findall(r" handle .* id (\d+)", text)


for index, interface in socket.if_nameindex():
    for where in TCX:
        for program in tcx_programs(index, where):
            print(interface, where, "tcx", program)
        for program in clsact_programs(interface, where):
            print(interface, where, "clsact", program)
