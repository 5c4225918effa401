"""What leaves and no rollback takes back happens as often as it does in order."""

from __future__ import annotations

from collections.abc import Iterator

from chaoskit.values.effects import Counted, counted
from chaoskit.values.invariant import Invariant, Violation
from chaoskit.values.outcome import Outcome
from chaoskit.values.texts import printed


def effects_exactly_once() -> Invariant:
    """Each effect that `deliver.effect(name, value, key)` records takes place as often as in order: none is missing,
    none is repeated, and none is there that in order nobody sees. Two are the same where name, key and value are. In
    which order they take place is not asked.

    An order is charged and then saved, `deliver.effect("charge", 5, key="o1")` and then `orders["o1"] = 5`:

    1. o1 comes: it is charged, as in order
    2. the save fails, and the handler raises: the rollback takes back what was saved, and not the charge
    3. o1 comes again: it is charged a second time, and saved
    4. at the end the state is right, and "charge of 'o1'" took place twice, which is reported

    An effect of an attempt that failed, or whose process died, counts. A test that never records one in order is
    unknown.
    """

    def check(reference: Outcome, outcome: Outcome) -> Iterator[Violation]:
        for each in counted(reference.effects, outcome.effects):
            if len(each.in_order) != len(each.observed):
                yield Violation("effects_exactly_once", _text(each))

    return Invariant("effects_exactly_once", check, needs_effects=True)


def effects_at_least_once() -> Invariant:
    """Each effect that is recorded in order takes place, at least as often as there. For receivers that know a
    repetition and drop it, such as by an idempotency key, and for what may be repeated. What in order nobody sees is
    not asked after.

    An order is saved and then confirmed by mail, and one that is saved already is left alone:

    1. o1 comes, and is saved
    2. the mail server does not answer, and the handler raises: no mail
    3. o1 comes again: it is there already, and is left alone
    4. at the end the state is right, and "mail of 'o1'" did not take place, which is reported

    A test that never records an effect in order is unknown.
    """

    def check(reference: Outcome, outcome: Outcome) -> Iterator[Violation]:
        for each in counted(reference.effects, outcome.effects):
            if len(each.in_order) > len(each.observed):
                yield Violation("effects_at_least_once", _text(each))

    return Invariant("effects_at_least_once", check, needs_effects=True)


def _text(each: Counted) -> str:
    effect = each.effect
    what = effect.name if effect.key is None else f"{effect.name} of {printed(effect.key)}"
    value = "" if effect.value is None else f" ({printed(effect.value)})"
    took = _times(len(each.observed)) if each.observed else "did not take place"
    took = took if took.startswith("did") else f"took place {took}"
    return f"{what}{value} {took}, in order {_times(len(each.in_order))}"


def _times(number: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(number, f"{number} times")
