"""Numbers as people read them. Every function takes None and answers with a dash."""

from __future__ import annotations

import math

NONE = "–"


def number(value: float | None, digits: int = 3) -> str:
    """A figure with about ``digits`` significant digits, without needless zeros or exponents.

    >>> number(0.97312), number(12345.6), number(3.0), number(-0.00002), number(None)
    ('0.973', '12,346', '3', '−2.0e-5', '–')
    >>> number(float("inf"))
    '∞'
    """
    if value is not None and math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value is None or math.isnan(value):
        return NONE
    size = abs(value)
    if size == round(size) or size >= 1000:
        text = f"{size:,.0f}"
    elif size < 1e-4:
        text = f"{size:.1e}".replace("e-0", "e-")
    else:
        decimals = max(0, digits - 1 - math.floor(math.log10(size)))
        text = f"{size:.{min(decimals, 6)}f}"
    return f"−{text}" if value < 0 else text


def spaced(name: str) -> str:
    """The name of a mix with room to break the line.

    >>> spaced("real+classical")
    'real + classical'
    """
    return name.replace("+", " + ")


def sentence(text: str, *, after: str = "") -> str:
    """A text as a sentence: capital letter, full stop, and no repetition of the heading that it stands ``after``.

    >>> sentence("no copies found"), sentence("No difference: adding more is equal.", after="No difference")
    ('No copies found.', 'Adding more is equal.')
    """
    if after and text.lower().startswith(f"{after.lower()}: "):
        text = text[len(after) + 2 :]
    text = text.strip()
    if not text:
        return text
    return text[0].upper() + text[1:] + ("" if text[-1] in ".!?…" else ".")


def count(value: int | None) -> str:
    """A whole number with thousands separated by commas.

    >>> count(12345)
    '12,345'
    """
    return NONE if value is None else f"{value:,}"


def percent(share: float | None, decimals: int = 1) -> str:
    """A share of 0…1 in per cent.

    >>> percent(0.9731)
    '97.3 %'
    """
    return NONE if share is None or not math.isfinite(share) else f"{100 * share:.{decimals}f} %".replace("-", "−")


def points(difference: float | None) -> str:
    """A difference of shares in percentage points, with its sign.

    >>> points(0.0182), points(-0.004), points(0.0)
    ('+1.8', '−0.4', '0.0')
    """
    if difference is None or not math.isfinite(difference):
        return NONE
    text = f"{100 * abs(difference):.1f}"
    if float(text) == 0:
        return text
    return f"+{text}" if difference > 0 else f"−{text}"


def duration(seconds: float | None) -> str:
    """Seconds as a person would say them.

    >>> duration(0.4), duration(42), duration(185), duration(4320)
    ('0.4 s', '42 s', '3 min 5 s', '1 h 12 min')
    """
    if seconds is None or not math.isfinite(seconds):
        return NONE
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def size_of(number_of_bytes: int | None) -> str:
    """Bytes in decimal units.

    >>> size_of(1_940_000_000), size_of(999_700_000), size_of(512)
    ('1.94 GB', '1 GB', '512 B')
    """
    if number_of_bytes is None:
        return NONE
    amount = float(number_of_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if float(f"{amount:.3g}") < 1000:
            return f"{amount:.3g} {unit}"
        amount /= 1000
    return f"{amount:.3g} TB"
