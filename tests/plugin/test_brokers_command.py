"""`chaoskit brokers`: the list, one of them, and names that nobody has."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from chaoskit.brokers import BROKERS
from chaoskit.cli import main
from chaoskit.report.broker_facts import facts
from chaoskit.report.brokers import listing, sheet
from plugin.projects import ESCAPE, Project, Ran

PARTS = (
    "What it promises",
    "What can go wrong with the default settings",
    "What cannot go wrong, and which setting would allow it",
    "Settings",
    "Sources",
)


def ask(root: Path, *arguments: str) -> Ran:
    """The command itself, in a process of its own and without a terminal."""
    return Project.at(root).chaoskit("brokers", *arguments)


def output_of(*arguments: str) -> str:
    done = CliRunner().invoke(main, ["brokers", *arguments])
    assert done.exit_code == 0, done.output
    return done.output


def test_the_list_has_a_line_for_each_broker_and_says_how_to_see_one(tmp_path: Path) -> None:
    """Aligned: a name, blanks, a sentence; the last line names the command."""
    listed = ask(tmp_path)
    assert listed.code == 0, listed.text
    *lines, last = listed.out.splitlines()
    found = [line for line in lines if line]
    assert [line.split()[0] for line in found] == list(BROKERS)
    columns = {re.match(r"\w+ +", line).end() for line in found}  # type: ignore[union-attr]
    assert len(columns) == 1
    assert all(line.endswith(".") for line in found)
    assert last.startswith("chaoskit brokers NAME ")
    assert ESCAPE not in listed.text
    assert listed.err == ""


def test_one_broker_is_told_in_full(tmp_path: Path) -> None:
    """What it promises, what can go wrong, what cannot, its settings, its sources: in this order, without colours."""
    reported = ask(tmp_path, "SqsFifo")
    assert reported.code == 0, reported.text
    reported.assert_in_order("SqsFifo\n", *PARTS)
    reported.assert_in_order(PARTS[1], "Redeliver   e1 e2 e1 e2 e3 e4\n", "What rules it out: ", PARTS[2])
    reported.assert_in_order(PARTS[2], "BatchSwap: ", "send_batch=10 makes it possible.", PARTS[3])
    reported.assert_in_order(PARTS[3], "consumers=2   int >= 1\n", 'queue="events.fifo"   str\n', PARTS[4])
    assert ESCAPE not in reported.text
    assert max(map(len, reported.out.splitlines())) <= 100


def test_a_name_that_nobody_has_exits_with_2_and_names_the_nearest(tmp_path: Path) -> None:
    """As for every other name."""
    wrong = ask(tmp_path, "SqsFifoo")
    assert wrong.code == 2
    assert wrong.out == ""
    assert "no broker is called 'SqsFifoo'; did you mean 'SqsFifo'?" in wrong.err
    assert "Traceback" not in wrong.text


def test_a_name_unlike_all_others_gets_the_list() -> None:
    """Each of them can be read in the error."""
    wrong = CliRunner().invoke(main, ["brokers", "carrier-pigeon"])
    assert wrong.exit_code == 2
    assert all(f"'{name}'" in wrong.output for name in BROKERS)


def test_help_says_what_comes_with_a_name_and_without(tmp_path: Path) -> None:
    """And `chaoskit --help` lists the command."""
    helped = ask(tmp_path, "--help")
    assert helped.code == 0, helped.text
    helped.assert_in_order("Usage: chaoskit brokers [OPTIONS] [NAME]", "Without NAME:", "With NAME")
    assert "brokers  List the brokers, or describe one." in CliRunner().invoke(main, ["--help"]).output


@pytest.mark.parametrize("name", BROKERS)
def test_every_broker_is_told_and_upper_and_lower_case_are_the_same(name: str) -> None:
    """The same text, with each setting and each kind of fault."""
    text = output_of(name)
    assert output_of(name.lower()) == output_of(name.upper()) == text
    known = facts(BROKERS[name])
    assert all(f"\n  {setting.name}={setting.default}   " in text for setting in known.settings)
    assert all(f"\n  {possible.kind.__name__}   e" in text for possible in known.possible)
    reported = text[text.index(PARTS[2]) :] if known.impossible else ""
    assert all(kind.__name__ in reported for kind in known.impossible)


def test_two_names_are_one_too_many() -> None:
    """Wrong usage, said by click."""
    assert CliRunner().invoke(main, ["brokers", "Kafka", "SqsFifo"]).exit_code == 2


@pytest.mark.parametrize("width", [40, 200])
def test_in_a_terminal_of_any_width_no_word_is_lost(width: int) -> None:
    """Narrow terminals wrap, and colours are used."""
    wide = "".join(output_of("Celery").split())
    file = io.StringIO()
    console = Console(file=file, width=width, force_terminal=True, color_system="standard", highlight=False)
    console.print(sheet(facts(BROKERS["Celery"])), crop=False)
    console.print(listing([("Celery", "A queue.")]), crop=False)
    printed = file.getvalue()
    assert ESCAPE in printed
    assert wide in "".join(re.sub(r"\x1b\[[0-9;]*m", "", printed).split())
