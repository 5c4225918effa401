"""What `--as-test` writes of a stranger's values is data, whatever is in them."""

from __future__ import annotations

import ast
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cases import cases
from chaoskit.cli import main
from chaoskit.generate.project import class_finder, parse
from chaoskit.generate.source import Names, laid_out, quoted
from chaoskit.generate.values import Values
from chaoskit.repro.bounds import check_depth
from chaoskit.values.errors import CodecError, ReproError
from strangers.canaries import watched
from strangers.mutants import TEXTS, good, hostile
from strangers.project import shop

MANY = cases(1_250)
CALLED = {
    "chaos_tests.Kind", "chaos_tests.Point", "chaos_tests.Money", "chaos_tests.Order", "chaos_tests.Watched", "Parcel",
    "decode", "float", "set", "frozenset", "Decimal", "UUID", "timedelta", "datetime.fromisoformat",
    "date.fromisoformat", "time.fromisoformat",
}  # fmt: skip


@pytest.fixture(scope="module")
def sprung(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    with shop(tmp_path_factory.mktemp("shop")) as sprung:
        yield sprung


def written(value: Any) -> tuple[str, str] | None:
    """The imports and the expression for this value; None where it is refused."""
    names = Names(["set", "frozenset", "float"], {"test_shop": "chaos_tests"})
    find = class_finder(Path("test_shop.py"), {"test_shop": "test_shop"}, [Path.cwd()])
    try:
        check_depth(value)
        return laid_out(Values(names, find).source(value)), names.imports()
    except (CodecError, ReproError):
        return None


def calls_in(source: str) -> set[str]:
    return {ast.unparse(node.func) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)}


@pytest.mark.many
def test_thousands_of_hostile_values_are_written_and_run_nothing(sprung: list[str]) -> None:
    """Calls of classes whose source shows what a call does, literals, and what `decode` refuses."""
    import test_shop  # type: ignore[import-not-found]

    chance, counted = random.Random(1), Counter[str]()
    for _ in range(MANY):
        value = hostile(chance)
        found = written(value)
        counted["refused" if found is None else "written"] += 1
        if found is None:
            continue
        expression, imports = found
        calls = calls_in(expression)
        assert calls <= CALLED, expression
        assert {line.split()[1] for line in imports.splitlines() if line} <= {
            "chaoskit.codec", "decimal", "uuid", "datetime", "shop_events"
        }, imports  # fmt: skip
        names: dict[str, Any] = {"chaos_tests": test_shop}
        exec(imports, names)
        code = compile(f"made = {expression}", "written", "exec")
        with watched() as seen:
            try:
                exec(code, names)
                counted["made"] += 1
            except Exception:  # noqa: BLE001 - a class of the test's own may refuse a value as it likes
                counted["not made"] += 1
        assert [did for did in seen if "<module>" not in did] == [], expression
        assert set(sprung) <= {"hash"}, expression
    assert min(counted["written"], counted["made"], counted["not made"]) > MANY / 50, counted


@pytest.mark.parametrize(
    "value",
    [
        {"$object": "os:system", "items": ["touch PWNED"]},
        {"$enum": "os:system", "value": "touch PWNED"},
        {"$object": "os:system", "fields": {"command": "touch PWNED"}},
        {"$object": "subprocess:Popen", "fields": {"args": "touch PWNED"}},
        {"$object": "test_shop:trap", "items": []},
        {"$object": "test_shop:Trap", "fields": {"amount": 1}},
        {"$enum": "test_shop:Twice", "value": 1},
        {"$object": "canary:Kind", "fields": {}},
        {"$enum": "scripts.canary_too:Kind", "value": "touch PWNED"},
    ],
    ids=lambda value: " ".join(map(str, value.values())),
)
@pytest.mark.usefixtures("sprung")
def test_a_name_in_a_file_is_never_called_or_imported(value: dict[str, Any]) -> None:
    """Not what it names, nor a class of which nobody knows what a call of it does."""
    found = written(value)
    assert found is not None
    assert calls_in(found[0]) == {"decode"}
    assert found[1] == "from chaoskit.codec import decode"


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"$enum": "test_shop:Kind", "value": "debit"}, "chaos_tests.Kind.DEBIT"),
        ({"$object": "test_shop:Point", "items": [1, 2]}, "chaos_tests.Point(1, 2)"),
        ({"$object": "test_shop:Money", "fields": {"amount": 1, "kind": 2}}, "chaos_tests.Money(amount=1, kind=2)"),
        ({"$object": "shop_events:Parcel", "fields": {"weight": 1}}, "Parcel(weight=1)"),
    ],
    ids=["enum", "named tuple", "attrs", "another module"],
)
@pytest.mark.usefixtures("sprung")
def test_a_class_whose_source_shows_what_a_call_does_is_called(value: dict[str, Any], says: str) -> None:
    """The twin: tests are there to be read."""
    found = written(value)
    assert found is not None
    assert found[0] == says


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import b\n", {"b"}),
        ("from p import b as c\n", {"p", "p.b"}),
        ("try:\n    import b\nexcept ImportError:\n    import d\n", {"b"}),
        ("if True:\n    import b\n", set()),
        ("def f():\n    import b\n", set()),
        ("from __future__ import annotations\nimport os, sys.b\n", set()),
        ("import p.deep\n", {"p", "p.deep", "b"}),
    ],
)
def test_classes_are_looked_for_where_the_test_is_sure_to_import_them(
    tmp_path: Path, source: str, found: set[str]
) -> None:
    """The written test imports no module that the chaos test would not."""
    places = {"b.py", "d.py", "os.py", "p/__init__.py", "p/b.py", "p/deep.py"}
    for place in places:
        path = tmp_path / place
        path.parent.mkdir(exist_ok=True)
        path.write_text("class C: pass\n")
    (tmp_path / "p/deep.py").write_text("import b\nfrom . import b\nclass C: pass\n")
    (tmp_path / "test_a.py").write_text(source)
    assert parse(tmp_path / "test_a.py") is not None
    find = class_finder(tmp_path / "test_a.py", {"test_a": "test_a"}, [tmp_path])
    modules = ["b", "d", "os", "p", "p.b", "p.deep"]
    also = {"p.b"} if "deep" in source else set()
    assert {module for module in modules if find(module, "C")} == found | also


@pytest.mark.parametrize("text", TEXTS)
def test_a_literal_is_the_text_and_nothing_else(text: str) -> None:
    """Quotes, backslashes and ends of lines in it, in any order."""
    chance = random.Random(1)
    for _ in range(50):
        mixed = "".join(chance.choice([*text, *"'\"\\\n{}"]) for _ in range(chance.randrange(12)))
        for value in (mixed, mixed.encode("utf-8", "surrogatepass")):
            assert ast.literal_eval(quoted(value)) == value
            assert "\n" not in quoted(value)


@pytest.mark.usefixtures("sprung")
def test_a_function_that_is_no_chaos_test_is_not_called(tmp_path: Path) -> None:
    """`"test"` of a file may name any function of the repository."""
    import json

    from models.systems import SYSTEMS

    for name in ("trap", "Trap::__new__"):
        data = next(good(SYSTEMS["Kafka"], f"test_shop.py::{name}"))
        Path(tmp_path, "a.json").write_text(json.dumps(data))
        shown = CliRunner().invoke(main, ["replay", "--as-test", str(tmp_path / "a.json")])
        assert (shown.exit_code, shown.stdout) == (2, "")
        assert "is no chaos test: @chaos does not decorate it, and it takes no `deliver`" in shown.stderr
