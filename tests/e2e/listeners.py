"""Receivers of our own: they keep each line as it came, and refuse what no receiver takes."""

import collections
import contextlib
import re
import socket
import threading

from harness import wait_for

STATSD_PORT = 8125
SYSLOG_PORT = 5514
SO_RCVBUFFORCE = 33  # of Linux
BUFFER_BYTES = 16 << 20
DATAGRAM_BYTES_MAX = 65536

TAG = r"[a-z][a-z0-9_]*:[a-z0-9_./-]+"
STATSD_LINE = re.compile(rf"([a-z][a-z0-9_.-]*):(\d+)\|([cg])(\|#{TAG}(?:,{TAG})*)?")


def open_socket(namespace, address):
    """A datagram socket that has room for all that a test sends."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with namespace.entered():
        opened = socket.socket(family, socket.SOCK_DGRAM)
    opened.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES)
    opened.bind(address)
    return opened


class DatagramListener:
    """Takes datagrams, in a thread; take() is what becomes of them."""

    def __init__(self, test, namespace, address):
        self.socket = open_socket(namespace, address)
        self.socket.settimeout(0.2)
        self.closing = False
        self.broken = None
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()
        test.addCleanup(self.check)
        test.addCleanup(self.close)

    def work(self):
        while not self.closing:
            with contextlib.suppress(TimeoutError):
                self.take_or_break(self.socket.recv(DATAGRAM_BYTES_MAX).decode())

    def take_or_break(self, datagram):
        try:
            self.take(datagram)
        except AssertionError as error:
            self.broken = error

    def check(self):
        if self.broken:
            raise self.broken

    def close(self):
        """Stop to read; what waits in the socket is lost."""
        self.closing = True
        self.thread.join()
        self.socket.close()


class Listener(DatagramListener):
    """Takes StatsD lines of both dialects, and adds them up by name and tags."""

    HEARTBEAT = re.compile(r".*\.agent\.up(\|.*)?")

    def __init__(self, test, namespace, address=("127.0.0.1", STATSD_PORT)):
        self.counters = collections.Counter()
        self.gauges = {}
        self.heartbeats = 0
        super().__init__(test, namespace, address)

    def take(self, datagram):
        for line in datagram.split("\n"):
            found = STATSD_LINE.fullmatch(line)
            if not found:
                raise AssertionError(f"no StatsD: {line!r}")
            name, value, kind, tags = found.groups(default="")
            if kind == "c":
                self.counters[name + tags] += int(value)
            else:
                self.gauges[name + tags] = int(value)
            self.heartbeats += bool(self.HEARTBEAT.fullmatch(name))

    def of_services(self):
        """The counters, without those of the agent."""
        return {name: value for name, value in self.counters.items()
                if not re.match(r"\w+\.agent\.", name)}

    def wait_for_flushes(self, count):
        before = self.heartbeats
        wait_for(lambda: self.heartbeats >= before + count, f"{count} flushes")


class SyslogListener(DatagramListener):
    """Takes messages of RFC 5424 over UDP, and adds up their facts."""

    def __init__(self, test, namespace):
        self.messages = []
        super().__init__(test, namespace, ("127.0.0.1", SYSLOG_PORT))

    def take(self, datagram):
        self.messages.append(datagram)

    def facts(self, subject):
        """The sums of what was said of each @subject."""
        sums = collections.defaultdict(collections.Counter)
        for message in list(self.messages):
            found = re.search(rf" {subject}=(\S+) (\S+=\d+(?: \S+=\S+)*)$", message)
            if found:
                facts = dict(fact.split("=") for fact in found[2].split())
                sums[found[1]].update({name: int(value) for name, value in facts.items()})
        return sums

    def says(self, text):
        return any(text in message for message in list(self.messages))
