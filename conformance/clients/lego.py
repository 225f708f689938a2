"""lego, Debian's."""

from pathlib import Path

from conformance.clients.common import Lacks
from conformance.support.lab import run

PROGRAM = "lego"


class Client:
    def __init__(self, lab, home):
        self.lab = lab
        self.home = Path(home)
        self.name = "lego.test"
        self.certificates = self.home / "certificates"

    @staticmethod
    def version():
        text = run(["dpkg-query", "-W", "-f", "${Version}", PROGRAM])
        return text.split("-")[0]

    def _lego(self, *arguments):
        return run([PROGRAM, "--server", self.lab.directory, "--email", "ops@lego.test", "--accept-tos", "--path",
                    self.home, "--domains", self.name, "--http", "--http.port", f"127.0.0.1:{self.lab.http01_port}",
                    *arguments], env={"LEGO_CA_CERTIFICATES": str(self.lab.root)}, timeout=120)

    def _verify(self):
        return self.lab.verify(self.certificates / f"{self.name}.crt", self.certificates / f"{self.name}.issuer.crt",
                               self.name)

    def register(self):
        # lego registers on its way to the first certificate; that certificate is checked by issue().
        since = self.lab.mark()
        self._lego("run")
        self.lab.event("account.created", since)

    def issue(self):
        since = self.lab.mark()
        self._lego("run")
        self.lab.event("certificate.issued", since, serial=self._verify())

    def renew(self):
        before = self._verify()
        self._lego("renew", "--days", "100000", "--no-random-sleep")
        assert self._verify() != before, "the renewed certificate is the old one"

    def revoke_by_account(self):
        leaf = self.certificates / f"{self.name}.crt"
        since = self.lab.mark()
        self._lego("revoke", "--keep")
        self.lab.event("certificate.revoked", since, serial=self.lab.serial(leaf))
        self.lab.wait_revoked(leaf)

    def revoke_by_key(self):
        raise Lacks("lego revokes by account only")

    def key_rollover(self):
        raise Lacks("lego's command line has no key rollover")

    def deactivate(self):
        raise Lacks("lego's command line has no deactivation")
