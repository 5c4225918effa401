"""The plot of what each order costs: valid, self-contained, and true to the numbers."""

from __future__ import annotations

import json
import random
from xml.etree import ElementTree

import pytest

from chaoskit import Event, ordering_cost
from chaoskit.brokers import BROKERS, Kafka, SqsFifo
from chaoskit.report.ordering import ordering_data, ordering_svg
from chaoskit.throughput.cost import OrderingCost

SVG = "{http://www.w3.org/2000/svg}"


def cost(broker: str, consumers: int = 12, handler_ms: float = 20) -> OrderingCost:
    chance = random.Random(2)
    stream = [Event(f"key-{chance.randrange(9)}", None) for _ in range(200)]
    return ordering_cost(stream, BROKERS[broker](), handler_ms=handler_ms, consumers=consumers)


@pytest.mark.parametrize("broker", BROKERS)
@pytest.mark.parametrize("consumers", [1, 2, 33])
def test_the_plot_is_valid_and_fetches_nothing(broker: str, consumers: int) -> None:
    """A line and a legend for each order that is kept, and a description in words."""
    found = cost(broker, consumers)
    text = ordering_svg(found)
    root = ElementTree.fromstring(text)
    assert root.attrib["role"] == "img"
    assert "order per key" in root.attrib["aria-label"]
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
    stored = [choice for choice in found.choices if not choice.why_not]
    plotted = [path for path in root.iter(f"{SVG}path") if "L" in path.attrib["d"]]
    assert [path.attrib["class"] for path in plotted] == [f"line {choice.order}" for choice in stored]
    knees = [circle.attrib["class"] for circle in root.iter(f"{SVG}circle")]
    assert knees == [f"knee {choice.order}" for choice in stored if choice.knee is not None]


def test_nothing_leaves_the_picture_and_more_is_higher() -> None:
    """Each point lies in the frame, in the order of its throughput."""
    found = cost("Kafka")
    root = ElementTree.fromstring(ordering_svg(found))
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    for choice in found.choices:
        path = next(p for p in root.iter(f"{SVG}path") if p.attrib["class"] == f"line {choice.order}")
        places = [tuple(map(float, place.split())) for place in path.attrib["d"][1:].split("L")]
        assert len(places) == len(choice.points)
        assert all(0 <= x <= width and 0 <= y <= height for x, y in places)
        by_height = sorted(range(len(places)), key=lambda n: -places[n][1])
        rates = [choice.points[n].throughput for n in by_height]
        assert rates == sorted(rates)


def test_the_data_is_json_with_all_numbers() -> None:
    """Names as in Python; a key that is no text as in repro files."""
    data = ordering_data(ordering_cost([Event(b"\xff", 1)], SqsFifo(), handler_ms=3, consumers=2))
    assert json.loads(json.dumps(data)) == data
    assert data["hottest_key"] != "b'\\xff'"
    assert list(data["total"]["points"][0]) == ["consumers", "throughput", "busy", "wait_ms"]
    assert {"total", "per_key", "unordered", "serialization", "broker", "handler_ms"} <= set(data)


def test_a_very_fast_and_a_very_slow_handler_have_axes() -> None:
    """A million a second, and one in an hour."""
    for handler_ms in (0.001, 3_600_000):
        ElementTree.fromstring(ordering_svg(ordering_cost([Event("a", 1)], Kafka(), handler_ms=handler_ms)))
