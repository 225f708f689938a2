"""acme-client, from npm, driven by node/flows.mjs."""

import json
import shutil
from pathlib import Path

from conformance.support.lab import ROOT, run

PROGRAM = "node"
SOURCE = Path(__file__).resolve().parent / "node"
INSTALLED = ROOT / "build" / "clients" / "node"


class Client:
    def __init__(self, lab, home):
        self.lab = lab
        self.home = Path(home)
        self.name = "node.test"

    @staticmethod
    def prepare():
        """Installs what package-lock.json pins, under build/."""
        INSTALLED.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json", "flows.mjs"):
            shutil.copy(SOURCE / name, INSTALLED / name)
        run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=INSTALLED, timeout=300)

    @staticmethod
    def version():
        package = INSTALLED / "node_modules" / "acme-client" / "package.json"
        return json.loads(package.read_text())["version"]

    def _flow(self, flow):
        return run(["node", INSTALLED / "flows.mjs", flow, self.lab.directory, self.home, self.name,
                    self.lab.http01_port], env={"NODE_EXTRA_CA_CERTS": str(self.lab.root)}, timeout=120)

    def _verify(self):
        return self.lab.verify(self.home / "leaf.pem", self.home / "chain.pem", self.name)

    def register(self):
        since = self.lab.mark()
        self._flow("register")
        self.lab.event("account.created", since)

    def issue(self):
        since = self.lab.mark()
        self._flow("issue")
        self.lab.event("certificate.issued", since, serial=self._verify())

    def renew(self):
        before = self._verify()
        self._flow("issue")
        assert self._verify() != before, "the renewed certificate is the old one"

    def revoke_by_account(self):
        since = self.lab.mark()
        self._flow("revoke-by-account")
        self.lab.event("certificate.revoked", since, serial=self.lab.serial(self.home / "leaf.pem"))
        self.lab.wait_revoked(self.home / "leaf.pem")

    def revoke_by_key(self):
        self._flow("issue")
        since = self.lab.mark()
        self._flow("revoke-by-key")
        self.lab.event("certificate.revoked", since, serial=self._verify())
        self.lab.wait_revoked(self.home / "leaf.pem")

    def key_rollover(self):
        since = self.lab.mark()
        self._flow("key-rollover")
        self.lab.event("account.key_changed", since)
        self._flow("issue")  # the new key works
        self._verify()

    def deactivate(self):
        since = self.lab.mark()
        self._flow("deactivate")
        self.lab.event("account.deactivated", since)
