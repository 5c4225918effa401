"""`--chaos-repair` says which move repairs a failure, run around the user's own handler; `--chaos-boundary` what has to
stay in order; `--chaos-exhaustive` proves a pass."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from plugin.projects import BUGGY, HEAD, PARALLEL, Project, Ran

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


@pytest.fixture(scope="module")
def repaired(project: Project) -> Ran:
    return project.pytest("--chaos-repair", "--chaos-seed=1", "--chaos-report=pages")


def test_a_failure_ends_with_the_move_that_repairs_it(repaired: Ran) -> None:
    """The cheapest move that holds first, with code for where the state lives."""
    assert_says_what_repairs(repaired)


def test_workers_say_the_same(project: Project) -> None:
    assert_says_what_repairs(project.pytest("--chaos-repair", "--chaos-seed=1", "--chaos-repros=over", *PARALLEL))


def assert_says_what_repairs(ran: Ran) -> None:
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


def test_the_other_reports_say_it_too(project: Project, repaired: Ran) -> None:
    """The page and the JSON lines of the same run."""
    assert repaired.code == 1
    lines, page = report_of(project.root / "pages", "profile")
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


def report_of(pages: Path, name: str) -> tuple[list[dict[str, object]], str]:
    (lines,) = pages.glob(f"*{name}*.jsonl")
    (page,) = pages.glob(f"*{name}*.html")
    return [json.loads(line) for line in lines.read_text().splitlines()], page.read_text()


def test_a_saved_failure_is_asked_as_well(project: Project, repaired: Ran) -> None:
    """What is played from its file, and not searched, has a repair; and nobody who has not asked pays for it."""
    assert repaired.code == 1
    again = project.pytest("--chaos-repair", "-k", "points")
    assert "nothing was searched" in again.out
    assert "Remember message ids: repairs this delivery" in " ".join(again.out.split())
    assert "What repairs it" not in project.pytest("-k", "points").out


def test_a_run_says_what_has_to_stay_in_order(project: Project) -> None:
    """Of what passes in its line, of what fails in its report, and in the JSON lines of both."""
    ran = project.pytest("--chaos-boundary", "--chaos-seed=1", "--chaos-report=ordered", "--chaos-repros=none")
    assert "needs no order: it holds in all" in ran.said_of()["test_wallets.py::test_right"]
    profile = ran.out[ran.out.index("test_profile does not") :]
    section = " ".join(profile[profile.index("What has to stay in order") : profile.index("Replay\n")].split())
    assert "Needs order for each key: with no other it holds in all" in section
    assert "Order for each key and value is not enough" in section
    lines, page = report_of(project.root / "ordered", "profile")
    (boundary,) = (line for line in lines if line["type"] == "boundary")
    assert boundary["finest"] == ["key"]
    candidates = [line for line in lines if line["type"] == "candidate"]
    assert [line["fields"] for line in candidates if line["status"] == "violated"]
    assert "What has to stay in order" in page
    (right,) = (project.root / "ordered").glob("*right*.jsonl")
    assert '"needs_order": false' in right.read_text()
    ran.assert_quiet_about_us()


def test_every_schedule_of_short_streams_is_run(project: Project) -> None:
    """The line of a pass says what all of them were; a failure is saved as any other; 0 is none."""
    ran = project.pytest("--chaos-exhaustive=1", "--chaos-exhaustive-events=3", "--chaos-repros=all")
    line = ran.said_of()["test_wallets.py::test_right"]
    assert re.match(r"held: all [0-9,]+ distinct schedules of up to 3 events and 1 fault pass", line)
    assert "test_points does not survive" in ran.out
    assert list((project.root / "all").glob("*points*.json"))
    assert ran.code == 1
    ran.assert_quiet_about_us()
    wrong = project.pytest("--chaos-exhaustive=0")
    assert wrong.code == 4
    assert "invalid _positive value" not in wrong.text
    assert "--chaos-exhaustive" in wrong.text
