#!/usr/bin/python3
"""script.py INTERFACE FILTER: what a script with bcc does, to compare httpacct with.

The filter is bcc's own example: it delivers packets that begin a message. Each is
read alone, its first line taken, its IP length added to the service that ?s=
names, and all totals are printed. So the 2018 script did it. Ends with SIGINT.
"""

import collections
import json
import os
import struct
import sys
import time
import urllib.parse

from bcc import BPF

READ_BYTES = 4096
ETHERNET_BYTES = 14
BEGINNINGS = (b"GET", b"POST", b"HTTP", b"PUT", b"DELETE", b"HEAD")
SWEEP_PACKETS, SESSION_S = 50, 121
KERNEL_INCLUDES = ("uapi/linux/ptrace.h", "net/sock.h")  # neither needed nor compilable


class Script:
    def __init__(self, interface, source):
        with open(source, encoding="utf-8") as lines:
            text = "".join(line for line in lines
                           if not any(name in line for name in KERNEL_INCLUDES))
        self.bpf = BPF(text=text.encode())
        filter_function = self.bpf.load_func("http_filter", BPF.SOCKET_FILTER)
        BPF.attach_raw_socket(filter_function, interface)
        self.fd = filter_function.sock
        os.set_blocking(self.fd, True)
        self.sessions = self.bpf["sessions"]
        self.bytes = {"in": collections.Counter(), "out": collections.Counter()}
        self.begun = {}  # first lines that go on in the next packet: text and bytes
        self.asked = {}  # services by connection
        self.requests = 0

    def run(self):
        packets = 0
        while True:
            self.take(os.read(self.fd, READ_BYTES))
            packets += 1
            if packets % SWEEP_PACKETS == 0:
                self.sweep()

    def take(self, frame):
        ip = frame[ETHERNET_BYTES:]
        size, = struct.unpack_from("!H", ip, 2)
        tcp = ip[(ip[0] & 15) * 4:]
        source, destination = struct.unpack_from("!II", ip, 12)
        source_port, destination_port = struct.unpack_from("!HH", tcp)
        key = (source, destination, source_port, destination_port)
        text = tcp[(tcp[12] >> 4) * 4:]

        if key in self.begun:
            earlier, earlier_size = self.begun.pop(key)
            text, size = earlier + text, earlier_size + size
        elif not text.startswith(BEGINNINGS):
            self.forget(key)
            return
        if b"\r\n" not in text:
            self.begun[key] = text, size
            return
        self.add(key, text.split(b"\r\n", 1)[0].decode("latin-1"), size)
        self.forget(key)

    def forget(self, key):
        try:
            del self.sessions[self.sessions.Key(*key)]
        except KeyError:
            pass

    def add(self, key, line, size):
        if line.startswith("HTTP/"):
            source, destination, source_port, destination_port = key
            asked = (destination, source, destination_port, source_port)
            self.charge("reply", line, "out", self.asked.pop(asked, "_unknown"), size)
            return
        query = urllib.parse.parse_qs(urllib.parse.urlparse(line.split(" HTTP")[0]).query)
        self.asked[key] = query.get("s", ["_unspecified"])[-1]
        self.requests += 1
        self.charge("request", line, "in", self.asked[key], size)

    def charge(self, kind, line, way, service, size):
        self.bytes[way][service] += size
        print(f"{kind}: {line}", file=sys.stderr)
        print(f"+{size} bytes {way} of '{service}' = {self.bytes[way][service]}", file=sys.stderr)
        for sums in self.bytes.values():
            for name, total in sums.items():
                print(f"{name} -> {total}", file=sys.stderr)

    def sweep(self):
        now = int(time.time())
        for key, leaf in self.sessions.items():
            if leaf.timestamp == 0:
                self.sessions[key] = self.sessions.Leaf(now)
            elif now - leaf.timestamp > SESSION_S:
                del self.sessions[key]


def main():
    script = Script(*sys.argv[1:])
    try:
        script.run()
    except KeyboardInterrupt:
        print(json.dumps({"bytes_in": script.bytes["in"].total(),
                          "bytes_out": script.bytes["out"].total(),
                          "requests": script.requests}))


main()
