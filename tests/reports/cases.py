"""Failures to report on, found by the front door and saved as files; and a reader of pages."""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import attrs
from click.testing import CliRunner, Result

import chaoskit
from chaoskit import DeadLetter, Duplicate, Event, Kafka, Redeliver, Scenario, Verdict
from chaoskit.cli import main
from chaoskit.execution.deliver import Deliver

EVIL_KEY = (
    "</script><img src=x onerror=alert(1)><svg onload=alert(2)>&amp;\"'`|]]>\x00\x1b[31m\u202egnp.exe%\r\n::error::"
)
EVIL = f"{EVIL_KEY}\ud800\u2028\x07"
"""What ends a script, a title, a cell, a line or a command somewhere; what nobody sees; what turns letters around."""

Test = Callable[[Deliver], Any]


def wallet(deliver: Deliver) -> dict[str, int]:
    """Remembers ids and refuses to overdraw, as in the README."""
    balances: dict[str, int] = {}
    seen: set[object] = set()

    def handle(message: Any) -> None:
        if message.id in seen:
            return
        seen.add(message.id)
        if balances.get(message.key, 0) + message.value >= 0:
            balances[message.key] = balances.get(message.key, 0) + message.value

    deliver(handle)
    return balances


def log(deliver: Deliver) -> dict[str, Any]:
    """Counts and keeps everything."""
    seen: list[Any] = []
    deliver(lambda message: seen.append((message.key, message.value)))
    return {"log": seen, "count": len(seen)}


DEAD_LETTER = Scenario([Event("alice", 1), Event("alice", -1)], Kafka(), [DeadLetter("e1")])
TWICE = Scenario([Event("alice", 1)], Kafka(), [Duplicate("e1")])
HOSTILE = Scenario(
    [Event(EVIL_KEY, EVIL, EVIL), Event("مرحبا", "שלום " * 400, "e2"), Event(EVIL_KEY, {EVIL: EVIL}, "e3")],
    Kafka(consumers=2),
    [Redeliver(EVIL, 1), Duplicate("e2"), DeadLetter("e3")],
)
LONG = Scenario([Event("a", number) for number in range(70)], Kafka(), [Duplicate("e70")])


def verdict_on(test: Test, scenario: Scenario, name: str = "tests/test_shop.py::test_wallet") -> Verdict:
    """A violated verdict under the name of a test."""
    verdict = attrs.evolve(chaoskit.run(test, scenario), test=name)
    assert verdict.status == "violated"
    return verdict


def saved(test: Test, scenario: Scenario, directory: Path) -> Path:
    return verdict_on(test, scenario).save(directory)


def show(*arguments: str | Path) -> Result:
    """`chaoskit show …` in this process."""
    return CliRunner().invoke(main, ["show", *map(str, arguments)])


def shown(kind: str, repro: Path) -> str:
    """A report on standard output."""
    result = show(repro, f"--{kind}", "-")
    assert result.exit_code == 0, result.output
    return result.stdout_bytes.decode()


VOID = {"meta", "link", "br", "img", "input", "hr"}


@attrs.define
class Element:
    """An element of a page, with what is in it."""

    tag: str
    attributes: dict[str, str]
    parent: Element | None = attrs.field(repr=False)
    parts: list[Element | str] = attrs.field(factory=list, repr=False)

    @property
    def children(self) -> list[Element]:
        return [part for part in self.parts if isinstance(part, Element)]

    def all(self, tag: str = "") -> list[Element]:
        found = [child for child in self.children if not tag or child.tag == tag]
        for child in self.children:
            found += child.all(tag)
        return found

    @property
    def text(self) -> str:
        return "".join(part if isinstance(part, str) else part.text for part in self.parts)


class Page(HTMLParser):
    """A page as a tree. Raises AssertionError where a tag is closed that is not open."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.root = self._open = Element("", {}, None)
        self.feed(html)
        self.close()
        assert self._open is self.root, f"<{self._open.tag}> is never closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs}, self._open)
        self._open.parts.append(element)
        if tag not in VOID:
            self._open = element

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open.parts.append(Element(tag, {name: value or "" for name, value in attrs}, self._open))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.tag == tag, f"</{tag}> ends <{self._open.tag}>"
        assert self._open.parent is not None
        self._open = self._open.parent

    def handle_data(self, data: str) -> None:
        self._open.parts.append(data)

    def all(self, tag: str = "") -> list[Element]:
        return self.root.all(tag)

    def only(self, tag: str) -> Element:
        (element,) = self.all(tag)
        return element
