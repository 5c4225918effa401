"""The page of `chaoskit show --html`: whole, safe, and readable with eyes, ears and keys."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import pytest

from chaoskit import Event, Kafka, Redeliver, Scenario
from chaoskit.repro.write import save
from reports.cases import (
    DEAD_LETTER,
    HOSTILE,
    LONG,
    Element,
    Page,
    log,
    saved,
    show,
    shown,
    verdict_on,
    wallet,
)  # fmt: skip


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> str:
    return shown("html", saved(wallet, DEAD_LETTER, tmp_path_factory.mktemp("repros")))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> str:
    verdict = verdict_on(log, HOSTILE, f"tests/test_shop.py::test_wallet[{'</title><script>x'}-مرحبا]")
    return shown("html", save(verdict, tmp_path_factory.mktemp("repros")))


@pytest.fixture(scope="module", params=["plain", "hostile", "long"])
def page(request: pytest.FixtureRequest, html: str, hostile: str, tmp_path_factory: pytest.TempPathFactory) -> Page:
    if request.param == "long":
        return Page(shown("html", saved(log, LONG, tmp_path_factory.mktemp("repros"))))
    return Page(html if request.param == "plain" else hostile)


def test_the_page_says_what_the_terminal_says(html: str) -> None:
    """Headline, difference, sentences, label, remedy, command and versions, in the same order."""
    page = Page(html)
    text = page.only("header").text + page.only("main").text + page.only("footer").text
    parts = [
        "test_wallet does not survive DeadLetter, which Kafka can do",
        "What differs", "state['alice']",
        "The delivery", "2 events, 1 fault, minimal", "to the dead-letter topic",
        "What happened", "used up its attempts", "Within a key or partition",
        "Step by step", "{'alice': 0}", "{'alice': 1}",
        "What rules it out", 'on_error="stop"',
        "Replay", "chaoskit replay ", "python 3.",
    ]  # fmt: skip
    place = 0
    for part in parts:
        assert part in text[place:], f"{part!r} is missing, or out of order, in:\n{text}"
        place = text.index(part, place) + len(part)
    assert [heading.text for heading in page.all("h2")] == [
        "What differs", "The delivery 2 events, 1 fault, minimal", "What happened", "Step by step",
        "What rules it out", "Replay",
    ]  # fmt: skip


def rows(page: Page) -> list[Element]:
    return [row for row in page.all("tr") if "data-step" in row.attributes]


def test_each_step_has_the_state_of_both_runs_and_the_first_difference_is_marked(html: str) -> None:
    """In words, and in one place only: in the row of the last step, both states beside each other."""
    cells = [[cell.text for cell in row.children] for row in rows(Page(html))]
    assert [row[-2] for row in cells] == [
        "nothing is handled yet",
        "{'alice': 0}after e2; here e1 is still missing",
        "{'alice': 0}after e2; here e1 is still missing",
        "{'alice': 0}after e2",
    ]
    assert [row[-1] for row in cells] == [
        "{}",
        "{}",
        "{}",
        "first difference{'alice': 1}state['alice']: in order 0, here 1",
    ]


def test_deviations_lead_to_the_sentences_that_explain_them_and_back(html: str) -> None:
    """Both are links within the page."""
    page = Page(html)
    (sentence,) = [item for item in page.all("li") if item.attributes.get("id") == "told-1"]
    assert [link.attributes["href"] for link in sentence.all("a")] == ["#step-1", "#step-3", "#step-4"]
    there = [link.attributes["href"] for row in rows(page) for link in row.all("a")]
    assert there.count("#told-1") == 3
    assert "#step-3" in there


def test_what_refers_to_an_id_finds_it(page: Page) -> None:
    """Links, labels and descriptions; and no id is there twice."""
    ids = [element.attributes["id"] for element in page.all() if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    for element in page.all():
        for name in ("aria-labelledby", "aria-describedby"):
            assert set(element.attributes.get(name, "").split()) <= set(ids), element
        href = element.attributes.get("href")
        assert href is None or (href.startswith("#") and href[1:] in ids), href


def test_headings_and_landmarks_make_an_outline(page: Page) -> None:
    """One h1, then h2; a header, a main part, a footer and a named list of contents, each once; each section named."""
    assert page.only("html").attributes["lang"] == "en"
    levels = [element.tag for element in page.all() if re.fullmatch("h[1-6]", element.tag)]
    assert sorted(levels) == ["h1", *["h2"] * 6]
    assert page.only("h1").text == page.only("title").text
    for landmark in ("header", "main", "footer", "nav"):
        assert page.only(landmark)
    assert page.only("nav").attributes["aria-label"]
    assert all("aria-labelledby" in section.attributes for section in page.all("section"))
    skip = page.all("a")[0]
    assert skip.attributes["href"] == f"#{page.only('main').attributes['id']}"


def test_tables_are_tables_to_a_screen_reader(page: Page) -> None:
    """A caption, a scope for each heading, and a heading for each row."""
    for table in page.all("table"):
        assert table.all("caption")[0].text
        assert {heading.attributes["scope"] for heading in table.all("th")} == {"col", "row"}
        body = table.all("tbody")[0].all("tr")
        assert all(row.all("th") or row.all("td")[0].attributes.get("colspan") for row in body)
        assert table.parent is not None
        assert table.parent.attributes["tabindex"] == "0", "what scrolls can be reached with keys"


def test_every_step_can_be_reached_with_keys(page: Page) -> None:
    """Also what scrolls and what is copied; and a picture has a name."""
    assert rows(page)
    assert all(row.attributes["tabindex"] == "0" for row in rows(page))
    assert all(pre.attributes["tabindex"] == "0" for pre in page.all("pre"))
    (drawing,) = page.all("svg")
    assert drawing.attributes["role"] == "img"
    assert drawing.attributes["aria-label"]


def test_the_page_needs_and_allows_nothing_from_outside(page: Page) -> None:
    """No address, no file, no event handler; its own style and script are the only ones that the browser takes."""
    for element in page.all():
        assert not {"src", "srcset", "data", "action", "style"} & set(element.attributes), element
        assert not [name for name in element.attributes if name.startswith("on")], element
        assert element.tag not in ("link", "img", "iframe", "object", "base", "form")
    (policy,) = [m.attributes["content"] for m in page.all("meta") if "http-equiv" in m.attributes]
    for tag in ("style", "script"):
        digest = base64.b64encode(hashlib.sha256(page.only(tag).text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
        assert "url(" not in page.only(tag).text
        assert "@import" not in page.only(tag).text
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy


def test_hostile_values_are_text_and_nothing_else(hostile: str) -> None:
    """Whatever ends a script or a title, what nobody sees, and what turns letters around."""
    assert len(Page(hostile).all("script")) == 1
    assert {element.tag for element in Page(hostile).all()}.isdisjoint({"img", "x"})
    assert "<img" not in hostile
    unseen = {sign for sign in hostile if ord(sign) < 32 or 0x7F <= ord(sign) < 0xA0 or 0xD800 <= ord(sign) < 0xE000}
    assert unseen == {"\n"}
    assert not set("\u202e\u2028\u200f") & set(hostile)
    text = Page(hostile).only("main").text
    assert "onerror=alert(1)" in text
    assert "\\u202e" in text
    assert "\\ud800" in text
    assert "שלום" in text


def test_long_values_are_folded_and_the_page_stays_small(hostile: str) -> None:
    """A value of two thousand letters is there once it is opened, and begins outside."""
    details = Page(hostile).all("details")
    assert details
    assert all(len(each.all("summary")[0].text) <= 120 for each in details)
    assert "שלום " * 400 in Page(hostile).only("main").text
    assert len(hostile) < 400_000


def test_of_a_long_state_each_step_says_what_it_has_changed(tmp_path: Path) -> None:
    """Items that were added, values that changed, or that nothing did; the whole is folded. The first difference says
    what only one of the two has."""
    events = [Event(f"key {number}", "x" * 30) for number in range(5)]
    scenario = Scenario(events, Kafka(), [Redeliver("e5", 0)])
    page = Page(shown("html", saved(log, scenario, tmp_path)))
    cells = [row.children[-1].text for row in rows(page)]
    item = "('key 4', 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx')"
    assert cells[4].startswith(f"state['log'][4]: {item}state['count']: 4 → 5whole state{{'log': [('key 0', 'xxx")
    assert cells[5] == "unchanged"
    assert cells[6].startswith("first difference")
    assert cells[6].endswith(f"only here state['log'][5]: {item}state['count']: in order 5, here 6")


def test_a_delivery_of_more_than_sixty_steps_says_what_is_left_out(tmp_path: Path) -> None:
    """Sixty rows, the number of the others, and that there are no states."""
    page = Page(shown("html", saved(log, LONG, tmp_path)))
    assert len(rows(page)) == 60
    assert "… and 11 more steps" in page.only("main").text
    assert "The states along the way are not known" in page.only("main").text
    assert [heading.text for heading in page.all("th")].count("State observed") == 0


# Colours.

PAIRS = [
    *[(ink, paper) for ink in ("ink", "quiet", "link") for paper in ("paper", "card")],
    *[(ink, "note-soft") for ink in ("ink", "quiet", "link", "note")],
    *[(ink, "bad-soft") for ink in ("ink", "quiet", "bad")],
    *[(ink, "good-soft") for ink in ("ink", "quiet", "good")],
    *[(ink, "card") for ink in ("note", "bad", "good")],
    ("note", "paper"),
    ("paper", "note"),
]
"""Letters on what lies behind them."""
LINES = [("edge", "card"), ("note", "card"), ("bad", "card"), ("link", "paper"), ("link", "card"), ("bad", "bad-soft")]
"""Lines that carry a meaning, and the ring of the focus."""


def colours(html: str, scheme: str) -> dict[str, str]:
    """The variables of the page's style."""
    style = Page(html).only("style").text
    light, dark = re.findall(r":root \{ ([^}]*) \}", style)[:2]
    return dict(re.findall(r"--([\w-]+): (#\w{6});", dark if scheme == "dark" else light))


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, two: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(two)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_is_that_of_wcag_aa(html: str, scheme: str) -> None:
    """4.5 for letters, 3 for lines that mean something, computed from the style as it is sent."""
    found = colours(html, scheme)
    weak = [(pair, round(contrast(found[pair[0]], found[pair[1]]), 2)) for pair in PAIRS]
    assert [each for each in weak if each[1] < 4.5] == []
    lines = [(pair, round(contrast(found[pair[0]], found[pair[1]]), 2)) for pair in LINES]
    assert [each for each in lines if each[1] < 3] == []
    assert set(re.findall(r"var\(--([\w-]+)\)", html)) <= set(found)


def test_the_measure_of_contrast_is_right() -> None:
    """Black on white is 21, a colour on itself 1, and WCAG's own example of a grey that just fails, fails."""
    assert round(contrast("#000000", "#ffffff"), 2) == 21
    assert contrast("#123456", "#123456") == 1
    assert contrast("#777777", "#ffffff") < 4.5 < contrast("#767676", "#ffffff")


def test_the_same_file_gives_the_same_page(tmp_path: Path) -> None:
    """Nothing of the clock, and nothing of this machine but the name of the file."""
    repro = saved(wallet, DEAD_LETTER, tmp_path)
    page = tmp_path / "page.html"
    assert show(repro, "--html", page).output == ""
    assert page.read_text(encoding="utf-8") == shown("html", repro)
