#!/usr/bin/python3
"""Captures made by others, against the ground truth beside them: every request
and reply, their pairing and stream bytes, and the IP bytes of every connection."""

import collections
import unittest

from harness import SHARED, main, read_capture, read_transactions, require, skip

CAPTURES = SHARED / "pcaps"

# Where we differ on purpose, and why.
DIFFERS = {
    "zeek__vxlan-encapsulated-http": "VXLAN: what is inside the tunnel is not looked at",
    "zeek__gtp2_different_udp_port": "GTP: what is inside the tunnel is not looked at",
    "arkime__socks5-http-302-frag": "SOCKS5 comes first: a connection that does not begin as HTTP "
                                    "is not HTTP",
}


class Truth:
    """A truth file: its records by type, each a dictionary by column."""

    def __init__(self, path):
        self.records = collections.defaultdict(list)
        columns = {}
        for line in path.read_text().splitlines():
            kind, *fields = line.split("\t")
            if kind.startswith("#"):
                columns[kind[1:]] = fields
            elif kind in columns:
                self.records[kind].append(dict(zip(columns[kind], fields)))
        self.connections = {record["stream"]: record for record in self.records["CONN"]}

    def ip_bytes(self, is_http):
        return sum(int(connection["c2s_ip"]) + int(connection["s2c_ip"])
                   for connection in self.connections.values()
                   if connection["app"].startswith("http1") == is_http)

    def transactions(self):
        return [self.transaction(record) for record in self.records["TXN"]]

    def transaction(self, record):
        connection = self.connections[record["stream"]]
        answered = record["code"] != "-"
        asked = record["method"] != "-"
        return (
            endpoint(connection["client"], connection["cport"]),
            endpoint(connection["server"], connection["sport"]),
            record["method"] if asked else None,
            record["uri"] if asked else None,
            record["host"] if record["host"] != "-" else None,
            int(record["code"]) if answered else None,
            () if record["interim"] == "-" else tuple(map(int, record["interim"].split(","))),
            int(record["req_bytes"]) if asked else 0,
            int(record["resp_bytes"]) if answered else 0,
        )


def endpoint(address, port):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def seen(transaction):
    return (
        transaction["client"],
        transaction["server"],
        transaction["method"],
        transaction["target"],
        transaction["host"],
        transaction["status"],
        tuple(transaction["interim"]),
        transaction["in"]["payload"],
        transaction["out"]["payload"],
    )


def by_connection(transactions):
    """Connections end in any order, but the requests of one have theirs. Replies without a
    request come last."""
    sorted_out = collections.defaultdict(list)
    for transaction in sorted(transactions, key=lambda transaction: transaction[2] is None):
        sorted_out[transaction[:2]].append(transaction[2:])
    return dict(sorted_out)


class CapturesTest(unittest.TestCase):
    maxDiff = None

    def check_books(self, capture):
        totals = read_capture(capture)
        totals.check_balance(self)

    def check_truth(self, capture):
        truth = Truth(capture.with_suffix(".truth.tsv"))
        totals = read_capture(capture)
        self.assertEqual(by_connection(map(seen, read_transactions(capture))),
                         by_connection(truth.transactions()))
        self.assertEqual(totals.interface("service_bytes"), truth.ip_bytes(is_http=True))
        self.assertEqual(totals.interface("not_http_bytes"), truth.ip_bytes(is_http=False))


def add_cases(capture):
    def books(self):
        self.check_books(capture)

    def truth(self):
        self.check_truth(capture)

    if capture.stem in DIFFERS:
        truth = unittest.expectedFailure(truth)
    setattr(CapturesTest, f"test_books_{capture.stem}", books)
    setattr(CapturesTest, f"test_truth_{capture.stem}", truth)


require()
if not CAPTURES.is_dir():
    skip(f"no captures in {CAPTURES}")
for found in sorted(CAPTURES.glob("*.pcap")):
    add_cases(found)
main()
