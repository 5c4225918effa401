"""The main job from end to end, with the real commands: find, explain, save, replay, repair, replay.

Works in a temporary copy of this directory. Exits with 0 if everything went as told here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
SEED = "7"


def say(text: str) -> None:
    bold, plain = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")
    print(f"\n{bold}=== {text}{plain}\n", flush=True)


def run(directory: Path, *command: str) -> int:
    print(f"$ {' '.join(command)}", flush=True)
    python = [sys.executable, "-m", *command]
    environment = {**os.environ, "PYTEST_ADDOPTS": "", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(python, cwd=directory, env=environment, check=False).returncode


def expect(code: int, wanted: int, what: str) -> None:
    if code != wanted:
        raise SystemExit(f"the demo went wrong: {what}, exit code {code} instead of {wanted}")


def demo(directory: Path) -> None:
    test = ["pytest", "-q", "-p", "no:cacheprovider", f"--chaos-seed={SEED}", "test_wallet.py"]

    say("1. A wallet service that remembers event ids, so that nothing is booked twice. Is that enough on Kafka?")
    expect(run(directory, *test, "--chaos-repair"), 1, "the bug was not found")

    (saved,) = (directory / ".chaoskit").glob("*.json")
    say("2. The failure as a file: literal, readable, commit it")
    print("\n".join(saved.read_text(encoding="utf-8").splitlines()[:3]), "\n  …", flush=True)
    print(f"  ({len(saved.read_text(encoding='utf-8').splitlines())} lines in {saved.relative_to(directory)})")

    say("3. It fails until the handler is right")
    expect(run(directory, "chaoskit", "replay", ".chaoskit"), 1, "the replay did not fail")

    say("4. The repair that held: book the events of an account in the order of their seq (wallet_repaired.py)")
    shutil.copy(directory / "wallet_repaired.py", directory / "wallet.py")
    expect(run(directory, "chaoskit", "replay", ".chaoskit"), 0, "the replay did not say FIXED")

    say("5. And the search finds nothing any more")
    expect(run(directory, *test), 0, "the repaired handler was flagged")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="chaoskit-demo-") as temporary:
        copy = Path(temporary) / "wallet"
        shutil.copytree(HERE, copy, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        (copy / "pytest.ini").write_text("[pytest]\npythonpath = .\n", encoding="utf-8")
        demo(copy)
