"""Sees datagrams on their way, and what comes back because nobody listens."""

import collections
import contextlib
import socket
import struct
import threading

from harness import wait_for
from listeners import SO_RCVBUFFORCE

ETH_P_ALL, ETH_P_IP = 0x0003, 0x0800
PACKET_OUTGOING = 4
PORT_UNREACHABLE = (3, 3)
UDP_HEADER_BYTES = ICMP_HEADER_BYTES = 8
SO_TIMESTAMPNS = 35  # of Linux
TIMESPEC = struct.Struct("@ll")
BUFFER_BYTES = 64 << 20
PACKET_BYTES_MAX, ANCILLARY_BYTES = 65536, 64

# A datagram to the port; or that one was refused, whose beginning then is the payload.
Event = collections.namedtuple("Event", "time_s payload refused")


def parse(packet, port, time_s, refused=False):
    """The event that an IPv4 packet is, or None."""
    protocol, body = packet[9], packet[(packet[0] & 15) * 4:]
    if protocol == socket.IPPROTO_UDP and struct.unpack("!H", body[2:4])[0] == port:
        return Event(time_s, body[UDP_HEADER_BYTES:].decode(), refused)
    if protocol == socket.IPPROTO_ICMP and (body[0], body[1]) == PORT_UNREACHABLE:
        return parse(body[ICMP_HEADER_BYTES:], port, time_s, refused=True)
    return None


class Wire:
    """What passes an interface to a UDP port, in order."""

    def __init__(self, test, namespace, interface, port):
        self.port = port
        self.is_loopback = interface == "lo"
        with namespace.entered():
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.socket.bind((interface, ETH_P_ALL))  # no other sees what is sent
        self.socket.settimeout(0.2)
        self.events = []
        self.closing = False
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()
        test.addCleanup(self.close)

    def work(self):
        while not self.closing:
            with contextlib.suppress(TimeoutError):
                self.take(*self.socket.recvmsg(PACKET_BYTES_MAX, ANCILLARY_BYTES))

    def take(self, packet, ancillary, _, address):
        _, protocol, direction, *_ = address
        if protocol != ETH_P_IP or self.is_loopback and direction == PACKET_OUTGOING:
            return  # over loopback each comes twice
        seconds, nanoseconds = TIMESPEC.unpack(ancillary[0][2])
        event = parse(packet, self.port, seconds + nanoseconds / 1e9)
        if event:
            self.events.append(event)

    def wait_for(self, condition, what):
        wait_for(lambda: condition(list(self.events)), what)

    def close(self):
        self.closing = True
        self.thread.join()
        self.socket.close()
