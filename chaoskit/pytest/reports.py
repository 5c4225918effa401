"""Reports of a pytest run: files in the directory of --chaos-report, and what GitHub Actions shows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from chaoskit.report.files import why_not, write
from chaoskit.report.github import annotation, append_to_step_summary, unpacked
from chaoskit.report.lines import json_lines
from chaoskit.report.page import page
from chaoskit.report.picture import svg
from chaoskit.report.tolerance import as_markdown
from chaoskit.repro.write import file_name, slug
from chaoskit.values.errors import ChaosError
from chaoskit.values.names import from_here
from chaoskit.values.verdict import Verdict


def write_reports(config: pytest.Config, verdict: Verdict, *, replay: str | None = None, name: str = "") -> str:
    """Write what was asked for, as soon as a verdict is there, under this name or that of its repro file. The answer
    says where the page is, or in a sentence why there is none; it is empty where nothing was asked for, or all is
    well."""
    given = config.getoption("chaos_report")
    if not given:
        return ""
    directory = config.rootpath / str(given)
    name = name or _name(verdict)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        write(directory / f"{name}.jsonl", json_lines(verdict, replay=replay))
        if verdict.tolerance is not None:
            write(directory / f"{name}.md", as_markdown(verdict.tolerance))
        elif verdict.status == "held":
            return ""
        if verdict.status == "violated":
            write(directory / f"{name}.svg", svg(verdict))
        write(directory / f"{name}.html", page(verdict, replay=replay))
    except OSError as error:
        return f"No report: {why_not(directory, error)}."
    except (ChaosError, ValueError, RecursionError) as error:  # values that cannot be written, however leniently
        return f"No report: {type(error).__name__}: {error}."
    return f"Report: {from_here(directory / f'{name}.html')}"


def _name(verdict: Verdict) -> str:
    """That of the repro file; the test's own where nothing failed."""
    if verdict.status == "violated":
        return Path(file_name(verdict)).stem
    return slug(verdict.test or "")


# GitHub Actions.


def on_github() -> bool:
    return os.environ.get("GITHUB_ACTIONS") == "true"


Located = tuple[tuple[str, int | None, str], str]
"""The location of a test as pytest has it, lines from 0; and its packed entry."""


def commands(config: pytest.Config, found: Sequence[Located]) -> list[str]:
    """An annotation for each failure, in the order of the tests' names."""
    entries = sorted(((unpacked(packed), place) for place, packed in found), key=lambda each: each[0].test)
    return [
        annotation(one, file=_in_workspace(config, file), line=None if line is None else line + 1)
        for one, (file, line, _) in entries
        if one.failed
    ]


def append_summary(found: Sequence[Located]) -> str:
    """Append to the file that GITHUB_STEP_SUMMARY names, if it does. The answer says what went wrong."""
    trouble = append_to_step_summary(unpacked(packed) for _, packed in found)
    return f"chaoskit: {trouble}" if trouble else ""


def _in_workspace(config: pytest.Config, file: str) -> str:
    """GitHub names files from the workspace, pytest from its rootdir, which may lie below."""
    path, workspace = config.rootpath / file, os.environ.get("GITHUB_WORKSPACE")
    inside = workspace and path.is_relative_to(workspace)
    return path.relative_to(workspace).as_posix() if workspace and inside else file
