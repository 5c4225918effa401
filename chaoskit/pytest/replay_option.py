"""--chaos-replay: only the tests that the given repro files name are collected, and these files are played."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaoskit.pytest.replay import NOT_COLLECTED, Sink
from chaoskit.pytest.saved import SavedRepros
from chaoskit.repro.location import outside
from chaoskit.repro.read import Repro, read
from chaoskit.search.oracle import Subject
from chaoskit.values.errors import ReproError
from chaoskit.values.names import from_here
from chaoskit.values.texts import in_line
from chaoskit.values.verdict import Verdict

_REPLAYS: pytest.StashKey[list[Repro]] = pytest.StashKey()


def is_replay(config: pytest.Config) -> bool:
    """Whether saved files are played instead of a search."""
    return _REPLAYS in config.stash


def sinks(config: pytest.Config) -> list[Sink]:
    """Who waits for the answers: `chaoskit replay`, if it runs this pytest."""
    return [plugin for plugin in config.pluginmanager.get_plugins() if isinstance(plugin, Sink)]


def prepare_replay(config: pytest.Config) -> None:
    """Read the files before anything is collected, and collect only the files of their tests."""
    repros = []
    for given in config.getoption("chaos_replay"):
        path = config.invocation_params.dir / given
        files = sorted(path.glob("*.json")) if path.is_dir() else [path]
        if not files:
            raise pytest.UsageError(f"--chaos-replay {given}: no repro file in this directory")
        for file in files:
            try:
                repro = read(file)
            except ReproError as error:
                raise pytest.UsageError(f"--chaos-replay {in_line(str(file))}: {error}") from None
            if why := outside(repro.test, config.rootpath):
                raise pytest.UsageError(f"--chaos-replay {in_line(str(file))}: {in_line(why)}")
            repros.append(repro)
    config.stash[_REPLAYS] = repros
    # Whoever names files means those; else it must not depend on where pytest was started.
    if config.args_source != pytest.Config.ArgsSource.ARGS:
        config.args = _collected_here(config)


def _collected_here(config: pytest.Config) -> list[str]:
    """What pytest collects where it is called from rootdir without arguments."""
    found = [path for given in config.getini("testpaths") for path in sorted(config.rootpath.glob(given))]
    return [str(path) for path in found or [config.rootpath]]


def is_not_replayed(config: pytest.Config, path: Path) -> bool:
    """Whether nothing in this file or directory is replayed, so that it is not even imported. A file that is replayed
    is not named to pytest either: a stranger's repro file may name any, and pytest imports whatever is named to it."""
    wanted = [config.rootpath / repro.test.partition("::")[0] for repro in config.stash[_REPLAYS]]
    return not any(file == path or file.is_relative_to(path) for file in wanted)


def select_replayed(config: pytest.Config, items: list[pytest.Item]) -> None:
    wanted = {repro.test for repro in config.stash[_REPLAYS]}
    chosen = [item for item in items if item.nodeid in wanted and hasattr(getattr(item, "obj", None), "chaos_options")]
    missing = sorted(wanted - {item.nodeid for item in chosen})
    if missing and not sinks(config):
        raise pytest.UsageError(f"--chaos-replay: {NOT_COLLECTED.format(test=missing[0])}")
    deselected = [item for item in items if item not in chosen]
    if deselected:
        config.hook.pytest_deselected(items=deselected)
    # In place, as pytest goes on with the list that it gave.
    items[:] = chosen


def replayed(config: pytest.Config, repros: SavedRepros, subject: Subject) -> Verdict:
    """The answers for the files of this test go to the notes; the first failure is the verdict. Raises ReproError."""
    failed: Verdict | None = None
    cannot: list[str] = []
    for repro in config.stash[_REPLAYS]:
        if repro.test != repros.test:
            continue
        answer = repros.play(repro, subject)
        for sink in sinks(config):
            sink.answers.append(answer)
        why = f" ({answer.reason})" if answer.reason else ""
        repros.notes.append(f"{answer.became} {from_here(repro.path)}{why}")
        if answer.became == "CANNOT REPLAY":
            cannot.append(f"{from_here(repro.path)}: {answer.reason}")
        elif failed is None and answer.verdict is not None and answer.verdict.status == "violated":
            failed = answer.verdict
    if failed is None and cannot:
        raise ReproError("cannot replay " + "; ".join(cannot))
    return failed or Verdict("held", notes=REPLAYED, test=repros.test)


REPLAYED = ("replayed",)
"""The notes of a verdict that holds since no file that was played fails any more."""
