"""TCP conversations as frames, and capture files of them. Checksums are left 0."""

import struct

SYN, FIN, ACK, PSH = 0x02, 0x01, 0x10, 0x08
LINKTYPE_RAW = 101

PCAP_HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, LINKTYPE_RAW)


def pcap_record(second, microsecond, packet):
    return struct.pack("<IIII", second, microsecond, len(packet), len(packet)) + packet


def ipv4_tcp(source, destination, seq, ack, flags, payload=b""):
    """One packet; source and destination are (IPv4 address as a number, port)."""
    ip = struct.pack("!BBHHHBBHII", 0x45, 0, 40 + len(payload), 0, 0x4000, 64, 6, 0,
                     source[0], destination[0])
    tcp = struct.pack("!HHIIBBHHH", source[1], destination[1], seq, ack, 0x50, flags, 65535, 0, 0)
    return ip + tcp + payload


def open_connection(client, server, request, reply):
    """The packets of a connection that asked once, was answered, and stays open."""
    client_seq, server_seq = 1000, 5000
    yield ipv4_tcp(client, server, client_seq, 0, SYN)
    yield ipv4_tcp(server, client, server_seq, client_seq + 1, SYN | ACK)
    client_seq, server_seq = client_seq + 1, server_seq + 1
    yield ipv4_tcp(client, server, client_seq, server_seq, ACK)
    yield ipv4_tcp(client, server, client_seq, server_seq, PSH | ACK, request)
    client_seq += len(request)
    yield ipv4_tcp(server, client, server_seq, client_seq, PSH | ACK, reply)
    yield ipv4_tcp(client, server, client_seq, server_seq + len(reply), ACK)
