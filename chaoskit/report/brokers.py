"""What a broker is, as text for a terminal or a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.console import Group, RenderableType
from rich.constrain import Constrain
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from chaoskit.report.broker_facts import Facts, Possible, Setting
from chaoskit.report.console import PROSE

EXAMPLES = "Each is shown on a run of e1 e2 e3 e4, where e3 has another key. Beside its name is what the handler saw."


def listing(brokers: Iterable[tuple[str, str]]) -> RenderableType:
    """Each broker in one line, by its name and a sentence."""
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 3, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, sentence in brokers:
        table.add_row(Text(name), Text(sentence))
    last = "chaoskit brokers NAME says what one promises, what can go wrong with it, and which settings it has."
    return Constrain(Group(table, Text(f"\n{last}")), PROSE)


def sheet(facts: Facts) -> RenderableType:
    """One broker: promises, what can go wrong and what cannot, settings, sources."""
    return Constrain(Group(*_sheet(facts)), PROSE)


def _sheet(facts: Facts) -> Iterator[RenderableType]:
    yield Text(facts.name, style="bold")
    yield _indented(" ".join(filter(None, (facts.summary, facts.about))))
    yield _heading("What it promises")
    yield from map(_item, facts.guarantees)
    if facts.possible:
        yield _heading("What can go wrong with the default settings")
        yield _indented(Text(EXAMPLES, style="dim"))
        for possible in facts.possible:
            yield from _possible(possible)
    if facts.impossible:
        yield _heading("What cannot go wrong, and which setting would allow it")
        for why, kinds in facts.reasons():
            names = ", ".join(kind.__name__ for kind in kinds)
            yield _indented(Text.assemble((names, "bold"), f": {why}."))
    yield _heading("Settings")
    for setting in facts.settings:
        yield from _setting(setting)
    yield _heading("Sources")
    yield from map(_item, facts.sources)


def _possible(possible: Possible) -> Iterator[RenderableType]:
    shown = Text.assemble((possible.kind.__name__, "bold red"), "   ", (" ".join(map(str, possible.order)), "dim"))
    yield _indented(shown)
    yield _indented(f"{possible.happened}.", 4)
    yield _indented(Text.assemble(("What rules it out: ", "dim"), f"{possible.ruled_out_by}."), 4)


def _setting(setting: Setting) -> Iterator[RenderableType]:
    yield _indented(Text.assemble((f"{setting.name}={setting.default}", "bold"), "   ", (setting.allowed, "dim")))
    yield _indented(setting.text, 4)


def _heading(text: str) -> Text:
    return Text(f"\n{text}", style="bold")


def _indented(text: str | Text, by: int = 2) -> Padding:
    return Padding(Text(text) if isinstance(text, str) else text, (0, 0, 0, by))


def _item(text: str) -> RenderableType:
    """A point of a list, whose later lines stand below its first word."""
    table = Table.grid(padding=0)
    table.add_row(Text("  - "), Text(text))
    return table
