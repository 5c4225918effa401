"""What a plain test has to bring from the module of the chaos test that it calls."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaoskit.generate.target import target_of
from chaoskit.values.errors import ReproError

CONFTEST = "import pytest\n\n@pytest.fixture\ndef ledger():\n    return {}\n"
HELPERS = "def ledger():\n    return 1\n\ndef size():\n    return 2\n"
TESTS = """
def test_it(deliver, ledger): ...

@pytest.mark.parametrize("size", [1, 2])
def test_cases(deliver, size): ...
"""


def written(directory: Path, module: str) -> Path:
    (directory / "conftest.py").write_text(CONFTEST)
    (directory / "test_a.py").write_text(f"import pytest\n\n{module}{TESTS}")
    return directory


def test_a_plain_function_of_the_name_of_a_fixture_is_none(tmp_path: Path) -> None:
    """pytest takes the one of conftest.py, which every module beside it has; and a case takes the place of none."""
    root = written(tmp_path, HELPERS)
    assert target_of("test_a.py::test_it", root).fixtures == ("ledger",)
    assert target_of("test_a.py::test_it", root).brought == ()
    assert target_of("test_a.py::test_cases[1]", root).arguments == {"size": 1}


def test_a_fixture_of_the_module_is_brought_and_none_of_its_name_is_a_case(tmp_path: Path) -> None:
    """The same functions as fixtures."""
    root = written(tmp_path, HELPERS.replace("def ", "@pytest.fixture\ndef "))
    assert target_of("test_a.py::test_it", root).brought == ("ledger",)
    with pytest.raises(ReproError, match=r"^size is a fixture, too, which the case \[1\] takes the place of"):
        target_of("test_a.py::test_cases[1]", root)
