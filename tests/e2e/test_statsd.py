#!/usr/bin/python3
"""What StatsD receivers have taken in is what --print json says in the end, and what
nftables has counted, to the byte."""

import re

from harness import main, require, require_root, wait_for
from listeners import Listener, counters_of_services
from packages import npm_package
from receivers import STATSD_PACKAGE, Collectd, Netdata, Statsd
from web import PROGRAMS, WebTest, expected_graphite, hostile_names


class StatsdTest(WebTest):
    def check_services(self, totals, counters, spell=lambda name: name):
        """All that was counted of services has arrived, and nothing else."""
        expected = {spell(name): value for name, value in expected_graphite(totals).items()}
        got = {name: counters.get(name, 0) for name in expected}
        self.assertEqual(got, expected)
        agent = spell("httpacct.agent.")
        extra = {name for name, value in counters.items()
                 if value and name.startswith("httpacct") and not name.startswith(agent)}
        self.assertLessEqual(extra, set(expected))

    def check_agent(self, totals, counters, spell=lambda name: name):
        """So have the books of the interface."""
        interface = totals.interfaces["server0"]
        for member in ("tcp_bytes", "service_bytes", "not_http_bytes", "untracked_bytes"):
            name = spell(f"httpacct.agent.server0.{member}")
            self.assertEqual(counters.get(name, 0), interface[member], name)

    def test_npm_statsd_has_every_byte(self):
        statsd = Statsd(self, self.server)
        self.watch("""{ host = false; metrics = [ "all" ]; },
                      { dialect = "datadog"; prefix = "dd"; metrics = [ "all" ]; }""")
        self.traffic()
        totals = self.finish()
        statsd.wait_for_flushes(2)
        counters = statsd.counters()
        self.check_services(totals, {name: value for name, value in counters.items()
                                     if ".ttfb" not in name})
        self.check_agent(totals, counters)
        for name, service in totals.services.items():
            for way in ("in", "out"):
                key = f"dd.bytes;service={name};direction={way};interface=server0"
                self.assertEqual(counters[key], service[way]["bytes"], key)
        self.assertEqual(statsd.bad_lines(), 0)
        self.assertGreater(statsd.gauges()["httpacct.agent.memory_bytes"], 0)

    def test_receiver_that_is_away_for_a_while_misses_nothing(self):
        statsd = Statsd(self, self.server)
        self.watch('{ host = false; metrics = [ "all" ]; }')
        self.curl("/small?s=before")
        wait_for(lambda: statsd.counters()["httpacct.before.out.control"], "the first service")
        self.server.wait_until_quiet("server0")
        statsd.wait_for_flushes(3)
        statsd.stop()
        self.traffic()
        self.agent.wait_until(lambda: "what is due is kept" in self.agent.err, "a refusal")
        statsd.start()
        self.curl("/small?s=after")
        totals = self.finish()
        statsd.wait_for_flushes(2)
        self.check_services(totals, statsd.counters())
        self.assertEqual(statsd.bad_lines(), 0)
        self.assertIn("sent again", self.agent.err)

    def test_collectd_has_every_byte(self):
        collectd = Collectd(self, self.server)
        self.watch('{ host = false; metrics = [ "all" ]; }')
        self.traffic()
        totals = self.finish()
        expected = expected_graphite(totals)
        wait_for(lambda: expected.items() <= collectd.counters().items(), "totals in collectd")
        self.check_services(totals, collectd.counters())
        self.check_agent(totals, collectd.counters())
        self.assertEqual(collectd.bad_lines(), 0)

    def test_netdata_has_every_byte(self):
        netdata = Netdata(self, self.server)
        self.watch('{ host = false; metrics = [ "all" ]; }')
        self.traffic()
        totals = self.finish()
        expected = {Netdata.spell(name): value for name, value in expected_graphite(totals).items()}
        wait_for(lambda: expected.items() <= netdata.counters().items(), "totals in netdata")
        self.check_services(totals, netdata.counters(), Netdata.spell)
        self.check_agent(totals, netdata.counters(), Netdata.spell)
        self.assertEqual(netdata.bad_lines(), 0)

    def check_hostile_names(self, receiver):
        """They arrive, and stay apart."""
        names = hostile_names(10_000)
        self.watch('{ host = false; metrics = [ "requests" ]; }', services=len(names))
        self.ask_for(names)
        totals = self.finish()
        self.assertEqual(len(totals.services), len(names))

        def requests():
            return [value for name, value in receiver.counters().items()
                    if re.fullmatch(r"httpacct[._].*[._]requests", name) and value]
        wait_for(lambda: len(requests()) == len(names), "all services")
        self.assertEqual(set(requests()), {1})
        self.assertEqual(receiver.bad_lines(), 0)

    def test_hostile_names_in_npm_statsd(self):
        self.check_hostile_names(Statsd(self, self.server))

    def test_hostile_names_in_collectd(self):
        self.check_hostile_names(Collectd(self, self.server))

    def test_hostile_names_in_netdata(self):
        self.check_hostile_names(Netdata(self, self.server))

    def test_hostile_names_in_tags_of_datadog(self):
        names = hostile_names(10_000)
        listener = Listener(self, self.server)
        self.watch('{ dialect = "datadog"; metrics = [ "requests" ]; }', services=len(names))
        self.ask_for(names)
        self.assertEqual(len(self.finish().services), len(names))
        wait_for(lambda: sum(counters_of_services(listener.datagrams).values()) >= len(names),
                 "all requests")
        counters = counters_of_services(listener.datagrams)
        self.assertEqual(len(counters), len(names))
        self.assertEqual(set(counters.values()), {1})
        for name in counters:
            self.assertRegex(name, r"httpacct\.requests\|#service:[a-z0-9_.-]{1,64},interface:server0")

    def test_services_past_the_cap_keep_their_bytes(self):
        statsd = Statsd(self, self.server)
        self.watch('{ host = false; metrics = [ "all" ]; }', services=5)
        self.ask_for(f"n{i}" for i in range(30))
        totals = self.finish()
        statsd.wait_for_flushes(2)
        self.check_services(totals, statsd.counters())
        self.assertEqual(totals.services["_other"]["requests"], 25)
        self.assertIn("25 requests of services past the cap of 5 went to _other", self.agent.err)

    def test_flush_of_many_services_costs_no_packet(self):
        names = [f"n{i}" for i in range(100_000)]
        listener = Listener(self, self.server)
        self.watch('{ host = false; metrics = [ "bytes", "requests" ]; datagram = 8192; }',
                   services=len(names))
        for _ in range(3):
            self.ask_for(names)
        totals = self.finish()
        self.assertEqual(totals.service_sum("bytes"),
                         sum(value for name, value in listener.counters.items()
                             if name.endswith(".bytes")))

    def test_last_flush_comes_before_the_end(self):
        listener = Listener(self, self.server)
        self.watch("{ host = false; }", interval=3600)
        self.curl("/small?s=last")
        totals = self.finish()
        self.assertEqual(listener.counters["httpacct.last.out.bytes"],
                         totals.services["last"]["out"]["bytes"])


require_root()
require("collectd", "netdata", "node", "npm", *PROGRAMS)
npm_package(STATSD_PACKAGE)
main()
