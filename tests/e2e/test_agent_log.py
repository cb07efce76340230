#!/usr/bin/python3
"""httpacct to rsyslog, syslog-ng and a real journal: each field comes back, with the totals of
--print json, and so do the lines of its own log."""

import collections
import re
import socket

from harness import HTTPACCT, main, require, require_root, wait_for
from listeners import Listener
from log_receivers import PORT, Journal, Rsyslog, SyslogNg, mounts_of, private_dev
from log_receivers import PROGRAMS as LOG_PROGRAMS
from web import DIRECTIONS, MEASURES, PROGRAMS, WebTest, hostile_names

FACTS = re.compile(r"(service|interface|agent)=\S+( \w+=\d+)*")
GAUGES = {"open", "ttfb_p50_us", "ttfb_p95_us", "ttfb_p99_us"}
TCP, UDP = f"tcp://127.0.0.1:{PORT}", f"udp://127.0.0.1:{PORT}"


def facts_of(service):
    """All that is said of a service that moved so much."""
    facts = {f"{way}_{measure}": service[way][measure]
             for way in DIRECTIONS for measure in MEASURES}
    facts |= {f"replies_{group}": count for group, count in service["replies"].items()}
    facts |= {measure: service[measure] for measure in ("requests", "unanswered")}
    return {name: value for name, value in facts.items() if value}


def words_of(text):
    """The words of a message that tells facts, or None."""
    return dict(word.split("=") for word in text.split()) if FACTS.fullmatch(text) else None


def sums(messages, subject):
    """What messages say of each @subject, gauges left out."""
    of = collections.defaultdict(collections.Counter)
    for message in messages:
        facts = words_of(message.text)
        if facts and subject in facts:
            of[facts.pop(subject)].update({fact: int(value) for fact, value in facts.items()
                                           if fact not in GAUGES})
    return of


class AgentLogTest(WebTest):
    def log_to(self, address, inside=(), more=""):
        """Run httpacct with its log and its facts going there."""
        self.config.write_text(f"""
            rules = ( {{ query = "s"; }} );
            services = {{ max = 10000; }};
            syslog = {{ address = "{address}"; interval = 1; metrics = [ "all" ]; }};
            {more}""")
        self.count_by_others()
        self.agent = self.start(self.server, *inside, HTTPACCT, "-c", self.config,
                                "-i", "server0", "--print", "json")

    def wait_until_said(self, receiver, text):
        self.agent.wait_until(
            lambda: any(text in message.text for message in receiver.messages()), text)

    def log_and_wait(self, receiver, address, **more):
        self.log_to(address, **more)
        self.wait_until_said(receiver, "watching server0")

    def traffic_for(self, receiver):
        """Some for each member of a message."""
        self.each_kind()
        with self.open_connection() as connection:
            self.ask_over(connection, ["alpha"])
            self.wait_until_said(receiver, " open=1")

    def finish_with(self, receiver):
        """The totals, and all messages."""
        totals = self.finish()
        self.assertEqual(self.agent.err, "")
        expected = {name: facts_of(service) for name, service in totals.services.items()}
        wait_for(lambda: sums(receiver.messages(), "service") == expected, "all that was counted")
        return totals, receiver.messages()

    def check_subjects(self, totals, messages):
        """What is said of the interface is as exact; the agent says something of itself."""
        interface = sums(messages, "interface")["server0"]
        for member in ("tcp_bytes", "service_bytes", "not_http_bytes", "untracked_bytes"):
            self.assertEqual(interface[member], totals.interface(member), member)
        self.assertGreater(sums(messages, "agent")["httpacct"]["cpu_ms"], 0)

    def check_data(self, messages):
        """The data of each message is what its words say, and its head says who speaks."""
        self.assertEqual({(message.host, message.app, message.procid, message.facility)
                          for message in messages},
                         {(socket.gethostname(), "httpacct", str(self.agent.process.pid),
                           "daemon")})
        seen = set()
        for message in messages:
            facts = words_of(message.text)
            self.assertEqual(message.data, facts, message.text)
            self.assertEqual(message.severity, "info", message.text)
            seen |= set(facts or ())
        self.assertLessEqual(GAUGES | {"service", "interface", "agent"}, seen)

    def check_numbers(self, messages):
        self.assertEqual([(message.msgid, message.sequence) for message in messages],
                         [("FLUSH" if message.data else "LOG", str(number))
                          for number, message in enumerate(messages, 1)])

    def check_remote(self, receiver, address):
        self.log_and_wait(receiver, address)
        self.traffic_for(receiver)
        totals, messages = self.finish_with(receiver)
        self.check_subjects(totals, messages)
        self.check_data(messages)
        self.check_numbers(messages)

    def test_rsyslog_over_udp(self):
        self.check_remote(Rsyslog(self, self.server), UDP)

    def test_rsyslog_over_tcp(self):
        self.check_remote(Rsyslog(self, self.server), TCP)

    def test_syslog_ng_over_udp(self):
        self.check_remote(SyslogNg(self, self.server), UDP)

    def test_syslog_ng_over_tcp(self):
        self.check_remote(SyslogNg(self, self.server), TCP)

    def test_journal(self):
        journal = Journal(self, self.server)
        self.log_and_wait(journal, "local", inside=journal.inside)
        self.traffic_for(journal)
        totals, messages = self.finish_with(journal)
        self.check_subjects(totals, messages)
        self.check_data(messages)

    def test_syslog3(self):
        """It has no structured data."""
        receiver = Rsyslog(self, self.server)
        holder = self.start(self.server,
                            *private_dev(self.folder, receiver.local, "exec sleep 1000"))
        holder.wait_until(lambda: (self.folder / "dev/log").is_symlink(), "the private /dev")
        self.log_and_wait(receiver, "local", inside=mounts_of(holder))
        self.traffic_for(receiver)
        totals, messages = self.finish_with(receiver)
        self.check_subjects(totals, messages)
        self.assertEqual({(message.app, message.procid, message.facility)
                          for message in messages},
                         {("httpacct", str(self.agent.process.pid), "daemon")})

    def test_receiver_that_restarts_over_tcp_misses_nothing(self):
        receiver = Rsyslog(self, self.server)
        clock = Listener(self, self.server)
        self.log_and_wait(receiver, TCP, more="statsd = ( { } ); flush = { interval = 1; };")
        self.curl("/small?s=before")
        self.wait_until_said(receiver, "service=before")
        self.server.wait_until_quiet("server0")
        clock.wait_for_flushes(2)
        receiver.stop()
        intervals = 4
        for _ in range(intervals):
            self.curl("/small?s=away")
            clock.wait_for_flushes(1)
        receiver.start()
        self.wait_until_said(receiver, "connected again")
        self.curl("/small?s=after")
        _, messages = self.finish_with(receiver)
        self.assertTrue(any("what is due waits" in message.text for message in messages))
        away = [message for message in messages if message.text.startswith("service=away ")]
        self.assertLess(len(away), intervals, "they were not merged")

    def check_hostile_names(self, receiver, address, count=10_000, **more):
        """They arrive, and stay apart."""
        self.log_and_wait(receiver, address, **more)
        self.ask_for(hostile_names(count))
        wait_for(lambda: len(sums(receiver.messages(), "service")) == count, "all services")
        _, messages = self.finish_with(receiver)
        self.assertEqual({facts["requests"] for facts in sums(messages, "service").values()}, {1})
        return messages

    def test_hostile_names_in_rsyslog(self):
        self.check_numbers(self.check_hostile_names(Rsyslog(self, self.server), TCP))

    def test_hostile_names_in_syslog_ng(self):
        self.check_numbers(self.check_hostile_names(SyslogNg(self, self.server), TCP))

    def test_hostile_names_in_the_journal(self):
        """As many as it takes of one program: 10,000 messages in 30 s."""
        journal = Journal(self, self.server)
        self.check_hostile_names(journal, "local", 3000, inside=journal.inside)

    def test_receivers_that_hang_cost_no_memory(self):
        with self.server.entered():
            tcp = socket.create_server(("127.0.0.1", PORT))
        self.addCleanup(tcp.close)
        path = self.folder / "hangs.sock"
        unix = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(unix.close)
        unix.bind(str(path))
        listener = Listener(self, self.server)
        self.log_to(TCP, more=f"""
            flush = {{ interval = 1; }};
            statsd = ( {{ address = "unix://{path}"; metrics = [ "all" ]; }},
                       {{ host = false; }} );""")
        listener.wait_for_flushes(1)
        memory = []
        for _ in range(10):
            self.ask_for(f"n{i}" for i in range(900))
            listener.wait_for_flushes(1)
            memory.append(listener.gauges["httpacct.agent.memory_bytes"])
        # Kept for later, what is said in these rounds would take four times as much.
        self.assertLess(memory[-1] - memory[3], 1 << 20, memory)
        self.assertEqual(self.agent.stop(), 0)
        for receiver in ("syslog", f"statsd unix://{path}"):
            self.assertRegex(self.agent.err,
                             f"{receiver}: \\d+ of the bytes counted could not be sent any more")


require_root()
require(*PROGRAMS, *LOG_PROGRAMS)
main()
