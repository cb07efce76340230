#!/usr/bin/python3
"""SIGHUP: the config is read again, and nothing is lost by it."""

import contextlib
import http.client
import os
import re
import signal
import socket
import threading
import time

from harness import HTTPACCT, PATIENCE_S, SANITIZED, LabTest, main, require, require_root, wait_for
from listeners import Listener
from servers import NGINX_MODULE, Nginx

SERVER = "10.94.0.2"
STATSD_PORT, OTHER_PORT, SYSLOG_PORT = 8125, 8126, 5514

RELOADS = 60 if SANITIZED else 1000
WARM_UP = RELOADS // 8 * 2  # the config is the first one then, and in the end
GROWTH_KB = 1024
OVERLAP_BYTES = 4096  # what was written between a signal and the look at what there is

# Two configs that give each request the same service, and have all else otherwise.
CONFIGS = (
    """
    rules = ( { query = "s"; } );
    interfaces = ( { name = "server0"; ports = [ 80 ]; } );
    statsd = ( { host = false; } );
    flush = { interval = 1; };
    """,
    """
    rules = ( { path = "/nothing"; service = "nothing"; }, { query = "s"; } );
    interfaces = ( { name = "server0"; } );
    statsd = ( { host = false; metrics = [ "default", "payload" ]; datagram = 8192; },
               { address = "127.0.0.1:8126"; dialect = "datadog"; tags = [ "a:b" ]; } );
    syslog = { address = "udp://127.0.0.1:5514"; interval = 1; };  # and the log
    flush = { interval = 2; };
    sessions = { timeout = 60; max = 1000; };
    services = { max = 10; idle = 60; };
    """,
)


class Traffic:
    """Clients that ask until they are told to end: short replies, and long ones."""

    def __init__(self, test, namespace):
        self.namespace, self.ending = namespace, False
        self.threads = [threading.Thread(target=self.work, args=(target,))
                        for target in ("small?s=a&n=[1-50]", "m32?s=b&n=[1-20]")]
        for thread in self.threads:
            thread.start()
        test.addCleanup(self.end)

    def work(self, target):
        while not self.ending:
            self.namespace.run("curl", "-sS", "-o", "/dev/null", f"http://{SERVER}/{target}")
            time.sleep(0.02)

    def end(self):
        self.ending = True
        for thread in self.threads:
            thread.join()


class Log:
    """Takes what the agent sends to syslog."""

    def __init__(self, test, namespace):
        with namespace.entered():
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind(("127.0.0.1", SYSLOG_PORT))
        test.addCleanup(self.socket.close)
        self.text = ""

    def read(self):
        with contextlib.suppress(BlockingIOError):
            while True:
                self.text += self.socket.recv(65536).decode() + "\n"
        return self.text


class ReloadTest(LabTest):
    def setUp(self):
        super().setUp()
        self.client = self.namespace("client")
        self.server = self.namespace("server")
        self.connect(self.client, self.server, ("client0", "server0"), "10.94.0")
        for namespace, interface in ((self.client, "client0"), (self.server, "server0")):
            namespace.offload(interface, False)
        self.nginx = Nginx(self, self.server, listen=("80", "8080"))

    def write(self, text):
        draft = self.folder / "draft"
        draft.write_text(text)
        os.replace(draft, self.config)

    def start_with(self, text, *options):
        self.write(text)
        agent = self.start(self.server, HTTPACCT, "-c", self.config, "-v", "--print", "json",
                           "--interval", "1000", *options)
        agent.wait_until(lambda: "watching" in agent.err, "the ready line")
        return agent

    def reloads(self, agent):
        return len(re.findall(r"reload \d+ has ended", agent.err))

    def reload(self, agent, text=None):
        """Returns what the log says of it."""
        if text is not None:
            self.write(text)
        before, said = self.reloads(agent), len(agent.err)
        agent.process.send_signal(signal.SIGHUP)
        agent.wait_until(lambda: self.reloads(agent) > before, "a reload")
        return agent.err[said:]

    def ask(self, target, count=1, port=80):
        for _ in range(count):
            self.client.run("curl", "-sS", "-o", "/dev/null", f"http://{SERVER}:{port}/{target}")

    def open_connection(self):
        with self.client.entered():
            connection = http.client.HTTPConnection(SERVER, timeout=PATIENCE_S)
            connection.connect()
        return connection

    def memory_kb(self, agent):
        with open(f"/proc/{agent.process.pid}/status") as status:
            return int(re.search(r"RssAnon:\s+(\d+)", status.read())[1])

    def descriptors(self, agent):
        return len(os.listdir(f"/proc/{agent.process.pid}/fd"))

    def check_service(self, totals, name, requests):
        self.assertEqual(totals.services.get(name, {"requests": 0})["requests"], requests, name)

    def wait_for_reload(self, agent, log, number):
        """As wait_until(), but a thousand times."""
        ended = f"reload {number} has ended"
        said, logged = os.path.getsize(agent.err_path), len(log.text)
        for _ in range(PATIENCE_S * 500):
            with agent.err_path.open("rb") as err:
                err.seek(max(said - OVERLAP_BYTES, 0))
                if ended.encode() in err.read():
                    return
            if log.read().find(ended, max(logged - OVERLAP_BYTES, 0)) >= 0:
                return
            time.sleep(0.002)
        raise AssertionError(f"{ended}: not seen\n{agent.err}")

    def test_a_thousand_reloads_under_traffic(self):
        statsd = Listener(self, self.server)
        log = Log(self, self.server)
        agent = self.start_with(CONFIGS[0])
        before = self.server.wire_bytes("server0")
        traffic = Traffic(self, self.client)
        descriptors, used = None, []
        for number in range(RELOADS):
            self.write(CONFIGS[(number + 1) % 2])
            agent.process.send_signal(signal.SIGHUP)
            self.wait_for_reload(agent, log, number + 1)
            used.append(self.memory_kb(agent))
            if number + 1 == WARM_UP:
                descriptors = self.descriptors(agent)
        self.assertNotIn("not reloaded", agent.err + log.read())
        traffic.end()
        agent.wait_until(lambda: self.descriptors(agent) <= descriptors, "few descriptors")
        self.server.wait_until_quiet("server0")
        totals = self.stop_agent(agent)
        early, late = max(used[:RELOADS // 2]), max(used[RELOADS // 2:])
        print(f"{RELOADS} reloads, {len(self.nginx.lines())} requests, "
              f"kB of memory: {early}, then {late}")

        totals.check_balance(self)
        self.nginx.check_services(self, totals)
        self.assertEqual(totals.interfaces["server0"]["tcp_bytes"],
                         self.server.wire_bytes("server0") - before)
        for name, service in totals.services.items():
            for way in ("in", "out"):
                self.assertEqual(statsd.counters[f"httpacct.{name}.{way}.bytes"],
                                 service[way]["bytes"], name)
        if not SANITIZED:
            self.assertLess(late, early + GROWTH_KB)

    def test_bad_file_changes_nothing_and_says_why(self):
        agent = self.start_with(CONFIGS[0])
        self.ask("small?s=a")
        said = self.reload(agent, 'flush = { interval = 5; };\nrules = ( { query = 3; } );\n')
        self.assertIn(f"nothing has changed: {self.config}:2: rules.query must be a string, not 3", said)
        said = self.reload(agent, "rules = (\n")
        self.assertIn(f"nothing has changed: {self.config}:2: syntax error", said)
        self.config.unlink()
        self.assertIn("No such file or directory", self.reload(agent))
        self.config.mkdir()
        self.assertIn("not a regular file", self.reload(agent))
        self.ask("small?s=a")
        self.server.wait_until_quiet("server0")
        self.check_service(self.stop_agent(agent), "a", 2)

    def test_next_request_of_a_connection_takes_the_new_rules(self):
        """Those of an included file, too."""
        included = self.folder / "rules.conf"
        included.write_text('rules = ( { query = "s"; } );\n')
        agent = self.start_with('@include "rules.conf"\n', "-i", "server0")
        connection = self.open_connection()
        for rule in ('{ query = "s"; }', '{ path = "/small"; service = "by-path"; }'):
            included.write_text(f"rules = ( {rule} );\n")
            self.assertIn("reloaded", self.reload(agent))
            for _ in range(2):
                connection.request("GET", "/small?s=by-query")
                connection.getresponse().read()
            self.server.wait_until_quiet("server0")
        connection.close()
        totals = self.stop_agent(agent)
        self.assertEqual({name: service["requests"] for name, service in totals.services.items()},
                         {"by-query": 2, "by-path": 2})
        totals.check_balance(self)

    def test_destination_that_stays_keeps_what_is_due(self):
        """While its receiver is down, and also when its names are others from now on."""
        config = """
            interfaces = ( {{ name = "server0"; }} );
            statsd = ( {{ host = false; prefix = "{}"; }} ); flush = {{ interval = 1; }};
        """
        agent = self.start_with(config.format("before"))
        self.ask("small?s=a", 3)
        agent.wait_until(lambda: "what is due is kept" in agent.err, "a flush that fails")
        self.reload(agent, config.format("after"))
        self.ask("small?s=a", 2)
        statsd = Listener(self, self.server)
        wait_for(lambda: statsd.counters["after.a.requests"] == 5, "all that was due")
        self.assertFalse([name for name in statsd.counters if name.startswith("before")])
        self.assertEqual(agent.stop(), 0)

    def test_one_of_several_at_a_receiver_leaves(self):
        """What each is owed goes out under its own name, whatever place it has in the list."""
        config = """
            interfaces = ( {{ name = "server0"; }} );
            statsd = ( {} ); flush = {{ interval = 1000; }};
        """
        first, second, third = (f'{{ host = false; prefix = "{name}"; }}'
                                for name in ("first", "second", "third"))
        statsd = Listener(self, self.server)
        agent = self.start_with(config.format(f"{first}, {second}"))
        self.ask("small?s=a", 3)
        self.server.wait_until_quiet("server0")
        self.reload(agent, config.format(second))
        wait_for(lambda: statsd.counters["first.a.requests"] == 3, "the last flush")
        self.ask("small?s=a", 2)
        self.server.wait_until_quiet("server0")
        self.reload(agent, config.format(f"{third}, {second}"))
        self.ask("small?s=a")
        self.server.wait_until_quiet("server0")
        self.assertEqual(agent.stop(), 0)
        requests = {name: statsd.counters[f"{name}.a.requests"]
                    for name in ("first", "second", "third")}
        self.assertEqual(requests, {"first": 3, "second": 6, "third": 1})

    def test_destinations_come_and_go(self):
        config = """
            interfaces = ( {{ name = "server0"; }} );
            statsd = ( {} ); flush = {{ interval = 1000; }};
        """
        to_statsd, to_other = (f'{{ address = "127.0.0.1:{port}"; host = false; }}'
                               for port in (STATSD_PORT, OTHER_PORT))
        statsd = Listener(self, self.server)
        agent = self.start_with(config.format(to_statsd))
        self.ask("small?s=a", 3)
        self.server.wait_until_quiet("server0")
        self.reload(agent, config.format(to_other))
        wait_for(lambda: statsd.counters["httpacct.a.requests"] == 3, "the last flush")
        self.ask("small?s=a", 2)
        self.server.wait_until_quiet("server0")
        self.reload(agent, config.format(""))
        agent.wait_until(lambda: "could not be sent any more" in agent.err, "a warning")
        sent = 2 * (self.nginx.lines()[0].request_bytes + self.nginx.lines()[0].reply_bytes)
        lost = int(re.search(rf"statsd 127.0.0.1:{OTHER_PORT}: (\d+) of the bytes", agent.err)[1])
        self.assertGreater(lost, sent)
        self.assertLess(lost, sent + sent)
        self.reload(agent, config.format(to_statsd))
        self.assertEqual(agent.stop(), 0)
        wait_for(lambda: statsd.counters["httpacct.agent.unsent_bytes"] == 0, "the end")
        self.assertEqual(statsd.counters["httpacct.a.requests"], 3)

    def test_new_destination_knows_what_is_open(self):
        config = """
            interfaces = ( {{ name = "server0"; }} );
            statsd = ( {} ); flush = {{ interval = 1; }};
        """
        agent = self.start_with(config.format(""))
        connection = self.open_connection()
        connection.request("GET", "/small?s=a")
        connection.getresponse().read()
        self.server.wait_until_quiet("server0")
        statsd = Listener(self, self.server)
        self.reload(agent, config.format("{ host = false; }"))
        statsd.wait_for_flushes(2)
        self.assertEqual(statsd.gauges["httpacct.a.open"], 1)
        self.assertEqual(statsd.gauges["httpacct.agent.server0.sessions"], 1)
        self.assertFalse(statsd.counters["httpacct.a.requests"])
        connection.close()
        wait_for(lambda: statsd.gauges["httpacct.a.open"] == 0, "the end of the connection")
        self.assertEqual(agent.stop(), 0)

    def test_ports_and_interfaces_change(self):
        config = 'rules = ( {{ query = "s"; }} ); interfaces = ( {} );'
        agent = self.start_with(config.format('{ name = "lo"; }'))
        self.ask("small?s=unwatched")
        self.reload(agent, config.format('{ name = "server0"; ports = [ 80 ]; }, { name = "lo"; }'))
        agent.wait_until(lambda: "watching server0" in agent.err, "the new interface")
        for ports, port, name in (("80", 80, "a"), ("80", 8080, "unwatched"),
                                  ("8080", 8080, "b"), ("8080", 80, "unwatched"), ("", 80, "c")):
            self.reload(agent, config.format(f'{{ name = "server0"; ports = [ {ports} ]; }}'))
            self.ask(f"small?s={name}", 2, port)
        self.server.wait_until_quiet("server0")
        totals = self.stop_agent(agent)
        self.assertEqual({name: service["requests"] for name, service in totals.services.items()},
                         {"a": 2, "b": 2, "c": 2})
        totals.check_balance(self)
        self.assertEqual(set(totals.interfaces), {"lo", "server0"})

    def test_command_line_has_the_last_word(self):
        agent = self.start_with('interfaces = ( { name = "lo"; } );', "-i", "server0")
        self.reload(agent, 'rules = ( { query = "s"; } ); interfaces = ( { name = "client0"; } );')
        self.ask("small?s=a")
        self.server.wait_until_quiet("server0")
        totals = self.stop_agent(agent)
        self.assertEqual(set(totals.interfaces), {"server0"})
        self.check_service(totals, "a", 1)

    def test_what_needs_a_restart_says_so(self):
        agent = self.start_with("")
        said = self.reload(agent, "offload = false; ring = { size = 4; };")
        self.assertIn("reloaded", said)
        self.assertIn("warning: offload: needs a restart", said)
        self.assertIn("warning: ring: needs a restart", said)
        self.assertNotIn("restart", self.reload(agent, ""))
        self.assertEqual(agent.stop(), 0)

    def test_storm_of_signals_is_few_reloads(self):
        agent = self.start_with('rules = ( { path = "/small"; service = "before"; } );')
        self.write('rules = ( { path = "/small"; service = "after"; } );')
        for _ in range(500):
            agent.process.send_signal(signal.SIGHUP)
        def settled():
            count = self.reloads(agent)
            self.ask("small")
            return count and count == self.reloads(agent)
        wait_for(settled, "the storm to end")
        self.ask("small?last")
        self.server.wait_until_quiet("server0")
        count = self.reloads(agent)
        totals = self.stop_agent(agent)
        print(f"500 signals, {count} reloads")
        self.assertLess(count, 500)
        self.assertGreater(totals.services["after"]["requests"], 0)
        self.assertEqual(sum(service["requests"] for service in totals.services.values()),
                         len(self.nginx.lines()))


require_root()
require("curl", "ethtool", "ip", "nginx", NGINX_MODULE)
main()
