#!/usr/bin/python3
"""The datadog dialect is what hot-shots, the DogStatsD client of Node.js, sends for the same
metrics, values, rates and tags, byte for byte."""

import json
import subprocess
import unittest

from harness import BUILD, main, require, run
from packages import npm_package

SAMPLES = BUILD / "tests/test_core_statsd_encoder"
PACKAGE = "hot-shots@17.1.1"

# Sends each sample as hot-shots would and prints what comes out. A sampled call sends at
# random: here always. TYPES is the client's method for each type.
ENCODER = r"""
const StatsD = require(process.argv[1]);
const samples = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const TYPES = {c: 'increment', g: 'gauge', d: 'distribution'};
Math.random = () => 0;
const lines = samples.map((sample) => {
    const client = new StatsD({mock: true});
    client[TYPES[sample.type]](sample.name, sample.value, sample.rate, sample.tags);
    return client.mockBuffer;
});
console.log(JSON.stringify(lines));
"""


def our_samples():
    """What the encoder's unit test prints: name, value, type, rate, tags, line."""
    listing = run(SAMPLES, "samples").stdout
    for row in listing.splitlines():
        name, value, kind, rate, tags, line = row.split("\t")
        yield {"name": name, "value": float(value), "type": kind, "rate": float(rate),
               "tags": tags.split(",") if tags else []}, line


class HotShotsTest(unittest.TestCase):
    def test_every_line_is_the_same(self):
        samples, ours = zip(*our_samples())
        self.assertGreater(len(ours), 80)
        theirs = json.loads(subprocess.run(
            ["node", "-e", ENCODER, npm_package(PACKAGE)], input=json.dumps(samples), text=True,
            check=True, stdout=subprocess.PIPE).stdout)
        self.assertEqual([[line] for line in ours], theirs)


require(SAMPLES, "node", "npm")
main()
