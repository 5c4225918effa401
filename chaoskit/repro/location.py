"""The file of the test that a repro file names: where it lies, and whether it may be run."""

from __future__ import annotations

from pathlib import Path

_CONFIGS = ("pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg")


def root_of(test: str, directory: Path) -> Path:
    """The directory from which this test is named: the nearest one from `directory` upwards that has its file, but
    not above the repository."""
    above = [directory, *directory.parents]
    # The file names a path: above the repository it might be somebody else's test.
    end = next((d for d in above if (d / ".git").exists()), None)
    end = end or next((d for d in above if any((d / name).exists() for name in _CONFIGS)), directory)
    inside = above[: above.index(end) + 1]
    file = test.partition("::")[0]
    return next((d for d in inside if file and (d / file).is_file()), end)


def outside(test: str, root: Path) -> str | None:
    """Why the file of this test may not be run from `root`; None if it may."""
    if not test:
        return "it names no test: the scenario was found by check() with a function that has no place in a file"
    # Resolved: `../` and links lead out of a repository, too.
    file = (root / test.partition("::")[0]).resolve()
    if not file.is_relative_to(root.resolve()):
        return f"its test {test!r} lies outside {root}"
    if not file.is_file():
        return f"its test is in {test.partition('::')[0]}, which is not below {root}"
    return None
