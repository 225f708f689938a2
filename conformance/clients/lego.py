"""lego, Debian's."""

from conformance.clients import common
from conformance.clients.common import SUPERSEDED, Issued, run


class Client(common.Client):
    PROGRAM = "lego"
    LACKS = {
        "ip": "this lego orders an address as a DNS name",
        "revoke_by_key": "lego revokes by account only",
        "key_rollover": "lego's command line has no key rollover",
        "deactivate": "lego's command line has no deactivation",
    }

    def _lego(self, names, challenge, *arguments):
        how = {
            "http-01": ["--http", "--http.port", f"127.0.0.1:{self.lab.http01_port}"],
            "tls-alpn-01": ["--tls", "--tls.port", f"127.0.0.1:{self.lab.tls_alpn_port}"],
            "dns-01": ["--dns", "exec", "--dns.disable-cp", "--dns.resolvers", self.lab.dns],
        }[challenge]
        env = {"LEGO_CA_CERTIFICATES": str(self.lab.root)}
        if challenge == "dns-01":
            # It would wait a minute between two names.
            env |= {"EXEC_PATH": str(self.lab.hook(self.home, "lego", challenge)), "EXEC_POLLING_INTERVAL": "1",
                    "EXEC_SEQUENCE_INTERVAL": "1"}
        return run([self.PROGRAM, "--server", self.lab.directory, "--email", "ops@lego.test", "--accept-tos", "--path", self.home,
                    *(word for name in names for word in ("--domains", name)), *how, *arguments], env=env, timeout=120)

    def _stored(self, name):
        stem = self.home / "certificates" / name.replace("*", "_")
        return Issued(stem.with_name(stem.name + ".crt"), stem.with_name(stem.name + ".issuer.crt"),
                      stem.with_name(stem.name + ".key"))

    def create_account(self):
        # lego registers on its way to the first certificate.
        self.obtain([f"register.{self.name}"], "http-01")

    def obtain(self, names, challenge):
        self._lego(names, challenge, "run")
        return self._stored(names[0])

    def obtain_preferring(self, name, root):
        self._lego([name], "http-01", "run", "--preferred-chain", root)
        return self._stored(name)

    def obtain_again(self, issued):
        self._lego([self.name], "http-01", "renew", "--days", "100000", "--no-random-sleep")
        return self._stored(self.name)

    def revoke(self, issued):
        self._lego([self.name], "http-01", "revoke", "--keep", "--reason", "4")
        return SUPERSEDED
