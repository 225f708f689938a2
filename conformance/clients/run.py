#!/usr/bin/python3
"""Real ACME clients against the release binary: one table on standard output, JUnit in build/clients/junit.xml.

Each client registers, issues by http-01, renews, revokes, rolls its key over and deactivates, as far as it can; every effect
is checked at the server. The exit status is 1 when a flow fails.
"""

import argparse
import importlib
import shutil
import sys
import time
import traceback
import xml.etree.ElementTree as ET
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from conformance.clients.common import FLOWS, Lacks  # noqa: E402
from conformance.support.lab import Lab  # noqa: E402

CLIENTS = {"certbot": "certbot", "lego": "lego", "acme-client (npm)": "acme_client"}


class Result:
    def __init__(self, cell, seconds=0.0, detail=""):
        self.cell, self.seconds, self.detail = cell, seconds, detail


def run_flow(client, flow):
    started = time.monotonic()
    try:
        getattr(client, flow)()
    except Lacks as lack:
        return Result("lacks", detail=str(lack))
    except Exception:  # whatever a client does wrong is a row of the table
        return Result("FAILED", time.monotonic() - started, traceback.format_exc(limit=3))
    return Result("ok", time.monotonic() - started)


def run_client(module, binary, home):
    """One client against a lab of its own. Returns its version and a Result per flow."""
    if shutil.which(module.PROGRAM) is None:
        return "-", {flow: Result("not run", detail=f"{module.PROGRAM} is not installed") for flow in FLOWS}
    if hasattr(module.Client, "prepare"):
        module.Client.prepare()
    home.mkdir(parents=True)
    with Lab(binary) as lab:
        client = module.Client(lab, home)
        return client.version(), {flow: run_flow(client, flow) for flow in FLOWS}


def print_table(results):
    head = ["client", *(flow.replace("_", " ") for flow in FLOWS)]
    rows = [[f"{name} {version}", *(cells[flow].cell for flow in FLOWS)] for name, (version, cells) in results.items()]
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    for row in [head, ["-" * width for width in widths], *rows]:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip())
    for name, (_, cells) in results.items():
        for flow in FLOWS:
            if cells[flow].cell in ("lacks", "not run"):
                print(f"  {name}, {flow.replace('_', ' ')}: {cells[flow].detail}")
    for name, (_, cells) in results.items():
        for flow in FLOWS:
            if cells[flow].cell == "FAILED":
                print(f"\n{name}, {flow}:\n{cells[flow].detail}")


def write_junit(results, path):
    suites = ET.Element("testsuites")
    for name, (version, cells) in results.items():
        suite = ET.SubElement(suites, "testsuite", name=f"{name} {version}", tests=str(len(cells)),
                              failures=str(sum(r.cell == "FAILED" for r in cells.values())),
                              skipped=str(sum(r.cell in ("lacks", "not run") for r in cells.values())))
        for flow, result in cells.items():
            case = ET.SubElement(suite, "testcase", classname=name, name=flow, time=f"{result.seconds:.2f}")
            if result.cell == "FAILED":
                ET.SubElement(case, "failure").text = result.detail
            elif result.cell != "ok":
                ET.SubElement(case, "skipped", message=result.detail)
    path.parent.mkdir(parents=True, exist_ok=True)
    ET.ElementTree(suites).write(path, encoding="utf-8", xml_declaration=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--binary", default=ROOT / "build" / "release" / "gatehouse", help="the server to test")
    parser.add_argument("--only", choices=CLIENTS.values(), help="one client")
    arguments = parser.parse_args()
    work = ROOT / "build" / "clients" / "work"
    shutil.rmtree(work, ignore_errors=True)
    results = {}
    for name, module in CLIENTS.items():
        if arguments.only in (None, module):
            results[name] = run_client(importlib.import_module(f"conformance.clients.{module}"), arguments.binary,
                                       work / module)
    print_table(results)
    write_junit(results, ROOT / "build" / "clients" / "junit.xml")
    cells = [result.cell for _, row in results.values() for result in row.values()]
    failed, passed = cells.count("FAILED"), cells.count("ok")
    print(f"{passed} passed, {failed} failed, {len(cells) - passed - failed} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
