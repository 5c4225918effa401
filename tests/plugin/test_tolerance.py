"""`--chaos-tolerance` says which kinds of fault a handler survives; `chaoskit compare` what changes where it moves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from chaoskit.cli import main
from chaoskit.values.faults import ALL_KINDS
from plugin.projects import BUGGY, HEAD, MODES, Project, Ran, mode_name

TESTS = """
from handlers import handler

@pytest.fixture
def start():
    return {"alice": 0}

@chaos(PAYMENTS, broker=Kafka(partitions=6), schedules=40)
def test_points(deliver, start):
    balances = dict(start)
    deliver(handler(balances))
    return balances

@chaos(PAYMENTS, broker=SqsFifo(), schedules=40)
async def test_newest(deliver):
    rows = {}
    async def handle(message):
        if message.seq > rows.get(message.key, (0, 0))[0]:
            rows[message.key] = message.seq, message.value
    await deliver(handle)
    return rows

@chaos(PAYMENTS, broker=Kafka(idempotent_producer=False), schedules=40)
def test_offsets(deliver):
    applied, total = {}, {}
    def handle(message):
        if message.offset > applied.get(message.partition, -1):
            applied[message.partition] = message.offset
            total[message.key] = total.get(message.key, 0) + message.value
    deliver(handle)
    return total

@chaos(PAYMENTS, broker=Kafka(), schedules=40)
def test_moved(deliver):
    ids, total = set(), {}
    def handle(message):
        if message.id not in ids:
            ids.add(message.id)
            total[message.key] = message.value
    deliver(handle)
    return total

def test_plain():
    raise AssertionError("no chaos test")
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project.at(tmp_path_factory.mktemp("tolerance"), handlers=BUGGY, test_shop=HEAD + TESTS)


def flat(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("mode", MODES, ids=mode_name)
def test_each_test_has_a_table_for_its_own_broker(project: Project, mode: tuple[str, ...]) -> None:
    """Of what passes in its line, of what fails in its report."""
    ran = project.pytest("--chaos-tolerance", "--chaos-seed=1", "--chaos-repros=none", "-k", "points or newest", *mode)
    assert ran.code == 1
    points = ran.out[ran.out.index("test_points does not") :]
    table = points[points.index("What it tolerates") : points.index("Replay\n")]
    rows = [line.split() for line in table.splitlines()]
    assert ["Kafka()"] in rows
    assert ["Duplicate", "breaks", "(1)"] in rows
    assert ["DeadLetter", "survives", "(40)"] in rows
    assert ["BatchSwap", "cannot", "happen"] in rows
    assert "Duplicate breaks it: e" in table
    assert "Repaired: Remember message ids: it holds in 40 schedules then." in flat(table)
    assert "Cannot happen: BatchSwap: an idempotent producer" in flat(table)
    newest = ran.said_of()["test_shop.py::test_newest"]
    assert "What it tolerates (schedules in brackets)" in newest
    assert "Duplicate survives (40)" in flat(newest)
    assert "mixtures survives (40)" in flat(newest)
    ran.assert_quiet_about_us()


@pytest.fixture(scope="module")
def reported(project: Project) -> Ran:
    brokers = ("--chaos-broker=Kafka(idempotent_producer=False)", "--chaos-broker=RabbitMQ(prefetch=1)")
    return project.pytest(
        "--chaos-tolerance", *brokers, "--chaos-seed=1", "--chaos-report=pages", "--chaos-repros=none",
        "-k", "offsets or newest", env={"COLUMNS": "80", "GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": "summary.md"},
    )  # fmt: skip


def test_several_brokers_stand_side_by_side(reported: Ran) -> None:
    """In 80 columns, too; and on what a broker does not carry it says so, without a traceback."""
    answered = reported.out[reported.out.index("What it tolerates") : reported.out.index("Replay\n")]
    assert max(map(len, answered.splitlines())) <= 80
    rows = [line.split() for line in answered.splitlines()]
    assert ["Resend", "breaks", "(1)", "not", "exercised"] in rows
    assert ["BatchSwap", "survives", "(40)", "cannot", "happen"] in rows
    assert "it raises TypeError ('>' not supported between instances of 'NoneType' and 'int') in order" in flat(
        answered
    )
    assert "it reads message.offset and message.partition, which RabbitMQ does not carry" in flat(answered)
    reported.assert_quiet_about_us()


def lines_of(project: Project, test: str) -> list[dict[str, Any]]:
    (path,) = (project.root / "pages").glob(f"*{test}*.jsonl")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_other_reports_say_it_too(project: Project, reported: Ran) -> None:
    """JSON lines, a page and Markdown, of a test that passes as well; and the summary of a step on GitHub."""
    lines = lines_of(project, "offsets")
    kafka, rabbit = (line for line in lines if line["type"] == "tolerance")
    assert kafka["text"] == "Kafka(idempotent_producer=False)"
    assert rabbit["broker"]["prefetch"] == 1
    assert "which RabbitMQ does not carry" in rabbit["why"]
    trials = {(line["broker"], line["kind"]): line for line in lines if line["type"] == "trial"}
    assert len(trials) == 2 * (len(ALL_KINDS) + 1)
    resend = trials[1, "Resend"]
    assert resend["answer"] == "breaks"
    assert resend["repair"] == "ids"
    assert resend["faults"][0]["fault"] == "Resend"
    assert resend["order"] == 2 * [resend["events"][0]["id"]]
    assert "enable.idempotence" in resend["ruled_out_by"]["Resend"]
    assert trials[2, "Resend"]["answer"] == "not exercised"
    pages = project.root / "pages"
    for test, shown in (("offsets", '<td class="observed">breaks (1)</td>'), ("newest", "survives (40)")):
        (page,) = pages.glob(f"*{test}*.html")
        text = page.read_text(encoding="utf-8")
        assert "What it tolerates" in text
        assert shown in text
        (markdown,) = pages.glob(f"*{test}*.md")
        assert "| mixtures |" in markdown.read_text(encoding="utf-8")
    summary = (project.root / "summary.md").read_text(encoding="utf-8")
    assert "| Resend | **breaks (1)** | not exercised |" in summary
    assert "| Duplicate | survives (40) | survives (40) |" in summary
    assert "Report: pages" in reported.said_of()["test_shop.py::test_newest"]


MISUSES = {
    "no such broker": (["--chaos-tolerance", "--chaos-broker=Kafak"], "no broker is called 'Kafak'; did you mean"),
    "no such setting": (["--chaos-tolerance", "--chaos-broker=Kafka(partition=1)"], "did you mean 'partitions'?"),
    "alone": (["--chaos-broker=Kafka"], "--chaos-broker says for which broker --chaos-tolerance asks; give both"),
}


@pytest.mark.parametrize("case", MISUSES)
def test_a_misuse_is_told_before_anything_runs(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments, says = MISUSES[case]
    assert pytest.main([str(tmp_path), "-p", "no:cacheprovider", *arguments]) == pytest.ExitCode.USAGE_ERROR
    assert says in capsys.readouterr().err


# chaoskit compare.


@pytest.fixture(scope="module")
def moved(project: Project) -> Ran:
    return project.chaoskit(
        "compare", "--broker", "Kafka(growth=False)", "--broker", "RabbitMQ", "--chaos-seed=1", "--markdown=moved.md",
        "-n2", "test_shop.py",
    )  # fmt: skip


def test_it_says_what_changes_where_the_handlers_move(project: Project, moved: Ran) -> None:
    assert moved.code == 1
    moved.assert_in_order(
        "Kafka(growth=False) → RabbitMQ()",
        "test_shop.py::test_points",
        "new: Resend breaks it: e",
        "Repaired: Remember message ids",
        "same: Duplicate, Redeliver and Zombie break it on both.",
        "not known: Lose: cannot happen before, not exercised after (these settings can lose",
        "test_shop.py::test_newest",
        "test_shop.py::test_offsets",
        "not known: on RabbitMQ() it raises TypeError",
        "test_shop.py::test_moved",
        "new: Overtake breaks it: e",
        "gone: DeadLetter cannot happen: nothing is dead-lettered",
        "4 chaos tests: 2 with something new, 1 of which not all can be said; asked with --chaos-seed=1",
    )
    assert "test_plain" not in moved.text
    moved.assert_quiet_about_us()
    assert not project.repros  # nothing was searched or saved besides
    markdown = (project.root / "moved.md").read_text(encoding="utf-8")
    assert "- new&#58; Overtake breaks it&#58; e" in markdown
    assert "| Overtake | survives (40) | **breaks" in markdown


def test_where_nothing_breaks_anew_it_ends_with_0(project: Project) -> None:
    ran = project.chaoskit(
        "compare", "--broker=RabbitMQ", "--broker=InOrder", "--broker=RabbitMQ(queue_type='classic')",
        "--markdown=-", "--chaos-schedules=20", "test_shop.py", "-k", "newest",
    )  # fmt: skip
    assert ran.code == 0, ran.text
    assert ran.out.count("### <code>test&#95;shop") == 2
    assert "- same&#58;" in ran.out
    assert "| Duplicate | survives (20) | cannot happen | survives (20) |" in ran.out


def test_what_cannot_be_asked_is_told_with_its_code(tmp_path: Path) -> None:
    broken = Project.at(
        tmp_path / "broken",
        test_import="import no_such_module\n",
        test_fixture=HEAD
        + """
@pytest.fixture
def database():
    raise ConnectionError("no database here")

@chaos(PAYMENTS)
def test_stored(deliver, database):
    return deliver(print)

@pytest.mark.skip(reason="not today")
@chaos(PAYMENTS)
def test_skipped(deliver):
    return deliver(print)

@pytest.mark.xfail(strict=True)
@chaos(PAYMENTS)
def test_known_to_fail(deliver):
    ids = []
    deliver(lambda message: ids.append(message.id))
    return sorted(ids)
""",
    )
    ran = broken.chaoskit("compare", "--broker=Kafka", "--broker=RabbitMQ", "--chaos-schedules=5")
    assert ran.code == 2
    ran.assert_in_order(
        "test_fixture.py::test_known_to_fail",
        "Duplicate",
        "test_fixture.py::test_stored",
        "not known: ConnectionError: no database here",
        "test_fixture.py::test_skipped",
        "not known: Skipped: not today",
        "2 chaos tests",
    )
    assert "test_import.py cannot be imported: ModuleNotFoundError" in ran.err
    ran.assert_quiet_about_us()


def test_without_a_chaos_test_there_is_nothing_to_compare(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["compare", "--broker=Kafka", "--broker=RabbitMQ", str(tmp_path)])
    assert result.exit_code == 2
    assert "no chaos test was found" in result.output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--broker=Kafka"], "two are needed: --broker RabbitMQ --broker SqsStandard"),
        ([], "two are needed"),
        (["--broker=Kafka", "--broker=SqsFife"], "no broker is called 'SqsFife'; did you mean 'SqsFifo'?"),
        (["--broker=Kafka", "--broker=RabbitMQ(prefetch=0)"], "RabbitMQ(prefetch=0): a whole number, 1 or more"),
    ],
)
def test_brokers_that_cannot_be_compared_are_a_misuse(arguments: list[str], says: str) -> None:
    result = CliRunner().invoke(main, ["compare", *arguments])
    assert result.exit_code == 2
    assert says in result.output


def test_its_help_says_what_is_compared_and_how_it_ends() -> None:
    answered = flat(CliRunner().invoke(main, ["compare", "--help"]).output)
    for part in (
        "when handlers move to another broker",
        "Exit codes: 0 nothing breaks anew",
        "chaoskit compare --broker RabbitMQ",
    ):
        assert part in answered
