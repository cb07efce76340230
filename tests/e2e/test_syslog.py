#!/usr/bin/python3
"""rsyslog, syslog-ng, a real journal and whoever reads /dev/log give back every field of what
the syslog sink was fed; logger(1) writes the same message."""

import collections
import json
import os
import re
import signal
import socket
import subprocess
import time

from harness import BUILD, LabTest, main, require, require_root, run, wait_for
from packages import unpacked

FEED = BUILD / "tests/syslog_feed"
JOURNALD = "/lib/systemd/systemd-journald"
PORT = 25514
REST_S = 0.2  # after this long UDP probes before it sends
LOCAL = "local"
SD_ID = "httpacct@32473"
LIBRARIES = "usr/lib/x86_64-linux-gnu"
MODULES = {"rsyslog": f"{LIBRARIES}/rsyslog", "syslog-ng": "usr/lib/syslog-ng"}

# Service names as no agent makes them: all that structured data must escape.
HOSTILE = ["yo", 'q"uote', "back\\slash", "brack]et", 'a"]b[c\\', "\\\\", '"', "]",
           "eq=ual", "café", "日本", "a b", "%s%n", "_other", "-", "x" * 64]
LARGEST = 2**64 - 1

RSYSLOG = """
global(workDirectory="{folder}" net.enableDNS="off")
module(load="imuxsock" SysSock.Use="off")
module(load="imudp") module(load="imtcp") module(load="mmpstrucdata")
input(type="imudp" address="127.0.0.1" port="{port}" ruleset="r")
input(type="imtcp" address="127.0.0.1" port="{port}" ruleset="r")
{local}
template(name="j" type="list" option.jsonf="on") {{
  property(outname="severity" name="syslogseverity-text" format="jsonf")
  property(outname="facility" name="syslogfacility-text" format="jsonf")
  property(outname="host" name="hostname" format="jsonf")
  property(outname="time" name="timereported" dateFormat="rfc3339" format="jsonf")
  property(outname="app" name="app-name" format="jsonf")
  property(outname="procid" name="procid" format="jsonf")
  property(outname="msgid" name="msgid" format="jsonf")
  property(outname="tag" name="syslogtag" format="jsonf")
  property(outname="text" name="msg" format="jsonf")
  property(outname="data" name="$!all-json-plain" format="jsonf")
}}
ruleset(name="r") {{
  action(type="mmpstrucdata")
  action(type="omfile" file="{folder}/out.jsonl" template="j" asyncWriting="off"
         flushOnTXEnd="on")
}}
"""

SYSLOG_NG = """
@version: 3.38
options {{ keep-hostname(yes); use-dns(no); flush-lines(1); stats-freq(0); }};
source s_udp {{ syslog(ip(127.0.0.1) port({port}) transport("udp")); }};
source s_tcp {{ syslog(ip(127.0.0.1) port({port}) transport("tcp")); }};
destination d {{ file("{folder}/out.jsonl" template("$(format-json
    --scope rfc5424 --key .SDATA.* --pair severity=$LEVEL)\\n")); }};
log {{ source(s_udp); source(s_tcp); destination(d); }};
"""

# A /dev of its own, whose log is /run/log.
PRIVATE_DEV = """
mkdir -p {folder}/dev
for node in null zero urandom; do
    touch {folder}/dev/$node
    mount --bind /dev/$node {folder}/dev/$node
done
ln -s {log} {folder}/dev/log
mount --rbind {folder}/dev /dev
"""

JOURNAL = """
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/journal /run/log/journal/$(cat /etc/machine-id)
exec {journald}
"""

Message = collections.namedtuple("Message", "host app procid msgid severity data text")


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

    def flush(self):
        """How many messages were accepted, how many refused, and which bytes are due."""
        self.say("flush")
        self.process.stdin.flush()
        return tuple(map(int, self.process.stdout.readline().split()))


def words(service, in_bytes, out_bytes):
    return f"service={service} in_bytes={in_bytes} out_bytes={out_bytes} requests=1 replies_4xx=1"


def rsyslog_data(record):
    return json.loads(record["data"])["rfc5424-sd"]


class SyslogTest(LabTest):
    def setUp(self):
        super().setUp()
        self.lab = self.namespace("hsy")
        self.out = self.folder / "out.jsonl"

    def records(self):
        if not self.out.exists():
            return []
        whole, _, _ = self.out.read_text().rpartition("\n")
        return [json.loads(line) for line in whole.split("\n") if line]

    def start_receiver(self, package, program, *options, text):
        root = unpacked(package)
        config = self.folder / "receiver.conf"
        config.write_text(text)
        path = f"{root / LIBRARIES}:{root / 'usr/lib/syslog-ng'}"
        return self.start(self.lab, "env", f"LD_LIBRARY_PATH={path}", root / program,
                          *(option.format(root=root, folder=self.folder) for option in options))

    def start_rsyslog(self, local=""):
        receiver = self.start_receiver(
            "rsyslog", "usr/sbin/rsyslogd", "-n", "-M", "{root}/" + MODULES["rsyslog"],
            "-f", "{folder}/receiver.conf", "-i", "{folder}/pid",
            text=RSYSLOG.format(folder=self.folder, port=PORT, local=local))
        self.wait_for_port(receiver)
        return receiver

    def start_syslog_ng(self):
        receiver = self.start_receiver(
            "syslog-ng-core", "usr/sbin/syslog-ng", "-F", "--no-caps", "--stderr",
            "--module-path", "{root}/" + MODULES["syslog-ng"] + "/3.38",
            "-f", "{folder}/receiver.conf", "-R", "{folder}/persist", "-p", "{folder}/pid",
            "-c", "{folder}/control",
            text=SYSLOG_NG.format(folder=self.folder, port=PORT))
        self.wait_for_port(receiver)

    def wait_for_port(self, receiver):
        def listens():
            sockets = self.lab.run("ss", "-Hlntu").stdout
            return sockets.count(f"127.0.0.1:{PORT}") == 2
        receiver.wait_until(listens, "the receiver's port")

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

    def wait_for_records(self, count):
        wait_for(lambda: len(self.records()) >= count, f"{count} records")
        return self.records()

    # --- rsyslog

    def check_rsyslog(self, transport):
        self.start_rsyslog()
        feed = self.feed_hostile(transport)
        messages, numbers = [], []
        for record in self.wait_for_records(len(HOSTILE) + 1):
            data = rsyslog_data(record)
            numbers.append(int(data["meta"]["sequenceid"]))  # it lowers the case
            self.assertRegex(record["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}")
            self.assertEqual(record["facility"], "daemon")
            messages.append(Message(record["host"], record["app"], record["procid"],
                                    record["msgid"], record["severity"], data.get(SD_ID),
                                    record["text"].lstrip("\ufeff")))
        self.assertEqual(numbers, list(range(1, len(numbers) + 1)))
        self.check_hostile(feed, messages)

    def test_rsyslog_over_udp(self):
        self.check_rsyslog("udp")

    def test_rsyslog_over_tcp(self):
        self.check_rsyslog("tcp")

    # --- syslog-ng

    def check_syslog_ng(self, transport):
        self.start_syslog_ng()
        feed = self.feed_hostile(transport)
        messages, numbers = [], []
        for record in self.wait_for_records(len(HOSTILE) + 1):
            data = record["_SDATA"]
            numbers.append(int(data["meta"]["sequenceId"]))
            messages.append(Message(record["HOST"], record["PROGRAM"], record["PID"],
                                    record["MSGID"], record["severity"], data.get(SD_ID),
                                    record["MESSAGE"]))
        self.assertEqual(numbers, list(range(1, len(numbers) + 1)))
        self.check_hostile(feed, messages)

    def test_syslog_ng_over_udp(self):
        self.check_syslog_ng("udp")

    def test_syslog_ng_over_tcp(self):
        self.check_syslog_ng("tcp")

    # --- many, and a receiver that goes away

    def sums(self):
        """Bytes in and out of each service, added up over its messages."""
        sums = collections.defaultdict(lambda: [0, 0])
        for record in self.records():
            data = rsyslog_data(record).get(SD_ID)
            if data and "service" in data:
                sums[data["service"]][0] += int(data["in_bytes"])
                sums[data["service"]][1] += int(data["out_bytes"])
        return sums

    def check_thousands(self, transport):
        count = 10000
        self.start_rsyslog()
        feed = Feed(self, f"{transport}://127.0.0.1:{PORT}", self.lab.command())
        for interval in range(2):
            for number in range(count):
                feed.say("moved", f"service-{number}", number + 1, interval + 1, 1)
            self.assertEqual(feed.flush(), ((interval + 1) * count, 0, 0))
        wait_for(lambda: len(self.sums()) == count, "all services")
        expected = {f"service-{number}": [2 * (number + 1), 3] for number in range(count)}
        wait_for(lambda: self.sums() == expected, "all bytes")

    def test_ten_thousand_services_over_udp(self):
        self.check_thousands("udp")

    def test_ten_thousand_services_over_tcp(self):
        self.check_thousands("tcp")

    def check_restart(self, transport):
        receiver = self.start_rsyslog()
        feed = Feed(self, f"{transport}://127.0.0.1:{PORT}", self.lab.command())
        expected = collections.Counter()

        def interval():
            for number in range(200):
                feed.say("moved", f"service-{number}", 100 + number, 1, 1)
                expected[f"service-{number}"] += 100 + number
            return feed.flush()

        self.assertEqual(interval()[2], 0)
        wait_for(lambda: len(self.sums()) == 200, "the first interval")
        receiver.stop(signal.SIGTERM)
        time.sleep(REST_S)
        _, _, due = interval()
        self.assertEqual(due, sum(expected.values()) // 2 + 200, "all of it stays due")
        self.start_rsyslog()
        self.assertEqual(interval()[2], 0)
        wait_for(lambda: {name: sums[0] for name, sums in self.sums().items()} == expected,
                 "what was due while nobody listened")

    def test_receiver_that_restarts_over_udp(self):
        self.check_restart("udp")

    def test_receiver_that_restarts_over_tcp(self):
        self.check_restart("tcp")

    # --- this host's own log

    def private(self, log, script):
        """A command line that runs @script where /dev/log is @log."""
        return ("unshare", "-m", "--propagation", "private", "sh", "-ec",
                PRIVATE_DEV.format(folder=self.folder, log=log) + script)

    def enter(self, program):
        """A command line prefix that runs a program in the mounts of another."""
        return ("nsenter", "-m", "-t", str(program.process.pid))

    def test_syslog3(self):
        path = self.folder / "log"
        local = f'input(type="imuxsock" Socket="{path}" CreatePath="on" ruleset="r")'
        receiver = self.start_rsyslog(local)
        wait_for(path.exists, "the receiver's /dev/log")
        holder = self.start(self.lab, *self.private(path, "exec sleep 1000"))
        wait_for(lambda: (self.folder / "dev/log").is_symlink(), "the private /dev")
        feed = Feed(self, LOCAL, self.enter(holder))
        feed.say("moved", "yo", 136, 410, 1)
        feed.say("log", "eth0 is down")
        self.assertEqual(feed.flush(), (2, 0, 0))
        log, flush = self.wait_for_records(2)
        self.assertEqual((log["tag"], log["severity"], log["facility"], log["text"].strip()),
                         (f"httpacct[{feed.pid}]:", "warning", "daemon", "eth0 is down"))
        self.assertEqual((flush["severity"], flush["text"].strip()), ("info", words("yo", 136, 410)))

        # A reader that hangs does not hang the sink, and what it takes is not told twice.
        receiver.process.send_signal(signal.SIGSTOP)
        for number in range(5000):
            feed.say("moved", f"service-{number}", 1000, 1, 1)
        _, _, due = feed.flush()
        self.assertGreater(due, 0)
        receiver.process.send_signal(signal.SIGCONT)
        wait_for(lambda: feed.flush()[2] == 0, "the rest")
        records = self.wait_for_records(5002)
        self.assertEqual(len(records), 5002)
        self.assertEqual(len({record["text"] for record in records}), 5002)

    def test_nobody_reads_dev_log(self):
        holder = self.start(self.lab, *self.private("/nonexistent", "exec sleep 1000"))
        wait_for(lambda: (self.folder / "dev/log").is_symlink(), "the private /dev")
        feed = Feed(self, LOCAL, self.enter(holder))
        feed.say("moved", "yo", 136, 410, 1)
        accepted, refused, due = feed.flush()
        self.assertEqual((accepted, due), (0, 546))
        self.assertGreater(refused, 0)

    def test_journal(self):
        script = JOURNAL.format(journald=JOURNALD)
        journald = self.start(self.lab, *self.private("/run/systemd/journal/dev-log", script))
        inside = self.enter(journald)
        wait_for(lambda: run(*inside, "test", "-S", "/run/systemd/journal/socket",
                             check=False).returncode == 0, "the journal's socket")
        feed = Feed(self, LOCAL, inside)
        feed.say("moved", "yo", 136, LARGEST, 1)
        feed.say("log", "eth0 is down: café")
        self.assertEqual(feed.flush(), (2, 0, 0))

        def entries():
            text = run(*inside, "journalctl", "-D", "/run/log/journal", "-o", "json",
                       "SYSLOG_IDENTIFIER=httpacct").stdout
            found = [json.loads(line) for line in text.splitlines()]
            return found if len(found) == 2 else None

        log, flush = wait_for(entries, "two entries")
        ours = {name: value for name, value in flush.items() if name.startswith("HTTPACCT_")}
        self.assertEqual(ours, {
            "HTTPACCT_SERVICE": "yo", "HTTPACCT_IN_BYTES": "136",
            "HTTPACCT_OUT_BYTES": str(LARGEST), "HTTPACCT_REQUESTS": "1", "HTTPACCT_REPLIES_4XX": "1"})
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
            params = {"service": name, "in_bytes": 136, "out_bytes": 410, "requests": 1, "replies_4xx": 1}
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


require(FEED, "apt-get", "dpkg-deb", "logger", "ss", "unshare", "nsenter", "journalctl", JOURNALD)
require_root()
main()
