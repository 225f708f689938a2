#!/usr/bin/env python3
"""Measures Gatehouse: alone, beside Pebble and step-ca, with many certificates stored, with idle connections.

  bench/run.py alone          CPU per certificate beside the raw arithmetic, at several numbers of clients
  bench/run.py peers          the same beside Pebble and step-ca: alternating rounds, medians
  bench/run.py obtain         seconds that lego, certbot and acme.sh take for one certificate, beside Pebble and step-ca
  bench/run.py size           RSS after many certificates and with idle connections, start, a full store
Everything it makes is in a folder of its own on a disk, removed at the end. bench/README.md says what the figures mean."""
import argparse
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import obtain  # noqa: E402
import servers  # noqa: E402

MEMORY_FILE_SYSTEMS = {"tmpfs", "ramfs"}


def file_system_of(folder):
    return subprocess.run(["stat", "-f", "-c", "%T", folder], check=True, capture_output=True, text=True).stdout.strip()


def arithmetic():
    """CPU milliseconds of 8 verifications and 1 signature, now."""
    return float(subprocess.run([servers.BUILD / "gatehouse-arithmetic"], check=True, capture_output=True, text=True).stdout)


def load(server, clients, count, warm_up=None, poll=None, seconds=600):
    """One run of the generator against `server`: its figures."""
    # So many clients take longer than a poll for one round: polls that find nothing would be measured.
    poll = poll or max(50, clients)
    command = [servers.BUILD / "gatehouse-load", "--directory", server.directory, "--pid", str(server.process.pid), "--clients",
               str(clients), "--count", str(count), "--warm-up", str(clients if warm_up is None else warm_up), "--poll",
               str(poll), "--seconds", str(seconds), "--dns-port", str(server.dns_port), "--http-port", str(server.http_port),
               "--suffix", f"r{os.urandom(3).hex()}.bench.test", "--json"]
    run = subprocess.run(command, capture_output=True, text=True)
    if not run.stdout:
        raise SystemExit("bench: the load generator failed: " + run.stderr)
    return json.loads(run.stdout)


def print_conditions(folder):
    kind = file_system_of(folder)
    if kind in MEMORY_FILE_SYSTEMS:
        raise SystemExit(f"bench: {folder} is on {kind}: give --folder on a disk, what is measured is durable")
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "unknown")
    print(f"machine     {os.cpu_count()} cores, {cpu}; {platform.system()} {platform.release()}")
    print(f"database    {folder}, file system {kind} (statfs), synchronous=FULL")
    print(f"build       {servers.BUILD}: release flags and frame pointers; issuer P-256, accounts ES256, http-01")
    print(f"load        load average {os.getloadavg()[0]:.1f} before the first run", flush=True)


def show(name, clients, figures, raw):
    cpu = figures["cpu_ms_per_certificate"]
    print(f"{name:10} {clients:6} clients {figures['certificates_per_second']:8.1f}/s  CPU {cpu:7.3f} ms (user "
          f"{figures['user_ms_per_certificate']:.3f}, system {figures['system_ms_per_certificate']:.3f})  "
          f"{cpu / raw:5.2f} x raw {raw:.3f}  {figures['signed_requests_per_certificate']:.2f} requests  "
          f"RSS {figures['rss_kib'] / 1024:.1f} MiB  failures {figures['failures']}"
          f"{'  STALLED' if figures['stalled'] else ''}", flush=True)
    for failure in figures["first_failures"]:
        print("           failure:", failure)


def alone(folder, options):
    server = servers.Gatehouse(folder / "alone").start()
    failed = False
    try:
        for clients in options.clients:
            rounds = []
            for _ in range(options.rounds):
                before = arithmetic()
                figures = load(server, clients, max(options.count, 3 * clients))
                raw = statistics.mean([before, arithmetic()])
                show("Gatehouse", clients, figures, raw)
                rounds.append((figures, raw))
                failed |= figures["failures"] > 0 or figures["stalled"]
            ratio = statistics.median(figures["cpu_ms_per_certificate"] / raw for figures, raw in rounds)
            print(f"  median of {options.rounds} at {clients} clients: {ratio:.2f} x the arithmetic", flush=True)
        if options.steps:
            print(json.dumps(rounds[-1][0]["milliseconds"], indent=1, ensure_ascii=False))
    finally:
        server.stop()
    return 1 if failed else 0


def peers(folder, options):
    servers.build_peers()
    kinds = [servers.Gatehouse, servers.Pebble, servers.StepCa]
    clients = options.clients[0]
    rounds = {kind.name: [] for kind in kinds}
    raws = []
    for number in range(options.rounds):
        for kind in kinds:
            server = kind(folder / f"{kind.name}-{number}").start()
            try:
                before = arithmetic()
                figures = load(server, clients, options.count)
                raw = statistics.mean([before, arithmetic()])
            finally:
                server.stop()
            raws.append(raw)
            rounds[kind.name].append(figures | {"ratio": figures["cpu_ms_per_certificate"] / raw})
            show(kind.name, clients, figures, raw)
    median = {name: {key: statistics.median(each[key] for each in runs) for key in
                     ("cpu_ms_per_certificate", "ratio", "certificates_per_second", "signed_requests_per_certificate",
                      "rss_kib", "challenges_fetched", "dns_questions")} for name, runs in rounds.items()}
    ours = median["Gatehouse"]
    print(f"\nMedians of {options.rounds} rounds at {clients} clients; the raw arithmetic (8 verifications, 1 signature): "
          f"{statistics.median(raws):.3f} ms")
    print("| Server | CPU ms / certificate | x the arithmetic | Gatehouse is | signed requests | challenge fetched | DNS questions "
          "| certificates/s | RSS MiB | failures | stalled |\n|---|---|---|---|---|---|---|---|---|---|---|")
    warm = clients + options.count
    for name, each in median.items():
        share = "" if name == "Gatehouse" else f"{ours['cpu_ms_per_certificate'] / each['cpu_ms_per_certificate']:.3f} of it"
        print(f"| {name} | {each['cpu_ms_per_certificate']:.2f} | {each['ratio']:.1f} | {share} | "
              f"{each['signed_requests_per_certificate']:.2f} | {each['challenges_fetched'] / warm:.1f} | "
              f"{each['dns_questions'] / warm:.1f} | {each['certificates_per_second']:.0f} | {each['rss_kib'] / 1024:.0f} | "
              f"{sum(run['failures'] for run in rounds[name])} | {sum(run['stalled'] for run in rounds[name])} of "
              f"{options.rounds} |")
    print("Pebble validates each challenge three times and keeps everything in memory; step-ca and Gatehouse validate once and "
          "are durable.", flush=True)
    requests = [each["signed_requests_per_certificate"] for each in median.values()]
    if max(requests) - min(requests) > 1:
        print("The servers needed different numbers of signed requests: read the ratios beside them.")
    return 1 if any(run["failures"] for run in rounds["Gatehouse"]) else 0


def rss(pid):
    return int(next(line.split()[1] for line in open(f"/proc/{pid}/status") if line.startswith("VmRSS"))) / 1024


def size(folder, options):
    # The idle connections all come from one address.
    gatehouse = servers.Gatehouse(folder / "size", {"limits.connections_per_address": 2 * options.idle})
    starts = []
    for _ in range(5):
        server = gatehouse.start()
        starts.append(server.first_answer_ms)
        server.stop()
    print(f"start to first answer: {statistics.median(starts[1:]):.0f} ms (first start, with its own certificate: "
          f"{starts[0]:.0f} ms)", flush=True)

    server = gatehouse.start()
    try:
        figures = load(server, options.clients[0], options.certificates, seconds=7200)
        show("Gatehouse", options.clients[0], figures, arithmetic())
        print(f"RSS after {figures['certificates']} certificates: {rss(server.process.pid):.1f} MiB", flush=True)
    finally:
        server.stop()

    server = gatehouse.start()
    try:
        subprocess.run([servers.BUILD / "gatehouse-idle", "--directory", server.directory, "--pid", str(server.process.pid),
                        "--connections", str(options.idle)], check=True)
    finally:
        server.stop()
    return stored(folder, options)


def stored(folder, options):
    """Cost with many certificates stored beside that of an empty store, alternating."""
    empty = servers.Gatehouse(folder / "empty")
    full = servers.Gatehouse(folder / "full")
    server = full.start()  # makes the database
    server.stop()
    subprocess.run([servers.BUILD / "gatehouse-fill", "--database", full.database, "--count", str(options.stored)], check=True)
    print(f"database with {options.stored} certificates: {full.database.stat().st_size / 2**30:.2f} GiB", flush=True)
    costs = {"empty": [], "full": []}
    for _ in range(options.rounds):
        for name, each in (("empty", empty), ("full", full)):
            server = each.start()
            try:
                figures = load(server, options.clients[0], options.count)
                costs[name].append(figures["cpu_ms_per_certificate"])
                show(name, options.clients[0], figures, arithmetic())
            finally:
                server.stop()
    ratio = statistics.median(costs["full"]) / statistics.median(costs["empty"])
    print(f"CPU per certificate with {options.stored} stored: {ratio:.3f} of that with an empty store", flush=True)
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["alone", "peers", "obtain", "size", "stored"])
    parser.add_argument("--folder", help="where databases are put: on a disk", default=None)
    parser.add_argument("--clients", type=int, nargs="+", default=[8])
    parser.add_argument("--count", type=int, default=2000, help="certificates of a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--certificates", type=int, default=50000, help="for the RSS")
    parser.add_argument("--idle", type=int, default=10000, help="idle connections")
    parser.add_argument("--stored", type=int, default=1000000, help="certificates in the full store")
    parser.add_argument("--steps", action="store_true", help="latencies by step of the last run")
    options = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="gatehouse-bench-", dir=options.folder or "/var/tmp"))
    try:
        print_conditions(folder)
        return {"alone": alone, "peers": peers, "obtain": obtain.measure, "size": size, "stored": stored}[options.what](folder, options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
