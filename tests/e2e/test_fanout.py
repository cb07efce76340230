#!/usr/bin/python3
"""One busy interface that two workers share: the totals are those of nginx's log,
and of counters that httpacct did not write.

    client -- router -- server

httpacct watches the server's end. Between client and router offload is off, so
that the interface there counts each segment as it would be on a wire.
"""

import collections
import json
import pathlib
import signal

from harness import LabTest, main, require, require_root
from servers import NGINX_MODULE, Nginx

SERVER = "10.94.2.2"
WORKERS = 2
FAIR_SHARE = 0.1  # of the work, at least, when hundreds of connections are spread over two


class FanoutTest(LabTest):
    def setUp(self):
        super().setUp()
        self.route("10.94")
        self.configure()

    def configure(self, ring_mebibytes=64, offload="true"):
        self.config.write_text(f"""
            rules = ( {{ query = "s"; }} );
            interfaces = ( {{ name = "server0"; workers = {WORKERS}; }},
                           {{ name = "lo"; workers = {WORKERS}; }} );
            ring = {{ size = {ring_mebibytes}; }};
            offload = {offload};""")

    def watch(self, *options, interface="server0"):
        self.nginx = Nginx(self, self.server)
        self.agent = self.start_agent(self.server, "-i", interface, "--print", "json", *options)
        self.wire_before = self.router.wire_bytes("near0")

    def finish(self, interface="server0"):
        self.server.wait_until_quiet(interface)
        self.totals = self.stop_agent(self.agent)
        self.wire_bytes = self.router.wire_bytes("near0") - self.wire_before

    def wrk(self, target, connections, namespace=None, address=SERVER):
        (namespace or self.client).run("wrk", "-t", 2, "-c", connections, "-d", "2s",
                                       f"http://{address}:80{target}")

    def cpu_ns(self):
        """By thread, what each has used so far."""
        tasks = pathlib.Path(f"/proc/{self.agent.process.pid}/task")
        return {task.name: int((task / "schedstat").read_text().split()[0])
                for task in tasks.iterdir()}

    def check_threads(self, before, after):
        """As many threads as there are workers had their share of the work. Others idle: the main
        thread, and that of a sanitizer."""
        used = sorted(after[thread] - before[thread] for thread in after)
        self.assertGreater(used[-WORKERS], FAIR_SHARE * sum(used), used)

    def check_books(self):
        self.assertEqual(len(self.totals.interfaces), 1)
        self.totals.check_balance(self)
        self.assertEqual(self.totals.interface("tcp_bytes"), self.wire_bytes)

    def check_requests(self):
        self.assertEqual(self.totals.interface("ring_drops"), 0)
        self.nginx.check_requests(self, self.totals)

    def check_busy(self, offload):
        self.configure(offload=offload)
        self.watch("--interval", "0.5")
        before = self.cpu_ns()
        self.wrk("/small?s=small", 200)
        self.wrk("/m32?s=m32", 20)
        self.check_threads(before, self.cpu_ns())
        self.finish()
        self.check_books()
        self.check_requests()

    def test_many_connections(self):
        self.check_busy(offload="true")

    def test_many_connections_that_are_delivered_whole(self):
        self.check_busy(offload="false")

    def test_every_message_is_paired(self):
        """A connection each, of all kinds, to their ends."""
        self.watch()
        targets = [f"http://{SERVER}{target}"
                   for target in ("/small?s=a", "/m32?s=b", "/chunked?s=c", "/missing?s=d") * 25]
        clients = [self.start(self.client, "curl", "-sS", "-H", "Connection: close",
                              *(option for target in targets[first::4]
                                for option in ("-o", "/dev/null", target)))
                   for first in range(4)]
        for client in clients:
            client.wait_until(lambda: client.process.poll() == 0, "curl")
        self.finish()
        self.check_books()
        self.check_requests()
        self.nginx.check_replies(self, self.totals)

    def test_intervals_add_up(self):
        """Gauges of both workers are in the balance of each interval."""
        self.watch("--interval", "0.1")
        self.wrk("/m32?s=m32", 50)
        self.finish()
        *intervals, _ = map(json.loads, self.agent.out.splitlines())
        self.assertGreater(len(intervals), 1)
        so_far = collections.Counter()
        for interval in intervals:
            [interface] = interval["interfaces"]
            so_far.update({member: interface[member]
                           for member in (*self.totals.BALANCE, "tcp_bytes")})
            self.assertEqual(sum(so_far[member] for member in self.totals.BALANCE) +
                             interface["pending_bytes"], so_far["tcp_bytes"], interval)
        self.assertEqual(so_far["tcp_bytes"], self.totals.interface("tcp_bytes"))

    def test_overload_loses_labels_but_no_byte(self):
        """Stopped, the agent reads nothing, while the rings overflow."""
        self.configure(ring_mebibytes=1, offload="false")
        self.watch("--interval", "0.2")
        self.agent.process.send_signal(signal.SIGSTOP)
        self.client.run("curl", "-sS", "-Z", "--limit-rate", "50M",
                        *("-o", "/dev/null", f"http://{SERVER}/big?s=big") * 4)
        shown = len(self.agent.out.splitlines())
        self.agent.process.send_signal(signal.SIGCONT)
        self.agent.wait_until(lambda: len(self.agent.out.splitlines()) > shown + 1,
                              "intervals, before which the rings are read")
        self.client.run("curl", "-sS", "-o", "/dev/null", f"http://{SERVER}/small?s=small")
        self.finish()
        self.check_books()
        self.assertGreater(self.totals.interface("ring_drops"), 0)
        self.assertEqual(self.totals.services["small"]["requests"], 1)

    def test_loopback_counts_each_packet_once(self):
        self.server.run("ethtool", "-K", "lo", "tso", "off", "gso", "off", "gro", "off")
        self.watch(interface="lo")
        before = self.server.statistics("lo")["rx"]["bytes"]
        self.wrk("/small?s=small", 50, self.server, "127.0.0.1")
        self.finish("lo")
        self.totals.check_balance(self)
        self.check_requests()
        self.assertEqual(self.totals.interface("tcp_bytes"),
                         self.server.statistics("lo")["rx"]["bytes"] - before)

    def test_agents_side_by_side_do_not_share_with_each_other(self):
        self.watch()
        other = self.start_agent(self.server, "-i", "server0", "--print", "json")
        self.client.run("curl", "-sS", "-o", "/dev/null", f"http://{SERVER}/small?s=a&n=[1-200]")
        self.finish()
        others = self.stop_agent(other)
        self.check_books()
        self.check_requests()
        self.assertEqual(others.services, self.totals.services)

    def test_interface_that_goes_is_said_once(self):
        self.watch()
        self.server.run("ip", "link", "set", "server0", "down")
        self.agent.wait_until(lambda: "is down" in self.agent.err, "the warning")
        self.server.run("ip", "link", "del", "server0")
        self.agent.wait_until(lambda: "watching no interface" in self.agent.err, "its end")
        self.assertEqual(self.agent.stop(), 0)
        self.assertEqual(self.agent.err.count("server0 is down"), 1, self.agent.err)
        self.assertEqual(self.agent.err.count("server0 is gone"), 1, self.agent.err)


require_root()
require("curl", "ethtool", "ip", "nginx", "wrk", NGINX_MODULE)
main()
