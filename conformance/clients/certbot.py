"""certbot, Debian's."""

from conformance.clients import common
from conformance.clients.common import KEY_COMPROMISE, SUPERSEDED, Issued, run


class Client(common.Client):
    PROGRAM = "certbot"
    LACKS = {
        "tls_alpn_01": "certbot has no tls-alpn-01",
        "ip": "this certbot refuses addresses",
        "key_rollover": "certbot has no key rollover",
    }

    def _certbot(self, *arguments):
        return run([self.PROGRAM, *arguments, "--non-interactive", "--server", self.lab.directory, "--config-dir",
                    self.home / "config", "--work-dir", self.home / "work", "--logs-dir", self.home / "logs"],
                   env={"REQUESTS_CA_BUNDLE": str(self.lab.root)}, timeout=120)

    def create_account(self):
        self._certbot("register", "--agree-tos", "--email", "ops@certbot.test", "--no-eff-email")

    def obtain(self, names, challenge, *more):
        if challenge == "dns-01":
            hook = self.lab.hook(self.home, "certbot", challenge)
            how = ["--manual", "--preferred-challenges", "dns", "--manual-auth-hook", f"{hook} add", "--manual-cleanup-hook",
                   f"{hook} remove"]
        else:
            how = ["--standalone", "--http-01-address", "127.0.0.1", "--http-01-port", self.lab.http01_port]
        name = names[-1]
        self._certbot("certonly", *how, *more, "--cert-name", name, *(word for one in names for word in ("-d", one)))
        return self._stored(name)

    def obtain_preferring(self, name, root):
        return self.obtain([name], "http-01", "--preferred-chain", root)

    def _stored(self, name):
        live = self.home / "config" / "live" / name
        return Issued(live / "cert.pem", live / "chain.pem", live / "privkey.pem")

    def obtain_again(self, issued):
        self._certbot("renew", "--force-renewal", "--no-random-sleep-on-renew", "--cert-name", self.name)
        return self._stored(self.name)

    def revoke(self, issued):
        self._certbot("revoke", "--cert-path", issued.leaf, "--reason", "superseded", "--no-delete-after-revoke")
        return SUPERSEDED

    def revoke_with_key(self, issued):
        self._certbot("revoke", "--cert-path", issued.leaf, "--key-path", issued.key, "--reason", "keycompromise",
                      "--no-delete-after-revoke")
        return KEY_COMPROMISE

    def deactivate_account(self):
        self._certbot("unregister")
