#!/usr/bin/python3
"""Services without traffic are forgotten once all of them was sent, and make room for others."""

import collections

from harness import main, require, require_root, wait_for
from listeners import Listener, counters_of_services
from web import PROGRAMS, WebTest, expected_graphite

OPTIONS = 'host = false; metrics = [ "all" ];'
EARLY = ("early0", "early1")


def of(name, counters):
    return {key: value for key, value in counters.items() if key.startswith(f"httpacct.{name}.")}


def over_all(counters):
    """Each measure of all services together."""
    sums = collections.Counter()
    for key, value in counters.items():
        _, _, measure = key.split(".", 2)
        sums[measure] += value
    return sums


class IdleTest(WebTest):
    def setUp(self):
        super().setUp()
        self.listener = Listener(self, self.server)
        self.path = str(self.folder / "late.sock")
        self.watch(f'{{ {OPTIONS} }}, {{ address = "unix://{self.path}"; {OPTIONS} }}',
                   services=len(EARLY), idle=3)

    def wait_for_gauge(self, name, value):
        wait_for(lambda: self.listener.gauges.get(f"httpacct.{name}") == value, f"{name} {value}")

    def wait_for_requests(self, name, count=1):
        wait_for(lambda: self.listener.counters[f"httpacct.{name}.requests"] == count,
                 f"requests of {name}")

    def check_totals(self, totals, listener):
        """Those that made room for others are _other in the totals."""
        counters = counters_of_services(listener.datagrams)
        expected = expected_graphite(totals)
        self.assertEqual(over_all(counters), over_all(expected))
        return counters

    def test_idle_services_make_room(self):
        with self.open_connection() as connection:
            self.ask_over(connection, EARLY)
            self.curl("/small?s=crowded")
            self.wait_for_gauge("early1.open", 1)
        self.wait_for_requests("_other")
        self.wait_for_gauge("early1.open", 0)
        self.wait_for_gauge("agent.server0.services", 0)
        early = counters_of_services(self.listener.datagrams)
        seen = len(self.listener.datagrams)

        self.curl("/small?s=new0", "/small?s=new1", "/small?s=early0")
        self.wait_for_requests("new0")
        self.wait_for_requests("new1")
        self.wait_for_requests("_other", 2)
        late = Listener(self, self.server, self.path)
        self.agent.wait_until(lambda: "sent again" in self.agent.err, "the receiver that was away")
        totals = self.finish()

        counters = self.check_totals(totals, self.listener)
        late_counters = self.check_totals(totals, late)
        for name in EARLY:
            self.assertFalse(any(f".{name}." in datagram
                                 for datagram in self.listener.datagrams[seen:]), name)
            self.assertEqual(of(name, counters), of(name, early))
            self.assertEqual(of(name, late_counters), of(name, early), "idle, but not sent")


require_root()
require(*PROGRAMS)
main()
