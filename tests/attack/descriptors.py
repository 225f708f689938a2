#!/usr/bin/python3
"""A server with few descriptors and every listener flooded: it keeps those that validation and the database need."""

import socket
import threading

from attack import AttackError, Server, ask_once, main

DESCRIPTORS = 1400
FLOOD = 300    # connections of each address to each listener, each with half a request
ADDRESSES = 4
SPARE = 100    # descriptors that must be left
TOO_FEW = 128


def flood(ports):
    held = []
    lock = threading.Lock()

    def from_address(source):
        for _ in range(FLOOD):
            for port in ports:
                try:
                    client = socket.create_connection(("127.0.0.1", port), timeout=5, source_address=(source, 0))
                    client.sendall(b"GET /")
                except OSError:
                    continue
                with lock:
                    held.append(client)

    threads = [threading.Thread(target=from_address, args=(f"127.0.0.{i + 2}",)) for i in range(ADDRESSES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return held


def attack(options):
    with Server(options.binary, {"limits.read": "30s"}, descriptors=DESCRIPTORS) as server:
        if "connections.lowered" not in server.log.read_text():
            raise AttackError("the log does not say that limits.connections was lowered")
        held = flood((server.public_port, server.operations_port, server.acme_port))
        most = server.open_descriptors()
        print(f"descriptors: {most} of {DESCRIPTORS} open beside {len(held)} connections", flush=True)
        if most > DESCRIPTORS - SPARE:
            raise AttackError(f"fewer than {SPARE} descriptors are left")
        if "http.accept_exhausted" in server.log.read_text():
            raise AttackError("the server ran out of descriptors")
        for client in held:
            client.close()
        ask_once(server)
        server.process.terminate()
        server.process.wait(timeout=30)
        server.descriptors = TOO_FEW
        server.start()
        status = server.process.wait(timeout=30)
        last = server.log.read_text().strip().splitlines()[-1]
        print(f"with {TOO_FEW} descriptors: exit status {status}, {last}")
        if status == 0 or "raise the limit to" not in last:
            raise AttackError("a start with too few descriptors is not refused in words")
    return True


if __name__ == "__main__":
    main(attack)
