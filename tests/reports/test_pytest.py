"""`pytest --chaos-report DIR`: what is written, when, and under which name."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from plugin.projects import FIXED, HEAD, MODES, WALLET, Project, Ran, mode_name
from reports.cases import Page

FINE = HEAD + FIXED + WALLET.replace("from handlers import handler\n", "").replace("test_wallet", "test_fine")
UNKNOWN = HEAD + WALLET.replace("test_wallet", "test_unknown").replace("return balances", "return 3")


@pytest.fixture(scope="module", params=MODES, ids=mode_name)
def reported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Ran]:
    """A run with a failing test, a passing one and an unknown one."""
    project = Project.wallet(tmp_path_factory.mktemp("reported") / "my shop")
    project.write("test_fine.py", FINE)
    project.write("test_unknown.py", UNKNOWN)
    return project, project.pytest("--chaos-seed=1", "--chaos-schedules=200", "--chaos-report=out/new", *request.param)


def test_a_failure_has_a_page_a_picture_and_lines_named_like_its_repro(reported: tuple[Project, Ran]) -> None:
    """All about the same delivery, with the seed and the command; the failure names the page."""
    project, ran = reported
    assert ran.code == 1, ran.text
    name = project.only_repro().stem
    out = project.root / "out" / "new"
    assert f"\nReport: out/new/{name}.html\n" in ran.out
    page = Page((out / f"{name}.html").read_text(encoding="utf-8"))
    assert page.only("h1").text.startswith("test_wallet does not survive")
    text = page.only("main").text
    assert f"chaoskit replay .chaoskit/{name}.json" in text
    assert "Found with --chaos-seed=1" in page.only("footer").text
    ElementTree.parse(out / f"{name}.svg")
    first = json.loads((out / f"{name}.jsonl").read_text().splitlines()[0])
    assert (first["status"], first["test"], first["seed"]) == ("violated", "test_wallet.py::test_wallet", 1)


def test_other_tests_write_what_they_have_shown(reported: tuple[Project, Ran]) -> None:
    """A passing one lines, an unknown one a page, too; nothing else is there."""
    project = reported[0]
    out = project.root / "out" / "new"
    name = project.only_repro().stem
    assert {path.name for path in out.iterdir()} == {
        f"{name}.html", f"{name}.svg", f"{name}.jsonl", "test-fine-test-fine.jsonl",
        "test-unknown-test-unknown.html", "test-unknown-test-unknown.jsonl",
    }  # fmt: skip
    page = Page((out / "test-unknown-test-unknown.html").read_text(encoding="utf-8"))
    assert "has shown nothing" in page.only("h1").text
    assert "the state was 3 after every run" in page.only("main").text
    assert "200 schedules" in page.only("main").text


def test_a_directory_that_cannot_be_written_hides_no_failure(wallet: Project) -> None:
    """One sentence in the report, and in the line of a test that passes."""
    wallet.write("test_fine.py", FINE)
    wallet.write("out", "a file")
    ran = wallet.pytest("--chaos-seed=1", "--chaos-schedules=200", "--chaos-report=out")
    assert ran.code == 1, ran.text
    ran.assert_in_order("What differs", "Replay", "No report: ", "out cannot be written: ")
    assert "1 failed, 1 passed" in ran.out
    assert "No report: " in ran.said_of()["test_fine.py::test_fine"]
    assert (wallet.root / "out").read_text() == "a file"


def test_the_report_is_there_before_the_run_ends(wallet: Project) -> None:
    """A run that is killed after the failure has it: the next test looks for the page, and dies."""
    wallet.write("test_zz.py", "import os\ndef test_kill():\n    os.rename('out', 'seen')\n    os._exit(7)\n")
    ran = wallet.pytest("--chaos-seed=1", "--chaos-schedules=200", "--chaos-report=out")
    assert ran.code == 7, ran.text
    assert len(list((wallet.root / "seen").glob("*.html"))) == 1


def test_a_saved_repro_that_still_fails_is_reported_under_its_name(saved: Project) -> None:
    """Nothing is searched, and the page is about that delivery."""
    ran = saved.pytest("--chaos-report=out")
    assert ran.code == 1, ran.text
    assert "nothing was searched" in ran.out
    assert (saved.root / "out" / f"{saved.only_repro().stem}.html").exists()


def test_without_the_option_nothing_is_written(reported: tuple[Project, Ran], wallet: Project) -> None:
    """No directory, and no word about it."""
    ran = wallet.pytest("--chaos-seed=1", "--chaos-schedules=200")
    assert "Report" not in ran.out
    assert {path.name for path in wallet.root.iterdir()} - {"__pycache__", ".hypothesis"} == {
        ".chaoskit", "pytest.ini", "handlers.py", "test_wallet.py",
    }  # fmt: skip


def test_an_event_without_an_encoding_is_reported_all_the_same(tmp_path: Path) -> None:
    """No repro file can be written; the page can, and says so."""
    source = """
class Opaque:
    def __repr__(self):
        return "<opaque>"

@chaos(events(st.builds(Opaque), keys=st.just("a")), faults={Duplicate})
def test_opaque(deliver):
    seen = []
    deliver(lambda message: seen.append(message.id))
    return seen
"""
    project = Project.at(tmp_path, test_opaque=HEAD + source)
    ran = project.pytest("--chaos-seed=1", "--chaos-report=out")
    assert ran.code == 1, ran.text
    (path,) = (tmp_path / "out").glob("*.html")
    page = Page(path.read_text(encoding="utf-8"))
    assert "<opaque>" in page.only("main").text
    assert "no repro file" in page.only("main").text


ENDLESS = """
@chaos(PAYMENTS, broker=Kafka(partitions=2), schedules=200)
def test_endless(deliver):
    seen = []
    def handle(message):
        while message.id in seen:
            pass
        seen.append(message.id)
    deliver(handle)
    return sorted(seen)
"""


def test_a_run_that_does_not_end_has_its_reports_without_states(tmp_path: Path) -> None:
    """The page says where it hung, and nothing of an order or of states."""
    project = Project.at(tmp_path, test_endless=HEAD + ENDLESS)
    ran = project.pytest("--chaos-seed=1", "--chaos-limit=2s", "--chaos-report=out")
    assert ran.code == 1, ran.text
    (path,) = (tmp_path / "out").glob("*.html")
    page = Page(path.read_text(encoding="utf-8"))
    assert "did not return within 2 s" in page.only("main").text
    assert "The states along the way are not known" in page.only("main").text
    assert not [paragraph for paragraph in page.all("p") if paragraph.attributes.get("class") == "label"]
    ElementTree.parse(path.with_suffix(".svg"))
    assert "states" not in json.loads(project.only_repro().read_text())
