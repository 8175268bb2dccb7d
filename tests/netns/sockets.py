#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""sockets.py - what tools/load and tools/backend do not do, for namespace tests.

Servers, each on every address of both families, print `ready` and run until killed:
  serve-half-closed PORT N   read to the end, then send N bytes and close
  serve-abort PORT           read; print `reset` when the client ends by RST, else `end`
  serve-reset PORT           read a little, end by RST

Clients:
  half-close ADDRESS PORT N  send N bytes, close that half, read to the end
  abort ADDRESS PORT [LOCAL_PORT]
                             send, print the peer, end by RST
  read ADDRESS PORT          send, read; print who reset us
  direct LOCAL_PORT ADDRESS PORT ADDRESS PORT
                             a connection to the first, closed; then one to the second from the
                             same port; print how long the second took, in ms
  closes ADDRESS PORT N      N connections each: client closes first, server closes first, client
                             aborts (server: tools/backend)
  syn-flood ADDRESS PORT N   N SYNs, each from a random address and port
  frame INTERFACE MAC ADDRESS PORT LOCAL_PORT [VLAN]
                             a UDP datagram in a frame made by hand (IPv4)
  datagram ADDRESS PORT N [no-checksum]
                             a UDP datagram of N bytes; print the length of the answer
"""
import os
import random
import socket
import struct
import sys
import threading
import time

ABORT = struct.pack("ii", 1, 0)
SO_NO_CHECK = 11


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def say(*words):
    print(*words, flush=True)


def connect(address, port, local_port=None):
    sock = socket.socket(family(address))
    sock.settimeout(5)
    if local_port is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("", local_port))
    sock.connect((address, port))
    return sock


def abort(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
    sock.close()


def read_all(sock):
    got = 0
    while True:
        data = sock.recv(65536)
        if not data:
            return got
        got += len(data)


def serve(port, answer):
    listener = socket.create_server(("", int(port)), family=socket.AF_INET6,
                                    dualstack_ipv6=True, backlog=128)
    say("ready")
    while True:
        sock, _ = listener.accept()
        threading.Thread(target=answer, args=(sock,), daemon=True).start()


def serve_half_closed(port, count):
    def answer(sock):
        read_all(sock)
        sock.sendall(b"x" * int(count))
        sock.close()
    serve(port, answer)


def serve_abort(port):
    def answer(sock):
        try:
            read_all(sock)
            say("end")
        except ConnectionResetError:
            say("reset")
    serve(port, answer)


def serve_reset(port):
    def answer(sock):
        sock.recv(100)
        abort(sock)
    serve(port, answer)


def half_close(address, port, count):
    sock = connect(address, int(port))
    sock.sendall(b"y" * int(count))
    sock.shutdown(socket.SHUT_WR)
    say("sent", count, "got", read_all(sock))


def do_abort(address, port, local_port=None):
    sock = connect(address, int(port), local_port and int(local_port))
    sock.sendall(b"z")
    say("peer", *sock.getpeername()[:2])
    abort(sock)


def read(address, port):
    sock = connect(address, int(port))
    peer = sock.getpeername()[:2]
    sock.sendall(b"z")
    try:
        say("got", read_all(sock), "from", *peer)
    except ConnectionResetError:
        say("reset by", *peer)


def http_get(sock, keep=False):
    sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: %s\r\n\r\n" %
                 (b"keep-alive" if keep else b"close"))
    answer = sock.recv(65536)
    if not answer.startswith(b"HTTP/1.1 200"):
        raise SystemExit("answer: %r" % answer)


def direct(local_port, address, port, then_address, then_port):
    sock = connect(address, int(port), int(local_port))
    http_get(sock)
    read_all(sock)
    sock.close()
    begin = time.monotonic()
    sock = connect(then_address, int(then_port), int(local_port))
    http_get(sock)
    read_all(sock)
    say(int((time.monotonic() - begin) * 1000))


def closes(address, port, count):
    for _ in range(int(count)):
        sock = connect(address, int(port))  # the client closes first
        http_get(sock, keep=True)
        sock.close()
        sock = connect(address, int(port))  # the server does
        http_get(sock)
        read_all(sock)
        sock.close()
        sock = connect(address, int(port))
        http_get(sock, keep=True)
        abort(sock)


def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    total = (total & 0xffff) + (total >> 16)
    return ~(total + (total >> 16)) & 0xffff


def syn_flood(address, port, count):
    sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    target = socket.inet_aton(address)
    for _ in range(int(count)):
        source = bytes((11, random.randrange(256), random.randrange(256),
                        random.randrange(1, 255)))
        tcp = struct.pack("!HHIIBBHHH", random.randrange(1024, 65536), int(port),
                          random.getrandbits(32), 0, 5 << 4, 2, 65535, 0, 0)
        pseudo = source + target + struct.pack("!HH", socket.IPPROTO_TCP, len(tcp))
        tcp = tcp[:16] + struct.pack("!H", checksum(pseudo + tcp)) + tcp[18:]
        header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, 0, 0, 64, socket.IPPROTO_TCP, 0,
                             source, target)
        sock.sendto(header + tcp, (address, 0))
    say("sent", count)


def frame(interface, mac, address, port, local_port, vlan=None):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sock.bind((interface, 0))
    source = socket.inet_aton("10.1.0.2")
    udp = struct.pack("!HHHH", int(local_port), int(port), 12, 0) + b"text"
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, socket.IPPROTO_UDP, 0,
                     source, socket.inet_aton(address))
    ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    tag = struct.pack("!HH", 0x8100, int(vlan)) if vlan else b""
    sock.send(bytes.fromhex(mac.replace(":", "")) + sock.getsockname()[4] + tag +
              b"\x08\x00" + ip + udp)


def datagram(address, port, count, no_checksum=None):
    sock = socket.socket(family(address), socket.SOCK_DGRAM)
    if no_checksum:
        sock.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 1)
    sock.settimeout(3)
    sock.connect((address, int(port)))
    sock.send(b"f" * int(count))
    say("got", len(sock.recv(65536)))


COMMANDS = {
    "serve-half-closed": serve_half_closed,
    "serve-abort": serve_abort,
    "serve-reset": serve_reset,
    "half-close": half_close,
    "abort": do_abort,
    "read": read,
    "direct": direct,
    "closes": closes,
    "syn-flood": syn_flood,
    "frame": frame,
    "datagram": datagram,
}

if __name__ == "__main__":
    try:
        COMMANDS[sys.argv[1]](*sys.argv[2:])
    except BrokenPipeError:
        os._exit(1)
