"""The one thing that pyproject.toml cannot say: the README as an index shows it.

Relative links lead nowhere on an index page. Where `[project.urls]` has a Source they lead there, else they are text.
"""

import re
import tomllib
from pathlib import Path

from setuptools import setup

HERE = Path(__file__).parent
RELATIVE = re.compile(r"\[([^\]]+)\]\((?!https?:|#)([^)\s]+)\)")


def long_description(readme: str, source: str | None) -> str:
    return RELATIVE.sub(rf"[\1]({source.rstrip('/')}/blob/HEAD/\2)" if source else r"\1", readme)


if __name__ == "__main__":
    project = tomllib.loads((HERE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    setup(
        long_description=long_description(
            (HERE / "README.md").read_text(encoding="utf-8"), project.get("urls", {}).get("Source")
        ),
        long_description_content_type="text/markdown",
    )
