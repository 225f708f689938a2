"""certbot, Debian's."""

from pathlib import Path

from conformance.clients.common import Lacks
from conformance.support.lab import run

PROGRAM = "certbot"


class Client:
    def __init__(self, lab, home):
        self.lab = lab
        self.home = Path(home)
        self.name = "certbot.test"

    @staticmethod
    def version():
        return run([PROGRAM, "--version"]).split()[-1]

    def _certbot(self, *arguments):
        return run([PROGRAM, *arguments, "--non-interactive", "--server", self.lab.directory, "--config-dir",
                    self.home / "config", "--work-dir", self.home / "work", "--logs-dir", self.home / "logs"],
                   env={"REQUESTS_CA_BUNDLE": str(self.lab.root)}, timeout=120)

    def _issue(self, name, *more):
        self._certbot("certonly", "--standalone", "--http-01-address", "127.0.0.1", "--http-01-port",
                      self.lab.http01_port, "--agree-tos", "--email", "ops@certbot.test", "--no-eff-email", "-d", name, *more)
        live = self.home / "config" / "live" / name
        serial = self.lab.verify(live / "cert.pem", live / "chain.pem", name)
        return live, serial

    def register(self):
        since = self.lab.mark()
        self._certbot("register", "--agree-tos", "--email", "ops@certbot.test", "--no-eff-email")
        self.lab.event("account.created", since)

    def issue(self):
        since = self.lab.mark()
        _, serial = self._issue(self.name)
        self.lab.event("certificate.issued", since, serial=serial)

    def renew(self):
        live = self.home / "config" / "live" / self.name
        before = self.lab.serial(live / "cert.pem")
        self._certbot("renew", "--force-renewal", "--no-random-sleep-on-renew")
        after = self.lab.verify(live / "cert.pem", live / "chain.pem", self.name)
        assert after != before, "the renewed certificate is the old one"

    def revoke_by_account(self):
        leaf = self.home / "config" / "live" / self.name / "cert.pem"
        since = self.lab.mark()
        self._certbot("revoke", "--cert-path", leaf, "--reason", "superseded", "--no-delete-after-revoke")
        self.lab.event("certificate.revoked", since, serial=self.lab.serial(leaf))
        self.lab.wait_revoked(leaf)

    def revoke_by_key(self):
        live, serial = self._issue("bykey." + self.name)
        since = self.lab.mark()
        self._certbot("revoke", "--cert-path", live / "cert.pem", "--key-path", live / "privkey.pem", "--reason",
                      "keycompromise", "--no-delete-after-revoke")
        self.lab.event("certificate.revoked", since, serial=serial)
        self.lab.wait_revoked(live / "cert.pem")

    def key_rollover(self):
        raise Lacks("certbot has no key rollover")

    def deactivate(self):
        since = self.lab.mark()
        self._certbot("unregister")
        self.lab.event("account.deactivated", since)
