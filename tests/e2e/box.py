"""A Debian with systemd as its first process, for what a test can only try in a machine of its own.

It is a container with nothing but loopback. Its root is a copy of one that debootstrap makes once
for each build directory.
"""

import hashlib
import os
import pathlib
import platform
import shutil
import signal

from harness import BUILD, PATIENCE_S, Program, run, skip, wait_for

DOWNLOAD_S = 900
INCLUDED = "ca-certificates,curl,dbus,python3-minimal,libpython3-stdlib,systemd,systemd-sysv"
CAPABILITIES = "CAP_BPF,CAP_PERFMON,CAP_NET_ADMIN,CAP_NET_RAW"
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8",
               "DEBIAN_FRONTEND": "noninteractive"}


def mirror(codename):
    """Where this machine's apt finds the release."""
    for line in run("apt-get", "indextargets", "--format", "$(CODENAME) $(COMPONENT) $(SITE)",
                    "Identifier: Packages").stdout.splitlines():
        found, component, site = line.split(" ", 2)
        if (found, component) == (codename, "main"):
            return site
    return skip(f"apt knows no mirror of {codename}")


def base_root(depends):
    """The folder of a Debian like this one, in which the packages that @depends asks for are
    installed, in the words of a package's Depends."""
    name = hashlib.sha256(f"{INCLUDED} {depends}".encode()).hexdigest()[:16]
    folder = BUILD / "boxes" / name
    if folder.exists():
        return folder
    codename = platform.freedesktop_os_release()["VERSION_CODENAME"]
    fresh = pathlib.Path(f"{folder}.fresh")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    try:
        run("debootstrap", "--variant=minbase", f"--include={INCLUDED}", codename, fresh,
            mirror(codename), timeout=DOWNLOAD_S)
        run("chroot", fresh, "apt-get", "satisfy", "-qy", "--no-install-recommends", depends,
            timeout=DOWNLOAD_S, env=ENVIRONMENT)
    except AssertionError as error:
        skip(f"debootstrap: {error}")
    os.rename(fresh, folder)
    return folder


def own_cgroups(name):
    """A group of that name in each hierarchy that systemd uses, below the one this test is in."""
    groups = []
    for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        mounts = {"": ("unified", "."), "name=systemd": ("systemd",)}.get(controllers, ())
        folders = [pathlib.Path("/sys/fs/cgroup", mount, path[1:]) for mount in mounts]
        groups += [folder / name for folder in folders if (folder / "cgroup.procs").exists()][:1]
    return groups


class Box:
    """A booted container. Its root is the folder @folder/root, a copy of @base."""

    # Without groups of its own two boxes would share one, and one systemd would stop the other's
    # services.
    START = 'for group; do [ "$group" = -- ] && break; echo $$ >"$group/cgroup.procs"; shift; done; ' \
        'shift; exec "$@"'

    def __init__(self, folder, base):
        self.root = folder / "root"
        run("cp", "-a", "--reflink=auto", base, self.root)
        self.cgroups = own_cgroups(folder.name)
        for group in self.cgroups:
            group.mkdir()
        self.nspawn = Program(folder, "box", (
            "sh", "-c", self.START, "sh", *self.cgroups, "--",
            "systemd-nspawn", "--directory", self.root, "--boot", "--console=pipe",
            "--register=no", "--keep-unit", "--private-network", f"--capability={CAPABILITIES}",
            "--system-call-filter=bpf perf_event_open"))

    def wait_until_booted(self):
        self.nspawn.wait_until(self.has_booted, "the box")

    def has_booted(self):
        if not self.first_process():
            return False
        state = self.run("systemctl", "is-system-running", check=False)
        return state.stdout.strip() in ("running", "degraded")

    def first_process(self):
        """The process that is number 1 inside, None before it is there."""
        pid = self.nspawn.process.pid
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return children[0] if children else None

    def command(self, *command):
        return ("nsenter", f"--target={self.first_process()}", "--mount", "--uts", "--ipc", "--net",
                "--pid", "--cgroup", *command)

    def run(self, *command, **options):
        return run(*self.command(*command), env=ENVIRONMENT, **options)

    def path(self, name):
        """Where the box's file of that name is, seen from outside."""
        return self.root / name.lstrip("/")

    def unit(self, name, *members):
        """What systemd knows of the unit: the values of these properties."""
        shown = self.run("systemctl", "show", name, "--property", ",".join(members)).stdout
        values = dict(line.split("=", 1) for line in shown.splitlines())
        return [values[member] for member in members]

    def wait_for_unit(self, name, **wanted):
        """Wait until systemd says this of the unit."""
        wait_for(lambda: self.unit(name, *wanted) == list(wanted.values()), f"{name}: {wanted}")

    def kill(self):
        """End all that runs in it: with its first process goes the rest, and then nspawn."""
        if self.nspawn.process.poll() is None and self.first_process():
            os.kill(int(self.first_process()), signal.SIGKILL)
            self.nspawn.process.wait(PATIENCE_S)
        self.nspawn.kill()
        for group in self.cgroups:
            for folder, _, _ in os.walk(group, topdown=False):
                os.rmdir(folder)
        shutil.rmtree(self.root)
