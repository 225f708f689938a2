#!/usr/bin/python3
"""Accounts have names validated at servers that never answer; an honest account's validation must not wait for them."""

import time

from acme import Client, Targets, settings
from attack import WORST_FACTOR, Attacker, AttackError, Server, main

# How many accounts, the names of each, and what the slowest honest validation may take: in seconds, or three times what it takes
# without them. There is a place for everybody while accounts are fewer than places (32). Beyond that somebody's try must end first,
# which takes a second where others wait, and accounts whose turn was longer ago come before.
ATTACKS = ((1, 100, None), (4, 100, None), (40, 10, 3.0))
NOISE_SECONDS = 0.3
SECONDS = 6


def hang(go, port, number, names):
    client = Client(port)
    client.new_account().expect(201)
    order = client.new_order([f"127.1.{number}.{i + 1}" for i in range(names)]).expect(201).json()
    challenges = [client.challenge_of(each) for each in order["authorizations"]]
    go()
    for challenge in challenges:
        client.post(challenge, {}).expect(200)
    time.sleep(60)  # until it is ended


def slowest_validation(client, seconds):
    slowest, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        order = client.new_order([Targets.HONEST]).expect(201).json()
        slowest = max(slowest, client.prove(order["authorizations"][0]))
    return slowest


def attack_with(options, accounts, names, at_most):
    with Targets() as targets, Server(options.binary, settings(targets)) as server:
        honest = Client(server.acme_port)
        honest.new_account().expect(201)
        targets.answer_for(honest.key.thumbprint)
        without = slowest_validation(honest, 2)
        attackers = [Attacker(hang, server.acme_port, number, names) for number in range(accounts)]
        for attacker in attackers:
            attacker.begin()
        time.sleep(0.5)
        beside = slowest_validation(honest, SECONDS)
        for attacker in attackers:
            if not attacker.going_on():
                raise AttackError("an attacker gave up")
            attacker.end()
    limit = options.at_most or at_most or max(WORST_FACTOR * without, NOISE_SECONDS)
    held = beside <= limit
    print(f"{accounts} accounts with {names} silent names each: slowest honest validation {without * 1000:.0f} ms without, "
          f"{beside * 1000:.0f} ms beside them: {'held' if held else 'NOT HELD'}", flush=True)
    return held


def attack(options):
    return all([attack_with(options, *each) for each in ATTACKS])


if __name__ == "__main__":
    main(attack)
