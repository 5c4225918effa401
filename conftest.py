"""The project's own tests run pytest in temporary directories."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A name with an address in it is another one in each process, and the workers of xdist refuse to begin.

    What takes long comes first, so that at the end no worker is alone with it.
    """
    shifting = [item.nodeid for item in items if " at 0x" in item.nodeid]
    if shifting:
        raise pytest.UsageError(f"the address of an object stands in the name of a test: {shifting[0]}")
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


def pytest_report_header() -> list[str]:
    """The versions of what the adapters stand in for, as far as it is there."""
    text = (Path(__file__).parent / "pyproject.toml").read_text(encoding="utf-8")
    extras = tomllib.loads(text)["project"]["optional-dependencies"]
    return [f"{extra}: {', '.join(_installed(extras[extra])) or 'none'}" for extra in ("clients", "frameworks")]


def _installed(needed: list[str]) -> list[str]:
    found = []
    for each in needed:
        name = re.split(r"[\[>=]", each)[0]
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return found
