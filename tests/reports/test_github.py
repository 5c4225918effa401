"""GitHub Actions: annotations and the summary of a step."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from chaoskit.report.github import MOST_BYTES, ReportEntry, annotation, summary
from plugin.projects import FIXED, HEAD, MODES, WALLET, Project, Ran, mode_name
from reports.cases import EVIL, HOSTILE, Page, log, saved, show

FINE = HEAD + FIXED + WALLET.replace("from handlers import handler\n", "").replace("test_wallet", "test_fine")
ERROR = HEAD + WALLET.replace("test_wallet", "test_error").replace("return balances", "")
ALLOWED = HEAD + WALLET.replace("test_wallet", "test_allowed").replace("return balances", "return 3").replace(
    "partitions=6)", 'partitions=6), allow_unknown="only a demo"'
)  # fmt: skip


@pytest.fixture(scope="module", params=MODES, ids=mode_name)
def ran(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Ran]:
    """A run on GitHub, from a directory below the workspace."""
    workspace = tmp_path_factory.mktemp("workspace")
    project = Project.wallet(workspace / "my shop")
    for name, source in (("test_fine", FINE), ("test_error", ERROR), ("test_allowed", ALLOWED)):
        project.write(f"{name}.py", source)
    project.write("summary.md", "before\n")
    github = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_WORKSPACE": str(workspace),
        "GITHUB_STEP_SUMMARY": str(project.root / "summary.md"),
    }
    arguments = ("--chaos-seed=1", "--chaos-schedules=200")
    return project, project.pytest(*arguments, *request.param, env=github)


def commands(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("::")]


def test_each_failing_chaos_test_is_annotated_at_its_line(ran: tuple[Project, Ran]) -> None:
    """Named from the workspace, with the headline, what happened and the command; others are not."""
    project, said = ran
    assert said.code == 1, said.text
    error, violated = commands(said.out)
    line = (
        (project.root / "test_wallet.py").read_text().splitlines().index("@chaos(PAYMENTS, broker=Kafka(partitions=6))")
    )
    assert violated.startswith(
        f"::error file=my shop/test_wallet.py,line={line + 1},title=test_wallet does not survive "
    )
    message = violated.split("::", 2)[2]
    assert "%0A1. " in message
    assert message.endswith(f"%0ATo replay: chaoskit replay .chaoskit/{project.only_repro().name}")
    assert error.startswith("::error file=my shop/test_error.py,line=")
    assert "UsageError%3A the test returned None" in error


def test_the_summary_of_the_step_tells_of_every_chaos_test_once(ran: tuple[Project, Ran]) -> None:
    """Behind what stands there: failures first, with the delivery and the command."""
    text = (ran[0].root / "summary.md").read_text(encoding="utf-8")
    assert text.startswith("before\n## chaoskit\n")
    assert text.count("## chaoskit\n") == 1
    table = [unescape(line) for line in text.splitlines() if line.startswith("| ") and "<code>" in line]
    assert [re.findall(r"^\| (.*?) \| .*::(\w+)</code>", line)[0] for line in table] == [
        ("⚠️ error", "test_error"),
        ("❌ violated", "test_wallet"),
        ("⏭️ skipped", "test_allowed"),
        ("✅ held", "test_fine"),
    ]
    assert "200 schedules of" in table[-1]
    assert "only a demo" in table[-2]
    assert "1  0: " in text
    assert f"chaoskit replay .chaoskit/{ran[0].only_repro().name}" in text


def test_elsewhere_nothing_of_it_is_there(wallet: Project) -> None:
    """Without GITHUB_ACTIONS no annotation and no summary, even where its file is named."""
    summary_file = wallet.root / "summary.md"
    said = wallet.pytest("--chaos-schedules=200", env={"GITHUB_STEP_SUMMARY": str(summary_file)})
    assert said.code == 1
    assert commands(said.out) == []
    assert not summary_file.exists()


def test_a_summary_that_cannot_be_written_is_said_and_changes_nothing(wallet: Project) -> None:
    said = wallet.pytest(
        "--chaos-schedules=200", env={"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": "gone/summary.md"}
    )
    assert said.code == 1
    assert "chaoskit: gone/summary.md cannot be written: No such file or directory" in said.out
    assert len(commands(said.out)) == 1


def test_a_replay_on_github_writes_no_summary(saved: Project) -> None:
    """`chaoskit replay` runs pytest for its answers, which it prints itself."""
    github = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(saved.root / "summary.md")}
    said = saved.chaoskit("replay", ".chaoskit", env=github)
    assert said.code == 1
    assert not (saved.root / "summary.md").exists()


# Hostile texts.


HURT = ReportEntry(
    f"tests/a.py::test[{EVIL}]", "violated", EVIL, f"1  {EVIL}\n```\n~~~~\n", (f"1. {EVIL}",), f"replay '{EVIL}'"
)


def test_no_text_ends_an_annotation_or_starts_another() -> None:
    """One line; in a property no colon and no comma; and GitHub reads back what was meant."""
    made = annotation(HURT, file="a,b:c%.py", line=3)
    assert len(made.splitlines()) == 1
    properties, message = re.fullmatch(r"::error (.*?)::(.*)", made).groups()  # type: ignore[union-attr]
    assert properties.startswith("file=a%2Cb%3Ac%25.py,line=3,title=")
    assert properties.count(",") == 2
    assert ":" not in properties
    read = message.replace("%0A", "\n").replace("%0D", "\r").replace("%25", "%")
    assert "egnp.exe" not in read.replace("\\u202egnp.exe", "")
    assert "onerror=alert(1)" in read
    assert not [sign for sign in made if ord(sign) < 32]


def test_no_text_is_markdown_or_html() -> None:
    """A Markdown reader that knows HTML and tables finds the elements that are ours, and the texts as they are."""
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(summary([HURT]))
    page = Page(html)
    assert {element.tag for element in page.all()} <= {
        "h2", "h3", "table", "thead", "tbody", "tr", "th", "td", "p", "code", "pre",
    }  # fmt: skip
    assert len(page.all("tr")) == 2
    assert [len(row.children) for row in page.all("tr")] == [3, 3]
    assert page.only("h3").text.startswith("tests/a.py::test[</script><img src=x")
    timeline, replay = page.all("pre")
    assert timeline.text.endswith("\n```\n~~~~\n")
    assert replay.text.startswith("replay '")


def test_a_hostile_failure_goes_through_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole way from a file: one command on one line, and a summary of our elements only."""
    target = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(target))
    result = show(saved(log, HOSTILE, tmp_path), "--github")
    assert result.exit_code == 0, result.output
    assert len(result.output.splitlines()) == 1
    page = Page(MarkdownIt("commonmark", {"html": True}).enable("table").render(target.read_text(encoding="utf-8")))
    assert {element.tag for element in page.all()}.isdisjoint({"img", "script", "svg", "a", "em", "strong"})


def test_a_summary_stays_below_what_github_takes() -> None:
    """Whole rows and whole failures for as long as there is room; and how many there was none for."""
    many = [
        ReportEntry(f"a.py::test_{n:05}", "violated", "x" * 300, "y" * 20_000, ("1. z.",), "replay")
        for n in range(2000)
    ]
    text = summary(many)
    assert 0.9 * MOST_BYTES < len(text.encode()) <= MOST_BYTES
    assert text.count("```") % 2 == 0
    left = int(re.findall(r"There is no room here for (\d+) more", text)[0])
    assert left + text.count("| ❌ violated |") + text.count("### <code>") == 4000
    few = summary(many[:2])
    assert "There is no room" not in few
