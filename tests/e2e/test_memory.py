#!/usr/bin/python3
"""Memory: an idle agent, many idle connections, and nothing left at the end."""

import array
import fcntl
import os
import subprocess
import termios

import frames
from harness import HTTPACCT, LabTest, main, require, require_root, run, wait_for
from servers import NGINX_MODULE, Nginx

FEW, MANY = 1_000, 101_000
BYTES_A_CONNECTION = 1024
IDLE_RESIDENT_KB = 20 * 1024

REQUEST = b"GET /small?s=idle HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: test\r\n\r\n"
REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
SERVER = (0x0A000001, 80)

VALGRIND = ("valgrind", "-q", "--leak-check=full", "--show-leak-kinds=all",
            "--errors-for-leak-kinds=definite,indirect,possible", "--error-exitcode=99")
# valgrind takes the padding in libbpf's arguments of bpf(2) for arguments.
VALGRIND_LIVE = (*VALGRIND, "--undef-value-errors=no")


def memory_kb(pid, field):
    with open(f"/proc/{pid}/status") as status:
        for line in status:
            if line.startswith(f"{field}:"):
                return int(line.split()[1])
    raise AssertionError(f"no {field} in the status of {pid}")


def idle_connections(count):
    """Records of a capture file: connections that each asked once and stay open."""
    for number in range(count):
        client = (0x0B000000 + number, 40000)
        for packet in frames.open_connection(client, SERVER, REQUEST, REPLY):
            yield frames.pcap_record(1, 0, packet)


class MemoryTest(LabTest):
    def test_idle_agent_is_small(self):
        agent = self.start_agent(self.namespace("idle"), "-i", "lo", "--print", "json")
        self.assertLess(memory_kb(agent.process.pid, "VmRSS"), IDLE_RESIDENT_KB)
        self.assertEqual(agent.stop(), 0)

    def test_idle_connection_costs_at_most_a_kibibyte(self):
        few, many = self.memory_with(FEW), self.memory_with(MANY)
        each = (many - few) * 1024 / (MANY - FEW)
        print(f"{each:.0f} bytes a connection")
        self.assertLessEqual(each, BYTES_A_CONNECTION)

    def memory_with(self, connections):
        """Anonymous memory of an agent that has read them and waits for more."""
        config = self.folder / "many.conf"
        config.write_text("sessions = { max = 200000; };\n")
        pipe = self.folder / f"pipe-{connections}"
        os.mkfifo(pipe)
        with (self.folder / "totals").open("w+") as out:
            agent = subprocess.Popen([HTTPACCT, "-c", config, "-r", pipe, "--print", "json"],
                                     stdout=out, text=True)
            self.addCleanup(agent.kill)
            with pipe.open("wb") as stream:
                stream.write(frames.PCAP_HEADER)
                for record in idle_connections(connections):
                    stream.write(record)
                stream.flush()
                wait_for(lambda: is_read_and_waits(stream, agent.pid), "the records to be read")
                used = memory_kb(agent.pid, "RssAnon")
            self.assertEqual(agent.wait(), 0)
            out.seek(0)
            self.assertIn(f'"requests":{connections},', out.read())
        return used

    def check_leaks(self, result):
        self.assertEqual(result.returncode, 0, result.stderr)

    def test_reading_a_capture_leaves_nothing(self):
        capture = self.folder / "small.pcap"
        with capture.open("wb") as stream:
            stream.write(frames.PCAP_HEADER)
            stream.writelines(idle_connections(100))
        for form in ("json", "events", "transactions", "table"):
            with self.subTest(form=form):
                self.check_leaks(run(*VALGRIND, HTTPACCT, "-r", capture, "--print", form,
                                     check=False))

    def test_watching_leaves_nothing(self):
        server = self.namespace("server")
        Nginx(self, server)
        agent = self.start(server, *VALGRIND_LIVE, HTTPACCT, "-i", "lo", "--print", "json",
                           "--interval", "0.2")
        agent.wait_until(lambda: "watching" in agent.err, "the agent's ready line")
        for _ in range(3):
            server.run("curl", "-sS", "http://127.0.0.1/small?s=a")
        self.assertEqual(agent.stop(), 0, agent.err)
        self.assertIn('"requests":3', agent.out.splitlines()[-1])


def is_read_and_waits(stream, pid):
    """Whether nothing is left in the pipe and the process sleeps."""
    unread = array.array("i", [0])
    fcntl.ioctl(stream, termios.FIONREAD, unread)
    with open(f"/proc/{pid}/stat") as stat:
        state = stat.read().rsplit(")", 1)[1].split()[0]
    return unread[0] == 0 and state == "S"


require_root()
require("curl", "ip", "nginx", "valgrind", NGINX_MODULE)
main()
