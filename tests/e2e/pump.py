"""Links that the kernel need not offer: packets are carried between devices by
this program.

A tun or tap device belongs to the namespace it was opened in; what its stack
sends is read here and written elsewhere.
"""

import collections
import fcntl
import os
import select
import socket
import struct
import threading
import time

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_TAP, IFF_NO_PI = 0x0001, 0x0002, 0x1000
ETH_P_ALL = 0x0003
PACKET_OUTGOING = 4
ETHERNET_ADDRESSES_BYTES = 12
VLAN_TAG_BYTES = 4
VLAN_ETHERTYPES = (b"\x81\x00", b"\x88\xa8")
PACKET_BYTES_MAX = 65536


class Tun:
    """The far side of a tun or tap device."""

    def __init__(self, namespace, name, mode):
        with namespace.entered():
            self.fd = os.open("/dev/net/tun", os.O_RDWR)
            fcntl.ioctl(self.fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), mode | IFF_NO_PI))

    def fileno(self):
        return self.fd

    def receive(self):
        return os.read(self.fd, PACKET_BYTES_MAX)

    def send(self, packet):
        os.write(self.fd, packet)

    def close(self):
        os.close(self.fd)


class TaggedPort:
    """A network interface on whose wire every frame carries VLAN tags."""

    def __init__(self, namespace, interface, tags):
        self.tags = b"".join(struct.pack("!HH", ethertype, vlan) for ethertype, vlan in tags)
        with namespace.entered():
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.socket.bind((interface, 0))

    def fileno(self):
        return self.socket.fileno()

    def receive(self):
        frame, address = self.socket.recvfrom(PACKET_BYTES_MAX)
        if address[2] == PACKET_OUTGOING:
            return None
        # The kernel has taken the outer tag off already.
        while frame[ETHERNET_ADDRESSES_BYTES:][:2] in VLAN_ETHERTYPES:
            frame = (frame[:ETHERNET_ADDRESSES_BYTES] +
                     frame[ETHERNET_ADDRESSES_BYTES + VLAN_TAG_BYTES:])
        return frame

    def send(self, frame):
        self.socket.send(frame[:ETHERNET_ADDRESSES_BYTES] + self.tags +
                         frame[ETHERNET_ADDRESSES_BYTES:])

    def close(self):
        self.socket.close()


class Pump:
    """Carries packets both ways between two ports, in a thread, until stopped. Each arrives
    @delay_s after it was sent, or later."""

    def __init__(self, left, right, delay_s=0):
        self.other = {left: right, right: left}
        self.delay_s = delay_s
        self.on_their_way = collections.deque()  # when each is due, where, and what
        self.wake_read, self.wake_write = os.pipe()
        self.thread = threading.Thread(target=self.work)
        self.thread.start()

    def work(self):
        while True:
            ready, _, _ = select.select([*self.other, self.wake_read], [], [], self.wait_s())
            if self.wake_read in ready:
                return
            for port in ready:
                packet = port.receive()
                if packet:
                    due = time.monotonic() + self.delay_s
                    self.on_their_way.append((due, self.other[port], packet))
            self.deliver()

    def wait_s(self):
        if not self.on_their_way:
            return None
        return max(0, self.on_their_way[0][0] - time.monotonic())

    def deliver(self):
        while self.on_their_way and self.on_their_way[0][0] <= time.monotonic():
            _, port, packet = self.on_their_way.popleft()
            port.send(packet)

    def stop(self):
        os.write(self.wake_write, b".")
        self.thread.join()
        for port in self.other:
            port.close()
        os.close(self.wake_read)
        os.close(self.wake_write)
