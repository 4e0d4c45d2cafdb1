"""The ways of ``twinset detect`` exclude each other, and each answers with one JSON object."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Called = Callable[..., tuple[int, str, str]]


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "key").write_text("0123456789abcdef0123456789abcdef")
    return tmp_path / "a.png"


def test_one_picture_is_looked_at_for_a_mark(picture: Path, called: Called) -> None:
    ended, out, _ = called("detect", picture, "--watermark", "--key-file", picture.parent / "key", "--json")
    told = json.loads(out)
    assert ended == 0
    assert told["schema"] == "twinset/watermark/1"
    assert (told["n_images"], told["marked"]) == (1, 0)


def test_one_picture_is_asked_what_it_says(picture: Path, called: Called) -> None:
    ended, out, _ = called("detect", picture, "--provenance", "--json")
    told = json.loads(out)
    assert ended == 0
    assert (told["xmp"], told["c2pa"]) == ({"absent": 1}, {"absent": 1})
    assert "absent means absent" in told["limits"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "expected one of --detector FILE, --watermark --key-file FILE, --provenance; got none"),
        (["--watermark", "--provenance"], "--provenance; got 2"),
        (["--watermark"], "expected --watermark and --key-file together; got no --key-file"),
        (["--provenance", "--key-file", "k"], "expected --watermark and --key-file together; got only --key-file"),
        (["--provenance", "--payload", "3"], "expected --payload with --watermark"),
        (["--detector", "d", "--trust", "t"], "expected --trust with --provenance"),
        (["--provenance", "--rate", ".01"], "expected no --rate with --provenance"),
        (["--provenance", "--trust", "nowhere"], "nowhere: expected a PEM file; got No such file"),
        (["--watermark", "--key-file", "nowhere"], "expected a file with the watermark's key; got No such file"),
    ],
)
def test_ways_that_do_not_go_together_are_refused(words: list[str], says: str, called: Called) -> None:
    ended, _, err = called("detect", "builtin:digits", *words)
    assert ended == 2
    assert says in err
