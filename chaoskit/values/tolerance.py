"""What a handler tolerates: kinds of fault against brokers, and what changes from one broker to another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

import attrs

from chaoskit.values.faults import ALL_KINDS, FaultKind
from chaoskit.values.repair import Repair
from chaoskit.values.scenario import Broker, Scenario

Answer = Literal["survives", "breaks", "cannot happen", "not exercised"]
Became = Literal["new", "gone", "same", "not known"]

MIXTURES = "mixtures"
"""The row for several kinds at once."""


@attrs.frozen(eq=False)
class Trial:
    """What one kind of fault alone does to a handler on one broker, or `kind` "mixtures", all together.

    `schedules`: distinct ones that are behind the answer; 0 where nothing was run. Where it breaks, `scenario` is the
    least delivery that breaks it, `label` says which order that is about, as a verdict's does, `ruled_out_by` which
    setting or habit rules each of its kinds out, and `repair` is the cheapest move with which the search of these kinds
    holds; None where none does. `why`: why it cannot happen, and which setting would allow it; or why it was not
    exercised. Of mixtures `kinds` are those that were mixed: what breaks the handler alone is left out, since it would
    only be found again.
    """

    kind: str
    answer: Answer
    schedules: int = 0
    scenario: Scenario | None = None
    label: Literal["within", "across keys", "not decided"] | None = None
    ruled_out_by: Mapping[str, str] = attrs.field(factory=dict)
    repair: Repair | None = None
    why: str = ""
    kinds: tuple[str, ...] = ()

    @property
    def named(self) -> str:
        """The kinds that break it: of mixtures those of the least delivery."""
        if self.scenario is None:
            return self.kind
        broke = {type(fault) for fault in self.scenario.faults}
        return " with ".join(kind.__name__ for kind in ALL_KINDS if kind in broke)


@attrs.frozen(eq=False)
class Column:
    """One broker's answers: every kind of fault in the order of `chaoskit.values.faults.ALL_KINDS`, then the mixtures.

    `why` is not empty where nothing could be asked of this broker, since the test fails in order on it: what can happen
    is "not exercised" then.
    """

    broker: Broker
    trials: tuple[Trial, ...]
    why: str = ""

    def of(self, kind: FaultKind | str) -> Trial:
        """The answer for a kind, or for "mixtures". Raises KeyError for what is neither."""
        name = kind if isinstance(kind, str) else kind.__name__
        for trial in self.trials:
            if trial.kind == name:
                return trial
        raise KeyError(name)

    @property
    def breaks(self) -> tuple[str, ...]:
        """The kinds that break the handler alone; "mixtures" last, where these do."""
        return tuple(trial.kind for trial in self.trials if trial.answer == "breaks")


@attrs.frozen(eq=False)
class Tolerance:
    """Kinds of fault × answers, for one broker or several side by side. The same seed gives the same table."""

    columns: tuple[Column, ...]
    test: str | None = None
    seed: int | None = None

    @property
    def kinds(self) -> tuple[str, ...]:
        """The rows: names of the kinds, then "mixtures"."""
        return tuple(trial.kind for trial in self.columns[0].trials)

    def rows(self) -> Iterator[tuple[str, tuple[Trial, ...]]]:
        """Each row with its answers, in the order of the columns."""
        return zip(self.kinds, zip(*(column.trials for column in self.columns), strict=True), strict=True)


# From one broker to another.


@attrs.frozen(eq=False)
class Change:
    """What becomes of a row from one broker to another.

    "new": it breaks the handler there and is not known to here, or breaks the order within a key that it left alone
    here; "gone": the other way round, or it cannot happen there and was not exercised here; "not known": one of the two
    was not exercised; else "same".
    """

    became: Became
    before: Trial
    after: Trial


def changes(before: Column, after: Column) -> tuple[Change, ...]:
    """Each row of two brokers of one table."""
    return tuple(Change(_became(one, two), one, two) for one, two in zip(before.trials, after.trials, strict=True))


def _became(before: Trial, after: Trial) -> Became:
    was, is_now = _severity(before), _severity(after)
    if is_now > was:
        return "new"
    if (before.answer, after.answer) == ("not exercised", "cannot happen"):
        return "gone"
    if "not exercised" in (before.answer, after.answer):
        return "not known"
    return "gone" if was > is_now else "same"


def _severity(trial: Trial) -> int:
    """What breaks across keys only breaks an order that nobody has promised: less than what breaks within one."""
    if trial.answer != "breaks":
        return 0
    return 1 if trial.label == "across keys" else 2
