"""`chaoskit show` with its options: where reports go, and what cannot be."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from plugin.projects import Project
from reports.cases import DEAD_LETTER, TWICE, log, saved, show, wallet

OPTIONS = ("--html", "--svg", "--jsonl")
STARTS = {"--html": "<!doctype html>", "--svg": "<svg ", "--jsonl": '{"type": "verdict"'}


@pytest.fixture
def repro(tmp_path: Path) -> Path:
    return saved(wallet, DEAD_LETTER, tmp_path / "repros")


def test_without_options_the_report_is_printed(repro: Path) -> None:
    """As ever; the states only where they are asked for."""
    plain, states = show(repro), show(repro, "--states")
    assert (plain.exit_code, states.exit_code) == (0, 0)
    assert "What differs" in plain.output
    assert "The state after each step" not in plain.output
    lines = states.output.partition("The state after each step\n")[2].splitlines()
    assert [line.split() for line in lines[:5]] == [
        ["in", "order", "observed"],
        ["1", "–", "{}"],
        ["2", "{'alice':", "0}", "after", "e2;", "here", "e1", "is", "still", "missing", "{}"],
        ["3", "{'alice':", "0}", "after", "e2;", "here", "e1", "is", "still", "missing", "{}"],
        ["4", "{'alice':", "0}", "after", "e2", "{'alice':", "1}", "←", "the", "first", "difference"],
    ]


@pytest.mark.parametrize("option", OPTIONS)
def test_a_report_goes_to_a_file_or_to_standard_output(repro: Path, tmp_path: Path, option: str) -> None:
    """The same bytes; nothing is printed beside a file, and no other file is left."""
    out = tmp_path / "out" / "report"
    out.parent.mkdir()
    out.write_text("of yesterday")
    written, printed = show(repro, option, out), show(repro, option, "-")
    assert (written.exit_code, written.output) == (0, "")
    assert printed.exit_code == 0
    assert out.read_bytes() == printed.stdout_bytes
    assert printed.output.startswith(STARTS[option])
    assert list(out.parent.iterdir()) == [out]


def test_several_reports_at_once(repro: Path, tmp_path: Path) -> None:
    """Each in its file, and one of them on standard output."""
    assert show(repro, "--html", tmp_path / "a.html", "--svg", tmp_path / "a.svg", "--jsonl", "-").exit_code == 0
    assert (tmp_path / "a.html").read_text().startswith(STARTS["--html"])
    assert (tmp_path / "a.svg").read_text().startswith(STARTS["--svg"])


def test_the_real_command_writes_utf_8_whatever_the_locale(repro: Path) -> None:
    """Also where standard output is ASCII."""
    project = Project.at(repro.parent)
    ran = project.chaoskit("show", repro.name, "--html", "-", env={"PYTHONIOENCODING": "ascii", "LC_ALL": "C"})
    assert ran.code == 0, ran.text
    assert "←" in ran.out


def test_a_link_stays_a_link_and_rights_stay(repro: Path, tmp_path: Path) -> None:
    """What is named is overwritten, where it really is."""
    target, link = tmp_path / "target.html", tmp_path / "link.html"
    target.write_text("of yesterday")
    target.chmod(0o600)
    link.symlink_to(target)
    assert show(repro, "--html", link).exit_code == 0
    assert link.is_symlink()
    assert target.read_text().startswith(STARTS["--html"])
    assert target.stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(sys.platform == "win32", reason="there is no /dev/null on Windows")
def test_a_device_stays_a_device(repro: Path) -> None:
    """It is written to, and not replaced."""
    assert show(repro, "--html", "/dev/null").exit_code == 0
    assert Path("/dev/null").is_char_device()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--html", "gone/a.html"], "gone/a.html cannot be written: No such file or directory"),
        (["--svg", "repros/{name}/a.svg"], "cannot be written: Not a directory"),
        (["--html", "repros"], "repros is a directory"),
        (["other", "--html", "-"], "--html - takes one repro file, and these are several; name a directory"),
        (["other", "--svg", "repros/{name}"], "is a file, and these are several reports; name a directory"),
        (["--jsonl", "repros/{name}"], "is the repro file itself"),
        (["--html", "a", "--svg", "a"], "two reports cannot be one file"),
        (["--html", "a", "--svg", "repros/../a"], "two reports cannot be one file"),
        (["--html", "-", "--svg", "-"], "only one report can go to standard output"),
        (["--html", "-", "--github"], "only one report can go to standard output"),
        (["--html"], "requires an argument"),
        (["--pdf", "a"], "No such option"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_written_is_said_and_exits_with_2(
    repro: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], says: str
) -> None:
    """In a line, without a traceback; the repro file stays as it is, and nothing is left behind."""
    monkeypatch.chdir(tmp_path)
    before = repro.read_bytes()
    result = show(repro, *(argument.format(name=repro.name) for argument in arguments))
    assert result.exit_code == 2, result.output
    assert says in result.output
    assert "Traceback" not in result.output
    assert repro.read_bytes() == before
    assert sorted(path.name for path in tmp_path.rglob("*")) == sorted(["repros", repro.name])


def test_an_unreadable_repro_writes_nothing(tmp_path: Path) -> None:
    """The reason, and exit code 2."""
    (tmp_path / "bad.json").write_text("{")
    result = show(tmp_path / "bad.json", "--html", tmp_path / "a.html")
    assert result.exit_code == 2
    assert "not JSON, or cut off" in result.output
    assert not (tmp_path / "a.html").exists()


def test_github_gets_an_annotation_and_a_summary(repro: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line on standard output, and Markdown behind what other steps wrote."""
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    result = show(repro, "--github")
    assert result.exit_code == 0
    (line,) = result.output.splitlines()
    assert line.startswith("::error file=tests/test_shop.py,title=test_wallet does not survive DeadLetter%2C which")
    assert summary.read_text(encoding="utf-8").startswith("before\n## chaoskit\n")
    monkeypatch.delenv("GITHUB_STEP_SUMMARY")
    assert show(repro, "--github").output == result.output


def test_a_summary_that_cannot_be_written_is_said(repro: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", os.fspath(tmp_path / "gone" / "summary.md"))
    result: Any = show(repro, "--github")
    assert result.exit_code == 2
    assert "summary.md cannot be written: No such file or directory" in result.output


@pytest.fixture
def two(repro: Path) -> Path:
    """A directory of two files."""
    saved(log, TWICE, repro.parent)
    return repro.parent


def test_show_takes_what_replay_takes(two: Path, tmp_path: Path) -> None:
    """A directory, the zip file of an artifact and several files give the same reports, each under its name."""
    files = sorted(two.glob("*.json"))
    archive = tmp_path / "artifact.zip"
    with ZipFile(archive, "w") as packed:
        for file in files:
            packed.write(file, f"repros/{file.name}")
    for arguments in ([two], [archive], files):
        result = show(*arguments)
        assert result.exit_code == 0, result.output
        assert result.output.count("What differs") == 2
        places = [result.output.index(file.name) for file in files]
        assert places == sorted(places)
    assert f"chaoskit replay {archive}\n" in show(archive).output


def test_of_several_files_each_report_has_a_file(two: Path, tmp_path: Path) -> None:
    """In a directory that is made; JSON lines of all of them may go to standard output."""
    result = show(two, "--html", tmp_path / "out" / "pages", "--jsonl", "-")
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in (tmp_path / "out" / "pages").iterdir()) == sorted(
        f"{path.stem}.html" for path in two.glob("*.json")
    )
    assert result.output.count('{"type": "verdict"') == 2


def test_a_file_among_several_that_cannot_be_read_is_said(two: Path) -> None:
    """The others are shown all the same, and the exit code is 2."""
    (two / "bad.json").write_text("{")
    result = show(two)
    assert result.exit_code == 2
    assert "bad.json: not JSON, or cut off" in result.output
    assert result.output.count("What differs") == 2


def test_github_gets_all_of_several_files(two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An annotation each, and one summary."""
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    result = show(two, "--github")
    assert result.exit_code == 0
    assert result.output.count("::error ") == 2
    assert (tmp_path / "summary.md").read_text(encoding="utf-8").count("## chaoskit\n") == 1
