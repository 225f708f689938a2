"""The gem acme-client, Debian's, driven by ruby/flows.rb."""

from pathlib import Path

from conformance.clients.common import ProgramClient, package_version, run
from conformance.support.lab import LabError

SOURCE = Path(__file__).resolve().parent / "ruby" / "flows.rb"
RUBY = "/usr/bin/ruby"  # Debian's gems belong to Debian's ruby


class Client(ProgramClient):
    PROGRAM = RUBY
    COMMAND = (RUBY, SOURCE)
    LACKS = {
        "tls_alpn_01": "the gem knows http-01 and dns-01 only",
        "revoke_by_key": "the gem signs revocations with the account's key only",
    }

    @classmethod
    def missing(cls):
        try:
            run([RUBY, "-e", "require 'acme-client'"])
        except (LabError, OSError):
            return "needs ruby-acme-client"
        return None

    @classmethod
    def version(cls):
        return package_version("ruby-acme-client")
