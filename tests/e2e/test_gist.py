#!/usr/bin/python3
"""Where it began: Apache httpd on port 8080, three curl requests, and what the
2018 script printed of them. The bytes are those that tcpdump recorded."""

import collections

from harness import LabTest, main, require, require_root, run
from servers import Apache

REQUESTS = ("/x?s=yo", "/x?s=yo", "/x?s=yo2")


class GistTest(LabTest):
    def setUp(self):
        super().setUp()
        self.client = self.namespace("client")
        self.server = self.namespace("server")
        self.connect(self.client, self.server)
        Apache(self, self.server)

    def exchange(self):
        """The three requests, watched and recorded. Returns what was printed."""
        self.recording = self.folder / "gist.pcap"
        tcpdump = self.start_tcpdump(self.server, "right0", self.recording)
        agent = self.start_agent(self.server, "-i", "right0", "--print", "events")
        for target in REQUESTS:
            self.client.run("curl", "-s", f"http://10.99.0.2:8080{target}")
        self.server.wait_until_quiet("right0")
        self.assertEqual(agent.stop(), 0, agent.err)
        self.stop_tcpdump(tcpdump)
        return agent.out.splitlines()

    def recorded_bytes(self):
        """IP bytes of packets with payload, by connection: [(in, out)] in order."""
        lines = run("tshark", "-r", self.recording, "-Y", "tcp.len > 0", "-T", "fields",
                    "-e", "tcp.stream", "-e", "tcp.dstport", "-e", "ip.len").stdout
        streams = collections.defaultdict(lambda: [0, 0])
        for line in lines.splitlines():
            stream, port, size = map(int, line.split())
            streams[stream][port != 8080] += size
        return [streams[stream] for stream in sorted(streams)]

    def test_three_requests_print_what_tcpdump_saw(self):
        printed = self.exchange()
        expected = []
        total = collections.Counter()
        for target, (bytes_in, bytes_out) in zip(REQUESTS, self.recorded_bytes(), strict=True):
            service = target.split("=")[1]
            total[service, "in"] += bytes_in
            total[service, "out"] += bytes_out
            expected += [
                f"request: GET {target} HTTP/1.1",
                f"+{bytes_in} bytes inbound to service '{service}' = {total[service, 'in']}",
                "reply: HTTP/1.1 404 Not Found",
                f"+{bytes_out} bytes outbound from service '{service}' = {total[service, 'out']}",
            ]
        self.assertEqual(printed, expected)


require_root()
require("apache2", "curl", "tcpdump", "tshark", "ip")
main()
