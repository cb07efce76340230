"""HTTP of every kind at random: a server that does what the request's target says,
and a client that asks for it. Both run in threads of the test, with sockets of
their namespaces."""

import contextlib
import random
import socket
import struct
import threading
import time

HTTP_PORT, OTHER_PORT = 8000, 8001
CHUNK = 30_000
CLIENTS = 8
NOT_HTTP = b"\x16\x03\x01" + b"t" * 5000


def listen(namespace, address, port):
    with namespace.entered():
        listener = socket.create_server((address, port), backlog=200)
    return listener


def parameter(target, name):
    for pair in target.partition("?")[2].split("&"):
        if pair.startswith(name + "="):
            return int(pair.partition("=")[2])
    return 10


class Server:
    """Serves every connection in a thread of its own until it is stopped."""

    def __init__(self, test, namespace, address):
        for port, serve in ((HTTP_PORT, self.serve_http), (OTHER_PORT, self.serve_other)):
            listener = listen(namespace, address, port)
            thread = threading.Thread(target=self.accept, args=(listener, serve), daemon=True)
            thread.start()
            test.addCleanup(thread.join)
            test.addCleanup(listener.shutdown, socket.SHUT_RDWR)

    def accept(self, listener, serve):
        with listener:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=self.run, args=(connection, serve), daemon=True).start()

    def run(self, connection, serve):
        with connection, contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            serve(connection)

    def serve_other(self, connection):
        while connection.recv(65536):
            connection.sendall(b"x" * 50)

    def serve_http(self, connection):
        stream = connection.makefile("rb")
        while True:
            request = stream.readline().decode().split()
            if not request or not self.reply(connection, stream, *request[:2]):
                return

    def reply(self, connection, stream, method, target):
        """Returns whether the connection goes on."""
        headers = dict(iter(lambda: stream.readline().decode().strip().lower().partition(": ")[::2],
                            ("", "")))
        if "expect" in headers:
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        stream.read(int(headers.get("content-length", 0)))
        if method == "CONNECT" or "upgrade" in headers:
            self.tunnel(connection, stream, method)
            return False
        if "/close" in target:
            connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + b"q" * 500_000)
            return False
        if "/chunked" in target:
            self.send_chunks(connection, parameter(target, "n"))
        elif method == "HEAD":
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n")
        elif "/early" in target:
            connection.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n")
            time.sleep(0.01)
            self.send_body(connection, b"HTTP/1.1 200 OK\r\n" + b"e" * 100_000)
        else:
            self.send_body(connection, b"b" * parameter(target, "n"))
        return True

    def send_body(self, connection, body):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    def send_chunks(self, connection, count):
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(count):
            connection.sendall(b"%x\r\n%s\r\n" % (CHUNK, b"z" * CHUNK))
        connection.sendall(b"0\r\n\r\n")

    def tunnel(self, connection, stream, method):
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" if method == "CONNECT" else
                           b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n"
                           b"Connection: Upgrade\r\n\r\n")
        while data := stream.read1(65536):
            connection.sendall(data + b"HTTP/1.1 200 OK\r\n\r\n")


class Client(threading.Thread):
    """Opens connections one after the other, and on each asks for a few things."""

    def __init__(self, namespace, address, seed, connections):
        super().__init__(daemon=True)
        self.namespace, self.address, self.connections = namespace, address, connections
        self.random = random.Random(seed)
        self.kinds = (self.get, self.get, self.pipeline, self.chunked, self.upload, self.head,
                      self.byte_by_byte, self.early, self.expect, self.upgrade, self.connect_method,
                      self.close_delimited, self.overlap)

    def run(self):
        for _ in range(self.connections):
            with contextlib.suppress(OSError):
                self.talk()

    def open(self, port):
        with self.namespace.entered():
            connection = socket.create_connection((self.address, port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def talk(self):
        with self.open(HTTP_PORT) as connection:
            self.send = connection.sendall
            self.connection = connection
            for _ in range(self.random.randrange(1, 6)):
                goes_on = self.random.choice(self.kinds)() is not False
                if not self.drain(self.random.choice((0.02, 0.1, 0.3))) or not goes_on:
                    break
            if self.random.random() < 0.2:  # reset
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                      struct.pack("ii", 1, 0))

    def talk_other(self):
        """What is not HTTP."""
        with self.open(OTHER_PORT) as connection:
            for _ in range(50):
                connection.sendall(NOT_HTTP)
                connection.recv(100)

    def drain(self, idle_s):
        """Receive until nothing more comes. Returns whether the connection is still open."""
        self.connection.settimeout(idle_s)
        try:
            while self.connection.recv(1 << 20):
                pass
        except TimeoutError:
            self.connection.settimeout(None)
            return True
        return False

    def head_of(self, method, target, *fields):
        service = self.random.choice("abcd")
        lines = (f"{method} {target}&s={service} HTTP/1.1", "Host: h", *fields, "", "")
        return "\r\n".join(lines).encode()

    def request(self, size):
        return self.head_of("GET", f"/x?n={size}")

    def get(self):
        self.send(self.request(self.random.choice((0, 5, 700, 800, 3000, 40_000, 300_000,
                                                   3_000_000))))

    def pipeline(self):
        sizes = self.random.choices((0, 10, 2000, 50_000), k=self.random.randrange(2, 9))
        self.send(b"".join(map(self.request, sizes)))

    def chunked(self):
        self.send(self.head_of("GET", f"/chunked?n={self.random.choice((0, 1, 5, 60))}"))

    def upload(self):
        size = self.random.choice((1, 5000, 200_000, 3_000_000))
        self.send(self.head_of("POST", "/u?n=20", f"Content-Length: {size}") + b"u" * size)

    def head(self):
        self.send(self.head_of("HEAD", "/h?n=0"))

    def byte_by_byte(self):
        for byte in self.request(100):
            self.send(bytes((byte,)))

    def early(self):
        self.send(self.head_of("GET", "/early?n=0"))

    def expect(self):
        """A body that looks like a request, and a request right behind it."""
        size = 100_000
        self.send(self.head_of("PUT", "/u?n=20", "Expect: 100-continue",
                               f"Content-Length: {size}"))
        time.sleep(0.02)
        like = b"GET / HTTP/1.1\r\n\r\n"
        self.send(like + b"u" * (size - len(like)) + self.request(7))

    def upgrade(self):
        self.send(self.head_of("GET", "/ws?n=0", "Upgrade: x", "Connection: Upgrade"))
        self.drain(0.06)
        for _ in range(20):
            self.send(b"w" * self.random.choice((10, 3000, 100_000)))
            time.sleep(0.005)
        return False

    def connect_method(self):
        self.send(b"CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n")
        self.drain(0.06)
        for _ in range(10):
            self.send(self.request(5))
            time.sleep(0.005)
        return False

    def close_delimited(self):
        self.send(self.head_of("GET", "/close?n=0"))
        return False

    def overlap(self):
        """The next request while the reply is under way."""
        self.send(self.request(1_000_000))
        time.sleep(0.003)
        self.send(self.request(20))


def exchange(namespace, address, seed, connections):
    """Many clients at once, to their end."""
    clients = [Client(namespace, address, f"{seed}-{number}", connections)
               for number in range(CLIENTS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    clients[0].talk_other()
