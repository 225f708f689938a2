#!/usr/bin/python3
"""Accounts write as much as they may; the database must stay small, and with a full disk certificates must still be revoked."""

from acme import Client, Targets, b64, settings
from attack import AttackError, Server, main

MEBIBYTE = 1024 * 1024
NAMES = 100
REQUESTS = 200             # of each kind, at most; a limit must come first
MOST_OF_ACCOUNT = 20 * MEBIBYTE
MOST_WHEN_FULL = MEBIBYTE  # what all that is refused may cost
NEW_ACCOUNTS = 20
NO_SPACE = 1 << 40         # a floor that few disks are above, and the highest that there is


def database_octets(server):
    return sum(file.stat().st_size for file in server.home.rglob("*.db*"))


def until_refused(what, request):
    """Repeats `request()` until it is answered 429."""
    for count in range(REQUESTS):
        answer = request()
        if answer.status == 429:
            print(f"{what}: refused after {count}", flush=True)
            return
        answer.expect(200, 201)
    raise AttackError(f"{what}: {REQUESTS} were taken, and no limit came")


def fill(server):
    client = Client(server.acme_port)
    client.new_account().expect(201)
    before = database_octets(server)
    networks = iter(range(1, REQUESTS + 1))

    def order():
        network = next(networks)
        return client.new_order([f"127.{network}.0.{i}" for i in range(NAMES)])

    until_refused(f"orders of {NAMES} names", order)
    contacts = [f"mailto:{'a' * 60}{i}@example.org" for i in range(10)]
    until_refused("changes of contacts", lambda: client.post(client.kid, {"contact": contacts}))
    until_refused("changes of the key", client.change_key)
    until_refused("new accounts", lambda: Client(server.acme_port).new_account())
    grown = database_octets(server) - before
    print(f"database: {grown / MEBIBYTE:.1f} MiB more", flush=True)
    if grown > MOST_OF_ACCOUNT:
        raise AttackError(f"one account has made the database more than {MOST_OF_ACCOUNT // MEBIBYTE} MiB larger")


def restart_full(server):
    server.process.terminate()
    server.process.wait(timeout=30)
    server.settings["store.free_space_floor"] = NO_SPACE
    server.start()
    server.wait_until_ready()


def use_full_disk(server, honest, certificate):
    before = database_octets(server)
    for _ in range(REQUESTS):
        honest.new_order([Targets.HONEST]).expect(503)
        honest.post(honest.kid, {"contact": ["mailto:a@example.org"]}).expect(503)
        Client(server.acme_port).new_account().expect(503)
    grown = database_octets(server) - before
    print(f"full disk: everything new was refused, {grown / MEBIBYTE:.2f} MiB more", flush=True)
    if grown > MOST_WHEN_FULL:
        raise AttackError("what was refused has been written")
    honest.change_key().expect(200)
    honest.post(honest.urls["revokeCert"], {"certificate": b64(certificate)}).expect(200)
    honest.post(honest.kid, {"status": "deactivated"}).expect(200)
    print("full disk: key changed, certificate revoked, account deactivated", flush=True)


def attack(options):
    with Targets() as targets, \
            Server(options.binary, {**settings(targets), "limits.new_accounts_per_hour": NEW_ACCOUNTS}) as server:
        honest = Client(server.acme_port)
        honest.new_account().expect(201)
        targets.answer_for(honest.key.thumbprint)
        certificate = honest.obtain(Targets.HONEST)
        fill(server)
        restart_full(server)
        honest.reconnect()
        use_full_disk(server, honest, certificate)
    return True


if __name__ == "__main__":
    main(attack)
