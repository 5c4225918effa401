"""What each order costs as a picture and as data: throughput over consumers, a line for each order."""

from __future__ import annotations

import math
from collections.abc import Iterator
from string import Template
from typing import Any

import attrs

from chaoskit.report.style import HEAD, SANS, palette
from chaoskit.report.values import as_json, in_markup
from chaoskit.throughput.cost import NAMES, OrderChoice, OrderingCost, choice_text, number, summary

WIDTH, HEIGHT = 760, 320
"""Of the plot with its axes, in pixels as all that follows."""
LEFT, RIGHT, TOP, BOTTOM = 64, 24, 20, 44
LINE = 20
"""Height of a line of text below it."""

STYLE = f"""
.ordering text {{ font: 13px {SANS}; fill: var(--ink); }}
.ordering .tick {{ font-size: 12px; fill: var(--quiet); }}
.ordering .grid {{ stroke: var(--line); stroke-width: 1; }}
.ordering .axis {{ stroke: var(--edge); stroke-width: 1; }}
.ordering .line {{ fill: none; stroke-width: 2.5; stroke-linejoin: round; }}
.ordering .total {{ stroke: var(--bad); }}
.ordering .per_key {{ stroke: var(--link); stroke-dasharray: 9 4; }}
.ordering .unordered {{ stroke: var(--good); stroke-dasharray: 2 4; }}
.ordering .knee {{ fill: var(--paper); stroke-dasharray: none; stroke-width: 2; }}
"""
"""Three lines are distinguished by their dashes, too, where colours are not seen."""


def ordering_svg(cost: OrderingCost) -> str:
    """The plot as SVG that brings its style: a file of its own, or inline in a page. A ring is a knee."""
    rows = [*_legend(cost)]
    height = HEIGHT + LINE * len(rows) + 8
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="ordering" role="img" aria-label="{_label(cost)}"',
        f'width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}">',
        f"<style>{palette('.ordering')}{STYLE}</style>",
        f'<rect width="{WIDTH}" height="{height}" fill="var(--paper)"/>',
        *_axes(cost),
        *(line for choice in _possible(cost) for line in _line(choice, _top(cost))),
        *_keys(rows),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


_PAGE = Template(
    HEAD
    + """\
</head>
<body>
<main>
<h1>$title</h1>
$plot<pre tabindex="0">$text</pre>
</main>
</body>
</html>
"""
)


def ordering_page(cost: OrderingCost) -> str:
    """The plot and the figures as a page of its own, which needs nothing from outside."""
    title = in_markup(f"What order costs: {summary(cost)[0]}")
    return _PAGE.substitute(
        policy="default-src 'none'; style-src 'unsafe-inline'",
        title=title,
        plot=ordering_svg(cost),
        text=in_markup(str(cost)),
    )


def ordering_data(cost: OrderingCost) -> dict[str, Any]:
    """All of it as JSON has it: names and units are those of OrderingCost, and keys are as in repro files."""
    fields = attrs.asdict(cost, recurse=False)
    broker = type(cost.broker).__name__
    choices: dict[str, Any] = {choice.order: attrs.asdict(choice, value_serializer=_listed) for choice in cost.choices}
    at = cost.broker.serialization
    point = {"name": at.name, "unit": at.unit, "fact": at.fact, "source": at.source, "per_second": at.per_second}
    return {**fields, **choices, "broker": broker, "serialization": point, "hottest_key": as_json(cost.hottest_key)}


def _listed(_: type, __: Any, value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _possible(cost: OrderingCost) -> list[OrderChoice]:
    return [choice for choice in cost.choices if not choice.why_not]


def _label(cost: OrderingCost) -> str:
    """The picture in words, for who does not see it."""
    orders = [f"{NAMES[choice.order]}: {choice_text(choice)}" for choice in cost.choices]
    return in_markup(". ".join(["Throughput over consumers", *summary(cost), *orders]) + ".")


def _top(cost: OrderingCost) -> float:
    """The upper end of the axis: the most that is reached, rounded up to 1, 2 or 5 times a power of ten."""
    most = max(point.throughput for choice in _possible(cost) for point in choice.points)
    power = 10.0 ** math.floor(math.log10(most))
    return next(factor * power for factor in (1, 1.5, 2, 3, 5, 7.5, 10) if most <= factor * power * (1 + 1e-9))


def _x(consumers: int, most: int) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * (consumers - 1) / max(1, most - 1)


def _y(throughput: float, top: float) -> float:
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - throughput / top)


def _axes(cost: OrderingCost) -> Iterator[str]:
    top, most = _top(cost), len(_possible(cost)[0].points)
    for part in range(5):
        value = top * part / 4
        y = _y(value, top)
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:g}" y2="{y:g}"/>'
        yield f'<text class="tick" x="{LEFT - 8}" y="{y + 4:g}" text-anchor="end">{number(value)}</text>'
    bottom = _y(0, top)
    yield f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{bottom:g}" y2="{bottom:g}"/>'
    for consumers in sorted({1, most, *range(0, most + 1, max(1, math.ceil(most / 8)))} - {0}):
        x = _x(consumers, most)
        yield f'<text class="tick" x="{x:g}" y="{bottom + 18:g}" text-anchor="middle">{consumers}</text>'
    yield f'<text class="tick" x="{LEFT}" y="{TOP - 6}">messages/s</text>'
    yield f'<text class="tick" x="{WIDTH - RIGHT}" y="{bottom + 36:g}" text-anchor="end">consumers</text>'


def _line(choice: OrderChoice, top: float) -> Iterator[str]:
    most = len(choice.points)
    places = [f"{_x(point.consumers, most):.1f} {_y(point.throughput, top):.1f}" for point in choice.points]
    yield f'<path class="line {choice.order}" d="M{"L".join(places if most > 1 else places * 2)}"/>'
    if choice.knee is not None:
        x, y = _x(choice.knee, most), _y(choice.at(choice.knee).throughput, top)
        yield f'<circle class="knee {choice.order}" cx="{x:.1f}" cy="{y:.1f}" r="5"/>'


def _legend(cost: OrderingCost) -> Iterator[tuple[str, str]]:
    """A class for the mark, and a text."""
    for text in summary(cost):
        yield from (("", line) for line in _folded(text))
    for choice in cost.choices:
        for place, text in enumerate(_folded(f"{NAMES[choice.order]}: {choice_text(choice)}")):
            yield (choice.order if place == 0 else ""), text


def _folded(text: str, width: int = 96) -> Iterator[str]:
    line = ""
    for word in text.split():
        if len(line) + len(word) > width:
            yield line
            line = ""
        line = f"{line} {word}".strip()
    yield line


def _keys(rows: list[tuple[str, str]]) -> Iterator[str]:
    for place, (kind, text) in enumerate(rows):
        y = HEIGHT + 12 + LINE * place
        if kind:
            yield f'<path class="line {kind}" d="M12 {y - 4}H44"/>'
        yield f'<text x="54" y="{y}">{in_markup(text)}</text>'
