"""How many random cases a test tries: a share with each push, and as many times as many as CHAOSKIT_TIMES says.

What is marked `many` is what that multiplies: `make thorough` runs it with ten times as many cases, every night. A
share is twice as many as it takes to notice the mutations of models, search and judge that those of a night notice.
"""

from __future__ import annotations

import os

TIMES = int(os.environ.get("CHAOSKIT_TIMES", "1"))


def cases(share: int, most: int | None = None) -> int:
    """So many with each push, and more where somebody asks for more, `most` at most. The first are the same ones."""
    return share * TIMES if most is None else min(most, share * TIMES)
