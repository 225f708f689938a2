"""mod_md in Debian's Apache: a server of its own per flow, in a folder of its own; nothing of /etc/apache2 is read."""

import os
import shutil
import signal
from pathlib import Path

from conformance.clients import common
from conformance.clients.common import Issued, LabError
from conformance.support.lab import last_lines

MODULES = Path("/usr/lib/apache2/modules")
STAGED_SECONDS = 60
CONFIG = """\
ServerRoot "{home}"
PidFile "{home}/apache.pid"
DefaultRuntimeDir "{home}"
ErrorLog "{home}/error.log"
LogLevel warn md:debug
ServerName localhost
ServerAdmin ops@mod-md.test
{user}
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule ssl_module {modules}/mod_ssl.so
LoadModule md_module {modules}/mod_md.so
StartServers 1
MinSpareThreads 4
MaxSpareThreads 16
ThreadsPerChild 8
MaxRequestWorkers 16
ServerLimit 2
Listen 127.0.0.1:{http01_port}
Listen 127.0.0.1:{tls_alpn_port}
Protocols http/1.1 acme-tls/1
MDStoreDir "{home}/md"
MDCertificateAuthority {directory}
MDCACertificateFile "{root}"
MDCertificateAgreement accepted
MDContactEmail ops@mod-md.test
MDCAChallenges {challenge}
MDPortMap http:{http01_port} https:{tls_alpn_port}
MDPrivateKeys secp256r1
MDStapling off
MDMustStaple off
MDRenewWindow {renew_window}
MDRetryDelay 1s
{dns01}
<MDomain {names}>
  MDRenewMode always
</MDomain>
<VirtualHost 127.0.0.1:{tls_alpn_port}>
  ServerName {server_name}
  {aliases}
  SSLEngine on
</VirtualHost>
"""


class Client(common.Client):
    PROGRAM = "apache2"
    LACKS = {
        "ip": "mod_md manages DNS names only",
        "revoke_by_account": "mod_md cannot revoke",
        "revoke_by_key": "mod_md cannot revoke",
        "key_rollover": "mod_md has no key rollover",
        "deactivate": "mod_md has no deactivation",
    }

    def __init__(self, lab, home):
        # Apache gives up root for www-data, who may not be able to walk to a checkout.
        super().__init__(lab, lab.open_folder())
        self.root = self.home / "root.pem"
        shutil.copy(lab.root, self.root)
        shutil.copy(lab.home / "control", self.home / "control")

    @classmethod
    def missing(cls):
        if not (MODULES / "mod_md.so").is_file():
            return "needs apache2-bin"
        return super().missing()

    @classmethod
    def version(cls):
        return common.package_version("apache2-bin")

    def _config(self, names, challenge, renew_window):
        dns01 = f"MDChallengeDns01 {self.lab.hook(self.home, 'mod_md', challenge, self.home)}" if challenge == "dns-01" else ""
        return CONFIG.format(
            home=self.home, modules=MODULES, http01_port=self.lab.http01_port, tls_alpn_port=self.lab.tls_alpn_port,
            directory=self.lab.directory, root=self.root, challenge=challenge, names=" ".join(names), server_name=names[0],
            aliases=f"ServerAlias {' '.join(names[1:])}" if names[1:] else "", dns01=dns01, renew_window=renew_window,
            user="User www-data\nGroup www-data" if os.geteuid() == 0 else "")

    def _run_until_staged(self, names, challenge, renew_window="33%"):
        """Runs Apache until mod_md has a new certificate staged, has it take that up by a graceful restart, and ends it."""
        config, log = self.home / "apache.conf", self.home / "error.log"
        config.write_text(self._config(names, challenge, renew_window))
        log.unlink(missing_ok=True)
        name = names[0]
        staged = self.home / "md" / "staging" / name / "job.json"
        leaf = self.home / "md" / "domains" / name / "pubcert.secp256r1.pem"
        before = leaf.read_bytes() if leaf.is_file() else b""
        process = self.lab.spawn([shutil.which(self.PROGRAM, path=common.PATH), "-f", config, "-DFOREGROUND"], self.home / "output.log")

        def alive():
            if process.poll() is not None:
                raise LabError(f"Apache ended with {process.returncode}")

        def is_staged():
            alive()
            return staged.is_file() and '"finished": true' in staged.read_text()

        def is_taken_up():
            alive()
            return leaf.is_file() and leaf.read_bytes() != before

        try:
            self.lab.until(is_staged, STAGED_SECONDS, f"mod_md's staged certificate for {name}")
            process.send_signal(signal.SIGUSR1)
            self.lab.until(is_taken_up, STAGED_SECONDS, f"Apache to take up {leaf}")
        except LabError as error:
            output = (self.home / "output.log").read_text() + (log.read_text() if log.is_file() else "")
            raise LabError(f"{error}\n{last_lines(output)}") from error
        finally:
            self.lab.end(process)
        return Issued(leaf, leaf, leaf.with_name("privkey.secp256r1.pem"))

    def create_account(self):
        # mod_md registers on its way to the first certificate.
        self.obtain([f"register.{self.name}"], "http-01")

    def obtain(self, names, challenge):
        # The first one names the virtual host, which no wildcard can.
        return self._run_until_staged(sorted(names, key=lambda name: name.startswith("*.")), challenge)

    def obtain_again(self, issued):
        # A window as long as the certificate's life: renewal is due at once.
        return self._run_until_staged([self.name], "http-01", renew_window="90d")
