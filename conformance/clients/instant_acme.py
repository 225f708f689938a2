"""instant-acme, from crates.io, driven by rust/src/main.rs."""

import re
from pathlib import Path

from conformance.clients.common import ProgramClient, run, too_old
from conformance.support.lab import ROOT

SOURCE = Path(__file__).resolve().parent / "rust"
BUILT = ROOT / "build" / "clients" / "rust"
LEAST = (1, 88)  # of what Cargo.lock pins


class Client(ProgramClient):
    PROGRAM = "cargo"
    COMMAND = (BUILT / "debug" / "flows",)
    LACKS = {"revoke_by_key": "instant-acme signs revocations with the account's key only"}

    @classmethod
    def missing(cls):
        return super().missing() or too_old("cargo", LEAST, run(["cargo", "--version"]))

    @classmethod
    def prepare(cls):
        """Builds with the crates that Cargo.lock pins; caches stay in build/."""
        run(["cargo", "build", "--locked", "--quiet", "--manifest-path", SOURCE / "Cargo.toml", "--target-dir", BUILT],
            env={"CARGO_HOME": str(BUILT / "home")}, timeout=900)

    @classmethod
    def version(cls):
        return re.search(r'^instant-acme = .*"=([^"]+)"', (SOURCE / "Cargo.toml").read_text(), re.MULTILINE)[1]
