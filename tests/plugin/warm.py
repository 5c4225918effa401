"""`python -m module` in a process that is forked from one that has imported what it needs.

To import pytest, Hypothesis and chaoskit is two thirds of what a run of a small project costs, and there are hundreds
of them. Nothing has run in the process that is forked: it has only imported.
"""

from __future__ import annotations

import atexit
import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryFile

MOST = 1 << 17
"""Bytes of a request, which is a message of its own."""
SECONDS = 240


def can_fork() -> bool:
    return hasattr(os, "fork") and hasattr(socket, "SOCK_SEQPACKET") and sys.platform == "linux"


class Server:
    """The process that has imported everything, in this environment."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.pid = os.getpid()
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(SECONDS)
        with theirs:
            command = [sys.executable, str(Path(__file__)), str(theirs.fileno())]
            self.process = subprocess.Popen(command, env=dict(env), pass_fds=[theirs.fileno()])
        atexit.register(self.stop)

    def run(self, module: str, arguments: Sequence[str], cwd: Path, env: Mapping[str, str]) -> tuple[int, str, str]:
        """Its exit code, and what it wrote."""
        request = json.dumps({"argv": [module, *arguments], "cwd": str(cwd), "env": dict(env)}).encode()
        with TemporaryFile() as out, TemporaryFile() as err:
            socket.send_fds(self.socket, [request], [out.fileno(), err.fileno()])
            code = int(self.socket.recv(MOST))
            texts = []
            for file in (out, err):
                file.seek(0)
                texts.append(file.read().decode("utf-8").replace("\r\n", "\n"))
            return code, texts[0], texts[1]

    def stop(self) -> None:
        if os.getpid() == self.pid:
            self.socket.close()
            self.process.wait()


def serve(number: int) -> list[str]:
    """Fork at each request. Returns in the child alone, with what it is to run."""
    with socket.socket(fileno=number) as ours:
        while True:
            request, descriptors, _, _ = socket.recv_fds(ours, MOST, 2)
            if not request:
                os._exit(0)
            pid = os.fork()
            if not pid:
                break
            for descriptor in descriptors:
                os.close(descriptor)
            ours.send(str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])).encode())
    asked = json.loads(request)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for standard, descriptor in zip((1, 2), descriptors, strict=True):
        os.dup2(descriptor, standard)
        os.close(descriptor)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    # As `python -m` has it.
    sys.path[0] = asked["cwd"]
    return list(asked["argv"])


def import_all() -> None:
    import importlib
    import pkgutil

    import _pytest.assertion.rewrite
    import _pytest.config
    import pytest

    names = [
        "hypothesis.strategies",
        "hypothesis.internal.conjecture.engine",
        "cattrs.preconf.json",
        "click",
        "rich.console",
    ]
    names += ["rich.table", "rich.markup", "xdist.plugin", "xdist.dsession", "xdist.workermanage", "faker", "asyncio"]
    names += [f"_pytest.{name}" for name in _pytest.config.default_plugins]
    if not os.environ["HYPOTHESIS_NO_PLUGINS"]:
        names += ["anyio.pytest_plugin", "pytest_asyncio.plugin", "trio"]
    import chaoskit

    names += [
        each.name for each in pkgutil.walk_packages(chaoskit.__path__, "chaoskit.") if "__main__" not in each.name
    ]
    for name in names:
        importlib.import_module(name)
    assert pytest
    # That they were imported before is what it would warn of.
    _pytest.assertion.rewrite.AssertionRewritingHook._warn_already_imported = lambda self, name: None


if __name__ == "__main__":
    import gc
    import random
    import runpy

    import_all()
    gc.collect()
    gc.freeze()
    module, *sys.argv[1:] = serve(int(sys.argv[1]))
    gc.unfreeze()  # older versions of Hypothesis look for what refers to their random, and find nothing that is frozen
    random.seed()
    runpy.run_module(module, run_name="__main__", alter_sys=True)
