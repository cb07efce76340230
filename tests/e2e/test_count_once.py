#!/usr/bin/python3
"""One connection on several watched interfaces: counted on each of them, or once."""

import http.client
import os
import signal

from harness import LabTest, main, require, require_root
from servers import NGINX_MODULE, Nginx

FAR, HOST = "10.97.0.1", "10.97.0.2"
TARGETS = ("/small?s=a", "/m32?s=b", "/chunked?s=a", "/missing")
CONNECTIONS = 5000
BUSY_BYTES = 3_000_000
IN_FLIGHT_BYTES = 100_000  # on its way, or sent again, when an interface goes


class CountOnceTest(LabTest):
    def setUp(self):
        super().setUp()
        self.far = self.namespace("far")
        self.host = self.namespace("host")
        self.far.count_with_nftables()
        self.host.count_with_nftables()

    def configure(self, more="", interfaces=("port0", "bridge0"), workers=1):
        names = ", ".join(f'{{ name = "{name}"; workers = {workers}; }}' for name in interfaces)
        self.config.write_text(f'rules = ( {{ query = "s"; }} ); interfaces = ( {names} ); {more}')

    def bridge(self):
        """The host has its address on a bridge, whose port port0 is a veth to the far side."""
        self.connect(self.far, self.host, ("far0", "port0"), "10.97.0")
        self.host.run("ip", "addr", "del", f"{HOST}/24", "dev", "port0")
        self.add_bridge(self.host, "bridge0", HOST, "port0")
        self.know_each_other(self.far, self.host, ("far0", "bridge0"), (FAR, HOST))
        for namespace, interface in ((self.far, "far0"), (self.host, "port0"),
                                     (self.host, "bridge0")):
            namespace.offload(interface, False)

    def add_bridge(self, namespace, name, address, port):
        """A link address of its own, or it would be that of a port, and change with them."""
        own = ":".join(["02:00", *(f"{int(part):02x}" for part in address.split("."))])
        namespace.run("ip", "link", "add", name, "address", own, "type", "bridge")
        namespace.run("ip", "link", "set", port, "master", name)
        namespace.run("ip", "addr", "add", f"{address}/24", "dev", name)
        namespace.run("ip", "link", "set", name, "up")

    def nftables_bytes(self):
        return self.far.nftables_bytes() + self.host.nftables_bytes()

    def exchange(self, client, address, targets=TARGETS, *options):
        """Requests from the client's namespace, while the host's interfaces are watched."""
        agent = self.start_agent(self.host, "--print", "json")
        before, passed = self.nftables_bytes(), self.host.wire_bytes("port0")
        client.run("curl", "-sS", "-o", "/dev/null", *options,
                   *(f"http://{address}{target}" for target in targets))
        self.host.wait_until_quiet("port0")
        self.truth = self.nftables_bytes() - before
        self.passed = self.host.wire_bytes("port0") - passed
        totals = self.stop_agent(agent)
        totals.check_balance(self)
        self.assertEqual(totals.interface("ring_drops"), 0)
        return totals

    def check_once(self, totals, owner):
        """All is counted on the owner, and all is a duplicate on the others."""
        for name, interface in totals.interfaces.items():
            where = f"{name}, with {self.passed} bytes by the counters of port0"
            self.assertEqual(interface["tcp_bytes"], self.truth, where)
            self.assertEqual(interface["duplicate_bytes"], 0 if name == owner else self.truth, where)
        self.nginx.check_services(self, totals, 1)

    def test_without_the_switch_each_interface_counts_all(self):
        self.bridge()
        self.nginx = Nginx(self, self.host)
        self.configure()
        totals = self.exchange(self.far, HOST)
        self.nginx.check_services(self, totals, 2)
        for interface in totals.interfaces.values():
            self.assertEqual(interface["tcp_bytes"], self.truth)
            self.assertEqual(interface["service_bytes"], self.truth)

    def test_port_sees_what_comes_in_first(self):
        self.bridge()
        self.nginx = Nginx(self, self.host)
        for more in ("", "offload = false;"):
            self.nginx.log.write_text("")
            self.configure(f"count_once = true; {more}")
            self.check_once(self.exchange(self.far, HOST), "port0")

    def test_bridge_sees_what_goes_out_first(self):
        self.bridge()
        self.nginx = Nginx(self, self.far)
        for interfaces in (("port0", "bridge0"), ("bridge0", "port0")):
            self.nginx.log.write_text("")
            self.configure("count_once = true;", interfaces)
            self.check_once(self.exchange(self.host, FAR), "bridge0")

    def test_workers_of_an_interface_are_one_owner(self):
        self.bridge()
        self.nginx = Nginx(self, self.host)
        self.configure("count_once = true;", workers=2)
        totals = self.exchange(self.far, HOST, [f"/small?s=a&n=[1-{CONNECTIONS}]"],
                               "-H", "Connection: close")
        self.assertEqual(totals.services["a"]["requests"], CONNECTIONS)
        self.check_once(totals, "port0")

    def test_owner_is_removed_in_the_middle_of_a_connection(self):
        """The far side has a second cable, which is plugged in when the first has gone."""
        self.bridge()
        self.connect(self.far, self.host, ("far1", "port1"), "10.96.0")
        self.far.run("ip", "addr", "del", f"{FAR}/24", "dev", "far0")
        self.add_bridge(self.far, "far-bridge", FAR, "far0")
        self.know_each_other(self.far, self.host, ("far-bridge", "bridge0"), (FAR, HOST))
        self.far.run("ip", "link", "set", "far1", "down", "master", "far-bridge")
        self.host.run("ip", "link", "set", "port1", "master", "bridge0")
        self.host.offload("port1", False)
        self.host.sysctl("net.ipv4.tcp_wmem", f"4096 {IN_FLIGHT_BYTES // 2} {IN_FLIGHT_BYTES // 2}")
        self.nginx = Nginx(self, self.host)
        self.configure("count_once = true;")
        agent = self.start_agent(self.host, "--print", "json")
        curl = self.start(self.far, "curl", "-sS", "--limit-rate", "20M", "-o", "/dev/null",
                          f"http://{HOST}/big?s=before", "-o", "/dev/null",
                          f"http://{HOST}/small?s=after")
        curl.wait_until(lambda: self.nftables_bytes() > BUSY_BYTES, "a download")
        descriptors = self.descriptors(agent)
        self.host.run("ip", "link", "del", "port0")
        agent.wait_until(lambda: "port0 is gone" in agent.err, "port0 to go")
        agent.wait_until(lambda: self.descriptors(agent) < descriptors, "its socket to be closed")
        before = self.nftables_bytes()
        self.far.run("ip", "link", "set", "far1", "up")
        curl.wait_until(lambda: curl.process.poll() == 0, "the end of the download")
        self.host.wait_until_quiet("bridge0")
        after = self.nftables_bytes()
        totals = self.stop_agent(agent)
        totals.check_balance(self)
        bridge = totals.interfaces["bridge0"]
        self.assertGreater(after - before, before, "most came by the second cable")
        self.assertLessEqual(bridge["duplicate_bytes"], before + IN_FLIGHT_BYTES)
        self.assertGreaterEqual(bridge["tcp_bytes"] - bridge["duplicate_bytes"],
                                after - before - IN_FLIGHT_BYTES)
        self.assertGreater(totals.interfaces["port0"]["service_bytes"], BUSY_BYTES // 2)
        self.assertEqual(totals.services["before"]["requests"], 1)
        self.assertEqual(totals.services["after"]["requests"], 1)

    def descriptors(self, agent):
        return len(os.listdir(f"/proc/{agent.process.pid}/fd"))

    def test_owner_is_watched_no_longer(self):
        self.bridge()
        self.nginx = Nginx(self, self.host)
        self.configure("count_once = true;")
        agent = self.start_agent(self.host, "--print", "json")
        with self.far.entered():
            connection = http.client.HTTPConnection(HOST)
            connection.connect()
        self.addCleanup(connection.close)
        self.ask(connection, "/small?s=before")
        self.host.wait_until_quiet("port0")
        counted = self.nftables_bytes()
        self.configure("count_once = true;", ["bridge0"])
        agent.process.send_signal(signal.SIGHUP)
        agent.wait_until(lambda: "reloaded" in agent.err, "the reload")
        self.ask(connection, "/small?s=after")
        self.host.wait_until_quiet("port0")
        totals = self.stop_agent(agent)
        totals.check_balance(self)
        self.assertEqual(totals.interfaces["bridge0"]["duplicate_bytes"], counted)
        self.assertEqual(totals.interfaces["port0"]["tcp_bytes"], counted)
        for service in ("before", "after"):
            self.assertEqual(totals.services[service]["requests"], 1)
        self.nginx.check_services(self, totals, 1)

    def ask(self, connection, target):
        connection.request("GET", target)
        connection.getresponse().read()


require_root()
require("curl", "ethtool", "nft", "nginx", NGINX_MODULE)
main()
