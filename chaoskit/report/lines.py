"""A verdict as JSON lines, for other tools: one object a line, UTF-8, each with a `type`.

| `type` | fields |
|---|---|
| `verdict` | `status` ("held", "violated", "unknown"), `test`, `headline`; `label`, `broker`, `also` (other kinds of fault under which it fails alike), `fewer` (where the stream is one that was drawn whole: how many events of it fail by themselves), `damage` (what became of which events: `kind`, `events`, `step`, `place`) and `first_difference` (the number of a step) where it is violated; `seed` where it is known; `versions`; and after a search its tally: `streams`, `schedules`, `deliveries`, `effective`, `not_tried`, `left_out`, `all_singles`, `saturated`, `singles_up_to`, `by_kind` (schedules for each kind), `bounds` (`faults`, `events`, `probability`); `exhausted` where every schedule was run (`events`, `faults`, `schedules`, `runs`, `streams`, `independent_keys`, `compared`) |
| `reason` | `text`: why an unknown verdict is unknown |
| `note` | `text`: what has to be known about a held verdict |
| `planted` | where a self-check was asked for, known bugs that were planted: `bug`, `place` ("handler", "state"), `status` ("caught", "missed", "no difference", "cannot happen"), `schedules`, `breaks` (the kinds of fault with which it was met), `text`: why it was not caught |
| `violation` | `invariant`, `message` |
| `difference` | `path`, `in_order`, `observed`; one of the two is not there where that state has no such place |
| `effect` | what left and no rollback takes back, each time: `run` ("in order", "observed"), `name`, and where they apply `key`, `value`, `event` (at whose delivery) and `step` (its number) |
| `event` | `id`, `key`, `seq`, `value`, of several streams `topic`, and `state`: in order, after this event |
| `fault` | `number`, `fault` (its kind), `at` and its parameters |
| `step` | `number`, `action`, `consumer`, and where they apply `event`, `partition`, `offset`, `attempt`, `raised`, `error` (what the handler raised), `given_up_by` (the framework that gave the message up then), `lane`, `mark`, `fault` and `sentence` (numbers), `from` (the number of the step from which it comes again), `size` (how many of the next deliveries come in one call), `point` (after how many effects of the handler a process dies or an execution stops, or which of its calls fails), `died`, `stopped` and `failed` (where that was: `place`, a file and a line; `source`, the line, in which the expression begins at `column`; `before`, the expression that was to come next, `happened`, the effects by then, and of a stop `beside`, what took place until it was done, each as an event, "" for its own, and an expression; of a call `expression` and the `error` that it raised), `settled` (where the handler settles by itself, what it settled then: "ack 2" is the message of the second step), `copy` (of a message that was sent anew: `after` which event, how many `retries`, and the `partition` and `offset` where it was first), `state`: after this step |
| `sentence` | `number`, `text`: what happened, in the broker's words |
| `besides` | `text`: what else steps have done: to the memory of a process, and before the handler raised |
| `remedy` | `fault` (its kind, or what else happened), `text`: what rules it out |
| `advice` | `state`: what the final state has, "twice", "missing" or "older"; `text`: what helps in the handler |
| `repair` | where it was asked for, cheapest move first: `move`, `status`, `breaks` (kinds of fault), `repairs_this` (the minimal delivery passes), `schedules`, `distance`, `text`; of the one to make `needs` and `code`, too |
| `clash` | two events that do not commute: `events` (their ids), `assigned` (places of the state), `text` |
| `boundary` | where it was asked for: `finest` (paths of the fields of the finest key that suffices; empty for one key for all, null where no order is needed), `needs_order`, `streams`, `text` |
| `candidate` | a key that was tried: `fields`, `status`, `keys` (how many a stream had on average), `orders`; of one that breaks `events`, `order` (their ids), `in_order`, `observed` |
| `tolerance` | where it was asked for, one for each broker: `number`, `broker`, `text` (as one would write it), and `why` nothing could be asked of it, where the test fails in order on it |
| `trial` | an answer: `broker` (its number), `kind` of fault or "mixtures", `answer` ("survives", "breaks", "cannot happen", "not exercised"), `schedules`; `why` it cannot happen or was not exercised; of one that breaks `label`, `events`, `faults`, `order` (ids as the handler sees them), `ruled_out_by` (by kind), and `repair` (a move; null where none holds) |
| `replay` | `command` |

The lines stand in this order, numbers count from 1. Values and states are written as in repro files: JSON for what JSON
has, `{"$tuple": […]}` and the like for the rest, `{"$repr": "…"}` for what has no encoding. A `state` is missing where
there is none. New fields and types may come; those that are there stay.
"""  # noqa: E501 - a table

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import attrs

from chaoskit.report.boundary import boundary_lines
from chaoskit.report.summary import Summary, differences_of, headline, summary_of
from chaoskit.report.timeline import Row
from chaoskit.report.tolerance import broker_name
from chaoskit.report.values import as_json
from chaoskit.repro.values import encode_broker, versions
from chaoskit.values.boundary import Boundary
from chaoskit.values.outcome import Effect
from chaoskit.values.planted import Planted
from chaoskit.values.scenario import Scenario
from chaoskit.values.schedule import Step
from chaoskit.values.state import ABSENT
from chaoskit.values.texts import no_command
from chaoskit.values.tolerance import Tolerance, Trial
from chaoskit.values.verdict import Verdict

Line = dict[str, Any]


def json_lines(verdict: Verdict, *, replay: str | None = None) -> str:
    """The whole file, ASCII only, so that nothing in a value breaks a line. `replay` is the command that plays it."""
    return "".join(f"{_json(line)}\n" for line in lines(verdict, replay=replay))


def _json(line: Line) -> str:
    """No line of it is a command to GitHub's runner, whose sign is written as JSON writes any sign."""
    return no_command(json.dumps(line), ":", r"\u0023")


def lines(verdict: Verdict, *, replay: str | None = None) -> Iterator[Line]:
    yield _verdict(verdict)
    yield from ({"type": "reason", "text": reason} for reason in verdict.reasons)
    yield from ({"type": "note", "text": note} for note in verdict.notes)
    yield from map(_planted, verdict.self_check.planted if verdict.self_check is not None else ())
    if verdict.status == "violated":
        yield from _violated(verdict, summary_of(verdict))
    yield from _boundary(verdict.needed_order)
    yield from _tolerance(verdict.tolerance)
    if replay:
        yield {"type": "replay", "command": replay}


def _verdict(verdict: Verdict) -> Line:
    line: Line = {"type": "verdict", "status": verdict.status, "test": verdict.test, "headline": headline(verdict)}
    if verdict.status == "violated" and verdict.scenario is not None:
        line |= {"label": verdict.label, "broker": encode_broker(verdict.scenario.broker)}
        if verdict.also:
            line["also"] = list(verdict.also)
        if verdict.fewer:
            line["fewer"] = verdict.fewer
        if verdict.damage is not None:
            line["damage"] = attrs.asdict(verdict.damage)
        if verdict.states is not None and verdict.states.first_difference is not None:
            line["first_difference"] = verdict.states.first_difference
    if verdict.seed is not None:
        line["seed"] = verdict.seed
    line["versions"] = dict(versions() if verdict.versions is None else verdict.versions)
    # A saved failure was not searched here: zeros would say that nothing was tried.
    if verdict.exhausted is not None:
        line["exhausted"] = attrs.asdict(verdict.exhausted)
    return line | (attrs.asdict(verdict.tally) if verdict.tally.schedules else {})


def _planted(planted: Planted) -> Line:
    names = ("bug", "place", "status", "schedules", "breaks")
    return {"type": "planted"} | {name: getattr(planted, name) for name in names} | {"text": planted.why}


def _violated(verdict: Verdict, found: Summary) -> Iterator[Line]:
    assert verdict.scenario is not None
    assert verdict.schedule is not None
    for violation in verdict.violations:
        yield {"type": "violation", "invariant": violation.invariant, "message": violation.message}
    for difference in differences_of(verdict):
        both = {"in_order": difference.expected, "observed": difference.observed}
        there = {name: as_json(value) for name, value in both.items() if value is not ABSENT}
        yield {"type": "difference", "path": difference.path, **there}
    for run, effects in (("in order", verdict.expected_effects), ("observed", verdict.observed_effects)):
        yield from (_effect(run, effect) for effect in effects)
    states = verdict.states.in_order if verdict.states is not None else [None] * len(verdict.scenario.events)
    for event, state in zip(verdict.scenario.events, states, strict=True):
        line = {"type": "event", "id": event.id, "key": as_json(event.key), "seq": event.seq}
        line |= {} if event.topic is None else {"topic": event.topic}
        yield line | {"value": as_json(event.value)} | _state(state)
    faults = list(verdict.scenario.faults)
    for number, fault in enumerate(faults, start=1):
        yield {"type": "fault", "number": number, **attrs.asdict(fault), "fault": type(fault).__name__}
    rows = {row.number: row for row in found.grid.rows if row.step is not None}
    after = verdict.states.observed if verdict.states is not None else [None] * len(verdict.schedule)
    for number, (step, state) in enumerate(zip(verdict.schedule, after, strict=True), start=1):
        cause = {} if step.fault is None else {"fault": faults.index(step.fault) + 1}
        yield _step(number, step) | cause | _shown(rows.get(number), found) | _state(state)
    for number, sentence in enumerate(found.sentences, start=1):
        yield {"type": "sentence", "number": number, "text": sentence}
    yield from ({"type": "besides", "text": text} for text in found.besides)
    yield from ({"type": "remedy", "fault": kind, "text": remedy} for kind, remedy in found.remedies)
    yield from ({"type": "advice", "state": has, "text": text} for has, text in found.advice)
    yield from _advice(verdict, found)


def _effect(run: str, effect: Effect) -> Line:
    line: Line = {"type": "effect", "run": run, "name": effect.name}
    line |= {name: as_json(value) for name in ("key", "value") if (value := getattr(effect, name)) is not None}
    return line | {name: value for name in ("event", "step") if (value := getattr(effect, name)) is not None}


def _advice(verdict: Verdict, found: Summary) -> Iterator[Line]:
    """Where somebody has asked which move repairs it."""
    known = verdict.advice.known
    if known is None:
        return
    texts = {text.move: text for text in found.repairs}
    for repair in known.repairs:
        text = texts[repair.move]
        more = {name: value for name in ("needs", "code") if (value := getattr(text, name))}
        names = ("move", "status", "breaks", "repairs_this", "schedules", "distance")
        yield {"type": "repair"} | {name: getattr(repair, name) for name in names} | {"text": text.says} | more
    for clash, sentence in zip(known.clashes, found.clashes, strict=True):
        events = [clash.first.id, clash.second.id]
        yield {"type": "clash", "events": events, "assigned": list(clash.assigned), "text": sentence}


def _boundary(found: Boundary | None) -> Iterator[Line]:
    """Where somebody has asked what has to stay in order."""
    if found is None:
        return
    text = "; ".join(boundary_lines(found))
    finest = None if found.finest is None else list(found.finest)
    line: Line = {"type": "boundary", "finest": finest, "needs_order": found.needs_order, "streams": found.streams}
    yield line | {"text": text}
    for each in found.candidates:
        fields = None if each.fields is None else list(each.fields)
        line = {"type": "candidate", "fields": fields, "status": each.status, "keys": each.keys, "orders": each.orders}
        if each.status == "violated":
            events = [{"id": e.id, "key": as_json(e.key), "value": as_json(e.value)} for e in each.events]
            line |= {"events": events, "order": list(each.order)}
            line |= {"in_order": as_json(each.expected), "observed": as_json(each.observed)}
        yield line


def _tolerance(found: Tolerance | None) -> Iterator[Line]:
    """Where somebody has asked which kinds of fault it survives."""
    for number, column in enumerate(() if found is None else found.columns, start=1):
        line: Line = {"type": "tolerance", "number": number, "broker": encode_broker(column.broker)}
        yield line | {"text": broker_name(column.broker)} | ({"why": column.why} if column.why else {})
        for trial in column.trials:
            line = {"type": "trial", "broker": number, "kind": trial.kind, "answer": trial.answer}
            line |= {"schedules": trial.schedules} | ({"why": trial.why} if trial.why else {})
            yield line | (_broken(trial, trial.scenario) if trial.scenario is not None else {})


def _broken(trial: Trial, scenario: Scenario) -> Line:
    return {
        "label": trial.label,
        "events": [{"id": e.id, "key": as_json(e.key), "value": as_json(e.value)} for e in scenario.events],
        "faults": [{**attrs.asdict(fault), "fault": type(fault).__name__} for fault in scenario.faults],
        "order": list(scenario.schedule().delivered),
        "ruled_out_by": dict(trial.ruled_out_by),
        "repair": None if trial.repair is None else trial.repair.move,
    }


def _step(number: int, step: Step) -> Line:
    line: Line = {"type": "step", "number": number, "action": step.action, "consumer": step.consumer}
    for name in ("event", "partition", "offset", "attempt", "error", "point", "size", "given_up_by"):
        if getattr(step, name) is not None:
            line[name] = getattr(step, name)
    for name, at in (("died", step.died), ("stopped", step.stopped), ("failed", step.failed)):
        if at is not None:
            line[name] = attrs.asdict(at)
    if step.settled is not None:
        line["settled"] = list(step.settled)
    if step.copy is not None:
        line["copy"] = attrs.asdict(step.copy, filter=lambda _, value: value is not None)
    return line | ({"raised": True} if step.raised else {})


def _shown(row: Row | None, found: Summary) -> Line:
    """What the timeline says of a step; nothing of one that is folded there."""
    if row is None:
        return {}
    line: Line = {"lane": found.grid.lanes[row.lane]} if row.lane is not None else {}
    line |= {"mark": row.mark} if row.mark else {}
    line |= {"sentence": row.sentence} if row.sentence is not None else {}
    return line | ({"from": row.origin} if row.origin is not None else {})


def _state(state: object) -> Line:
    return {} if state is None else {"state": as_json(state)}
