#!/usr/bin/python3
"""Gatehouse before CAs that others wrote: one table on standard output. The exit status is 1 when a case fails.

Each case is a method of EstCases. The CA (est/main.go) does what the first DNS name of a request says, and its own books say what it has
issued. GATEHOUSE=path tries another binary than the release.
"""

import json
import os
import re
import subprocess
import sys
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from conformance.support.lab import Lab, LabError, run  # noqa: E402

SOURCE = Path(__file__).resolve().parent / "est"
BUILT = ROOT / "build" / "backends"
LEAST_GO = (1, 22)
PASSWORD, WRONG = "correct horse", "battery staple"
WAIT = 120  # seconds: a request that was not sent is sent again within it


def go_version():
    try:
        text = run(["go", "version"], env={"GOTOOLCHAIN": "local"})
    except (FileNotFoundError, LabError):
        return None
    found = re.search(r"go(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else None


def build_server():
    """Builds with the modules that go.sum pins and the toolchain that is there; caches stay in build/."""
    BUILT.mkdir(parents=True, exist_ok=True)
    env = {"GOCACHE": BUILT / "cache", "GOMODCACHE": BUILT / "modules", "GOFLAGS": "-modcacherw -buildvcs=false -trimpath",
           "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
    run(["go", "build", "-o", BUILT / "est-server", "."], cwd=SOURCE, env={key: str(value) for key, value in env.items()}, timeout=900)
    return BUILT / "est-server"


class EstLab(Lab):
    """A lab whose CA is an EST server, with TLS certificates under the same root."""

    def __init__(self, binary, server):
        super().__init__(binary)
        self.server, self.ca, self.state = server, self.home / "est", self.home / "est" / "state"
        self.est_port = self.ports.take()
        self.password = self.home / "password"

    def __enter__(self):
        self.state.mkdir(parents=True)
        self._make_ca()
        self.spawn([self.server, "-ca", self.ca, "-listen", f"127.0.0.1:{self.est_port}", "-state", self.state], self.home / "est.log",
                   env={**os.environ, "EST_PASSWORD": PASSWORD})
        self.set_password(PASSWORD)
        self.use({"user": "gateway", "password": f"file:{self.password}"}, {})
        return super().__enter__()

    def use(self, login, tls):
        """How the backend shows itself from the next start on."""
        backend = {"type": "est", "url": f"https://localhost:{self.est_port}", **login,
                   "tls": {"ca": [str(self.ca / "root.pem")], **tls}, "anchors": [str(self.ca / "root.pem")]}
        self.settings["backends.corp"] = json.dumps(backend)
        self.settings["profiles.default.backend"] = "corp"
        self.root = self.ca / "root.pem"

    def set_password(self, text):
        self.password.write_text(text)
        self.password.chmod(0o600)

    def _make_ca(self):
        def openssl(*words):
            run(["openssl", *words], cwd=self.ca)

        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=EST Root",
                "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-keyout", "root.key",
                "-out", "root.pem")
        leaves = {"issuer": ("basicConstraints=critical,CA:TRUE,pathlen:0", "keyUsage=critical,keyCertSign,cRLSign"),
                  "server": ("subjectAltName=DNS:localhost", "extendedKeyUsage=serverAuth"),
                  "ra": ("extendedKeyUsage=clientAuth", "keyUsage=critical,digitalSignature")}
        for name, extensions in leaves.items():
            (self.ca / f"{name}.cnf").write_text("\n".join((*extensions, "subjectKeyIdentifier=hash", "authorityKeyIdentifier=keyid")))
            openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN=EST {name}", "-keyout",
                    f"{name}.key", "-out", f"{name}.csr")
            openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial", "-days", "20",
                    "-extfile", f"{name}.cnf", "-out", f"{name}.pem")
        issuer = self.ca / "issuer.pem"
        issuer.write_text(issuer.read_text() + (self.ca / "root.pem").read_text())

    def issued(self):
        """The serials of all certificates by the CA's own books."""
        books = self.state / "issued"
        return books.read_text().split() if books.exists() else []

    def tell_ca(self, name):
        (self.state / name).touch()

    def wait_pending(self, name):
        self.until((self.state / f"{name}.pending").exists, WAIT, f"{name} to wait at the CA")


class EstCases:
    """In their order; each leaves the server issuing again."""

    CASES = ("check", "certbot_ec", "certbot_rsa", "wrong_password", "client_certificate", "approved", "denied", "refused", "busy",
             "restart_while_pending", "dropped_name", "nothing_issued_twice")

    def __init__(self, lab):
        self.lab = lab

    # --- how it is asked

    def gatehouse(self, *words):
        """A command; its exit code and what it printed."""
        command = [str(self.lab.binary), *words, "--config", str(self.lab.home / "gatehouse.json")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
        return done.returncode, done.stdout + done.stderr

    def certbot(self, *names, kind="ecdsa"):
        """certbot at work, in a process of its own."""
        folder = self.lab.home / f"certbot-{names[0]}"
        command = ["certbot", "certonly", "--non-interactive", "--agree-tos", "--register-unsafely-without-email", "--server",
                   self.lab.directory, "--standalone", "--http-01-address", "127.0.0.1", "--http-01-port", str(self.lab.http01_port),
                   "--key-type", kind, "--config-dir", folder, "--work-dir", folder / "work", "--logs-dir", folder / "logs",
                   "--cert-name", "it", *(word for name in names for word in ("-d", name))]
        return self.lab.spawn([str(word) for word in command], self.lab.home / f"{names[0]}.log",
                              env={**os.environ, "REQUESTS_CA_BUNDLE": str(self.lab.root)})

    def must_end(self, process, name, succeeds):
        code = process.wait(timeout=WAIT)
        if (code == 0) != succeeds:
            raise LabError(f"certbot ended with {code}:\n{(self.lab.home / f'{name}.log').read_text()}")
        if succeeds:
            live = self.lab.home / f"certbot-{name}" / "live" / "it"
            serial = self.lab.verify(live / "cert.pem", live / "chain.pem", name)
            if serial.lstrip("0") not in [one.lstrip("0") for one in self.lab.issued()]:
                raise LabError(f"serial {serial} is not in the CA's books")

    def shown(self, words, *command):
        _, text = self.gatehouse(*command)
        if words not in text:
            raise LabError(f"`gatehouse {' '.join(command)}` does not say \"{words}\":\n{text}")

    # --- cases

    def check(self):
        self.shown("EST issuer", "backend", "check", "corp")
        code, text = self.gatehouse("backend", "check", "corp", "--enrol", "trial.est.test")
        if code != 0:
            raise LabError(text)

    def certbot_ec(self):
        self.must_end(self.certbot("ec.est.test", "www.ec.est.test"), "ec.est.test", True)

    def certbot_rsa(self):
        self.must_end(self.certbot("rsa.est.test", kind="rsa"), "rsa.est.test", True)

    def wrong_password(self):
        since, before = self.lab.mark(), len(self.lab.issued())
        self.lab.set_password(WRONG)
        process = self.certbot("wrong.est.test")
        self.lab.event("est.answered", since, status="401")
        if len(self.lab.issued()) != before:
            raise LabError("the CA issued for a wrong password")
        self.lab.set_password(PASSWORD)
        self.must_end(process, "wrong.est.test", True)

    def client_certificate(self):
        self.lab.use({}, {"certificate": str(self.lab.ca / "ra.pem"), "key": str(self.lab.ca / "ra.key")})
        self.lab.restart_server()
        self.must_end(self.certbot("certificate.est.test"), "certificate.est.test", True)

    def approved(self):
        process = self.certbot("manual-a.est.test")
        self.lab.wait_pending("manual-a.est.test")
        self.lab.tell_ca("manual-a.est.test.approved")
        self.must_end(process, "manual-a.est.test", True)

    def denied(self):
        since = self.lab.mark()
        process = self.certbot("manual-d.est.test")
        self.lab.wait_pending("manual-d.est.test")
        self.lab.tell_ca("manual-d.est.test.denied")
        self.must_end(process, "manual-d.est.test", False)
        answered = self.lab.event("est.answered", since, status="403")
        self.shown("denied by the CA's operator", "order", "show", answered["order"])

    def refused(self):
        since = self.lab.mark()
        self.must_end(self.certbot("refuse.est.test"), "refuse.est.test", False)
        answered = self.lab.event("est.answered", since, status="403")
        self.shown("policy 17: refuse.est.test is not ours", "order", "show", answered["order"])

    def busy(self):
        since = self.lab.mark()
        self.lab.tell_ca("busy")
        process = self.certbot("busy.est.test")
        self.lab.event("est.answered", since, status="503")
        (self.lab.state / "busy").unlink()
        self.must_end(process, "busy.est.test", True)

    def restart_while_pending(self):
        before = len(self.lab.issued())
        name = "manual-r.est.test"
        trial = self.lab.spawn([self.lab.binary, "backend", "check", "corp", "--enrol", name, "--config",
                                self.lab.home / "gatehouse.json"], self.lab.home / "trial.log")
        self.lab.wait_pending(name)
        self.lab.end(trial)
        self.lab.restart_server()
        since = self.lab.mark()
        if len(self.lab.issued()) != before:
            raise LabError("the CA issued before it was asked to")
        self.lab.tell_ca(f"{name}.approved")
        self.lab.until(lambda: len(self.lab.issued()) > before, WAIT, "the CA to issue after the restart")
        self.lab.event("certificate.issued", since)
        if len(self.lab.issued()) != before + 1:
            raise LabError("the CA issued more than once")

    def dropped_name(self):
        self.must_end(self.certbot("drop.est.test", "kept.est.test"), "drop.est.test", False)
        self.shown("stopped", "backend", "list")
        code, text = self.gatehouse("backend", "check", "corp", "--enrol", "fine.est.test")
        if code != 0:
            raise LabError(text)
        self.must_end(self.certbot("again.est.test"), "again.est.test", True)

    def nothing_issued_twice(self):
        _, text = self.gatehouse("certificate", "list", "--json")
        recorded = len(re.findall(r'"serial"', text))
        # The one with a name too few is the CA's alone.
        if recorded + 1 != len(self.lab.issued()):
            raise LabError(f"the CA has issued {len(self.lab.issued())}, and {recorded} are recorded beside the wrong one")


def run_case(cases, name):
    started, since = time.monotonic(), cases.lab.mark()
    try:
        getattr(cases, name)()
    except Exception as error:  # whatever goes wrong is a cell of the table
        told = str(error) if isinstance(error, LabError) else traceback.format_exc(limit=-3)
        return "FAILED", time.monotonic() - started, f"{told}\n--- what the server logged meanwhile\n{cases.lab.log_since(since)}"
    return "ok", time.monotonic() - started, ""


def main():
    version = go_version()
    if version is None or version < LEAST_GO:
        print(f"est: not run: it needs Go {LEAST_GO[0]}.{LEAST_GO[1]} or newer, and there is {'none' if version is None else version}")
        return 1
    binary = Path(os.environ.get("GATEHOUSE", ROOT / "build" / "release" / "gatehouse")).resolve()
    failures = []
    with EstLab(binary, build_server()) as lab:
        cases = EstCases(lab)
        for name in EstCases.CASES:
            cell, seconds, detail = run_case(cases, name)
            print(f"{'est':6}{name.replace('_', ' '):28}{cell:8}{seconds:6.1f} s", flush=True)
            if detail:
                failures.append(f"--- est, {name}\n{detail}")
    print("\n".join(failures), end="\n" if failures else "")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
