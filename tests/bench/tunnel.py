#!/usr/bin/python3
"""Both ends of a connection that becomes a tunnel by 101 Switching Protocols.

    tunnel.py serve SOCKET         the server behind nginx, on a Unix socket
    tunnel.py load HOST SECONDS    the client: one tunnel after the other

In each tunnel the server sends 8 MB and the client, meanwhile, 1 MB. The client
prints how many there were as wrk does.
"""

import socket
import sys
import threading
import time

DOWN_BYTES, UP_BYTES = 8_000_000, 1_000_000
PIECE = bytes(65536)
SERVICES = 16

REQUEST = ("GET /tunnel?s=service{} HTTP/1.1\r\nHost: {}\r\n"
           "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
REPLY = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


def read_head(connection):
    """Returns what came behind the head."""
    received = b""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(65536)
        if not piece:
            raise ConnectionError("closed before the end of a head")
        received += piece
    return received.split(b"\r\n\r\n", 1)[1]


def send_bytes(connection, count):
    for start in range(0, count, len(PIECE)):
        connection.sendall(PIECE[:count - start])


def receive_bytes(connection, count, buffer=bytearray(1 << 18)):
    while count > 0:
        size = connection.recv_into(buffer)
        if not size:
            raise ConnectionError("closed inside the tunnel")
        count -= size


def serve_one(connection):
    with connection:
        received = len(read_head(connection))
        connection.sendall(REPLY)
        sender = threading.Thread(target=send_bytes, args=(connection, DOWN_BYTES))
        sender.start()
        receive_bytes(connection, UP_BYTES - received)
        sender.join()
        connection.recv(1)  # until the client has closed


def serve(path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        while True:
            serve_one(listener.accept()[0])


def use_one(host, number):
    with socket.create_connection((host, 80)) as connection:
        connection.sendall(REQUEST.format(number % SERVICES + 1, host).encode())
        received = len(read_head(connection))
        sender = threading.Thread(target=send_bytes, args=(connection, UP_BYTES))
        sender.start()
        receive_bytes(connection, DOWN_BYTES - received)
        sender.join()


def load(host, seconds):
    start, number = time.monotonic(), 0
    while time.monotonic() - start < float(seconds):
        use_one(host, number)
        number += 1
    print(f"{number} requests in {time.monotonic() - start:.2f}s")


if __name__ == "__main__":
    {"serve": serve, "load": load}[sys.argv[1]](*sys.argv[2:])
