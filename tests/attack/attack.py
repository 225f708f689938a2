"""What the attacks have in common: a server of one's own, and an honest client who looks at the clock."""

import argparse
import json
import multiprocessing
import resource
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

START_SECONDS = 30
WORST_FACTOR = 3        # how much slower the slowest answer may be beside an attack
NOISE_SECONDS = 0.1     # what a machine does to an answer without any attack


class AttackError(Exception):
    """The server does not hold, or the attack could not be made."""


def free_ports(count):
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports


class Server:
    """`with Server(binary, settings) as server:` a fresh CA and a server on loopback."""

    def __init__(self, binary, settings=None, descriptors=None):
        self.binary, self.descriptors = Path(binary).resolve(), descriptors
        self.home = Path(tempfile.mkdtemp(prefix="gatehouse-attack-"))
        self.log = self.home / "server.log"
        self.acme_port, self.public_port, self.operations_port = free_ports(3)
        self.settings = {
            "listeners.acme": self._tcp(self.acme_port, tls="own"),
            "listeners.public": self._tcp(self.public_port),
            "listeners.operations": self._tcp(self.operations_port),
            "resolver.servers": '["127.0.0.1:1"]',
            "resolver.dnssec": "off",
            "log.format": "json",
            **(settings or {}),
        }

    @staticmethod
    def _tcp(port, **more):
        return json.dumps([{"address": "127.0.0.1", "port": port, **more}])

    def __enter__(self):
        try:
            subprocess.run([self.binary, "init", "--directory", self.home, "--base-url",
                            f"https://localhost:{self.acme_port}", "--public-url",
                            f"http://127.0.0.1:{self.public_port}", "--name", "Attacked"],
                           check=True, stdout=subprocess.DEVNULL)
            self.start()
            self.wait_until_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def start(self):
        command = [self.binary, "serve", "--config", self.home / "gatehouse.json"]
        for path, value in self.settings.items():
            command += ["--set", f"{path}={value}"]

        def limit():
            if self.descriptors:
                resource.setrlimit(resource.RLIMIT_NOFILE, (self.descriptors, self.descriptors))

        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=limit)

    def wait_until_ready(self):
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise AttackError(f"the server ended with {self.process.returncode}:\n{self.log.read_text()}")
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.operations_port}/readyz", timeout=5) as answer:
                    if answer.status == 200:
                        return
            except OSError:
                time.sleep(0.05)
        raise AttackError(f"the server did not become ready:\n{self.log.read_text()}")

    def __exit__(self, *_):
        process = getattr(self, "process", None)
        if process:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.home, ignore_errors=True)

    def open_descriptors(self):
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def metric(self, name):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.operations_port}/metrics", timeout=10) as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith(name + " ") or line.startswith(name + "{"):
                    return float(line.rsplit(" ", 1)[1])
        raise AttackError(f"there is no metric {name}")


def ask_once(server, timeout=30):
    """One honest round: a new TLS connection and the directory, then a health check. Returns the slower answer's seconds."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    took = []
    for port, path, tls in ((server.acme_port, "/directory", context), (server.operations_port, "/healthz", None)):
        begin = time.monotonic()
        with socket.create_connection(("127.0.0.1", port), timeout=timeout) as plain:
            client = tls.wrap_socket(plain, server_hostname="localhost") if tls else plain
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n".encode())
            answer = b""
            while piece := client.recv(65536):
                answer += piece
        took.append(time.monotonic() - begin)
        if not answer.startswith(b"HTTP/1.1 200"):
            raise AttackError(f"an honest client got {answer[:60]!r} for {path}")
    return max(took)


def worst_while(server, going_on, seconds):
    """The slowest of the honest answers while `going_on()`, for at most `seconds`."""
    worst, end = ask_once(server), time.monotonic() + seconds
    while going_on() and time.monotonic() < end:
        worst = max(worst, ask_once(server))
    return worst


class Attacker:
    """`attack(go)` in a process of its own, so that it takes no turns from the honest client. It prepares, calls
    go(), which returns when the attack is to begin, and attacks."""

    def __init__(self, attack, *arguments):
        self._here, there = multiprocessing.Pipe()
        self._process = multiprocessing.Process(target=self._run, args=(there, attack, arguments), daemon=True)
        self._process.start()
        if not self._here.poll(120) or self._here.recv() != "ready":
            raise AttackError("the attacker did not get ready")

    @staticmethod
    def _run(there, attack, arguments):
        def go():
            there.send("ready")
            there.recv()

        attack(go, *arguments)

    def begin(self):
        self._here.send("go")

    def going_on(self):
        return self._process.is_alive()

    def end(self):
        self._process.terminate()
        self._process.join()


def compare(server, name, attacker, seconds, at_most=None):
    """Prints the honest client's worst latency without and with the attack. False when it is too much: more than
    `at_most` seconds, or without it more than three times that without the attack."""
    without = worst_while(server, lambda: True, 2)
    attacker.begin()
    beside = worst_while(server, attacker.going_on, seconds)
    attacker.end()
    held = beside <= (at_most or max(WORST_FACTOR * without, NOISE_SECONDS))
    print(f"{name}: worst honest answer {without * 1000:.0f} ms without, {beside * 1000:.0f} ms with the attack: "
          f"{'held' if held else 'NOT HELD'}", flush=True)
    return held


def main(attack, **more):
    """Runs `attack(options)`, which returns whether the server held, and ends the process with 0 or 1. `more`: what
    it takes besides the server's binary."""
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("binary", help="the gatehouse to attack")
    for name, meaning in more.items():
        parser.add_argument(name, help=meaning)
    parser.add_argument("--at-most", type=float, metavar="SECONDS", default=None,
                        help="what an honest answer may take beside the attack, in place of three times that without: for a build "
                             "with sanitizers, where a stall is still a stall")
    try:
        held = attack(parser.parse_args())
    except (AttackError, OSError) as error:
        print(f"not held: {error}")
        held = False
    sys.exit(0 if held else 1)
