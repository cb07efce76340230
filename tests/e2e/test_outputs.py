#!/usr/bin/python3
"""The agent as a service: it sends to syslog and StatsD, and prints nothing."""

import collections
import contextlib
import re
import socket
import threading

from harness import HTTPACCT, LabTest, main, require, require_root
from receivers import Listener
from servers import NGINX_MODULE, Nginx

SERVER = "10.97.0.2"
SYSLOG_PORT = 5514


class SyslogListener:
    """Takes messages of RFC 5424 over UDP, and adds up their facts."""

    def __init__(self, test, namespace):
        with namespace.entered():
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", SYSLOG_PORT))
        self.socket.settimeout(0.2)
        self.messages = []
        self.closing = False
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()
        test.addCleanup(self.close)

    def work(self):
        while not self.closing:
            with contextlib.suppress(TimeoutError):
                self.messages.append(self.socket.recv(65536).decode())

    def facts(self, subject):
        """The sums of what was said of each @subject."""
        sums = collections.defaultdict(collections.Counter)
        for message in list(self.messages):
            found = re.search(rf" {subject}=(\S+) (\S+=\d+(?: \S+=\S+)*)$", message)
            if found:
                facts = dict(fact.split("=") for fact in found[2].split())
                sums[found[1]].update({name: int(value) for name, value in facts.items()
                                       if value.isdigit()})
        return sums

    def says(self, text):
        return any(text in message for message in list(self.messages))

    def close(self):
        self.closing = True
        self.thread.join()
        self.socket.close()


class OutputsTest(LabTest):
    def setUp(self):
        super().setUp()
        self.client = self.namespace("client")
        self.server = self.namespace("server")
        self.connect(self.client, self.server, ("client0", "server0"), "10.97.0")
        self.nginx = Nginx(self, self.server)

    def start_agent_with(self, outputs, *options):
        self.config.write_text(f'rules = ( {{ query = "s"; }} ); {outputs}')
        return self.start(self.server, HTTPACCT, "-c", self.config, "-i", "server0", *options)

    def ask(self, count=20):
        for i in range(count):
            self.client.run("curl", "-sS", "-o", "/dev/null", f"http://{SERVER}/m32?s=n{i % 3}")
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
        facts = syslog.facts("service")
        self.assertEqual(set(facts), set(totals.services))
        for name, service in totals.services.items():
            for way in ("in", "out"):
                self.assertEqual(facts[name][f"{way}_bytes"], service[way]["bytes"], name)
            self.assertEqual(facts[name]["requests"], service["requests"], name)
        self.assertEqual(syslog.facts("interface")["server0"]["tcp_bytes"],
                         totals.interface("tcp_bytes"))

    def test_agent_with_outputs_prints_nothing(self):
        statsd = Listener(self, self.server, 8125)
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
        statsd = Listener(self, self.server, 8125)
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
require("curl", "ip", "nginx", NGINX_MODULE)
main()
