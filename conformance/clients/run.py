#!/usr/bin/python3
"""Real ACME clients against the release binary: one table on standard output, JUnit in build/clients/junit.xml.

Each client does every flow that it has; every effect is checked at the server. The exit status is 1 when a flow fails.
"""

import argparse
import concurrent.futures
import importlib
import os
import shutil
import signal
import sys
import time
import traceback
import xml.etree.ElementTree as ET
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from conformance.clients.common import FLOWS, LabError  # noqa: E402
from conformance.support.lab import Lab  # noqa: E402

# Name in the table -> file. The slowest begin.
CLIENTS = {
    "instant-acme": "instant_acme",
    "Go x/crypto/acme": "go_acme",
    "npm acme-client": "npm_acme_client",
    "certbot": "certbot",
    "ruby acme-client": "ruby_acme_client",
    "dehydrated": "dehydrated",
    "uacme": "uacme",
    "acme-tiny": "acme_tiny",
    "Apache mod_md": "mod_md",
    "caddy": "caddy",
    "lego": "lego",
}


class Result:
    def __init__(self, cell, seconds=0.0, detail=""):
        self.cell, self.seconds, self.detail = cell, seconds, detail


def all_not_run(why):
    return {flow: Result("not run", detail=why) for flow in FLOWS}


def run_flow(client, flow):
    if lack := client.lack(flow):
        return Result("lacks", detail=lack)
    started, since = time.monotonic(), client.lab.mark()
    try:
        getattr(client, flow)()
    except Exception as error:  # whatever a client does wrong is a cell of the table
        told = str(error) if isinstance(error, LabError) else traceback.format_exc(limit=-3)
        detail = f"{told}\n--- what the server logged meanwhile\n{client.lab.log_since(since)}"
        return Result("FAILED", time.monotonic() - started, detail)
    return Result("ok", time.monotonic() - started)


def run_client(module, binary, home):
    """One client against a lab of its own. Returns its version and a Result per flow."""
    kind = importlib.import_module(f"conformance.clients.{module}").Client
    missing = kind.missing()
    if missing:
        return "", all_not_run(missing)
    version = ""
    try:
        kind.prepare()
        version = kind.version()
        home.mkdir(parents=True)
        with Lab(binary) as lab:
            client = kind(lab, home)
            return version, {flow: run_flow(client, flow) for flow in FLOWS}
    except Exception as error:  # a client that cannot be built or started is a failure, not a lack
        told = str(error) if isinstance(error, LabError) else traceback.format_exc(limit=-3)
        return version, {flow: Result("FAILED", detail=f"could not be prepared: {told}") for flow in FLOWS}


def run_all(wanted, binary, jobs):
    """Name -> (version, cells), in the table's order; tells each end as it comes."""
    work = ROOT / "build" / "clients" / "work"
    shutil.rmtree(work, ignore_errors=True)
    started = time.monotonic()

    def one(name):
        version, cells = run_client(CLIENTS[name], binary, work / CLIENTS[name])
        counts = {cell: sum(result.cell == cell for result in cells.values()) for cell in ("ok", "lacks", "FAILED", "not run")}
        words = ", ".join(f"{count} {cell}" for cell, count in counts.items() if count)
        print(f"{time.monotonic() - started:5.0f} s  {name}: {words}", file=sys.stderr, flush=True)
        return version, cells

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        try:
            return dict(zip(wanted, pool.map(one, wanted)))
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            Lab.end_all()  # what runs fails at once
            raise


def print_table(results):
    head = ["client", *(flow.replace("_", " ") for flow in FLOWS)]
    rows = [[f"{name} {version}".strip(), *(cells[flow].cell for flow in FLOWS)] for name, (version, cells) in results.items()]
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    for row in [head, ["-" * width for width in widths], *rows]:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip())
    for name, (_, cells) in results.items():
        for flows, result in grouped(cells, ("lacks", "not run")):
            print(f"  {name}, {flows}: {result.detail}" if result.cell == "lacks" else f"  {name}: not run: {result.detail}")
    for name, (_, cells) in results.items():
        for flows, result in grouped(cells, ("FAILED",)):
            print(f"\n{name}, {flows}:\n{result.detail}")


def grouped(cells, kinds):
    """(flows in words, Result) of these kinds; what several flows have in common is said once."""
    together = {}
    for flow, result in cells.items():
        if result.cell in kinds:
            together.setdefault((result.cell, result.detail), ([], result))[0].append(flow.replace("_", " "))
    return [(", ".join(flows), result) for flows, result in together.values()]


def write_junit(results, path):
    suites = ET.Element("testsuites")
    for name, (version, cells) in results.items():
        suite = ET.SubElement(suites, "testsuite", name=f"{name} {version}".strip(), tests=str(len(cells)),
                              failures=str(sum(r.cell == "FAILED" for r in cells.values())),
                              skipped=str(sum(r.cell in ("lacks", "not run") for r in cells.values())))
        for flow, result in cells.items():
            case = ET.SubElement(suite, "testcase", classname=name, name=flow, time=f"{result.seconds:.2f}")
            if result.cell == "FAILED":
                # XML has no way to say the control characters that a client may print.
                ET.SubElement(case, "failure").text = "".join(c for c in result.detail if c >= " " or c in "\n\t")
            elif result.cell != "ok":
                ET.SubElement(case, "skipped", message=f"{result.cell}: {result.detail}")
    path.parent.mkdir(parents=True, exist_ok=True)
    ET.ElementTree(suites).write(path, encoding="utf-8", xml_declaration=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--binary", type=Path, default=ROOT / "build" / "release" / "gatehouse", help="the server to test")
    parser.add_argument("--only", metavar="CLIENT", action="append", choices=CLIENTS.values(),
                        help=f"one client; may be repeated: {', '.join(CLIENTS.values())}")
    parser.add_argument("--jobs", type=int, default=2 * (os.cpu_count() or 1),
                        help="clients side by side; they wait more than they work (default: %(default)s)")
    arguments = parser.parse_args()
    binary = arguments.binary.resolve()
    if not os.access(binary, os.X_OK):
        parser.error(f"{binary} is not there: make build")
    wanted = [name for name, file in CLIENTS.items() if not arguments.only or file in arguments.only]
    results = run_all(wanted, binary, arguments.jobs)
    print_table(results)
    write_junit(results, ROOT / "build" / "clients" / "junit.xml")
    cells = [result.cell for _, row in results.values() for result in row.values()]
    failed, passed = cells.count("FAILED"), cells.count("ok")
    print(f"{passed} passed, {failed} failed, {len(cells) - passed - failed} skipped")
    return 1 if failed or not passed else 0


def interrupt(*_):
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, interrupt)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("interrupted; everything that was started has been ended", file=sys.stderr)
        sys.exit(130)
