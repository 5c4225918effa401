"""The projects that the tests of the plugin use, too."""

import pytest

from plugin.conftest import first, saved, wallet

__all__ = ["first", "saved", "wallet"]


@pytest.fixture(autouse=True)
def a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports are as wide as in a log, whatever terminal these tests run in."""
    monkeypatch.delenv("COLUMNS", raising=False)
