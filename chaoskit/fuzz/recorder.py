"""What a worker is at, in a file that outlives it: where the process dies in the handler, the schedule is known."""

from __future__ import annotations

import json
import mmap
from collections.abc import Hashable
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from chaoskit.execution.script import Script
from chaoskit.repro.converter import CONVERTER
from chaoskit.repro.values import FORMAT, encode_broker, encode_event, versions
from chaoskit.values.errors import CodecError
from chaoskit.values.faults import Fault
from chaoskit.values.invariant import DIED
from chaoskit.values.scenario import Broker, Model

SIZE = 1 << 20
_PLACE = 8
"""Bytes before the text: its length."""


class Recorder:
    """Writes the stream once, and the faults of each run before it begins. Memory that is mapped to a file needs no
    system call, and stays when the process dies."""

    test = ""
    broker: Broker | None = None

    def __init__(self, path: Path) -> None:
        with path.open("wb") as file:
            file.truncate(SIZE)
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), SIZE)
        self._model: Model | None = None
        self._start = b""

    def begins(self, script: Script) -> None:
        model = script.mailbox.model
        # Some fifty schedules have one stream: it is written once.
        if model is not self._model:
            self._model = model
            self._start = self._stream(model, script.mailbox.epoch)
        faults = "null" if script.faults is None else f"[{','.join(_text(cast(Hashable, f)) for f in script.faults)}]"
        self._write(self._start + faults.encode() + b"}")

    def ends(self) -> None:
        """What dies after this did not die in a run."""
        self._map[:_PLACE] = bytes(_PLACE)

    def _stream(self, model: Model, epoch: float) -> bytes:
        try:
            events = [encode_event(event) for event in model.stream.events]
        # A value without an encoding cannot be replayed; the search itself says so where it matters.
        except CodecError:
            return b""
        assert self.broker is not None
        nothing: dict[str, Any] = {"schedule": [], "expected": None, "observed": None, "versions": versions()}
        violations = [{"invariant": DIED, "message": "the process died in the handler"}]
        broker = encode_broker(self.broker)
        head = {"format": FORMAT, "test": self.test, "broker": broker, "events": events, "epoch": epoch}
        return json.dumps({**head, **nothing, "violations": violations})[:-1].encode() + b', "faults": '

    def _write(self, text: bytes) -> None:
        # Rather nothing than a part, which would be another scenario.
        if len(text) + _PLACE > SIZE or not self._start:
            text = b""
        self._map[:_PLACE] = bytes(_PLACE)  # nothing, while it is being written
        self._map[_PLACE : _PLACE + len(text)] = text
        self._map[:_PLACE] = len(text).to_bytes(_PLACE, "big")  # last: what is there now is whole


@lru_cache(maxsize=1 << 14)
def _text(fault: Hashable) -> str:
    return json.dumps(CONVERTER.unstructure(fault, Fault))


def last_run(path: Path) -> dict[str, Any] | None:
    """What was written last: a repro document without steps, whose "faults" are None for in-order delivery. None if
    that is not known."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    length = int.from_bytes(content[:_PLACE], "big")
    if not length:
        return None
    found: dict[str, Any] = json.loads(content[_PLACE : _PLACE + length])
    return found
