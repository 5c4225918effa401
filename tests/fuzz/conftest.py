"""What holds for every test that starts a job."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fuzz.jobs import end_started, let_children_be_interrupted


@pytest.fixture(autouse=True)
def _ends_what_it_started() -> Iterator[None]:
    """Also where it fails: a job that is left running takes the time of all that follow."""
    let_children_be_interrupted()
    yield
    end_started()
