"""Resident memory of httpacct: idle, and with many open connections.

The connections are packets that a raw socket sends to a link address that is
nobody's: the agent's socket sees them, the server's stack passes over them.
"""

import socket
import struct

import frames
import measure
import processes

ETH_P_IP = 0x0800
NOBODY = bytes.fromhex("020000000001")
SERVER = (0x0A600002, 80)
CLIENT_ADDRESS, CLIENT_PORT = 0x0B000000, 40000
REQUEST = b"GET /small?s=service1 HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: bench\r\n\r\n"
REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
SETTINGS = "sessions = { max = %d; timeout = 86400; };"


def open_connections(bed, count):
    """Each asks once, is answered, and stays open."""
    with bed.client.entered():
        link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    with link:
        link.bind(("client0", ETH_P_IP))
        header = NOBODY + link.getsockname()[4] + struct.pack("!H", ETH_P_IP)
        for number in range(count):
            client = (CLIENT_ADDRESS + number, CLIENT_PORT)
            for packet in frames.open_connection(client, SERVER, REQUEST, REPLY):
                link.send(header + packet)


def memory_of(pid):
    return {"resident": processes.resident_bytes([pid]), "ring": processes.ring_bytes(pid),
            "maps": processes.kernel_map_bytes(pid)}


def measure_memory(bed, tap, connections):
    """tap is httpacct with SETTINGS. Returns its memory idle, and with the connections."""
    with measure.running(bed, tap) as tapped:
        pid = tapped.program.process.pid
        idle = memory_of(pid)
        open_connections(bed, connections)
        tapped.drain()
        busy = memory_of(pid)
        seen = tapped.finish()
    if seen["requests"] != connections or seen["dropped"]:
        raise AssertionError(f"of {connections} connections the agent saw {seen['requests']}")
    return {"connections": connections, "idle": idle, "busy": busy}
