"""The report as one HTML page that needs nothing else: no network, no font, no image; it opens from a CI artifact.

Every text of the user's goes through `_text`. The page's own style and script are named by their hashes, so that the
browser runs nothing else, whatever a value contains. The script adds arrow keys; all is there without it.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Sequence
from string import Template

import attrs

from chaoskit.report.deaths import DIED, FAILED
from chaoskit.report.effects import EFFECTS, MOST_ROWS
from chaoskit.report.overlaps import STOPPED
from chaoskit.report.picture import picture
from chaoskit.report.self_check import self_check_remarks
from chaoskit.report.style import HEAD, PAGE, PICTURE, palette
from chaoskit.report.summary import (
    NO_STATES,
    Beside,
    Summary,
    changes,
    found_lines,
    headline,
    held_lines,
    place_lines,
    summary_of,
    tried,
)
from chaoskit.report.timeline import Grid, Row, value_of
from chaoskit.report.tolerance import answer_text, broker_name, remarks
from chaoskit.report.values import cut, in_markup
from chaoskit.repro.values import versions
from chaoskit.values.state import Difference
from chaoskit.values.texts import printed
from chaoskit.values.tolerance import Answer, Tolerance
from chaoskit.values.verdict import Verdict

SHOWN = 120
"""Letters of a value that are shown at once; the rest is folded."""
MOST_LETTERS = 4000
"""Of a value; a page of sixty states stays small."""
MOST_OF_TRACE = 20_000

STYLE = palette(":root") + PAGE + PICTURE

SCRIPT = """
const rows = [...document.querySelectorAll("tr[data-step]")];
const boxes = [...document.querySelectorAll(".picture g[data-step]")];
rows.forEach((row, at) => {
  row.addEventListener("focusin", () =>
    boxes.forEach(box => box.classList.toggle("here", box.dataset.step === row.dataset.step)));
  row.addEventListener("keydown", event => {
    if (event.target !== row || event.altKey || event.ctrlKey || event.metaKey) return;
    const next = {ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1}[event.key];
    if (rows[next]) { rows[next].focus(); event.preventDefault(); }
  });
});
boxes.forEach(box => box.addEventListener("click", () => document.getElementById("step-" + box.dataset.step).focus()));
"""

SKELETON = Template(
    HEAD
    + """\
<style>$style</style>
</head>
<body>
<a class="skip" href="#report">Skip to the report</a>
<header>
<p class="status $status"><strong>$status</strong> <bdi>$test</bdi></p>
<h1>$title</h1>
$contents
</header>
<main id="report" tabindex="-1">
$main
</main>
<footer>
<ul>
$footer
</ul>
</footer>
<script>$script</script>
</body>
</html>
"""
)


def page(verdict: Verdict, *, replay: str | None = None) -> str:
    """The whole page. `replay` is the command that plays the failure again, or why there is no file."""
    sections = _violated(summary_of(verdict)) if verdict.status == "violated" else _plain(verdict)
    if verdict.tolerance is not None:
        sections.append(Section("tolerance", "What it tolerates", "\n".join(_tolerance(verdict.tolerance))))
    if verdict.status == "violated" and replay:
        body = f'<pre class="command" tabindex="0"><code>{_text(replay)}</code></pre>'
        sections.append(Section("replay", "Replay", body))
    policy = (
        f"default-src 'none'; style-src {_hash(STYLE)}; script-src {_hash(SCRIPT)}; base-uri 'none'; form-action 'none'"
    )
    # Headings and ids are ours; every other text goes through `_text`.
    links = [f'<li><a href="#{section.id}">{section.heading}</a></li>' for section in sections]
    contents = f'<nav aria-label="Contents">\n<ul>{"".join(links)}</ul>\n</nav>' if len(links) > 1 else ""
    return SKELETON.substitute(
        policy=policy,
        title=_text(cut(_title(verdict), 400)),
        style=STYLE,
        status=verdict.status,
        test=_text(verdict.test or "a function without a name"),
        contents=contents,
        main=f'<div class="sections">\n{"".join(map(_section, sections))}</div>',
        footer="\n".join(f"<li>{_text(line)}</li>" for line in _origin(verdict)),
        script=SCRIPT,
    )


def _title(verdict: Verdict) -> str:
    """The reasons of an unknown verdict have a section of their own."""
    line = headline(verdict)
    return line.partition(": ")[0] if verdict.status == "unknown" else line


@attrs.frozen
class Section:
    """A heading with its id, a body as HTML, and what stands small beside the heading."""

    id: str
    heading: str
    body: str
    small: str = ""


def _section(section: Section) -> str:
    small = f" <small>{_text(section.small)}</small>" if section.small else ""
    return (
        f'<section class="part-{section.id}" aria-labelledby="{section.id}">\n'
        f'<h2 id="{section.id}">{section.heading}{small}</h2>\n{section.body}\n</section>\n'
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _text(text: str) -> str:
    return in_markup(text)


def _origin(verdict: Verdict) -> list[str]:
    known = versions() if verdict.versions is None else verdict.versions
    return [*found_lines(verdict, "--chaos-seed="), *(f"{name} {version}" for name, version in known.items())]


def _plain(verdict: Verdict) -> list[Section]:
    """A run that has found nothing wrong, or has shown nothing."""
    if verdict.status == "held":
        return [Section("shown", "What it has shown", _paragraphs(held_lines(verdict)))]
    reasons = "".join(f"<li>{_with_code(reason)}</li>" for reason in verdict.reasons)
    lines = [f"Tried: {tried(verdict)}."] if tried(verdict) else []
    lines += self_check_remarks(verdict.self_check)
    hint = 'If that is all that can be shown here, say why: chaos(…, allow_unknown="why") skips visibly.'
    body = f'<ul class="remedies">{reasons}</ul>\n{_paragraphs([*lines, hint])}'
    return [Section("why", "Why it does not pass", body)]


def _paragraphs(lines: Sequence[str]) -> str:
    return "\n".join(f'<p class="remark">{_text(line)}</p>' for line in lines)


def _violated(found: Summary) -> list[Section]:
    sections = [
        Section("differs", "What differs", "\n".join(_differences(found))),
        *([Section("effects", EFFECTS, "\n".join(_effects(found)))] if found.effects else []),
        Section("delivery", "The delivery", _figure(found), found.size),
        Section("happened", "What happened", _happened(found)),
        *([Section("died", DIED, _traced(found.deaths))] if found.deaths else []),
        *([Section("failed", FAILED, _traced(found.failures))] if found.failures else []),
        *([Section("overlaps", STOPPED, _traced(found.overlaps))] if found.overlaps else []),
        Section("steps", "Step by step", "\n".join(_steps(found))),
    ]
    if found.remedies:
        sections.append(Section("remedies", "What rules it out", _remedies(found)))
    if found.repairs or found.clashes:
        sections.append(Section("repairs", "What repairs it", "\n".join(_repairs(found))))
    if found.boundary:
        lines = [f"{line[0].upper()}{line[1:]}." for line in found.boundary]
        sections.append(Section("boundary", "What has to stay in order", _paragraphs(lines)))
    return sections


# What differs.


def _differences(found: Summary) -> Iterator[str]:
    if found.differences:
        yield (
            '<div class="scroll" role="region" aria-labelledby="differs" tabindex="0">\n<table>\n'
            "<caption>The final state, place by place</caption>\n"
            '<thead><tr><th scope="col">Place</th><th scope="col">In order</th><th scope="col">Observed</th></tr>'
            "</thead>\n<tbody>"
        )
        yield from map(_difference, found.differences)
        yield "</tbody>\n</table>\n</div>"
    more = [f"and {found.more} more"] if found.more else []
    yield _paragraphs([*more, *found.remarks])
    for trace in found.tracebacks:
        yield f'<pre class="trace" tabindex="0"><code>{_text(cut(trace, MOST_OF_TRACE))}</code></pre>'


def _effects(found: Summary) -> Iterator[str]:
    yield (
        '<div class="scroll" role="region" aria-labelledby="effects" tabindex="0">\n<table>\n'
        "<caption>What no rollback takes back</caption>\n"
        '<thead><tr><th scope="col">Effect</th><th scope="col">In order</th><th scope="col">Observed</th></tr>'
        "</thead>\n<tbody>"
    )
    for row in found.effects[:MOST_ROWS]:
        yield (
            f'<tr><th scope="row" class="place">{_value(row.what)}</th><td class="in-order">{_text(row.in_order)}</td>'
            f'<td class="observed">{_text(row.observed)}</td></tr>'
        )
    yield "</tbody>\n</table>\n</div>"
    if len(found.effects) > MOST_ROWS:
        yield _paragraphs([f"and {len(found.effects) - MOST_ROWS} more"])


def _difference(difference: Difference) -> str:
    return (
        f'<tr><th scope="row" class="place">{_value(difference.path)}</th>'
        f'<td class="in-order">{_value(printed(difference.expected))}</td>'
        f'<td class="observed">{_value(printed(difference.observed))}</td></tr>'
    )


def _value(text: str) -> str:
    """A value of the user's, folded where it is long. It stands by itself, whatever direction its letters have."""
    whole = cut(text, MOST_LETTERS)
    if len(whole) <= SHOWN:
        return f'<bdi class="value">{_text(whole)}</bdi>'
    return (
        f'<details><summary><bdi class="value">{_text(cut(whole, SHOWN))}</bdi></summary>'
        f'<bdi class="value">{_text(whole)}</bdi></details>'
    )


# The delivery.


def _figure(found: Summary) -> str:
    label = 'role="group" aria-label="The delivery as a picture" tabindex="0"'
    return f'<figure class="scroll" {label}>\n{picture(found)}\n</figure>'


def _steps(found: Summary) -> Iterator[str]:
    yield '<p class="hint">Tab enters the steps; the arrow keys, Home and End go through them.</p>'
    columns = ["Step", *(["Consumer"] if found.grid.workers else []), "Where", "What", "Message"]
    columns += ["State in order", "State observed"] if found.beside else []
    heads = "".join(f'<th scope="col">{column}</th>' for column in columns)
    yield (
        '<div class="scroll" role="region" aria-labelledby="steps" tabindex="0">\n<table>\n'
        f"<caption>{_caption(found)}</caption>\n<thead><tr>{heads}</tr></thead>\n<tbody>"
    )
    last: Beside | None = None
    for row in found.grid.rows:
        beside = found.beside[row.last - 1] if found.beside else None
        yield _step(row, found.grid, beside, last)
        last = beside
    if found.grid.left_out:
        yield f'<tr><td colspan="{len(columns)}">… and {found.grid.left_out} more steps</td></tr>'
    yield "</tbody>\n</table>\n</div>"


def _caption(found: Summary) -> str:
    if not found.beside:
        return NO_STATES
    return "The state after each step, and in order after the furthest event that was handled by then"


def _step(row: Row, grid: Grid, beside: Beside | None, last: Beside | None) -> str:
    number = str(row.number) if row.last == row.number else f"{row.number}–{row.last}"
    where = grid.lanes[row.lane] if row.lane is not None else ""
    message = _value(value_of(row.event)) if row.event is not None else ""
    cells = [f'<th scope="row" class="narrow">{number}</th>']
    if grid.workers:
        cells.append(f"<td>{row.step.consumer if row.step is not None else ''}</td>")
    cells += [
        f'<td class="where"><bdi>{_text(where)}</bdi></td>',
        f'<td class="what">{_what(row)}</td>',
        f'<td class="message">{message}</td>',
    ]
    if beside is not None:
        cells += [_in_order(beside, last), _observed(beside, last)]
    return f'<tr id="step-{row.number}" data-step="{row.number}" tabindex="0">{"".join(cells)}</tr>'


def _what(row: Row) -> str:
    cell = f'<bdi class="value">{_text(row.cell)}</bdi>' if row.boxed else ""
    mark = f'<span class="mark">{_text(row.mark)}</span>' if row.mark else ""
    why = ""
    if row.sentence is not None:
        number = row.sentence
        why = f'<a class="narrow" href="#told-{number}" aria-label="explained in {number}">← {number}</a>'
    again = ""
    if row.origin is not None:
        again = f'<a class="after" href="#step-{row.origin}">came from step {row.origin}</a>'
    return " ".join(part for part in (cell, mark, why, again) if part)


def _in_order(beside: Beside, last: Beside | None) -> str:
    if beside.in_order_after is None:
        return '<td class="state"><span class="absent">nothing is handled yet</span></td>'
    note = f"after <bdi>{_text(str(beside.in_order_after))}</bdi>"
    if beside.missing:
        note += f"; here <bdi>{_text(', '.join(map(str, beside.missing)))}</bdi> is still missing"
    if beside.first_difference:
        return f'<td class="state agreed">{_state(beside.in_order)}<span class="after">{note}</span></td>'
    state = _state(beside.in_order, None if last is None else last.in_order)
    return f'<td class="state">{state}<span class="after">{note}</span></td>'


def _observed(beside: Beside, last: Beside | None) -> str:
    if not beside.first_difference:
        return f'<td class="state">{_state(beside.observed, None if last is None else last.observed)}</td>'
    flag = '<strong class="flag">first difference</strong>'
    places = _listed(place_lines(beside.places))
    return f'<td class="state first-differs">{flag}{_state(beside.observed)}{places}</td>'


def _state(state: object, last: object = None) -> str:
    """Of a long state only what a step has changed in it; the whole is folded."""
    if state is None:
        return '<span class="absent">no state here</span>'
    text = printed(state)
    if len(text) <= SHOWN or last is None:
        return _value(text)
    if text == printed(last):
        return '<span class="absent">unchanged</span>'
    whole = f'<summary class="whole">whole state</summary><bdi class="value">{_text(cut(text, MOST_LETTERS))}</bdi>'
    return f"{_listed(changes(last, state))}<details>{whole}</details>"


def _listed(lines: Sequence[str]) -> str:
    items = "".join(f'<li><bdi class="value">{_text(line)}</bdi></li>' for line in lines)
    return f'<ul class="changes">{items}</ul>' if items else ""


# What happened, and what rules it out.


def _happened(found: Summary) -> str:
    items = []
    for number, sentence in enumerate(found.sentences, start=1):
        steps = [row.number for row in found.grid.rows if row.sentence == number]
        links = ", ".join(f'<a href="#step-{step}">{step}</a>' for step in steps)
        noun = "step" if len(steps) == 1 else "steps"
        back = f' <span class="back">({noun} {links})</span>' if steps else ""
        items.append(f'<li id="told-{number}">{_text(sentence)}.{back}</li>')
    listed = f'<ol class="told">\n{"".join(items)}\n</ol>\n' if items else ""
    besides = "".join(f'<p class="label">{_text(line)}.</p>' for line in found.besides)
    return listed + besides + (f'<p class="label">{_text(found.label)}</p>' if found.label else "")


def _traced(lines: Sequence[str]) -> str:
    text = _text("\n".join(lines))
    return f'<pre class="trace" tabindex="0"><code>{text}</code></pre>'


def _repairs(found: Summary) -> Iterator[str]:
    yield _paragraphs([line for line in (found.damage and f"{found.damage}.", found.no_repair) if line])
    items = []
    for text in found.repairs:
        code = f'<pre class="command" tabindex="0"><code>{_text(text.code)}</code></pre>' if text.code else ""
        needs = f" {_text(text.needs)}" if text.needs else ""
        items.append(f"<li>{_text(text.says)}{needs}{code}</li>")
    yield f'<ul class="remedies">{"".join(items)}</ul>' if items else ""
    yield _paragraphs(found.clashes)


def _tolerance(tolerance: Tolerance) -> Iterator[str]:
    names = [_value(broker_name(column.broker)) for column in tolerance.columns]
    heads = "".join(f'<th scope="col">{name}</th>' for name in ("Fault", *names))
    yield (
        '<div class="scroll" role="region" aria-labelledby="tolerance" tabindex="0">\n<table>\n'
        "<caption>Each kind of fault alone, and those together that do not break it alone; in brackets the schedules "
        f"that were run</caption>\n<thead><tr>{heads}</tr></thead>\n<tbody>"
    )
    for kind, trials in tolerance.rows():
        cells = "".join(f'<td class="{ANSWERS[trial.answer]}">{answer_text(trial)}</td>' for trial in trials)
        yield f'<tr><th scope="row">{kind}</th>{cells}</tr>'
    yield "</tbody>\n</table>\n</div>"
    for name, column in zip(names, tolerance.columns, strict=True):
        items = []
        for each in remarks(column):
            more = "".join(f'<span class="after">{_with_code(line)}</span>' for line in each.more)
            items.append(f"<li><strong>{_text(each.kinds)}</strong>{_with_code(each.says)}{more}</li>")
        yield f'<h3>{name}</h3>\n<ul class="remedies">{"".join(items)}</ul>'


ANSWERS: dict[Answer, str] = {
    "survives": "in-order",
    "breaks": "observed",
    "cannot happen": "quiet",
    "not exercised": "quiet",
}
"""The class of a cell, by which it has its colour."""


def _remedies(found: Summary) -> str:
    found_remedies = [*found.remedies, *(("In the handler", advice) for _, advice in found.advice)]
    items = "".join(f"<li><strong>{kind}</strong>: {_with_code(remedy)}.</li>" for kind, remedy in found_remedies)
    return f'<ul class="remedies">{items}</ul>'


def _with_code(text: str) -> str:
    """What stands between backticks is code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", _text(text))
