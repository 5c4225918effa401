"""Workflows that we write or show: what they run is what was there when they were written."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

import chaoskit
from chaoskit.generate.workflow import workflow

ROOT = Path(__file__).parent.parent.parent
OWN = sorted(ROOT.glob(".github/workflows/*.yml"))
USES = re.compile(r"^( *)- uses: (\S+)@(\S+)(.*)\n((?:\1  .*\n)*)", re.MULTILINE)


def texts(tmp: Path) -> dict[str, str]:
    """Of `chaoskit init`, of this repository, and of its files that show one."""
    shown = [ROOT / "examples/warehouse/.github/workflows/chaos.yml", *OWN, *ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
    return {"init": workflow(tmp)} | {path.name: path.read_text(encoding="utf-8") for path in shown}


def test_every_action_is_named_by_its_commit(tmp_path: Path) -> None:
    """A tag can be moved by whoever gets hold of the action; the comment says which one it was. One action has one
    commit everywhere, and a checkout leaves no token for the tests."""
    commits: dict[str, str] = {}
    for name, text in texts(tmp_path).items():
        for _, action, commit, comment, below in USES.findall(text):
            assert re.fullmatch("[0-9a-f]{40}", commit), f"{name}: {action}@{commit}"
            assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment), f"{name}: {action}{comment}"
            project = "/".join(action.split("/")[:2])
            assert commits.setdefault(project, commit) == commit
            if action == "actions/checkout":
                assert "persist-credentials: false\n" in below, name
    ours = ("checkout", "setup-python", "upload-artifact", "download-artifact", "cache")
    assert set(commits) == {f"actions/{name}" for name in ours} | {"pypa/gh-action-pypi-publish"}


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_our_own_workflows_may_read_only(path: Path) -> None:
    """But for the job that publishes: its token tells the index who it is, and signs where the files come from."""
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    more = {name: job["permissions"] for name, job in workflow["jobs"].items() if "permissions" in job}
    assert more == ({"publish": {"id-token": "write"}} if path.name == "release.yml" else {})
    assert "secrets." not in path.read_text(encoding="utf-8")


def test_a_release_has_pure_and_compiled_wheels_and_its_provenance() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text(encoding="utf-8"))
    publish = workflow["jobs"]["publish"]
    assert publish["needs"] == ["pure", "compiled"]
    assert publish["steps"][-1]["with"] == {"attestations": True}
    compiled = next(step for step in workflow["jobs"]["compiled"]["steps"] if "env" in step)
    assert compiled["env"]["CIBW_ENVIRONMENT"] == "CHAOSKIT_COMPILE=1"


@pytest.mark.parametrize("files", [{}, {"requirements.txt": "pytest\n"}], ids=["alone", "with requirements"])
def test_the_version_of_chaoskit_is_the_one_that_wrote_the_workflow(tmp_path: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert re.findall(r"pip install (chaoskit\S*)", workflow(tmp_path)) == [f"chaoskit=={chaoskit.__version__}"] * 2


def test_the_example_asks_for_this_version() -> None:
    """Its workflow installs what its pyproject.toml names."""
    project = tomllib.loads((ROOT / "examples/warehouse/pyproject.toml").read_text())["project"]
    assert project["optional-dependencies"]["test"] == [f"chaoskit=={chaoskit.__version__}"]
