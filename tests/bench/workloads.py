"""What is asked of nginx."""

import pathlib
import sys

from bed import SERVER

HERE = pathlib.Path(__file__).resolve().parent
REQUESTS, BYTES = "million requests", "GB"  # what costs are divided by


class Wrk:
    """wrk, as long as it is told to."""

    program = "wrk"

    def __init__(self, title, unit, connections, **options):
        self.title, self.unit, self.connections = title, unit, connections
        self.options = [f"{name}={value}" for name, value in options.items()]

    def command(self, seconds):
        return ("wrk", "-t1", f"-c{self.connections}", f"-d{seconds}s", "--timeout", "20s",
                "-s", HERE / "requests.lua", f"http://{SERVER}", "--", *self.options)


class Tunnels:
    title, unit = "tunnels after 101, 8 MB down and 1 MB up", BYTES

    def command(self, seconds):
        return sys.executable, HERE / "tunnel.py", "load", SERVER, seconds


WORKLOADS = {
    "keepalive": Wrk("small replies, kept connections", REQUESTS, 32, path="/small"),
    "connections": Wrk("a connection for each request", REQUESTS, 32, path="/small", close=1),
    "pipelined": Wrk("8 requests at once", REQUESTS, 8, path="/small", depth=8),
    "32k": Wrk("32 KiB replies", BYTES, 16, path="/32k"),
    "8m": Wrk("8 MB replies", BYTES, 2, path="/8m"),
    "100m": Wrk("100 MB replies", BYTES, 4, path="/100m"),
    "chunked": Wrk("16 KiB replies in 3 chunks", BYTES, 16, path="/chunked-16k"),
    "chunked-1m": Wrk("1 MiB replies in chunks", BYTES, 4, path="/chunked-1m"),
    "upload": Wrk("1 MB uploads", BYTES, 8, path="/upload", body=1000000),
    "tunnel": Tunnels(),
}
