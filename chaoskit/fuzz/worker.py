"""A worker of the job: a pytest plugin that searches the tests slice by slice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest
from _pytest.runner import runtestprotocol

from chaoskit.fuzz.job import ENDS, Job, job_of
from chaoskit.fuzz.recorder import Recorder
from chaoskit.fuzz.slice import Memory, Slice, SliceRunner
from chaoskit.pytest.session import options_of
from chaoskit.pytest.shared import shared_corpus
from chaoskit.repro.corpus import Corpus
from chaoskit.values.clock import now

INPUT = "chaoskit_fuzz"
"""What xdist's workers find in their input: the job."""


@attrs.define(eq=False)
class Worker:
    """The plugin. `name` is xdist's for this process."""

    config: pytest.Config
    job: Job
    name: str
    corpus: Corpus | None
    ends: float | None = None
    """When it is over, by the clock of this process; None before the first slice."""
    _memories: dict[str, Memory] = attrs.field(factory=dict)
    recorder: Recorder | None = attrs.field(init=False)
    _home: Path | None = attrs.field(init=False)
    """Where the job's own files are, on its host."""

    def __attrs_post_init__(self) -> None:
        records = None if self.job.records is None else Path(self.job.records)
        self._home = records if records is not None and records.is_dir() else None
        self.recorder = None if self._home is None else Recorder(self._home / self.name)

    @property
    def is_over(self) -> bool:
        if self.ends is None:
            self.ends = self._end()
        return now() >= self.ends

    def _end(self) -> float:
        """On the host of the job, whose clock is ours, it is written down; elsewhere it is counted from now."""
        if self.job.time is None:
            return float("inf")
        written = None if self._home is None else self._home / ENDS
        return float(written.read_text()) if written is not None else now() + self.job.time

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        chosen = [item for item in items if hasattr(getattr(item, "obj", None), "chaos_options")]
        others = [item for item in items if item not in chosen]
        if others:
            config.hook.pytest_deselected(items=others)
        items[:] = chosen

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        if self.is_over:
            return True
        if nextitem is item:  # pytest would keep its fixtures for the next slice
            item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
            assert isinstance(item.parent, pytest.Collector)
            runtestprotocol(item, nextitem=_Sibling.from_parent(item.parent, name=item.name))
            item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
            return True
        return None

    def runner(self, item: pytest.Item) -> SliceRunner:
        """That of the slice which begins now."""
        memory = self._memories.setdefault(item.nodeid, Memory())
        memory.slices += 1
        item._report_sections.clear()  # pytest keeps what was captured for as long as the item lives
        if self.recorder is not None:
            self.recorder.test = item.nodeid
            self.recorder.broker = options_of(item).broker
        slice_ = Slice(
            job=self.job,
            worker=self.name,
            seed=self.job.seed_of(self.name, memory.slices),
            seconds=self._seconds(memory.slices, len(item.session.items)),
            corpus=self.corpus,
            recorder=self.recorder,
        )
        return SliceRunner(item, slice_, memory)

    def _seconds(self, number: int, tests: int) -> float:
        """Of the slice that begins now."""
        assert self.ends is not None
        return max(0.01, min(self.job.slice(number, tests), self.ends - now()))


def work_for(config: pytest.Config, job: Job, name: str) -> None:
    """Make this process a worker of the job."""
    config.pluginmanager.register(Worker(config, job, name, shared_corpus(config)), PLUGIN)


def work_for_xdist(config: pytest.Config) -> None:
    """The same in a process that xdist has started."""
    workerinput: dict[str, Any] = config.workerinput  # type: ignore[attr-defined]
    work_for(config, job_of(workerinput[INPUT]), str(workerinput["workerid"]))


PLUGIN = "chaoskit-fuzz-worker"
MAIN = "main"
"""The name of the only worker of a job without xdist, which is the job's own process."""


class _Sibling(pytest.Item):
    """Stands for the next test, which is the same one again, so that nothing of this slice is left over for it."""

    def runtest(self) -> None:
        raise AssertionError("it is never run")
