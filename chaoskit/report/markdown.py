"""Texts of the user's in Markdown, where no sign of them has a meaning."""

from __future__ import annotations

import re

from chaoskit.report.values import visible


def plain_markdown(text: str) -> str:
    """One line in which every sign that Markdown or GitHub knows is a character reference, which means nothing but
    itself."""
    line = " ".join(visible(text).split())
    return re.sub(_SIGNS, lambda sign: f"&#{ord(sign.group())};", line)


_SIGNS = r"""[&<>"'|`*_\[\](){}#+!\\~$@:/.^=-]"""
"""Also those of which GitHub makes links, mentions and formulas."""


def code(text: str) -> str:
    return f"<code>{plain_markdown(text)}</code>"
