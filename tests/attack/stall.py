#!/usr/bin/python3
"""Four connections send what costs the server much and themselves little; an honest client must not notice."""

import socket
import ssl
import subprocess

from attack import Attacker, AttackError, Server, compare, main

RECORDS = {"key-updates": 20_000, "renegotiations": 20_000, "octets": 20_000}  # of each connection
HELLOS = 300  # half handshakes, each in records of one octet
HELD = 100      # of them at a time
SECONDS = 15


class Records:
    """An Attacker that runs `attack_records`."""

    def __init__(self, program, port, kind, count):
        self._process = subprocess.Popen([program, str(port), kind, str(count)], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, text=True)
        if self._process.stdout.readline() != "ready\n":
            raise AttackError(f"{kind}: the attacker did not get ready")

    def begin(self):
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def going_on(self):
        return self._process.poll() is None

    def end(self):
        self._process.kill()
        self._process.communicate()


def half_handshakes(go, port):
    out = ssl.MemoryBIO()
    hello = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), out, server_hostname="a" * 60 + ".test")
    try:
        hello.do_handshake()
    except ssl.SSLWantReadError:
        pass
    message = out.read()[5:-1]
    fragments = b"".join(b"\x16\x03\x01\x00\x01" + bytes([octet]) for octet in message)
    go()
    held = []
    for _ in range(HELLOS):
        client = socket.create_connection(("127.0.0.1", port), timeout=10)
        try:
            client.sendall(fragments)
        except OSError:
            pass
        held = held[-HELD:] + [client]


def attack(options):
    held = True
    with Server(options.binary) as server:
        for kind, count in RECORDS.items():
            attacker = Records(options.records, server.acme_port, kind, count)
            held = compare(server, kind, attacker, SECONDS, options.at_most) and held
        attacker = Attacker(half_handshakes, server.acme_port)
        held = compare(server, "half handshakes in records of one octet", attacker, SECONDS, options.at_most) and held
    return held


if __name__ == "__main__":
    main(attack, records="the attack_records that the build made")
