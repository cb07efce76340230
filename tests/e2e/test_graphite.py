#!/usr/bin/python3
"""httpacct -> statsd -> carbon -> graphite-web: a query returns a service's bytes."""

from harness import main, require, require_root, wait_for
from packages import npm_package
from receivers import STATSD_PACKAGE, Graphite, Statsd
from web import PROGRAMS, SERVER, WebTest


class GraphiteTest(WebTest):
    def test_query_returns_the_bytes_of_a_service(self):
        graphite = Graphite(self, self.server)
        statsd = Statsd(self, self.server, **Graphite.STATSD_OPTIONS)
        self.config.write_text("""
            rules = ( { host = "{service}.example.com"; } );
            flush = { interval = 1; };
            statsd = ( { host = "web1"; } );""")
        agent = self.start_agent(self.server, "-i", "server0", "--print", "json")
        for name in ("shop", "shop", "api"):
            self.client.run("curl", "-sS", "-o", "/dev/null", "-H", f"Host: {name}.example.com",
                            f"http://{SERVER}/m32")
        self.server.wait_until_quiet("server0")
        totals = self.stop_agent(agent)
        statsd.wait_for_flushes(2)
        for name in ("shop", "api"):
            for way in ("in", "out"):
                target = f"stats.counters.httpacct.web1.{name}.{way}.bytes.count"
                self.check_series(graphite, target, totals.services[name][way]["bytes"])
        self.check_series(graphite, "sumSeries(stats.counters.httpacct.*.*.out.bytes.count)",
                          sum(service["out"]["bytes"] for service in totals.services.values()))
        self.assertEqual(statsd.bad_lines(), 0)

    def check_series(self, graphite, target, expected):
        wait_for(lambda: graphite.sum(target) == expected, f"{expected} of {target}")


require_root()
require("carbon-cache", "node", "npm", "/usr/share/graphite-web", *PROGRAMS)
npm_package(STATSD_PACKAGE)
main()
