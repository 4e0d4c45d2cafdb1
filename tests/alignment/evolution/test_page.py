"""What the page about evolution says holds."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[3] / "docs" / "evolution.md"


def test_the_examples_of_the_page_hold() -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert blocks
    example = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, "evolution.md", str(PAGE), 0)
    assert doctest.DocTestRunner().run(example).failed == 0
