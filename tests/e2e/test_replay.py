#!/usr/bin/python3
"""The same traffic, live and from a capture that tcpdump made meanwhile: the
same totals."""

import copy

from harness import LabTest, main, read_capture, require, require_root
from servers import NGINX_MODULE, Nginx

SERVER = "10.97.0.2"

# A capture file has lost how many segments a super-packet was, and with them their headers.
LOST_WITH_OFFLOAD = ("bytes", "packets")


class ReplayTest(LabTest):
    def setUp(self):
        super().setUp()
        self.client = self.namespace("client")
        self.server = self.namespace("server")
        self.connect(self.client, self.server, ("client0", "server0"), "10.97.0")
        self.nginx = Nginx(self, self.server)

    def curl(self, *targets):
        urls = [f"http://{SERVER}{target}" for target in targets]
        self.client.run("curl", "-sS", *urls)

    def exchange(self, offload):
        """Returns the totals of the live agent and of the recording."""
        for namespace, interface in ((self.client, "client0"), (self.server, "server0")):
            namespace.offload(interface, offload)
        recording = self.folder / "replay.pcap"
        tcpdump = self.start_tcpdump(self.server, "server0", recording)
        agent = self.start_agent(self.server, "-i", "server0", "--print", "json")
        self.curl("/small?s=a", "/m32?s=b", "/small?s=c%20d", "/chunked?s=e", "/missing")
        self.client.run("curl", "-sS", "-T", self.nginx.folder / "www/m32",
                        f"http://{SERVER}/upload?s=up")
        self.client.run("wrk", "-t", 1, "-c", 20, "-d", "1s", f"http://{SERVER}:80/small?s=wrk")
        self.server.wait_until_quiet("server0")
        live = self.stop_agent(agent)
        self.stop_tcpdump(tcpdump)
        self.assertEqual(live.interface("ring_drops"), 0)
        return live, read_capture(recording, "-c", self.config)

    def without(self, totals, members):
        services = copy.deepcopy(totals.services)
        for service in services.values():
            for direction in ("in", "out"):
                for member in members:
                    del service[direction][member]
        return services

    def test_without_offload_all_totals_are_the_same(self):
        live, replayed = self.exchange(offload=False)
        self.assertEqual(live.services, replayed.services)
        for member in ("tcp_bytes", "service_bytes", "not_http_bytes", "untracked_bytes"):
            self.assertEqual(live.interface(member), replayed.interface(member), member)

    def test_with_offload_all_but_ip_bytes_is_the_same(self):
        live, replayed = self.exchange(offload=True)
        self.assertEqual(self.without(live, LOST_WITH_OFFLOAD),
                         self.without(replayed, LOST_WITH_OFFLOAD))
        self.assertGreater(live.interface("tcp_bytes"), replayed.interface("tcp_bytes"))


require_root()
require("curl", "ethtool", "ip", "nginx", "tcpdump", "wrk", NGINX_MODULE)
main()
