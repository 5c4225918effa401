"""What is published: the archive of the sources, the README as an index shows it, the versions that are allowed."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from email import message_from_string
from pathlib import Path
from types import ModuleType

import pytest

import chaoskit

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def load(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def ours() -> list[str]:
    """The files of the repository; in an unpacked archive, what it says that it has."""
    git = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if git.returncode == 0:
        return git.stdout.splitlines()
    (listed,) = ROOT.glob("*.egg-info/SOURCES.txt")
    names = listed.read_text(encoding="utf-8").splitlines()
    return [name for name in names if name != "setup.cfg" and ".egg-info/" not in name]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That of the sources, made after the tests have left something behind."""
    copy = tmp_path_factory.mktemp("archive") / "copy"
    for name in ours():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy / name)
    for left in ("tests/__pycache__/x.cpython-311.pyc", "examples/.hypothesis/y", "tests/.pytest_cache/z"):
        (copy / left).parent.mkdir(exist_ok=True)
        (copy / left).write_text("left behind")
    build = "import setuptools.build_meta as build; build.build_sdist('dist')"
    done = subprocess.run([sys.executable, "-c", build], cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (made,) = (copy / "dist").iterdir()
    return made


def test_the_source_archive_is_the_repository(archive: Path) -> None:
    """Documents, examples, tests, changelog, what CI runs; and nothing that a run has left behind."""
    with tarfile.open(archive) as tar:
        packed = {member.name.partition("/")[2] for member in tar.getmembers() if member.isfile()}
    packed = {name for name in packed if name not in ("PKG-INFO", "setup.cfg") and ".egg-info/" not in name}
    assert packed == {*ours()}
    assert {"CHANGELOG.md", "docs/kafka.md", "examples/wallet/demo.py", "tests/findings.py", ".ci/run"} <= packed


def test_an_index_shows_the_readme_without_links_that_lead_nowhere(archive: Path) -> None:
    """Each relative link is its text, as there is no address yet that it could lead to."""
    with tarfile.open(archive) as tar:
        member = next(each for each in tar.getmembers() if each.name.count("/") == 1 and each.name.endswith("PKG-INFO"))
        file = tar.extractfile(member)
        assert file is not None
        shown = message_from_string(file.read().decode("utf-8"))
    assert shown["Description-Content-Type"] == "text/markdown"
    text = str(shown.get_payload())
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    assert "docs/kafka.md and docs/brokers.md" in text
    assert [target for target in targets if not target.startswith(("https://", "#"))] == []
    assert "#brokers" in targets


def test_with_an_address_relative_links_lead_there() -> None:
    """It is enough to give [project.urls] a Source."""
    description = load("setup.py").long_description
    text = "see [the rules](docs/kafka.md#order), [below](#brokers) and [Hypothesis](https://hypothesis.works)"
    assert description(text, "https://example.org/chaoskit/") == (
        "see [the rules](https://example.org/chaoskit/blob/HEAD/docs/kafka.md#order), [below](#brokers) and "
        "[Hypothesis](https://hypothesis.works)"
    )
    assert description(text, None).startswith("see the rules, [below](#brokers)")


def test_each_dependency_has_a_floor_and_ci_installs_exactly_that() -> None:
    """The oldest versions that are allowed are versions that the tests ran with."""
    needed = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["redis"]]
    assert all(re.fullmatch(r"[a-z-]+>=\d+(\.\d+)*", each) for each in needed)
    assert load(".ci/others.py").oldest() == [each.replace(">=", "==") for each in needed]
    named = {each for extra in ("clients", "frameworks") for each in PROJECT["optional-dependencies"][extra]}
    clients = load(".ci/others.py").oldest_clients()
    assert {re.sub(r"\[.*\]", "", each).replace(">=", "==") for each in named} <= set(clients)
    assert "make others" in (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()


def test_ci_tests_each_python_that_is_there_once_and_needs_none(tmp_path: Path) -> None:
    """A shim that leads nowhere, one that is too old, a second of the same version and a pre-release are left out."""
    others = load(".ci/others.py")

    def python(name: str, answer: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{answer}\n")
        path.chmod(0o755)
        return path

    found = others.found(
        [
            python("a/python3.13", "echo 3 13 final /a/python3.13"),
            python("b/python3.13", "echo 3 13 final /b/python3.13"),
            python("a/python3.12", "echo 3 12 final /a b/python3.12"),
            python("a/python3.10", "echo 3 10 final /a/python3.10"),
            python("a/python3.14", "echo 3 14 candidate /a/python3.14"),
            python("a/python3.11", "exit 127"),
            python("a/python3.12-config", "echo 3 15 final /a/python3.12-config"),
        ]
    )
    assert found == [((3, 12), Path("/a b/python3.12")), ((3, 13), Path("/a/python3.13"))]
    assert all((ROOT / path).exists() for path in (*others.FAST, *others.INSIDE, *others.CLIENTS))


def test_the_version_is_the_same_wherever_it_stands() -> None:
    """What the package says of itself, and what its index says."""
    assert PROJECT["version"] == chaoskit.__version__
