"""How often a planted mistake is named right: `python -m benchmarks.diagnosis`.

Every mistake of the corpus (tests/planted) in every network it fits, given to compare_grads in three ways: as
arrays with the intermediates, as arrays of the parameters' gradients only, and as functions.  A hit is the
right name among the at most two for the right gradient, the first wrong one.  Beside it: how often that gradient
was found, whatever it was called.  Once in the networks of the tests, and once in random ones.  Then random networks
with right gradients: what is said against those is a false alarm.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from planted import KEYS, Planted, as_arrays, as_functions, cases, correct

from tinygrad_np.testing import compare_grads

WAYS = ("arrays", "parameters only", "functions")


def arguments(case: Planted, way: str):
    """What compare_grads is given, or None where the mistake cannot be seen this way."""
    if case.mistake.only and not way.startswith(case.mistake.only) and way != "parameters only":
        return None
    if way == "parameters only" and case.wrong() and not case.first(intermediates=False):
        return None
    if way == "functions":
        return case.as_functions()
    if case.mistake.only == "functions":
        return None
    return case.as_arrays(intermediates=way == "arrays")


def outcome(case: Planted, report, way: str) -> tuple[bool, bool]:
    """Whether the mistake was named right, and whether the first wrong gradient was found."""
    if case.mistake.key == "rounding":
        return report.ok, report.ok
    found = {finding.mistake for finding in report.findings.get(report.first_wrong, [])}
    placed = report.first_wrong in case.first(way != "parameters only")
    return placed and bool(found & set(case.keys)), placed


def misses(chosen: list[Planted], way: str, show: bool) -> tuple[Counter, list[str]]:
    """Counts of some cases, and lines on those that were not named right."""
    count, lines = Counter(), []
    for case in chosen:
        given = arguments(case, way)
        if given is None:
            continue
        try:
            report = compare_grads(*given, numeric=False)
            hit, placed = outcome(case, report, way)
            said = [f.mistake for f in report.findings.get(report.first_wrong, [])]
            text = f"{report.first_wrong} {' or '.join(said) or 'ok'}"
        except Exception as error:
            hit = placed = False
            text = f"{type(error).__name__}: {str(error)[:100]}"
        count.update(all=1, hits=int(hit), placed=int(placed))
        if show and not hit:
            lines.append(f"      {case}: {text}, not {' or '.join(case.first(way != 'parameters only'))}")
    return count, lines


def false_alarms(networks: int) -> list[str]:
    """Networks with right gradients that something was said against, by hand as arrays and as functions."""
    found = []
    for seed in range(networks):
        net = correct(seed)
        for way, make in (("arrays", as_arrays), ("functions", as_functions)):
            report = compare_grads(*make(net, net.arrays(seed)), numeric=False)
            if not report.ok or report.findings:
                found.append(f"{net} ({way}): {report.first_wrong} {report.why[:100]}")
    return found


def table(chosen: dict[str, list[Planted]], show: bool) -> None:
    """Print the hits of each mistake, and of all."""
    totals = {way: Counter() for way in WAYS}
    print(f"{'':28}" + "".join(f"{way:>26}" for way in WAYS))
    for key, some in chosen.items():
        cells, lines = [], []
        for way in WAYS:
            count, missed = misses(some, way, show)
            totals[way] += count
            cells.append(cell(count))
            lines += [f"    {way}", *missed] if missed else []
        print("\n".join([f"{key:28}" + "".join(cells), *lines]), flush=True)
    print(f"{'in all':28}" + "".join(cell(total) for total in totals.values()))


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.diagnosis", description=__doc__)
    parser.add_argument("--only", choices=KEYS, metavar="KEY", help="one mistake, such as sign")
    parser.add_argument("--misses", action="store_true", help="name the cases that were not named right")
    parser.add_argument("--sample", type=int, default=1, metavar="N", help="every N-th case")
    parser.add_argument("--networks", type=int, default=200, metavar="N", help="random networks (default 200)")
    options = parser.parse_args()
    keys = [key for key in KEYS if options.only in (None, key)]
    start = time.perf_counter()
    print("named right, of all cases (in brackets: the right gradient found, whatever it was called)\n")
    table({key: cases(key)[:: options.sample] for key in keys}, options.misses)
    print("\nthe same in random networks, with widths and batches of 1 to 11, which often coincide\n")
    nets = [correct(seed) for seed in range(1000, 1000 + options.networks)]
    some = {key: cases(key, nets, seed=1) for key in keys}
    table({key: found[:: max(1, len(found) * options.sample // 60)] for key, found in some.items()}, options.misses)
    alarms = false_alarms(options.networks)
    print(f"\nfalse alarms: {len(alarms)} on {options.networks} networks with right gradients, each given both ways")
    print(*alarms, sep="\n", end="\n" if alarms else "")
    print(f"{time.perf_counter() - start:.0f} seconds")


def cell(count: Counter) -> str:
    """Hits of all, in percent, and those found."""
    if not count["all"]:
        return f"{'':26}"
    part = count["hits"] / count["all"]
    return f"{count['hits']:>8} of {count['all']:<5}{part:6.1%} ({count['placed']})".rjust(26)


if __name__ == "__main__":
    main()
