"""Failures that an ordinary run shares with other machines."""

from __future__ import annotations

from contextlib import suppress

import attrs
import pytest
from hypothesis.database import DirectoryBasedExampleDatabase, InMemoryExampleDatabase

from chaoskit.pytest.saved import SavedRepros
from chaoskit.repro.corpus import Corpus, database_of
from chaoskit.repro.write import document, text_of
from chaoskit.search.oracle import Subject
from chaoskit.values.errors import CodecError
from chaoskit.values.verdict import Verdict

_CORPUS: pytest.StashKey[Corpus | None] = pytest.StashKey()


def shared_corpus(config: pytest.Config) -> Corpus | None:
    """Where an ordinary run shares failures: in --chaos-corpus, or in the database of Hypothesis' profile, unless that
    is a directory of this machine, which has .chaoskit/."""
    if _CORPUS not in config.stash:
        place = config.getoption("chaos_corpus")
        database = database_of(place, config.rootpath)
        # What is on this machine only would share nothing that the repro files have not got.
        here = place is None and isinstance(database, (DirectoryBasedExampleDatabase, InMemoryExampleDatabase))
        config.stash[_CORPUS] = None if database is None or here else Corpus(database)
    return config.stash[_CORPUS]


def shared_failure(config: pytest.Config, repros: SavedRepros, subject: Subject) -> Verdict | None:
    """One that another machine has found, and that still fails here."""
    corpus = shared_corpus(config)
    if corpus is None:
        return None
    for repro, text in corpus.failures(repros.test):
        answer = repros.play(repro, subject, text)
        if answer.failure is not None:
            repros.notes.append("another machine found this, and the shared corpus had it; nothing was searched")
            return answer.failure
        if answer.became == "CANNOT REPLAY":
            corpus.leave_out(answer.reason)
        if answer.is_settled:
            corpus.drop(repros.test, text)
    repros.notes += corpus.take_notes()
    return None


def share(config: pytest.Config, verdict: Verdict, test: str, notes: list[str]) -> None:
    corpus = shared_corpus(config)
    if corpus is not None:
        with suppress(CodecError):  # SavedRepros.save says so
            corpus.add(test, text_of(document(attrs.evolve(verdict, test=test))))
        notes += corpus.take_notes()
