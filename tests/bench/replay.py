"""How fast a capture file is read: a recording of small requests, made up here."""

import itertools
import resource
import subprocess
import time

import frames
from harness import run
from taps import TSHARK_FIELDS

SERVER = (0x0A600002, 80)
CLIENT_ADDRESS, CLIENT_PORT = 0x0A600100, 40000
SERVICES, REQUESTS_A_CONNECTION = 16, 1000
BODY = b"b" * 198
REPLY = (b"HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Type: application/json\r\n"
         b"Content-Length: %d\r\nConnection: keep-alive\r\n\r\n" % len(BODY)) + BODY


def request(number):
    return f"GET /small?s=service{number + 1} HTTP/1.1\r\nHost: 10.96.0.2\r\n\r\n".encode()


def connection(client, requests):
    """Its packets: opened, and asked again and again."""
    texts = [request(number) for number in range(SERVICES)]
    yield from frames.open_connection(client, SERVER, texts[0], REPLY)
    client_seq, server_seq = 1001 + len(texts[0]), 5001 + len(REPLY)
    flags = frames.PSH | frames.ACK
    for number in range(1, requests):
        text = texts[number % SERVICES]
        yield frames.ipv4_tcp(client, SERVER, client_seq, server_seq, flags, text)
        client_seq += len(text)
        yield frames.ipv4_tcp(SERVER, client, server_seq, client_seq, flags, REPLY)
        server_seq += len(REPLY)


def write_capture(path, requests):
    """Returns how many packets it has."""
    packets = itertools.chain.from_iterable(
        connection((CLIENT_ADDRESS + number, CLIENT_PORT),
                   min(REQUESTS_A_CONNECTION, requests - number * REQUESTS_A_CONNECTION))
        for number in range(-(-requests // REQUESTS_A_CONNECTION)))
    count = 0
    with path.open("wb", buffering=1 << 20) as file:
        file.write(frames.PCAP_HEADER)
        for packet in packets:
            file.write(frames.pcap_record(count // 100_000, count % 100_000 * 10, packet))
            count += 1
    return count


def readers(agent, config, capture):
    """Commands that read it, by name."""
    return {
        "tcpdump": ("tcpdump", "-Z", "root", "-r", capture, "-w", "/dev/null"),
        "httpacct": (agent, "-c", config, "-r", capture, "--print", "json"),
        "tshark": ("tshark", "-n", "-r", capture, *TSHARK_FIELDS),
    }


def read_once(command):
    """Seconds that it took, and of its CPU."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    run(*command, timeout=None, capture_output=False, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL)
    seconds, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"seconds": seconds, "cpu_s": after.ru_utime + after.ru_stime -
            before.ru_utime - before.ru_stime}
