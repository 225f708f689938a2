"""A lab: a fresh CA, a running server and a DNS responder, all on loopback, for as long as a `with` lasts.

What a client claims is checked here against the server: its event log, its CRL, its root.
"""

import json
import os
import select
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RESPONDER = ROOT / "conformance" / "support" / "dns_responder.py"
START_SECONDS = 30
EVENT_SECONDS = 15


class LabError(Exception):
    """The lab itself failed, or the server does not show what a client claims."""


def free_port():
    """A TCP port that was free a moment ago, on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run(command, *, env=None, timeout=60, cwd=None):
    """Runs `command` and returns what it printed; LabError with its output when it fails."""
    done = subprocess.run([str(part) for part in command], env={**os.environ, **(env or {})}, cwd=cwd,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=timeout, check=False)
    if done.returncode != 0:
        words = " ".join(str(part) for part in command)
        raise LabError(f"exit status {done.returncode} of: {words}\n{done.stdout[-4000:]}")
    return done.stdout


class Lab:
    """`with Lab(binary) as lab:` gives directory, root, http01_port and the checks below."""

    def __init__(self, binary):
        self.binary = Path(binary)
        self.home = Path(tempfile.mkdtemp(prefix="gatehouse-lab-"))
        self.acme_port, self.public_port, self.operations_port, self.http01_port = (free_port() for _ in range(4))
        self.base_url = f"https://localhost:{self.acme_port}"
        self.directory = f"{self.base_url}/directory"
        self.public_url = f"http://127.0.0.1:{self.public_port}"
        self.root = self.home / "ca" / "root.pem"
        self.issuer = self.home / "ca" / "issuer.pem"
        self.log = self.home / "server.log"
        self._processes = []

    def __enter__(self):
        try:
            run([self.binary, "init", "--directory", self.home, "--base-url", self.base_url, "--public-url",
                 self.public_url, "--name", "Gatehouse Lab"])
            self.dns = self._start_responder()
            self._start_server()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *_):
        for process in reversed(self._processes):
            process.terminate()
        for process in self._processes:
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.home, ignore_errors=True)

    def _start_responder(self):
        process = subprocess.Popen(["/usr/bin/python3", str(RESPONDER), "--port", "0", "--default-address", "127.0.0.1"],
                                   stdout=subprocess.PIPE, text=True)
        self._processes.append(process)
        ready, _, _ = select.select([process.stdout], [], [], START_SECONDS)
        line = process.stdout.readline().strip() if ready else ""
        if not line.startswith("listening on "):
            raise LabError(f"the DNS responder did not start: {line!r}")
        return line.removeprefix("listening on ")

    def _start_server(self):
        def tcp(port):
            return json.dumps([{"address": "127.0.0.1", "port": port}])

        settings = {
            "listeners.acme": tcp(self.acme_port),
            "listeners.public": tcp(self.public_port),
            "listeners.operations": tcp(self.operations_port),
            "resolver.servers": json.dumps([self.dns]),
            "validators.http01.port": self.http01_port,
            "profiles.default.allowed_addresses": '["127.0.0.0/8"]',
            "log.format": "json",
        }
        command = [self.binary, "serve", "--config", self.home / "gatehouse.json"]
        for path, value in settings.items():
            command += ["--set", f"{path}={value}"]
        with self.log.open("wb") as log:
            process = subprocess.Popen([str(part) for part in command], stdout=log, stderr=log,
                                       stdin=subprocess.DEVNULL)
        self._processes.append(process)
        self._until(lambda: self._ready(process), START_SECONDS, "the server to become ready")

    def _ready(self, process):
        if process.poll() is not None:
            raise LabError(f"the server ended with {process.returncode}:\n{self.log.read_text()}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.operations_port}/readyz", timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def _until(self, condition, seconds, what):
        end = time.monotonic() + seconds
        while True:
            result = condition()
            if result:
                return result
            if time.monotonic() > end:
                raise LabError(f"waited {seconds} s in vain for {what}\n{self.log.read_text()[-3000:]}")
            time.sleep(0.05)

    def mark(self):
        """A place in the event log, for event()."""
        return self.log.stat().st_size

    def event(self, name, since, **fields):
        """The first event `name` behind `since` with these fields; waits for it a little, LabError without it."""

        def find():
            with self.log.open("rb") as log:
                log.seek(since)
                for line in log:
                    try:
                        event = json.loads(line)
                    except ValueError:
                        continue
                    if event.get("event") == name and all(event.get(k) == v for k, v in fields.items()):
                        return event
            return None

        return self._until(find, EVENT_SECONDS, f"the event {name} {fields or ''}")

    def verify(self, leaf, chain, name):
        """Fails unless openssl takes `leaf` for `name` with `chain` under our root. Returns its serial, hex."""
        run(["openssl", "verify", "-CAfile", self.root, "-untrusted", chain, "-verify_hostname", name, leaf])
        return self.serial(leaf)

    @staticmethod
    def serial(leaf):
        return run(["openssl", "x509", "-in", leaf, "-noout", "-serial"]).strip().removeprefix("serial=").lower()

    def revoked_serials(self, leaf):
        """The serials on the CRL that `leaf` points at, after openssl has verified it."""
        text = run(["openssl", "x509", "-in", leaf, "-noout", "-ext", "crlDistributionPoints"])
        url = next(word.removeprefix("URI:") for word in text.split() if word.startswith("URI:"))
        crl = self.home / "fetched.crl"
        with urllib.request.urlopen(url, timeout=10) as answer:
            crl.write_bytes(answer.read())
        checked = run(["openssl", "crl", "-inform", "DER", "-in", crl, "-CAfile", self.issuer, "-noout", "-text"])
        if "verify OK" not in checked:
            raise LabError(f"the CRL at {url} does not verify")
        return {line.split(":", 1)[1].strip().lower() for line in checked.splitlines() if "Serial Number:" in line}

    def wait_revoked(self, leaf):
        """Fails unless `leaf` appears on the CRL that it points at."""
        serial = self.serial(leaf)
        self._until(lambda: serial in self.revoked_serials(leaf), EVENT_SECONDS, f"serial {serial} on the CRL")
