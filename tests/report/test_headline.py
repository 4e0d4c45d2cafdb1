"""The copy test at the top of the page never contradicts itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from twinset.report import ClosePair, Gate, Picture, ReportData
from twinset.report.headline import glance

PICTURE = Picture("a", np.zeros((8, 8, 1), dtype=np.uint8))


@pytest.mark.parametrize(
    ("passed", "flagged", "note"),
    [
        (True, 0, "no copies found"),
        (True, 1, "1 close pair shown, no more than chance gives"),
        (True, 2, "2 close pairs shown, no more than chance gives"),
        (False, 0, ""),
        (False, 1, "1 copy shown"),
        (False, 3, "3 copies shown"),
    ],
)
def test_close_pairs_are_copies_only_where_the_test_says_so(passed: bool, flagged: int, note: str) -> None:
    pair = ClosePair(PICTURE, PICTURE, 0.1, 0.2)
    pairs = tuple(replace(pair, flagged=place < flagged) for place in range(4))
    data = ReportData(title="t", classes=(), command="c", version="1", gate=Gate(passed, "s", "pixels", (), pairs))
    (found,) = (each for each in glance(data) if each[0] == "Copy test")
    assert found[1:] == ("Passed" if passed else "Blocked", note)
