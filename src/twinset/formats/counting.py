"""Numbers of things in words."""

from __future__ import annotations

_ENDINGS = (("ies", "y"), ("sses", "ss"), ("xes", "x"), ("s", ""))


def counted(number: int, things: str) -> str:
    """So many of these things, of which one is named in the singular.

    >>> counted(2, "crowd flags"), counted(1, "crowd flags"), counted(1, "boxes beside masks")
    ('2 crowd flags', '1 crowd flag', '1 box beside masks')
    """
    words = things.split(" ")
    at = next((n for n, word in enumerate(words) if word.endswith("s")), None) if number == 1 else None
    if at is not None:
        plural, singular = next(pair for pair in _ENDINGS if words[at].endswith(pair[0]))
        words[at] = words[at].removesuffix(plural) + singular
    return " ".join([str(number), *words])
