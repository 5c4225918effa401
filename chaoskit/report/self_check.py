"""Which known bugs a test would have noticed, in a few lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from chaoskit.values.planted import Planted, PlantedStatus, SelfCheck

SAYS: dict[PlantedStatus, str] = {
    "missed": "NOT noticed",
    "no difference": "no difference here",
    "cannot happen": "cannot happen here",
}


def self_check_lines(check: SelfCheck | None) -> Iterator[str]:
    """Nothing where nobody has asked."""
    if check is None:
        return
    if check.reason:
        yield f"self-check: nothing was planted: {check.reason}"
        return
    caught = [each for each in check.planted if each.status == "caught"]
    asked = len(caught) + len(check.missed)
    named = f": {_named(caught)}" if caught else ""
    yield f"self-check: {len(caught)} of {asked} known bugs would be noticed{named}"
    for status, says in SAYS.items():
        if found := [each for each in check.planted if each.status == status]:
            yield f"self-check: {says}: {'; '.join(_with_reasons(found))}"


def self_check_remarks(check: SelfCheck | None) -> list[str]:
    """The same as sentences."""
    return [f"{line[:1].upper()}{line[1:]}." for line in self_check_lines(check)]


def _named(bugs: Iterable[Planted]) -> str:
    handler = [each.bug for each in bugs if each.place == "handler"]
    state = [each.bug for each in bugs if each.place == "state"]
    parts = [", ".join(handler)] if handler else []
    return "; ".join([*parts, f"a state that is {', '.join(state)}"] if state else parts)


def _with_reasons(bugs: Iterable[Planted]) -> Iterator[str]:
    by_reason: dict[str, list[Planted]] = {}
    for each in bugs:
        by_reason.setdefault(each.why, []).append(each)
    for why, alike in by_reason.items():
        yield f"{_named(alike)} ({why})"
