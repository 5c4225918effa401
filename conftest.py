"""The project's own tests run pytest in temporary directories."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A name with an address in it is another one in each process, and the workers of xdist refuse to begin."""
    shifting = [item.nodeid for item in items if " at 0x" in item.nodeid]
    if shifting:
        raise pytest.UsageError(f"the address of an object stands in the name of a test: {shifting[0]}")
