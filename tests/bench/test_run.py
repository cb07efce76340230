#!/usr/bin/python3
"""The benchmark itself, small: it runs, reports all that it was asked for, and what
it says of httpacct's counting is exact. Nothing is asserted of what anything costs.
"""

import json
import pathlib
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
END_TO_END = HERE.parent / "e2e"
sys.path[:0] = [str(HERE), str(END_TO_END)]

import report
from harness import BUILD, HTTPACCT, main, require, require_root, run
from run import NEEDED, NGINX_MODULE, TAP_TITLES

RUN = HERE / "run.py"
RUN_LIMIT_S = 600
WORKLOADS, TAPS = ("keepalive", "8m"), ("null", "heads", "httpacct")
SIZES = ("--quick", "-n", 1, "-d", 1, "-s", "pairs,replay,memory,rules",
         "--settings", "ring = { size = 64; };")  # also on a busy machine nothing is dropped
HEADINGS = [
    "# httpacct, measured", "### Goals", "### keepalive: small replies, kept connections",
    "### 8m: 8 MB replies", "### A capture file of 50000 requests, 100200 packets",
    "### Memory of httpacct, MiB", "### Finding the rule of a request",
]


def modules(folder):
    return {path.stem for path in folder.glob("*.py")}


class ModulesTest(unittest.TestCase):
    def test_no_module_has_the_name_of_one_of_the_end_to_end_tests(self):
        self.assertEqual(modules(HERE) & modules(END_TO_END), set())


class RunTest(unittest.TestCase):
    """One run, looked at from several sides."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="httpacct-test-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        run(sys.executable, "-B", RUN, "--agent", HTTPACCT, "--build", BUILD, "--out", cls.folder,
            *SIZES, "-w", ",".join(WORKLOADS), "-t", ",".join(TAPS), timeout=RUN_LIMIT_S)
        lines = (cls.folder / "results.jsonl").read_text().splitlines()
        cls.results = report.Results([json.loads(line) for line in lines], TAP_TITLES)

    def test_nothing_is_skipped(self):
        self.assertEqual(self.results.of("skipped"), [])

    def test_every_section_is_recorded(self):
        pairs = [(pair["workload"], pair["tap"]) for pair in self.results.of("pair")]
        self.assertEqual(pairs, [*(("keepalive", tap) for tap in TAPS), ("8m", "httpacct")])
        self.assertIn("httpacct", self.results.of("replay")[0]["tools"])
        for kind, count in (("machine", 2), ("replay", 1), ("memory", 1), ("rules", 1)):
            self.assertEqual(len(self.results.of(kind)), count, kind)

    def test_httpacct_saw_all_of_it(self):
        for workload in WORKLOADS:
            pairs = self.results.of("pair", workload=workload, tap="httpacct")
            side = pairs[0]["with"]
            self.assertGreater(sum(side["logged"].values()), 0, workload)
            self.assertEqual(report.accuracy(pairs), [1] * len(report.ACCURACY), workload)
            self.assertEqual(side["seen"]["dropped"], 0, workload)

    def test_the_report_has_every_section(self):
        text = (self.folder / "report.md").read_text()
        self.assertEqual([line for line in text.splitlines() if line.startswith("#")], HEADINGS)
        self.assertIn("own CPU seconds per", (self.folder / "report.svg").read_text())

    def test_its_results_give_the_same_report_again(self):
        again = self.folder / "again"
        again.mkdir()
        run(sys.executable, "-B", RUN, "--report", self.folder / "results.jsonl", "--out", again)
        for name in ("report.md", "report.svg"):
            self.assertEqual((again / name).read_text(), (self.folder / name).read_text(), name)


if __name__ == "__main__":
    require(*NEEDED, NGINX_MODULE, BUILD / "tests/bench_rule", BUILD / "tests/bench/reference")
    require_root()
    main()
