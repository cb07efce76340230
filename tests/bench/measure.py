"""One workload, beside one tap or none: what it cost and what was seen."""

import contextlib
import pathlib
import re
import tempfile
import time

import processes
from bed import SEGMENT_HEADER_BYTES
from harness import run, wait_for

SETTLE_S = 0.3
DRAIN_S, DRAIN_STEP_S, IDLE_CPU_S = 5, 0.2, 0.01
PROFILE_HZ = 1000

# What of the kernel a packet passes only because somebody listens.
TAP_FUNCTIONS = re.compile(r"\b(dev_queue_xmit_nit|packet_rcv|tpacket_rcv)\b")


class Running:
    """A tap beside the server, with a folder for its files."""

    def __init__(self, bed, tap, folder):
        self.tap, self.folder = tap, folder
        sockets = bed.packet_sockets()
        self.program = bed.start(bed.server, *tap.command(folder), folder=folder)
        if tap.listens():
            self.program.wait_until(lambda: bed.packet_sockets() > sockets, f"{tap.name} to listen")
        time.sleep(SETTLE_S)
        self.pids = processes.family(self.program.process.pid)
        self.cpu_before_s = processes.cpu_s(self.pids)

    def cpu_s(self):
        return processes.cpu_s(self.pids) - self.cpu_before_s

    def drain(self):
        """Let it catch up, within limits."""
        deadline, before = time.monotonic() + DRAIN_S, -1
        while self.cpu_s() - before > IDLE_CPU_S and time.monotonic() < deadline:
            before = self.cpu_s()
            time.sleep(DRAIN_STEP_S)

    def measure(self):
        return {"cpu_s": self.cpu_s(), "resident_bytes": processes.resident_bytes(self.pids)}

    def finish(self):
        """End it; returns what it saw."""
        self.program.stop()
        wait_for(lambda: not any(map(processes.exists, self.pids)), f"{self.tap.name} to end")
        return self.tap.read(self.program, self.folder)


@contextlib.contextmanager
def running(bed, tap):
    """With None there is no tap, and None."""
    if not tap:
        yield None
        return
    with tempfile.TemporaryDirectory(dir=bed.folder) as folder:
        tapped = Running(bed, tap, pathlib.Path(folder))
        try:
            yield tapped
        finally:
            tapped.program.kill()


def difference(after, before):
    """Of counters; and the bytes that a wire would have carried."""
    truth = {name: after[name] - before[name] for name in after}
    for way in ("in", "out"):
        more_segments = truth[f"segments_{way}"] - truth[f"packets_{way}"]
        truth[f"wire_{way}"] = truth[f"bytes_{way}"] + more_segments * SEGMENT_HEADER_BYTES
    return truth


def one_side(bed, workload, tap, seconds):
    """Returns what the load did, what the counters say, and what the tap cost and saw."""
    with running(bed, tap) as tapped:
        bed.take_log()
        before, stack_before_s = bed.quiet_counters(), bed.stack_cpu_s()
        load = bed.load(workload, seconds)
        stack_s = bed.stack_cpu_s() - stack_before_s + load.cpu_s
        truth = difference(bed.quiet_counters(), before)
        side = {"requests": load.requests, "seconds": load.seconds, "errors": load.errors,
                "stack_cpu_s": stack_s, "truth": truth, "logged": bed.take_log()}
        if tapped:
            tapped.drain()
            side |= tapped.measure()
            side["seen"] = tapped.finish()
        return side


def pair(bed, workload, tap, seconds, tap_first):
    order = (tap, None) if tap_first else (None, tap)
    sides = {bool(which): one_side(bed, workload, which, seconds) for which in order}
    return {"without": sides[False], "with": sides[True]}


def profile(bed, workload, tap, seconds):
    """Where the CPU time of server and load went, by stacks that perf sampled.

    It is insensitive to what else runs, and a lower bound: what a tap costs elsewhere, as by
    displacing caches, is not seen."""
    data = bed.folder / "perf.data"
    record = ("perf", "record", "-q", "-o", data, "-a", "-g", "-e", "cpu-clock", "-F", PROFILE_HZ,
              "--")
    with running(bed, tap) as tapped:
        before = bed.quiet_counters()
        bed.load(workload, seconds, prefix=record)
        truth = difference(bed.quiet_counters(), before)
        tapped.drain()
        cpu_s = tapped.cpu_s()
        tapped.finish()
    samples = stack_samples(data, bed.stack, workload.program)
    inside = sum(1 for sample in samples if TAP_FUNCTIONS.search(sample))
    return {"samples": len(samples), "inside": inside, "hz": PROFILE_HZ, "cpu_s": cpu_s,
            "packets": truth["packets_in"] + truth["packets_out"]}


def stack_samples(data, server_pids, load_program):
    """The samples of the server, the load and softirqs, each as text."""
    script = run("perf", "script", "-i", data, "-F", "comm,pid,ip,sym", errors="replace").stdout
    samples = []
    for sample in script.split("\n\n"):
        head = re.match(r"\s*(.*?)\s+(\d+)\s*\n", sample)
        if head and (int(head[2]) in server_pids or head[1] == load_program):
            samples.append(sample)
    return samples
