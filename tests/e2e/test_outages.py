#!/usr/bin/python3
"""Receivers of StatsD that go away, hang, or are not there yet: all that was counted arrives once,
but for what README.md says can be lost, and that is measured."""

import collections
import pathlib
import signal

from harness import HTTPACCT, main, require, require_root, wait_for
from listeners import (STATSD_PORT, SYSLOG_PORT, Listener, SyslogListener, counters_of_services,
                       is_heartbeat)
from packages import npm_package
from pump import IFF_TUN, Pump, Tun
from receivers import STATSD_PACKAGE, Statsd
from web import PROGRAMS, SERVER, WebTest, expected_datadog, expected_graphite
from wire import Wire

ALL = 'metrics = [ "all" ];'
BURST_DATAGRAMS = 3  # what a flush that has time sends at once: 4 KiB
BUFFER_DATAGRAMS = 212992 // 1432  # at most that the default buffer of a receiver holds
PAUSE_S = 0.05  # behind a heartbeat, at least: its timer starts before it is sent
NEAR, FAR = "10.96.0.1", "10.96.0.2"

# Names are looked up in files of our own.
PRIVATE_NAMES = """
mount --bind {folder}/nsswitch.conf /etc/nsswitch.conf
mount --bind {folder}/hosts /etc/hosts
exec "$@"
"""


def ours(datagrams):
    """Those that count something."""
    return [datagram for datagram in datagrams if not is_heartbeat(datagram)]


def sent_over(events):
    return ours(event.payload for event in events if not event.refused)


def was_sent_after_a_refusal(events):
    """Whether anything that counts follows a refusal, before it was asked again."""
    refused = False
    for event in events:
        if event.refused:
            refused = True
        elif is_heartbeat(event.payload):
            refused = False
        elif refused:
            return True
    return False


def flushes_refused_in_time(events):
    """How many heartbeats were refused before anything that counts was sent."""
    return sum(not before.refused and bool(is_heartbeat(before.payload)) and after.refused
               for before, after in zip(events, events[1:]))


def pauses_s(events):
    """How long after each heartbeat anything that counts was sent."""
    for before, after in zip(events, events[1:]):
        if is_heartbeat(before.payload) and not after.refused and not is_heartbeat(after.payload):
            yield after.time_s - before.time_s


class OutageTest(WebTest):
    def check_once(self, totals, *parts):
        """What was counted is what all parts together say."""
        said = sum((counters_of_services(part) for part in parts), collections.Counter())
        self.assertEqual(said, expected_graphite(totals))

    def test_receiver_killed_in_the_middle_of_a_flush(self):
        statsd = Statsd(self, self.server)
        wire = Wire(self, self.server, "lo", STATSD_PORT)
        names = [f"n{i}" for i in range(1500)]  # more takes longer than an interval, and hurries
        self.watch(f"{{ host = false; {ALL} }}", services=1600, interval=2)
        wrk = self.start(self.client, "wrk", "-t", 1, "-c", 1, "-d", "5s",
                         f"http://{SERVER}:80/small?s=busy")
        self.ask_for(names)
        wire.wait_for(lambda events: len(sent_over(events)) > 20, "the middle of a flush")
        statsd.kill()
        self.ask_for(names)
        wire.wait_for(lambda events: flushes_refused_in_time(events) >= 2, "refusals")
        statsd.start()
        wrk.process.wait()
        totals = self.end_agent()
        self.assertIn("sent again", self.agent.err)
        statsd.wait_for_flushes(2)
        self.assertEqual(statsd.bad_lines(), 0)

        sent = sent_over(wire.events)
        self.check_once(totals, sent)
        taken = collections.Counter(ours(statsd.packets()))
        lost = collections.Counter(sent) - taken
        self.check_once(totals, taken.elements(), lost.elements())

        # Lost is what the kernel had accepted: it was just on its way, or waited in the socket; or
        # was dropped before, where the machine is too slow for statsd.
        refused = len(ours(event.payload for event in wire.events if event.refused))
        waited = lost.total() - refused - self.dropped()
        print(f"of {len(sent)} datagrams {waited} waited, {refused} were on their way, "
              f"{self.dropped()} were dropped before")
        self.assertLessEqual(refused, BURST_DATAGRAMS)
        self.assertIn(waited, range(BUFFER_DATAGRAMS + 1))

    def test_receiver_on_a_unix_socket_that_ends(self):
        room = 20
        self.server.sysctl("net.unix.max_dgram_qlen", room)
        path = str(self.folder / "dsd.sock")
        before = Listener(self, self.server, path)
        clock = Listener(self, self.server)
        self.watch(f'{{ address = "unix://{path}"; host = false; {ALL} }}, {{ host = false; }}')
        self.each_kind()
        wait_for(lambda: before.counters["httpacct.gamma.replies.4xx"], "the first services")
        before.hang()
        self.ask_for(f"n{i}" for i in range(900))
        clock.wait_for_flushes(3)
        self.agent.process.send_signal(signal.SIGSTOP)
        lost = before.end()
        pathlib.Path(path).unlink()
        self.agent.process.send_signal(signal.SIGCONT)
        self.agent.wait_until(lambda: "what is due is kept" in self.agent.err, "a failure")
        self.ask_for(f"n{i}" for i in range(900))
        clock.wait_for_flushes(3)
        after = Listener(self, self.server, path)
        self.agent.wait_until(lambda: "sent again" in self.agent.err, "the end of the outage")
        totals = self.finish()
        wait_for(lambda: after.counters["httpacct.n899.requests"], "the last datagram")
        print(f"{len(lost)} datagrams were lost with a queue of {room}")
        self.check_once(totals, before.datagrams, lost, after.datagrams)
        self.assertLessEqual(len(lost), room + 1)

    def join_from_far(self, delay_s):
        """A host that is farther away: what is sent to it takes its time."""
        far = self.namespace("far")
        ends = [Tun(namespace, "tun0", IFF_TUN) for namespace in (self.server, far)]
        for namespace, address in ((self.server, NEAR), (far, FAR)):
            namespace.run("ip", "addr", "add", f"{address}/24", "dev", "tun0")
            namespace.run("ip", "link", "set", "tun0", "up")
        self.addCleanup(Pump(*ends, delay_s=delay_s).stop)
        return far

    def check_far(self, delay_s):
        """A host refuses, and takes later. Lost is what it had not refused in time: returns that,
        none but of the first flush."""
        far = self.join_from_far(delay_s)
        wire = Wire(self, self.server, "tun0", STATSD_PORT)
        self.watch(f'{{ address = "{FAR}"; host = false; {ALL} }}')
        self.each_kind()
        wire.wait_for(lambda events: flushes_refused_in_time(events) >= 3, "refusals in time")
        listener = Listener(self, far, (FAR, STATSD_PORT))
        self.each_kind()
        listener.wait_for_flushes(1)
        totals = self.finish()
        sent = sent_over(wire.events)
        wait_for(lambda: listener.datagrams[-1:] == sent[-1:], "the last datagram")
        self.check_once(totals, sent)
        self.assertFalse(was_sent_after_a_refusal(wire.events))
        self.assertGreaterEqual(min(pauses_s(wire.events)), PAUSE_S)
        first = next(number for number, event in enumerate(wire.events) if event.refused)
        late = sent_over(wire.events[:first])
        lost = collections.Counter(sent) - collections.Counter(listener.datagrams)
        self.assertEqual(lost, collections.Counter(late))
        return late

    def test_host_that_refuses_in_time_loses_nothing(self):
        self.check_far(delay_s=0.01)

    def test_host_that_refuses_late_loses_one_flush(self):
        self.assertNotEqual(self.check_far(delay_s=0.1), [])

    def test_syslog_host_that_refuses_late_loses_a_line_of_the_log(self):
        far = self.join_from_far(delay_s=0.1)
        wire = Wire(self, self.server, "tun0", SYSLOG_PORT)
        self.config.write_text(f'''rules = ( {{ query = "s"; }} );
            syslog = {{ address = "udp://{FAR}:{SYSLOG_PORT}"; interval = 1; }};''')
        self.count_by_others()
        self.agent = self.start(self.server, HTTPACCT, "-c", self.config, "-i", "server0",
                                "--print", "json")
        wire.wait_for(lambda events: any(event.refused for event in events), "a first refusal")
        self.each_kind()
        wire.wait_for(lambda events: sum(event.refused for event in events) >= 4, "refusals")
        listener = SyslogListener(self, far, FAR)
        self.each_kind()
        self.agent.wait_until(lambda: listener.says(" service=gamma "), "a message")
        totals = self.finish()
        requests = sum(service["requests"] for service in totals.services.values())
        wait_for(lambda: sum(facts["requests"] for facts in listener.facts("service").values())
                 == requests, "the last messages")
        self.check_facts(totals, listener.facts("service"))
        self.assertTrue(listener.says("connection refused: what is due waits"))
        self.assertFalse(listener.says("watching server0"))

    def private_names(self):
        """Names known to the agent are those written to this file."""
        (self.folder / "nsswitch.conf").write_text("hosts: files\n")
        hosts = self.folder / "hosts"
        hosts.touch()
        return hosts, ("unshare", "-m", "--propagation", "private", "sh", "-ec",
                       PRIVATE_NAMES.format(folder=self.folder), "sh")

    def test_receivers_that_are_not_there_yet(self):
        """Each for another reason, with another dialect and interval; none disturbs another."""
        hosts, inside = self.private_names()
        far = self.namespace("far")
        self.connect(self.server, far, ("near0", "far0"), "10.96.0")
        self.server.run("ip", "route", "del", "10.96.0.0/24", "dev", "near0")
        path = str(self.folder / "dsd.sock")
        there = Listener(self, self.server)
        self.watch(f"""
            {{ host = false; {ALL} }},
            {{ address = "unix://{path}"; dialect = "datadog"; {ALL} datagram = 8192; }},
            {{ address = "metrics.example:8126"; host = false; {ALL} }},
            {{ address = "{FAR}"; dialect = "datadog"; {ALL} }}""",
            inside=inside)
        for _ in range(3):
            self.each_kind()
            there.wait_for_flushes(1)
        hosts.write_text("127.0.0.1 metrics.example\n")
        self.server.run("ip", "route", "add", "10.96.0.0/24", "dev", "near0")
        late = [Listener(self, self.server, path),
                Listener(self, self.server, ("127.0.0.1", 8126)),
                Listener(self, far, (FAR, STATSD_PORT))]
        self.each_kind()
        for listener in late:
            listener.wait_for_flushes(1)
        totals = self.finish()
        for listener, expected in zip([there, *late], [expected_graphite, expected_datadog] * 2):
            wait_for(lambda: counters_of_services(listener.datagrams) == expected(totals),
                     "all that was counted")


require_root()
require("node", "npm", "unshare", *PROGRAMS)
npm_package(STATSD_PACKAGE)
main()
