"""What must be true of a server when bench/soak.py has had it: bench/README.md has the table."""
import collections
import contextlib
import json
import sqlite3
import statistics
import subprocess
import time

from soak_server import SILENT_CONNECTIONS, Failed, figures_of

DRAIN_SECONDS = 60
STOP_SECONDS = 30
# What caches and pools fill is not held against the server: the first part of the samples.
WARM_UP_SHARE = 1 / 3
# What memory may grow by over the rest, along the line through the samples, in MiB and as a share of what it is.
GROWTH_MIB = 12
GROWTH_SHARE = 0.15
# A run shorter than this is warm-up for the most part.
SHORT_SECONDS = 600
SHORT_GROWTH_MIB = 32
# Beyond one for each connection: both ends of what runs in lanes, the store's readers.
DESCRIPTORS_MORE = 128
DESCRIPTORS_LEFT = 16  # a reader is opened when it is wanted, with two each
STANDING_JOBS = {"maintenance", "own_certificate", "prune", "publish_crl"}
FINAL = ("valid", "invalid")


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
    bound = max(SHORT_GROWTH_MIB if late[-1]["at"] < SHORT_SECONDS else GROWTH_MIB, GROWTH_SHARE * median)
    certificates = late[-1]["certificates"] - late[0]["certificates"]
    return (f"{median:.1f} MiB in the middle, {max(each['rss'] for each in samples):.1f} at most; grew by {growth:+.1f} MiB in the last "
            f"{span / 60:.1f} min and {certificates:.0f} certificates (bound: {bound:.1f})"), growth <= bound


def descriptors(samples, before, after, clients):
    if before < 0:
        return "not looked at: only root can", True
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
