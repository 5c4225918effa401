"""The report of a chaos test in the place of pytest's traceback."""

from __future__ import annotations

import pytest
from _pytest._code.code import ReprEntryNative, ReprExceptionInfo, ReprFileLocation, ReprTraceback

from chaoskit.execution.failures import ReferenceRefused
from chaoskit.report.summary import traceback_of
from chaoskit.values.errors import ChaosError
from chaoskit.values.texts import for_log
from chaoskit.values.verdict import ChaosFailure


def longrepr_of(error: BaseException, item: pytest.Item, headline: str) -> ReprExceptionInfo | None:
    """What pytest is to show of this error: its text, without a traceback through chaoskit. None where it is not ours,
    or where --full-trace asks for all. `headline`: the line of pytest's summary."""
    if not isinstance(error, (ChaosFailure, ChaosError)) or item.config.getoption("fulltrace", False):
        return None
    text = str(error) if isinstance(error, ChaosFailure) else f"{type(error).__name__}: {error}"
    if isinstance(error, ReferenceRefused) and error.__cause__ is not None:
        text = f"{text}\n\n{traceback_of(error.__cause__)}"
    text = for_log("\n\n".join([text, *getattr(error, "__notes__", ())]))
    path, line, _ = item.location
    crash = ReprFileLocation(path, (line or 0) + 1, for_log(headline) or text.splitlines()[0])
    entry = ReprEntryNative([f"{text.rstrip()}\n"])
    return ReprExceptionInfo(ReprTraceback([entry], None, "native"), crash)
