#!/usr/bin/python3
"""The packages: built twice the same, without complaint; the RPM's life in a root of its own, the
DEB's in a booted Debian."""

import hashlib
import json
import os
import pathlib
import re
import shutil

from box import Box, base_root
from harness import BUILD, TOP, LabTest, main, require, require_root, run, wait_for

BUILD_S = 900
BUILT = BUILD / "packages-built"
CONF = "/etc/httpacct.conf"
SERVICE = "httpacct.service"
PORT = 8000
REQUESTS = 20


def build(source, folder, **options):
    run(source / "packaging/build-packages.sh", folder, timeout=BUILD_S, **options)
    return folder


def built(pattern):
    """The one package of that name."""
    (path,) = BUILT.glob(pattern)
    return path


def digests(folder):
    """Of all packages in it; not of .buildinfo and .changes, which name the builder."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()
            if path.suffix not in (".buildinfo", ".changes")}


def main_deb():
    return built("httpacct_*.deb")


def main_rpm():
    return built("httpacct-[0-9]*.x86_64.rpm")


def setUpModule():
    shutil.rmtree(BUILT, ignore_errors=True)
    build(TOP, BUILT)


class PackageTest(LabTest):
    def test_same_tree_gives_same_packages(self):
        """Built by another user's habits, elsewhere, at another time."""
        tree = self.folder / "elsewhere"
        shutil.copytree(TOP, tree, ignore=lambda folder, names: [
            name for name in names if name.startswith((".git", "build"))
            and pathlib.Path(folder) == TOP])
        run("find", tree, "-exec", "touch", "{}", "+")
        again = build(tree, self.folder / "again", umask=0o077, env={
            **os.environ, "HOME": "/nonexistent", "TZ": "Asia/Tokyo", "LANG": "C.UTF-8"})
        self.assertGreaterEqual(len(digests(BUILT)), 8)
        self.assertEqual(digests(again), digests(BUILT))

    def test_lintian_has_nothing_to_say(self):
        said = run("lintian", "--allow-root", "--pedantic", "--display-info",
                   "--suppress-tags-from-file", TOP / "packaging/lintian-suppressed",
                   built("*.changes"), check=False)
        self.assertEqual((said.returncode, said.stdout), (0, ""), said.stderr)

    def test_rpmlint_has_nothing_to_say(self):
        said = run("rpmlint", "--config", TOP / "packaging/rpmlint.toml", *BUILT.glob("*.rpm"),
                   check=False)
        self.assertIn("0 errors, 0 warnings", said.stdout)


class RpmTest(LabTest):
    """No scripts are run: they are systemd's, and Fedora's."""

    def setUp(self):
        super().setUp()
        self.root = self.folder / "root"
        self.root.mkdir()
        self.rpm("--initdb")
        self.rpm("--install", "--force-debian", "--nodeps", "--noscripts", main_rpm())

    def rpm(self, *options, check=True):
        return run("rpm", "--root", self.root, *options, check=check)

    def verify(self):
        return self.rpm("--verify", "--nodeps", "httpacct", check=False).stdout.split("\n")[:-1]

    def installed(self):
        return {str(path.relative_to(self.root)) for path in self.root.rglob("*")
                if "httpacct" in path.name and path.is_file()}

    def test_installs_and_verifies(self):
        self.assertEqual(self.verify(), [])
        self.assertLessEqual({"usr/sbin/httpacct", "etc/httpacct.conf",
                              "usr/lib/systemd/system/httpacct.service",
                              "usr/share/man/man8/httpacct.8.gz",
                              "usr/share/man/man5/httpacct.conf.5.gz"}, self.installed())

    def test_edited_config_survives(self):
        conf = self.root / "etc/httpacct.conf"
        conf.write_text("workers = 2;\n")
        (line,) = self.verify()
        self.assertRegex(line, rf"^S.5.* c {CONF}$")
        self.rpm("--erase", "--force-debian", "--noscripts", "httpacct")
        self.assertEqual(self.installed(), {"etc/httpacct.conf.rpmsave"})

    def test_upgrade_keeps_the_config_and_restarts(self):
        """Seen in the package: there is no systemd in the root."""
        flags = self.rpm("--query", "--queryformat", "[%{FILENAMES} %{FILEFLAGS:fflags}\\n]",
                         "httpacct").stdout.splitlines()
        self.assertIn(f"{CONF} cn", flags)
        self.assertIn(f"mark-restart-system-units {SERVICE}",
                      self.rpm("--query", "--scripts", "httpacct").stdout)

    def test_erases_all(self):
        self.rpm("--erase", "--force-debian", "--noscripts", "httpacct")
        self.assertEqual(self.installed(), set())


class DebTest(LabTest):
    """In a box in which the package is installed."""

    CONFIG = """
        interfaces = ( {{ name = "lo"; }} );
        rules = ( {{ query = "{query}"; }} );
        syslog = {{ interval = 1; metrics = [ "all" ]; }};
    """

    def setUp(self):
        super().setUp()
        self.box = Box(self.folder, base_root(run("dpkg-deb", "-f", main_deb(), "Depends").stdout))
        self.addCleanup(self.box.kill)
        self.box.wait_until_booted()
        self.dpkg("--install", main_deb())

    def dpkg(self, action, package, *options):
        if isinstance(package, pathlib.Path):
            package = shutil.copy(package, self.box.root / "root").removeprefix(str(self.box.root))
        return self.box.run("dpkg", *options, action, package)

    def unit(self, *members):
        return self.box.unit(SERVICE, *members)

    def wait_until_active(self):
        self.box.wait_for_unit(SERVICE, ActiveState="active", SubState="running")

    def configure(self, query, more=""):
        self.box.path(CONF).write_text(self.CONFIG.format(query=query) + more)

    def restart_with(self, query):
        self.configure(query)
        self.box.run("systemctl", "restart", SERVICE)
        self.wait_until_active()

    def serve(self):
        """A web server in the box; it is waited for without a packet."""
        self.start(self.box, "python3", "-m", "http.server", "--bind", "127.0.0.1", str(PORT))
        listening = f"0100007F:{PORT:04X} 00000000:0000 0A"
        wait_for(lambda: listening in self.box.run("cat", "/proc/net/tcp").stdout, "the server")

    def fetch(self, target):
        self.box.run("curl", "--silent", "--fail", "--output", "/dev/null",
                     f"http://127.0.0.1:{PORT}/{target}")

    def said(self, *fields):
        """Of each message of the agent so far, these fields; of those that have them all."""
        messages = map(json.loads, self.box.run(
            "journalctl", "--unit", SERVICE, "--output=json", "--quiet").stdout.splitlines())
        return [tuple(message[field] for field in fields) for message in messages
                if all(field in message for field in fields)]

    def count(self, field, service=None):
        """What the messages of a service, or of all, add up to."""
        return sum(int(number) for number, name in self.said(field, "HTTPACCT_SERVICE")
                   if service in (None, name))

    def fetch_and_count(self, service):
        self.fetch(f"?t={service}")
        return self.count("HTTPACCT_REQUESTS", service)

    def loopback_bytes(self):
        return int(self.box.run("cat", "/sys/class/net/lo/statistics/tx_bytes").stdout)

    def words(self):
        return "\n".join(message for message, in self.said("MESSAGE"))

    def next_version(self):
        """The package as a later version, with another default config."""
        tree = self.folder / "tree"
        run("dpkg-deb", "--raw-extract", main_deb(), tree)
        control = tree / "DEBIAN/control"
        control.write_text(re.sub("(?m)^Version: .*", "Version: 99.0-1", control.read_text()))
        with (tree / "etc/httpacct.conf").open("a") as conf:
            conf.write("# a later default\n")
        deb = self.folder / "later.deb"
        run("dpkg-deb", "--root-owner-group", "--build", tree, deb)
        return deb

    def test_runs_once_installed(self):
        self.wait_until_active()
        self.assertEqual(self.unit("UnitFileState", "NRestarts"), ["enabled", "0"])

    def test_counts_what_passes(self):
        self.restart_with("s")
        before = self.loopback_bytes()
        self.serve()
        for _ in range(REQUESTS):
            self.fetch("?s=yo")
        wait_for(lambda: self.count("HTTPACCT_REQUESTS", "yo") == REQUESTS, "requests of yo")
        measures = [f"HTTPACCT_{way}_{measure}" for way in ("IN", "OUT")
                    for measure in ("BYTES", "CONTROL")]
        wait_for(lambda: sum(map(self.count, measures)) == self.loopback_bytes() - before,
                 "the bytes that loopback counted")

    def test_reload_takes_a_good_file_and_refuses_a_bad_one(self):
        self.restart_with("s")
        pid = self.unit("MainPID")
        self.serve()
        self.configure("t")
        self.box.run("systemctl", "reload", SERVICE)
        wait_for(lambda: self.fetch_and_count("good"), "the new rule")
        self.box.path(CONF).write_text("nonsense = 1;\n")
        reload = self.box.run("systemctl", "reload", SERVICE, check=False)
        self.assertNotEqual(reload.returncode, 0)
        wait_for(lambda: f"{CONF}:1" in self.words(), "words about the bad file")
        wait_for(lambda: self.fetch_and_count("still"), "the rule that stays")
        self.assertEqual(self.unit("MainPID", "ActiveState"), [*pid, "active"])

    def test_reload_needs_no_socket(self):
        self.restart_with("s")
        pid = self.unit("MainPID")
        self.serve()
        self.configure("t", "control = false;")
        self.box.run("systemctl", "reload", SERVICE)
        wait_for(lambda: self.fetch_and_count("good"), "the new rule")
        self.assertIn(f"process {pid[0]} got SIGHUP", self.words())
        self.assertEqual(self.unit("MainPID", "ActiveState"), [*pid, "active"])

    def test_totals_outlive_it_and_root_may_ask_for_them(self):
        self.restart_with("s")
        self.serve()
        self.fetch("?s=first")
        self.box.run("systemctl", "restart", SERVICE)
        self.wait_until_active()
        self.fetch("?s=second")
        wait_for(lambda: {"first", "second"} <= self.services(), "both services")
        self.assertEqual(self.status()["health"], "ok")

    def services(self):
        return {service["name"] for service in self.status()["services"]}

    def status(self, *prefix):
        return json.loads(self.box.run(*prefix, "httpacct", "status", "--json").stdout)

    def test_a_group_may_ask_that_the_unit_is_in(self):
        self.drop_in("SupplementaryGroups=adm")
        self.configure("s", 'control = { group = "adm"; };')
        self.box.run("systemctl", "restart", SERVICE)
        self.wait_until_active()
        others = ("setpriv", "--reuid=nobody", "--clear-groups")
        self.assertEqual(self.status(*others, "--regid=adm")["services"], [])
        refused = self.box.run(*others, "--regid=nogroup", "httpacct", "status", check=False)
        self.assertIn("permission denied", refused.stderr)

    def drop_in(self, setting):
        path = self.box.path("/etc/systemd/system/httpacct.service.d/test.conf")
        path.parent.mkdir()
        path.write_text(f"[Service]\n{setting}\n")
        self.box.run("systemctl", "daemon-reload")

    def test_watchdog_replaces_an_agent_that_hangs(self):
        self.drop_in("WatchdogSec=2s")
        self.restart_with("s")
        pid = self.unit("MainPID")
        self.box.run("kill", "-STOP", *pid)
        self.box.wait_for_unit(SERVICE, NRestarts="1", ActiveState="active", SubState="running")
        self.assertNotEqual(self.unit("MainPID"), pid)
        self.assertIn("Failed with result 'watchdog'", self.words())
        self.serve()
        self.fetch("?s=again")
        wait_for(lambda: self.count("HTTPACCT_REQUESTS", "again"), "a request after that")

    def test_upgrade_restarts_and_keeps_an_edited_config(self):
        self.restart_with("s")
        pid = self.unit("MainPID")
        edited = self.box.path(CONF).read_text()
        self.dpkg("--install", self.next_version(), "--force-confold")
        self.wait_until_active()
        self.assertNotEqual(self.unit("MainPID"), pid)
        self.assertEqual(self.box.path(CONF).read_text(), edited)
        self.assertIn("# a later default", self.box.path(CONF + ".dpkg-dist").read_text())

    def test_upgrade_replaces_a_config_that_nobody_edited(self):
        self.wait_until_active()
        self.dpkg("--install", self.next_version())
        self.wait_until_active()
        self.assertIn("# a later default", self.box.path(CONF).read_text())

    def test_remove_keeps_the_config_and_purge_does_not(self):
        self.wait_until_active()
        self.dpkg("--remove", "httpacct")
        self.assertEqual(self.unit("ActiveState"), ["inactive"])
        self.assertFalse(self.box.path("/usr/sbin/httpacct").exists())
        self.assertTrue(self.box.path(CONF).exists())
        self.dpkg("--purge", "httpacct")
        left = self.box.run("find", "/etc", "/usr", "/var", "/run", "-name", "*httpacct*").stdout
        self.assertEqual(left, "")


require_root()
require("debootstrap", "dpkg-buildpackage", "lintian", "nsenter", "rpm", "rpmbuild", "rpmlint",
        "systemd-nspawn")
main()
