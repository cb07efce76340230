#!/usr/bin/python3
"""rsyslog, syslog-ng, a real journal and whoever reads /dev/log give back every field of what
the syslog sink was fed; logger(1) writes the same message."""

import collections
import pathlib
import re
import signal
import socket
import subprocess
import time

from harness import BUILD, LabTest, main, require, require_root, wait_for
from log_receivers import (PORT, PROGRAMS, SD_ID, Journal, Rsyslog, SyslogNg, mounts_of,
                           private_dev)
from receivers import receive_errors

FEED = BUILD / "tests/syslog_feed"
REST_S = 0.2  # after this long UDP probes before it sends
LOCAL = "local"
LONG_MS, SHORT_MS = 100_000, 500  # patience with a receiver that is there, and with one that is not

# Service names as no agent makes them: all that structured data must escape.
HOSTILE = ["yo", 'q"uote', "back\\slash", "brack]et", 'a"]b[c\\', "\\\\", '"', "]",
           "eq=ual", "café", "日本", "a b", "%s%n", "_other", "-", "x" * 64]
LARGEST = 2**64 - 1


class Feed:
    """The program under test."""

    def __init__(self, test, address, command=()):
        self.process = subprocess.Popen([*command, FEED, address], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        test.addCleanup(self.process.wait)
        test.addCleanup(self.process.kill)
        test.addCleanup(self.process.stdin.close)
        test.addCleanup(self.process.stdout.close)

    @property
    def pid(self):
        return str(self.process.pid)

    def say(self, *words):
        self.process.stdin.write("\t".join(map(str, words)) + "\n")

    def flush(self, patience_ms=LONG_MS):
        """How many messages were accepted, how many refused, and which bytes are due."""
        self.say("flush", patience_ms)
        self.process.stdin.flush()
        return tuple(map(int, self.process.stdout.readline().split()))


def words(service, in_bytes, out_bytes):
    return f"service={service} in_bytes={in_bytes} out_bytes={out_bytes} requests=1 replies_4xx=1"


class SyslogTest(LabTest):
    def setUp(self):
        super().setUp()
        self.lab = self.namespace("hsy")

    def feed_hostile(self, transport):
        feed = Feed(self, f"{transport}://127.0.0.1:{PORT}", self.lab.command())
        for number, name in enumerate(HOSTILE):
            feed.say("moved", name, 1000 + number, LARGEST, 1)
        feed.say("log", "eth0 is down: café")
        accepted, refused, due = feed.flush()
        self.assertEqual((accepted, refused, due), (len(HOSTILE) + 1, 0, 0))
        return feed

    def check_hostile(self, feed, messages):
        """Each field of each message is as it was fed."""
        host = socket.gethostname()
        for message in messages:
            self.assertEqual((message.host, message.app, message.procid),
                             (host, "httpacct", feed.pid))
        told = {}
        for message in messages:
            if message.msgid == "FLUSH":
                self.assertEqual(message.severity, "info")
                told[message.data["service"]] = message
        self.assertEqual(sorted(told), sorted(HOSTILE))
        for number, name in enumerate(HOSTILE):
            self.assertEqual(told[name].data,
                             {"service": name, "in_bytes": str(1000 + number),
                              "out_bytes": str(LARGEST), "requests": "1", "replies_4xx": "1"})
            self.assertEqual(told[name].text, words(name, 1000 + number, LARGEST))
        log = [message for message in messages if message.msgid == "LOG"]
        self.assertEqual([(message.severity, message.text) for message in log],
                         [("warning", "eth0 is down: café")])

    def check_receiver(self, receiver, transport):
        feed = self.feed_hostile(transport)
        messages = receiver.wait_for_messages(len(HOSTILE) + 1)
        self.assertEqual([message.sequence for message in messages],
                         [str(number) for number in range(1, len(messages) + 1)])
        self.assertEqual({message.facility for message in messages}, {"daemon"})
        self.check_hostile(feed, messages)

    def check_rsyslog(self, transport):
        receiver = Rsyslog(self, self.lab)
        self.check_receiver(receiver, transport)
        for record in receiver.records():
            self.assertRegex(record["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}")

    def test_rsyslog_over_udp(self):
        self.check_rsyslog("udp")

    def test_rsyslog_over_tcp(self):
        self.check_rsyslog("tcp")

    def test_syslog_ng_over_udp(self):
        self.check_receiver(SyslogNg(self, self.lab), "udp")

    def test_syslog_ng_over_tcp(self):
        self.check_receiver(SyslogNg(self, self.lab), "tcp")

    # --- many, and a receiver that goes away

    def sums(self, receiver):
        """Bytes in and out of each service, added up over its messages."""
        sums = collections.defaultdict(lambda: [0, 0])
        for message in receiver.messages():
            if message.data and "service" in message.data:
                sums[message.data["service"]][0] += int(message.data["in_bytes"])
                sums[message.data["service"]][1] += int(message.data["out_bytes"])
        return sums

    def check_thousands(self, transport):
        count = 10000
        receiver = Rsyslog(self, self.lab)
        feed = Feed(self, f"{transport}://127.0.0.1:{PORT}", self.lab.command())
        for interval in range(2):
            for number in range(count):
                feed.say("moved", f"service-{number}", number + 1, interval + 1, 1)
            self.assertEqual(feed.flush(), ((interval + 1) * count, 0, 0))
        self.assertEqual(receive_errors(self.lab), 0, "the receiver was too slow")
        receiver.wait_for_messages(2 * count)
        self.assertEqual(self.sums(receiver), {f"service-{number}": [2 * (number + 1), 3]
                                               for number in range(count)})

    def test_ten_thousand_services_over_udp(self):
        self.check_thousands("udp")

    def test_ten_thousand_services_over_tcp(self):
        self.check_thousands("tcp")

    def check_restart(self, transport):
        receiver = Rsyslog(self, self.lab)
        feed = Feed(self, f"{transport}://127.0.0.1:{PORT}", self.lab.command())
        expected = collections.Counter()

        def interval(patience_ms):
            for number in range(200):
                feed.say("moved", f"service-{number}", 100 + number, 1, 1)
                expected[f"service-{number}"] += 100 + number
            return feed.flush(patience_ms)

        self.assertEqual(interval(LONG_MS)[2], 0)
        receiver.wait_for_messages(200)
        receiver.stop()
        time.sleep(REST_S)
        _, _, due = interval(SHORT_MS)
        self.assertEqual(due, sum(expected.values()) // 2 + 200, "all of it stays due")
        receiver.start()
        self.assertEqual(interval(LONG_MS)[2], 0)
        wait_for(lambda: {name: sums[0] for name, sums in self.sums(receiver).items()} == expected,
                 "what was due while nobody listened")

    def test_receiver_that_restarts_over_udp(self):
        self.check_restart("udp")

    def test_receiver_that_restarts_over_tcp(self):
        self.check_restart("tcp")

    # --- this host's own log

    def hold_dev(self, log):
        """A prefix that runs a program where /dev/log is @log."""
        holder = self.start(self.lab, *private_dev(self.folder, log, "exec sleep 1000"))
        name = pathlib.Path(f"/proc/{holder.process.pid}/comm")
        holder.wait_until(lambda: name.read_text() == "sleep\n", "the private /dev")
        return mounts_of(holder)

    def test_syslog3(self):
        receiver = Rsyslog(self, self.lab)
        feed = Feed(self, LOCAL, self.hold_dev(receiver.local))
        feed.say("moved", "yo", 136, 410, 1)
        feed.say("log", "eth0 is down")
        self.assertEqual(feed.flush(), (2, 0, 0))
        log, flush = receiver.wait_for_messages(2)
        self.assertEqual((log.app, log.procid, log.severity, log.facility, log.text),
                         ("httpacct", feed.pid, "warning", "daemon", "eth0 is down"))
        self.assertEqual((flush.severity, flush.text), ("info", words("yo", 136, 410)))

        # A reader that hangs does not hang the sink, and what it takes is not told twice.
        receiver.program.process.send_signal(signal.SIGSTOP)
        for number in range(5000):
            feed.say("moved", f"service-{number}", 1000, 1, 1)
        _, _, due = feed.flush(SHORT_MS)
        self.assertGreater(due, 0)
        receiver.program.process.send_signal(signal.SIGCONT)
        wait_for(lambda: feed.flush()[2] == 0, "the rest")
        messages = receiver.wait_for_messages(5002)
        self.assertEqual(len(messages), 5002)
        self.assertEqual(len({message.text for message in messages}), 5002)

    def test_nobody_reads_dev_log(self):
        feed = Feed(self, LOCAL, self.hold_dev("/nonexistent"))
        feed.say("moved", "yo", 136, 410, 1)
        accepted, refused, due = feed.flush()
        self.assertEqual((accepted, due), (0, 546))
        self.assertGreater(refused, 0)

    def test_journal(self):
        journal = Journal(self, self.lab)
        feed = Feed(self, LOCAL, journal.inside)
        feed.say("moved", "yo", 136, LARGEST, 1)
        feed.say("log", "eth0 is down: café")
        self.assertEqual(feed.flush(), (2, 0, 0))
        log, flush = journal.wait_for_entries(2)
        ours = {name: value for name, value in flush.items() if name.startswith("HTTPACCT_")}
        self.assertEqual(ours, {
            "HTTPACCT_SERVICE": "yo", "HTTPACCT_IN_BYTES": "136",
            "HTTPACCT_OUT_BYTES": str(LARGEST), "HTTPACCT_REQUESTS": "1",
            "HTTPACCT_REPLIES_4XX": "1"})
        self.assertEqual(flush["MESSAGE"], words("yo", 136, LARGEST))
        self.assertEqual((flush["PRIORITY"], flush["SYSLOG_FACILITY"], flush["_PID"]),
                         ("6", "3", feed.pid))
        self.assertEqual((log["PRIORITY"], log["MESSAGE"]), ("4", "eth0 is down: café"))

    # --- the reference

    def test_logger_writes_the_same(self):
        """But for the time, which it writes with a zone."""
        with self.lab.entered():
            receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(receiver.close)
        receiver.bind(("127.0.0.1", PORT))
        receiver.settimeout(60)
        feed = Feed(self, f"udp://127.0.0.1:{PORT}", self.lab.command())
        for number, name in enumerate(("yo", "eq=ual", "x" * 64), 1):
            feed.say("moved", name, 136, 410, 1)
            self.assertEqual(feed.flush()[2], 0)
            ours = receiver.recv(65536)
            params = {"service": name, "in_bytes": 136, "out_bytes": 410, "requests": 1,
                      "replies_4xx": 1}
            options = [f'--sd-param={key}="{value}"' for key, value in params.items()]
            self.lab.run("logger", "--rfc5424=notq", "-n", "127.0.0.1", "-P", PORT, "-d",
                         "-p", "daemon.info", "-t", "httpacct", f"--id={feed.pid}",
                         "--msgid", "FLUSH", "--sd-id", SD_ID, *options,
                         "--sd-id", "meta", f'--sd-param=sequenceId="{number}"',
                         words(name, 136, 410))
            theirs = receiver.recv(65536)
            stamp = rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)"
            self.assertEqual(re.sub(stamp, b"TIME", ours, count=1),
                             re.sub(stamp, b"TIME", theirs, count=1))


require(FEED, "logger", *PROGRAMS)
require_root()
main()
