"""Workflows that we write or show: what they run is what was there when they were written."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import chaoskit
from chaoskit.generate.workflow import workflow

ROOT = Path(__file__).parent.parent.parent
USES = re.compile(r"^( *)- uses: (\S+)@(\S+)(.*)\n((?:\1  .*\n)*)", re.MULTILINE)


def texts(tmp: Path) -> dict[str, str]:
    """Of `chaoskit init`, and of the files of this repository that show one."""
    shown = [ROOT / "examples/warehouse/.github/workflows/chaos.yml", *ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
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
    assert set(commits) == {f"actions/{name}" for name in ("checkout", "setup-python", "upload-artifact", "cache")}


@pytest.mark.parametrize("files", [{}, {"requirements.txt": "pytest\n"}], ids=["alone", "with requirements"])
def test_the_version_of_chaoskit_is_the_one_that_wrote_the_workflow(tmp_path: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert re.findall(r"pip install (chaoskit\S*)", workflow(tmp_path)) == [f"chaoskit=={chaoskit.__version__}"] * 2


def test_the_example_asks_for_this_version() -> None:
    """Its workflow installs what its pyproject.toml names."""
    project = tomllib.loads((ROOT / "examples/warehouse/pyproject.toml").read_text())["project"]
    assert project["optional-dependencies"]["test"] == [f"chaoskit=={chaoskit.__version__}"]
