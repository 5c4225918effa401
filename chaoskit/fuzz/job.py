"""A job and its results: plain values that travel between processes and hosts."""

from __future__ import annotations

from typing import Any, Literal

import attrs
import cattrs

from chaoskit.search.question import derive

SLICE = 5.0
"""Seconds that a worker searches one test before it takes the next."""
FIRST_SLICE = 0.5
SHORTEST_SLICE = 0.2

ENDS = "ends"
"""The file that says when a job ends, in seconds of its host's clock that never jumps."""

SliceStatus = Literal["searched", "skipped", "broken"]


@attrs.frozen
class Job:
    """`seed` is the root of all others. `time` is what is left of the job, in seconds; None: until somebody stops it.
    `records`: a directory on the host of the job, in which it writes when it ends, and workers what they are at.
    `shard` of `shards` jobs with the same seed try nothing twice. `left_over`: the names of files with what a job had
    met that was stopped."""

    seed: int
    time: float | None = None
    shard: int = 1
    shards: int = 1
    workers: int = 1
    left_over: tuple[str, ...] = ()
    records: str | None = None

    def seed_of(self, worker: str, number: int) -> int:
        """The seed of a worker's slice of this number: no two slices of a job, or of its shards, share one."""
        return derive(self.seed, f"shard {self.shard} of {self.shards}, worker {worker}, slice {number}")

    def slice(self, number: int, tests: int) -> float:
        """Seconds of the slice of this number of a test: the first are short, so that each of the tests comes soon, and
        all are so short that each has some."""
        length = min(SLICE, FIRST_SLICE * 2.0 ** min(number - 1, 16))  # 16: beyond it the power only overflows
        if self.time is None:
            return length
        # A quarter of what each test can have, so that none is left without a slice.
        return min(length, max(SHORTEST_SLICE, self.time * self.workers / (4 * max(1, tests))))


@attrs.frozen
class Finding:
    """A failure: a name that no other one has, the text of its repro file, the report, and where it comes from:
    "search", "saved" (a file that was there) or "corpus" (another machine found it). `trouble`: why there is no file.
    `github`: what GitHub shows of it, packed, where the job runs there; `line`: that of the test in its file, from 0.
    `saved`: the name of the repro file."""

    name: str
    document: str
    headline: str
    report: str
    source: str = "search"
    trouble: str = ""
    github: str = ""
    file: str = ""
    line: int | None = None
    saved: str = ""


@attrs.frozen
class SliceResult:
    """What came of a slice of a test on a worker. Numbers are those of all its slices of this test; `fresh` is what is
    new for the count of distinct schedules. `exhausted`: each kind of fault is known to fail. `saturated`: nothing new
    was seen."""

    test: str
    worker: str
    status: SliceStatus
    text: str = ""
    reasons: tuple[str, ...] = ()
    schedules: int = 0
    streams: int = 0
    deliveries: int = 0
    effective: tuple[str, ...] = ()
    not_tried: tuple[str, ...] = ()
    fresh: tuple[int, ...] = ()
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    allowed: str = ""
    """Why it may show nothing, where the test says so."""
    exhausted: bool = False
    saturated: bool = False
    left_out: str = ""
    """What the comparison leaves out, where it does."""


_CONVERTER = cattrs.Converter()


def to_plain(value: Job | SliceResult) -> dict[str, Any]:
    """As dictionaries, lists, numbers and texts, which is what execnet carries."""
    plain: dict[str, Any] = _CONVERTER.unstructure(value)
    return plain


def job_of(plain: dict[str, Any]) -> Job:
    return _CONVERTER.structure(plain, Job)


def result_of(plain: dict[str, Any]) -> SliceResult:
    return _CONVERTER.structure(plain, SliceResult)
