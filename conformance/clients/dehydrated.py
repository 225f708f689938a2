"""dehydrated, Debian's."""

from conformance.clients import common
from conformance.clients.common import UNSPECIFIED, Issued, run


class Client(common.Client):
    PROGRAM = "dehydrated"
    LACKS = {
        "ip": "dehydrated orders DNS names only",
        "revoke_by_key": "dehydrated --privkey wants the key of an account: it asks for that account first",
        "key_rollover": "dehydrated has no key rollover",
    }

    def __init__(self, lab, home):
        super().__init__(lab, home)
        lab.serve_tokens()
        lab.serve_alpn()
        self.config = self.home / "config"
        settings = {"CA": lab.directory, "BASEDIR": self.home, "CONTACT_EMAIL": "ops@dehydrated.test", "WELLKNOWN": lab.tokens,
                    "ALPNCERTDIR": lab.alpn_certificates, "DOMAINS_TXT": self.home / "domains.txt", "KEY_ALGO": "prime256v1",
                    "CURL_OPTS": f'"--cacert {lab.root}"'}
        self.config.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))

    def _dehydrated(self, *arguments):
        return run([self.PROGRAM, "--config", self.config, *arguments], timeout=120)

    def create_account(self):
        self._dehydrated("--register", "--accept-terms")

    def obtain(self, names, challenge, *more):
        hook = self.lab.hook(self.home, "dehydrated", challenge)
        alias = names[-1]
        self._dehydrated("--cron", "--force", "--challenge", challenge, "--hook", hook, "--alias", alias, "--domain",
                         " ".join(names), *more)
        stored = self.home / "certs" / alias
        return Issued(stored / "cert.pem", stored / "chain.pem", stored / "privkey.pem")

    def obtain_preferring(self, name, root):
        return self.obtain([name], "http-01", "--preferred-chain", root)

    def obtain_again(self, issued):
        return self.obtain([self.name], "http-01")

    def revoke(self, issued):
        self._dehydrated("--revoke", issued.leaf)
        return UNSPECIFIED

    def deactivate_account(self):
        self._dehydrated("--deactivate")
