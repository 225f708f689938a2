#!/usr/bin/env python3
"""Keeps a release server busy for a while, breaks things around it meanwhile, and looks whether it is sound afterwards.

  bench/soak.py --minutes 30

Clients order, prove, download and revoke all the time; among their names are some whose DNS answers come late or never,
and some whose address refuses connections or takes them and says nothing. In each round come besides: a storm of SIGHUP,
revocations by the operator, connections that say nothing, a full disk (down to the floor, or to the last octet), a
backup. bench/README.md says what is checked at the end. Exit status 1 when one of the checks fails."""
import argparse
import pathlib
import shutil
import statistics
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import servers  # noqa: E402
import soak_checks as checks  # noqa: E402
from soak_server import Failed, Faults, Soaked, Watch, figures_of, home_folder  # noqa: E402

ROUND_SECONDS = 60


def print_samples(samples):
    print("\n   minute  certificates      /s   RSS MiB  descriptors  threads   WAL MiB")
    step = max(1, len(samples) // 12)
    for earlier, each in zip(samples[::step], samples[step::step]):
        rate = (each["certificates"] - earlier["certificates"]) / (each["at"] - earlier["at"])
        print(f"  {each['at'] / 60:7.1f} {each['certificates']:13.0f} {rate:7.1f} {each['rss']:9.1f} {each['descriptors']:12} "
              f"{each['threads']:8} {each['wal']:9.1f}")


def keep_programs(folder):
    """Copies: whoever builds meanwhile changes nothing."""
    (folder / "bin").mkdir()
    for name in ("gatehouse", "gatehouse-load"):
        shutil.copy2(servers.BUILD / name, folder / "bin")
    servers.BUILD = folder / "bin"


def soak(folder, home, disk, options):
    keep_programs(folder)
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
    held = checks.Checks()
    well = figures["failures"] == 0 and not figures["stalled"] and figures["certificates"] > 0
    held.check("clients", f"{figures['failures']} failures {figures['first_failures'] or ''}"
               + (", stalled" if figures["stalled"] else ""), well)
    held.check("faults", faults.problems or "each was noticed and got over", not faults.problems)
    held.guarded("drain", lambda: checks.drained(server))
    held.guarded("memory", lambda: checks.memory(watch.samples))
    held.guarded("descriptors", lambda: checks.descriptors(watch.samples, before, watch.sample()["descriptors"], options.clients))
    held.guarded("orders", lambda: checks.orders(server))
    told = figures["revocations"] + faults.counts["revocations by the operator"]
    held.guarded("revocations", lambda: checks.revocations(server, told))
    held.guarded("issuance", lambda: checks.again(server))
    held.guarded("readiness", lambda: checks.ready(server))
    held.guarded("audit trail", lambda: (server.command("audit", "verify").strip(), True))
    held.guarded("SIGTERM", lambda: checks.stopped(server))
    held.guarded("database", lambda: checks.sound(server.gatehouse.database))
    held.guarded("log", lambda: checks.log_events(server.running.log))
    if held.failed:
        print(f"\nsoak: {len(held.failed)} of the checks failed:")
        for each in held.failed:
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
    except Failed as failure:
        print(f"soak: {failure}")
        return 1
    finally:
        if failed or options.keep:
            (folder / "disk.img").unlink(missing_ok=True)
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
