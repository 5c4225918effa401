"""The picture of `chaoskit show --svg`: a file of its own, and the same in the page."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from chaoskit import Duplicate, Event, Kafka, Scenario
from reports.cases import DEAD_LETTER, HOSTILE, LONG, TWICE, log, saved, shown, wallet

SVG = "{http://www.w3.org/2000/svg}"
KEYS = Scenario([Event(f"key {number}", number) for number in range(20)], Kafka(partitions=12), [Duplicate("e7")])


@pytest.mark.parametrize(
    "scenario", [DEAD_LETTER, HOSTILE, LONG, TWICE, KEYS], ids=["plain", "hostile", "long", "twice", "wide"]
)
def test_it_is_well_formed_and_says_what_it_shows(tmp_path: Path, scenario: Scenario) -> None:
    """XML with a size, a title and a description that are its name, all steps and all sentences; nothing else is
    fetched or run."""
    text = shown("svg", saved(wallet if scenario is DEAD_LETTER else log, scenario, tmp_path))
    root = ElementTree.fromstring(text)
    assert root.tag == f"{SVG}svg"
    assert root.get("role") == "img"
    ids = {element.get("id"): element for element in root.iter() if element.get("id")}
    title, description = (ids[name].text or "" for name in (root.get("aria-labelledby") or "").split())
    assert "does not survive" in title
    steps = [element for element in root.iter(f"{SVG}g") if element.get("data-step")]
    assert [f"Step {step.get('data-step')}" in description for step in steps] == [True] * len(steps)
    assert "1: " in description
    width, height = float(root.get("width") or 0), float(root.get("height") or 0)
    assert root.get("viewBox") == f"0 0 {width:g} {height:g}"
    assert not {element.tag for element in root.iter()} & {
        f"{SVG}script",
        f"{SVG}image",
        f"{SVG}use",
        f"{SVG}foreignObject",
    }
    assert not re.findall(r'(?:href|src)="|url\((?!#)|@import', text)


def test_nothing_lies_outside_of_it(tmp_path: Path) -> None:
    """Every box, and every line of text by its beginning, also where there are many lanes."""
    root = ElementTree.fromstring(shown("svg", saved(log, KEYS, tmp_path)))
    width, height = float(root.get("width") or 0), float(root.get("height") or 0)
    for element in root.iter():
        x, y = float(element.get("x") or 0), float(element.get("y") or 0)
        assert 0 <= x + float((element.get("width") or "0").rstrip("%")) <= width or element is root
        assert 0 <= y <= height


def test_arrows_lead_from_a_message_to_where_it_comes_again(tmp_path: Path) -> None:
    """The dead letter to where it is put back, and from there to where it is read; what comes once has none."""
    text = shown("svg", saved(wallet, DEAD_LETTER, tmp_path))
    assert len(re.findall('class="arrow"', text)) == 2
    assert len(re.findall('class="badge"', text)) == 3
    assert text.count("first difference") == 1


def test_it_follows_the_readers_light_and_dark(tmp_path: Path) -> None:
    """Its style is its own, with both palettes."""
    text = shown("svg", saved(wallet, DEAD_LETTER, tmp_path))
    assert "@media screen and (prefers-color-scheme: dark)" in text


def test_the_page_has_the_same_picture(tmp_path: Path) -> None:
    """Box by box and arrow by arrow; only what stands above and below it is the file's own."""
    repro = saved(wallet, DEAD_LETTER, tmp_path)
    alone, page = shown("svg", repro), shown("html", repro)
    inside = page[page.index("<svg") : page.index("</svg>") + 6]
    ElementTree.fromstring(inside)
    for shape in (r'<rect class="node" x="[^"]*"', r'<g data-step="\d+" class="[^"]*"', r'class="cell"[^>]*>([^<]*)<'):
        assert [re.sub(r' y="[^"]*"', "", found) for found in re.findall(shape, alone)] == re.findall(shape, inside)
