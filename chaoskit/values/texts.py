"""Texts of strangers made harmless: what stands in a repro file, a corpus, a name or an error may come from anybody,
and is printed in terminals and in the logs of CI."""

from __future__ import annotations

import re

LONGEST_LINE = 300
"""Characters of a line that says why a file is not played: what a person reads, whatever the file is made of."""

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\uffff"
    "\U000e0000-\U000e0fff]"
)
"""Control characters, halves of pairs, and what turns the direction of the text around it: nobody sees them, XML does
not have some of them, and UTF-8 has no halves."""

_COMMAND = re.compile(r"^([^\S\n]*):(?=:)|##(?=\[)", re.MULTILINE)
"""What makes a line of a log a command to the runner of GitHub Actions: `::` at its beginning, `##[` anywhere."""


def visible(text: str) -> str:
    """With what nobody sees as an escape such as `\\x1b`. Newlines and tabs stay."""
    return _UNSEEN.sub(lambda found: found.group().encode("unicode_escape", "surrogatepass").decode(), text)


def printed(value: object) -> str:
    """Its `repr`, or what it is where that cannot be had: a number of more digits than Python prints, a `__repr__` that
    raises."""
    try:
        return repr(value)
    except Exception as error:  # noqa: BLE001 - anybody's code
        return f"<{type(value).__name__} that cannot be printed: {type(error).__name__}>"


def in_line(text: str) -> str:
    """The same of a name, an id or a path: newlines and tabs are escapes, too."""
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")


def for_log(text: str) -> str:
    """Such that no line of it does anything in a terminal, or is a command to GitHub's runner."""
    return no_command(visible(text), r"\x3a", r"\x23")


def no_command(text: str, colon: str, hash_: str) -> str:
    """With these escapes where a line would be a command to GitHub's runner."""
    return _COMMAND.sub(lambda found: f"#{hash_}" if found[1] is None else f"{found[1]}{colon}", text)


def one_line(text: str, most: int = LONGEST_LINE) -> str:
    """A sentence as one line of at most so many characters. What is cut out is cut out of its middle: errors begin with
    what is wrong, and end with what to do."""
    ends = text if len(text) <= 4 * most else f"{text[: 2 * most]}{text[-2 * most :]}"
    line = for_log(" ".join(visible(ends).split()))
    if len(line) <= most and ends is text:
        return line
    room = most - 3
    return f"{line[: room - room // 3]} … {line[-(room // 3) :]}"
