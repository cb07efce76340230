#!/usr/bin/python3
"""Real traffic of nginx, with segmentation offload on and off, against counters
that httpacct did not write.

    client -- router -- server

httpacct watches the server's end. Offload is switched there; between client and
router it is always off, so that the interface there counts each segment as it
would be on a wire, also where the server's end sees super-packets.

 - tcp_bytes = IP bytes of the router's interface = the three terms of the books
 - nftables in the router counts the same bytes with offload off, and fewer
   headers with it on
 - nginx's log: requests by service, $request_length and $bytes_sent
"""

import socket

from harness import LabTest, main, require, require_root
from servers import NGINX_MODULE, Nginx

SERVER = "10.98.2.2"
PIPELINED = 20


class LiveTest(LabTest):
    def setUp(self):
        super().setUp()
        self.use_ring(128)
        self.route("10.98")
        self.router.count_with_nftables()

    def use_ring(self, mebibytes):
        self.config.write_text(f'rules = ( {{ query = "s"; }} ); ring = {{ size = {mebibytes}; }};')

    def watch(self, offload):
        self.router.offload("far0", offload)
        self.server.offload("server0", offload)
        self.nginx = Nginx(self, self.server)
        self.agent = self.start_agent(self.server, "-i", "server0", "--print", "json")
        self.wire_before = self.router.wire_bytes("near0")
        self.nftables_before = self.router.nftables_bytes()

    def finish(self):
        """Let all that is under way pass, and read every counter."""
        self.server.wait_until_quiet("server0")
        self.totals = self.stop_agent(self.agent)
        self.wire_bytes = self.router.wire_bytes("near0") - self.wire_before
        self.nftables_bytes = self.router.nftables_bytes() - self.nftables_before

    def curl(self, target, *options):
        self.client.run("curl", "-sS", "-o", "/dev/null", *options, f"http://{SERVER}{target}")

    def wrk(self, target, connections):
        # With its port: wrk would look for "http" in /etc/services, which a small system has not.
        self.client.run("wrk", "-t", 2, "-c", connections, "-d", "2s",
                        f"http://{SERVER}:80{target}")

    def pipeline(self, target):
        """Requests in one segment, and one split over two."""
        request = f"GET {target} HTTP/1.1\r\nHost: {SERVER}\r\n\r\n".encode()
        last = request.replace(b"Host:", b"Connection: close\r\nHost:")
        with self.client.entered():
            connection = socket.create_connection((SERVER, 80))
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(request * PIPELINED + request[:10])
            connection.sendall(request[10:] + last)
            while connection.recv(65536):
                pass

    def upload(self, target, size, *options):
        body = self.folder / "body"
        with body.open("wb") as file:
            file.truncate(size)
        self.curl(target, "-T", body, "-X", "POST", *options)

    def every_kind(self):
        """Traffic whose every byte is in nginx's log."""
        for _ in range(5):
            self.curl("/small?s=small")
        self.curl("/m32?s=m32", f"http://{SERVER}/m32?s=again", "-o", "/dev/null")
        self.curl("/small?s=head", "-I")
        self.curl("/missing?s=missing")
        self.curl("/chunked?s=chunked")
        self.curl("/m32")
        self.pipeline("/small?s=pipelined")
        self.upload("/upload?s=upload", 3_000_000, "-H", "Expect:")

    def check_books(self, offload):
        self.totals.check_balance(self)
        self.assertEqual(self.totals.interface("tcp_bytes"), self.wire_bytes)
        if offload:
            self.assertGreater(self.totals.interface("tcp_bytes"), self.nftables_bytes)
        else:
            self.assertEqual(self.totals.interface("tcp_bytes"), self.nftables_bytes)

    def check_requests(self):
        self.assertEqual(self.totals.interface("ring_drops"), 0)
        self.nginx.check_requests(self, self.totals)

    def check_every_kind(self, offload):
        self.watch(offload)
        self.every_kind()
        self.finish()
        self.check_books(offload)
        self.check_requests()
        self.nginx.check_replies(self, self.totals)

    def test_every_kind_of_message_with_offload_off(self):
        self.check_every_kind(offload=False)

    def test_every_kind_of_message_with_offload_on(self):
        self.check_every_kind(offload=True)

    def test_large_download_with_offload_off(self):
        self.check_large_download(offload=False)

    def test_large_download_with_offload_on(self):
        self.check_large_download(offload=True)

    def check_large_download(self, offload):
        self.watch(offload)
        self.curl("/big?s=big", "--limit-rate", "100M")
        self.finish()
        self.check_books(offload)
        self.check_requests()
        self.nginx.check_replies(self, self.totals)

    def test_many_connections_with_offload_off(self):
        self.check_many_connections(offload=False)

    def test_many_connections_with_offload_on(self):
        self.check_many_connections(offload=True)

    def check_many_connections(self, offload):
        self.watch(offload)
        self.wrk("/small?s=small", 200)
        self.wrk("/m32?s=m32", 20)
        self.finish()
        self.check_books(offload)
        self.check_requests()

    def test_upload_that_waits_for_100_continue(self):
        self.watch(offload=False)
        self.upload("/upload?s=upload", 100_000, "-H", "Expect: 100-continue")
        self.finish()
        self.check_books(offload=False)
        self.check_requests()
        self.assertEqual(self.totals.services["upload"]["replies"]["1xx"], 1)

    def test_overload_loses_labels_but_no_byte(self):
        self.use_ring(1)
        self.watch(offload=True)
        self.wrk("/big?s=big", 8)
        self.finish()
        self.check_books(offload=True)


require_root()
require("curl", "ethtool", "ip", "nft", "nginx", "wrk", NGINX_MODULE)
main()
