#!/usr/bin/python3
"""The dashboards: each query of Grafana's returns data that the agent sent, and all three are what
Grafana and Datadog take."""

import collections
import copy
import json
import re
import socket
import subprocess
import unittest

from harness import BUILD, TOP, main, require, require_root, wait_for
from packages import npm_package
from receivers import STATSD_PACKAGE, Graphite, Statsd
from web import PROGRAMS, WebTest

FOLDER = TOP / "conf/dashboards"
BY_PATH, BY_TAGS = "grafana-graphite.json", "grafana-graphite-tags.json"
DATADOG_PACKAGE = "@datadog/datadog-api-client@1.64.0"
GRAFANA_PACKAGE = "@grafana/schema@13.2.3"
TYPESCRIPT_PACKAGE = "typescript@5.9.3"

# What no traffic makes, as the agent would send it.
RARE_COUNTERS = ("untracked_bytes", "ring_drops", "gaps", "heads_cut", "sessions_evicted",
                 "services_folded")
RARE_GAUGES = ("due_bytes", "flush_ms")
RARE_LINES = "\n".join([
    "httpacct.web1.alpha.unanswered:1|c",
    "httpacct.unanswered;service=alpha;interface=server0;host=web1:1|c",
    "httpacct.web1.agent.sends_refused:1|c",
    "httpacct.agent.sends_refused;host=web1:1|c",
    *(f"httpacct.web1.agent.{name}:1|g" for name in RARE_GAUGES),
    *(f"httpacct.agent.{name};host=web1:1|g" for name in RARE_GAUGES),
    *(f"httpacct.web1.agent.server0.{name}:1|c" for name in RARE_COUNTERS),
    *(f"httpacct.agent.{name};interface=server0;host=web1:1|c" for name in RARE_COUNTERS)])

CHOICES = {BY_PATH: {"host": "web1", "service": "{alpha,beta}", "interface": "server0"},
           BY_TAGS: {"host": "web1", "service": "(alpha|beta)", "interface": "server0"}}

# Prints where Datadog's own client found what it does not know.
DATADOG_CHECK = r"""
const {ObjectSerializer} = require(process.argv[1] +
    '/dist/packages/datadog-api-client-v1/models/ObjectSerializer.js');
const dashboard = ObjectSerializer.deserialize(
    JSON.parse(require('fs').readFileSync(0, 'utf8')), 'Dashboard', '');
const walk = (value, path) => {
    if (value === null || typeof value !== 'object')
        return;
    if (value._unparsed || value.constructor.name === 'UnparsedObject')
        console.log(path);
    for (const key of Object.keys(value))
        walk(value[key], path + '.' + key);
};
walk(dashboard, 'dashboard');
"""

# A dashboard as Grafana's types have it. What follows is the JSON.
GRAFANA_CHECK = """
import type {Dashboard, Panel, RowPanel, VariableModel} from '@grafana/schema';
type Classic = Omit<Dashboard, 'panels' | 'templating'> & {
    __inputs: object[], __requires: object[],
    panels: (Partial<Panel> & Pick<Panel, 'type'> | RowPanel)[],
    templating: {list: VariableModel[]}};
"""


def load(name):
    return json.loads((FOLDER / name).read_text())


class GrafanaDashboard:
    """The queries of a dashboard, with its variables as they are at first, or as chosen."""

    def __init__(self, name, choices=None):
        self.json = load(name)
        self.values = {variable["name"]: variable["query"] if variable["type"] == "textbox" else
                       variable["allValue"] for variable in self.json["templating"]["list"]}
        self.values.update(choices or {})

    def expand(self, text):
        return re.sub(r"\$(?:\{(\w+)(?::regex)?\}|(\w+))",
                      lambda match: self.values[match[1] or match[2]], text)

    def panel(self, title):
        return next(panel for panel in self.json["panels"] if panel["title"] == title)

    def targets(self):
        return [target["target"] for panel in self.json["panels"]
                for target in panel.get("targets", ())]

    def variable(self, name):
        return next(variable for variable in self.json["templating"]["list"]
                    if variable["name"] == name)

    def query(self, graphite, name):
        """What Grafana offers for a variable, as it asks Graphite for that."""
        variable = self.variable(name)
        query = self.expand(variable["query"])
        if match := re.fullmatch(r"expand\((.*)\)", query):
            found = json.loads(graphite.get("/metrics/expand", f"query={match[1]}"))["results"]
        elif match := re.fullmatch(r"tag_values\((\w+), (.*)\)", query):
            found = json.loads(graphite.get("/tags/autoComplete/values", f"tag={match[1]}",
                                            f"expr={match[2]}"))
        else:
            found = [node["text"] for node in
                     json.loads(graphite.get("/metrics/find", f"query={query}"))]
        pattern = re.compile(variable["regex"].strip("/"))
        matches = filter(None, map(pattern.search, found))
        return {match[1] if pattern.groups else match.string for match in matches}


class QueriesTest(WebTest):
    def test_each_query_returns_what_the_agent_sent(self):
        self.graphite = Graphite(self, self.server)
        statsd = Statsd(self, self.server, **Graphite.STATSD_OPTIONS)
        self.watch("""{ host = "web1"; metrics = [ "default", "ttfb" ]; },
                      { host = "web1"; metrics = [ "default", "ttfb" ]; dialect = "graphite-tags"; }
                      """)
        self.each_kind()
        statsd.wait_for_flushes(2)  # or no sum is of more than one point
        self.each_kind()
        self.curl("/m32")
        with self.open_connection() as connection:
            connection.sendall(b"neither a request nor a reply\r\n\r\n")
            connection.recv(1000)
        with self.open_connection() as connection:
            self.ask_over(connection, ["alpha"])
            wait_for(lambda: "httpacct.web1.alpha.open" in statsd.gauges(), "an open connection")
        self.send_to_statsd(RARE_LINES)
        totals = self.finish()
        statsd.wait_for_flushes(2)
        self.assertEqual(statsd.bad_lines(), 0)
        for name in (BY_PATH, BY_TAGS):
            for choices in (None, CHOICES[name]):
                with self.subTest(name, choices=choices):
                    self.check_targets(GrafanaDashboard(name, choices))
            with self.subTest(name):
                self.check_numbers(GrafanaDashboard(name), totals)
                self.check_variables(GrafanaDashboard(name), totals)

    def send_to_statsd(self, lines):
        with self.server.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(lines.encode(), ("127.0.0.1", 8125))

    def check_targets(self, dashboard):
        for target in dashboard.targets():
            query = dashboard.expand(target)
            wait_for(lambda: any(self.graphite.render(query).values()), f"data of {query}")

    def check_numbers(self, dashboard, totals):
        """Sums stay right where a picture has fewer points than there are."""
        for way in ("in", "out"):
            expected = {name: service[way]["bytes"] for name, service in totals.services.items()
                        if service[way]["bytes"]}
            query, = (dashboard.expand(target["target"]) for target in
                      dashboard.panel(f"Bytes {way} over the time shown")["targets"])
            wait_for(lambda: self.sums(query) == expected, f"{expected} of {query}")
            rates, rest = (dashboard.expand(target["target"]) for target in
                           dashboard.panel(f"Bytes {way}, by service")["targets"])
            self.assertEqual(self.sums(rates), expected)
            self.assertEqual(self.sums(rest, "maxDataPoints=3600"), {"the rest": 0})
        query, = (dashboard.expand(target["target"]) for target in
                  dashboard.panel("Replies, by class of their status")["targets"])
        replies = collections.Counter()
        for service in totals.services.values():
            replies.update(service["replies"])
        self.assertEqual(self.sums(query), {name: count for name, count in replies.items() if count})

    def sums(self, query, points="maxDataPoints=40"):
        if "scaleToSeconds" in query:  # rates add up where there is one point a second
            points = "maxDataPoints=3600"
        return {name: round(sum(values))
                for name, values in self.graphite.render(query, points).items()}

    def check_variables(self, dashboard, totals):
        self.assertEqual(dashboard.query(self.graphite, "host"), {"web1"})
        self.assertEqual(dashboard.query(self.graphite, "service"), set(totals.services))
        self.assertEqual(dashboard.query(self.graphite, "interface"), {"server0"})


class DatadogTest(unittest.TestCase):
    def unknown(self, dashboard):
        return subprocess.run(
            ["node", "-e", DATADOG_CHECK, npm_package(DATADOG_PACKAGE)], check=True, text=True,
            input=json.dumps(dashboard), stdout=subprocess.PIPE).stdout.split()

    def test_datadog_knows_all_of_the_dashboard(self):
        self.assertEqual(self.unknown(load("datadog.json")), [])

    def test_mistakes_are_found(self):
        type_is_wrong, display_is_wrong = load("datadog.json"), load("datadog.json")
        first = type_is_wrong["widgets"][0]["definition"]["widgets"][0]
        first["definition"]["type"] = "timeserie"
        first = display_is_wrong["widgets"][0]["definition"]["widgets"][0]
        first["definition"]["requests"][0]["display_type"] = "areas"
        for dashboard in (type_is_wrong, display_is_wrong):
            self.assertNotEqual(self.unknown(dashboard), [])


class GrafanaTest(unittest.TestCase):
    def complaints(self, dashboard):
        npm_package(GRAFANA_PACKAGE)
        compiler = npm_package(TYPESCRIPT_PACKAGE) / "bin/tsc"
        source = BUILD / "npm/dashboard.ts"
        source.write_text(f"{GRAFANA_CHECK}const dashboard: Classic = "
                          f"{json.dumps(dashboard)};\nexport default dashboard;\n")
        return subprocess.run(
            ["node", compiler, "--noEmit", "--strict", "--skipLibCheck", "--module", "esnext",
             "--moduleResolution", "bundler", "--target", "es2020", "--lib", "es2020,dom", source],
            text=True, stdout=subprocess.PIPE).stdout

    def test_dashboards_are_of_grafanas_types(self):
        for name in (BY_PATH, BY_TAGS):
            self.assertEqual(self.complaints(load(name)), "", name)

    def test_mistakes_are_found(self):
        dashboard = load(BY_PATH)
        no_type, bad_place = copy.deepcopy(dashboard), copy.deepcopy(dashboard)
        del no_type["panels"][1]["type"]
        bad_place["panels"][1]["gridPos"]["w"] = "half"
        for mistaken in (no_type, bad_place):
            self.assertIn("error TS2322", self.complaints(mistaken))


require_root()
require("carbon-cache", "node", "npm", "/usr/share/graphite-web", *PROGRAMS)
for package in (STATSD_PACKAGE, DATADOG_PACKAGE, GRAFANA_PACKAGE, TYPESCRIPT_PACKAGE):
    npm_package(package)
main()
