"""acme-tiny, Debian's: it takes an account key and a CSR, both from openssl, and answers http-01 from a folder."""

from conformance.clients import common
from conformance.clients.common import Issued, run


class Client(common.Client):
    PROGRAM = "acme-tiny"
    LACKS = {
        "dns_01": "acme-tiny knows http-01 only",
        "tls_alpn_01": "acme-tiny knows http-01 only",
        "ip": "acme-tiny orders DNS names only",
        "revoke_by_account": "acme-tiny cannot revoke",
        "revoke_by_key": "acme-tiny cannot revoke",
        "key_rollover": "acme-tiny has no key rollover",
        "deactivate": "acme-tiny has no deactivation",
    }

    def __init__(self, lab, home):
        super().__init__(lab, home)
        lab.serve_tokens()
        self.account = self.home / "account.key"
        run(["openssl", "genrsa", "-out", self.account, "2048"])

    def create_account(self):
        # acme-tiny registers on its way to the first certificate.
        self.obtain([f"register.{self.name}"], "http-01")

    def obtain(self, names, challenge):
        key, csr = self.home / f"{names[0]}.key", self.home / f"{names[0]}.csr"
        run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-subj",
             "/", "-addext", f"subjectAltName=DNS:{names[0]}", "-out", csr])
        return self._sign(names[0])

    def _sign(self, name):
        text = run([self.PROGRAM, "--quiet", "--account-key", self.account, "--csr", self.home / f"{name}.csr", "--acme-dir",
                    self.lab.tokens, "--directory-url", self.lab.directory, "--disable-check", "--contact",
                    "mailto:ops@acme-tiny.test"], env={"SSL_CERT_FILE": str(self.lab.root)}, timeout=120)
        chain = self.home / f"{name}.pem"
        chain.write_text(text)
        return Issued(chain, chain, self.home / f"{name}.key")

    def obtain_again(self, issued):
        return self._sign(self.name)
