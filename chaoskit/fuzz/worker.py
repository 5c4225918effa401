"""A worker of the job: a pytest plugin that searches a test for a slice of time and says what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import attrs
import pytest
from _pytest.runner import runtestprotocol

from chaoskit.fuzz.job import ENDS, Finding, Job, Said, job_of, to_plain
from chaoskit.fuzz.recorder import Recorder
from chaoskit.pytest.reports import on_github, write_reports
from chaoskit.pytest.session import AS_MET, PytestAsked, shared_corpus, width_of
from chaoskit.report.github import entry_of, packed
from chaoskit.report.terminal import as_text, headline
from chaoskit.repro.corpus import Corpus
from chaoskit.repro.files import Repro, document, failure_name, file_name, file_name_of, slug, text_of
from chaoskit.repro.replay import Answer
from chaoskit.search.distinct import Distinct
from chaoskit.search.evidence import Evidence
from chaoskit.search.investigate import kinds_left
from chaoskit.search.oracle import Subject
from chaoskit.values.clock import now
from chaoskit.values.epoch import epoch_of
from chaoskit.values.errors import CodecError
from chaoskit.values.faults import KIND_BY_NAME, FaultKind, Lose
from chaoskit.values.verdict import ChaosFailure, Verdict

ATTRIBUTE = "chaoskit_said"
"""What a test report carries home, also from another process."""


@attrs.define(eq=False)
class Memory:
    """What a worker remembers of a test from slice to slice."""

    evidence: Evidence = attrs.field(factory=lambda: Evidence(distinct=Distinct()))
    known: dict[str, frozenset[FaultKind]] = attrs.field(factory=dict)
    """The kinds of fault of each failure, by the name of its file."""
    played: set[str] = attrs.field(factory=set)
    """The names of what was tried already."""
    slices: int = 0


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

    def asked(self, item: pytest.Item) -> FuzzAsked:
        memory = self._memories.setdefault(item.nodeid, Memory())
        memory.slices += 1
        item._report_sections.clear()  # pytest keeps what was captured for as long as the item lives
        if self.recorder is not None:
            self.recorder.test = item.nodeid
            self.recorder.broker = item.obj.chaos_options.broker  # type: ignore[attr-defined]
        return FuzzAsked(item, self, memory)

    def budget(self, number: int, tests: int) -> float:
        """Seconds of the slice that begins now."""
        assert self.ends is not None
        return max(0.01, min(self.job.slice(number, tests), self.ends - now()))

    def seed(self, memory: Memory) -> int:
        return self.job.seed_of(self.name, memory.slices)


def take_on(config: pytest.Config, job: Job, name: str) -> None:
    """Make this process a worker of the job."""
    config.pluginmanager.register(Worker(config, job, name, shared_corpus(config)), PLUGIN)


def take_on_from_xdist(config: pytest.Config) -> None:
    """The same in a process that xdist has started."""
    workerinput: dict[str, Any] = config.workerinput  # type: ignore[attr-defined]
    take_on(config, job_of(workerinput[INPUT]), str(workerinput["workerid"]))


PLUGIN = "chaoskit-fuzz-worker"
MAIN = "main"
"""The name of the only worker of a job without xdist, which is the job's own process."""


class _Sibling(pytest.Item):
    """Stands for the next test, which is the same one again, so that nothing of this slice is kept for it."""

    def runtest(self) -> None:
        raise AssertionError("it is never run")


class FuzzAsked(PytestAsked):
    """The runner of one slice of one test."""

    def __init__(self, item: pytest.Item, worker: Worker, memory: Memory) -> None:
        super().__init__(item)
        self._worker = worker
        self._memory = memory
        self._findings: list[Finding] = []
        self._verdict: Verdict | None = None
        self._exhausted = False
        self._allowed = self._left_out = ""
        self._is_limited = True
        self.schedules = None  # the time counts, whatever an ordinary run is limited to
        self.budget = worker.budget(memory.slices, len(item.session.items))
        self.evidence = memory.evidence
        self.epoch = epoch_of(worker.job.seed)
        self.recorder = worker.recorder

    @contextmanager
    def _followed(self) -> Iterator[None]:
        """The job has a screen of its own."""
        yield

    def seed(self, decorated: Any) -> tuple[int, bool]:
        return self._worker.seed(self._memory), True

    def before_search(self, subject: Subject) -> Verdict | None:
        """Failures that somebody else has found, first; they are not looked for again."""
        if self._item.get_closest_marker("xfail"):
            pytest.skip("marked xfail: that it fails is known")
        options = self._options
        for repro, text, source in self._foreign():
            if repro.path.name in self._memory.played or (self.first and repro.path.name.endswith(AS_MET)):
                continue
            self._memory.played.add(repro.path.name)
            if self.take_up(repro, subject, options.across_keys):
                continue
            answer = self._play(repro, subject, options.across_keys, text)
            self._note(answer, repro, text, source)
        self.known = tuple(self._memory.known.values())
        left = kinds_left(subject.broker, options.faults, self.known)
        self._left_out = subject.leaves_out(left)
        self._exhausted = not left or frozenset() in self.known
        return Verdict("held", test=self.test) if self._exhausted else None

    def _foreign(self) -> list[tuple[Repro, str | None, str]]:
        found: list[tuple[Repro, str | None, str]] = [(repro, None, "saved") for repro in self.saved_repros()]
        shared = [] if self._worker.corpus is None else self._worker.corpus.failures(self.test)
        for repro, text in shared:
            path = Path(failure_name(file_name_of(repro), text))
            found.append((attrs.evolve(repro, path=path), text, "corpus"))
        return found

    def may_play(self, path: Path) -> bool:
        """What is not minimal yet belongs to the worker that is at it, unless a job has left it that was stopped."""
        return not path.name.endswith(AS_MET) or path.name in self._worker.job.left_over

    def _note(self, answer: Answer, repro: Repro, text: str | None, source: str) -> None:
        if answer.failure is not None:
            self._failing = repro.path if source == "saved" else None
            self._found(answer.failure, source)
            self._failing = None
        elif text is not None and self._worker.corpus is not None and answer.became == "CANNOT REPLAY":
            self._worker.corpus.leave_out(answer.reason)
        elif text is not None and self._worker.corpus is not None and answer.is_settled:
            self._worker.corpus.drop(self.test, text)
        elif text is None:
            reason = f": {answer.reason}" if answer.reason else ""
            self._notes.append(f"saved repro {repro.path.name}: {answer.became.lower()}{reason}")

    def _found(self, verdict: Verdict, source: str) -> None:
        verdict = attrs.evolve(verdict, test=self.test)
        assert verdict.scenario is not None
        replay = self._replay_command(verdict)
        saved = Path(self.saved).name
        trouble = "" if saved else str(replay)
        written = write_reports(self._config, verdict, replay=replay, name=Path(saved).stem)
        told = as_text(attrs.evolve(verdict, seed=None), replay=replay, width=width_of(self._config))
        report = f"{headline(verdict)}\n{told}" + (f"\n{written}\n" if written else "")
        try:
            text = text_of(document(verdict))
        except CodecError:
            text = ""
        name = failure_name(file_name(verdict), text) if text else f"{slug(self.test)}: {headline(verdict)}"
        self._memory.known[name] = frozenset(type(fault) for fault in verdict.scenario.faults)
        self._memory.played |= {name, saved}
        shown = packed(entry_of(verdict, replay=replay)) if on_github() else ""
        file, line, _ = self._item.location
        self._findings.append(Finding(name, text, headline(verdict), report, source, trouble, shown, file, line, saved))
        if text and source != "corpus" and self._worker.corpus is not None:
            self._worker.corpus.add(self.test, text)

    # What is said. Nothing fails or passes here: the job says so in the end.

    def tell(self, verdict: Verdict) -> None:
        self._forget_as_met()
        self._verdict = verdict

    def skip(self, why: str, verdict: Verdict) -> NoReturn:
        self._verdict, self._allowed = verdict, why
        super().skip(why, verdict)

    def report(self, verdict: Verdict) -> str:
        self._verdict = verdict
        if verdict.status == "violated":
            self._found(verdict, "search")
        self._forget_as_met()
        return headline(verdict)

    def say(self, error: BaseException | None) -> Said:
        """What came of the slice. `error`: what the test raised, as pytest has caught it."""
        verdict, evidence = self._verdict, self._memory.evidence
        notes = tuple(self._notes)
        if self._worker.corpus is not None:
            notes += tuple(self._worker.corpus.take_notes())
        skipped = isinstance(error, pytest.skip.Exception)
        broke = error is not None and not skipped and not isinstance(error, ChaosFailure)
        if verdict is None or broke:
            text = "" if error is None else str(error) if skipped else f"{type(error).__name__}: {error}"
            return Said(self.test, self._worker.name, "skipped" if skipped else "broken", text,
                        findings=tuple(self._findings), notes=notes)  # fmt: skip
        assert evidence.distinct is not None
        failing = {kind for kinds in self._memory.known.values() for kind in kinds}
        survived = evidence.effective - {Lose} if self._left_out else evidence.effective
        effective = tuple(name for name, kind in KIND_BY_NAME.items() if kind in survived | failing)
        return Said(
            self.test, self._worker.name, "searched",
            reasons=verdict.reasons, schedules=evidence.schedules, streams=evidence.streams,
            deliveries=evidence.deliveries, effective=effective, not_tried=verdict.tally.not_tried,
            fresh=tuple(evidence.distinct.take_fresh()), findings=tuple(self._findings), notes=notes,
            allowed=self._allowed, exhausted=self._exhausted, saturated=verdict.tally.saturated,
            left_out=self._left_out,
        )  # fmt: skip

    def complete(self, report: pytest.TestReport, excinfo: pytest.ExceptionInfo[BaseException] | None) -> None:
        said = self.say(None if excinfo is None else excinfo.value)
        setattr(report, ATTRIBUTE, to_plain(said))
