#!/usr/bin/python3
"""draw_graph.py FILE.png: draw bytes out of each service, as the dashboard asks graphite-web for them.

Runs nginx and its client, the agent, statsd, carbon and graphite-web for 90 seconds. Needs what
test_dashboards.py needs.
"""

import json
import math
import pathlib
import sys
import time
import unittest

from harness import TOP, require, require_root
from packages import npm_package
from receivers import STATSD_PACKAGE, Graphite, Statsd
from web import PROGRAMS, WebTest

SECONDS = 90
TITLE = "Bytes out, by service"
LOOK = ("width=800", "height=330", "bgcolor=white", "fgcolor=black", "majorGridLineColor=#cccccc",
        "minorGridLineColor=#eeeeee", "areaMode=stacked", "colorList=#3366cc,#dc3912,#ff9900,#109618",
        f"title={TITLE}, bytes a second")


def requests(second):
    """What each service is asked for in this second: a path, and how often."""
    yield "/m32?s=shop", int(20 + 15 * math.sin(second / 12))
    yield "/chunked?s=api", int(8 + 6 * math.sin(second / 5))
    yield "/m32?s=images", 25 if 40 < second < 65 else 6
    yield "/m32", 3


class Picture(WebTest):
    def runTest(self):
        self.graphite = Graphite(self, self.server)
        statsd = Statsd(self, self.server, **Graphite.STATSD_OPTIONS)
        self.watch('{ host = "web1"; }')
        begin = time.time()
        while time.time() < begin + SECONDS:
            second = int(time.time() - begin)
            for path, count in requests(second):
                self.curl(*[path] * count)
            time.sleep(max(0, begin + second + 1 - time.time()))
        statsd.wait_for_flushes(2)
        self.draw(begin)

    def draw(self, begin):
        dashboard = json.loads((TOP / "conf/dashboards/grafana-graphite.json").read_text())
        panel = next(panel for panel in dashboard["panels"] if panel["title"] == TITLE)
        query = panel["targets"][0]["target"]
        for name, value in (("$counters", "stats.counters.httpacct"), ("$host", "*"),
                            ("$service", "*")):
            query = query.replace(name, value)
        data = [part for parameter in (*LOOK, f"target={query}", f"from={int(begin) + 5}",
                                       f"until={int(begin) + SECONDS}")
                for part in ("--data-urlencode", parameter)]
        path = pathlib.Path(sys.argv[1]).resolve()
        self.server.run("curl", "-sS", "-G", "-o", path, *data, f"{self.graphite.URL}/render")


require_root()
require("carbon-cache", "node", "npm", "/usr/share/graphite-web", *PROGRAMS)
npm_package(STATSD_PACKAGE)
sys.exit(not unittest.TextTestRunner().run(Picture()).wasSuccessful())
