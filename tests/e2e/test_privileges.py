#!/usr/bin/python3
"""The rights of the running agent, thread by thread; what it can't do from inside its walls, and
that it does all its work there; what a service manager hears of it."""

import collections
import contextlib
import ctypes
import json
import os
import pathlib
import platform
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

from harness import (BUILD, HTTPACCT, PATIENCE_S, LabTest, Totals, main, require, require_root,
                     run, wait_for)
from servers import NGINX_MODULE, Nginx

CONFINED = str(BUILD / "tests/confined")
NOBODY = 65534

CAP_NET_RAW, CAP_SYS_ADMIN, CAP_PERFMON, CAP_BPF = 13, 21, 38, 39
LANDLOCK_CREATE_RULESET, LANDLOCK_VERSION_FLAG = 444, 1
PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 17, 0x4206, 0x4207
WALL = 0x40000000
WATCHDOG_S = 3
EMPTY_CAPTURE = struct.pack("=IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 101)
SILENCE_S = 2 * WATCHDOG_S

LIBC = ctypes.CDLL(None, use_errno=True)
KERNEL = tuple(map(int, platform.release().split("-")[0].split(".")[:2]))


def mask(*capabilities):
    return sum(1 << capability for capability in capabilities)


def opening():
    last = int(pathlib.Path("/proc/sys/kernel/cap_last_cap").read_text())
    return mask(CAP_NET_RAW, *((CAP_BPF, CAP_PERFMON) if last >= CAP_BPF else (CAP_SYS_ADMIN,)))


def using_maps():
    """What a worker keeps: nothing, unless all of bpf(2) is closed to who has no rights."""
    disabled = int(pathlib.Path("/proc/sys/kernel/unprivileged_bpf_disabled").read_text())
    return opening() & mask(CAP_BPF, CAP_SYS_ADMIN) if disabled and KERNEL < (5, 19) else 0


def landlock_version():
    return LIBC.syscall(LANDLOCK_CREATE_RULESET, None, 0, LANDLOCK_VERSION_FLAG)


def status_of(task):
    return dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines()
                if ":\t" in line)


Rights = collections.namedtuple("Rights", "permitted effective")


def rights_of(task):
    status = status_of(task)
    return Rights(int(status["CapPrm"], 16), int(status["CapEff"], 16))


def tasks(pid):
    return list(pathlib.Path(f"/proc/{pid}/task").iterdir())


def named(pid, name):
    return [task for task in tasks(pid) if (task / "comm").read_text().strip() == name]


@contextlib.contextmanager
def halted(thread):
    """One thread of another process stands still, the rest goes on."""
    def ptrace(request):
        if LIBC.ptrace(request, thread, None, None) != 0:
            raise OSError(ctypes.get_errno(), "ptrace")
    ptrace(PTRACE_SEIZE)
    ptrace(PTRACE_INTERRUPT)
    os.waitpid(thread, WALL)
    try:
        yield
    finally:
        ptrace(PTRACE_DETACH)


class ServiceManager:
    """Hears what a service says of itself."""

    def __init__(self, test):
        self.path = test.folder / "notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        test.addCleanup(self.socket.close)
        self.socket.bind(str(self.path))
        self.heard = []

    def environment(self, watchdog_s=WATCHDOG_S):
        return ("env", f"NOTIFY_SOCKET={self.path}", f"WATCHDOG_USEC={watchdog_s * 1000000}")

    def listen(self):
        with contextlib.suppress(BlockingIOError):
            while True:
                self.heard += self.socket.recv(4096).decode().splitlines()
        return self.heard

    def wait_to_hear(self, beginning):
        """Returns the next such line, and forgets what came before it."""
        def find():
            for number, line in enumerate(self.listen(), 1):
                if line.startswith(beginning):
                    del self.heard[:number]
                    return line
            return None
        return wait_for(find, beginning)


class RightsTest(LabTest):
    def setUp(self):
        super().setUp()
        self.host = self.namespace("host")
        self.config.write_text("""
            rules = ( { query = "s"; } );
            interfaces = ( { name = "lo"; workers = 2; } );
            statsd = ( { address = "stats.example.com"; } );
            syslog = { address = "local"; interval = 1; };""")
        with self.host.entered():  # a name server that does not answer: the lookup lasts
            server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(server.close)
        server.bind(("127.0.0.1", 53))
        self.resolver = self.folder / "resolv.conf"
        self.resolver.write_text("nameserver 127.0.0.1\noptions timeout:30 attempts:5\n")

    def start_slowly(self, *command):
        return self.start(self.host, "unshare", "-m", "sh", "-c",
                          'mount --bind "$0" /etc/resolv.conf && exec "$@"', self.resolver,
                          *command, HTTPACCT, "-c", self.config, "--print", "json")

    def check_no_way_back(self, pid):
        for task in tasks(pid):
            status = status_of(task)
            self.assertEqual({name: int(status[name], 16) for name in ("CapInh", "CapAmb")},
                             {"CapInh": 0, "CapAmb": 0})
            self.assertEqual((status["NoNewPrivs"], status["Seccomp"]), ("1", "2"))

    def wait_for_threads(self, agent):
        """Two workers, a lookup's thread and syslog's have the rights that README.md says."""
        pid = agent.process.pid
        agent.wait_until(lambda: len(named(pid, "worker")) == 2 and len(tasks(pid)) >= 5,
                         "two workers, a lookup's thread, syslog's and the main one")
        workers = set(named(pid, "worker"))
        main_thread = pathlib.Path(f"/proc/{pid}/task/{pid}")
        others = set(tasks(pid)) - workers - {main_thread}
        for task in workers:
            wait_for(lambda task=task: rights_of(task) == (using_maps(), using_maps()),
                     "few rights of a worker")
        for task in others:
            wait_for(lambda task=task: rights_of(task) == (0, 0), f"no rights of {task}")
        self.assertEqual(rights_of(main_thread), (opening(), 0))
        return pid

    def test_root_by_hand(self):
        agent = self.start_slowly()
        pid = self.wait_for_threads(agent)
        self.check_no_way_back(pid)
        for task in tasks(pid):
            self.assertEqual(int(status_of(task)["CapBnd"], 16), 0)
        self.stop_agent(agent)

    def test_ambient_capabilities_of_another_user(self):
        """As systemd starts it, with one more that is not needed."""
        capabilities = ",".join(f"+cap_{number}" for number in range(64)
                                if opening() >> number & 1) + ",+net_admin"
        agent = self.start_slowly("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}",
                                  "--clear-groups", f"--inh-caps={capabilities}",
                                  f"--ambient-caps={capabilities}")
        pid = self.wait_for_threads(agent)
        self.check_no_way_back(pid)
        nginx = Nginx(self, self.host)
        self.host.run("curl", "-sS", "-o", "/dev/null", "http://127.0.0.1/small?s=a")
        wait_for(lambda: len(list(nginx.lines())) == 1, "nginx")
        self.host.wait_until_quiet("lo")
        totals = self.stop_agent(agent)
        self.assertEqual(totals.services["a"]["requests"], 1)
        totals.check_balance(self)


class UserTest(LabTest):
    """The config says who root becomes."""

    def setUp(self):
        super().setUp()
        self.host = self.namespace("host")
        self.socket = self.folder / "run/control.sock"
        self.state = self.folder / "state"
        self.configure('user = "nobody";')

    def configure(self, user, interface="lo"):
        """By a new file in the place of the old one."""
        draft = self.config.with_name("draft")
        draft.write_text(f"""
            {user} state = "{self.state}"; control = {{ socket = "{self.socket}"; }};
            interfaces = ( {{ name = "{interface}"; }} );""")
        draft.rename(self.config)

    def reload(self):
        return run(HTTPACCT, "--socket", self.socket, "reload", check=False)

    def test_root_becomes_that_user_and_no_more(self):
        agent = self.start_agent(self.host, "--print", "json")
        for task in tasks(agent.process.pid):
            status = status_of(task)
            ids = {int(number) for name in ("Uid", "Gid", "Groups")
                   for number in status[name].split()}
            self.assertEqual(ids, {NOBODY})
            self.assertEqual(int(status["CapBnd"], 16), 0)
            self.assertEqual(int(status["CapEff"], 16) & ~using_maps(), 0)
            self.assertEqual((status["NoNewPrivs"], status["Seccomp"]), ("1", "2"))
        main_thread = pathlib.Path(f"/proc/{agent.process.pid}")
        self.assertEqual(rights_of(main_thread), (opening(), 0))
        self.stop_agent(agent)

    def test_what_it_makes_is_that_users_and_goes_with_it(self):
        agent = self.start_agent(self.host, "--print", "json")
        for path in (self.socket, self.socket.parent, self.state):
            self.assertEqual((path.stat().st_uid, path.stat().st_gid), (NOBODY, NOBODY), path)
        self.stop_agent(agent)
        self.assertFalse(self.socket.exists())
        self.assertEqual((self.state / "totals.json").stat().st_uid, NOBODY)
        self.stop_agent(self.start_agent(self.host, "--print", "json"))

    def test_it_reloads_and_opens_captures_as_before(self):
        agent = self.start_agent(self.host, "--print", "json")
        self.configure("", interface="lat*")
        result = self.reload()
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("user: needs a restart", result.stdout)
        self.connect(self.host, self.namespace("other"), names=("late0", "other0"))
        agent.wait_until(lambda: "watching late0" in agent.err, "a capture")
        self.stop_agent(agent)

    def test_a_config_that_only_root_may_read_is_not_read_again(self):
        self.config.chmod(0o600)
        agent = self.start_agent(self.host, "--print", "json")
        self.assertIn("a reload will fail", agent.err)
        self.assertNotEqual(self.reload().returncode, 0)
        self.config.chmod(0o644)
        self.assertEqual(self.reload().returncode, 0)
        self.stop_agent(agent)

    def test_files_of_root_are_closed(self):
        secret = self.folder / "secret"
        secret.write_text("secret\n")
        secret.chmod(0o600)
        attempts = [f"read:{secret}", "read:/etc/shadow", f"read:{self.config}", "read:/etc/passwd"]
        said = run(CONFINED, self.config, self.folder, *attempts).stdout.splitlines()
        self.assertEqual(said, [f"{attempts[0]} EACCES", f"{attempts[1]} EACCES",
                                f"{attempts[2]} done", f"{attempts[3]} done"])

    def test_who_is_not_root_stays_who_it_is(self):
        self.configure('user = "daemon";')
        said = run("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
                   CONFINED, self.config, self.folder, f"read:{self.config}").stdout
        self.assertEqual(said, f"read:{self.config} done\n")

    def test_a_user_that_is_not_there_is_an_error(self):
        self.configure('user = "nobody-here";')
        result = self.host.run(HTTPACCT, "-c", self.config, check=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn("there is no user nobody-here", result.stderr)
        self.assertFalse(self.state.exists())


class WallsTest(LabTest):
    def setUp(self):
        super().setUp()
        self.own = self.folder / "own"
        self.own.mkdir()
        elsewhere = pathlib.Path(tempfile.mkdtemp(prefix="httpacct-test-"))
        self.addCleanup(shutil.rmtree, elsewhere)
        self.outside = elsewhere / "secret"
        self.outside.write_text("secret\n")
        self.config.with_name("more.conf").write_text("workers = 2;\n")

    def attempt(self, *attempts):
        """What came of each."""
        said = run(CONFINED, self.config, self.own, *attempts)
        self.log = said.stderr
        return dict(line.rsplit(" ", 1) for line in said.stdout.splitlines())

    def assert_all(self, outcomes, *wanted):
        self.assertLessEqual(set(outcomes.values()), set(wanted), outcomes)

    def test_its_own_files_are_open(self):
        note = self.own / "totals"
        self.assert_all(self.attempt(
            f"make:{note}", f"read:{note}", f"write:{note}", f"rename:{note}",
            f"remove:{note}.new", f"list:{self.own}",
            f"read:{self.config}", f"read:{self.config.with_name('more.conf')}",
            "read:/etc/hosts", "read:/etc/passwd", "read:/proc/self/stat"), "done")

    def test_files_outside_are_closed(self):
        outcomes = self.attempt(
            f"read:{self.outside}", f"write:{self.outside}", f"make:{self.outside}.new",
            f"remove:{self.outside}", f"rename:{self.outside}", f"list:{self.outside.parent}",
            f"write:{self.config}", f"make:{self.config}.new", f"remove:{self.config}",
            "write:/etc/hosts", "make:/etc/httpacct-test", "write:/proc/sys/kernel/core_pattern",
            "read:/proc/1/environ", "read:/proc/self/mem", "read:/proc/self/maps",
            "read:/proc/kallsyms", "list:/proc/self/fd",
            "list:/", "read:/dev/kmsg", "read:/bin/true", "execute:/bin/true")
        if landlock_version() < 1:
            self.assertIn("there is no Landlock", self.log)
            return
        # What is missing is not told either; execve is no call of the agent's.
        self.assert_all(outcomes, "EACCES", "EXDEV", "ENOSYS")
        self.assertEqual(self.outside.read_text(), "secret\n")

    def test_modes_and_owners_stay_as_they_are(self):
        """For user 0 owns most files, and Landlock does not look at this."""
        before = self.outside.stat()
        self.assert_all(self.attempt(f"chmod:{self.outside}", f"chmod:{self.own}",
                                     f"truncate:{self.outside}", f"truncate:{self.config}"),
                        "ENOSYS", "EACCES")
        self.assertEqual(self.outside.stat(), before)

    def test_what_may_be_read_is_not_emptied(self):
        before = self.config.read_text()
        self.assertTrue(before)
        outcomes = self.attempt(f"read:{self.config}", f"empty:{self.config}")
        if landlock_version() >= 3:
            self.assertEqual(list(outcomes.values()), ["done", "EACCES"])
            self.assertEqual(self.config.read_text(), before)

    def test_namespaces_can_not_be_made(self):
        """In one of its own a process has all rights."""
        self.assertEqual(self.attempt("clone:0")["clone:0"], "done")
        flags = ("0x10000000", "0x40000000", "0x00020000")  # of users, network, mounts
        self.assert_all(self.attempt(*(f"clone:{flag}" for flag in flags), "call:435"),  # clone3
                        "ENOSYS")

    def test_other_processes_are_left_alone(self):
        """Those of the same user, who may be root."""
        self.assert_all(self.attempt("signal:0", "limit:0"), "done")
        self.assert_all(self.attempt("signal:1", "limit:1", "ask:1"), "ENOSYS")

    def test_sockets_that_no_sink_needs_are_closed(self):
        tcp = [f"socket:{family:d},{socket.SOCK_STREAM:d},{protocol}"
               for family in (socket.AF_INET, socket.AF_INET6)
               for protocol in (0, socket.IPPROTO_TCP, 262)]  # 262: MPTCP
        raw = [f"socket:{family:d},{socket.SOCK_RAW:d},1" for family in (socket.AF_INET,
                                                                         socket.AF_INET6)]
        others = [f"socket:{socket.AF_NETLINK:d},{socket.SOCK_RAW:d},{protocol}"
                  for protocol in (4, 9, 12, 16)]  # sockets, audit, netfilter, generic
        others += [f"socket:{family},{socket.SOCK_SEQPACKET:d},0" for family in (38, 40, 44)]
        self.assert_all(self.attempt(*tcp, *raw, *others), "ENOSYS")
        self.assert_all(self.attempt(
            f"socket:{socket.AF_INET:d},{socket.SOCK_DGRAM:d},0",
            f"socket:{socket.AF_UNIX:d},{socket.SOCK_DGRAM:d},0",
            f"socket:{socket.AF_UNIX:d},{socket.SOCK_STREAM:d},0",
            f"socket:{socket.AF_NETLINK:d},{socket.SOCK_RAW:d},0",
            "lookup:localhost"), "done")

        self.config.write_text('syslog = { address = "tcp://127.0.0.1:601"; };\n')
        self.assert_all(self.attempt(*tcp[:2], *tcp[3:5]), "done")
        self.assert_all(self.attempt(*raw, *others), "ENOSYS")

    def test_capture_is_not_open_all_the_time(self):
        packet = f"socket:{socket.AF_PACKET:d},{socket.SOCK_RAW:d},0"
        self.assert_all(self.attempt(packet), "EPERM")

    def test_calls_that_the_agent_does_not_make(self):
        """io_uring would pass all filters by; the others change, watch or end what is not the
        agent's."""
        if platform.machine() != "x86_64":
            self.skipTest("the numbers are those of x86-64")
        names = {"ptrace": 101, "mount": 165, "kill": 62, "execveat": 322, "unshare": 272,
                 "setns": 308, "process_vm_readv": 310, "init_module": 175, "io_uring_setup": 425,
                 "keyctl": 250, "userfaultfd": 323, "perf_event_open": 298, "setuid": 105,
                 "chown": 92, "fchmodat": 268, "symlink": 88, "mknod": 133, "chroot": 161}
        self.assert_all(self.attempt(*(f"call:{number}" for number in names.values())), "ENOSYS")


class ReadingTest(LabTest):
    """-r FILE: what the file is made of is the work of strangers."""

    def test_no_right_is_left_before_the_first_byte(self):
        pipe = self.folder / "pipe"
        os.mkfifo(pipe)
        process = subprocess.Popen([HTTPACCT, "-r", str(pipe), "--print", "json"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        task = pathlib.Path(f"/proc/{process.pid}")
        with pipe.open("wb") as writer:
            wait_for(lambda: status_of(task)["Seccomp"] == "2", "walls")
            status = status_of(task)
            self.assertEqual({int(status[name], 16) for name in
                              ("CapPrm", "CapEff", "CapInh", "CapAmb", "CapBnd")}, {0})
            self.assertEqual(status["NoNewPrivs"], "1")
            writer.write(EMPTY_CAPTURE)
        out, err = process.communicate(timeout=PATIENCE_S)
        self.assertEqual((process.returncode, err), (0, ""))
        self.assertEqual(Totals(json.loads(out)).services, {})

    def test_nothing_can_be_opened_or_begun(self):
        attempts = [f"read:{self.config}", f"write:{self.config}", f"make:{self.config}.new",
                    f"remove:{self.config}", f"rename:{self.config}", f"chmod:{self.config}",
                    f"list:{self.folder}", f"truncate:{self.config}", "execute:/bin/true", "clone:0",
                    "read:/etc/hosts", "read:/proc/self/stat"]
        attempts += [f"socket:{family:d},{kind:d},0"
                     for family in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6,
                                    socket.AF_NETLINK, socket.AF_PACKET)
                     for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM)]
        said = run(CONFINED, "-", self.folder, *attempts).stdout.splitlines()
        self.assertEqual(said, [f"{attempt} ENOSYS" for attempt in attempts])


class SinksTest(LabTest):
    def test_names_are_found_in_files_that_were_replaced(self):
        """Landlock knows files by their inodes, so it is the folder that is open."""
        host = self.namespace("host")
        etc = self.folder / "etc"
        etc.mkdir()
        (etc / "nsswitch.conf").write_text("hosts: files\n")
        (etc / "hosts").write_text("127.0.0.1 localhost\n")
        (etc / "httpacct.conf").write_text("""
            interfaces = ( { name = "lo"; } ); flush = { interval = 1; }; control = false;
            statsd = ( { address = "stats.example.com"; metrics = [ "all" ]; } );""")
        with host.entered():
            receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(receiver.close)
        receiver.settimeout(PATIENCE_S)
        receiver.bind(("127.0.0.1", 8125))
        agent = self.start(host, "unshare", "-m", "sh", "-c",
                           'mount --bind "$0" /etc && exec "$@"', etc,
                           HTTPACCT, "-c", "/etc/httpacct.conf", "--print", "json", "-v")
        agent.wait_until(lambda: "watching lo" in agent.err, "the ready line")
        (etc / "new").write_text("127.0.0.1 localhost stats.example.com\n")
        (etc / "new").rename(etc / "hosts")
        self.assertIn(b"httpacct", receiver.recv(65536))
        self.stop_agent(agent)

    def test_syslog_over_tcp_comes_back(self):
        """Names are looked up and connections made from inside the walls, again and again."""
        host = self.namespace("host")
        self.config.write_text("""
            interfaces = ( { name = "lo"; ports = [ 80 ]; } );
            syslog = { address = "tcp://localhost:601"; interval = 1; };""")
        Nginx(self, host)
        with host.entered():
            listener = socket.create_server(("127.0.0.1", 601))
        self.addCleanup(listener.close)
        listener.settimeout(PATIENCE_S)
        agent = self.start(host, HTTPACCT, "-c", self.config, "--print", "json")
        for number in range(3):
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(PATIENCE_S)
                host.run("curl", "-sS", "-o", "/dev/null", f"http://127.0.0.1/small?s=n{number}")
                received = b""
                while f"n{number}".encode() not in received:
                    more = connection.recv(65536)
                    self.assertTrue(more, "the agent hung up")
                    received += more
        self.stop_agent(agent)


class ServiceManagerTest(LabTest):
    def setUp(self):
        super().setUp()
        self.host = self.namespace("host")
        self.manager = ServiceManager(self)
        self.config.write_text('interfaces = ( { name = "lo"; workers = 2; } );')

    def start_service(self, *options, **manager):
        return self.start(self.host, *self.manager.environment(**manager), HTTPACCT, "-c",
                          self.config, *options)

    def test_it_hears_of_start_status_and_end(self):
        agent = self.start_service("--print", "none")
        self.manager.wait_to_hear("EXTEND_TIMEOUT_USEC=4000000")  # two captures
        self.manager.wait_to_hear("READY=1")
        self.assertIn("watching lo", agent.err)
        self.manager.wait_to_hear("WATCHDOG=1")
        self.assertRegex(self.manager.wait_to_hear("STATUS="),
                         "^STATUS=interfaces: 1, requests/s: 0.0, connections: 0, packets missed: 0$")
        agent.process.send_signal(signal.SIGTERM)
        self.manager.wait_to_hear("STOPPING=1")
        self.assertEqual(agent.process.wait(PATIENCE_S), 0, agent.err)

    def test_it_hears_of_reloads(self):
        """Of one that was done, and of one that would need what the agent has closed itself to."""
        agent = self.start_service("--print", "none")
        self.manager.wait_to_hear("READY=1")
        agent.process.send_signal(signal.SIGHUP)
        self.manager.wait_to_hear("RELOADING=1")
        self.manager.wait_to_hear("READY=1")
        agent.wait_until(lambda: "reloaded" in agent.err, "a reload")

        self.replace_config('syslog = { address = "tcp://127.0.0.1:601"; };')
        agent.process.send_signal(signal.SIGHUP)
        self.manager.wait_to_hear("READY=1")
        self.assertIn("nothing has changed: syslog: tcp:// needs a restart", agent.err)
        self.assertEqual(agent.stop(), 0, agent.err)

    def test_tcp_stays_open_to_who_began_with_it(self):
        began, between = 'syslog = { address = "tcp://127.0.0.1:601"; };', ""
        self.config.write_text(began)
        agent = self.start_service("--print", "none", "-i", "lo", "-v")
        self.manager.wait_to_hear("READY=1")
        for config in (between, began):
            self.replace_config(config)
            agent.process.send_signal(signal.SIGHUP)
            self.manager.wait_to_hear("READY=1")
        self.assertNotIn("needs a restart", agent.err)
        self.assertEqual(agent.stop(), 0, agent.err)

    def replace_config(self, text):
        """As editors do: by another file."""
        draft = self.config.with_name("draft")
        draft.write_text(text)
        draft.rename(self.config)

    def test_it_is_not_told_that_all_is_well_when_nothing_could_be_opened(self):
        agent = self.start_service("-i", "none0")
        self.assertEqual(agent.process.wait(PATIENCE_S), 1)
        self.assertNotIn("READY=1", self.manager.listen())

    def test_a_worker_that_hangs_lets_the_watchdog_starve(self):
        agent = self.start_service("--print", "json", "--interval", "0.5")
        self.manager.wait_to_hear("WATCHDOG=1")
        worker = int(named(agent.process.pid, "worker")[0].name)
        with halted(worker):
            before = agent.err.count("does not move")
            agent.wait_until(lambda: agent.err.count("does not move") > before, "a warning")
            self.manager.listen()
            self.manager.heard.clear()
            time.sleep(SILENCE_S)
            self.assertNotIn("WATCHDOG=1", self.manager.listen())
        self.manager.wait_to_hear("WATCHDOG=1")
        self.stop_agent(agent)

    def test_a_watchdog_that_bites_every_second_is_fed_with_a_warning(self):
        agent = self.start_service("--print", "none", watchdog_s=1)
        agent.wait_until(lambda: "watchdog bites after 1 s: use 3 or more" in agent.err, "a warning")
        for _ in range(20):
            self.manager.wait_to_hear("WATCHDOG=1")
        self.assertNotIn("does not move", agent.err)
        self.assertEqual(agent.stop(), 0, agent.err)


require("curl", "ip", "mount", "nginx", "setpriv", "unshare", NGINX_MODULE, CONFINED)
require_root()
main()
