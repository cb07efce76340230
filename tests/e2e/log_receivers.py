"""Who takes syslog, as operators run it: started in a namespace, and read back."""

import collections
import json
import signal

from harness import run, wait_for
from packages import unpacked

PORT = 25514
JOURNALD = "/lib/systemd/systemd-journald"
PROGRAMS = ("apt-get", "dpkg-deb", "ss", "unshare", "nsenter", "journalctl", JOURNALD)
SD_ID = "httpacct@32473"
LIBRARIES = "usr/lib/x86_64-linux-gnu"

# The buffer of its socket holds all that a test sends, however busy the machine is.
RSYSLOG = """
global(workDirectory="{folder}" net.enableDNS="off")
module(load="imuxsock" SysSock.Use="off")
module(load="imudp") module(load="imtcp") module(load="mmpstrucdata")
input(type="imudp" address="127.0.0.1" port="{port}" ruleset="r" rcvbufSize="64m")
input(type="imtcp" address="127.0.0.1" port="{port}" ruleset="r")
input(type="imuxsock" Socket="{folder}/log" CreatePath="on" ruleset="r")
template(name="j" type="list" option.jsonf="on") {{
  property(outname="severity" name="syslogseverity-text" format="jsonf")
  property(outname="facility" name="syslogfacility-text" format="jsonf")
  property(outname="host" name="hostname" format="jsonf")
  property(outname="time" name="timereported" dateFormat="rfc3339" format="jsonf")
  property(outname="app" name="app-name" format="jsonf")
  property(outname="procid" name="procid" format="jsonf")
  property(outname="msgid" name="msgid" format="jsonf")
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
    --scope rfc5424 --key .SDATA.* --pair severity=$LEVEL --pair facility=$FACILITY)\\n")); }};
log {{ source(s_udp); source(s_tcp); destination(d); }};
"""

# A /dev of its own, whose log is another file.
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

# What the journal has as numbers.
SEVERITIES = {"4": "warning", "6": "info"}
FACILITIES = {"3": "daemon"}

# As it was sent, whoever took it: numbers are text, data is what stands under SD_ID.
Message = collections.namedtuple("Message",
                                 "host app procid msgid severity facility sequence data text")


def private_dev(folder, log, script):
    """A command line that runs @script where /dev/log is @log."""
    return ("unshare", "-m", "--propagation", "private", "sh", "-ec",
            PRIVATE_DEV.format(folder=folder, log=log) + script)


def mounts_of(program):
    """A command line prefix that runs a program in the mounts of another."""
    return ("nsenter", "-m", "-t", str(program.process.pid))


class LogReceiver:
    """A daemon that writes each message to a file, a line of JSON."""

    def __init__(self, test, namespace):
        self.test, self.namespace = test, namespace
        self.folder = test.folder / "log-receiver"
        self.folder.mkdir()
        self.config = self.folder / "receiver.conf"
        self.config.write_text(self.CONFIG.format(folder=self.folder, port=PORT))
        self.out = self.folder / "out.jsonl"
        self.root = unpacked(self.PACKAGE)
        self.start()

    def start(self):
        path = f"{self.root / LIBRARIES}:{self.root / 'usr/lib/syslog-ng'}"
        self.program = self.test.start(
            self.namespace, "env", f"LD_LIBRARY_PATH={path}",
            *(part.format(root=self.root, folder=self.folder) for part in self.COMMAND))

        def listens():
            sockets = self.namespace.run("ss", "-Hlntu").stdout
            return sockets.count(f"127.0.0.1:{PORT}") == 2
        self.program.wait_until(listens, "the receiver's port")

    def stop(self):
        self.program.stop(signal.SIGTERM)

    def records(self):
        if not self.out.exists():
            return []
        whole, _, _ = self.out.read_text().rpartition("\n")
        return [json.loads(line) for line in whole.split("\n") if line]

    def messages(self):
        return [self.message(record) for record in self.records()]

    def wait_for_messages(self, count):
        wait_for(lambda: len(self.records()) >= count, f"{count} messages")
        return self.messages()


class Rsyslog(LogReceiver):
    PACKAGE = "rsyslog"
    CONFIG = RSYSLOG
    COMMAND = ("{root}/usr/sbin/rsyslogd", "-n", "-M", "{root}/" + f"{LIBRARIES}/rsyslog",
               "-f", "{folder}/receiver.conf", "-i", "{folder}/pid")

    @property
    def local(self):
        """What /dev/log is where it is this host's own."""
        return self.folder / "log"

    @staticmethod
    def message(record):
        data = json.loads(record["data"]).get("rfc5424-sd", {})
        return Message(record["host"], record["app"], record["procid"], record["msgid"],
                       record["severity"], record["facility"],
                       data.get("meta", {}).get("sequenceid"),  # it lowers the case
                       data.get(SD_ID), record["text"].strip(" \ufeff"))


class SyslogNg(LogReceiver):
    PACKAGE = "syslog-ng-core"
    CONFIG = SYSLOG_NG
    COMMAND = ("{root}/usr/sbin/syslog-ng", "-F", "--no-caps", "--stderr",
               "--module-path", "{root}/usr/lib/syslog-ng/3.38",
               "-f", "{folder}/receiver.conf", "-R", "{folder}/persist", "-p", "{folder}/pid",
               "-c", "{folder}/control")

    @staticmethod
    def message(record):
        data = record["_SDATA"]
        return Message(record["HOST"], record["PROGRAM"], record["PID"], record["MSGID"],
                       record["severity"], record["facility"], data["meta"]["sequenceId"],
                       data.get(SD_ID), record["MESSAGE"])


class Journal:
    """A systemd-journald that owns /dev/log, in mounts of its own."""

    def __init__(self, test, namespace):
        self.program = test.start(namespace, *private_dev(
            test.folder, "/run/systemd/journal/dev-log", JOURNAL.format(journald=JOURNALD)))
        self.inside = mounts_of(self.program)
        self.program.wait_until(
            lambda: run(*self.inside, "test", "-S", "/run/systemd/journal/socket",
                        check=False).returncode == 0, "the journal's socket")

    def entries(self):
        text = run(*self.inside, "journalctl", "-D", "/run/log/journal", "-o", "json",
                   "SYSLOG_IDENTIFIER=httpacct").stdout
        return [json.loads(line) for line in text.splitlines()]

    def wait_for_entries(self, count):
        wait_for(lambda: len(self.entries()) >= count, f"{count} entries")
        return self.entries()

    def messages(self):
        """The native fields are the data; there are no message ids and numbers."""
        return [self.message(entry) for entry in self.entries()]

    @staticmethod
    def message(entry):
        data = {name.removeprefix("HTTPACCT_").lower(): value for name, value in entry.items()
                if name.startswith("HTTPACCT_")}
        return Message(entry["_HOSTNAME"], entry["SYSLOG_IDENTIFIER"], entry["_PID"], None,
                       SEVERITIES[entry["PRIORITY"]], FACILITIES[entry["SYSLOG_FACILITY"]], None,
                       data or None, entry["MESSAGE"])
