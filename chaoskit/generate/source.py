"""Python source: calls and literals that break into lines as ruff and black break them, and the imports they need."""

from __future__ import annotations

import keyword
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence

import attrs

WIDTH = 88
"""Columns: the default of ruff and black."""


@attrs.frozen
class Group:
    """Something in brackets. `spread`: one item a line, also where one line would hold them all."""

    open: str
    items: tuple[Code, ...]
    close: str
    spread: bool = False
    single: bool = False
    """A tuple of one, whose comma always stays."""


Code = str | Group


def call(
    function: str, items: Iterable[Code] = (), named: Mapping[str, Code] | None = None, *, spread: bool = False
) -> Code:
    """`function(items, name=…)`."""
    arguments = (*items, *(behind(f"{name}=", code) for name, code in (named or {}).items()))
    return Group(f"{function}(", arguments, ")", spread) if arguments else f"{function}()"


def listed(items: Iterable[Code], *, spread: bool = False) -> Code:
    """`[items]`."""
    found = tuple(items)
    return Group("[", found, "]", spread) if found else "[]"


def mapping(pairs: Iterable[tuple[Code, Code]]) -> Code:
    """`{key: value}`. A key stands on one line."""
    found = tuple(behind(f"{flat(key)}: ", value) for key, value in pairs)
    return Group("{", found, "}") if found else "{}"


def tupled(items: Sequence[Code]) -> Code:
    """`(items)`, with the comma that a tuple of one needs."""
    return Group("(", tuple(items), ")", single=len(items) == 1) if items else "()"


def behind(before: str, code: Code) -> Code:
    """`code` with this in front of it."""
    return before + code if isinstance(code, str) else attrs.evolve(code, open=before + code.open)


def flat(code: Code) -> str:
    """On one line."""
    if isinstance(code, str):
        return code
    return f"{code.open}{', '.join(map(flat, code.items))}{',' if code.single else ''}{code.close}"


def laid_out(code: Code, *, indent: int = 0, before: str = "", after: str = "", width: int = WIDTH) -> str:
    """The source, indented by so many blanks, with `before` and `after` around it: on one line where it fits, else the
    arguments of a call on a line of their own, else one item a line."""
    blanks = " " * indent
    one = f"{blanks}{before}{flat(code)}{after}"
    if isinstance(code, str) or (not _spreads(code) and len(one) <= width):
        return one
    inner = ", ".join(map(flat, code.items))
    # Not a tuple, which ruff and black break one item a line at once.
    is_call = code.close.startswith(")") and code.open != "(" and not code.open.endswith(("=(", " ("))
    if is_call and not _spreads(code) and indent + 4 + len(inner) <= width:
        lines = [f"{blanks}    {inner}"]
    else:
        lines = [laid_out(item, indent=indent + 4, after=",", width=width) for item in code.items]
    return "\n".join([f"{blanks}{before}{code.open}", *lines, f"{blanks}{code.close}{after}"])


def broken(line: str, *, indent: int) -> list[str]:
    """A line with a call, of which the arguments stand on a line of their own where it is too long with that indent."""
    start, end = line.find("("), line.rfind(")")
    if len(line) + indent <= WIDTH or not 0 < start < end:
        return [line]
    blanks = " " * (len(line) - len(line.lstrip()))
    return [line[: start + 1], f"{blanks}    {line[start + 1 : end]}", f"{blanks}{line[end:]}"]


def _spreads(code: Code) -> bool:
    return isinstance(code, Group) and (code.spread or any(map(_spreads, code.items)))


def quoted(value: str | bytes) -> str:
    """The literal of a text or of bytes, in double quotes where that needs no more escapes."""
    written = repr(value)
    prefix, quote, body = written[: written.index(written[-1])], written[-1], written[:-1].lstrip("b")[1:]
    # As ruff and black do: double quotes, unless these would need more escapes than the others.
    if quote == "'" and body.count('"') <= body.count("\\'"):
        body = body.replace("\\'", "'").replace('"', '\\"')
        quote = '"'
    return f"{prefix}{quote}{body}{quote}"


def is_name(text: str) -> bool:
    """Whether this can be written as a name, so that nothing else gets into the source."""
    return text.isidentifier() and not keyword.iskeyword(text)


def are_names(dotted: str) -> bool:
    return all(map(is_name, dotted.split(".")))


class Names:
    """The imports of a file. A name that is taken already is reached through its module.

    `modules` have a name in the file already. `is_ours`: whether a module of this name is the repository's own, which
    import sorters put into a section of its own.
    """

    def __init__(
        self,
        taken: Iterable[str] = (),
        modules: Mapping[str, str] | None = None,
        is_ours: Callable[[str], bool] = lambda name: True,
    ) -> None:
        self._homes: dict[str, str] = dict.fromkeys(taken, "")
        self._modules = dict(modules or {})
        self._imported: dict[str, None] = {}
        self._is_ours = is_ours

    def name(self, module: str, qualname: str) -> str:
        """How the file calls this function or class of a module, which it imports for that."""
        assert are_names(module)
        assert are_names(qualname)
        if module in self._modules:
            return f"{self._modules[module]}.{qualname}"
        first = qualname.partition(".")[0]
        if self._homes.setdefault(first, module) == module:
            return qualname
        return f"{self.module(module)}.{qualname}"

    def reserve(self, module: str, name: str) -> None:
        """Keep a name for this module, whatever else is called so."""
        self._homes[name] = module

    def module(self, module: str) -> str:
        """How the file calls this module, which it imports for that."""
        if module not in self._modules:
            self._imported[module] = None
        return self._modules.get(module, module)

    def taken(self, name: str) -> bool:
        return name in self._homes

    def imports(self, more: Sequence[str] = ()) -> str:
        """The import statements, with `more` of them: the standard library, what is installed, then the
        repository's own."""
        lines = [f"import {module}" for module in self._imported]
        names: dict[str, list[str]] = {}
        for name, module in self._homes.items():
            if module:
                names.setdefault(module, []).append(name)
        lines += [_from_import(module, found) for module, found in names.items()]
        sections: dict[int, list[str]] = {}
        for line in [*lines, *more]:
            sections.setdefault(self._section(line), []).append(line)
        return "\n\n".join("\n".join(sorted(sections[number], key=_import_order)) for number in sorted(sections))

    def _section(self, line: str) -> int:
        root = line.split()[1].partition(".")[0]
        if root in sys.stdlib_module_names:
            return 0
        return 1 if root in ("chaoskit", "hypothesis", "pytest") or not self._is_ours(root) else 2


def _from_import(module: str, names: Sequence[str]) -> str:
    # Constants, classes, functions, as ruff's isort has them by default.
    ordered = sorted(names, key=lambda name: (not name.isupper(), name[0].islower(), name))
    line = f"from {module} import {', '.join(ordered)}"
    return line if len(line) <= WIDTH else laid_out(call("", ordered, spread=True), before=f"from {module} import ")


def _import_order(line: str) -> tuple[bool, str]:
    # Plain imports before `from` ones, as ruff's isort has them by default.
    return line.startswith("from "), line.split()[1]
