"""The consumer's repository in examples/warehouse, played to its end with the commands of its workflow and README."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import tomllib
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
import yaml

from plugin.projects import LONELY, Project, Ran

pytestmark = pytest.mark.long

EXAMPLE = Path(__file__).parent.parent / "examples" / "warehouse"
ON_CI = {"CI": "true", "PYTEST_ADDOPTS": shlex.join((*LONELY, "-p", "no:cacheprovider"))}
"""As on GitHub, with Hypothesis' profile for it; without plugins that a fresh environment does not have."""
RUN_NUMBER = "602"
"""Of the night that is played again here: one whose first worker meets it at the beginning of its third slice."""


def workflow() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((EXAMPLE / ".github" / "workflows" / "chaos.yml").read_text("utf-8"))
    return loaded


def steps(job: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = workflow()["jobs"][job]["steps"]
    return found


def command(job: str, start: str, **replaced: str) -> list[str]:
    """The command of this job that starts so, in words; GitHub's expressions stand for what is given."""
    (line,) = (step["run"] for step in steps(job) if step.get("run", "").startswith(start))
    line = re.sub(r"\$\{\{ \w+\.(\w+) \}\}", lambda expression: replaced[expression[1]], line)
    return shlex.split(line)


def run(project: Project, words: list[str]) -> Ran:
    return project.run(*words, env=ON_CI)


def quick(project: Project) -> Ran:
    return run(project, command("quick", "pytest"))


def night(project: Project, time: str, workers: int) -> Ran:
    """The nightly job, for a shorter time. Which of several workers gets which slice is not fixed, so that only one
    worker alone is sure to search the same again."""
    words = command("nightly", "chaoskit fuzz", shard="1", run_number=RUN_NUMBER)
    words[words.index("--time") + 1] = time
    words[words.index("-n") + 1] = str(workers)
    return run(project, words)


def replay(project: Project) -> Ran:
    return run(project, shlex.split("chaoskit replay artifact.zip"))


def repaired(project: Project, root: Path) -> Project:
    """A copy in which the repair has taken the handler's place."""
    copy = project.copy(root)
    package = copy.root / "src" / "warehouse"
    shutil.copy(package / "stock_repaired.py", package / "stock.py")
    return copy


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """What a clone of the consumer's repository has."""
    root = tmp_path_factory.mktemp("clone") / "warehouse"
    shutil.copytree(EXAMPLE, root, ignore=shutil.ignore_patterns("__pycache__", ".hypothesis", ".pytest_cache"))
    return Project(root)


@pytest.fixture(scope="module")
def after_the_night(checkout: Project, tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Ran]:
    """The runner's directory after a night, with .chaoskit/ as the artifact that somebody has downloaded."""
    project = checkout.copy(tmp_path_factory.mktemp("night") / "warehouse")
    ran = night(project, "16s", workers=1)
    with ZipFile(project.root / "artifact.zip", "w") as artifact:
        for repro in project.repros:  # names are relative to the one path that is uploaded
            artifact.write(repro, repro.name)
    return project, ran


def test_a_push_does_not_find_it(checkout: Project) -> None:
    """Both handlers hold in the quick run, and it is a run that has shown something."""
    ran = quick(checkout)
    assert ran.code == 0, ran.text
    assert ran.out.count("held: 1,000 schedules of 28 streams") == 2
    assert checkout.repros == []


def test_the_night_finds_what_needs_a_stock_that_comes_to_nothing(after_the_night: tuple[Project, Ran]) -> None:
    """The report stands in the log, the file is there, and only the wrong handler is blamed."""
    project, ran = after_the_night
    assert ran.code == 1, ran.text
    found = [json.loads(repro.read_text("utf-8")) for repro in project.repros]
    assert {repro["test"] for repro in found} == {"tests/test_stock.py::test_pieces_in_stock"}, ran.text
    assert "Duplicate" in {fault["fault"] for repro in found for fault in repro["faults"]}
    assert min(len(repro["events"]) for repro in found) == 2
    for repro in found:
        assert sum(event["value"] for event in repro["events"]) == 0
        assert len({event["key"] for event in repro["events"]}) == len(repro["faults"]) == 1
    ran.assert_in_order("FOUND test_pieces_in_stock", "(2 events, 1 fault, minimal)", "To replay: chaoskit replay")
    assert re.search(r"^held +tests/test_orders\.py::", ran.out, re.MULTILINE), ran.text


def test_the_artifact_fails_at_home(after_the_night: tuple[Project, Ran]) -> None:
    """The zip file as it was downloaded says STILL FAILS and shows the report again."""
    ran = replay(after_the_night[0])
    assert ran.code == 1, ran.text
    assert ran.out.startswith("STILL FAILS  artifact.zip/")
    ran.assert_in_order("What differs", "What happened")


def test_once_the_file_is_committed_a_push_fails_at_once(after_the_night: tuple[Project, Ran]) -> None:
    """The quick run plays the saved delivery before it searches."""
    ran = quick(after_the_night[0])
    assert ran.code == 1, ran.text
    assert "still fails; nothing was searched" in ran.out
    assert "1 failed, 1 passed" in ran.out


def test_after_the_repair_all_is_green(after_the_night: tuple[Project, Ran], tmp_path: Path) -> None:
    """The replay says FIXED, a push passes and keeps the file as a regression test, the next night holds."""
    project = repaired(after_the_night[0], tmp_path / "warehouse")
    ran = replay(project)
    assert ran.code == 0, ran.text
    assert ran.out.startswith("FIXED  artifact.zip/")
    ran = quick(project)
    assert ran.code == 0, ran.text
    assert "is fixed and stays as a regression test" in ran.out
    ran = night(project, "6s", workers=2)
    assert ran.code == 0, ran.text
    assert "no failure" in ran.out


def test_the_night_keeps_what_it_found_whatever_comes_of_it() -> None:
    """.chaoskit/ is uploaded and .hypothesis/ is saved also where a test failed, and hidden files are not left out."""
    last = [step for step in steps("nightly") if step.get("if") == "always()"]
    assert [step["with"]["path"] for step in last] == [".hypothesis/", ".chaoskit/"]
    assert last[1]["with"]["include-hidden-files"] is True
    assert all(job["timeout-minutes"] for job in workflow()["jobs"].values())


def test_every_shard_has_its_number_and_all_have_one_seed() -> None:
    """--shard I/N counts the matrix, and what --seed is made of is the same on each runner."""
    shards = workflow()["jobs"]["nightly"]["strategy"]["matrix"]["shard"]
    (line,) = (step["run"] for step in steps("nightly") if step.get("run", "").startswith("chaoskit fuzz"))
    assert shards == list(range(1, len(shards) + 1))
    assert f"--shard ${{{{ matrix.shard }}}}/{len(shards)} " in line
    assert line.endswith("--seed ${{ github.run_number }}")


def test_the_service_itself_does_not_need_chaoskit() -> None:
    """Its tests do: it is named there, and nothing below src/ imports it."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["optional-dependencies"] == {"test": ["chaoskit==0.1.0"]}
    assert "dependencies" not in project
    sources = sorted((EXAMPLE / "src").rglob("*.py"))
    assert [source.name for source in sources if "chaoskit" in source.read_text("utf-8")] == []
    assert len(sources) >= 4


def test_its_readme_shows_what_the_night_says(after_the_night: tuple[Project, Ran]) -> None:
    """The block of output in it is a part of the night's log, to the letter."""
    readme = (EXAMPLE / "README.md").read_text("utf-8")
    (shown,) = re.findall(r"```text\n(.*?)```", readme, re.DOTALL)
    assert len(shown.splitlines()) > 10
    assert shown in after_the_night[1].out
