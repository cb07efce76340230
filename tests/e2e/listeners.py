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
STATSD_VALUE = r"(\d+\|c|\d+(?:\.\d+)?\|g|\d+(?:\.\d+)?\|d(?:\|@0\.\d+)?)"
STATSD_LINE = re.compile(rf"([a-z][a-z0-9_.-]*):{STATSD_VALUE}(\|#{TAG}(?:,{TAG})*)?")


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

    def hang(self):
        """Stop to read."""
        self.closing = True
        self.thread.join()

    def end(self):
        """What waits in the socket is lost: returns it."""
        self.hang()
        self.socket.setblocking(False)
        lost = []
        with contextlib.suppress(BlockingIOError):
            while True:
                lost.append(self.socket.recv(DATAGRAM_BYTES_MAX).decode())
        self.socket.close()
        return lost

    def close(self):
        self.hang()
        self.socket.close()


def statsd_lines(datagram):
    """Name with its tags, value, and kind of each line, of both dialects."""
    for line in datagram.split("\n"):
        found = STATSD_LINE.fullmatch(line)
        if not found:
            raise AssertionError(f"no StatsD: {line!r}")
        name, value, tags = found.groups(default="")
        number, kind = value.split("|")[:2]
        yield name + tags, float(number) if "." in number else int(number), kind


def is_heartbeat(datagram):
    return re.fullmatch(r"[\w.-]+\.agent\.up:1\|g(\|#.*)?", datagram)


def counters_of_services(datagrams):
    """What they say, added up, without that of the agent."""
    counters = collections.Counter()
    for datagram in datagrams:
        for name, value, kind in statsd_lines(datagram):
            if kind == "c" and not re.match(r"\w+\.agent\.", name):
                counters[name] += value
    return counters


class Listener(DatagramListener):
    """Takes StatsD lines, and adds them up."""

    def __init__(self, test, namespace, address=("127.0.0.1", STATSD_PORT)):
        self.datagrams = []
        self.counters = collections.Counter()
        self.gauges = {}
        self.heartbeats = 0
        super().__init__(test, namespace, address)

    def take(self, datagram):
        self.datagrams.append(datagram)
        for name, value, kind in statsd_lines(datagram):
            if kind == "c":
                self.counters[name] += value
            elif kind == "g":
                self.gauges[name] = value
        self.heartbeats += bool(is_heartbeat(datagram))

    def wait_for_flushes(self, count):
        before = self.heartbeats
        wait_for(lambda: self.heartbeats >= before + count, f"{count} flushes")


class SyslogListener(DatagramListener):
    """Takes messages of RFC 5424 over UDP, and adds up their facts."""

    def __init__(self, test, namespace, host="127.0.0.1"):
        self.messages = []
        super().__init__(test, namespace, (host, SYSLOG_PORT))

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
