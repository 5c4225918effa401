"""The report, as Markdown on standard output; progress goes to standard error."""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Callable

from benchmarks import brokers, finding, fuzzing, overhead, scaling, startup, throughput
from benchmarks.machine import machine
from benchmarks.measure import Section, say

QUESTIONS: dict[str, Callable[[bool], Section]] = {
    "throughput": throughput.measure,
    "brokers": brokers.measure,
    "overhead": overhead.measure,
    "finding": finding.measure,
    "startup": startup.measure,
    "scaling": scaling.measure,
    "fuzzing": fuzzing.measure,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="What chaoskit claims, measured.")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    parser.add_argument("--only", action="append", choices=QUESTIONS, metavar="NAME", help=", ".join(QUESTIONS))
    asked = parser.parse_args()
    print(f"Measured on: {machine()}.\n", flush=True)
    started = time.perf_counter()
    sections = []
    for name in asked.only or QUESTIONS:
        began = time.perf_counter()
        gc.collect()
        gc.freeze()  # what earlier questions left behind does not make the collector slower in this one
        sections.append(QUESTIONS[name](asked.quick))
        print(sections[-1].markdown(), flush=True)
        say(f"{name}: {time.perf_counter() - began:.0f} s")
    rows = [row for section in sections for row in section.rows if row.expected is not None]
    met = sum(row.met for row in rows)
    print(f"Expected and met: {met} of {len(rows)}. Took {time.perf_counter() - started:.0f} s.")


if __name__ == "__main__":
    main()
