"""The report, as Markdown on standard output; progress goes to standard error."""

from __future__ import annotations

import argparse
import gc
import json
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import (
    answers,
    batches,
    brokers,
    consumers,
    fault_costs,
    finding,
    frameworks,
    fuzzing,
    inside,
    overhead,
    power,
    scaling,
    startup,
    throughput,
)
from benchmarks.machine import machine
from benchmarks.measure import COMPILED, Section, say

QUESTIONS: dict[str, Callable[[bool], Section]] = {
    "throughput": throughput.measure,
    "brokers": brokers.measure,
    "overhead": overhead.measure,
    "finding": finding.measure,
    "startup": startup.measure,
    "scaling": scaling.measure,
    "fuzzing": fuzzing.measure,
    "answers": answers.measure,
    "batches": batches.measure,
    "consumers": consumers.measure,
    "frameworks": frameworks.measure,
    "inside": inside.measure,
    "power": power.measure,
    "faults": fault_costs.measure,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="What chaoskit claims, measured.")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    parser.add_argument("--only", action="append", choices=QUESTIONS, metavar="NAME", help=", ".join(QUESTIONS))
    parser.add_argument("--save", metavar="FILE", help="write the ratios to this file, too")
    parser.add_argument("--beside", metavar="FILE", help="show these ratios beside those that are measured now")
    asked = parser.parse_args()
    build = "compiled models" if COMPILED else "pure Python"
    print(f"Measured on: {machine()}; {build}.\n", flush=True)
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
    ratios = {f"{section.title}: {row.what}": row.ratio for section in sections for row in section.rows}
    if asked.save:
        Path(asked.save).write_text(json.dumps(ratios), encoding="utf-8")
    if asked.beside:
        print(side_by_side(json.loads(Path(asked.beside).read_text(encoding="utf-8")), ratios))
    print(f"Expected and met: {met} of {len(rows)}. Took {time.perf_counter() - started:.0f} s.")


def side_by_side(pure: dict[str, float], compiled: dict[str, float]) -> str:
    """The ratios of two reports in one table."""
    rows = [f"| {name} | {pure[name]:.2f}x | {ratio:.2f}x |" for name, ratio in compiled.items() if name in pure]
    return "\n".join(["### Pure and compiled", "", "| | pure | compiled |", "|---|--:|--:|", *rows, ""])


if __name__ == "__main__":
    main()
