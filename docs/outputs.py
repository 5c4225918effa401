"""Makes the outputs that the README and other pages show, by running what they show.

`<!-- file: NAME -->` before a block writes it to a file; `from: A to: B` puts it in place of the lines of that file
from the first that starts with A to the one before the next that starts with B. `<!-- run: COMMAND -->` before a block
runs the command and puts its output into the block. Without --write it only says whether the pages are true.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

DOCS = Path(__file__).parent
PAGES = (DOCS.parent / "README.md", DOCS / "order.md")
BLOCK = re.compile(r"<!-- (file|run): (.+?) -->\n```(\w+)\n(.*?)```\n", re.DOTALL)


HIDDEN = (
    "CI",
    "BUILD_NUMBER",
    "PYTEST_",
    "PYTHONPATH",
    "PYTHONDONTWRITEBYTECODE",
    "HYPOTHESIS_",
    "GITHUB_",
    "TF_BUILD",
)
"""Where these are set pytest and Hypothesis behave as on a CI machine; the pages show a desk. And without bytecode each
command would compile chaoskit and Hypothesis again, which takes longer than the command."""


def with_outputs(text: str) -> str:
    """The page with the outputs of today."""
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        (directory / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")

        def block(match: re.Match[str]) -> str:
            what, argument, language, body = match.groups()
            if what == "file":
                write(directory, argument, body)
            else:
                body = run(directory, argument)
            return f"<!-- {what}: {argument} -->\n```{language}\n{body}```\n"

        return BLOCK.sub(block, text)


def write(directory: Path, argument: str, body: str) -> None:
    name, _, part = argument.partition(" from: ")
    path = directory / name
    if part:
        start, end = part.split(" to: ")
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        first = next(i for i, line in enumerate(lines) if line.startswith(start))
        last = next(i for i, line in enumerate(lines) if line.startswith(end))
        body = "".join([*lines[:first], body, *lines[last:]])
    path.write_text(body, encoding="utf-8")
    shutil.rmtree(directory / "__pycache__", ignore_errors=True)  # it goes by the second and the length alone


def run(directory: Path, command: str) -> str:
    options = ["-p", "no:cacheprovider", "-p", "no:randomly"] if command.startswith("pytest") else []
    environment = {name: value for name, value in os.environ.items() if not name.startswith(HIDDEN)}
    environment |= {"COLUMNS": "100", "PYTHONWARNINGS": "ignore", "NO_COLOR": "1"}
    environment["HYPOTHESIS_NO_PLUGINS"] = "1"  # the one that is there imports Trio
    program, *arguments = shlex.split(command)
    start = [] if program == "python" else ["-m", program]
    done = subprocess.run(
        [sys.executable, *start, *arguments, *options],
        cwd=directory,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    output = re.sub(r" in \d+\.\d+s", "", done.stdout)
    return f"$ {command}\n{output.rstrip()}\n"


def main() -> int:
    wrong = 0
    for page in PAGES:
        before = page.read_text(encoding="utf-8")
        after = with_outputs(before)
        if "--write" in sys.argv:
            page.write_text(after, encoding="utf-8")
        elif before != after:
            print(f"the outputs in {page.name} are not those of today: make docs")
            wrong = 1
    return wrong


if __name__ == "__main__":
    sys.exit(main())
