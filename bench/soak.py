#!/usr/bin/env python3
"""Keeps a release server busy for a while, breaks things around it meanwhile, and looks whether it is sound afterwards.

  bench/soak.py --minutes 30

Clients order, prove, download and revoke all the time; among their names are some whose DNS answers come late or never,
and some whose address refuses connections or takes them and says nothing. In each round come besides: a storm of SIGHUP,
revocations by the operator, connections that say nothing, a full disk (down to the floor, or to the last octet), a
backup. bench/README.md says what is checked at the end. Exit status 1 when one of the checks fails."""
import argparse
import collections
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import servers  # noqa: E402

FLOOR = 64 << 20  # store.free_space_floor, its default
ROUND_SECONDS = 60
FULL_SECONDS = 8
RECOVERY_SECONDS = 10
DRAIN_SECONDS = 60
STOP_SECONDS = 30
SIGNALS = 40
SILENT_CONNECTIONS = 200
SAMPLE_SECONDS = 1
# What caches and pools fill is not held against the server: the first part of the samples.
WARM_UP_SHARE = 1 / 3
# What memory may grow by over the rest, along the line through the samples, in MiB and as a share of what it is.
GROWTH_MIB = 12
GROWTH_SHARE = 0.15
# Beyond one for each connection: both ends of what runs in lanes, the store's readers.
DESCRIPTORS_MORE = 128
DESCRIPTORS_LEFT = 16  # a reader is opened when it is wanted, with two each
STANDING_JOBS = {"maintenance", "own_certificate", "prune", "publish_crl"}
FINAL = ("valid", "invalid")


class Failed(Exception):
    """What a check found."""


class SmallDisk:
    """A file system of its own in a file, so that it can be filled. Needs root."""

    def __init__(self, folder, size):
        self.image, self.at = folder / "disk.img", folder / "disk"
        self.at.mkdir()
        with open(self.image, "wb") as image:
            image.truncate(size)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", self.image], check=True)
        subprocess.run(["mount", "-o", "loop", self.image, self.at], check=True)
        self.ballast = self.at / "ballast"

    def free(self):
        found = os.statvfs(self.at)
        return found.f_bavail * found.f_frsize

    def fill_up_to(self, left):
        """Leaves `left` octets, again and again: others give back what they had, and take it."""
        with open(self.ballast, "ab") as file:
            for step in (1 << 20, 4096):
                while self.free() > left + step:
                    size = os.fstat(file.fileno()).st_size
                    try:
                        os.posix_fallocate(file.fileno(), size, max(step, (self.free() - left) // 2 // step * step))
                    except OSError:
                        break

    def empty(self):
        self.ballast.unlink(missing_ok=True)

    def close(self):
        subprocess.run(["umount", self.at], check=False)


@contextlib.contextmanager
def home_folder(folder, minutes):
    """Where the database is: (folder, disk), or (folder, why there is none)."""
    if os.geteuid() != 0:
        yield folder, "not root"
        return
    try:
        disk = SmallDisk(folder, int(1 + minutes / 4) << 30)
    except (OSError, subprocess.CalledProcessError) as error:
        yield folder, f"no file system can be mounted here: {error}"
        return
    try:
        yield disk.at, disk
    finally:
        disk.close()


class Soaked:
    """The server, and its commands."""

    def __init__(self, gatehouse):
        self.gatehouse = gatehouse
        self.running = gatehouse.start()
        self.pid = self.running.process.pid

    def command(self, *words):
        run = subprocess.run([servers.BUILD / "gatehouse", *words, "--config", self.gatehouse.home / "gatehouse.json"],
                             capture_output=True, text=True, timeout=300)
        if run.returncode != 0:
            raise Failed(f"gatehouse {' '.join(map(str, words))} ends with {run.returncode}: {run.stderr.strip()}")
        return run.stdout

    def documents(self, *words):
        return [json.loads(line) for line in self.command(*words, "--json").splitlines() if line]

    def status(self):
        return self.documents("status")[0]

    def answer(self, port, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def issued(self):
        _, text = self.answer(self.gatehouse.operations_port, "/metrics")
        return sum(float(line.split()[-1]) for line in text.decode().splitlines()
                   if line.startswith("gatehouse_issuances_total") and "issued" in line)

    def load(self, seconds, clients, count=10**9, unwell=0, revoke=0):
        names = f"s{os.urandom(3).hex()}.soak.test"
        return subprocess.Popen(
            [servers.BUILD / "gatehouse-load", "--directory", self.running.directory, "--pid", str(self.pid), "--clients",
             str(clients), "--count", str(count), "--seconds", str(int(seconds)), "--stall", "90", "--patience", "90", "--poll",
             "100", "--unwell", str(unwell), "--revoke", str(revoke), "--come-back", "--dns-port",
             str(self.running.dns_port), "--http-port", str(self.running.http_port), "--suffix", names, "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def figures_of(load):
    out, problems = load.communicate()
    if not out:
        raise Failed("the load generator failed: " + problems)
    return json.loads(out)


class Watch(threading.Thread):
    """Samples of the process: seconds, resident MiB, descriptors, threads, write-ahead log MiB, certificates."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.ended, self.samples = server, threading.Event(), []
        self.began = time.monotonic()

    def run(self):
        while not self.ended.wait(SAMPLE_SECONDS):
            with contextlib.suppress(OSError, KeyError):  # the process is gone: the checks will say so
                self.samples.append(self.sample())

    def sample(self):
        process = pathlib.Path(f"/proc/{self.server.pid}")
        status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
        wal = self.server.gatehouse.database.with_name("gatehouse.db-wal")
        return {"at": time.monotonic() - self.began, "rss": int(status["VmRSS"].split()[0]) / 1024,
                "descriptors": len(os.listdir(process / "fd")), "threads": int(status["Threads"]),
                "wal": wal.stat().st_size / 2**20 if wal.exists() else 0, "certificates": self.server.issued()}

    def stop(self):
        self.ended.set()
        self.join()


class Faults(threading.Thread):
    """One round of faults after the other until `end`. What must not be is in `problems`."""

    def __init__(self, server, disk, folder, end, length):
        super().__init__(daemon=True)
        self.server, self.disk, self.folder, self.end, self.length = server, disk, folder, end, length
        self.counts, self.problems, self.recoveries = collections.Counter(), [], []

    def run(self):
        number = 0
        while time.monotonic() + self.length <= self.end:
            began = time.monotonic()
            steps = [self.storm, self.revoke, self.silent_connections,
                     lambda: self.full_disk(FLOOR // 2 if number % 2 == 0 else 0)]
            if number % 5 == 1:
                steps.append(self.backup)
            for i, step in enumerate(steps):
                wait = began + self.length * (i + 0.5) / (len(steps) + 0.5) - time.monotonic()
                time.sleep(max(0, wait))
                try:
                    step()
                except (Failed, OSError, subprocess.SubprocessError) as error:
                    self.problems.append(str(error))
            number += 1
            self.counts["rounds"] += 1
            time.sleep(max(0, began + self.length - time.monotonic()))

    def storm(self):
        for _ in range(SIGNALS):
            os.kill(self.server.pid, signal.SIGHUP)
            time.sleep(0.02)
        self.counts["SIGHUP"] += SIGNALS

    def revoke(self):
        for certificate in self.server.documents("certificate", "list", "--limit", "5"):
            # Its client may be the first; two revocations are one.
            with contextlib.suppress(Failed):
                self.server.command("certificate", "revoke", certificate["serial"], "--reason", "superseded")
                self.counts["revocations by the operator"] += 1

    def silent_connections(self):
        with contextlib.ExitStack() as connections:
            for _ in range(SILENT_CONNECTIONS):
                connection = socket.create_connection(("127.0.0.1", self.server.gatehouse.port), timeout=5)
                connections.enter_context(connection)
            time.sleep(3)
        self.counts["silent connections"] += SILENT_CONNECTIONS

    def full_disk(self, left):
        if isinstance(self.disk, str):
            return
        noticed = False
        end = time.monotonic() + FULL_SECONDS
        try:
            while time.monotonic() < end:
                self.disk.fill_up_to(left)
                noticed = noticed or "disk" in str(self.server.status()["issuance_stopped"])
                time.sleep(0.2)
        finally:
            self.disk.empty()
        began = time.monotonic()
        if not noticed:
            self.problems.append(f"with {left} octets left on the disk issuance did not stop")
        while self.server.status()["issuance_stopped"]:
            if time.monotonic() - began > RECOVERY_SECONDS:
                self.problems.append(f"{RECOVERY_SECONDS} s after there was room again issuance is still stopped")
                break
            time.sleep(0.1)
        self.recoveries.append(time.monotonic() - began)
        self.counts["full disks"] += 1

    def backup(self):
        to = self.folder / "backup.db"
        self.server.command("backup", str(to))
        to.unlink()
        self.counts["backups"] += 1


def slope(points):
    """Theil and Sen: the median of the slopes between all pairs, which a few odd samples do not move."""
    step = max(1, len(points) // 300)
    points = points[::step]
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for i, a in enumerate(points) for b in points[i + 1:] if b[0] > a[0]]
    return statistics.median(slopes) if slopes else 0.0


class Checks:
    def __init__(self):
        self.failed = []

    def check(self, what, found, good):
        print(f"  {'ok    ' if good else 'FAILED'}  {what}: {found}", flush=True)
        if not good:
            self.failed.append(f"{what}: {found}")

    def guarded(self, what, check):
        """`check` gives what it found and whether that is good."""
        try:
            self.check(what, *check())
        except (Failed, OSError, subprocess.SubprocessError, sqlite3.Error, KeyError, ValueError) as error:
            self.check(what, f"{type(error).__name__}: {error}", False)


def memory(samples):
    late = samples[int(len(samples) * WARM_UP_SHARE):]
    if len(late) < 10:
        return "too few samples", False
    span = late[-1]["at"] - late[0]["at"]
    growth = slope([(each["at"], each["rss"]) for each in late]) * span
    median = statistics.median(each["rss"] for each in late)
    bound = max(GROWTH_MIB, GROWTH_SHARE * median)
    certificates = late[-1]["certificates"] - late[0]["certificates"]
    return (f"{median:.1f} MiB in the middle, {max(each['rss'] for each in samples):.1f} at most; grew by {growth:+.1f} MiB in the last "
            f"{span / 60:.1f} min and {certificates:.0f} certificates (bound: {bound:.1f})"), growth <= bound


def descriptors(samples, before, after, clients):
    most = max(each["descriptors"] for each in samples)
    late = samples[int(len(samples) * WARM_UP_SHARE):]
    growth = slope([(each["at"], each["descriptors"]) for each in late]) * (late[-1]["at"] - late[0]["at"])
    bound = before + clients + SILENT_CONNECTIONS + DESCRIPTORS_MORE
    return (f"{before} before, {most} at most (bound: {bound}), {after} afterwards (bound: {before + DESCRIPTORS_LEFT}); along "
            f"the line {growth:+.1f}"), most <= bound and after <= before + DESCRIPTORS_LEFT and growth <= DESCRIPTORS_LEFT


def drained(server):
    """No work is left but what stands in a calendar."""
    began = time.monotonic()
    while True:
        status = server.status()
        waiting = {job["kind"]: job["waiting"] for job in status["jobs"] if job["kind"] not in STANDING_JOBS}
        took = time.monotonic() - began
        if not waiting:
            return f"nothing is left to be done {took:.1f} s after the load", not status["parked"]
        if took > DRAIN_SECONDS:
            return f"after {took:.0f} s there still wait {waiting}", False
        time.sleep(0.2)


def orders(server):
    """Every order has come to its end, or is shown with a reason."""
    count = collections.Counter()
    unexplained = []
    for order in server.documents("order", "list"):
        count[order["status"]] += 1
        if order["status"] in FINAL:
            continue
        story = server.documents("order", "show", order["id"])[0]
        if order["status"] == "processing" or not story["why"]:
            unexplained.append(order["id"])
        else:
            print(f"          {order['id']} is {order['status']}: {story['why'][0]}")
    found = ", ".join(f"{number} {status}" for status, number in sorted(count.items()))
    return found + (f"; stuck: {unexplained[:5]}" if unexplained else ""), not unexplained


def revocations(server, told):
    """As many as clients and operator were told of, and the CRL says the same."""
    revoked = {each["serial"] for each in server.documents("certificate", "list") if each["revocation"]}
    url = server.status()["issuers"][0]["crls"][0]["url"]
    path = "/" + url.split("/", 3)[3]
    _, crl = server.answer(server.gatehouse.public_port, path)
    text = subprocess.run(["openssl", "crl", "-inform", "DER", "-noout", "-text"], input=crl, capture_output=True, check=True)
    on_crl = text.stdout.decode().count("Serial Number:")
    return f"{told} told, {len(revoked)} in the database, {on_crl} on the CRL", told <= len(revoked) == on_crl


def again(server):
    figures = figures_of(server.load(30, 1, count=5))
    return (f"{figures['certificates']} certificates more, {figures['failures']} failures {figures['first_failures']}",
            figures["certificates"] == 5 and figures["failures"] == 0)


def ready(server):
    status, text = server.answer(server.gatehouse.operations_port, "/readyz")
    return f"{status} {text.decode().strip()[:100]}", status == 200


def stopped(server):
    process = server.running.process
    began = time.monotonic()
    process.terminate()
    try:
        code = process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return f"still runs after {STOP_SECONDS} s", False
    return f"exit {code} after {time.monotonic() - began:.1f} s", code == 0


def sound(database):
    with contextlib.closing(sqlite3.connect(database)) as connection:
        found = connection.execute("PRAGMA integrity_check").fetchone()[0]
        open_orders = connection.execute("SELECT count(*) FROM orders WHERE finalized_at IS NOT NULL AND certificate_id IS NULL "
                                         "AND error IS NULL").fetchone()[0]
    size = database.stat().st_size / 2**20
    return f"{found}, {size:.0f} MiB; {open_orders} orders finalized without an outcome", found == "ok" and open_orders == 0


def log_events(file):
    """What the log says above info, and whether there is a bug among it."""
    events = collections.Counter()
    with open(file, errors="replace") as lines:
        for line in lines:
            if '"level":"info"' in line[:80] or not line.startswith("{"):
                continue
            entry = json.loads(line)
            events[(entry["level"], entry["event"])] += 1
    bugs = [event for _, event in events if event.endswith(".bug")]
    found = ", ".join(f"{event} ({level}) {number}" for (level, event), number in events.most_common())
    return found or "nothing above info", not bugs


def print_samples(samples):
    print("\n   minute  certificates      /s   RSS MiB  descriptors  threads   WAL MiB")
    step = max(1, len(samples) // 12)
    for earlier, each in zip(samples[::step], samples[step::step]):
        rate = (each["certificates"] - earlier["certificates"]) / (each["at"] - earlier["at"])
        print(f"  {each['at'] / 60:7.1f} {each['certificates']:13.0f} {rate:7.1f} {each['rss']:9.1f} {each['descriptors']:12} "
              f"{each['threads']:8} {each['wal']:9.1f}")


def soak(folder, home, disk, options):
    gatehouse = servers.Gatehouse(home, {
        "profiles.default.allowed_addresses": ["127.0.0.0/8"],
        # Names that are unwell should have their end within the run.
        "resolver.timeout": "1s", "resolver.tries": 2, "validators.http01.timeout_seconds": 2, "validation.gap": "1s"})
    gatehouse.folder = folder  # the log has no place on a full disk
    server = Soaked(gatehouse)
    seconds = options.minutes * 60
    if isinstance(disk, str):
        print(f"no full disk in this run: {disk}")
    try:
        figures_of(server.load(60, options.clients, count=20 * options.clients))  # readers, lanes, allocator
        watch = Watch(server)
        before = statistics.median(watch.sample()["descriptors"] for _ in range(5))
        print(f"{options.clients} clients for {options.minutes:g} min, {options.unwell} % of their names unwell, {options.revoke} % of "
              f"the certificates revoked; log and database in {folder}", flush=True)
        end = time.monotonic() + seconds
        faults = Faults(server, disk, folder, end, min(ROUND_SECONDS, max(20, seconds / 4)))
        load = server.load(seconds, options.clients, unwell=options.unwell, revoke=options.revoke)
        watch.start()
        faults.start()
        figures = figures_of(load)
        faults.join()
        watch.stop()
    except BaseException:
        server.running.stop()
        raise
    return report(server, faults, figures, watch, before, options)


def report(server, faults, figures, watch, before, options):
    print_samples(watch.samples)
    print(f"\n  load    {figures['certificates']} certificates ({figures['certificates_per_second']:.1f}/s), "
          f"{figures['told_to_come_back']} times told to come back, {figures['revocations']} revoked by clients, unwell names: "
          + ", ".join(f"{number} {kind}" for kind, number in figures["unwell"].items()))
    print("  faults  " + ", ".join(f"{number} {what}" for what, number in faults.counts.items()))
    if faults.recoveries:
        print(f"          issuance goes on {max(faults.recoveries):.1f} s after there is room at the latest")
    print(flush=True)
    checks = Checks()
    well = figures["failures"] == 0 and not figures["stalled"] and figures["certificates"] > 0
    checks.check("clients", f"{figures['failures']} failures {figures['first_failures'] or ''}"
                 + (", stalled" if figures["stalled"] else ""), well)
    checks.check("faults", faults.problems or "each was noticed and got over", not faults.problems)
    checks.guarded("drain", lambda: drained(server))
    checks.guarded("memory", lambda: memory(watch.samples))
    checks.guarded("descriptors", lambda: descriptors(watch.samples, before, watch.sample()["descriptors"], options.clients))
    checks.guarded("orders", lambda: orders(server))
    told = figures["revocations"] + faults.counts["revocations by the operator"]
    checks.guarded("revocations", lambda: revocations(server, told))
    checks.guarded("issuance", lambda: again(server))
    checks.guarded("readiness", lambda: ready(server))
    checks.guarded("audit trail", lambda: (server.command("audit", "verify").strip(), True))
    checks.guarded("SIGTERM", lambda: stopped(server))
    checks.guarded("database", lambda: sound(server.gatehouse.database))
    checks.guarded("log", lambda: log_events(server.running.log))
    if checks.failed:
        print(f"\nsoak: {len(checks.failed)} of the checks failed:")
        for each in checks.failed:
            print("  " + each)
        return 1
    print("\nsoak: everything is as it should be")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--unwell", type=int, default=5, help="in a hundred: names that cannot be proved, or late")
    parser.add_argument("--revoke", type=int, default=2, help="in a hundred: certificates that their client revokes")
    parser.add_argument("--folder", default="/var/tmp", help="where the run has its folder: on a disk")
    parser.add_argument("--keep", action="store_true", help="keep log and database, as a run with a failure does")
    options = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="gatehouse-soak-", dir=options.folder))
    failed = 1
    try:
        with home_folder(folder, options.minutes) as (home, disk):
            failed = soak(folder, home / "home", disk, options)
            if failed and not isinstance(disk, str):
                shutil.copytree(home / "home", folder / "home", ignore=shutil.ignore_patterns("*.sock"))
        return failed
    finally:
        if failed or options.keep:
            (folder / "disk.img").unlink(missing_ok=True)
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
