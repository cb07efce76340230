#!/usr/bin/python3
"""httpacct top on real terminals, real traffic and a real agent."""

import json
import re
import signal

from harness import HTTPACCT, LabTest, httpacct, main, require, require_root, run, wait_for
from servers import NGINX_MODULE, Nginx
from terminal import Terminal

SERVER = "10.95.0.2"
LONG = "a-name-that-is-as-long-as-the-names-of-services-may-be-" + "x" * 9
TARGETS = ("m32?s=much", "m32?s=much", "small?s=less", "none?s=errors", f"small?s={LONG}")
NAMES = {"much", "less", "errors", LONG}
FLOW = re.compile(r"(\d[\d.]*) ([kMGTPE]?)([Bb])")
FACTOR = dict(zip(("", "k", "M", "G", "T", "P", "E"), (1000 ** n for n in range(7))))


def table(lines):
    """Its rows: name, then the words behind it. Nothing as long as there is no table."""
    starts = [n for n, line in enumerate(lines) if re.match(r"\*?(service|interface)\b", line)]
    if not starts:
        return []
    return [line.split() for line in lines[starts[0] + 1:-1] if line.strip()]


def names(lines):
    return [row[0] for row in table(lines)]


def flows(line):
    return [float(number) * FACTOR[prefix] for number, prefix, _ in FLOW.findall(line)]


class TopTest(LabTest):
    def setUp(self):
        super().setUp()
        self.client = self.namespace("client")
        self.server = self.namespace("server")
        self.connect(self.client, self.server, ("client0", "server0"), "10.95.0")
        Nginx(self, self.server)
        self.socket = self.folder / "control.sock"
        self.config.write_text('rules = ( { query = "s"; } );\n'
                               f'control = {{ socket = "{self.socket}"; }};\n')
        self.agent = self.start_watching()

    def start_watching(self):
        return self.start_agent(self.server, "-i", "server0", "--print", "none")

    def request_all_the_time(self):
        urls = [word for target in TARGETS
                for word in ("-o", "/dev/null", f"http://{SERVER}/{target}")]
        loop = 'while :; do curl -s "$@"; sleep 0.02; done'
        return self.start(self.client, "sh", "-c", loop, "loop", *urls)

    def top(self, **options):
        command = (HTTPACCT, "-c", self.config, "top", "--interval", "0.2")
        return Terminal(self, command, **options)

    def top_with_traffic(self, **options):
        self.request_all_the_time()
        terminal = self.top(**options)
        terminal.wait_for(lambda lines: len(table(lines)) == len(NAMES) and self.moves(lines),
                          "rates of all services")
        return terminal

    def moves(self, lines):
        """Every row has rates above 0, in and out. _unknown is what was under way when the agent
        came, and moves no more."""
        return all(len(row) > 4 and min((flows(" ".join(row[1:5])) + [0])[:2]) > 0
                   for row in table(lines) if row[0] != "_unknown")

    def status(self):
        return json.loads(httpacct("-c", self.config, "status", "--json").stdout)

    def wait_for_agent_to_go_on(self):
        """Until it has counted for some seconds more, and requests."""
        before = self.status()

        def went_on():
            now = self.status()
            return (now["seconds"] > before["seconds"] + 2 and
                    now["interfaces"][0]["tcp_bytes"] > before["interfaces"][0]["tcp_bytes"])
        wait_for(went_on, "more traffic")


class ShownTest(TopTest):
    def test_all_is_there_on_80_by_24(self):
        terminal = self.top_with_traffic()
        lines = terminal.wait_for(
            lambda lines: lines if re.search(r"[▁-█]{3}$", "\n".join(lines), re.M) else None,
            "graphs")
        screen = "\n".join(lines)
        self.assertIn("health ok", lines[0])
        self.assertRegex(lines[1], r"in [\d.]+ k?B/s .*requests \d+.*4xx \d")
        self.assertRegex(lines[2], r"^balanced  tcp [\d.]+ [kM]?B = services [\d.]+ [kM]?B")
        self.assertRegex(lines[3], r"^drops 0  interfaces 1  server0 up \d")
        self.assertIn("…", screen, "a long name is cut")
        self.assertNotIn(LONG, screen)
        self.assertEqual(names(lines)[0], "much")
        self.assertIn("▒", next(line for line in lines if line.startswith("much")), "its bar")
        errors = next(row for row in table(lines) if row[0] == "errors")
        self.assertGreater(float(errors[6]), 0, "4xx/s")
        self.assertTrue(all(len(line) <= 80 for line in lines))

    def test_rates_are_those_of_the_agent(self):
        terminal = self.top_with_traffic()
        before = self.status()
        shown = []

        def seen_enough(lines):
            shown.append(flows(lines[1])[1])
            return self.status()["seconds"] > before["seconds"] + 3
        terminal.wait_for(seen_enough, "three seconds of rates")
        after = self.status()
        moved = sum(service["out"]["bytes"] for service in after["services"]) - \
            sum(service["out"]["bytes"] for service in before["services"])
        rate = moved / (after["seconds"] - before["seconds"])
        self.assertLess(min(shown), rate * 1.3)
        self.assertGreater(max(shown), rate / 1.3)

    def test_bits_are_eight_to_a_byte(self):
        terminal = self.top_with_traffic()
        terminal.press("p")
        terminal.wait_for_words("PAUSED")
        in_bytes = flows(terminal.lines()[1])
        terminal.press("b")
        in_bits = terminal.wait_for(
            lambda lines: flows(lines[1]) if "b/s" in lines[1] else None, "bits")
        for few, many in zip(in_bytes, in_bits):
            self.assertAlmostEqual(few * 8 / many, 1, delta=0.1)

    def test_ascii_and_no_colours_will_do(self):
        terminal = self.top_with_traffic(term="vt100", locale="C")
        screen = "\n".join(terminal.lines())
        self.assertTrue(screen.isascii(), screen)
        self.assertIn("...", screen)
        self.assertIn("=", next(line for line in terminal.lines() if line.startswith("much")))

    def test_interfaces_are_a_page_of_their_own(self):
        terminal = self.top_with_traffic()
        terminal.press("Tab")
        row = terminal.wait_for(
            lambda lines: table(lines)[0] if names(lines) == ["server0"] else None, "the page")
        self.assertEqual(row[1], "up")
        self.server.run("ip", "link", "set", "server0", "down")
        terminal.wait_for(lambda lines: table(lines)[0][1] == "down", "an interface that is down")
        terminal.wait_for_words("server0 is down")
        terminal.wait_for_words("health degraded")
        self.server.run("ip", "link", "set", "server0", "up")
        terminal.wait_for(lambda lines: table(lines)[0][1] == "up", "an interface that is up")
        terminal.press("Tab")
        terminal.wait_for(lambda lines: "much" in names(lines), "services")


class KeysTest(TopTest):
    def order(self, terminal, key, expected, what):
        terminal.press(key)
        terminal.wait_for(lambda lines: names(lines)[:len(expected)] == expected, what)

    def test_keys_sort(self):
        terminal = self.top_with_traffic(columns=200)
        by_name = sorted(NAMES)
        self.order(terminal, "n", by_name, "order by name")
        self.assertTrue(any(line.startswith("*service") for line in terminal.lines()))
        self.order(terminal, "e", ["errors"], "order by errors")
        self.order(terminal, "r", ["much"], "order by requests")
        self.order(terminal, "n", by_name, "order by name")
        self.order(terminal, "i", ["much"], "order by bytes in")
        self.order(terminal, "n", by_name, "order by name")
        self.order(terminal, "o", ["much"], "order by bytes out")
        self.order(terminal, "n", by_name, "order by name")
        self.order(terminal, "s", ["much"], "the next order: by bytes")

    def test_a_filter_leaves_what_has_it(self):
        terminal = self.top_with_traffic()
        terminal.press("/", "E", "r", "R")
        terminal.wait_for(lambda lines: names(lines) == ["errors"], "what has the filter")
        terminal.wait_for_words("/ErR_")
        terminal.press("q")
        terminal.wait_for_words("no name has the filter")
        terminal.press("BSpace", "Enter")
        terminal.wait_for_words('only names with "ErR"')
        terminal.press("Escape")
        terminal.wait_for(lambda lines: len(table(lines)) == len(NAMES), "all")

    def test_pause_freezes(self):
        terminal = self.top_with_traffic()
        terminal.press("p")
        terminal.wait_for_words("PAUSED")
        frozen = terminal.lines()
        self.wait_for_agent_to_go_on()
        self.assertEqual(terminal.lines(), frozen)
        terminal.press("Space")
        terminal.wait_for(lambda lines: "PAUSED" not in lines[0] and lines[1:] != frozen[1:],
                          "news")

    def test_help_comes_and_goes(self):
        terminal = self.top_with_traffic()
        terminal.press("h")
        terminal.wait_for_words("errors: 4xx and 5xx")
        terminal.press("x")
        terminal.wait_for(lambda lines: "much" in names(lines), "services")

    def test_rows_scroll(self):
        terminal = self.top_with_traffic()
        terminal.resize(80, 8)
        terminal.press("n")
        terminal.wait_for(lambda lines: len(table(lines)) == 2 and
                          names(lines)[0].startswith("a-name"), "the first")
        terminal.press("Down")
        terminal.wait_for(lambda lines: names(lines)[0] == "errors", "the second")
        terminal.press("End")
        terminal.wait_for(lambda lines: names(lines)[-1] == "much", "the last")
        terminal.press("Home")
        terminal.wait_for(lambda lines: names(lines)[0].startswith("a-name"), "the first")


class SizeTest(TopTest):
    def test_it_fits_whatever_the_size(self):
        terminal = self.top_with_traffic()
        terminal.resize(120, 40)
        terminal.wait_for(lambda lines: len(lines) == 40 and "q end" in lines[-1] and
                          any(len(line) > 100 for line in lines), "120x40")
        terminal.resize(40, 10)
        terminal.wait_for(lambda lines: len(lines) == 10 and "q end" in lines[-1] and
                          "much" in names(lines), "40x10")
        for columns, rows in ((10, 5), (3, 2), (1, 1), (2, 30), (300, 1)):
            terminal.resize(columns, rows)
            wanted = f"{columns} {rows}"
            wait_for(lambda: terminal.tmux(
                "display-message", "-p", "#{pane_width} #{pane_height}").strip() == wanted, wanted)
            terminal.press("b", "h", "h", "Tab")
        terminal.resize(80, 24)
        terminal.press("Tab")
        terminal.wait_for(lambda lines: len(table(lines)) > 0 and "q end" in lines[-1], "80x24")


class EndTest(TopTest):
    def ended(self, terminal, status=0):
        terminal.wait_for_words(f"ended with {status}")
        wait_for(lambda: (terminal.folder / "after").exists() and
                 (terminal.folder / "after").read_text(), "settings")
        self.assertTrue(terminal.is_as_before())

    def test_the_terminal_is_as_before(self):
        for end in ("q", "C-c", "C-\\", signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            with self.subTest(end=end):
                terminal = self.top()
                terminal.wait_for_words("health ok")
                if isinstance(end, str):
                    terminal.press(end)
                else:
                    terminal.signal(end)
                self.ended(terminal)

    def test_an_agent_that_goes_and_returns(self):
        terminal = self.top_with_traffic()
        self.assertEqual(self.agent.stop(), 0)
        terminal.wait_for(lambda lines: lines[0].startswith("No news"), "word of the end")
        self.assertIn("much", names(terminal.lines()), "the last numbers stay")
        self.start_watching()
        terminal.wait_for(lambda lines: "health ok" in lines[0] and table(lines) and
                          self.moves(lines), "rates again")

    def test_it_waits_for_an_agent(self):
        self.agent.stop()
        terminal = self.top()
        terminal.wait_for_words("No news")
        self.start_watching()
        terminal.wait_for_words("health ok")

    def test_it_needs_a_terminal_that_is_known(self):
        result = httpacct("-c", self.config, "top", stdin=-3)
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        self.assertIn("must be a terminal", result.stderr)
        terminal = self.top(term="no-such-terminal")
        terminal.wait_for_words("TERM='no-such-terminal' is no terminal")
        self.ended(terminal, 1)


if __name__ == "__main__":
    require("nginx", "curl", "tmux", NGINX_MODULE)
    require_root()
    main()
