#!/usr/bin/python3
"""One client opens more idle connections than there may be, and opens them again; an honest client must be served."""

import socket
import ssl
import time

from attack import AttackError, Attacker, Server, compare, main

CONNECTIONS = 64  # that the listener takes
FLOOD = 200
SECONDS = 4
ATTACKER = "127.0.0.2"


def flood(go, port, tls):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    go()
    held, end = [], time.monotonic() + SECONDS
    while time.monotonic() < end:
        try:
            client = socket.create_connection(("127.0.0.1", port), timeout=10, source_address=(ATTACKER, 0))
            held.append(context.wrap_socket(client, server_hostname="localhost") if tls else client)
        except OSError:
            pass
        held = held[-FLOOD:]
        time.sleep(0.005)  # a flood of handshakes would measure those


def attack(options):
    held = True
    with Server(options.binary, {"limits.connections": CONNECTIONS, "limits.idle": "60m"}) as server:
        for name, port, tls in (("idle TLS connections", server.acme_port, True),
                                ("idle plain connections", server.operations_port, False)):
            held = compare(server, name, Attacker(flood, port, tls), SECONDS + 10, options.at_most) and held
        if server.metric("gatehouse_http_evicted_total") == 0:
            raise AttackError("the flood did not fill the listener: nothing was evicted")
    return held


if __name__ == "__main__":
    main(attack)
