"""uacme and its tls-alpn-01 responder ualpn, Debian's."""

from pathlib import Path

from conformance.clients import common
from conformance.clients.common import KEY_COMPROMISE, SUPERSEDED, Issued, run
from conformance.support.lab import ROOT

SOURCE = Path(__file__).with_name("uacme_trust.c")
TRUST = ROOT / "build" / "clients" / "uacme_trust.so"


class Client(common.Client):
    PROGRAM = "uacme"

    def __init__(self, lab, home):
        super().__init__(lab, home)
        lab.serve_tokens()
        self.ualpn = None

    @classmethod
    def prepare(cls):
        TRUST.parent.mkdir(parents=True, exist_ok=True)
        run(["cc", "-shared", "-fPIC", "-o", TRUST, SOURCE, "-ldl"])

    def _uacme(self, *arguments):
        return run([self.PROGRAM, "--acme-url", self.lab.directory, "--confdir", self.home / "conf", "--type", "EC", "--yes",
                    "--verbose", *arguments], env={"LD_PRELOAD": str(TRUST), "CONFORMANCE_ROOT": str(self.lab.root)},
                   timeout=120)

    def _start_ualpn(self):
        """ualpn answers on the lab's port; everything else it would pass on to a backend that nobody needs."""
        socket = self.lab.home / "ualpn.sock"
        self.ualpn = self.lab.spawn(["ualpn", "-v", "-s", socket, "-p", self.home / "ualpn.pid", "-n", "1", "-b",
                                     f"127.0.0.1@{self.lab.tls_alpn_port}", "-c", f"127.0.0.1@{self.lab.ports.take()}"],
                                    self.home / "ualpn.log")
        self.lab.until(socket.exists, 10, f"ualpn's socket {socket}")

    def create_account(self):
        self._uacme("new", "ops@uacme.test")

    def obtain(self, names, challenge):
        if challenge == "tls-alpn-01" and self.ualpn is None:
            self._start_ualpn()
        self._uacme("--hook", self.lab.hook(self.home, "uacme", challenge), "--force", "issue", *names)
        name = names[0].removeprefix("*.")
        leaf = self.home / "conf" / name / "cert.pem"
        return Issued(leaf, leaf, self.home / "conf" / "private" / name / "key.pem")

    def obtain_again(self, issued):
        return self.obtain([self.name], "http-01")

    def revoke(self, issued):
        self._uacme("--reason", "4", "revoke", issued.leaf)
        return SUPERSEDED

    def revoke_with_key(self, issued):
        self._uacme("--reason", "1", "revoke", issued.leaf, issued.key)
        return KEY_COMPROMISE

    def change_key(self):
        self._uacme("newkey")

    def deactivate_account(self):
        self._uacme("deactivate")
