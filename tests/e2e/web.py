"""What tests of outputs share: an agent beside an nginx that is asked by a client.

    client -- server

httpacct and the receivers run on the server. Offload is off, so nftables sees each segment.
"""

import socket
import urllib.parse

from harness import HTTPACCT, LabTest
from receivers import receive_errors
from servers import NGINX_MODULE, Nginx

SERVER = "10.97.0.2"
PROGRAMS = ("curl", "ethtool", "ip", "nft", "nginx", "wrk", NGINX_MODULE)
PIPELINE = 100
SERVICES = ("alpha", "beta", "gamma")
DIRECTIONS = ("in", "out")
MEASURES = ("bytes", "payload", "retransmitted", "control", "packets")


def hostile_names(count):
    """Names with all that might break a line, no two the same."""
    hostile = [":", "|", "@", "#", ",", ";", "=", "\n", '"', "]", "\0", "é", "%41", " ", "/", "..",
               "|c", ":1|c\nx:2|c", "|#a:b", "__", "A", "a"]
    return [f"{hostile[i % len(hostile)]}{i}{hostile[i * 7 % len(hostile)]}"
            for i in range(count)]


def read_reply(stream):
    length = 0
    while (line := stream.readline()) != b"\r\n":
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    stream.read(length)


def expected_graphite(totals, prefix="httpacct."):
    """What a receiver of the graphite dialect has of each service, without its host."""
    counters = {}
    for name, service in totals.services.items():
        for direction in DIRECTIONS:
            for measure in MEASURES:
                counters[f"{prefix}{name}.{direction}.{measure}"] = service[direction][measure]
        for group, count in service["replies"].items():
            counters[f"{prefix}{name}.replies.{group}"] = count
        for measure in ("requests", "unanswered"):
            counters[f"{prefix}{name}.{measure}"] = service[measure]
    return {name: value for name, value in counters.items() if value}


def expected_datadog(totals, prefix="httpacct.", interface="server0"):
    """The same of the datadog dialect."""
    counters = {}
    for name, service in totals.services.items():
        def tags(more=""):
            return f"|#service:{name}{more},interface:{interface}"
        for direction in DIRECTIONS:
            for measure in MEASURES:
                counters[f"{prefix}{measure}{tags(f',direction:{direction}')}"] = \
                    service[direction][measure]
        for group, count in service["replies"].items():
            counters[f"{prefix}replies{tags(f',class:{group}')}"] = count
        for measure in ("requests", "unanswered"):
            counters[f"{prefix}{measure}{tags()}"] = service[measure]
    return {name: value for name, value in counters.items() if value}


class WebTest(LabTest):
    def setUp(self):
        super().setUp()
        self.client = self.namespace("client")
        self.server = self.namespace("server")
        self.connect(self.client, self.server, ("client0", "server0"), "10.97.0")
        self.client.offload("client0", False)
        self.server.offload("server0", False)
        self.nginx = Nginx(self, self.server)

    def count_by_others(self):
        """What nftables and the kernel count from here on, finish() compares with. What receivers
        take from loopback is not the agent's to see."""
        for namespace in (self.client, self.server):
            namespace.count_with_nftables('iifname != "lo"')
        self.nftables_before = self.nftables_bytes()
        self.errors_before = receive_errors(self.server)

    def watch(self, statsd, services=1000, idle=3600, interval=1, inside=()):
        """Run httpacct with these destinations, and begin to count."""
        self.config.write_text(f"""
            rules = ( {{ query = "s"; }} );
            services = {{ max = {services}; idle = {idle}; }};
            ring = {{ size = 64; }};
            flush = {{ interval = {interval}; }};
            statsd = ( {statsd} );""")
        self.count_by_others()
        self.agent = self.start(self.server, *inside, HTTPACCT, "-c", self.config,
                                "-i", "server0", "--print", "json")
        self.agent.wait_until(lambda: "watching" in self.agent.err, "the agent's ready line")

    def nftables_bytes(self):
        return self.client.nftables_bytes() + self.server.nftables_bytes()

    def curl(self, *targets):
        for target in targets:
            self.client.run("curl", "-sS", "-o", "/dev/null", f"http://{SERVER}{target}")

    def each_kind(self, services=SERVICES):
        """Requests of several kinds for every service."""
        self.curl(*(f"/{kind}?s={service}" for service in services
                    for kind in ("small", "m32", "missing", "chunked")))

    def traffic(self):
        """Some of everything."""
        self.each_kind()
        self.curl("/m32")
        self.client.run("wrk", "-t", 1, "-c", 10, "-d", "3s", f"http://{SERVER}:80/small?s=busy")

    def open_connection(self):
        with self.client.entered():
            return socket.create_connection((SERVER, 80))

    def ask_for(self, names):
        """One request for each name, pipelined over one connection."""
        with self.open_connection() as connection:
            self.ask_over(connection, names)

    def ask_over(self, connection, names):
        requests = [f"GET /small?s={urllib.parse.quote(name, safe='')} HTTP/1.1\r\nHost: x\r\n\r\n"
                    for name in names]
        with connection.makefile("rb") as replies:
            for start in range(0, len(requests), PIPELINE):
                batch = requests[start:start + PIPELINE]
                connection.sendall("".join(batch).encode())
                for _ in batch:
                    read_reply(replies)

    def check_facts(self, totals, facts):
        """What syslog was told of the services, as far as it is told without being asked to."""
        self.assertEqual(set(facts), set(totals.services))
        for name, service in totals.services.items():
            for way in DIRECTIONS:
                self.assertEqual(facts[name][f"{way}_bytes"], service[way]["bytes"], name)
            self.assertEqual(facts[name]["requests"], service["requests"], name)

    def dropped(self):
        """Datagrams that receivers were too slow for."""
        return receive_errors(self.server) - self.errors_before

    def finish(self):
        totals = self.end_agent()
        self.assertEqual(self.dropped(), 0, "a receiver was too slow")
        return totals

    def end_agent(self):
        """End self.agent when all has passed; check its books."""
        self.server.wait_until_quiet("server0")
        nftables_bytes = self.nftables_bytes() - self.nftables_before
        totals = self.stop_agent(self.agent)
        totals.check_balance(self)
        self.assertEqual(totals.interface("tcp_bytes"), nftables_bytes)
        self.assertEqual(totals.interface("ring_drops"), 0)
        self.assertNotIn("could not be sent", self.agent.err)
        return totals
