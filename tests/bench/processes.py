"""What the kernel tells of processes: CPU time and memory."""

import ctypes
import pathlib
import re
import time

PROC = pathlib.Path("/proc")

libc = ctypes.CDLL(None)


def cpu_s(pids):
    """CPU seconds so far, threads that have ended included."""
    return sum(time.clock_gettime_ns(cpu_clock(pid)) for pid in pids) / 1e9


def cpu_clock(pid):
    clock = ctypes.c_int()
    error = libc.clock_getcpuclockid(pid, ctypes.byref(clock))
    if error:
        raise ProcessLookupError(error, f"CPU clock of process {pid}")
    return clock.value


def status_fields():
    """(pid, name, parent's pid) of every process."""
    for folder in PROC.glob("[0-9]*"):
        try:
            name, fields = (folder / "stat").read_text().split(" (", 1)[1].rsplit(") ", 1)
        except OSError:
            continue  # it has ended
        yield int(folder.name), name, int(fields.split()[1])


def family(pid):
    """The process, its children, and theirs."""
    everyone = list(status_fields())
    members = [pid]
    for member in members:  # which grows meanwhile
        members += [child for child, _, parent in everyone if parent == member]
    return members


def exists(pid):
    return (PROC / str(pid)).exists()


def named(prefix):
    return [pid for pid, name, _ in status_fields() if name.startswith(prefix)]


def resident_bytes(pids):
    return sum(kilobytes((PROC / str(pid) / "status").read_text(), "VmRSS") for pid in pids)


def ring_bytes(pid):
    """Of its resident memory, what packet rings are."""
    mappings = re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", (PROC / str(pid) / "smaps").read_text(),
                        flags=re.MULTILINE)
    return sum(kilobytes(mapping, "Rss") for mapping in mappings if "socket:[" in mapping)


def kernel_map_bytes(pid):
    """Memory of the kernel for its BPF maps."""
    infos = (path.read_text() for path in (PROC / str(pid) / "fdinfo").iterdir())
    return sum(int(re.search(r"^memlock:\s+(\d+)", info, re.MULTILINE)[1])
               for info in infos if "map_type:" in info)


def kilobytes(text, field):
    return int(re.search(rf"^{field}:\s+(\d+) kB", text, re.MULTILINE)[1]) * 1024
