"""What the clients share: the flows, each with its check at the server. A client file says only how its client is called."""

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from conformance.support.lab import NO_REASON, LabError, is_address, run

# The columns of the table, in the order in which flows run.
FLOWS = ("register", "http_01", "dns_01", "tls_alpn_01", "ip", "preferred_chain", "renew", "revoke_by_account", "revoke_by_key",
         "key_rollover", "deactivate")
SUPERSEDED, KEY_COMPROMISE, UNSPECIFIED = "Superseded", "Key Compromise", NO_REASON  # as openssl names them


PATH = f"{os.environ.get('PATH', '')}:/usr/sbin"  # where Debian puts servers, and some users do not look


@dataclass(frozen=True)
class Issued:
    """What a client has stored: the certificate, the file with its issuers (the same one may do), its key."""

    leaf: Path
    chain: Path
    key: Path


class Client:
    """One client against one lab. Subclasses give PROGRAM, LACKS and the methods that raise NotImplementedError here."""

    PROGRAM = ""
    LACKS = {}  # flow -> why the client cannot, one sentence
    IP_CHALLENGE = "http-01"

    def __init__(self, lab, home):
        self.lab = lab
        self.home = Path(home)
        self.name = f"{type(self).__module__.rsplit('.', 1)[-1].replace('_', '-')}.test"
        self.issued = None

    @classmethod
    def missing(cls):
        """Why the client cannot run on this machine; nothing when it can."""
        return None if shutil.which(cls.PROGRAM, path=PATH) else f"needs {cls.PROGRAM}"

    @classmethod
    def prepare(cls):
        """Installs or builds what the client needs, under build/."""

    @classmethod
    def version(cls):
        return package_version(cls.PROGRAM)

    def lack(self, flow):
        """Why the client does not do `flow`; nothing when it does."""
        if flow == "preferred_chain" and type(self).obtain_preferring is Client.obtain_preferring:
            return "no other chain is asked for with this client"
        return self.LACKS.get(flow)

    def create_account(self):
        raise NotImplementedError

    def obtain_preferring(self, name, root):
        """As obtain() by http-01, with the chain to the root of that common name; Issued."""
        raise NotImplementedError

    def obtain(self, names, challenge):
        """Has a certificate for `names` issued, each proven by `challenge`; Issued."""
        raise NotImplementedError

    def obtain_again(self, issued):
        """Renews `issued` as the client renews; Issued."""
        raise NotImplementedError

    def revoke(self, issued):
        """Revokes with the account's key; the reason that it gave."""
        raise NotImplementedError

    def revoke_with_key(self, issued):
        """Revokes with the certificate's own key; the reason that it gave."""
        raise NotImplementedError

    def change_key(self):
        raise NotImplementedError

    def deactivate_account(self):
        raise NotImplementedError

    def register(self):
        since = self.lab.mark()
        self.create_account()
        self.lab.event("account.created", since)

    def http_01(self):
        self.issued = self._issue([self.name], "http-01")

    def dns_01(self):
        # Both are proven by a record at one name: two records stand there side by side.
        self._issue([f"*.wild.{self.name}", f"wild.{self.name}"], "dns-01")

    def tls_alpn_01(self):
        self._issue([f"alpn.{self.name}"], "tls-alpn-01")

    def ip(self):
        self._issue(["127.0.0.1"], self.IP_CHALLENGE)

    def preferred_chain(self):
        name = f"chain.{self.name}"
        issued = self.obtain_preferring(name, self.lab.OTHER_ROOT)
        self.lab.verify(issued.leaf, issued.chain, name, root=self.lab.other_root)

    def renew(self):
        before = self.lab.serial(self._first().leaf)
        since = self.lab.mark()
        self.issued = self.obtain_again(self._first())
        serial = self.lab.verify(self.issued.leaf, self.issued.chain, self.name)
        if serial == before:
            raise LabError("the renewed certificate is the old one")
        self.lab.event("certificate.issued", since, serial=serial)

    def revoke_by_account(self):
        self._revoked(self._first(), self.revoke)

    def revoke_by_key(self):
        self._revoked(self._issue([f"bykey.{self.name}"], "http-01"), self.revoke_with_key)

    def key_rollover(self):
        since = self.lab.mark()
        self.change_key()
        self.lab.event("account.key_changed", since)
        self._issue([f"newkey.{self.name}"], "http-01")

    def deactivate(self):
        since = self.lab.mark()
        self.deactivate_account()
        self.lab.event("account.deactivated", since)

    def _first(self):
        if self.issued is None:
            raise LabError("there is no certificate: http-01 failed")
        return self.issued

    def _issue(self, names, challenge):
        """Obtains, and holds the client's files, the server's log and its challenges against what was asked."""
        since = self.lab.mark()
        issued = self.obtain(names, challenge)
        for name in names:
            serial = self.lab.verify(issued.leaf, issued.chain, name.replace("*", "any"))
            self.lab.event("challenge.valid", since, type=challenge, identifier=name.removeprefix("*."))
        self.lab.event("certificate.issued", since, serial=serial)
        return issued

    def _revoked(self, issued, revoke):
        since = self.lab.mark()
        serial = self.lab.serial(issued.leaf)
        kept = self.home / f"revoked-{serial}.pem"  # some clients move what they have revoked
        shutil.copyfile(issued.leaf, kept)
        reason = revoke(issued)
        self.lab.event("certificate.revoked", since, serial=serial)
        self.lab.wait_revoked(kept, reason)


class ProgramClient(Client):
    """A library, driven by a program of ours: `COMMAND flow`, with where and what in ACME_… variables.

    It leaves chain.pem and leaf.key in ACME_HOME, tokens in ACME_TOKENS, certificates for tls-alpn-01 in ACME_ALPN, and asks for
    TXT records at ACME_DNS_CONTROL.
    """

    COMMAND = ()

    def __init__(self, lab, home):
        super().__init__(lab, home)
        lab.serve_tokens()
        lab.serve_alpn()

    def program(self, flow, names=(), challenge=""):
        settings = {"ACME_DIRECTORY": self.lab.directory, "ACME_ROOT": self.lab.root, "ACME_HOME": self.home,
                    "ACME_NAMES": ",".join(names), "ACME_CHALLENGE": challenge, "ACME_TOKENS": self.lab.tokens,
                    "ACME_ALPN": self.lab.alpn_certificates, "ACME_DNS_CONTROL": self.lab.dns_control,
                    "SSL_CERT_FILE": self.lab.root}
        return run([*self.COMMAND, flow], env={key: str(value) for key, value in settings.items()}, timeout=120)

    def create_account(self):
        self.program("register")

    def obtain(self, names, challenge):
        self.program("issue", names, challenge)
        return Issued(self.home / "chain.pem", self.home / "chain.pem", self.home / "leaf.key")

    def obtain_again(self, issued):
        return self.obtain([self.name], "http-01")

    def revoke(self, issued):
        self.program("revoke-by-account")
        return SUPERSEDED

    def revoke_with_key(self, issued):
        self.program("revoke-by-key")
        return KEY_COMPROMISE

    def change_key(self):
        self.program("key-rollover")

    def deactivate_account(self):
        self.program("deactivate")


def too_old(tool, least, printed):
    """Why `tool`, which printed its version, is too old to build a client; nothing when it is not."""
    found = re.search(r"\d+(\.\d+)+", printed)
    version = tuple(int(part) for part in found[0].split(".")) if found else ()
    wanted = ".".join(str(part) for part in least)
    return None if version >= least else f"needs {tool} {wanted} or newer, found {found[0] if found else printed.strip()}"


def package_version(package):
    """The upstream version of an installed Debian package."""
    text = run(["dpkg-query", "-W", "-f", "${Version}", package])
    return text.split(":")[-1].rsplit("-", 1)[0]


__all__ = ["FLOWS", "KEY_COMPROMISE", "PATH", "SUPERSEDED", "UNSPECIFIED", "Client", "Issued", "LabError", "ProgramClient", "is_address",
           "package_version", "run", "too_old"]
