"""What a handler tolerates, as text for a terminal or a log, and as Markdown for a pull request; and what changes from
one broker to another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import attrs
from rich.console import Console, ConsoleOptions, RenderableType
from rich.constrain import Constrain
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from chaoskit.brokers import Settings
from chaoskit.brokers.inside import names_of
from chaoskit.brokers.together import Together
from chaoskit.report.broker_facts import as_written
from chaoskit.report.console import PROSE
from chaoskit.report.markdown import code, plain_markdown
from chaoskit.report.repairs import SAYS
from chaoskit.report.summary import count
from chaoskit.report.timeline import value_of
from chaoskit.report.values import cut, visible
from chaoskit.values.event import Event
from chaoskit.values.faults import ALL_KINDS
from chaoskit.values.repair import Repair
from chaoskit.values.scenario import Broker
from chaoskit.values.tolerance import Answer, Change, Column, Tolerance, Trial, changes

STYLES: dict[Answer, str] = {
    "survives": "green",
    "breaks": "bold red",
    "cannot happen": "dim",
    "not exercised": "yellow",
}
TOLERATES = "What it tolerates (schedules in brackets)"
KIND_WIDTH = max(len(kind.__name__) for kind in ALL_KINDS)
ANSWER_WIDTH = 19
"""Columns of an answer with its number, at most as a rule."""
GAP = 2
MOST_OF_VALUE = 60
"""Letters of a key and a value."""


def broker_name(broker: Broker) -> str:
    """As one would write it, for each stream where there are several; a class of the user's own by its name, where it
    has no settings that we know of."""
    if isinstance(broker, Together):
        pairs = zip(broker.topics, broker.brokers, strict=True)
        return ", ".join(f"{topic}: {broker_name(of)}" for topic, of in pairs)
    return as_written(broker) if isinstance(broker, Settings) else type(broker).__name__


def answer_text(trial: Trial) -> str:
    """An answer, and the number of schedules behind it."""
    return f"{trial.answer} ({trial.schedules:,})" if trial.schedules else trial.answer


@attrs.frozen
class Remark:
    """Something to be reported of a broker: `kinds` begins the sentence that `says` ends, with the space or the colon
    between them; `more` follows from it."""

    kinds: str
    says: str
    more: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        return f"{self.kinds}{self.says}"


def remarks(column: Column) -> Iterator[Remark]:
    """What breaks it and by which delivery; what cannot happen, and what was not exercised, with the reasons."""
    if column.why:
        yield Remark("Nothing can be said", f": {column.why}.")
    for trial in column.trials:
        if trial.answer == "breaks":
            yield _broken(trial)
    for answer, title in (("cannot happen", "Cannot happen"), ("not exercised", "Not exercised")):
        for why, kinds in _reasons(column, answer):
            if why != column.why:
                yield Remark(f"{title}: {_all(kinds)}", f": {why}.")


def _broken(trial: Trial) -> Remark:
    return Remark(trial.named, f" {breaks(trial)}.", tuple(_more(trial)))


def breaks(trial: Trial) -> str:
    """How it breaks: across keys, by which delivery, of what size."""
    assert trial.scenario is not None
    across = " across keys" if trial.label == "across keys" else ""
    size = f"{count(len(trial.scenario.events), 'event')}, {count(len(trial.scenario.faults), 'fault')}"
    order = " ".join(map(str, trial.scenario.schedule().delivered))
    return f"breaks it{across}: {order} ({size})" if order else f"breaks it{across} ({size})"


def _more(trial: Trial) -> Iterator[str]:
    """Its events, what rules it out, and what repairs it."""
    assert trial.scenario is not None
    yield f"{'; '.join(_event(event) for event in trial.scenario.events)}."
    for kind, setting in trial.ruled_out_by.items():
        yield f"Ruled out{f' ({kind})' if len(trial.ruled_out_by) > 1 else ''}: {setting}."
    yield f"Repaired: {_repaired(trial.repair)}."


def _event(event: Event) -> str:
    return f"{event.id}: {cut(value_of(event), MOST_OF_VALUE)}"


def _repaired(repair: Repair | None) -> str:
    if repair is None:
        return "by none of the moves that were tried"
    move = SAYS.get(repair.move, repair.move)
    if not repair.schedules:
        return f"{move}: it cannot happen then"
    return f"{move}: it holds in {count(repair.schedules, 'schedule')} then"


def _reasons(column: Column, answer: str) -> list[tuple[str, list[str]]]:
    """Why there is this answer, each reason once, with the kinds for which it is one."""
    found: dict[str, list[str]] = {}
    for trial in column.trials:
        if trial.answer == answer:
            found.setdefault(trial.why, []).append(trial.kind)
    return list(found.items())


# For a terminal, a log.


@attrs.frozen(eq=False)
class ToleranceTable:
    """For rich: brokers side by side, as many as there is room for; then what is to be reported of each."""

    tolerance: Tolerance

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        most = max(1, (options.max_width - KIND_WIDTH) // (ANSWER_WIDTH + GAP))
        columns = self.tolerance.columns
        for first in range(0, len(columns), most):
            yield _table(columns[first : first + most])
            yield ""
        for column in columns:
            yield Text(visible(broker_name(column.broker)), style="bold")
            for each in remarks(column):
                yield _paragraph(each.line, 2)
                yield from (_paragraph(line, 4) for line in each.more)


def _table(columns: Sequence[Column]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, GAP, 0, 0))
    table.add_column("", no_wrap=True)
    for column in columns:
        table.add_column(Text(visible(broker_name(column.broker))), overflow="fold", min_width=len("not exercised"))
    for row in zip(*(column.trials for column in columns), strict=True):
        table.add_row(row[0].kind, *(Text(answer_text(trial), style=STYLES[trial.answer]) for trial in row))
    return table


def _paragraph(text: str, by: int) -> RenderableType:
    return Constrain(Padding(Text(visible(text)), (0, 0, 0, by)), PROSE)


# For a pull request.


def as_markdown(tolerance: Tolerance) -> str:
    """The same as Markdown. Texts of the user's are character references."""
    return "".join(f"{line}\n" for line in _markdown(tolerance))


def _markdown(tolerance: Tolerance) -> Iterator[str]:
    yield f"### What {code(tolerance.test or 'a function without a name')} tolerates"
    yield ""
    yield _row("", *(code(broker_name(column.broker)) for column in tolerance.columns))
    yield _row("---", *["---"] * len(tolerance.columns))
    for kind, trials in tolerance.rows():
        yield _row(kind, *map(_cell, trials))
    for column in tolerance.columns:
        yield ""
        yield f"**{code(broker_name(column.broker))}**"
        yield ""
        for each in remarks(column):
            yield f"- {plain_markdown(each.line)}"
            yield from (f"  - {plain_markdown(line)}" for line in each.more)


def _cell(trial: Trial) -> str:
    return f"**{answer_text(trial)}**" if trial.answer == "breaks" else answer_text(trial)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


# From one broker to another.


def change_texts(found: Sequence[Change]) -> Iterator[Remark]:
    """What is new first, then what is gone, what is the same and what is not known."""
    for change in found:
        if change.became == "new":
            yield Remark(f"new: {change.after.named}", f" {breaks(change.after)}.", tuple(_more(change.after)))
    for change in found:
        if change.became == "gone":
            yield Remark(f"gone: {change.before.named}", f"{_gone(change.after)}.")
    same = [change.after for change in found if change.became == "same"]
    broken = [trial.kind for trial in same if trial.answer == "breaks"]
    others = [trial.kind for trial in same if trial.answer != "breaks"]
    if broken:
        yield Remark(f"same: {_all(broken)}", f" {'breaks' if broken[1:] == [] else 'break'} it on both.")
    if others:
        yield Remark(f"same: {_all(others)}", f" {'breaks' if others[1:] == [] else 'break'} it on neither.")
    for change in found:
        if change.became == "not known":
            yield Remark(f"not known: {change.after.kind}", f"{_not_known(change)}.")


def _gone(after: Trial) -> str:
    if after.answer == "breaks":
        return " breaks it across keys only"
    if after.answer == "cannot happen":
        return f" cannot happen: {after.why}"
    return f" is survived in {count(after.schedules, 'schedule')}"


def _not_known(change: Change) -> str:
    """What it was, and what it is; of what was not exercised, why."""
    parts = [
        f"{trial.answer} {place}" + (f" ({trial.why})" if trial.answer == "not exercised" else "")
        for trial, place in ((change.before, "before"), (change.after, "after"))
    ]
    return f": {', '.join(parts)}"


def _all(kinds: Sequence[str]) -> str:
    return names_of(kinds, most=len(kinds))


def moved(before: Column, after: Column) -> str:
    return f"{broker_name(before.broker)} → {broker_name(after.broker)}"


@attrs.frozen(eq=False)
class Compared:
    """For rich: what changes for each test from the first broker of its table to each of the others. `why`: of tests
    of which nothing is known, why not."""

    tolerances: Sequence[Tolerance]
    why: Sequence[tuple[str, str]] = ()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        for place in range(1, len(self.tolerances[0].columns) if self.tolerances else 1):
            first = self.tolerances[0].columns
            yield Text(visible(moved(first[0], first[place])), style="bold")
            for each in self.tolerances:
                yield from _compared(each, place)
            yield ""
        for test, why in self.why:
            yield Text(visible(test), style="bold")
            yield _paragraph(f"not known: {why}", 2)


def _compared(tolerance: Tolerance, place: int) -> Iterator[RenderableType]:
    yield _paragraph(tolerance.test or "", 2)
    before, after = tolerance.columns[0], tolerance.columns[place]
    if silent := [column for column in (before, after) if column.why]:
        yield from (_paragraph(_silent(column), 4) for column in silent)
        return
    for each in change_texts(changes(before, after)):
        line = Text.assemble((visible(each.kinds), _style(each)), visible(each.says))
        yield Constrain(Padding(line, (0, 0, 0, 4)), PROSE)
        yield from (_paragraph(line, 6) for line in each.more)


def _silent(column: Column) -> str:
    return f"not known: on {broker_name(column.broker)} {column.why}."


def _style(found: Remark) -> str:
    return {"new": "bold red", "gone": "green", "not known": "yellow"}.get(found.kinds.partition(":")[0], "")


def comparison_markdown(tolerances: Iterable[Tolerance]) -> str:
    """The same as Markdown, with the tables below."""
    return "".join(f"{line}\n" for line in _comparison_markdown(list(tolerances)))


def _comparison_markdown(tolerances: Sequence[Tolerance]) -> Iterator[str]:
    for tolerance in tolerances:
        before, *others = tolerance.columns
        for after in others:
            yield f"### {code(tolerance.test or '')}: {code(moved(before, after))}"
            yield ""
            whys = [
                f"not known: on {broker_name(column.broker)} {column.why}." for column in (before, after) if column.why
            ]
            yield from (f"- {plain_markdown(why)}" for why in whys)
            for each in () if whys else change_texts(changes(before, after)):
                yield f"- {plain_markdown(each.line)}"
                yield from (f"  - {plain_markdown(line)}" for line in each.more)
            yield ""
        yield from _markdown(tolerance)
        yield ""
