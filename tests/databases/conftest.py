"""One server for all tests of a worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from databases.servers import Postgres, postgres


@pytest.fixture(scope="session")
def server() -> Iterator[Postgres]:
    with postgres() as running:
        yield running
