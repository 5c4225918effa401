"""What goes wrong around a job: nothing that was found is lost, and each case ends in a sentence."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fuzz.jobs import (
    COUNTS_TWICE,
    came_to,
    end_started,
    few,
    fuzz,
    handler_test,
    let_children_be_interrupted,
    project,
    row,
    small,
    start,
    stop,
    until,
)
from fuzz.servers import valkey
from plugin.projects import LONELY, Project, environment

KILLS: list[Callable[[int, int], None]] = [os.kill, os.killpg]


@pytest.mark.parametrize("kill", KILLS, ids=["the job", "its whole group, as Ctrl-C does"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_job_that_is_stopped_says_what_it_has_found(
    tmp_path: Path, kill: Callable[[int, int], None], number: signal.Signals
) -> None:
    """The summary, the command that replays, and an exit code that says that something was found."""
    shop = project(tmp_path / "shop", wrong=COUNTS_TWICE)
    job = start(shop, "--seed=1", "-n2")
    until(job, "chaoskit replay")
    code, said = stop(job, kill, number)
    assert code == 1, said
    assert "and was stopped" in said
    assert said.rstrip().splitlines()[-1].startswith("To replay: chaoskit replay "), said
    assert all(path.name in said for path in shop.repros if not path.name.endswith(".as-met.json"))
    assert "Traceback" not in said


def test_a_job_that_ignores_ctrl_c_says_how_it_is_stopped_and_is(tmp_path: Path) -> None:
    """As one does that nohup, or a script in its background, has started."""
    shop = project(tmp_path / "shop", wrong=COUNTS_TWICE)
    job = start(shop, "--seed=1", "-n2", ignores=[signal.SIGINT])
    before = until(job, "chaoskit replay")
    assert f"until you stop it (kill {job.pid})" in before
    assert "Ctrl-C does nothing here" in before
    code, said = stop(job, os.kill, signal.SIGTERM)
    assert code == 1, said
    assert "and was stopped" in said
    assert said.rstrip().splitlines()[-1].startswith("To replay: chaoskit replay "), said


def test_what_a_test_has_started_ends_with_it_and_its_children_can_be_interrupted(tmp_path: Path) -> None:
    """Whatever started the suite: who ignores SIGINT hands that on to all its children."""
    job = start(project(tmp_path / "shop", right="pass"), "-n1")
    end_started()
    assert job.returncode == -signal.SIGKILL
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        let_children_be_interrupted()
        asked = "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
        reported = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, timeout=60, check=True)
    finally:
        signal.signal(signal.SIGINT, before)
    assert reported.stdout == "True\n"


def test_a_job_that_is_killed_has_written_and_printed_what_it_found(tmp_path: Path) -> None:
    """Nobody can say goodbye to SIGKILL."""
    shop = project(tmp_path / "shop", wrong=COUNTS_TWICE)
    job = start(shop, "--seed=1", "-n2")
    said = until(job, "chaoskit replay")
    assert stop(job, os.killpg, signal.SIGKILL)[0] == -signal.SIGKILL
    assert "FOUND test_wrong does not survive " in said
    assert shop.repros
    assert shop.chaoskit("replay", ".chaoskit").code == 1


def test_what_was_met_is_there_even_before_it_is_minimal(tmp_path: Path) -> None:
    """A slow handler takes long to be made small. Killed meanwhile, the failure is there as it was met; the next run
    begins with it and makes it minimal, and whoever repairs the handler sees it fixed."""
    slow = "time.sleep(0.3 if os.path.exists('met') else 0); open('met', 'w').close(); " + COUNTS_TWICE
    shop = project(tmp_path / "shop", slow=slow)
    job = start(shop, "--seed=1", "-n1")
    patience = time.monotonic() + 120
    while not (met := list((shop.root / ".chaoskit").glob("*.as-met.json"))):
        assert job.poll() is None, job.communicate()
        assert time.monotonic() < patience
        time.sleep(0.02)
    stop(job, os.killpg, signal.SIGKILL)
    (left,) = met
    shutil.rmtree(shop.root / "__pycache__", ignore_errors=True)
    shop.write("test_slow.py", handler_test("slow", COUNTS_TWICE))
    again = shop.pytest("--chaos-seed=1")
    assert again.code == 1
    assert f"a run that was stopped had met a failure: .chaoskit/{left.name} was tried first" in again.out
    assert "(1 event, 1 fault, minimal)" in again.out
    assert not left.exists()
    shop.write("test_slow.py", handler_test("slow"))
    assert shop.chaoskit("replay", ".chaoskit").out.startswith("FIXED")


def test_a_handler_that_ends_its_process_is_found_with_the_step_at_which_it_did(tmp_path: Path) -> None:
    """The worker is gone, the schedule is not; the other test is searched to the end; a replay does not die of it."""
    shop = project(tmp_path / "shop", dies="os._exit(7)", right="pass")
    ran = fuzz(shop, "--time=4s", "--seed=1", "-n2", enough=came_to(dies="FAILED", right="held"))
    assert ran.code == 1, ran.text
    assert "the process died in the handler at step " in ran.out
    assert "(exit code 7)" in ran.out
    assert "Played once more in a process of its own, it died again" in ran.out
    assert "test_dies: it was not searched any further, since it takes its worker with it" in ran.out
    assert row(ran, "test_dies")[0] == "FAILED"
    assert row(ran, "test_right")[0] == "held"
    replayed = shop.chaoskit("replay", str(shop.repros[0].relative_to(shop.root)))
    assert replayed.code == 1, replayed.text
    assert replayed.out.startswith("STILL FAILS")
    assert "(exit code 7)" in replayed.out
    assert shop.pytest("test_dies.py").out.count("the process died in the handler") >= 1
    shop.write("test_dies.py", handler_test("dies"))
    assert shop.chaoskit("replay", ".chaoskit").code == 0


def test_a_handler_that_ends_its_process_in_order_already_is_an_error(tmp_path: Path) -> None:
    source = handler_test("dies").replace("        seen.add", "        os._exit(3)\n        seen.add")
    ran = fuzz(Project.at(tmp_path / "shop", test_dies=source), "-n1")
    assert ran.code == 1, ran.text
    assert row(ran, "test_dies")[0] == "ERROR"
    assert "died in the handler without any fault" in ran.out


def test_a_worker_that_somebody_kills_is_no_failure_of_the_handler(tmp_path: Path) -> None:
    """Out of memory, or by hand: played again the process lives, so it is told and not blamed on the handler."""
    once = "os.path.exists('killed') or (open('killed', 'w').close(), os.kill(os.getpid(), 9))"
    source = handler_test("right").replace("        seen.add", f"        {once}\n        seen.add")
    shop = Project.at(tmp_path / "shop", test_right=few(source))
    ran = fuzz(shop, "-n2")
    assert ran.code == 0, ran.text
    assert "note  test_right.py::test_right: the process that ran it died" in ran.out
    assert row(ran, "test_right")[0] == "held"
    assert shop.repros == []


def test_tests_that_die_cost_no_other_test_its_time(tmp_path: Path) -> None:
    """Five of them on one worker, which is replaced each time; the one behind them is searched."""
    shop = small(tmp_path / "shop", **{f"a{i}": "os._exit(7)" for i in range(5)}, z="pass")
    ran = fuzz(shop, "--seed=1", "-n1")
    assert ran.code == 1, ran.text
    assert [row(ran, f"test_a{i}")[0] for i in range(5)] == ["FAILED"] * 5
    assert row(ran, "test_z")[0] == "held"


def test_what_dies_outside_of_a_run_is_not_held_against_a_schedule_and_is_no_success(tmp_path: Path) -> None:
    """A fixture that ends the process when it is torn down: nobody can say that the test holds."""
    dying = "@pytest.fixture(autouse=True)\ndef gone():\n    yield\n    os._exit(9)\n\n"
    source = handler_test("right").replace("def make", dying + "def make")
    ran = fuzz(Project.at(tmp_path / "shop", test_right=source), "--time=6s", "-n1", enough=came_to(right="ERROR"))
    assert ran.code == 1, ran.text
    assert "the process that ran it died, and what it was at is not known" in ran.out
    assert row(ran, "test_right")[0] == "ERROR"


def test_code_that_never_comes_back_to_python_ends_its_worker_and_not_the_job(tmp_path: Path) -> None:
    """Nothing can be raised there: after twice the limit the process goes, and the job does not."""
    shop = small(tmp_path / "shop", stuck="sum(range(10**15))", right="pass")
    ran = fuzz(shop, "--seed=1", "--limit=1s", "-n2")
    assert ran.code == 1, ran.text
    assert row(ran, "test_right")[0] == "held"
    assert "test_stuck: the process that ran it died" in ran.out or row(ran, "test_stuck")[0] == "FAILED"


def test_workers_that_die_at_once_are_not_replaced_for_ever(tmp_path: Path) -> None:
    shop = project(tmp_path / "shop", right="pass")
    shop.write("conftest.py", "import os\nif 'PYTEST_XDIST_WORKER' in os.environ:\n    os._exit(5)\n")
    ran = fuzz(shop, "-n1")
    assert ran.code == 2, ran.text
    assert "its workers die before they have collected a test" in ran.out


DEAF = """while True:
    try:
        time.sleep(0.01)
        raise ValueError("there is one already")
    except:
        pass"""


def test_a_handler_that_hangs_is_found_with_the_step_at_which_it_does(tmp_path: Path) -> None:
    """One that waits for ever for what it has seen already is shrunk to one event that comes twice, also one that
    swallows whatever it is told; and the job goes on."""
    deaf = DEAF.replace("\n", "\n            ")
    shop = small(tmp_path / "shop", hangs="time.sleep(1000)", deaf=deaf, right="pass")
    ran = fuzz(shop, "--seed=1", "--limit=1s", "-n2")
    assert ran.code == 1, ran.text
    assert ran.out.count("the handler did not return within 1 s: step ") >= 2
    assert ran.out.count("(1 event, 1 fault, minimal)") >= 2
    assert came_to(hangs="FAILED", deaf="FAILED", right="held")(ran)
    assert "died" not in ran.out


def test_without_a_place_to_save_the_failure_is_printed_with_the_reason(tmp_path: Path) -> None:
    """A file stands where the directory should be, as on a disk that is read-only."""
    shop = small(tmp_path / "shop", wrong=COUNTS_TWICE)
    shop.write(".chaoskit", "in the way")
    ran = fuzz(shop, "--seed=1", "-n1")
    assert ran.code == 1, ran.text
    ran.assert_in_order("FOUND test_wrong", "What differs", "Replay\n  no repro file: ", "cannot be written: ")
    assert "To replay" not in ran.out


FULL = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
"""


def test_on_a_full_disk_nothing_is_left_half_written(tmp_path: Path) -> None:
    """No file may grow any more: the failure is printed, and no part of a file is there to be read later."""
    shop = project(tmp_path / "shop", wrong=COUNTS_TWICE)
    source = (shop.root / "test_wrong.py").read_text()
    shop.write("test_wrong.py", source.replace("import os, time\n", "import os, time\n" + FULL))
    ran = shop.pytest("--chaos-seed=1", "-p", "no:cacheprovider", env={"PYTHONDONTWRITEBYTECODE": "1"})
    assert ran.code == 1, ran.text
    ran.assert_in_order("What differs", "Replay\n  no repro file: ", "cannot be written: File too large")
    assert shop.repros == []


def test_two_jobs_in_one_directory_do_each_other_no_harm(tmp_path: Path) -> None:
    """Each says what it found; a failure that both find is one whole file."""
    shop = small(tmp_path / "shop", "Duplicate, Redeliver", wrong=COUNTS_TWICE)
    jobs = [start(shop, "--seed=1", "-n1") for _ in range(2)]
    said = [job.communicate(timeout=100)[0] for job in jobs]
    assert [job.returncode for job in jobs] == [1, 1], said
    assert all("FOUND" in text and "Traceback" not in text for text in said)
    assert all(json.loads(path.read_text())["format"] == 1 for path in shop.repros)
    assert not [path.name for path in shop.repros if not path.name.endswith(".json")]


def test_a_clock_that_jumps_changes_nothing(tmp_path: Path) -> None:
    """The time of day goes back and forth under the tests, and a handler stops the clock that never jumps: what is
    measured is that clock as it was before."""
    source = handler_test("right", "time.monotonic = lambda: 7.0") + "\ntime.time = iter([0, 9e9] * 10**6).__next__\n"
    ran = fuzz(Project.at(tmp_path / "shop", test_right=source), "--time=3s", "-n1")
    assert ran.code == 0, ran.text
    assert row(ran, "test_right")[0] == "held"


def test_redis_that_goes_away_in_the_middle_costs_no_failure_and_is_told(tmp_path: Path) -> None:
    """The server dies after the first failure: what is found behind it is printed and saved all the same."""
    shop = small(tmp_path / "shop", "Duplicate, Redeliver, Zombie", wrong=COUNTS_TWICE)
    (tmp_path / "data").mkdir()
    with valkey(tmp_path / "data") as server:
        job = start(shop, "--seed=1", "-n1", f"--corpus={server.url}")
        before = until(job, "chaoskit replay")
        server.stop()
        after, _ = job.communicate(timeout=100)
    assert job.returncode == 1, after
    assert "the shared corpus does not answer; going on without it: ConnectionError" in after
    assert before.count("FOUND") == 1
    assert after.count("FOUND") == len(shop.repros) - 1 > 0
    assert "Traceback" not in before + after


def test_a_worker_that_pytest_cannot_start_ends_the_job_with_a_reason(tmp_path: Path) -> None:
    """A conftest that raises is the user's, and is shown."""
    shop = project(tmp_path / "shop", right="pass")
    shop.write("conftest.py", "raise RuntimeError('no database here')\n")
    ran = subprocess.run(
        [sys.executable, "-m", "chaoskit", "fuzz", *LONELY, "--time=2s", "-n1"],
        cwd=shop.root, env=environment(), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ran.returncode == 2, ran.stdout + ran.stderr
    assert "no database here" in ran.stdout + ran.stderr
