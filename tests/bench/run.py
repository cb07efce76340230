#!/usr/bin/python3
"""Measures what httpacct costs and how right it is: see README.md.

Pairs of runs, with a tap and without, in turn; then a report of them all.
"""

import argparse
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e")]

import measure
import memory
import replay
import report
import taps
from bed import Bed
from harness import TOP, run
from workloads import WORKLOADS

SECTIONS = ("pairs", "profiles", "replay", "memory", "rules")
PROFILED = ("keepalive", "connections", "8m")
NEEDED = ("ip", "nft", "nginx", "nsenter", "ss", "taskset", "tcpdump", "wrk")
NGINX_MODULE = "/usr/lib/nginx/modules/ngx_http_echo_module.so"
WARM_UP_S = 1
TAP_TITLES = {tap.name: tap.title for tap in taps.all_taps("httpacct", pathlib.Path(), "")}

# For --quick: what shows that all of it works.
QUICK = {"pairs": 1, "seconds": 1, "requests": 50_000, "connections": 10_000}
FULL = {"pairs": 5, "seconds": 2, "requests": 1_000_000, "connections": 100_000}
QUICK_TAPS = ("null", "heads", "httpacct")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--agent", type=pathlib.Path, metavar="PATH",
                        help="the httpacct to measure; default: the one of this tree, built")
    parser.add_argument("--settings", default="", metavar="TEXT",
                        help="more lines for its config, as 'ring = { size = 64; };'")
    parser.add_argument("--build", type=pathlib.Path, default=TOP / "build", metavar="DIR",
                        help="where to build (default: build)")
    parser.add_argument("--out", type=pathlib.Path, metavar="DIR",
                        help="where the results go (default: tests/bench in the build folder)")
    parser.add_argument("--install", action="store_true",
                        help="install what is missing, the peers included (Debian)")
    parser.add_argument("--quick", action="store_true", help="about a minute: does it all work?")
    parser.add_argument("-n", "--pairs", type=int, help="pairs for each workload and tap")
    parser.add_argument("-d", "--seconds", type=int, help="of each run")
    parser.add_argument("-w", "--workloads", type=names_of(WORKLOADS), default=tuple(WORKLOADS),
                        metavar="LIST", help=f"of {', '.join(WORKLOADS)}")
    parser.add_argument("-t", "--taps", type=names_of(TAP_TITLES), metavar="LIST",
                        help=f"of {', '.join(TAP_TITLES)}")
    parser.add_argument("-s", "--sections", type=names_of(SECTIONS), default=SECTIONS,
                        metavar="LIST", help=f"of {', '.join(SECTIONS)}")
    parser.add_argument("--report", type=pathlib.Path, nargs="+", metavar="FILE",
                        help="measure nothing: make one report of these results")
    return parser.parse_args()


def names_of(known):
    def parse(text):
        names = tuple(text.split(","))
        unknown = set(names) - set(known)
        if unknown:
            raise argparse.ArgumentTypeError(f"no {', '.join(unknown)}: use {', '.join(known)}")
        return names
    return parse


def say(*words):
    print(*words, file=sys.stderr, flush=True)


def install():
    subprocess.run([TOP / "packaging/install-depends.sh", TOP / "packaging/build-depends",
                    TOP / "tests/test-depends", HERE / "depends"], check=True)


def build(arguments):
    """The agent too, unless another one is to be measured."""
    targets = ["bench_rule", "reference"] if arguments.agent else ["bench"]
    if not (arguments.build / "CMakeCache.txt").exists():
        subprocess.run(["cmake", "-S", TOP, "-B", arguments.build], check=True, stdout=sys.stderr)
    subprocess.run(["cmake", "--build", arguments.build, "--target", *targets], check=True,
                   stdout=sys.stderr)


class Benchmark:
    def __init__(self, arguments):
        self.arguments = arguments
        self.agent = str(arguments.agent or arguments.build / "agent/httpacct")
        self.out = arguments.out or arguments.build / "tests/bench"
        self.sizes = {**(QUICK if arguments.quick else FULL),
                      **{name: value for name, value in vars(arguments).items()
                         if name in FULL and value}}
        self.records = []
        self.taps = []

    def record(self, kind, **members):
        record = {"kind": kind, **members}
        self.records.append(record)
        with (self.out / "results.jsonl").open("a") as file:
            file.write(json.dumps(record) + "\n")

    def skip(self, what, why):
        say(f"{what}: skipped, {why}")
        self.record("skipped", what=what, why=why)

    def run(self):
        self.out.mkdir(parents=True, exist_ok=True)
        (self.out / "results.jsonl").unlink(missing_ok=True)
        self.record("machine", facts=self.facts())
        with Bed() as self.bed:
            if {"pairs", "profiles"} & set(self.arguments.sections):
                self.choose_taps()
            for section in self.arguments.sections:
                getattr(self, section)()
        self.record("machine", facts={"load at the end": load_average()})

    def facts(self):
        return {
            "agent": run(self.agent, "--version").stdout.strip(),
            "kernel": platform.release(), "processors": os.cpu_count(),
            "settings": self.arguments.settings or "default",
            "pairs": f"{self.sizes['pairs']} of {self.sizes['seconds']} s a side",
            "load at the start": load_average(),
        }

    def choose_taps(self):
        for tap in taps.all_taps(self.agent, self.arguments.build, self.arguments.settings):
            if self.arguments.taps and tap.name not in self.arguments.taps:
                continue
            if self.arguments.quick and not self.arguments.taps and tap.name not in QUICK_TAPS:
                continue
            why = tap.missing()
            if why:
                self.skip(tap.title, why)
            else:
                self.taps.append(tap)

    def taps_for(self, workload):
        """A quick run looks at others beside the first workload only."""
        if self.arguments.quick and workload != self.arguments.workloads[0]:
            return [tap for tap in self.taps if isinstance(tap, taps.Httpacct)]
        return self.taps

    def attempt(self, kind, workload, tap, measure_it):
        """One tap that fails does not end all."""
        try:
            result = measure_it()
        except (AssertionError, LookupError, OSError, ValueError,
                subprocess.SubprocessError) as error:
            why = f"{type(error).__name__}: {error}".splitlines()[0]
            self.skip(f"{workload} beside {tap.title}", why)
            return None
        self.record(kind, workload=workload, tap=tap.name, counts_segments=tap.counts_segments,
                    **result)
        return self.records[-1]

    def pairs(self):
        for name in self.arguments.workloads:
            if not self.arguments.quick:
                self.bed.load(WORKLOADS[name], WARM_UP_S)
            for number in range(self.sizes["pairs"]):
                for tap in self.taps_for(name):
                    self.pair(name, tap, number)

    def pair(self, name, tap, number):
        pair = self.attempt("pair", name, tap, lambda: measure.pair(
            self.bed, WORKLOADS[name], tap, self.sizes["seconds"], tap_first=number % 2 == 1))
        if pair:
            seen = dict(zip(report.ACCURACY, map(report.exact, report.accuracy([pair]))))
            say(f"{tap.name:15} {name:12} own CPU {report.own_cost(pair):.4f} s per "
                f"{WORKLOADS[name].unit}; seen {seen}")

    def profiles(self):
        if not shutil.which("perf"):
            self.skip("profiles", "perf is not installed (linux-perf)")
            return
        for name in PROFILED:
            if name in self.arguments.workloads:
                for _ in range(self.sizes["pairs"]):
                    for tap in self.taps_for(name):
                        self.profile(name, tap)

    def profile(self, name, tap):
        profile = self.attempt("profile", name, tap, lambda: measure.profile(
            self.bed, WORKLOADS[name], tap, self.sizes["seconds"]))
        if profile:
            say(f"{tap.name:15} {name:12} {report.inside_share(profile) * 100:.2f} % inside the "
                f"tap, {report.own_share(profile) * 100:.2f} % its own")

    def replay(self):
        capture, requests = self.bed.folder / "requests.pcap", self.sizes["requests"]
        packets = replay.write_capture(capture, requests)
        config = self.bed.folder / "replay.conf"
        config.write_text('rules = ( { query = "s"; } );\n')
        readers = replay.readers(self.agent, config, capture)
        for _ in range(self.sizes["pairs"]):
            tools = {name: replay.read_once(command) for name, command in readers.items()
                     if shutil.which(command[0])}
            readers.pop("tshark", None)  # once will do: it takes minutes
            self.record("replay", requests=requests, packets=packets, tools=tools)
            say("replay", {name: f"{packets / tool['seconds']:.0f} packets/s"
                           for name, tool in tools.items()})
        capture.unlink()

    def memory(self):
        connections = self.sizes["connections"]
        settings = f"{self.arguments.settings}\n{memory.SETTINGS % (connections * 2)}"
        tap = taps.Httpacct("httpacct", "httpacct", [self.agent], settings)
        self.record("memory", **memory.measure_memory(self.bed, tap, connections))
        say("memory", self.records[-1])

    def rules(self):
        text = run(self.arguments.build / "tests/bench_rule").stdout
        ratio = float(re.search(r"^each in turn.* ([\d.]+)$", text, re.MULTILINE)[1])
        self.record("rules", text=text, ratio=ratio)


def load_average():
    return "%.2f %.2f %.2f" % os.getloadavg()


def write_report(out, records):
    results = report.Results(records, TAP_TITLES)
    text = report.markdown(results)
    (out / "report.md").write_text(text)
    (out / "report.svg").write_text(report.svg(results))
    print(text)
    say(f"written: {out}/report.md, report.svg")


def check_rights():
    missing = [name for name in NEEDED if not shutil.which(name)]
    missing += [] if os.path.exists(NGINX_MODULE) else [NGINX_MODULE]
    if missing:
        sys.exit(f"not installed: {', '.join(missing)}; run this with --install")
    if os.geteuid() != 0:
        sys.exit("network namespaces need root")


def main():
    arguments = parse_arguments()
    if arguments.report:
        records = [json.loads(line) for path in arguments.report
                   for line in path.read_text().splitlines()]
        write_report(arguments.out or arguments.report[0].parent, records)
        return
    if arguments.install:
        install()
    check_rights()
    build(arguments)
    benchmark = Benchmark(arguments)
    benchmark.run()
    write_report(benchmark.out, benchmark.records)


if __name__ == "__main__":
    main()
