"""One slice of one test: what the worker knows of the test, its runner, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NoReturn

import attrs
import pytest

from chaoskit.fuzz.job import Finding, Job, SliceResult, SliceStatus, to_plain
from chaoskit.fuzz.recorder import Recorder
from chaoskit.pytest.limits import armed, limit_of
from chaoskit.pytest.reports import on_github, write_reports
from chaoskit.pytest.saved import UNSHRUNK, SavedRepros
from chaoskit.pytest.session import options_of, width_of
from chaoskit.report.github import entry_of, packed
from chaoskit.report.terminal import as_text, headline
from chaoskit.repro.corpus import Corpus
from chaoskit.repro.read import Repro
from chaoskit.repro.replay import Answer
from chaoskit.repro.write import document, failure_name, file_name, file_name_of, slug, text_of
from chaoskit.runner import SearchOptions
from chaoskit.search.distinct import Distinct
from chaoskit.search.evidence import Evidence
from chaoskit.search.oracle import Subject
from chaoskit.search.question import kinds_left
from chaoskit.values.epoch import epoch_of
from chaoskit.values.errors import CodecError
from chaoskit.values.faults import CUTS, INSIDE, KIND_BY_NAME, FaultKind, Lose
from chaoskit.values.scenario import Broker
from chaoskit.values.verdict import ChaosFailure, Verdict

ATTRIBUTE = "chaoskit_result"
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


@attrs.frozen(kw_only=True, eq=False)
class Slice:
    """A part of a worker's time, and what the worker has for it. `seconds`: how long it searches."""

    job: Job
    worker: str
    seed: int
    seconds: float
    corpus: Corpus | None
    recorder: Recorder | None


@attrs.frozen
class Foreign:
    """A failure that this worker has not found. `text` is that of its file where it comes from the corpus."""

    repro: Repro
    source: str
    text: str | None = None


class SliceRunner:
    """The runner of one slice of one test. Nothing fails or passes here: the job says so in the end."""

    advises = bounds = checks_itself = False
    tolerates: Sequence[Broker] | None = None
    wants = SearchOptions()

    def asks(self, what: str, part: str) -> None:
        pass

    def __init__(self, item: pytest.Item, slice_: Slice, memory: Memory) -> None:
        self._item = item
        self._slice = slice_
        self._memory = memory
        self._options = options_of(item)
        self.test = item.nodeid
        self.limit = limit_of(item.config)
        self.observer = slice_.recorder
        self._notes: list[str] = []
        self._repros = SavedRepros(item.config, self.test, self._options, self._notes, slice_.job.left_over)
        self._findings: list[Finding] = []
        self._verdict: Verdict | None = None
        self._exhausted = False
        self._allowed = self._left_out = ""

    def seed(self, decorated: Any) -> tuple[int, bool]:
        return self._slice.seed, True

    def limited(self) -> AbstractContextManager[object]:
        return armed(self.limit, self._notes, is_asked=True)

    def before_search(self, subject: Subject) -> Verdict | SearchOptions:
        """Failures that somebody else has found, first; they are not looked for again."""
        if self._item.get_closest_marker("xfail"):
            # A job would find its failure again and again, and call it new.
            pytest.skip("marked xfail: that it fails is known")
        for foreign in list(self._foreign()):  # read before one is played, which may take its file away
            self._try(foreign, subject)
        known = tuple(self._memory.known.values())
        left = kinds_left(subject.broker, self._options.faults, known)
        self._left_out = subject.leaves_out(left)
        # The empty set: it fails in order, so that no delivery could pass.
        # What is inside the handler may be out of reach: alone it counts only where it is asked for by name.
        left_to_try = left if self._options.faults else tuple(kind for kind in left if kind not in (*INSIDE, *CUTS))
        self._exhausted = not left_to_try or frozenset() in known
        if self._exhausted:
            return Verdict("held", test=self.test)
        return SearchOptions(  # no number of schedules: the time counts, whatever an ordinary run is limited to
            budget=self._slice.seconds,
            epoch=epoch_of(self._slice.job.seed),
            evidence=self._memory.evidence,
            known=known,
            resume_from=self._repros.resume_from,
        )

    def _foreign(self) -> Iterator[Foreign]:
        for repro in self._repros.all():
            yield Foreign(repro, "saved")
        for repro, text in [] if self._slice.corpus is None else self._slice.corpus.failures(self.test):
            path = Path(failure_name(file_name_of(repro), text))
            yield Foreign(attrs.evolve(repro, path=path), "corpus", text)

    def _try(self, foreign: Foreign, subject: Subject) -> None:
        name = foreign.repro.path.name
        if name in self._memory.played or (self._repros.resume_from and name.endswith(UNSHRUNK)):
            return
        self._memory.played.add(name)
        if not self._repros.resume(foreign.repro, subject):
            self._note(foreign, self._repros.play(foreign.repro, subject, foreign.text))

    def _note(self, foreign: Foreign, answer: Answer) -> None:
        corpus, name = self._slice.corpus, foreign.repro.path.name
        if answer.failure is not None:
            self._add_finding(answer.failure, foreign.source, foreign.repro.path if foreign.text is None else None)
        elif foreign.text is None:
            reason = f": {answer.reason}" if answer.reason else ""
            self._notes.append(f"saved repro {name}: {answer.became.lower()}{reason}")
        elif corpus is not None and answer.became == "CANNOT REPLAY":
            corpus.leave_out(answer.reason)
        elif corpus is not None and answer.is_settled:
            corpus.drop(self.test, foreign.text)

    def _add_finding(self, verdict: Verdict, source: str, played: Path | None = None) -> None:
        """Keep a failure in a file, in the corpus and as a page. `played`: the file that has it already."""
        verdict = attrs.evolve(verdict, test=self.test)
        assert verdict.scenario is not None
        file = self._repros.save(verdict, played)
        saved = Path(file.path).name
        try:
            text = text_of(document(verdict))
        except CodecError:
            text = ""
        name = failure_name(file_name(verdict), text) if text else f"{slug(self.test)}: {headline(verdict)}"
        self._memory.known[name] = frozenset(type(fault) for fault in verdict.scenario.faults)
        self._memory.played |= {name, saved}
        source_file, line, _ = self._item.location
        self._findings.append(
            Finding(
                name, text, headline(verdict), self._text(verdict, file.replay, saved), source,
                trouble="" if saved else file.replay, saved=saved, file=source_file, line=line,
                github=packed(entry_of(verdict, replay=file.replay)) if on_github() else "",
            )
        )  # fmt: skip
        # From the corpus it is there already, and others need not hear of it again.
        if text and source != "corpus" and self._slice.corpus is not None:
            self._slice.corpus.add(self.test, text)

    def _text(self, verdict: Verdict, replay: str, saved: str) -> str:
        """The report of a failure, with a line on its page."""
        config = self._item.config
        pages = write_reports(config, verdict, replay=replay, name=Path(saved).stem)
        # A slice's seed reproduces nothing: what earlier slices have shown is a part of it.
        text = as_text(attrs.evolve(verdict, seed=None), replay=replay, width=width_of(config))
        return f"{headline(verdict)}\n{text}" + (f"\n{pages}\n" if pages else "")

    def on_failure(self, verdict: Verdict) -> None:
        self._repros.save_unshrunk(verdict)

    def passed(self, verdict: Verdict) -> None:
        self._repros.remove_unshrunk()
        self._verdict = verdict

    def skip(self, why: str, verdict: Verdict) -> NoReturn:
        self._verdict, self._allowed = verdict, why
        pytest.skip(why)

    def failed(self, verdict: Verdict) -> None:
        self._verdict = verdict
        if verdict.status == "violated":
            self._add_finding(verdict, "search")
        self._repros.remove_unshrunk()

    def text(self, verdict: Verdict) -> str:
        return headline(verdict)

    def complete(self, report: pytest.TestReport, excinfo: pytest.ExceptionInfo[BaseException] | None) -> None:
        setattr(report, ATTRIBUTE, to_plain(self._result(None if excinfo is None else excinfo.value)))

    def _result(self, error: BaseException | None) -> SliceResult:
        """What came of the slice. `error`: what the test raised, as pytest has caught it."""
        notes = tuple(self._notes)
        if self._slice.corpus is not None:
            notes += tuple(self._slice.corpus.take_notes())
        skipped = isinstance(error, pytest.skip.Exception)
        broke = error is not None and not skipped and not isinstance(error, ChaosFailure)
        if self._verdict is not None and not broke:
            return self._searched(self._verdict, notes)
        text = "" if error is None else str(error) if skipped else f"{type(error).__name__}: {error}"
        status: SliceStatus = "skipped" if skipped else "broken"
        findings = tuple(self._findings)
        return SliceResult(self.test, self._slice.worker, status, text, findings=findings, notes=notes)

    def _searched(self, verdict: Verdict, notes: tuple[str, ...]) -> SliceResult:
        evidence = self._memory.evidence
        assert evidence.distinct is not None
        failing = {kind for kinds in self._memory.known.values() for kind in kinds}
        # What the comparison leaves out was not survived.
        survived = evidence.effective - {Lose} if self._left_out else evidence.effective
        effective = tuple(name for name, kind in KIND_BY_NAME.items() if kind in survived | failing)
        return SliceResult(
            self.test, self._slice.worker, "searched",
            reasons=verdict.reasons, schedules=evidence.schedules, streams=evidence.streams,
            deliveries=evidence.deliveries, effective=effective, not_tried=verdict.tally.not_tried,
            fresh=tuple(evidence.distinct.take_fresh()), findings=tuple(self._findings), notes=notes,
            allowed=self._allowed, exhausted=self._exhausted, saturated=verdict.tally.saturated,
            left_out=self._left_out,
        )  # fmt: skip
