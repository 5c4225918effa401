"""The first chaos test of a handler: what its source shows is filled in, and what it does not show is marked."""

from __future__ import annotations

import functools
import keyword
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path

import attrs

from chaoskit.generate.adapted import Adapted
from chaoskit.generate.frameworks import framework_of, handed_to
from chaoskit.generate.handlers import FoundHandler
from chaoskit.generate.project import is_own
from chaoskit.generate.reads import ITEM, Reads, reads_of
from chaoskit.generate.recipes import adapted
from chaoskit.generate.roles import FieldPath, Roles, roles_of
from chaoskit.generate.source import WIDTH, Code, Names, call, is_name, laid_out, quoted
from chaoskit.generate.state import OfClass, gives_something, state_of_class, state_of_module
from chaoskit.generate.strategies import drawn, letters, strategy, with_ties
from chaoskit.values.errors import UsageError

_GENERIC = re.compile(r"handle|consume|process|on_message|on_event|handler|main|run|call|__call__|lambda_handler")
_RESERVED = ("st", "EVENTS", "deliver", "message", "event", "events", "chaos", "handle_one", "results", "pytest")
HAPPENS = "the schedule happens here"


@attrs.frozen(eq=False)
class _Found:
    """All that is known of the handler. `owner`: what its instance is called in the test; empty for a function.
    `adapted`: how the framework is stood in for that calls it."""

    handler: FoundHandler
    broker: str
    reads: Reads
    roles: Roles
    names: Names
    of_class: OfClass
    module_state: dict[str, str]
    module: str
    owner: str
    adapted: Adapted | None

    @property
    def is_async(self) -> bool:
        return self.handler.is_async if self.adapted is None else self.adapted.is_async


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
    values = strategy(found.reads, found.roles, found.names)
    body = _body(found)
    keys = f"st.sampled_from([{', '.join(quoted(key) for key in _keys(found.roles))}])"
    events = call(found.names.name("chaoskit.strategies", "events"), [values], {"keys": keys}, spread=True)
    kind, chaos = found.names.name("chaoskit", broker), found.names.name("chaoskit", "chaos")
    decorators = _decorators(found)
    imports = found.names.imports(["from hypothesis import strategies as st", *_module_import(found)])
    function = f"{'async ' if found.is_async else ''}def test_{name_of_test(handler)}(deliver):"
    todo = " Fill in what is marked TODO: until then it fails." if "TODO" in body else ""
    head = f'"""{handler.qualname} under every delivery that {broker} can make.'
    parts = [
        *textwrap.wrap(head, WIDTH),
        "",
        *textwrap.wrap(f"A first guess by `chaoskit init`, for you to change.{todo}", WIDTH),
        f"Run it with `pytest {file}`.",
        "`--chaos-self-check` says which known bugs it would notice, and fails where it would notice none.",
        '"""',
        "",
        imports,
        "",
        *_about_events(found),
        laid_out(events, before="EVENTS = "),
        "",
        "",
        *_about_settings(found),
        *decorators,
        laid_out(call(chaos, ["EVENTS"], {"broker": call(kind, (), _settings(found))}), before="@"),
        function,
        textwrap.indent(body, "    "),
    ]
    return "\n".join(line.rstrip() for line in "\n".join(parts).splitlines()) + "\n"


def _look_at(handler: FoundHandler, broker: str, root: Path, known: Adapted | None) -> _Found:
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
    module_state = state_of_module(handler, reads.functions)
    on_instance = handler.kind is not None and not handler.is_static
    of_class = state_of_class(handler.kind) if on_instance and handler.kind else OfClass((), ())
    # What the instance keeps is state enough, and made anew with it.
    if of_class.attributes:
        module_state = {}
    module = handler.module.rpartition(".")[2]
    taken = [*_RESERVED, name, *reads.needs, *of_class.needs]
    if module in taken or keyword.iskeyword(module):
        module = "the_module"
    owner = snake(handler.kind.name) if on_instance and handler.kind else ""
    if owner and (owner in taken or not is_name(owner) or (owner == module and module_state)):
        owner = "the_handler"
    names = Names(
        [*taken, *([owner] if owner else []), *([module] if module_state else [])],
        None,
        functools.partial(is_own, root),
    )
    # Before the handler's names are written: these two are to stand plain in any test.
    for of, each in (("chaoskit", "chaos"), ("chaoskit.strategies", "events")):
        names.reserve(of, each)
    roles = roles_of(reads, broker)
    if known and known.key:
        own = {place: what for place, what in roles.own.items() if what != "message.key"}
        roles = attrs.evolve(roles, own={**own, (known.key,): "message.key"})
    marked = {place: _not_stamped(place, broker, names) for place in roles.missing}
    roles = attrs.evolve(roles, stamped=roles.stamped | marked)
    return _Found(handler, broker, reads, roles, names, of_class, module_state, module, owner, known)


def _settings(found: _Found) -> dict[str, Code]:
    """What the source says of the broker, unless another one was asked for."""
    known = found.adapted
    return dict(known.settings) if known and known.broker == found.broker else {}


def _decorators(found: _Found) -> list[str]:
    given = found.adapted.decorators if found.adapted else ()
    return [f"@{each.format_map({'pytest': found.names.module('pytest')})}" for each in given]


def _about_settings(found: _Found) -> list[str]:
    guessed = [f"{name}={value}" for name, value in _settings(found).items()]
    said = f"Guessed from its source: {', '.join(guessed)}. " if guessed else ""
    which = "The other settings" if guessed else "The settings"
    return _comment(f"{said}{which} of {found.broker} are yours to give: `chaoskit brokers {found.broker}` lists them.")


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


def _keys(roles: Roles) -> list[str]:
    name = roles.key.removesuffix("_id").removesuffix("Id") or "key"
    return [f"{name}-1", f"{name}-2"]


def _module_import(found: _Found) -> list[str]:
    """The module itself, where the test makes its state anew."""
    if not found.module_state:
        return []
    package, _, name = found.handler.module.rpartition(".")
    alias = "" if name == found.module else f" as {found.module}"
    return [f"from {package} import {name}{alias}" if package else f"import {name}{alias}"]


def _about_events(found: _Found) -> list[str]:
    places = drawn((), found.reads, found.roles)
    fields = list(dict.fromkeys(place[0] for place in places if place and place[0] != ITEM))
    what = f" It reads {_listed(fields)}." if fields else " Which values it takes does not show in its source."
    if guessed := letters(found.reads, found.roles):
        what += f" What {_listed(_shown(guessed))} may be does not show: letters stand there."
    if found.reads.is_object and found.reads.annotation:
        name = found.reads.annotation.strip("'\"")
        what += f" It takes {name}: where SimpleNamespace is below, its class may have to be."
    return _comment(
        f"What the producer sends, as {found.handler.qualname} reads it.{what} Make these the values and the keys that "
        "really come; for whole lists of events, such as no withdrawal without its deposit, there is valid=.",
    )


def _shown(places: Sequence[FieldPath]) -> list[str]:
    return [".".join(place) for place in places]


def _listed(words: Sequence[str]) -> str:
    shown = [f"`{word}`" for word in words[:6]] + (["more"] if len(words) > 6 else [])
    return _joined(shown)


def _joined(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _comment(text: str, indent: int = 0) -> list[str]:
    lines = textwrap.wrap(text, WIDTH - 2 - indent, break_long_words=False, break_on_hyphens=False)
    return [f"# {line}" for line in lines]


def _with_comment(code: str, comment: str) -> list[str]:
    """Behind the code where there is room, else above it."""
    line = f"{code}  # {comment}"
    return [line] if "\n" not in code and len(line) + 4 <= WIDTH else [f"# {comment}", *code.splitlines()]


# The body.


def _body(found: _Found) -> str:
    lines = [*_made(found), *_delivered(found), *_returned(found)]
    return "\n".join(lines)


def _made(found: _Found) -> list[str]:
    """The lines that make what a run needs, afresh."""
    lines = []
    for need in dict.fromkeys([*found.of_class.needs, *found.reads.needs]):
        what = quoted(f"TODO: make {need} here, afresh for every schedule")
        fail = call(f"{found.names.module('pytest')}.fail", [what])
        lines += _comment(f"TODO: a new {need}, such as a database in memory or a fake, in place of this line.", 4)
        lines += [laid_out(fail, before=f"{need} = ", width=WIDTH - 4)]
    if called := [f"{name}()" for name in found.reads.methods]:
        lines += _comment(
            f"TODO: {found.handler.qualname} calls {_listed(called)} of what it is given, which a plain value does not "
            "have: give it an object of its class, made from the value.",
            4,
        )
    if found.owner and found.handler.kind:
        kind = found.names.name(found.handler.module, found.handler.kind.name)
        given = call(kind, (), {need: need for need in found.of_class.needs})
        made = laid_out(given, before=f"{found.owner} = ", width=WIDTH - 4)
        lines += _with_comment(made, "fresh state for every schedule")
    if found.module_state:
        lines += _comment("The state is kept in the module, and every schedule needs fresh state.", 4)
        lines += [f"{found.module}.{anew}" for anew in found.module_state.values()]
    return lines


def _callee(found: _Found) -> str:
    name = found.handler.function.name
    if found.owner:
        return found.owner if name == "__call__" else f"{found.owner}.{name}"
    if found.module_state:
        return f"{found.module}.{found.handler.qualname}"
    return found.names.name(found.handler.module, found.handler.qualname)


def _collects(found: _Found) -> bool:
    if found.adapted is not None or found.of_class.attributes or found.module_state:
        return False
    return gives_something(found.handler.function)


def _delivered(found: _Found) -> list[str]:
    """The lines that deliver, with what stands between chaoskit's message and the handler."""
    if found.adapted is not None:
        return _adapted(found.adapted, found)
    reads, callee = found.reads, _callee(found)
    wait = "await " if found.is_async else ""
    is_json = reads.is_json
    plain = not (found.roles.tied or is_json or reads.is_object or reads.called_attributes)
    plain = plain and not reads.needs and not _collects(found)
    if plain and reads.whole:
        return _with_comment(f"{wait}deliver({callee})", HAPPENS)
    if plain:
        handed = call(f"{wait}deliver", [f"lambda message: {callee}(message.value)"])
        return _with_comment(laid_out(handed, width=WIDTH - 4), HAPPENS)
    lines = ["results = {}"] if _collects(found) else []
    lines += [
        "",
        f"{'async ' if wait else ''}def handle_one(message):",
        *_indented(_handle_one(found, callee, is_json, wait)),
    ]
    return [*lines, "", *_with_comment(f"{wait}deliver(handle_one)", HAPPENS)]


def _adapted(known: Adapted, found: _Found) -> list[str]:
    """The lines that put the adapter around the handler and deliver to it."""
    said = {name: _of_module(found, of) for name, of in known.objects.items()}
    said |= {
        "adapter": found.names.name("chaoskit.adapters", known.adapter),
        "handler": _callee(found) if "{handler}" in known.items else "",
    }
    said |= {name: found.names.name(*of) for name, of in known.names.items()}
    said["key"] = known.key or found.roles.key or "id"
    given = [item.format_map(said) for item in known.items]
    options: dict[str, Code] = {name: option.format_map(said) for name, option in known.options.items()}
    made, wait = call(f"{said['adapter']}.{known.function}", given, options), "await " if known.is_async else ""
    lines = [line.format_map(said) for line in known.before]
    entered = laid_out(made, before="async with ", after=" as handler:", width=WIDTH - 4).splitlines()
    if not found.roles.tied:
        if known.is_context:
            return [*lines, *entered, f"    {wait}deliver(handler)  # {HAPPENS}"]
        handed = laid_out(call(f"{wait}deliver", [made]), width=WIDTH - 4)
        return [*lines, *_with_comment(handed, HAPPENS)]
    value = with_ties((), "message.value", found.reads, found.roles, found.names)
    handle_one = [
        f"{'async ' if wait else ''}def handle_one(message):",
        *_indented(_about_ties(found)),
        *_indented(laid_out(value, before="message.value = ", width=WIDTH - 8).splitlines()),
        f"    {wait}handler(message)",
    ]
    delivered = _with_comment(f"{wait}deliver(handle_one)", HAPPENS)
    if known.is_context:
        return [*lines, *entered, "", *_indented([*handle_one, "", *delivered])]
    bound = laid_out(made, before="handler = ", width=WIDTH - 4).splitlines()
    return [*lines, *bound, "", *handle_one, "", *delivered]


def _of_module(found: _Found, name: str) -> str:
    return f"{found.module}.{name}" if found.module_state else found.names.name(found.handler.module, name)


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"    {line}" for line in lines]


def _handle_one(found: _Found, callee: str, is_json: bool, wait: str) -> list[str]:
    reads, lines = found.reads, []
    value = "message.value"
    if found.roles.tied or reads.is_object:
        lines += _about_ties(found)
        made = with_ties((), "message.value", reads, found.roles, found.names)
        lines += laid_out(made, before="event = ", width=WIDTH - 8).splitlines()
        value = "event"
    if is_json:
        value = f"{found.names.module('json')}.dumps({value}).encode()"
    given = value
    if reads.called_attributes:
        lines += [*_comment("A message of confluent-kafka has methods.", 8), *_confluent(found, value)]
        given = "given"
    elif reads.whole:
        lines += [f"message.value = {value}"] if value != "message.value" else []
        given = "message"
    arguments = [_argument(each, reads, given) for each in _parameters(found.handler)]
    result = "results[message.id] = " if _collects(found) else ""
    return [*lines, *laid_out(call(callee, arguments), before=f"{result}{wait}", width=WIDTH - 8).splitlines()]


def _about_ties(found: _Found) -> list[str]:
    """Whose word is put into the value, and that this is a guess."""
    roles, lines = found.roles, []
    if own := _shown([*roles.own]):
        whose = _joined([what.removeprefix("message.") for what in roles.own.values()])
        lines += _comment(f"Guessed: the producer writes {_listed(own)} into the value, too: the event's {whose}.", 8)
    if stamped := _shown([place for place in roles.stamped if place not in roles.missing]):
        are = "are" if len(stamped) > 1 else "is"
        lines += _comment(f"Guessed: {_listed(stamped)} {are} what the broker stamps, anew for what is sent again.", 8)
    if missing := _shown(roles.missing):
        lines += _comment(
            f"TODO: {_listed(missing)} looks like what a broker stamps, anew for what is sent again, and "
            f"{found.broker} stamps none. Where another broker delivers this, name it: chaoskit init --broker. Where "
            "the producer writes it, message.id is the event's own id.",
            8,
        )
    return lines


def _confluent(found: _Found, value: str) -> list[str]:
    fields = {"value": value, "key": "message.key.encode()", "error": "None"}
    fields |= {name: f"message.{name}" for name in ("topic", "partition", "offset")}
    made = {name: f"lambda: {what}" for name, what in fields.items()}
    source = laid_out(call(found.names.name("types", "SimpleNamespace"), (), made, spread=True), before="given = ")
    return source.splitlines()


def _parameters(handler: FoundHandler) -> list[tuple[str, bool]]:
    """The names of those that are required, and whether each is taken by name alone."""
    by_name = {each.arg for each in handler.function.args.kwonlyargs}
    return [(each.arg, each.arg in by_name) for each in handler.needed]


def _argument(parameter: tuple[str, bool], reads: Reads, given: str) -> str:
    name, by_name = parameter
    value = given if name == reads.message else name
    return f"{name}={value}" if by_name else value


def _returned(found: _Found) -> list[str]:
    """The lines that give the final state."""
    if found.adapted and found.adapted.returns:
        said = {name: _of_module(found, of) for name, of in found.adapted.objects.items()}
        return laid_out(found.adapted.returns(said), before="return ", width=WIDTH - 4).splitlines()
    attributes = [f"{found.owner}.{name}" for name in found.of_class.attributes]
    attributes = attributes or [f"{found.module}.{name}" for name in found.module_state]
    if attributes:
        lines = _comment(
            "The final state, compared with that of in-order delivery. Leave out what may differ rightly: times, "
            "offsets, lists in order of arrival.",
            4,
        )
        if len(attributes) == 1:
            return [*lines, f"return {attributes[0]}"]
        pairs = ", ".join(f"{quoted(each.rpartition('.')[2])}: {each}" for each in attributes)
        whole = f"return {{{pairs}}}"
        if len(whole) + 4 <= WIDTH:
            return [*lines, whole]
        return [*lines, "return {", *(f"    {quoted(each.rpartition('.')[2])}: {each}," for each in attributes), "}"]
    if _collects(found):
        return [
            *_comment(
                "TODO: return the state that is left, such as rows, files or calls made. Until then only what "
                f"{found.handler.qualname} gives back is compared, of the last time that each event came.",
                4,
            ),
            "return results",
        ]
    fail = call(f"{found.names.module('pytest')}.fail", [quoted("TODO: return the final state")])
    return [
        *_comment(
            "TODO: return the final state in place of this: what is left of the events, such as rows, files or calls "
            "made. It is compared with that of in-order delivery.",
            4,
        ),
        f"return {laid_out(fail)}",
    ]
