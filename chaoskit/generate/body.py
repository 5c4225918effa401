"""The body of a first test: what is made afresh, what stands between our message and the handler, the final state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chaoskit.generate.adapted import Adapted
from chaoskit.generate.findings import Findings, comment, joined, listed, shown, with_comment
from chaoskit.generate.handlers import FoundHandler
from chaoskit.generate.places import Reads
from chaoskit.generate.source import WIDTH, Code, behind, broken, call, laid_out, quoted
from chaoskit.generate.state import gives_something
from chaoskit.generate.strategies import with_ties

HAPPENS = "the schedule happens here"
FINAL = "The final state, compared with that of in-order delivery. Leave out what may differ rightly:"
GUESSED = (
    "Guessed: what a process has in memory is nothing that it needs later. So it may die inside the handler, or stop "
    "there while another one works, and the calls that it makes may fail."
)


def body_of(found: Findings) -> str:
    lines = [*_made(found), *_delivered(found), *_returned(found)]
    return "\n".join(lines)


def _made(found: Findings) -> list[str]:
    """The lines that make what a run needs, afresh."""
    lines = []
    for need in dict.fromkeys([*found.of_class.needs, *found.reads.needs]):
        what = quoted(f"TODO: make {need} here, afresh for every schedule")
        fail = call(f"{found.names.module('pytest')}.fail", [what])
        lines += comment(f"TODO: a new {need}, such as a database in memory or a fake, in place of this line.", 4)
        lines += [laid_out(fail, before=f"{need} = ", width=WIDTH - 4)]
    if called := [f"{name}()" for name in found.reads.methods]:
        lines += comment(
            f"TODO: {found.handler.qualname} calls {listed(called)} of what it is given, which a plain value does not "
            "have: give it an object of its class, made from the value.",
            4,
        )
    if found.owner and found.handler.kind:
        kind = found.names.name(found.handler.module, found.handler.kind.name)
        given = call(kind, (), {need: need for need in found.of_class.needs})
        made = laid_out(given, before=f"{found.owner} = ", width=WIDTH - 4)
        lines += with_comment(made, "fresh state for every schedule")
    if found.module_state:
        lines += comment("The state is kept in the module, and every schedule needs fresh state.", 4)
        lines += [f"{found.module}.{anew}" for anew in found.module_state.values()]
    return [*lines, *(found.kept.before if found.kept else ())]


def _callee(found: Findings) -> str:
    name = found.handler.function.name
    if found.owner:
        return found.owner if name == "__call__" else f"{found.owner}.{name}"
    if found.by_module:
        return f"{found.module}.{found.handler.qualname}"
    return found.names.name(found.handler.module, found.handler.qualname)


def _collects(found: Findings) -> bool:
    if found.adapted is not None or found.of_class.attributes or found.module_state or found.kept:
        return False
    return gives_something(found.handler.function)


def _delivered(found: Findings) -> list[str]:
    """The lines that deliver, with what stands between chaoskit's message and the handler."""
    if found.adapted is not None:
        return _adapted(found.adapted, found)
    reads, callee = found.reads, _callee(found)
    wait = "await " if found.is_async else ""
    payload = found.payload
    is_json = reads.is_json if payload is None else payload.takes == "json"
    is_other = reads.is_object if payload is None else payload.takes != "instance"
    plain = not (found.is_tied or is_json or is_other or reads.called_attributes)
    plain = plain and not reads.needs and not _collects(found)
    if plain and reads.whole:
        return _deliver(found, callee, wait)
    if plain:
        return _deliver(found, f"lambda message: {callee}(message.value)", wait)
    lines = ["results = {}"] if _collects(found) else []
    lines += [
        "",
        f"{'async ' if wait else ''}def handle_one(message):",
        *_indented(_handle_one(found, callee, is_json, wait)),
    ]
    return [*lines, "", *_deliver(found, "handle_one", wait)]


def _deliver(found: Findings, handler: Code, wait: str, options: Mapping[str, Code] | None = None) -> list[str]:
    """The call in which the schedule happens. Where only rows are kept, each process is one of its own."""
    if found.kept is None:
        handed = call(f"{wait}deliver", [handler], options)
        return with_comment(laid_out(handed, width=WIDTH - 4), HAPPENS)
    handed = call(f"{wait}deliver", (), {"spawn": behind("lambda: ", handler), **(options or {})})
    return [*comment(GUESSED, 4), *with_comment(laid_out(handed, width=WIDTH - 4), HAPPENS)]


def _adapted(known: Adapted, found: Findings) -> list[str]:
    """The lines that put the adapter around the handler and deliver to it."""
    said = {name: _of_module(found, of) for name, of in known.objects.items()}
    said["adapter"] = "" if known.loop else found.names.name("chaoskit.adapters", known.adapter)
    said["handler"] = _callee(found) if "{handler}" in known.items else ""
    said |= {name: found.names.name(*of) for name, of in known.names.items()}
    said["key"] = known.key or found.roles.key or "id"
    if known.loop:
        said["module"] = found.module
        for name, of in {"stack": ("contextlib", "ExitStack"), "local": ("threading", "local")}.items():
            said[name] = found.names.name(*of) if any(f"{{{name}}}" in line for line in known.loop) else ""
        return ["", *(each for line in known.loop for each in broken(line.format_map(said), indent=4))]
    given = [item.format_map(said) for item in known.items]
    options: dict[str, Code] = {name: option.format_map(said) for name, option in known.options.items()}
    made, wait = call(f"{said['adapter']}.{known.function}", given, options), "await " if known.is_async else ""
    lines = [line.format_map(said) for line in known.before]
    entered = laid_out(made, before="async with ", after=" as handler:", width=WIDTH - 4).splitlines()
    batch: dict[str, Code] = {"batch": "True"} if known.in_batches else {}
    if not found.is_tied:
        if known.is_context and found.kept is None:
            return [*lines, *entered, f"    {wait}deliver(handler)  # {HAPPENS}"]
        return [*lines, *_deliver(found, made, wait, batch)]
    value = _value(found)
    tied = [*_about_ties(found), *laid_out(value, before="message.value = ", width=WIDTH - 8).splitlines()]
    named, taken = ("handle_all", "messages") if batch else ("handle_one", "message")
    handle = [
        f"{'async ' if wait else ''}def {named}({taken}):",
        *(["    for message in messages:", *_indented(_indented(tied))] if batch else _indented(tied)),
        f"    return {wait}handler({taken})",
    ]
    if known.is_context and found.kept is not None:
        return [*lines, "", *_process(found, [*entered, "", *_indented([*handle, "", "yield handle_one"])])]
    delivered = _deliver(found, named, wait, batch)
    if known.is_context:
        return [*lines, *entered, "", *_indented([*handle, "", *delivered])]
    bound = laid_out(made, before="handler = ", width=WIDTH - 4).splitlines()
    return [*lines, *bound, "", *handle, "", *delivered]


def _process(found: Findings, block: Sequence[str]) -> list[str]:
    """The lines of a process that begins and ends with this block, and those that deliver to it."""
    manager = found.names.name("contextlib", "asynccontextmanager")
    process = [f"@{manager}", "async def process():", *_indented(block)]
    return [*process, "", *comment(GUESSED, 4), *with_comment("await deliver(spawn=process)", HAPPENS)]


def _of_module(found: Findings, name: str) -> str:
    return f"{found.module}.{name}" if found.by_module else found.names.name(found.handler.module, name)


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"    {line}" for line in lines]


def _handle_one(found: Findings, callee: str, is_json: bool, wait: str) -> list[str]:
    reads, lines = found.reads, []
    value, payload = "message.value", found.payload
    if found.is_tied or (reads.is_object if payload is None else payload.takes != "instance"):
        lines += _about_ties(found)
        lines += laid_out(_value(found), before="event = ", width=WIDTH - 8).splitlines()
        value = "event"
    if is_json and payload is not None:
        value = "event.encode()"
    elif is_json:
        value = f"{found.names.module('json')}.dumps({value}).encode()"
    given = value
    if reads.called_attributes:
        lines += [*comment("A message of confluent-kafka has methods.", 8), *_confluent(found, value)]
        given = "given"
    elif reads.whole:
        lines += [f"message.value = {value}"] if value != "message.value" else []
        given = "message"
    arguments = [_argument(each, reads, given) for each in _parameters(found.handler)]
    result = "results[message.id] = " if _collects(found) else "return "
    return [*lines, *laid_out(call(callee, arguments), before=f"{result}{wait}", width=WIDTH - 8).splitlines()]


def _value(found: Findings) -> Code:
    """The source of the value that the handler gets, of the message."""
    if found.payload is not None:
        return found.payload.made(found.names)
    return with_ties((), "message.value", found.reads, found.roles, found.names)


def _about_ties(found: Findings) -> list[str]:
    """Whose word is put into the value, and that this is a guess."""
    roles, lines = found.roles, []
    said = roles.own if found.payload is None else {(name,): what for name, what in found.payload.said.items()}
    if own := shown([*said]):
        whose = joined([what.removeprefix("message.") for what in said.values()])
        lines += comment(f"Guessed: the producer writes {listed(own)} into the value, too: the event's {whose}.", 8)
    if stamped := shown([place for place in roles.stamped if place not in roles.missing]):
        are = "are" if len(stamped) > 1 else "is"
        lines += comment(f"Guessed: {listed(stamped)} {are} what the broker stamps, anew for what is sent again.", 8)
    if missing := shown(roles.missing):
        lines += comment(
            f"TODO: {listed(missing)} looks like what a broker stamps, anew for what is sent again, and "
            f"{found.broker} stamps none. Where another broker delivers this, name it: chaoskit init --broker. Where "
            "the producer writes it, message.id is the event's own id.",
            8,
        )
    return lines


def _confluent(found: Findings, value: str) -> list[str]:
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


def _returned(found: Findings) -> list[str]:
    """The lines that give the final state."""
    if found.adapted and found.adapted.returns:
        said = {name: _of_module(found, of) for name, of in found.adapted.objects.items()}
        return laid_out(found.adapted.returns(said), before="return ", width=WIDTH - 4).splitlines()
    if found.kept is not None:
        return [*comment(f"{FINAL} times, numbers that the database gives.", 4), *found.kept.returned]
    attributes = [f"{found.owner}.{name}" for name in found.of_class.attributes]
    attributes = attributes or [f"{found.module}.{name}" for name in found.module_state]
    if attributes:
        lines = comment(f"{FINAL} times, offsets, lists in order of arrival.", 4)
        if len(attributes) == 1:
            return [*lines, f"return {attributes[0]}"]
        pairs = ", ".join(f"{quoted(each.rpartition('.')[2])}: {each}" for each in attributes)
        whole = f"return {{{pairs}}}"
        if len(whole) + 4 <= WIDTH:
            return [*lines, whole]
        return [*lines, "return {", *(f"    {quoted(each.rpartition('.')[2])}: {each}," for each in attributes), "}"]
    if _collects(found):
        return [
            *comment(
                "TODO: return the state that is left, such as rows, files or calls made. Until then only what "
                f"{found.handler.qualname} gives back is compared, of the last time that each event came.",
                4,
            ),
            "return results",
        ]
    fail = call(f"{found.names.module('pytest')}.fail", [quoted("TODO: return the final state")])
    return [
        *comment(
            "TODO: return the final state in place of this: what is left of the events, such as rows, files or calls "
            "made. It is compared with that of in-order delivery.",
            4,
        ),
        f"return {laid_out(fail)}",
    ]
