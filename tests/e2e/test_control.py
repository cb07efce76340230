#!/usr/bin/python3
"""The control socket of a running agent, the commands that ask it, and totals
that outlive it."""

import json
import os
import random
import shutil
import signal
import socket
import stat
import subprocess

from harness import (HTTPACCT, LabTest, Totals, httpacct, main, require, require_root, run,
                     wait_for)
from servers import NGINX_MODULE, Nginx

SERVER = "10.96.0.2"
NOBODY = 65534
RULES = """rules = (
    { query = "s"; },
    { host = "{service}.cust.example"; path = "/small"; },
    { path = "/big"; service = "big"; },
    { path = "/tenants/{service}"; }
);
"""


class ControlTest(LabTest):
    def setUp(self):
        super().setUp()
        self.client = self.namespace("client")
        self.server = self.namespace("server")
        self.connect(self.client, self.server, ("client0", "server0"), "10.96.0")
        Nginx(self, self.server)
        self.socket = self.folder / "run" / "control.sock"
        self.state = self.folder / "state"
        self.configure()

    def configure(self, more="", group=""):
        self.config.write_text(f'{RULES} control = {{ socket = "{self.socket}"; {group} }}; {more}')

    def start_counting(self, *options):
        return self.start_agent(self.server, "-i", "server0", *options)

    def start_keeping(self):
        self.configure(f'state = "{self.state}";')
        return self.start_counting("--print", "none")

    def ask(self, count=10):
        for i in range(count):
            self.client.run("curl", "-sS", "-o", "/dev/null", f"http://{SERVER}/m32?s=n{i % 3}")
        self.server.wait_until_quiet("server0")

    def status(self, code=0):
        result = httpacct("-c", self.config, "status", "--json")
        self.assertEqual(result.returncode, code, result.stderr + result.stdout)
        return json.loads(result.stdout)

    def settled_status(self):
        """Its totals when all that passed was charged."""
        def settled():
            status = self.status()
            return status if all(interface["pending_bytes"] == 0
                                 for interface in status["interfaces"]) else None
        return wait_for(settled, "books without pending bytes")

    def connected(self):
        client = socket.socket(socket.AF_UNIX)
        self.addCleanup(client.close)
        client.settimeout(60)
        client.connect(str(self.socket))
        return client

    def fails(self, *command, says):
        result = run(*command, check=False)
        self.assertEqual((result.returncode, result.stdout), (1, ""), result.stderr)
        self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
        self.assertIn(says, result.stderr)

    def as_nobody(self, *command):
        return ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *command)

    def public_copy(self):
        """The program where nobody may run it."""
        return shutil.copy(HTTPACCT, self.folder)


class StatusTest(ControlTest):
    def test_status_has_the_totals_that_the_agent_prints(self):
        agent = self.start_counting("--print", "json", "--interval", "86400")
        self.ask()
        status = self.settled_status()
        self.assertEqual((status["health"], status["problems"]), ("ok", []))
        self.assertEqual(status["pid"], agent.process.pid)
        final = self.stop_agent(agent)
        final.check_balance(self)
        self.assertEqual(status["watching"], ["server0"])
        told = Totals({"final": True, **status})
        for service in told.services.values():
            del service["open"]
        self.assertEqual(told.services, final.services)
        self.assertEqual(set(final.services), {"n0", "n1", "n2"})
        for interface in told.interfaces.values():
            del interface["pending_bytes"]
        self.assertEqual(told.interfaces, final.interfaces)

    def test_people_get_health_balance_and_services(self):
        self.start_counting("--print", "none")
        self.ask()
        self.settled_status()
        result = httpacct("-c", self.config, "status")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertRegex(result.stdout, r"health +ok")
        self.assertIn("the books balance", result.stdout)
        for name in ("server0", "n0", "n1", "n2"):
            self.assertIn(name, result.stdout)

    def test_a_destination_that_refuses_degrades_it(self):
        self.configure('statsd = ( { address = "127.0.0.1:9"; } ); flush = { interval = 1; };')
        self.start_counting()
        self.ask(3)
        wait_for(lambda: httpacct("-c", self.config, "status").returncode == 3, "a refusal")
        status = self.status(3)
        self.assertIn("refused", status["problems"][0])
        destination, = status["destinations"]
        self.assertEqual((destination["address"], destination["state"]),
                         ("127.0.0.1:9", "failing"))
        self.assertGreater(destination["due_bytes"], 3 * 32768)

    def test_a_watch_tells_what_moves(self):
        self.start_counting("--print", "none")
        client = self.connected()
        client.sendall(b'{"watch":"totals","interval":0.1}\n')
        lines = client.makefile()
        before = json.loads(lines.readline())
        self.assertEqual(before["services"], [])
        self.ask(3)
        while len(json.loads(lines.readline())["services"]) < 3:
            pass

    def test_rules_say_what_the_agent_does(self):
        agent = self.start_counting("--print", "json", "--interval", "86400")
        expected = {}
        for target, host in (("/m32?s=yo", "x"), ("/small", "a.cust.example"), ("/big/x", "x"),
                             ("/small", "a.b.cust.example"), ("/tenants/t1/y", "x"),
                             ("/tenants/a%20b", "x"), ("/none", "x"), ("/?s=", "x")):
            self.client.run("curl", "-sS", "-o", "/dev/null", "-H", f"Host: {host}",
                            f"http://{SERVER}{target}")
            result = httpacct("-c", self.config, "rules", target, host, "--json")
            self.assertEqual(result.returncode, 0, result.stderr)
            name = json.loads(result.stdout)["service"]
            expected[name] = expected.get(name, 0) + 1
        self.server.wait_until_quiet("server0")
        counted = self.stop_agent(agent).services
        self.assertEqual({name: service["requests"] for name, service in counted.items()},
                         expected)
        self.assertEqual(expected["_unspecified"], 3)


class ReloadTest(ControlTest):
    def test_new_rules_hold_at_once(self):
        self.start_counting("--print", "none")
        self.config.write_text(self.config.read_text().replace('query = "s"', 'query = "t"'))
        result = httpacct("-c", self.config, "reload")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.ask(3)
        status = self.settled_status()
        self.assertEqual([service["name"] for service in status["services"]], ["_unspecified"])

    def test_a_bad_file_changes_nothing_and_is_said(self):
        self.start_counting("--print", "none")
        good = self.config.read_text()
        self.config.write_text(good + "\nnonsense = 1;\n")
        self.fails(HTTPACCT, "--socket", self.socket, "reload", says="nonsense")
        self.config.write_text(good)
        self.ask(3)
        self.assertEqual(len(self.settled_status()["services"]), 3)

    def test_what_needs_a_restart_is_said(self):
        self.start_counting("--print", "none")
        for _ in range(2):
            self.config.write_text(f'{RULES} control = false; state = "{self.state}";')
            result = httpacct("--socket", self.socket, "reload")
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertIn("control: needs a restart", result.stdout)
            self.assertIn("state: needs a restart", result.stdout)


class EarlySignalTest(ControlTest):
    def test_a_signal_before_the_captures_are_open_reloads(self):
        """The socket is there first; a signal that came then ended the agent."""
        for number in range(8):
            self.server.run("ip", "link", "add", f"more{number}", "up", "type", "veth",
                            "peer", "name", f"far{number}")
        agent = self.start(self.server, HTTPACCT, "-c", self.config, "--print", "none")
        agent.wait_until(self.socket.exists, "the socket")
        agent.process.send_signal(signal.SIGHUP)
        agent.wait_until(lambda: "reloaded" in agent.err, "the reload")
        self.assertEqual(agent.stop(), 0, agent.err)


class ReloadOfAProcessTest(ControlTest):
    """As a service manager asks for it, who knows the process."""

    def setUp(self):
        super().setUp()
        self.agent = self.start_counting("--print", "none")

    def write(self, text):
        self.config.write_text(text)

    def reload(self):
        return httpacct("-c", self.config, "reload", "--pid", self.agent.process.pid)

    def takes_a_signal(self, why):
        """It is not at the socket that the config has now, but takes the config."""
        result = self.reload()
        self.assertEqual((result.returncode, result.stdout), (0, ""), result.stderr)
        self.assertIn(why, result.stderr)
        self.assertIn(f"process {self.agent.process.pid} got SIGHUP", result.stderr)
        self.agent.wait_until(lambda: "reloaded" in self.agent.err, "the reload")

    def test_at_its_socket_it_says_what_came_of_it(self):
        self.assertEqual(self.reload().stdout, "the config was read anew\n")

    def test_without_a_socket_it_gets_a_signal(self):
        self.write(f"{RULES} control = false;")
        self.takes_a_signal("switches the control socket off")
        self.assertIn("control: needs a restart", self.agent.err)

    def test_with_another_socket_it_gets_a_signal(self):
        self.write(f'{RULES} control = {{ socket = "{self.folder}/new.sock"; }};')
        self.takes_a_signal("no such socket")

    def test_with_the_socket_of_another_agent_that_one_is_left_alone(self):
        self.write(f'{RULES} control = {{ socket = "{self.folder}/other.sock"; }};')
        other = self.start_counting("--print", "none")
        self.takes_a_signal("another process listens there")
        self.assertNotIn("reloaded", other.err)

    def test_a_bad_file_is_said_and_sends_no_signal(self):
        self.write("control = false; nonsense = 1;")
        self.fails(HTTPACCT, "-c", self.config, "reload", "--pid", self.agent.process.pid,
                   says="nonsense")
        self.write(f"{RULES} control = false;")
        self.takes_a_signal("switches the control socket off")
        self.assertNotIn("nonsense", self.agent.err)

    def test_a_process_that_is_gone_is_a_failure(self):
        self.assertEqual(self.agent.stop(), 0, self.agent.err)
        self.fails(HTTPACCT, "-c", self.config, "reload", "--pid", self.agent.process.pid,
                   says="No such process")

    def test_a_process_of_another_program_gets_no_signal(self):
        self.write(f"{RULES} control = false;")
        with subprocess.Popen(["sleep", "600"]) as other:
            self.fails(HTTPACCT, "-c", self.config, "reload", "--pid", other.pid,
                       says="is no httpacct")
            self.assertIsNone(other.poll())
            other.kill()


class HostileTest(ControlTest):
    def test_garbage_is_answered_with_errors(self):
        self.start_counting("--print", "none")
        chance = random.Random(7)
        for _ in range(100):
            with self.connected() as client:
                garbage = chance.randbytes(chance.randrange(1, 40000))
                try:
                    client.sendall(garbage + b"\n")
                    client.shutdown(socket.SHUT_WR)
                    replies = client.makefile("rb").read()
                except (BrokenPipeError, ConnectionResetError):
                    continue
                for line in replies.splitlines():
                    self.assertIn("error", json.loads(line))
        self.assertEqual(self.status()["health"], "ok")

    def test_who_reads_nothing_is_dropped_and_holds_up_nobody(self):
        self.start_counting("--print", "none")
        greedy = self.connected()
        greedy.setblocking(False)
        request = b'{"get":"status"}\n' * 100

        def dropped():
            try:
                greedy.send(request)
            except BlockingIOError:
                self.status()  # others are answered meanwhile
            except (BrokenPipeError, ConnectionResetError):
                return True
            return False
        wait_for(dropped, "the end of a client that reads nothing")
        self.status()

    def test_clients_past_the_bound_are_told(self):
        self.start_counting("--print", "none")
        clients = [self.connected() for _ in range(32)]
        for client in clients:
            client.sendall(b'{"get":"totals","services":0}\n')
            self.assertIn(b"services", client.recv(65536))
        self.fails(HTTPACCT, "-c", self.config, "status", says="too many clients")
        clients[0].close()
        wait_for(lambda: httpacct("-c", self.config, "status").returncode == 0, "a free place")


class SocketTest(ControlTest):
    def test_others_may_not_connect(self):
        self.start_counting("--print", "none")
        self.assertEqual(stat.S_IMODE(self.socket.stat().st_mode), 0o660)
        program = self.public_copy()
        self.fails(*self.as_nobody(program, "--socket", self.socket, "status"),
                   says="permission denied")

    def test_its_group_may_connect(self):
        self.configure(group='group = "nogroup";')
        self.start_counting("--print", "none")
        program = self.public_copy()
        result = run(*self.as_nobody(program, "--socket", self.socket, "status"))
        self.assertIn("health", result.stdout)

    def test_a_second_agent_is_an_error(self):
        self.start_counting("--print", "none")
        self.fails(*self.server.command(HTTPACCT, "-c", self.config, "-i", "server0"),
                   says="another agent uses it")
        self.assertEqual(self.status()["health"], "ok")

    def test_a_dead_agents_socket_is_replaced(self):
        agent = self.start_counting("--print", "none")
        agent.kill()
        self.assertTrue(self.socket.exists())
        self.fails(HTTPACCT, "-c", self.config, "status", says="no agent runs")
        agent = self.start_counting("--print", "none")
        self.assertEqual(self.status()["pid"], agent.process.pid)
        self.assertEqual(agent.stop(signal.SIGTERM), 0)
        self.assertFalse(self.socket.exists())
        self.fails(HTTPACCT, "-c", self.config, "status", says="no such socket")

    def test_an_agent_that_hangs_is_said_to(self):
        agent = self.start_counting("--print", "none")
        agent.process.send_signal(signal.SIGSTOP)
        self.addCleanup(agent.process.send_signal, signal.SIGCONT)
        self.fails(HTTPACCT, "-c", self.config, "status", says="does not answer")

    def test_it_can_be_switched_off(self):
        self.config.write_text(RULES + "control = false;")
        self.start_counting("--print", "none")
        self.fails(HTTPACCT, "-c", self.config, "status", says="switches the control socket off")


class StateTest(ControlTest):
    def totals(self):
        status = self.settled_status()
        return status["since"], status["services"], status["interfaces"]

    def test_totals_outlive_the_agent(self):
        agent = self.start_keeping()
        self.ask()
        first = self.totals()
        self.assertEqual(agent.stop(signal.SIGTERM), 0, agent.err)
        agent = self.start_keeping()
        self.assertEqual(self.totals(), first)
        self.ask(3)
        since, services, _ = self.totals()
        self.assertEqual(since, first[0])
        self.assertEqual(sum(service["requests"] for service in services), 13)
        self.assertEqual(agent.stop(signal.SIGTERM), 0, agent.err)
        self.check_books(agent)

    def check_books(self, agent):
        """What the last agent kept balances, and is what it had."""
        kept = json.loads((self.state / "totals.json").read_text())
        Totals({"final": True, **kept}).check_balance(self)
        self.assertNotIn("warning", agent.err)

    def test_a_killed_agent_loses_what_came_since_it_wrote(self):
        agent = self.start_keeping()
        self.ask(4)
        kept = self.totals()
        self.assertEqual(agent.stop(signal.SIGTERM), 0, agent.err)
        agent = self.start_keeping()
        self.ask(1)
        agent.kill()
        self.start_keeping()
        self.assertEqual(self.totals(), kept)

    def test_an_interface_that_is_gone_keeps_its_books(self):
        agent = self.start_keeping()
        self.ask(4)
        _, services, interfaces = self.totals()
        self.assertEqual(agent.stop(signal.SIGTERM), 0, agent.err)
        self.configure(f'state = "{self.state}";')
        agent = self.start_agent(self.server, "-i", "lo", "--print", "none")
        status = self.settled_status()
        self.assertEqual(status["services"], services)
        self.assertIn(interfaces[0], status["interfaces"])
        Totals({"final": True, **status}).check_balance(self)

    def test_a_damaged_file_is_set_aside(self):
        self.state.mkdir()
        (self.state / "totals.json").write_text('{"httpacct":"totals","version":1,"servi')
        agent = self.start_keeping()
        self.assertIn("is damaged", agent.err)
        self.assertTrue((self.state / "totals.json.damaged").exists())
        self.assertEqual(self.status()["services"], [])

    def test_a_second_agent_is_an_error(self):
        self.start_keeping()
        self.configure(f'state = "{self.state}"; ')
        self.config.write_text(f'{RULES} control = false; state = "{self.state}";')
        self.fails(*self.server.command(HTTPACCT, "-c", self.config, "-i", "server0"),
                   says="another agent uses it")

    def test_the_service_manager_may_say_where(self):
        agent = self.start(self.server, "env", f"STATE_DIRECTORY={self.state}", HTTPACCT,
                           "-c", self.config, "-i", "server0", "--print", "none")
        agent.wait_until(lambda: "watching" in agent.err, "the agent's ready line")
        self.assertEqual(agent.stop(), 0, agent.err)
        self.assertEqual(os.listdir(self.state), ["totals.json"])


require_root()
require("curl", "ip", "nginx", "setpriv", NGINX_MODULE)
main()
