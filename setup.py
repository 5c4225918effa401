"""What pyproject.toml cannot say: the README as an index shows it, and the models compiled where that is asked for.

Relative links lead nowhere on an index page. Where `[project.urls]` has a Source they lead there, else they are text.

`CHAOSKIT_COMPILE=1 pip install .` compiles the typed modules of the hot path with mypyc; it needs a C compiler. They
make the same steps as the modules that they are made from, which lie beside them and run where nothing is compiled.
"""

import os
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

from setuptools import setup

HERE = Path(__file__).parent
RELATIVE = re.compile(r"\[([^\]]+)\]\((?!https?:|#)([^)\s]+)\)")

COMPILE = os.environ.get("CHAOSKIT_COMPILE") == "1"
COMPILER = ["mypy>=1.11", "attrs>=23.2"]
"""mypyc comes with mypy, and checks the modules against the types of what they import."""
COMPILED = (
    "chaoskit/models/turns.py",
    "chaoskit/models/refusals.py",
    "chaoskit/models/producer.py",
    "chaoskit/models/stored.py",
    "chaoskit/models/faults/[!_]*.py",
    "chaoskit/models/log/[!mt]*.py",
    "chaoskit/models/queue/[!mt]*.py",
)
"""The models without what is made of a finished run: `model.py` is asked once a stream, `trace.py` once a report."""


def long_description(readme: str, source: str | None) -> str:
    return RELATIVE.sub(rf"[\1]({source.rstrip('/')}/blob/HEAD/\2)" if source else r"\1", readme)


def extensions() -> list[Any]:
    """What is compiled; nothing where nobody asks for it, and while pip asks what a build needs."""
    if not COMPILE or sys.argv[1:2] == ["egg_info"]:
        return []
    from mypyc.build import mypycify

    paths = sorted(str(path.relative_to(HERE)) for pattern in COMPILED for path in HERE.glob(pattern))
    modules = [path for path in paths if not path.endswith("__init__.py")]
    extensions: list[Any] = mypycify(["--ignore-missing-imports", "--follow-imports=silent", *modules], opt_level="1")
    return extensions


if __name__ == "__main__":
    project = tomllib.loads((HERE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    setup(
        long_description=long_description(
            (HERE / "README.md").read_text(encoding="utf-8"), project.get("urls", {}).get("Source")
        ),
        long_description_content_type="text/markdown",
        setup_requires=COMPILER if COMPILE else [],
        ext_modules=extensions(),
    )
