#!/usr/bin/python3
"""Breaks one line at a time and asks whether a test notices.

Draws mutants by a seed from all conditions of the files in table.py, in a copy of the tree with a build folder of its
own. A mutant is killed when a test of its module fails or hangs; one that does not compile is drawn again and not
counted. Exit status: 0 when every mutant was killed, 1 when one survived, 2 when there was nothing to try.
"""
import argparse
import difflib
import os
import random
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from mutator import applied, mutants_of  # noqa: E402
from table import TABLE  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def drawn(candidates, seed):
    """All of them, in the order that the seed says."""
    order = list(candidates)
    random.Random(seed).shuffle(order)
    return order


def copy_tree(to):
    """The tree as it is now, uncommitted changes included; an unchanged file keeps its time, and its object."""
    listed = subprocess.run(["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=ROOT, check=True,
                            capture_output=True).stdout.decode().split("\0")
    names = {name for name in listed if name and os.path.isfile(os.path.join(ROOT, name))}
    for name in names:
        source, target = os.path.join(ROOT, name), os.path.join(to, name)
        if os.path.isfile(target) and read(target, "rb") == read(source, "rb"):
            continue
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copy(source, target)
    for folder, _, files in os.walk(to):
        for file in files:
            path = os.path.join(folder, file)
            if os.path.relpath(path, to) not in names:
                os.remove(path)


def read(path, mode="r"):
    with open(path, mode) as file:
        return file.read()


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


def configure(tree, build):
    subprocess.run(["cmake", "-S", tree, "-B", build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Debug",
                    "-DCMAKE_CXX_FLAGS_DEBUG=-O0"], check=True, stdout=subprocess.DEVNULL)


def ends_well(command, folder, limit, kill_with):
    """Whether `command` succeeds within `limit` seconds (none: however long it takes). When it is out of time, or we are
    told to stop, it and all that it started get `kill_with`."""
    process = subprocess.Popen(command, cwd=folder, start_new_session=True, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    try:
        return process.wait(limit) == 0
    except subprocess.TimeoutExpired:
        return False
    finally:
        if process.returncode is None:
            os.killpg(process.pid, kill_with)
            process.wait()


def compiles(build, tests):
    # Ninja itself, which on SIGTERM removes what was half built: an object of the mutant, younger than the file that was
    # put back, would be taken for the file's own.
    return ends_well(["ninja", *(test + "_test" for test in tests)], build, None, signal.SIGTERM)


def passes(build, test, limit):
    return ends_well([os.path.join(build, test + "_test"), "--no-version", "--abort-after=1"], build, limit,
                     signal.SIGKILL)


class Trial:
    """A tree and its build folder, and how long each test takes there when nothing is broken."""

    def __init__(self, tree, build):
        self.tree, self.build, self.limits = tree, build, {}

    def limit(self, test):
        if test not in self.limits:
            begun = time.monotonic()
            if not compiles(self.build, [test]) or not passes(self.build, test, None):
                raise SystemExit(f"mutants: {test}_test does not pass as it is; mend that first")
            self.limits[test] = 30 + 5 * (time.monotonic() - begun)
        return self.limits[test]

    def try_out(self, path, mutant):
        """"killed", "survived" or "no code". The file is as it was afterwards, whatever happens."""
        tests = TABLE[path]
        limits = [self.limit(test) for test in tests]
        place = os.path.join(self.tree, path)
        text = read(place)
        try:
            write(place, applied(text, mutant))
            if not compiles(self.build, tests):
                return "no code"
            survived = all(passes(self.build, test, limit) for test, limit in zip(tests, limits))
            return "survived" if survived else "killed"
        finally:
            write(place, text)


def show(path, mutant):
    name = f"{path}:{mutant.line}"
    print(f"\nsurvived: {name} ({mutant.rule})")
    print("\n".join(difflib.unified_diff([mutant.before], [mutant.after], name, name, lineterm="", n=0)), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--only", default="", help="files whose path contains one of these, between commas")
    parser.add_argument("--work", default=os.path.join(ROOT, "build", "mutants"), help="where the copy is made")
    parser.add_argument("--built-copy", metavar="TREE",
                        help="use this copy of the tree and its build/dev in place of making one")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that `finally` puts the file back
    if given.built_copy:
        trial = Trial(given.built_copy, os.path.join(given.built_copy, "build", "dev"))
    else:
        trial = Trial(os.path.join(given.work, "tree"), os.path.join(given.work, "build"))
        copy_tree(trial.tree)
        configure(trial.tree, trial.build)
    candidates = [(path, mutant) for path in sorted(TABLE) if any(part in path for part in given.only.split(","))
                  for mutant in mutants_of(read(os.path.join(trial.tree, path)))]
    print(f"mutants: SEED={given.seed} COUNT={given.count}, of {len(candidates)}", flush=True)
    counts = {"killed": 0, "survived": 0, "no code": 0}
    for path, mutant in drawn(candidates, given.seed):
        if counts["killed"] + counts["survived"] == given.count:
            break
        outcome = trial.try_out(path, mutant)
        counts[outcome] += 1
        if outcome == "survived":
            show(path, mutant)
        elif outcome == "killed":
            print(f"killed: {path}:{mutant.line} ({mutant.rule})", flush=True)
    tried = counts["killed"] + counts["survived"]
    print(f"\nmutants: {counts['killed']} of {tried} killed; {counts['no code']} more did not compile")
    return 2 if tried == 0 else int(counts["survived"] > 0)


if __name__ == "__main__":
    sys.exit(main())
