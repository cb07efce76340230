#!/usr/bin/python3
"""What the kernel counts for itself changes no number: two agents watch the same
interface, one with and one without offload, and must tell the same.

HTTPACCT_SEED repeats the random traffic of a run that failed.
"""

import json
import os
import random
import signal
import socket
import threading
import time

import traffic
from harness import HTTPACCT, LabTest, Totals, main, require, require_root, wait_for
from servers import NGINX_MODULE, Nginx

CLIENT, SERVER = "10.94.0.1", "10.94.0.2"
ROUNDS, CONNECTIONS = 3, 5
PIPELINED = 100
STARVED_S = 3
PART = 1_000_000


class OffloadTest(LabTest):
    maxDiff = None

    def setUp(self):
        super().setUp()
        self.client = self.namespace("client")
        self.server = self.namespace("server")
        self.connect(self.client, self.server, ("client0", "server0"), "10.94.0")

    def start_one(self, offload, ring_mebibytes, interval="1"):
        config = self.folder / f"offload-{offload}.conf"
        config.write_text(f'rules = ( {{ query = "s"; }} ); ring = {{ size = {ring_mebibytes}; }};'
                          f' offload = {str(offload).lower()};')
        agent = self.start(self.server, HTTPACCT, "-c", config, "-i", "server0", "--print", "json",
                           "--interval", interval)
        agent.wait_until(lambda: "watching" in agent.err, "the agent's ready line")
        return agent

    def watch(self, interval="1"):
        """The one that sees all needs room for all."""
        self.agents = [self.start_one(True, 64, interval), self.start_one(False, 256, interval)]

    def finish(self):
        """The totals, which are the same with and without offload."""
        self.server.wait_until_quiet("server0")
        totals, oracle = map(self.stop_agent, self.agents)
        for each in (totals, oracle):
            each.check_balance(self)
            self.assertEqual(each.interface("ring_drops"), 0)
        self.assertEqual(totals.services, oracle.services)
        for member in ("tcp_bytes", *Totals.BALANCE):
            self.assertEqual(totals.interface(member), oracle.interface(member), member)
        return totals

    def check_log(self, totals):
        self.assertEqual({name: service["requests"] for name, service in totals.services.items()},
                         dict(self.nginx.requests()))

    def curl(self, target, *options):
        self.client.run("curl", "-sS", "-o", "/dev/null", *options, f"http://{SERVER}{target}")

    def wrk(self, target, *options):
        self.client.run("wrk", "-t", 1, "-c", 20, "-d", "2s", *options,
                        f"http://{SERVER}:80{target}")

    def check_nginx(self, workload, *arguments, interval="1"):
        self.nginx = Nginx(self, self.server)
        self.watch(interval)
        workload(*arguments)
        totals = self.finish()
        self.check_log(totals)
        self.assertGreater(totals.interface("service_bytes"), 0)

    def test_random_traffic(self):
        seed = int(os.environ.get("HTTPACCT_SEED", random.randrange(1 << 32)))
        traffic.Server(self, self.server, SERVER)
        for round_number in range(ROUNDS):
            with self.subTest(HTTPACCT_SEED=seed + round_number):
                print(f"HTTPACCT_SEED={seed + round_number}", flush=True)
                self.watch()
                traffic.exchange(self.client, SERVER, seed + round_number, CONNECTIONS)
                self.assertGreater(self.finish().interface("not_http_bytes"), 0)

    def test_small_replies(self):
        self.check_nginx(self.wrk, "/small?s=small")

    def test_larger_replies(self):
        self.check_nginx(self.wrk, "/m32?s=m32")

    def test_what_is_collected_often_is_counted_once(self):
        self.check_nginx(self.wrk, "/m32?s=m32", interval="0.1")

    def test_a_connection_for_each_request(self):
        self.check_nginx(self.wrk, "/small?s=small", "-H", "Connection: close")

    def test_large_download(self):
        self.check_nginx(self.curl, "/big?s=big")

    def test_chunked_replies(self):
        self.check_nginx(self.wrk, "/chunked?s=chunked")

    def test_upload(self):
        body = self.folder / "body"
        with body.open("wb") as file:
            file.truncate(Nginx.SIZES["big"])
        self.check_nginx(self.curl, "/upload?s=upload", "-T", body, "-X", "POST")

    def test_pipelined_requests(self):
        self.check_nginx(self.pipeline)

    def pipeline(self):
        with self.client.entered():
            connection = socket.create_connection((SERVER, 80))
        request = b"GET /m32?s=%c HTTP/1.1\r\nHost: h\r\n\r\n"
        last = b"GET /m32?s=z HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
        with connection:
            connection.sendall(b"".join(request % (97 + i % 7) for i in range(PIPELINED)) + last)
            while connection.recv(65536):
                pass

    def test_starved_agent_loses_labels_but_no_byte(self):
        for namespace, interface in ((self.client, "client0"), (self.server, "server0")):
            namespace.offload(interface, False)
        # Not more under way than the link has room for.
        self.server.sysctl("net.ipv4.tcp_wmem", "4096 65536 65536")
        Nginx(self, self.server)
        agent = self.start_one(True, 2)
        before = self.server.wire_bytes("server0")
        load = self.start(self.client, "wrk", "-t", 1, "-c", 10, "-d", f"{STARVED_S + 2}s",
                          f"http://{SERVER}:80/m32?s=m32")
        wait_for(lambda: self.server.wire_bytes("server0") > before + PART, "the load")
        agent.process.send_signal(signal.SIGSTOP)
        time.sleep(STARVED_S)
        agent.process.send_signal(signal.SIGCONT)
        load.wait_until(lambda: load.process.poll() == 0, "wrk")
        self.server.wait_until_quiet("server0")
        totals = self.stop_agent(agent)
        self.assertGreater(totals.interface("ring_drops"), 0)
        totals.check_balance(self)
        self.assertEqual(totals.interface("tcp_bytes"), self.server.wire_bytes("server0") - before)

    def test_download_is_charged_while_it_runs(self):
        """The server sends the next part when the agent has told of the one before."""
        listener = traffic.listen(self.server, SERVER, 80)
        self.addCleanup(listener.close)
        agent = self.start_one(True, 64, "0.1")
        told = threading.Semaphore(0)

        def serve():
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (3 * PART))
                for _ in range(3):
                    connection.sendall(bytes(PART))
                    told.acquire()

        server = threading.Thread(target=serve, daemon=True)
        server.start()
        curl = self.start(self.client, "curl", "-sS", "-o", "/dev/null",
                          f"http://{SERVER}/x?s=long")
        for part in range(1, 4):
            agent.wait_until(lambda: charged(agent, "long") > part * PART, f"part {part}")
            told.release()
        curl.wait_until(lambda: curl.process.poll() == 0, "curl")
        server.join()
        self.server.wait_until_quiet("server0")
        self.assertGreater(self.stop_agent(agent).services["long"]["out"]["payload"], 3 * PART)


def charged(agent, service):
    """Payload that the agent's intervals so far say was sent."""
    intervals = [json.loads(line) for line in agent.out.splitlines(keepends=True)
                 if line.endswith("\n")]
    return sum(each["out"]["payload"] for interval in intervals for each in interval["services"]
               if each["name"] == service and not interval.get("final"))


require_root()
require("curl", "ethtool", "ip", "nginx", "wrk", NGINX_MODULE)
main()
