"""Which broker brings out which bug, and by which least delivery, is written down, and stays so."""

from __future__ import annotations

import pytest

from chaoskit.brokers import Settings
from chaoskit.report.broker_facts import as_written
from quality.brokers import DEFAULTS, VARIANTS
from quality.table import ABOUT, PAGE, head, notes, row

PINNED = PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("broker", DEFAULTS + VARIANTS, ids=as_written)
def test_a_broker_brings_out_the_bugs_that_are_written_down(broker: Settings) -> None:
    """Each handler is found, or held, as its cell says; and shrunk to the same least delivery of the same kinds."""
    pinned = next(
        (line for line in PINNED.splitlines(keepends=True) if line.startswith(f"| `{as_written(broker)}` ")), ""
    )
    assert row(broker) == pinned, "every_broker.md is of yesterday: make docs, and look at what has changed"


def test_the_page_is_whole() -> None:
    """A row for each broker and nothing else, between what the page says about itself and what is odd in it."""
    rows = [line for line in PINNED.splitlines(keepends=True) if line.startswith("| `")]
    assert ABOUT + head() + "".join(rows) + notes() == PINNED
    assert [line.split("`")[1] for line in rows] == [as_written(broker) for broker in DEFAULTS + VARIANTS]


def test_nothing_is_unknown() -> None:
    """Where a bug is not found the search has shown something: it was held."""
    assert " ? " not in PINNED
