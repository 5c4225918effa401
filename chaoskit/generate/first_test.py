"""The first chaos test of a handler: what its source shows is filled in, and what it does not show is marked."""

from __future__ import annotations

import functools
import keyword
import re
import textwrap
from pathlib import Path

import attrs

from chaoskit.generate.adapted import Adapted
from chaoskit.generate.body import body_of
from chaoskit.generate.databases import databases_of
from chaoskit.generate.environment import CONFTEST
from chaoskit.generate.findings import Findings, comment, joined, listed, shown
from chaoskit.generate.frameworks import framework_of, handed_to
from chaoskit.generate.handlers import FoundHandler
from chaoskit.generate.payloads import Payload, listed_keys, payload_of
from chaoskit.generate.places import ITEM, Reads
from chaoskit.generate.project import imported_with, is_own, module_file
from chaoskit.generate.reads import reads_of
from chaoskit.generate.recipes import adapted
from chaoskit.generate.roles import FieldPath, Roles, drawn_roles, roles_of
from chaoskit.generate.source import WIDTH, Code, Names, call, flat, is_name, laid_out, quoted
from chaoskit.generate.sql_rows import kept_rows
from chaoskit.generate.state import KeptRows, OfClass, state_of_class, state_of_module
from chaoskit.generate.strategies import drawn, letters, strategy
from chaoskit.values.errors import UsageError

_GENERIC = re.compile(r"handle|consume|process|on_message|on_event|handler|main|run|call|__call__|lambda_handler")
_OF_ADAPTERS = ("app", "client", "ctx", "handler", "made", "own", "process", "stack")
_RESERVED = ("st", "EVENTS", "deliver", "message", "event", "events", "chaos", "handle_one", "results", "pytest")


def name_of_test(handler: FoundHandler) -> str:
    """What the handler is called among tests: `wallet` for `shop.wallet:Wallet.handle` and for `shop.wallet:handle`."""
    function = handler.function.name
    above = snake(handler.kind.name) if handler.kind else handler.module.rpartition(".")[2]
    if _GENERIC.fullmatch(function):
        return above
    return f"{above}_{function}" if handler.kind else function


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower().strip("_")


def first_test(handler: FoundHandler, asked: str | None, root: Path, file: str) -> str:
    """The source of a test of `handler`, which is to stand in `file`, from the root: under the broker that is `asked`
    for, or that its framework has, or else Kafka.

    Raises UsageError for a function that takes no message, or that a framework calls in a way of its own.
    """
    known = adapted(handler)
    broker = asked or (known.broker if known else "Kafka")
    found = _look_at(handler, broker, root, known)
    found = attrs.evolve(found, kept=_kept(found, root / Path(file).parent / CONFTEST))
    values, keys = _values(found)
    body = body_of(found)
    said: dict[str, Code] = {"keys": keys, **_valid(found)}
    spread = not isinstance(values, str)
    events = call(found.names.name("chaoskit.strategies", "events"), [values], said, spread=spread)
    kind, chaos = found.names.name("chaoskit", broker), found.names.name("chaoskit", "chaos")
    asked_of: dict[str, Code] = {"broker": call(kind, (), _settings(found)), **_without(found)}
    decorators, fixtures = _decorators(found), found.adapted.fixtures if found.adapted else ()
    imports = found.names.imports([*_strategies_import(events), *_module_import(found)])
    parameters = ", ".join(("deliver", *fixtures))
    function = f"{'async ' if found.is_async else ''}def test_{name_of_test(handler)}({parameters}):"
    parts = [
        *_head(handler, broker, file, body),
        imports,
        "",
        *_about_events(found),
        laid_out(events, before="EVENTS = "),
        "",
        "",
        *_about_settings(found),
        *decorators,
        laid_out(call(chaos, ["EVENTS"], asked_of), before="@"),
        function,
        textwrap.indent(body, "    "),
    ]
    return "\n".join(line.rstrip() for line in "\n".join(parts).splitlines()) + "\n"


def _kept(found: Findings, conftest: Path) -> KeptRows | None:
    """The rows of a database that the conftest.py, which may still have to be written, lets be another one."""
    known, handler = found.adapted, found.handler
    if found.module_state or found.of_class.attributes or (known is not None and known.returns):
        return None
    path = module_file(handler.module, [handler.base])
    trees = {handler.module: handler.tree}
    trees |= imported_with(path, handler.module, [handler.base]) if path is not None else {}
    databases = databases_of(trees)
    told = conftest.read_text(encoding="utf-8", errors="replace") if conftest.exists() else None
    if told is not None and not all(each.is_told_by(told) for each in databases):
        return None
    return kept_rows(trees, databases, found.names, is_async=found.is_async)


def _head(handler: FoundHandler, broker: str, file: str, body: str) -> list[str]:
    todo = " Fill in what is marked TODO: until then it fails." if "TODO" in body else ""
    return [
        *textwrap.wrap(f'"""{handler.qualname} under every delivery that {broker} can make.', WIDTH),
        "",
        *textwrap.wrap(f"A first guess by `chaoskit init`, for you to change.{todo}", WIDTH),
        f"Run it with `pytest {file}`.",
        "`--chaos-self-check` says which known bugs it would notice, and fails where it would notice none.",
        '"""',
        "",
    ]


def _look_at(handler: FoundHandler, broker: str, root: Path, known: Adapted | None) -> Findings:
    what = framework_of(handler.tree, handler.function, [each.arg for each in handler.needed])
    if what and known is None:
        raise UsageError(_no_recipe(handler, what))
    reads = reads_of(known.value if known else handler)
    if known:
        known.complete(reads)
    if not reads.message:
        raise UsageError(f"{handler.qualname} takes no message: it has no parameter without a default")
    reads.needs += known.needs if known else ()
    name = f"test_{name_of_test(handler)}"
    module_state = state_of_module(handler, [*reads.functions, *(known.state_of if known else ())])
    on_instance = handler.kind is not None and not handler.is_static
    of_class = state_of_class(handler.kind) if on_instance and handler.kind else OfClass((), ())
    # What the instance keeps is state enough, and made anew with it.
    if of_class.attributes:
        module_state = {}
    module = handler.module.rpartition(".")[2]
    taken = [*_RESERVED, *(_OF_ADAPTERS if known else ()), name, *reads.needs, *of_class.needs]
    if module in taken or keyword.iskeyword(module):
        module = "the_module"
    owner = snake(handler.kind.name) if on_instance and handler.kind else ""
    if owner and (owner in taken or not is_name(owner) or (owner == module and module_state)):
        owner = "the_handler"
    by_module = [module] if module_state or (known and known.loop) else []
    names = Names([*taken, *([owner] if owner else []), *by_module], None, functools.partial(is_own, root))
    # Before the handler's names are written: these two are to stand plain in any test.
    for of, each in (("chaoskit", "chaos"), ("chaoskit.strategies", "events")):
        names.reserve(of, each)
    roles = _roles(reads, broker, known, names)
    payload = payload_of(handler, reads, roles, known)
    if payload is None:
        roles = _without_class(reads, roles, known)
    return Findings(handler, broker, reads, roles, names, of_class, module_state, module, owner, known, payload)


def _roles(reads: Reads, broker: str, known: Adapted | None, names: Names) -> Roles:
    """With what this broker does not stamp marked, and the key that the source names for sure."""
    reads.uses_key |= known is not None and known.uses_key
    roles = roles_of(reads, broker)
    if known and known.key:
        own = {place: what for place, what in roles.own.items() if what != "message.key"}
        roles = attrs.evolve(roles, own={**own, (known.key,): "message.key"})
    marked = {place: _not_stamped(place, broker, names) for place in roles.missing}
    return attrs.evolve(roles, stamped=roles.stamped | marked)


def _without_class(reads: Reads, roles: Roles, known: Adapted | None) -> Roles:
    """For values that are no instances of a class."""
    if reads.validated:
        # What it reads by attribute is its own: it is given a dict, or the JSON of one.
        for seen in reads.places.values():
            seen.attribute = False
    return drawn_roles(reads, roles) if known and known.loop else roles


def _values(found: Findings) -> tuple[Code, Code]:
    """The values and the keys of the events."""
    payload = found.payload
    if payload is None:
        place = found.roles.key_place
        keys = quoted(".".join(place)) if place else listed_keys(found.roles.key or "key")
        return strategy(found.reads, found.roles, found.names), keys
    return payload.values(found.names), quoted(payload.key) if payload.key else listed_keys("key")


def _settings(found: Findings) -> dict[str, Code]:
    """What the source says of the broker, unless another one was asked for."""
    known = found.adapted
    return dict(known.settings) if known and known.broker == found.broker else {}


def _without(found: Findings) -> dict[str, Code]:
    known = found.adapted
    if known is None or known.broker != found.broker or not known.without:
        return {}
    return {"without": f"{{{', '.join(found.names.name('chaoskit', each) for each in known.without)}}}"}


def _decorators(found: Findings) -> list[str]:
    given = found.adapted.decorators if found.adapted else ()
    return [f"@{each.format_map({'pytest': found.names.module('pytest')})}" for each in given]


def _about_settings(found: Findings) -> list[str]:
    guessed = [f"{name}={value}" for name, value in _settings(found).items()]
    said = f"Guessed from its source: {', '.join(guessed)}. " if guessed else ""
    which = "The other settings" if guessed else "The settings"
    known = found.adapted
    said += f"{known.assumed} " if known and known.assumed and known.broker == found.broker else ""
    return comment(f"{said}{which} of {found.broker} are yours to give: `chaoskit brokers {found.broker}` lists them.")


def _not_stamped(place: FieldPath, broker: str, names: Names) -> Code:
    """Stands for what some broker stamps, and this one does not."""
    todo = f"TODO: {'.'.join(place)} is what a broker stamps, and {broker} stamps none"
    return call(f"{names.module('pytest')}.fail", [quoted(todo)])


def _no_recipe(handler: FoundHandler, what: str) -> str:
    handed = [f"{handler.module}:{name}" for name in handed_to(handler.tree, handler.function)]
    such = f", such as {' or '.join(handed)}" if handed else ""
    return (
        f"{handler.qualname} is {what}, and chaoskit init has no recipe for that yet. No test is written: a guess "
        f"would mislead. Name a function that takes one message, or its value, and does the work{such}; where there is "
        "none, take the work out into one"
    )


def _valid(found: Findings) -> dict[str, Code]:
    """That ids differ, where they are drawn."""
    places = [place for place, seen in found.reads.places.items() if seen.unique]
    if not places:
        return {}
    by_attribute = found.payload is not None and found.payload.family != "dict"
    several = ["".join(f".{name}" if by_attribute else f"[{quoted(name)}]" for name in place) for place in places]
    different = " == ".join(f"len({{e.value{each} for e in s}})" for each in several)
    return {"valid": f"lambda s: {different} == len(s)"}


def _strategies_import(events: Code) -> list[str]:
    return ["from hypothesis import strategies as st"] if "st." in flat(events) else []


def _module_import(found: Findings) -> list[str]:
    """The module itself, where the test makes its state anew."""
    if not found.by_module:
        return []
    package, _, name = found.handler.module.rpartition(".")
    alias = "" if name == found.module else f" as {found.module}"
    return [f"from {package} import {name}{alias}" if package else f"import {name}{alias}"]


def _about_events(found: Findings) -> list[str]:
    if found.payload is not None:
        return _about_class(found.payload, found)
    places = drawn((), found.reads, found.roles)
    fields = list(dict.fromkeys(place[0] for place in places if place and place[0] != ITEM))
    what = f" It reads {listed(fields)}." if fields else " Which values it takes does not show in its source."
    if guessed := letters(found.reads, found.roles):
        what += f" What {listed(shown(guessed))} may be does not show: letters stand there."
    if found.reads.is_object and found.reads.annotation:
        name = found.reads.annotation.strip("'\"")
        what += f" It takes {name}: where SimpleNamespace is below, its class may have to be."
    what += _about_ids(found)
    return comment(
        f"What the producer sends, as {found.handler.qualname} reads it.{what} Make these the values and the keys that "
        "really come; for whole lists of events, such as no withdrawal without its deposit, there is valid=.",
    )


def _about_class(payload: Payload, found: Findings) -> list[str]:
    key = f" Guessed: `{payload.key}` is the events' key." if payload.key else ""
    if payload.few:
        key += f" Guessed: what {listed([*payload.few])} may be, from what it is compared with."
    key += _about_ids(found)
    return comment(
        f"The producer sends {payload.name}, as {found.handler.qualname} takes it.{key} For values and keys "
        "that really come, give a strategy; for whole lists of events, such as no withdrawal without its deposit, "
        "there is valid=."
    )


def _about_ids(found: Findings) -> str:
    payload = found.payload
    apart = shown(found.roles.apart) if payload is None else payload.apart
    alone = found.adapted.alone if found.adapted else None
    if alone and () in found.reads.places and found.reads.places[()].unique:
        apart = [alone.arg]
    return f" Guessed: no two events have the same {joined([f'`{each}`' for each in apart])}." if apart else ""
