"""What a plain test has to bring and can call, as the source of the chaos test and of its values shows it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from chaoskit.generate.classes import arguments_of
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


@pytest.mark.parametrize(("method", "refused"), [("setup_method", True), ("amounts", False)])
def test_a_class_is_set_up_only_by_the_names_of_pytest(tmp_path: Path, method: str, refused: bool) -> None:
    """Another method is the test's own, which it calls itself."""
    module = f"class TestA:\n    def {method}(self): ...\n\n    def test_it(self, deliver): ...\n"
    (tmp_path / "test_a.py").write_text(module)
    if refused:
        with pytest.raises(ReproError, match="TestA has setup_method, which only pytest calls"):
            target_of("test_a.py::TestA::test_it", tmp_path)
    else:
        assert target_of("test_a.py::TestA::test_it", tmp_path).call == "TestA().test_it"


@pytest.mark.parametrize("field", ["amount = attr.ib()", "amount: int", "amount: int = attr.field()"])
def test_a_field_of_a_class_needs_no_annotation(field: str) -> None:
    """Where attrs made it by a call, as it was written before there were annotations."""
    (kind,) = ast.parse(f"@attr.s\nclass Money:\n    _at = attr.ib(alias='when')\n    {field}\n").body
    assert isinstance(kind, ast.ClassDef)
    assert arguments_of(kind, ["amount", "_at"]) == ["amount", "when"]
    assert arguments_of(kind, ["amount", "currency"]) is None
