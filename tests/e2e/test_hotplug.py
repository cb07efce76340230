#!/usr/bin/python3
"""Interfaces that come, go and change their names while the agent runs."""

import collections
import json
import os
import pathlib
import re
import signal
import time

from harness import (ETHERNET_HEADER_BYTES, SANITIZED, LabTest, main, require, require_root, run,
                     wait_for)
from servers import NGINX_MODULE, Nginx

SERVER = "10.99.0.2"
ROUNDS, SETTLED = 50, 15  # as from round SETTLED nothing may grow
GROWTH_KB_MAX = 512
BUSY_BYTES = 3_000_000
MISSED_SHARE = 0.02  # of what passes, where one watch takes another's place


class Footprint:
    """What a process holds."""

    def __init__(self, pid):
        self.descriptors = len(os.listdir(f"/proc/{pid}/fd"))
        self.threads = len(os.listdir(f"/proc/{pid}/task"))
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        self.anonymous_kb = int(re.search(r"RssAnon:\s+(\d+)", status)[1])


def programs(pid):
    """The ids of the BPF programs that the process holds."""
    ids = set()
    for info in pathlib.Path(f"/proc/{pid}/fdinfo").iterdir():
        try:
            ids.update(re.findall(r"^prog_id:\s+(\d+)", info.read_text(), re.M))
        except OSError:
            pass  # closed meanwhile
    return ids


def program_exists(number):
    return run("bpftool", "prog", "show", "id", number, check=False).returncode == 0


class HotplugTest(LabTest):
    def setUp(self):
        super().setUp()
        self.client = self.namespace("client")
        self.server = self.namespace("server")
        self.nginx = Nginx(self, self.server)

    def configure(self, interfaces, more=""):
        self.config.write_text(f'rules = ( {{ query = "s"; }} ); interfaces = ( {interfaces} );'
                               f"{more}")

    def plug(self, name="server0"):
        self.connect(self.client, self.server, ("client0", name), "10.99.0")
        for namespace, interface in ((self.client, "client0"), (self.server, name)):
            namespace.offload(interface, False)

    def unplug(self):
        self.client.run("ip", "link", "del", "client0")

    def wait_until_watched(self, agent, name="server0", times=1):
        agent.wait_until(lambda: len(re.findall(rf"watching .*\b{name}\b", agent.err)) == times,
                         f"{name} to be watched {times} times")

    def wait_until_gone(self, agent, name="server0", times=1):
        agent.wait_until(lambda: agent.err.count(f"{name} is gone") == times,
                         f"{name} to go {times} times")

    def curl(self, target, count=1):
        self.client.run("curl", "-sS", "-o", "/dev/null", f"http://{SERVER}{target}&n=[1-{count}]")

    def download(self, name="server0"):
        """Leave a download under way."""
        curl = self.start(self.client, "curl", "-sS", "-o", "/dev/null", "--limit-rate", "20M",
                          f"http://{SERVER}/big?s=big")
        curl.wait_until(lambda: self.server.wire_bytes(name) > BUSY_BYTES, "a download")
        return curl

    def check_requests(self, totals, *services):
        logged = collections.Counter(line.service for line in self.nginx.lines())
        for service in services:
            self.assertEqual(totals.services[service]["requests"], logged[service], service)

    def test_made_again_fifty_times_under_traffic(self):
        """All that the interface had counted when it was removed is in the totals."""
        self.configure('{ name = "server0"; }')
        agent = self.start_agent(self.server, "--print", "json", "--interval", "0.2")
        pid = agent.process.pid
        counted, slowest = 0, 0
        for number in range(1, ROUNDS + 1):
            self.plug()
            plugged = time.monotonic()
            self.wait_until_watched(agent, times=number)
            slowest = max(slowest, time.monotonic() - plugged)
            if number == SETTLED:
                early = programs(pid)
                settled = Footprint(pid)
            self.curl("/small?s=exact", 5)
            download = self.download()
            counted += self.server.wire_bytes("server0")
            self.unplug()
            download.kill()
            self.wait_until_gone(agent, times=number)
        self.assertTrue(early)
        for program in early:
            wait_for(lambda: not program_exists(program), "a BPF program to go")
        self.plug()
        self.wait_until_watched(agent, times=ROUNDS + 1)
        print(f"watched {slowest:.2f} s after it came at most")
        wait_for(lambda: Footprint(pid).descriptors <= settled.descriptors, "descriptors to close")
        now = Footprint(pid)
        self.assertEqual((now.descriptors, now.threads), (settled.descriptors, settled.threads))
        if not SANITIZED:  # a sanitizer keeps what was freed
            self.assertLess(now.anonymous_kb - settled.anonymous_kb, GROWTH_KB_MAX)

        totals = self.stop_agent(agent)
        totals.check_balance(self)
        self.check_requests(totals, "exact")
        self.assertEqual(totals.services["big"]["requests"], ROUNDS)
        self.assertEqual(totals.interface("ring_drops"), 0)
        self.assertEqual(set(totals.interfaces), {"server0"})
        self.assertGreaterEqual(totals.interface("tcp_bytes"), counted)

    def check_return(self, interface):
        """Each life of the interface ends in silence: the totals are exact."""
        self.configure(interface, "workers = 2;")
        agent = self.start_agent(self.server, "--print", "json")
        counted = 0
        for number in (1, 2, 3):
            self.plug()
            self.wait_until_watched(agent, times=number)
            self.curl("/m32?s=a", 40)
            self.curl("/small?s=b", 40)
            self.server.wait_until_quiet("server0")
            counted += self.server.wire_bytes("server0")
            self.unplug()
            self.wait_until_gone(agent, times=number)
        totals = self.stop_agent(agent)
        totals.check_balance(self)
        self.check_requests(totals, "a", "b")
        self.assertEqual(totals.interface("tcp_bytes"), counted)

    def test_comes_back_with_all_its_counts(self):
        self.check_return('{ name = "server0"; }')

    def test_comes_back_with_several_workers(self):
        self.check_return('{ name = "server*"; workers = 2; }')

    def test_what_the_ring_held_when_it_went_is_counted(self):
        """It is removed before the kernel hands over the block with the last packets."""
        self.configure('{ name = "server0"; }', "offload = false;")
        agent = self.start_agent(self.server, "--print", "json")
        counted = 0
        for number in range(1, 6):
            self.plug()
            self.wait_until_watched(agent, times=number)
            link = self.client.run(
                "sh", "-c", f"curl -sS -o /dev/null 'http://{SERVER}/small?s=a&n=[1-9]' &&"
                            "ip -j -s link show dev client0 && ip link del client0").stdout
            statistics = json.loads(link)[0]["stats64"]
            counted += sum(statistics[way]["bytes"] -
                           statistics[way]["packets"] * ETHERNET_HEADER_BYTES
                           for way in ("rx", "tx"))
            self.wait_until_gone(agent, times=number)
        totals = self.stop_agent(agent)
        totals.check_balance(self)
        self.check_requests(totals, "a")
        self.assertGreaterEqual(totals.interface("tcp_bytes"), counted)

    def test_taken_away_and_back_while_nobody_looks(self):
        """It has the name and the index that it had, but the kernel has let go of the socket."""
        elsewhere = self.namespace("elsewhere")
        self.plug()
        index = self.server.link("server0")["ifindex"]
        self.configure('{ name = "server0"; }')
        agent = self.start_agent(self.server, "--print", "json")
        self.curl("/small?s=exact", 3)
        self.server.wait_until_quiet("server0")
        agent.process.send_signal(signal.SIGSTOP)
        for there, to in ((self.server, elsewhere), (elsewhere, self.server)):
            there.run("ip", "link", "set", "server0", "netns", to.name)
        self.server.run("ip", "addr", "add", f"{SERVER}/24", "dev", "server0")
        self.server.run("ip", "link", "set", "server0", "up")
        self.know_each_other(self.client, self.server, ("client0", "server0"),
                             ("10.99.0.1", SERVER))
        self.assertEqual(self.server.link("server0")["ifindex"], index)
        agent.process.send_signal(signal.SIGCONT)
        self.wait_until_gone(agent)
        self.wait_until_watched(agent, times=2)
        self.curl("/small?s=exact", 2)
        self.server.wait_until_quiet("server0")
        totals = self.stop_agent(agent)
        totals.check_balance(self)
        self.check_requests(totals, "exact")

    def test_gets_another_name(self):
        self.configure('{ name = "server?"; }')
        agent = self.start_agent(self.server, "--print", "json")
        self.plug()
        self.wait_until_watched(agent, "server0")
        self.curl("/small?s=old", 7)
        self.server.wait_until_quiet("server0")
        before = self.server.wire_bytes("server0")
        for command in (("server0", "down"), ("server0", "name", "server7"), ("server7", "up")):
            self.server.run("ip", "link", "set", *command)
        self.know_each_other(self.client, self.server, ("client0", "server7"),
                             ("10.99.0.1", SERVER))
        self.wait_until_watched(agent, "server7")
        self.curl("/small?s=new", 5)
        self.server.wait_until_quiet("server7")
        after = self.server.wire_bytes("server7")  # of both names
        totals = self.stop_agent(agent)
        totals.check_balance(self)
        self.check_requests(totals, "old", "new")
        self.assertEqual(totals.interfaces["server0"]["tcp_bytes"], before)
        self.assertEqual(totals.interfaces["server7"]["tcp_bytes"], after - before)

    def busy_agent(self, interface):
        """An agent that watches interface, as configured, amid traffic that does not end."""
        self.plug()
        self.configure(interface)
        agent = self.start_agent(self.server, "--print", "json")
        self.passed_before = self.server.wire_bytes("server0")
        self.traffic = [self.start(self.client, "curl", "-sS", "-o", "/dev/null", "--limit-rate", "20M",
                                   f"http://{SERVER}{target}&n=[1-1000000]")
                        for target in ("/big?s=big", "/small?s=small")]
        self.wait_for_traffic("server0")
        return agent

    def wait_for_traffic(self, name):
        before = self.server.wire_bytes(name)
        wait_for(lambda: self.server.wire_bytes(name) > before + BUSY_BYTES, "traffic")

    def check_handovers(self, agent, name):
        """No packet is counted twice. Those that pass at the very moment in which one watch takes
        the place of another are not counted."""
        for client in self.traffic:
            client.kill()
        self.server.wait_until_quiet(name)
        totals = self.stop_agent(agent)
        passed = self.server.wire_bytes(name) - self.passed_before
        missed = passed - totals.interface("tcp_bytes")
        print(f"{missed} of {passed} bytes missed")
        totals.check_balance(self)
        self.assertGreaterEqual(missed, 0)
        self.assertLess(missed, MISSED_SHARE * passed)
        self.assertNotIn("watching no interface", agent.err)
        return totals

    def test_gets_another_number_of_workers_under_traffic(self):
        agent = self.busy_agent('{ name = "server0"; }')
        for number, workers in enumerate((3, 1, 2) * 3, 2):
            self.configure(f'{{ name = "server0"; workers = {workers}; }}')
            agent.process.send_signal(signal.SIGHUP)
            self.wait_until_watched(agent, times=number)
            self.wait_for_traffic("server0")
        self.check_handovers(agent, "server0")

    def test_gets_another_name_under_traffic(self):
        agent = self.busy_agent('{ name = "server?"; workers = 2; }')
        for number in range(1, 6):
            names = f"server{number - 1}", f"server{number}"
            self.server.run("ip", "link", "set", names[0], "name", names[1])
            self.wait_until_watched(agent, names[1])
            self.wait_for_traffic(names[1])
        totals = self.check_handovers(agent, names[1])
        self.assertEqual(len(totals.interfaces), 6)

    def test_name_that_nobody_wants_is_left_alone(self):
        """On the command line a pattern waits, too."""
        agent = self.start_agent(self.server, "-i", "server[0-8]", "--print", "json")
        self.assertIn("watching no interface now", agent.err)
        self.plug("server9")
        self.server.run("ip", "link", "set", "server9", "down")
        self.server.run("ip", "link", "set", "server9", "name", "server8")
        self.server.run("ip", "link", "set", "server8", "up")
        self.wait_until_watched(agent, "server8")
        self.server.run("ip", "link", "set", "server8", "down")
        self.server.run("ip", "link", "set", "server8", "name", "server9")
        self.wait_until_gone(agent, "server8")
        self.server.run("ip", "link", "set", "server9", "up")
        totals = self.stop_agent(agent)
        self.assertEqual(set(totals.interfaces), {"server8"})
        self.assertNotIn("server9", agent.err)

    def test_without_a_name_every_one_that_comes_is_watched(self):
        agent = self.start_agent(self.server, "--print", "json")
        self.plug()
        self.wait_until_watched(agent)
        self.curl("/small?s=a")
        self.server.wait_until_quiet("server0")
        totals = self.stop_agent(agent)
        self.assertEqual(set(totals.interfaces), {"lo", "server0"})
        self.check_requests(totals, "a")

    def test_down_at_first(self):
        self.plug()
        self.server.run("ip", "link", "set", "server0", "down")
        self.configure('{ name = "server0"; }')
        agent = self.start_agent(self.server, "--print", "json")
        self.assertIn("server0 is down: waiting for it to come up", agent.err)
        self.server.run("ip", "link", "set", "server0", "up")
        self.wait_until_watched(agent)
        self.assertEqual(agent.stop(), 0)

    def test_stop_while_it_goes(self):
        self.configure('{ name = "server0"; workers = 2; }', "workers = 4;")
        agent = self.start_agent(self.server, "--print", "json")
        self.plug()
        self.wait_until_watched(agent)
        download = self.download()
        counted = self.server.wire_bytes("server0")
        self.unplug()
        totals = self.stop_agent(agent)
        download.kill()
        totals.check_balance(self)
        self.assertGreaterEqual(totals.interface("tcp_bytes"), counted)


require_root()
require("bpftool", "curl", "ethtool", "ip", "nginx", NGINX_MODULE)
main()
