"""`--chaos-repair`: the report of a failure says which move repairs it, run around the user's own handler."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from plugin.projects import BUGGY, HEAD, MODES, Project, mode_name

WALLETS = """
import sqlite3
from handlers import handler

@pytest.fixture
def start():
    return {"alice": 0}

@chaos(PAYMENTS, broker=Kafka(partitions=6))
def test_points(deliver, start):
    balances = dict(start)
    deliver(handler(balances))
    return balances

@chaos(PAYMENTS, broker=Kafka(partitions=6))
def test_profile(deliver):
    rows = {}
    def handle(message):
        rows[message.key] = message.value
    deliver(handle)
    return rows

@chaos(PAYMENTS, broker=Kafka(partitions=6))
def test_right(deliver):
    seen = set()
    deliver(lambda message: seen.add(message.id))
    return len(seen)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project.at(tmp_path_factory.mktemp("repair"), handlers=BUGGY, test_wallets=HEAD + WALLETS)


@pytest.mark.parametrize("mode", MODES, ids=mode_name)
def test_a_failure_ends_with_the_move_that_repairs_it(project: Project, mode: tuple[str, ...]) -> None:
    """In one process and over workers: the cheapest move that holds first, with code for where the state lives."""
    ran = project.pytest("--chaos-repair", "--chaos-seed=1", "--chaos-report=pages", *mode)
    assert ran.code == 1
    points, profile = (
        ran.out[ran.out.index("test_points does not") :],
        ran.out[ran.out.index("test_profile does not") :],
    )
    for text, first, second, code in (
        (points, "Remember message ids: repairs this delivery, and holds in 1,000 schedules of all kinds",
         "Drop stale versions: repairs this one, but", "INSERT INTO handled (id)"),
        (profile, "Drop stale versions: repairs this delivery, and holds in 1,000 schedules of all kinds",
         "Remember message ids: does not repair this delivery", "WHERE profile.seq < :seq"),
    ):  # fmt: skip
        section = " ".join(text[text.index("What repairs it") : text.index("Replay\n")].split())
        assert section.index(first) < section.index(code) < section.index(second)
    assert "These two do not commute" in " ".join(profile.split())
    ran.assert_quiet_about_us()
    assert "What repairs it" not in ran.said_of()["test_wallets.py::test_right"]


def test_the_other_reports_say_it_too(project: Project) -> None:
    """The page and the JSON lines of the same run."""
    lines, page = told(project.root / "pages", "profile")
    repairs = {line["move"]: line for line in lines if line["type"] == "repair"}
    assert repairs["version"]["status"] == "held"
    assert repairs["version"]["schedules"] == 1000
    assert repairs["version"]["code"].startswith("INSERT INTO profile")
    assert repairs["ids"]["repairs_this"] is False
    assert lines[0]["damage"]["kind"] == "applied in the wrong order"
    (clash,) = (line for line in lines if line["type"] == "clash")
    assert len(clash["events"]) == 2
    assert clash["assigned"]
    assert "What repairs it" in page
    assert "WHERE profile.seq &lt; :seq" in page


def told(pages: Path, name: str) -> tuple[list[dict[str, object]], str]:
    (lines,) = pages.glob(f"*{name}*.jsonl")
    (page,) = pages.glob(f"*{name}*.html")
    return [json.loads(line) for line in lines.read_text().splitlines()], page.read_text()


def test_a_saved_failure_is_asked_as_well(project: Project) -> None:
    """What is played from its file, and not searched, has a repair; and nobody who has not asked pays for it."""
    again = project.pytest("--chaos-repair", "-k", "points")
    assert "nothing was searched" in again.out
    assert "Remember message ids: repairs this delivery" in " ".join(again.out.split())
    assert "What repairs it" not in project.pytest("-k", "points").out
