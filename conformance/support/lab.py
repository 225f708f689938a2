"""A lab: a fresh CA, a running server and a DNS responder, all on loopback, for as long as a `with` lasts.

What a client claims is checked here against the server: its event log, its CRL, its root.
"""

import ipaddress
import json
import os
import select
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

from conformance.support.ports import PortBlock
from conformance.support.responders import serve_alpn, serve_tokens

ROOT = Path(__file__).resolve().parents[2]
RESPONDER = ROOT / "conformance" / "support" / "dns_responder.py"
HOOK = ROOT / "conformance" / "support" / "hook.py"
START_SECONDS = 30
EVENT_SECONDS = 15
LAST_LINES = 40
LEFT_OUT = ("time", "event", "level", "listener", "client", "agent", "request", "milliseconds")


NO_REASON = "none given"


class LabError(Exception):
    """The lab itself failed, or the server does not show what a client claims."""


_running = set()  # what run() waits for
_stopping = threading.Event()


def run(command, *, env=None, timeout=60, cwd=None):
    """Runs `command` and returns what it printed; LabError with its output when it fails or takes too long."""
    if _stopping.is_set():
        raise LabError("the run was interrupted")
    words = " ".join(str(part) for part in command)
    # A session of its own: what the command has started ends with it.
    process = subprocess.Popen([str(part) for part in command], env={**os.environ, **(env or {})}, cwd=cwd,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               errors="replace", start_new_session=True)
    _running.add(process)
    try:
        output, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        raise LabError(f"no end within {timeout} s of: {words}\n{last_lines(output)}") from None
    finally:
        _running.discard(process)
    if process.returncode != 0:
        raise LabError(f"exit status {process.returncode} of: {words}\n{last_lines(output)}")
    return output


def last_lines(text):
    """The end of what a client printed, as much as one reads."""
    return "\n".join(line[:400] for line in text.strip().splitlines()[-LAST_LINES:])


def is_address(name):
    try:
        ipaddress.ip_address(name)
        return True
    except ValueError:
        return False


class Lab:
    """`with Lab(binary) as lab:` gives directory, root, http01_port, tls_alpn_port and the checks below."""

    OTHER_ROOT = "Other Root"  # which has certified the same issuer: its chain is an alternate one

    _open = set()  # the labs of this process

    def __init__(self, binary):
        self.binary = Path(binary)
        self.home = Path(tempfile.mkdtemp(prefix="gatehouse-lab-"))
        self.ports = PortBlock()
        self.acme_port, self.public_port, self.operations_port = (self.ports.take() for _ in range(3))
        self.http01_port, self.tls_alpn_port = self.ports.take(), self.ports.take()
        self.base_url = f"https://localhost:{self.acme_port}"
        self.directory = f"{self.base_url}/directory"
        self.public_url = f"http://127.0.0.1:{self.public_port}"
        self.root = self.home / "ca" / "root.pem"
        self.other_root = self.home / "other" / "root.pem"
        self.issuer = self.home / "ca" / "issuer.pem"
        self.log = self.home / "server.log"
        self.tokens = self.home / "tokens"
        self.alpn_certificates = self.home / "alpn"
        self.settings = {}  # of the server, beside those of every lab
        self._processes = []
        self._responders = []
        self._folders = [self.home]

    def __enter__(self):
        Lab._open.add(self)
        try:
            run([self.binary, "init", "--directory", self.home, "--base-url", self.base_url, "--public-url",
                 self.public_url, "--name", "Gatehouse Lab"])
            self._cross_sign()
            self.tokens.mkdir()
            self.alpn_certificates.mkdir()
            self.dns, self.dns_control = self._start_responder()
            (self.home / "control").write_text(self.dns_control)
            self._start_server()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *_):
        Lab._open.discard(self)
        for responder in self._responders:
            responder.close()
        for process in reversed(self._processes):
            self.end(process)
        self.ports.close()
        for folder in self._folders:
            shutil.rmtree(folder, ignore_errors=True)

    @classmethod
    def end_all(cls):
        """Ends every process of every lab and what run() waits for, so that all who wait for one of them stop waiting."""
        _stopping.set()
        for process in list(_running):
            os.killpg(process.pid, signal.SIGTERM)
        for lab in list(cls._open):
            for process in reversed(lab._processes):
                lab.end(process)

    def open_folder(self):
        """A folder that every user can walk to, for as long as the lab lasts."""
        folder = Path(tempfile.mkdtemp(prefix="gatehouse-lab-"))
        folder.chmod(0o755)
        self._folders.append(folder)
        return folder

    def spawn(self, command, log, **more):
        """Starts a process that ends with the lab, at the latest."""
        with log.open("ab") as output:
            process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=output,
                                       stderr=output, **more)
        self._processes.append(process)
        return process

    @staticmethod
    def end(process):
        """Ends a process that was started here, politely at first."""
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _start_responder(self):
        """Returns where DNS is answered and where the answers are set."""
        process = subprocess.Popen(["/usr/bin/python3", str(RESPONDER), "--port", str(self.ports.take()), "--control",
                                    "--default-address", "127.0.0.1"], stdout=subprocess.PIPE, bufsize=0)
        self._processes.append(process)
        addresses = []
        for prefix in ("listening on ", "control on "):
            ready, _, _ = select.select([process.stdout], [], [], START_SECONDS)
            line = process.stdout.readline().decode().strip() if ready else ""
            if not line.startswith(prefix):
                raise LabError(f"the DNS responder did not start: {line!r}")
            addresses.append(line.removeprefix(prefix))
        return addresses

    def serve_tokens(self):
        """Answers http-01 from now on with the files in `tokens`."""
        self._responders.append(serve_tokens(self.tokens, self.http01_port))

    def serve_alpn(self):
        """Answers tls-alpn-01 from now on with the certificates in `alpn_certificates`."""
        self._responders.append(serve_alpn(self.alpn_certificates, self.tls_alpn_port))

    def hook(self, folder, dialect, challenge, home=None):
        """A program in `folder` that a client may call to have `challenge` answered here; see hook.py."""
        program = folder / f"hook-{challenge}"
        copy = shutil.copy(HOOK, folder)  # the client may run as a user that cannot walk to a checkout
        words = ["/usr/bin/python3", copy, dialect, challenge, home or self.home]
        program.write_text(f"#!/bin/sh\nexec {shlex.join(str(word) for word in words)} \"$@\"\n")
        program.chmod(0o755)
        return program

    def _cross_sign(self):
        """As docs/operations.md adds an alternate chain."""
        folder = self.other_root.parent
        folder.mkdir()
        run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj",
             f"/O=Other/CN={self.OTHER_ROOT}", "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-keyout", "root.key", "-out",
             self.other_root], cwd=folder)
        run([self.binary, "init", "--csr", "--directory", self.home])
        run(["openssl", "x509", "-req", "-in", self.home / "ca" / "issuer.csr", "-CA", self.other_root, "-CAkey", "root.key",
             "-CAcreateserial", "-days", "20", "-copy_extensions", "copy", "-out", "crossed.pem"], cwd=folder)
        run([self.binary, "init", "--import", folder / "crossed.pem", "--root", self.other_root, "--alternate", "--directory",
             self.home])

    def _start_server(self):
        def tcp(port):
            return json.dumps([{"address": "127.0.0.1", "port": port}])

        settings = {
            "listeners.acme": tcp(self.acme_port),
            "listeners.public": tcp(self.public_port),
            "listeners.operations": tcp(self.operations_port),
            "resolver.servers": json.dumps([self.dns]),
            "resolver.dnssec": "off",
            "validators.http01.port": self.http01_port,
            "validators.tls_alpn01.port": self.tls_alpn_port,
            "profiles.default.challenge_types": '["http-01", "dns-01", "tls-alpn-01"]',
            "profiles.default.allowed_addresses": '["127.0.0.0/8"]',
            "log.format": "json",
        }
        command = [self.binary, "serve", "--config", self.home / "gatehouse.json"]
        for path, value in {**settings, **self.settings}.items():
            command += ["--set", f"{path}={value}"]
        self._server = self.spawn(command, self.log)
        self.until(lambda: self._ready(self._server), START_SECONDS, "the server to become ready")

    def restart_server(self):
        """Ends the server and starts it again, with `settings` as they are now."""
        self.end(self._server)
        self._start_server()

    def _ready(self, process):
        if process.poll() is not None:
            raise LabError(f"the server ended with {process.returncode}:\n{self.log.read_text()}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.operations_port}/readyz", timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    @staticmethod
    def until(condition, seconds, what):
        """The first true value of `condition`, asked until then; LabError after `seconds`."""
        end = time.monotonic() + seconds
        while True:
            result = condition()
            if result:
                return result
            if _stopping.is_set():
                raise LabError("the run was interrupted")
            if time.monotonic() > end:
                raise LabError(f"waited {seconds} s in vain for {what}")
            time.sleep(0.05)

    def mark(self):
        """A place in the event log, for event()."""
        return self.log.stat().st_size

    def log_since(self, since):
        """What the server logged behind `since`, a line per event, for people."""
        with self.log.open("rb") as log:
            log.seek(since)
            lines = [self._readable(line.decode(errors="replace").strip()) for line in log]
        return "\n".join(lines[-LAST_LINES:])

    @staticmethod
    def _readable(line):
        try:
            event = json.loads(line)
        except ValueError:
            return line
        rest = " ".join(f"{key}={value}" for key, value in event.items() if key not in LEFT_OUT and value != "")
        return f"{event.get('time', '')} {event.get('event', '')} {rest}"

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

        return self.until(find, EVENT_SECONDS, f"the event {name} {fields or ''}")

    def verify(self, leaf, chain, name, root=None):
        """Fails unless openssl takes `leaf` for `name`, a DNS name or an address, with `chain` under our root, or the one given.
        Returns its serial."""
        kind = "-verify_ip" if is_address(name) else "-verify_hostname"
        run(["openssl", "verify", "-CAfile", root or self.root, "-untrusted", chain, kind, name, leaf])
        return self.serial(leaf)

    @staticmethod
    def serial(leaf):
        return run(["openssl", "x509", "-in", leaf, "-noout", "-serial"]).strip().removeprefix("serial=").lower()

    def revoked(self, leaf):
        """What is on the CRL that `leaf` points at, after openssl has verified it: the reason's name by serial."""
        text = run(["openssl", "x509", "-in", leaf, "-noout", "-ext", "crlDistributionPoints"])
        url = next(word.removeprefix("URI:") for word in text.split() if word.startswith("URI:"))
        crl = self.home / "fetched.crl"
        with urllib.request.urlopen(url, timeout=10) as answer:
            crl.write_bytes(answer.read())
        checked = run(["openssl", "crl", "-inform", "DER", "-in", crl, "-CAfile", self.issuer, "-noout", "-text"])
        if "verify OK" not in checked:
            raise LabError(f"the CRL at {url} does not verify")
        reasons = {}
        for entry in checked.split("Serial Number:")[1:]:
            lines = [line.strip() for line in entry.splitlines()]
            coded = [following for line, following in zip(lines, lines[1:]) if line.startswith("X509v3 CRL Reason Code")]
            reasons[lines[0].lower()] = coded[0] if coded else NO_REASON
        return reasons

    def wait_revoked(self, leaf, reason):
        """Fails unless `leaf` appears, for `reason` in openssl's words, on the CRL that it points at."""
        serial = self.serial(leaf)
        found = self.until(lambda: self.revoked(leaf).get(serial), EVENT_SECONDS, f"serial {serial} on the CRL")
        if found != reason:
            raise LabError(f"serial {serial} is on the CRL for the reason {found!r}, not {reason!r}")
