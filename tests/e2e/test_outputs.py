#!/usr/bin/python3
"""The agent as a service: it sends to syslog and StatsD, and prints nothing."""

import contextlib
import socket

from harness import HTTPACCT, main, require, require_root
from listeners import SYSLOG_PORT, Listener, SyslogListener
from web import PROGRAMS, WebTest


class OutputsTest(WebTest):
    def start_agent_with(self, outputs, *options):
        self.config.write_text(f'rules = ( {{ query = "s"; }} ); {outputs}')
        return self.start(self.server, HTTPACCT, "-c", self.config, "-i", "server0", *options)

    def ask(self, count=20):
        for i in range(count):
            self.curl(f"/m32?s=n{i % 3}")
        self.server.wait_until_quiet("server0")

    def test_syslog_has_every_byte_and_the_log(self):
        syslog = SyslogListener(self, self.server)
        agent = self.start_agent_with(
            f'syslog = {{ address = "udp://127.0.0.1:{SYSLOG_PORT}"; interval = 1; }};',
            "--print", "json")
        agent.wait_until(lambda: syslog.says("watching server0"), "the ready line")
        self.ask()
        totals = self.stop_agent(agent)
        self.assertEqual(agent.err, "")
        self.check_facts(totals, syslog.facts("service"))
        self.assertEqual(syslog.facts("interface")["server0"]["tcp_bytes"],
                         totals.interface("tcp_bytes"))

    def test_agent_with_outputs_prints_nothing(self):
        statsd = Listener(self, self.server)
        agent = self.start_agent_with("statsd = ( { host = false; } ); flush = { interval = 1; };")
        agent.wait_until(lambda: "watching" in agent.err, "the ready line")
        self.ask()
        agent.wait_until(lambda: statsd.counters["httpacct.agent.datagrams_sent"], "two flushes")
        self.assertEqual(agent.stop(), 0)
        self.assertEqual(agent.out, "")
        self.assertEqual(statsd.counters["httpacct.n0.requests"], 7)
        self.assertGreater(statsd.gauges["httpacct.agent.memory_bytes"], 0)
        for counter in ("cpu_ms", "datagrams_sent", "bytes_sent", "server0.tcp_bytes"):
            self.assertGreater(statsd.counters[f"httpacct.agent.{counter}"], 0)

    def test_events_on_the_terminal_do_not_keep_outputs_from_flushing(self):
        statsd = Listener(self, self.server)
        agent = self.start_agent_with("statsd = ( { host = false; } ); flush = { interval = 1; };",
                                      "--print", "events")
        agent.wait_until(lambda: "watching" in agent.err, "the ready line")
        self.ask()
        agent.wait_until(lambda: statsd.counters["httpacct.n0.requests"] == 7, "a flush")
        self.assertEqual(agent.stop(), 0)
        self.assertIn("bytes inbound to service 'n0'", agent.out)

    def test_end_waits_for_no_receiver_and_says_what_is_lost(self):
        agent = self.start_agent_with('statsd = ( { address = "127.0.0.1:9"; } );')
        agent.wait_until(lambda: "watching" in agent.err, "the ready line")
        self.ask(3)
        self.assertEqual(agent.stop(), 0)
        self.assertRegex(agent.err, r"statsd 127\.0\.0\.1:9: \d{5,} of the bytes counted could not")

    def test_intervals_do_not_disturb_an_end_that_waits(self):
        path = self.folder / "hangs.sock"
        hangs = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(hangs.close)
        hangs.bind(str(path))
        agent = self.start_agent_with(
            f'statsd = ( {{ address = "unix://{path}"; }} ); flush = {{ interval = 1; }};',
            "--print", "json", "--interval", "0.1")
        agent.wait_until(lambda: "watching" in agent.err, "the ready line")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as filler, \
                contextlib.suppress(BlockingIOError):
            filler.setblocking(False)
            filler.connect(str(path))
            while True:
                filler.send(b"full")
        self.ask(1)
        totals = self.stop_agent(agent)
        totals.check_balance(self)
        self.assertEqual(agent.out.count('"final":true'), 1)
        self.assertIn("could not be sent any more", agent.err)


require_root()
require(*PROGRAMS)
main()
