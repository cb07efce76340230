#!/usr/bin/python3
"""Every kind of interface: the same requests, and the bytes that nftables counted
where client and server take them in."""

import collections
import json

from harness import LabTest, main, require, require_root
from pump import IFF_TAP, IFF_TUN, Pump, TaggedPort, Tun
from servers import NGINX_MODULE, Nginx

CLIENT, SERVER = "10.96.0.1", "10.96.0.2"
CLIENT6, SERVER6 = "fd96::1", "fd96::2"
TARGETS = ("/small?s=a", "/m32?s=b", "/chunked?s=a", "/missing")
DOT1Q, DOT1AD = 0x8100, 0x88A8


class InterfacesTest(LabTest):
    def setUp(self):
        super().setUp()
        self.client = self.namespace("client", ipv6=True)
        self.server = self.namespace("server", ipv6=True)
        self.client.count_with_nftables()
        self.server.count_with_nftables()

    def nftables_bytes(self):
        return sum(namespace.nftables_bytes() for namespace in {self.client, self.server})

    def exchange(self, watched, interfaces, address=SERVER):
        """Requests from the client to the server, while httpacct watches the interfaces of the
        namespace WATCHED. Returns its totals; self.truth is what nftables counted."""
        options = [option for interface in interfaces for option in ("-i", interface)]
        agent = self.start_agent(watched, *options, "--print", "json")
        before = self.nftables_bytes()
        self.client.run("curl", "-sS", "-g", "-o", "/dev/null",
                        *(f"http://{address}{target}" for target in TARGETS))
        watched.wait_until_quiet(interfaces[0])
        self.truth = self.nftables_bytes() - before
        return self.stop_agent(agent)

    def check(self, totals):
        totals.check_balance(self)
        for interface in totals.interfaces.values():
            self.assertEqual(interface["ring_drops"], 0)
        self.nginx.check_services(self, totals)

    def connect_ethernet(self):
        self.connect(self.client, self.server, ("client0", "server0"), "10.96.0")
        for namespace, interface in ((self.client, "client0"), (self.server, "server0")):
            namespace.offload(interface, False)

    def use_addresses(self, names, addresses, prefix):
        for namespace, name, address in zip((self.client, self.server), names, addresses):
            namespace.run("ip", "addr", "add", f"{address}/{prefix}", "dev", name,
                          *(("nodad",) if ":" in address else ()))
            namespace.run("ip", "link", "set", name, "up")

    def pump(self, left, right):
        self.addCleanup(Pump(left, right).stop)

    def test_ipv6(self):
        self.connect_ethernet()
        self.use_addresses(("client0", "server0"), (CLIENT6, SERVER6), 64)
        self.nginx = Nginx(self, self.server, listen=("[::]:80",))
        totals = self.exchange(self.server, ["server0"], f"[{SERVER6}]")
        self.check(totals)
        self.assertEqual(totals.interface("tcp_bytes"), self.truth)

    def test_loopback_counts_each_packet_once(self):
        self.client = self.server
        self.nginx = Nginx(self, self.server)
        self.server.run("ethtool", "-K", "lo", "tso", "off", "gso", "off", "gro", "off")
        totals = self.exchange(self.server, ["lo"], "127.0.0.1")
        self.check(totals)
        self.assertEqual(totals.interface("tcp_bytes"), self.truth)

    def test_bridge(self):
        """As docker0: the client's end of a veth is a port of a bridge that has the address."""
        self.connect_ethernet()
        self.client.run("ip", "link", "add", "bridge0", "type", "bridge")
        self.client.run("ip", "addr", "del", f"{CLIENT}/24", "dev", "client0")
        self.client.run("ip", "link", "set", "client0", "master", "bridge0")
        self.client.run("ip", "addr", "add", f"{CLIENT}/24", "dev", "bridge0")
        self.client.run("ip", "link", "set", "bridge0", "up")
        self.know_each_other(self.client, self.server, ("bridge0", "server0"), (CLIENT, SERVER))
        self.client.offload("bridge0", False)
        self.nginx = Nginx(self, self.server)
        totals = self.exchange(self.client, ["bridge0"])
        self.check(totals)
        self.assertEqual(totals.interface("tcp_bytes"), self.truth)

    def test_two_interfaces_are_two_books(self):
        """Each with a worker thread of its own, both busy at once."""
        self.connect_ethernet()
        self.connect(self.client, self.server, ("second0", "second1"), "10.95.0")
        self.client.offload("second0", False)
        self.server.offload("second1", False)
        self.config.write_text('rules = ( { query = "s"; } ); workers = 2;')
        self.nginx = Nginx(self, self.server)
        agent = self.start_agent(self.server, "-i", "server0", "-i", "second1", "--print", "json",
                                 "--interval", "0.1")
        before = self.nftables_bytes()
        clients = [self.start(self.client, "curl", "-sS", "-o", "/dev/null",
                              f"http://{address}/small?s=a&n=[1-200]")
                   for address in (SERVER, "10.95.0.2")]
        for client in clients:
            client.wait_until(lambda: client.process.poll() == 0, "curl")
        for name in ("server0", "second1"):
            self.server.wait_until_quiet(name)
        totals = self.stop_agent(agent)
        self.check(totals)
        self.assertEqual(totals.services["a"]["requests"], 400)
        self.assertEqual(totals.interface("tcp_bytes"), self.nftables_bytes() - before)
        self.assertTrue(all(interface["tcp_bytes"] for interface in totals.interfaces.values()))

    def test_tun_has_no_link_header(self):
        ends = [Tun(namespace, "tun0", IFF_TUN) for namespace in (self.client, self.server)]
        self.use_addresses(("tun0", "tun0"), (CLIENT, SERVER), 24)
        self.pump(*ends)
        self.nginx = Nginx(self, self.server)
        totals = self.exchange(self.server, ["tun0"])
        self.check(totals)
        self.assertEqual(totals.interface("tcp_bytes"), self.truth)

    def test_vlan_tags_on_the_wire(self):
        self.check_tagged([(DOT1Q, 5)])

    def test_double_tags_on_the_wire(self):
        self.check_tagged([(DOT1AD, 7), (DOT1Q, 5)])

    def check_tagged(self, tags):
        """The client's tap and the server's are joined by a trunk with tags. httpacct watches the
        trunk, where the tag of what goes out is data, and of what comes in is beside it."""
        trunk = self.namespace("trunk")
        far = self.namespace("far")
        self.connect(trunk, far, ("trunk0", "trunk1"))
        for namespace, interface in ((trunk, "trunk0"), (far, "trunk1")):
            namespace.run("ip", "link", "set", interface, "mtu", "1600")  # room for the tags
        ends = [Tun(namespace, "tap0", IFF_TAP) for namespace in (self.client, self.server)]
        self.use_addresses(("tap0", "tap0"), (CLIENT, SERVER), 24)
        self.pump(ends[0], TaggedPort(trunk, "trunk0", tags))
        self.pump(ends[1], TaggedPort(far, "trunk1", tags))
        self.know_each_other(self.client, self.server, ("tap0", "tap0"), (CLIENT, SERVER))
        self.nginx = Nginx(self, self.server)
        totals = self.exchange(far, ["trunk1"])
        self.check(totals)
        self.assertEqual(totals.interface("tcp_bytes"), self.truth)

    def test_without_i_every_interface_that_is_up(self):
        self.connect_ethernet()
        self.nginx = Nginx(self, self.server)
        agent = self.start_agent(self.server, "--print", "json")
        self.client.run("curl", "-sS", "-o", "/dev/null", f"http://{SERVER}/small?s=a")
        self.server.wait_until_quiet("server0")
        totals = self.stop_agent(agent)
        self.assertEqual(set(totals.interfaces), {"lo", "server0"})
        self.check(totals)

    def test_balance_holds_in_every_interval(self):
        self.connect_ethernet()
        self.nginx = Nginx(self, self.server)
        agent = self.start_agent(self.server, "-i", "server0", "--print", "json",
                                 "--interval", "0.1")
        for _ in range(10):
            self.client.run("curl", "-sS", "-o", "/dev/null", f"http://{SERVER}/m32?s=a")
        self.server.wait_until_quiet("server0")
        totals = self.stop_agent(agent)
        *intervals, _ = map(json.loads, agent.out.splitlines())
        self.assertGreater(len(intervals), 1)
        so_far = collections.Counter()
        for interval in intervals:
            [interface] = interval["interfaces"]
            so_far.update({member: interface[member] for member in (*totals.BALANCE, "tcp_bytes")})
            self.assertEqual(sum(so_far[member] for member in totals.BALANCE) +
                             interface["pending_bytes"], so_far["tcp_bytes"], interval)
        self.assertEqual(so_far["tcp_bytes"], totals.interface("tcp_bytes"))


require_root()
require("curl", "ethtool", "ip", "nft", "nginx", NGINX_MODULE)
main()
