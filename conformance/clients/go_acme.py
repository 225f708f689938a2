"""golang.org/x/crypto/acme, driven by go/main.go."""

import re
from pathlib import Path

from conformance.clients.common import ProgramClient, run, too_old
from conformance.support.lab import ROOT

SOURCE = Path(__file__).resolve().parent / "go"
BUILT = ROOT / "build" / "clients" / "go"
LEAST = (1, 18)


class Client(ProgramClient):
    PROGRAM = "go"
    COMMAND = (BUILT / "flows",)

    @classmethod
    def missing(cls):
        return super().missing() or too_old("go", LEAST, run(["go", "version"], env={"GOTOOLCHAIN": "local"}))

    @classmethod
    def prepare(cls):
        """Builds with the modules that go.sum pins and the toolchain that is there; caches stay in build/."""
        BUILT.mkdir(parents=True, exist_ok=True)
        env = {"GOCACHE": BUILT / "cache", "GOMODCACHE": BUILT / "modules", "GOFLAGS": "-modcacherw -buildvcs=false -trimpath",
               "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
        run(["go", "build", "-o", BUILT / "flows", "."], cwd=SOURCE, env={key: str(value) for key, value in env.items()},
            timeout=600)

    @classmethod
    def version(cls):
        return re.search(r"^require golang.org/x/crypto v(\S+)", (SOURCE / "go.mod").read_text(), re.MULTILINE)[1]
