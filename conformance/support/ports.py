"""Blocks of TCP and UDP ports on loopback, so that labs side by side, in one run or several, never take each other's."""

import os
import socket

FIRST, LAST, SIZE = 10240, 32000, 32  # below the ports that outgoing connections take


class NoPorts(Exception):
    """Every block is taken."""


class PortBlock:
    """The next free block. Its first port is held as its lock until close(); take() gives the others out, one by one."""

    def __init__(self):
        blocks = (LAST - FIRST) // SIZE
        for number in range(blocks):
            base = FIRST + (os.getpid() + number) % blocks * SIZE
            lock = socket.socket()
            try:
                lock.bind(("127.0.0.1", base))
                lock.listen()
            except OSError:
                lock.close()
                continue
            self._lock, self._next, self._end = lock, base + 1, base + SIZE
            return
        raise NoPorts(f"no block of {SIZE} ports is free between {FIRST} and {LAST}")

    def take(self):
        """A port that nobody listens on, for TCP or UDP."""
        while self._next < self._end:
            port, self._next = self._next, self._next + 1
            try:
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    with socket.socket(type=kind) as probe:
                        probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
        raise NoPorts(f"all {SIZE} ports of this block are given out")

    def close(self):
        self._lock.close()
