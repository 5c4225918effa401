"""What repairs a failure, in words: the moves that were tried, and the events that do not commute."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from chaoskit.brokers.inside import names_of
from chaoskit.report.values import cut
from chaoskit.values.event import Event
from chaoskit.values.repair import Clash, MoveName, Repair
from chaoskit.values.texts import printed
from chaoskit.values.verdict import Damage, Verdict

MOST_OF_VALUE = 60
"""Letters of a value, in a sentence."""

SAYS: dict[MoveName, str] = {
    "ids": "Remember message ids",
    "version": "Drop stale versions",
    "resequence": "Hold back until the gap in seq closes",
    "one key": "One key for all messages",
    "transaction": "Make the effect and the mark one transaction",
    "unique key": "Insert the id under a unique key, in the transaction of the effect",
    "lock": "Lock the row before it is read, or compare its version",
    "outbox": "Let what leaves go through an outbox",
    "fence": "Give each owner a fencing token",
    "escape": "Let the error of a call out of the handler",
    "retry": "Ask for another attempt where a call fails",
}

NONE = "No move within a key repairs it: what the handler reads of one key is written under another"
NONE_OF_ONE_KEY = "None of these repairs it"


@attrs.frozen
class RepairText:
    """A move: what came of it, in a line; what it takes, and a few lines of code, where it is the one to make."""

    move: MoveName
    says: str
    needs: str = ""
    code: str = ""


def repair_texts(verdict: Verdict) -> tuple[RepairText, ...]:
    """The moves that were tried, the one to make first. Nothing where nobody has asked."""
    advice = verdict.advice.known
    if advice is None or verdict.scenario is None:
        return ()
    best = recommended(advice.repairs)
    others = [repair for repair in advice.repairs if repair is not best]
    texts = [] if best is None else [RepairText(best.move, f"{_sentence(best, verdict)}.", _needs(best), best.code)]
    return (*texts, *(RepairText(repair.move, f"{_sentence(repair, verdict)}.") for repair in others))


def recommended(repairs: tuple[Repair, ...]) -> Repair | None:
    """The cheapest that holds."""
    return next((repair for repair in repairs if repair.status == "held"), None)


def no_repair(verdict: Verdict) -> str:
    """What is to be reported where no move holds; empty where one does, where none was run, or nobody has asked."""
    advice = verdict.advice.known
    if advice is None or recommended(advice.repairs) is not None:
        return ""
    if all(repair.status == "unknown" for repair in advice.repairs):
        return ""
    keys = {printed(event.key) for event in verdict.scenario.events} if verdict.scenario is not None else set()
    return f"{NONE if len(keys) > 1 else NONE_OF_ONE_KEY}."


def clash_texts(verdict: Verdict) -> tuple[str, ...]:
    return tuple(map(_clash, verdict.advice.known.clashes)) if verdict.advice.known is not None else ()


def damage_text(damage: Damage | None) -> str:
    """One line, without a full stop; empty where nothing could tell it."""
    if damage is None:
        return ""
    events = f": {names_of(damage.events)}" if damage.events else ""
    place = f", in {damage.place}" if damage.place else ""
    where = f". The states first differ at step {damage.step}{place}" if damage.step is not None else ""
    return f"{damage.kind.capitalize()}{events}{where}"


def _sentence(repair: Repair, verdict: Verdict) -> str:
    """What came of a move, in a line."""
    name = SAYS.get(repair.move, repair.move)
    if repair.status == "unknown":
        return f"{name}: not known, {'; '.join(repair.reasons)}"
    if not repair.repairs_this:
        return f"{name}: does not repair this delivery"
    if repair.status == "held" and not repair.schedules:
        return f"{name}: repairs this delivery, and {names_of(repair.kinds)} cannot happen with it"
    if repair.status == "held":
        return f"{name}: repairs this delivery, and holds in {repair.schedules:,} schedules {_kinds(repair, verdict)}"
    return f"{name}: repairs this one, but {names_of(repair.breaks)} still {_breaks(repair)}"


def _kinds(repair: Repair, verdict: Verdict) -> str:
    assert verdict.scenario is not None
    all_kinds = {kind.__name__ for kind in verdict.scenario.broker.kinds()}
    return "of all kinds" if set(repair.kinds) >= all_kinds else f"with {names_of(repair.kinds)}"


def _breaks(repair: Repair) -> str:
    verb = "breaks it" if len(repair.breaks) == 1 else "break it"
    if repair.scenario is None:
        return verb
    return f"{verb}: {' '.join(map(str, repair.scenario.schedule().delivered))}"


def _needs(repair: Repair) -> str:
    """What the move takes; and of ids, for how long they are stored."""
    needs = f"It takes {repair.needs}."
    if repair.move == "ids" and repair.distance:
        needs += (
            f" Keep each id for as long as a copy can come: here up to {repair.distance} deliveries lay between two "
            "copies, and what a person puts back comes days later."
        )
    return needs


def _clash(clash: Clash) -> str:
    one, two = _short(clash.first), _short(clash.second)
    text = (
        f"These two do not commute: {one} then {two} gives {_state(clash.in_order)}, "
        f"{two} then {one} gives {_state(clash.swapped)}"
    )
    if clash.assigned:
        places = names_of(clash.assigned)
        text += (
            f". {places} has what the later one assigns: they would commute if each added to it, or if the newer "
            "version won"
        )
    return f"{text}."


def _short(event: Event) -> str:
    return f"{event.id} ({cut(printed(event.value), MOST_OF_VALUE)})"


def _state(state: object) -> str:
    return cut(printed(state), MOST_OF_VALUE)


def repair_lines(verdict: Verdict) -> Iterator[str]:
    """All of it as plain lines, for where there is no layout."""
    for text in repair_texts(verdict):
        yield text.says
    if none := no_repair(verdict):
        yield none
    yield from clash_texts(verdict)
