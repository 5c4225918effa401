"""The page in a real browser: opened from a file, with keys, in light and dark, on a narrow screen."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from reports.cases import DEAD_LETTER, HOSTILE, LONG, log, saved, show, wallet

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")

pytestmark = [
    pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine: apt-get install chromium"),
    pytest.mark.skipif(DRIVER is None, reason="no chromedriver on this machine: apt-get install chromium-driver"),
]

Driver = Any


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with pages and a picture, as an artifact of a run that was unpacked."""
    directory = tmp_path_factory.mktemp("artifact of a run")
    for name, test, scenario in (("plain", wallet, DEAD_LETTER), ("hostile", log, HOSTILE), ("long", log, LONG)):
        repro = saved(test, scenario, directory / "repros")
        outputs = ("--html", directory / f"{name}.html", "--svg", directory / f"{name}.svg")
        assert show(repro, *outputs).exit_code == 0
        repro.unlink()
    return directory


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    """A browser with a profile of its own, that tells what it logs and asks the network for."""
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER or ""
    profile = tmp_path_factory.mktemp("profile")
    arguments = ["headless=new", "disable-background-networking", "disable-component-update", "no-first-run"]
    if os.name == "posix" and os.getuid() == 0:  # Chromium's sandbox does not start as root
        arguments.append("no-sandbox")
    for argument in [*arguments, "disable-dev-shm-usage", f"user-data-dir={profile}"]:
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    found = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield found
    found.quit()


def opened(driver: Driver, path: Path, *, width: int = 1200, scheme: str = "light") -> None:
    """Load it from its file, with an empty log."""
    driver.get("about:blank")
    for kind in ("browser", "performance"):
        driver.get_log(kind)
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    driver.get(path.as_uri())


def requested(driver: Driver) -> set[str]:
    """The addresses that the page asked for."""
    events = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    return {e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"}


@pytest.mark.parametrize("name", ["plain.html", "hostile.html", "long.html", "plain.svg", "hostile.svg", "long.svg"])
def test_it_opens_from_a_file_and_asks_for_nothing_else(driver: Driver, pages: Path, name: str) -> None:
    """No message in the console, such as of a refused style or script, and one request: for the file itself."""
    opened(driver, pages / name)
    assert driver.get_log("browser") == []
    assert requested(driver) == {(pages / name).as_uri()}
    assert driver.execute_script("return document.querySelectorAll('parsererror, img').length") == 0


def test_a_script_in_the_page_that_is_not_ours_does_not_run(driver: Driver, pages: Path) -> None:
    """The near miss of the claim above: the browser refuses it and says so."""
    text = (pages / "plain.html").read_text(encoding="utf-8")
    (pages / "other.html").write_text(text.replace("</main>", "<script>document.title = 'ran'</script></main>"))
    opened(driver, pages / "other.html")
    assert driver.title.startswith("test_wallet does not survive")
    assert len(driver.get_log("browser")) == 1


def focused(driver: Driver) -> str:
    return str(driver.execute_script("return document.activeElement.id || document.activeElement.className"))


def press(driver: Driver, *keys: str) -> None:
    for key in keys:
        driver.switch_to.active_element.send_keys(key)


def test_the_first_key_leads_past_the_contents(driver: Driver, pages: Path) -> None:
    """The skip link is the first stop, is seen when it has the focus, and leads to the report."""
    opened(driver, pages / "plain.html")
    skip = driver.find_element(By.CLASS_NAME, "skip")
    assert skip.rect["y"] < 0
    press(driver, Keys.TAB)
    assert focused(driver) == "skip"
    assert skip.rect["y"] >= 0
    press(driver, Keys.ENTER)
    assert focused(driver) == "report"


def test_keys_step_through_the_delivery(driver: Driver, pages: Path) -> None:
    """Tab comes to the steps; arrows, Home and End go through them and no further; the picture follows."""
    opened(driver, pages / "plain.html")
    for _ in range(40):
        press(driver, Keys.TAB)
        if focused(driver) == "step-1":
            break
    seen = [focused(driver)]
    for key in (Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ARROW_UP, Keys.END, Keys.ARROW_DOWN, Keys.HOME, Keys.ARROW_UP):
        press(driver, key)
        seen.append(focused(driver))
    assert seen == [f"step-{number}" for number in (1, 2, 3, 2, 4, 4, 1, 1)]
    outline = driver.execute_script("return getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    here = "return [...document.querySelectorAll('g.here')].map(g => g.dataset.step)"
    assert driver.execute_script(here) == ["1"]


def test_every_step_and_link_is_reached_with_tab_alone(driver: Driver, pages: Path) -> None:
    """Nothing keeps the focus, and what has it is on the screen."""
    opened(driver, pages / "plain.html")
    wanted = set(driver.execute_script("return [...document.querySelectorAll('tr[data-step]')].map(row => row.id)"))
    for _ in range(60):
        press(driver, Keys.TAB)
        wanted.discard(focused(driver))
        box = "const r = document.activeElement.getBoundingClientRect(); return r.bottom > 0 && r.top < innerHeight"
        assert driver.execute_script(box), focused(driver)
    assert wanted == set()


@pytest.mark.parametrize(("scheme", "darker"), [("light", False), ("dark", True)])
def test_it_follows_the_readers_scheme(driver: Driver, pages: Path, scheme: str, darker: bool) -> None:
    """Dark paper and light letters in the dark, in the page and in the picture."""
    for name, element in (("plain.html", "body"), ("plain.svg", "svg")):
        opened(driver, pages / name, scheme=scheme)
        paper = driver.execute_script(
            "return getComputedStyle(document.querySelector(arguments[0])).getPropertyValue('--paper').trim()", element
        )
        assert (int(paper[1:3], 16) < 128) == darker
    opened(driver, pages / "plain.html", scheme=scheme)
    ink = "return getComputedStyle(document.querySelector('h1')).color.match(/\\d+/g).map(Number)[0]"
    assert (driver.execute_script(ink) > 128) == darker


@pytest.mark.parametrize("name", ["plain.html", "hostile.html", "long.html"])
@pytest.mark.parametrize("width", [360, 800, 1600])
def test_the_page_never_scrolls_sideways(driver: Driver, pages: Path, name: str, width: int) -> None:
    """What is wide scrolls within its own box."""
    opened(driver, pages / name, width=width)
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width


def test_the_first_difference_is_seen(driver: Driver, pages: Path) -> None:
    """It is shown without a touch, with a colour and with words, beside what the state is in order."""
    opened(driver, pages / "plain.html")
    (flag,) = driver.find_elements(By.CLASS_NAME, "flag")
    assert flag.is_displayed()
    assert flag.text == "first difference"
    row = flag.find_element(By.XPATH, "./ancestor::tr")
    assert row.get_attribute("id") == "step-4"
    assert "{'alice': 0}" in row.text
    assert "{'alice': 1}" in row.text


def test_everything_is_there_without_the_script(driver: Driver, pages: Path) -> None:
    """A page without scripts says the same."""
    opened(driver, pages / "plain.html")
    with_script = driver.find_element(By.TAG_NAME, "body").text
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    opened(driver, pages / "plain.html")
    without = driver.find_element(By.TAG_NAME, "body").text
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert without == with_script


def test_on_paper_nothing_is_cut_off(driver: Driver, pages: Path) -> None:
    """Printed, the page has its sections without contents, and light paper also in the dark."""
    opened(driver, pages / "plain.html", scheme="dark")
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert not driver.find_element(By.TAG_NAME, "nav").is_displayed()
    paper = "return getComputedStyle(document.body).getPropertyValue('--paper').trim()"
    assert int(driver.execute_script(paper)[1:3], 16) > 128
    boxes = (
        "return [...document.querySelectorAll('.scroll')].every(box => getComputedStyle(box).overflowX === 'visible')"
    )
    assert driver.execute_script(boxes)
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
