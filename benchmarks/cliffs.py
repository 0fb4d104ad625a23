"""Cliffs of time and memory: one direction at a time beside the best peer, and how fast each grows.

    env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE python benchmarks/cliffs.py [--direction outputs] [--limit 60] [--quick]

What grows in a direction, and who does what on it, stands in `cliff_directions.py`. Each contestant has a process of its own
for each size, with a limit on time and on memory; tasks run there one after the other, each as often as half a second allows,
and the shortest counts. Memory is what the peak has risen by during the task. The ratio is that of our time to the best
peer's; one beside less than 50 ms of ours is told and not counted among the worst. The exponent is the slope of log time in
log size between the two largest sizes done.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import time
import warnings
from dataclasses import dataclass

import numpy as np
import scipy
import sklearn
import statsmodels
from cliff_directions import DIRECTIONS
from threadpoolctl import threadpool_info

REPEAT_SECONDS = 0.5
NOTICED_SECONDS = 0.05
MEMORY_BYTES = 8 * 2**30


@dataclass(frozen=True)
class Timing:
    """Seconds and MiB of a task; ``note`` in their place where it did not end."""

    seconds: float
    mebibytes: float
    note: str = ""


def measure(direction: str, size: int, contestant: str) -> None:
    """Run the tasks of one contestant, and print a line of JSON at the begin and the end of each."""
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    rows = DIRECTIONS[direction].build(size)
    for task, run in DIRECTIONS[direction].contestants[contestant](rows):
        print(json.dumps({"task": task}), flush=True)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        best = spent = np.inf
        count = 0
        while count == 0 or (spent < REPEAT_SECONDS and count < 20):
            start = time.perf_counter()
            run()
            last = time.perf_counter() - start
            best, spent, count = min(best, last), last + (spent if count else 0.0), count + 1
        risen = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**10
        print(json.dumps({"task": task, "seconds": best, "mebibytes": risen}), flush=True)


def timings(direction: str, size: int, contestant: str, limit: float) -> dict[str, Timing]:
    """Timings by task, measured in a process of its own."""
    command = [sys.executable, __file__, "--measure", direction, str(size), contestant]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit)
        output, failure = done.stdout, done.stderr.strip().splitlines()[-1][:60] if done.returncode else ""
    except subprocess.TimeoutExpired as expired:
        output = expired.stdout.decode() if isinstance(expired.stdout, bytes) else expired.stdout or ""
        failure = f"over {limit:.0f} s"
    found = {}
    for line in output.splitlines():
        entry = json.loads(line)
        if "seconds" in entry:
            found[entry["task"]] = Timing(entry["seconds"], entry["mebibytes"])
        else:
            found[entry["task"]] = Timing(np.inf, np.nan, failure)
    return found


def exponent(of_size: dict[int, float]) -> float:
    """Slope of log time in log size between the two largest sizes that were done."""
    done = [(size, seconds) for size, seconds in sorted(of_size.items()) if np.isfinite(seconds)]
    if len(done) < 2:
        return np.nan
    (small, before), (large, after) = done[-2:]
    return float(np.log(after / before) / np.log(large / small))


def shown(timing: Timing) -> str:
    return timing.note or f"{1e3 * timing.seconds:,.1f} ms{timing.mebibytes:8,.0f} MiB"


def tabulated(name: str, limit: float, quick: bool) -> list[str]:
    """Measure one direction and print its table; return the lines of the closing table."""
    direction = DIRECTIONS[name]
    ours: dict[str, dict[int, float]] = {}
    best: dict[str, dict[int, float]] = {}
    print(f"\n{name}: {direction.grows}")
    for size in direction.quick if quick else direction.sizes:
        found = {who: timings(name, size, who, limit) for who in direction.contestants}
        for task, timing in found["ours"].items():
            peers = {who: tasks[task] for who, tasks in found.items() if who != "ours" and task in tasks}
            peers = {who: timing for who, timing in peers.items() if not timing.note}
            peer = min(peers, key=lambda who: peers[who].seconds, default=None)
            ours.setdefault(task, {})[size] = timing.seconds
            line = f"  {size:>9,} {task:12s}{shown(timing):>26s}"
            if peer is not None:
                best.setdefault(task, {})[size] = peers[peer].seconds
                ratio = timing.seconds / peers[peer].seconds
                line += f"   {peer:16s}{shown(peers[peer]):>26s}   x {ratio:.2f}"
            print(line, flush=True)
    return [closing_line(name, task, ours[task], best.get(task, {})) for task in ours]


def closing_line(name: str, task: str, ours: dict[int, float], best: dict[int, float]) -> str:
    ratios = {size: ours[size] / best[size] for size in best if ours[size] >= NOTICED_SECONDS}
    worst = max(ratios, key=lambda size: ratios[size], default=None)
    told = f"{'-':>8s}{'':>14s}" if worst is None else f"{ratios[worst]:8.2f}{f'at {worst:,}':>14s}"
    return f"  {name:18s}{task:12s}{told}   exponent {exponent(ours):6.2f}, of the peer {exponent(best):6.2f}"


def environment() -> str:
    blas = ", ".join(
        f"{lib['internal_api']} {lib['version']} {lib.get('architecture', '')} ({lib['num_threads']} threads)"
        for lib in threadpool_info()
        if lib["user_api"] == "blas"
    )
    versions = ", ".join(f"{module.__name__} {module.__version__}" for module in (np, scipy, sklearn, statsmodels))
    return f"{platform.machine()}, {platform.release()}, Python {platform.python_version()}, {versions}; {blas}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--direction", action="append", choices=DIRECTIONS, help="may be given several times; all by default"
    )
    parser.add_argument("--limit", type=float, default=60.0, help="seconds for one contestant at one size")
    parser.add_argument("--quick", action="store_true", help="two small sizes of each direction, to see that all runs")
    parser.add_argument("--measure", nargs=3, metavar=("DIRECTION", "SIZE", "CONTESTANT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        direction, size, contestant = options.measure
        measure(direction, int(size), contestant)
        return
    print(environment())
    closing = [
        line for name in options.direction or DIRECTIONS for line in tabulated(name, options.limit, options.quick)
    ]
    print(f"\nworst ratio of our time to the best peer's, where ours is {1e3 * NOTICED_SECONDS:.0f} ms or more")
    print("\n".join(closing))


if __name__ == "__main__":
    main()
