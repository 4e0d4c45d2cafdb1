"""Markdown of cards: text from data that stays text, tables, code, the YAML that hubs read in front.

Names from data (classes, files, licences) are escaped, so that no name can become markup, a link or HTML.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence


def plain(text: str) -> str:
    """Text that Markdown and HTML show as it is, on one line.

    >>> plain("<b>x</b> [a](b) | *c*")
    '&lt;b&gt;x&lt;/b&gt; \\\\[a\\\\](b) \\\\| \\\\*c\\\\*'
    """
    flat = " ".join(text.split())
    flat = flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    flat = re.sub(r"([\\`*_\[\]#|~$])", r"\\\1", flat)
    flat = re.sub(r"^(\d+(?=[.)](\s|$))|(?=[-+=]))(.)", r"\1\\\3", flat)
    return re.sub(r"(?i)\b(https?|ftp|mailto|www)([:.])", r"\1&#8203;\2", flat)


def sentence(text: str) -> str:
    """Escaped text with a capital at its start and a full stop at its end."""
    return plain(f"{text[:1].upper()}{text[1:].rstrip('.')}.")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Cells are Markdown already: text from data goes through :func:`plain` first."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def bullets(lines: Iterable[str]) -> str:
    """A list."""
    return "\n".join(f"- {line}" for line in lines)


def code(text: str) -> str:
    """A digest or the like that can stand between backticks."""
    return re.sub(r"[^\w.:+-]", "?", text)


def fenced(text: str, language: str) -> str:
    """A block of code that no text can end."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def front_matter(head: Mapping[str, object]) -> str:
    """The YAML that hubs read."""
    import yaml

    return "---\n" + yaml.safe_dump(dict(head), sort_keys=False, allow_unicode=True) + "---"


def percent(share: float) -> str:
    """``95.0 %``."""
    return f"{100 * share:.1f} %"
