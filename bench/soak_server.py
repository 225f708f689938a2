"""The server that bench/soak.py keeps busy: its commands, the load on it, samples of its process, faults around it."""
import collections
import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request

import servers

FLOOR = 64 << 20  # store.free_space_floor, its default
FULL_SECONDS = 8
RECOVERY_SECONDS = 10
SIGNALS = 40
SILENT_CONNECTIONS = 200
SAMPLE_SECONDS = 1


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


def descriptors_of(process):
    """How many are open; -1 where that is root's to know, since the server lets nobody look into it."""
    try:
        return len(os.listdir(process / "fd"))
    except PermissionError:
        return -1


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
                "descriptors": descriptors_of(process), "threads": int(status["Threads"]),
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
        # Not the newest, which their clients may be about to revoke: those would be told that it is done.
        for certificate in self.server.documents("certificate", "list", "--limit", "500")[-5:]:
            # Its client was the first, then; two revocations are one.
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
