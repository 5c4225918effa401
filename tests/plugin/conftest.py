"""Projects that several claims look at are run once for each way of running them."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugin.projects import MODES, Project, Ran, mode_name


@pytest.fixture
def wallet(tmp_path: Path) -> Project:
    """The README's wallet with a handler that counts a second delivery again."""
    return Project.wallet(tmp_path / "shop")


@pytest.fixture(scope="session", params=MODES, ids=mode_name)
def mode(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """The options of a run in one process, and of one over two workers."""
    found: tuple[str, ...] = request.param
    return found


@pytest.fixture(scope="session")
def failing(mode: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Ran]:
    """The wallet after its first run, which found the bug and saved it. Copy it before you change it."""
    project = Project.wallet(tmp_path_factory.mktemp("failing") / "my shop")
    return project, project.pytest("--chaos-seed=1", *mode)


@pytest.fixture(scope="session")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Ran]:
    """The same, run in one process only."""
    project = Project.wallet(tmp_path_factory.mktemp("first") / "my shop")
    return project, project.pytest("--chaos-seed=1")


@pytest.fixture
def saved(first: tuple[Project, Ran], tmp_path: Path) -> Project:
    """A copy of the wallet with its saved repro."""
    return first[0].copy(tmp_path / "my shop")
