"""What listens beside the server: httpacct, the least that a tap can do, and what
people use today.

A tap's read() gives what it saw, as far as it can tell, by these names:
bytes_in, bytes_out (IP, packets), payload_in, payload_out (TCP), requests,
services (requests by name), dropped (packets), unknown_bytes (charged to nobody).
"""

import csv
import json
import os
import pathlib
import re
import shutil
import tempfile

from bed import INTERFACE, NGINX_CPU
from harness import run

HERE = pathlib.Path(__file__).resolve().parent
PORT = "tcp port 80"
BCC_FILTER = "/usr/share/doc/bpfcc-tools/examples/networking/http_filter/http-parse-complete.c"


class Tap:
    """A program that listens on the server's interface from its start to SIGINT."""

    counts_segments = False  # of super-packets, as a wire would

    def __init__(self, name, title, *command):
        self.name, self.title = name, title
        self.arguments = command

    def missing(self):
        """Why it can't be run here, or None."""
        if shutil.which(self.arguments[0]):
            return None
        return f"{self.arguments[0]} is not installed"

    def command(self, folder):
        del folder  # where it may write files
        return self.arguments

    def listens(self):
        return True

    def read(self, program, folder):
        """What it saw, from the program that has ended."""
        del program, folder
        return {}


class Nothing(Tap):
    """In the place of a tap: what is measured of it is noise."""

    def __init__(self):
        super().__init__("null", "nothing (a sleep)", "sleep", "infinity")

    def listens(self):
        return False


class Reference(Tap):
    def __init__(self, build, what, title):
        super().__init__(what, title, str(build / "tests/bench/reference"), INTERFACE, what)

    def read(self, program, folder):
        return json.loads(program.out)


class Httpacct(Tap):
    counts_segments = True

    def __init__(self, name, title, command, settings):
        super().__init__(name, title, *command)
        self.settings = f"""
            interfaces = ( {{ name = "{INTERFACE}"; ports = [ 80 ]; }} );
            rules = ( {{ query = "s"; }} );
            {settings}
        """

    def command(self, folder):
        config = folder / f"{self.name}.conf"
        config.write_text(self.settings)
        return (*self.arguments, "-c", config, "--print", "json")

    def missing(self):
        """An agent that is too old for a setting says so."""
        reason = super().missing()
        if reason:
            return reason
        with tempfile.TemporaryDirectory() as folder:
            check = run(*self.command(pathlib.Path(folder)), "-t", check=False)
            return check.stderr.strip().replace(f"{folder}/", "") if check.returncode else None

    def read(self, program, folder):
        final = json.loads(program.out.splitlines()[-1])
        services = {service["name"]: service for service in final["services"]}
        interface = final["interfaces"][0]

        def total(way, *members):
            return sum(service[way][member] for service in services.values()
                       for member in members)

        unknown = services.get("_unknown", {way: {"bytes": 0} for way in ("in", "out")})
        return {
            "bytes": interface["tcp_bytes"],
            "payload_in": total("in", "payload", "retransmitted"),
            "payload_out": total("out", "payload", "retransmitted"),
            "requests": sum(service["requests"] for service in services.values()),
            "services": {name: service["requests"] for name, service in services.items()},
            "unknown_bytes": unknown["in"]["bytes"] + unknown["out"]["bytes"],
            "dropped": interface["ring_drops"],
        }


class Tcpdump(Tap):
    def __init__(self):
        super().__init__("tcpdump", "tcpdump -w /dev/null", "tcpdump", "-Z", "root", "-n",
                         "-i", INTERFACE, "-B", "32768", "-w", "/dev/null", PORT)

    def read(self, program, folder):
        return {"dropped": int(re.search(r"(\d+) packets dropped by kernel", program.err)[1])}


class Httpry(Tap):
    def __init__(self):
        super().__init__("httpry", "httpry", "httpry", "-q", "-i", INTERFACE)

    def command(self, folder):
        return (*self.arguments, "-o", folder / "httpry.data", PORT)

    def read(self, program, folder):
        with (folder / "httpry.data").open(errors="replace") as lines:
            return {"requests": sum(line.split("\t")[3:4] == [">"] for line in lines)}


TSHARK_FIELDS = ("-T", "fields", "-e", "tcp.dstport", "-e", "ip.len", "-e", "http.request.method",
                 "-e", "http.request.uri")


class Tshark(Tap):
    def __init__(self):
        super().__init__("tshark", "tshark", "tshark", "-n", "-l", "-i", INTERFACE, "-B", "64",
                         "-f", PORT, *TSHARK_FIELDS)

    def read(self, program, folder):
        seen = {"bytes_in": 0, "bytes_out": 0, "requests": 0}
        with program.out_path.open() as lines:
            for line in lines:
                port, size, methods, _ = line.split("\t")
                seen["bytes_in" if port == "80" else "bytes_out"] += int(size)
                seen["requests"] += len(methods.split(",")) if methods else 0
        return seen


PMACCT_CONF = """
daemonize: false
pcap_interface: {interface}
pcap_filter: {filter}
aggregate: src_port, dst_port
plugins: print
print_output: csv
print_output_file: {folder}/pmacct.data
print_output_file_append: false
print_refresh_time: 600
print_history: 1h
plugin_buffer_size: 1024000
plugin_pipe_size: 102400000
"""


class Pmacct(Tap):
    def __init__(self):
        super().__init__("pmacct", "pmacct", "pmacctd")

    def command(self, folder):
        conf = folder / "pmacct.conf"
        conf.write_text(PMACCT_CONF.format(interface=INTERFACE, filter=PORT, folder=folder))
        return (*self.arguments, "-f", conf)

    def read(self, program, folder):
        seen = {"bytes_in": 0, "bytes_out": 0}
        with (folder / "pmacct.data").open() as lines:
            for row in csv.DictReader(lines):
                seen["bytes_in" if row["DST_PORT"] == "80" else "bytes_out"] += int(row["BYTES"])
        return seen


class Ndpi(Tap):
    ETHERNET_BYTES = 14

    def __init__(self):
        super().__init__("ndpi", "nDPI reader", "ndpiReader", "-i", INTERFACE, "-f", PORT,
                         "-s", "600")

    def command(self, folder):
        return (*self.arguments, "-C", folder / "ndpi.data")

    def read(self, program, folder):
        seen = {"bytes_in": 0, "bytes_out": 0}
        with (folder / "ndpi.data").open(errors="replace") as lines:
            for row in csv.DictReader(lines):
                for way, member in (("in", "c_to_s"), ("out", "s_to_c")):
                    seen[f"bytes_{way}"] += (int(row[f"{member}_bytes"]) -
                                             int(row[f"{member}_pkts"]) * self.ETHERNET_BYTES)
        return seen


class Script(Tap):
    """The bcc script. Debian keeps the kernel's headers in two folders, bcc wants one."""

    SYSTEM_PYTHON = "/usr/bin/python3"

    def __init__(self, build):
        super().__init__("script", "bcc script", self.SYSTEM_PYTHON, HERE / "script.py",
                         INTERFACE)
        self.headers = build / "tests/bench/kernel-headers"

    def missing(self):
        if run(self.SYSTEM_PYTHON, "-c", "import bcc", check=False).returncode:
            return "bcc for Python is not installed"
        if not os.path.exists(BCC_FILTER):
            return "bpfcc-tools is not installed"
        if len(self.header_folders()) != 2:
            return "no kernel headers are installed"
        return None

    @staticmethod
    def header_folders():
        """That of this architecture, and the one it shares with others."""
        common = sorted(pathlib.Path("/usr/src").glob("linux-headers-*-common"))[-1:]
        return common + [own for folder in common for own in folder.parent.glob(
            folder.name.replace("-common", "-*")) if own != folder][:1]

    def command(self, folder):
        if not self.headers.is_dir():
            self.headers.mkdir(parents=True)
            for part in self.header_folders():
                run("cp", "-a", "--remove-destination", f"{part}/.", self.headers)
        return ("env", f"BCC_KERNEL_SOURCE={self.headers}", *self.arguments, BCC_FILTER)

    def read(self, program, folder):
        return json.loads(program.out)


def all_taps(agent, build, settings):
    """In the order of reports."""
    return [
        Nothing(),
        Reference(build, "ignore", "reference: a filter that returns 0"),
        Reference(build, "count", "reference: counts connections"),
        Reference(build, "heads", "reference: counts, 256 bytes of heads in a ring"),
        Httpacct("httpacct", "**httpacct**", [agent], settings),
        Httpacct("httpacct-whole", "httpacct, offload off", [agent],
                 f"{settings} offload = false;"),
        Httpacct("httpacct-starved", "httpacct, nice 19 on the server's CPU",
                 ["taskset", "-c", NGINX_CPU, "nice", "-n", "19", agent], settings),
        Tcpdump(),
        Ndpi(),
        Pmacct(),
        Httpry(),
        Script(build),
        Tshark(),
    ]
