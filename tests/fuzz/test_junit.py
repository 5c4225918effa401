"""The file that a job writes for --junitxml."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from fuzz.jobs import COUNTS_TWICE, fuzz, small
from fuzz.test_job import UNKNOWN
from plugin.projects import HEAD, Project, Ran

BROKEN = """
@chaos(PAYMENTS)
def test_broken(deliver):
    raise RuntimeError("no database")

@pytest.mark.skip(reason="not on this machine")
@chaos(PAYMENTS)
def test_elsewhere(deliver):
    return 0
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Ran, list[ElementTree.Element]]:
    """A job of several slices a test, on two workers: one that counts twice, one that does not, one that has shown
    nothing, one that may show nothing, a broken one, a skipped one, and a file that cannot be imported."""
    shop = small(tmp_path_factory.mktemp("junit") / "shop", "Duplicate, Redeliver", wrong=COUNTS_TWICE, right="pass")
    shop.write("test_unknown.py", HEAD + UNKNOWN)
    shop.write("test_broken.py", HEAD + BROKEN)
    shop.write("test_import.py", "import nothing_of_this_name\n")
    ran = fuzz(shop, "--time=3s", "--seed=1", "-n2", "--continue-on-collection-errors", "--junitxml=out/junit.xml")
    return shop, ran, list(ElementTree.parse(shop.root / "out/junit.xml").iter("testcase"))


def case(written: tuple[Project, Ran, list[ElementTree.Element]], name: str) -> ElementTree.Element:
    (found,) = [case for case in written[2] if case.get("name") == name]
    return found


def test_junit_has_one_case_a_test(written: tuple[Project, Ran, list[ElementTree.Element]]) -> None:
    """However many slices it had, on however many workers."""
    names = sorted(str(case.get("name")) for case in written[2])
    tests = ["broken", "elsewhere", "import", "known_to_be_so", "nothing_to_see", "right", "wrong"]
    assert names == [f"test_{name}" for name in tests], written[1].text
    (suite,) = ElementTree.parse(written[0].root / "out/junit.xml").iter("testsuite")
    assert {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "7",
        "failures": "3",
        "errors": "1",
        "skipped": "2",
    }
    assert float(str(case(written, "test_right").get("time"))) > 0


def test_its_text_is_the_report_and_no_source_of_ours(written: tuple[Project, Ran, list[ElementTree.Element]]) -> None:
    """All failures of the test, each as it is printed, and their repro files as properties."""
    wrong = case(written, "test_wrong")
    (failure,) = wrong.iter("failure")
    text, message = str(failure.text), str(failure.get("message"))
    assert message.startswith("test_wrong does not survive ")
    assert text.count("What differs") == text.count("\nReplay\n") == message.count("does not survive") >= 1
    assert "site-packages" not in text
    assert "ChaosFailure" not in text
    files = [str(each.get("value")) for each in wrong.iter("property") if each.get("name") == "chaoskit-repro"]
    assert sorted(files) == [f".chaoskit/{path.name}" for path in written[0].repros]


def test_it_says_of_the_others_what_the_summary_says(written: tuple[Project, Ran, list[ElementTree.Element]]) -> None:
    """Unknown and broken are failures with their reasons; what may show nothing is skipped."""
    output = {
        name: next(case(written, f"test_{name}").iter("failure")).get("message")
        for name in ("nothing_to_see", "broken")
    }
    assert "unknown: " in str(output["nothing_to_see"])
    assert "RuntimeError: no database" in str(output["broken"])
    skipped = {
        name: next(case(written, f"test_{name}").iter("skipped")).get("message")
        for name in ("known_to_be_so", "elsewhere")
    }
    assert "one lane" in str(skipped["known_to_be_so"])
    assert skipped["elsewhere"] == "not on this machine"
    assert "nothing_of_this_name" in str(next(case(written, "test_import").iter("error")).text)
    shown = [each.get("value") for each in case(written, "test_right").iter("property")]
    assert len(shown) == 1
    assert "schedules" in str(shown[0])
