"""Caddy, Debian's: a process per flow, with its own config and storage; its admin endpoint is off."""

import json

from conformance.clients import common
from conformance.clients.common import Issued, LabError
from conformance.support.lab import last_lines

ISSUED_SECONDS = 60


class Client(common.Client):
    PROGRAM = "caddy"
    LACKS = {
        "dns_01": "Debian's Caddy has no DNS provider, which dns-01 and wildcards need",
        "revoke_by_account": "Caddy cannot revoke",
        "revoke_by_key": "Caddy cannot revoke",
        "key_rollover": "Caddy has no key rollover",
        "deactivate": "Caddy has no deactivation",
    }

    def __init__(self, lab, home):
        super().__init__(lab, home)
        self.storage = self.home / "storage"

    def _config(self, names, challenge, renewal_window_ratio):
        tokens = {"disabled": challenge != "http-01", "alternate_port": self.lab.http01_port}
        alpn = {"disabled": challenge != "tls-alpn-01", "alternate_port": self.lab.tls_alpn_port}
        issuer = {"module": "acme", "ca": self.lab.directory, "email": "ops@caddy.test",
                  "trusted_roots_pem_files": [str(self.lab.root)],
                  "challenges": {"http": tokens, "tls-alpn": alpn, "bind_host": "127.0.0.1"}}
        policy = {"subjects": names, "issuers": [issuer], "renewal_window_ratio": renewal_window_ratio}
        return {
            "admin": {"disabled": True},
            "storage": {"module": "file_system", "root": str(self.storage)},
            "apps": {"tls": {"certificates": {"automate": names}, "automation": {"policies": [policy]}}},
        }

    def _stored(self, name):
        """The files of `name`, wherever Caddy put them: its folder carries the CA's name."""
        leaf = next(self.storage.glob(f"certificates/*/{name}/{name}.crt"))
        return Issued(leaf, leaf, leaf.with_suffix(".key"))

    def _run_until(self, told, names, challenge, *, renewal_window_ratio=0.1):
        """Runs Caddy with `names` until it has `told` so in its log, which it does when the files are written; then ends it."""
        config, log = self.home / "caddy.json", self.home / "caddy.log"
        config.write_text(json.dumps(self._config(names, challenge, renewal_window_ratio)))
        log.unlink(missing_ok=True)
        process = self.lab.spawn([self.PROGRAM, "run", "--config", config], log,
                                 env={"HOME": str(self.home), "PATH": "/usr/bin:/bin"})

        def done():
            if process.poll() is not None:
                raise LabError(f"Caddy ended with {process.returncode}")
            return f'"msg":"{told}"' in log.read_text()

        try:
            self.lab.until(done, ISSUED_SECONDS, f"Caddy to say: {told}")
        except LabError as error:
            raise LabError(f"{error}\n{last_lines(log.read_text())}") from error
        finally:
            self.lab.end(process)
        return self._stored(names[0])

    def create_account(self):
        # Caddy registers on its way to the first certificate.
        self.obtain([f"register.{self.name}"], "http-01")

    def obtain(self, names, challenge):
        return self._run_until("certificate obtained successfully", names, challenge)

    def obtain_again(self, issued):
        # Whatever is left of its lifetime, it is less than all of it: renewal is due at once.
        return self._run_until("certificate renewed successfully", [self.name], "http-01", renewal_window_ratio=0.99999)
