"""acme-client, from npm, driven by node/flows.mjs."""

import json
import shutil
from pathlib import Path

from conformance.clients.common import ProgramClient, run
from conformance.support.lab import ROOT

SOURCE = Path(__file__).resolve().parent / "node"
INSTALLED = ROOT / "build" / "clients" / "node"


class Client(ProgramClient):
    PROGRAM = "node"
    COMMAND = ("node", INSTALLED / "flows.mjs")

    @classmethod
    def missing(cls):
        lacking = [program for program in ("node", "npm") if shutil.which(program) is None]
        return f"needs {' and '.join(lacking)}" if lacking else None

    @classmethod
    def prepare(cls):
        """Installs what package-lock.json pins."""
        INSTALLED.mkdir(parents=True, exist_ok=True)
        lock = SOURCE / "package-lock.json"
        done = INSTALLED / "installed.json"
        shutil.copy(SOURCE / "flows.mjs", INSTALLED)
        if done.is_file() and done.read_bytes() == lock.read_bytes():
            return
        for name in ("package.json", "package-lock.json"):
            shutil.copy(SOURCE / name, INSTALLED)
        run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=INSTALLED, timeout=300)
        shutil.copy(lock, done)

    @classmethod
    def version(cls):
        package = INSTALLED / "node_modules" / "acme-client" / "package.json"
        return json.loads(package.read_text())["version"]
