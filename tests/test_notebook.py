from __future__ import annotations

import base64
import re
from pathlib import Path

import numpy as np

from twinset.annotations import Annotation
from twinset.dataset import Dataset, Origin, Sample
from twinset.images import decode
from twinset.notebook import dataset_html


def pictures(n: int, classes: tuple[str, ...], *, side: int = 8) -> Dataset:
    return Dataset.of(
        (
            Sample(
                f'"><b>{k}</b>',
                Annotation(class_id=k % len(classes)) if classes else None,
                Origin("diffusion", k, "ab") if k % 2 else Origin(),
                np.full((side, 2 * side, 3), k, np.uint8),
            )
            for k in range(n)
        ),
        classes=classes,
        name="<i>mine</i>",
    )


def test_names_are_escaped_and_pictures_are_inline() -> None:
    html = pictures(30, ("<script>alert(1)</script>", "b"))._repr_html_()
    assert "<script" not in html
    assert "<i>mine" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert html.count("<img ") == 20
    assert "30 images in 2 classes, 15 of them synthetic" in html
    assert not re.search(r'src="(?!data:image/png;base64,)', html)


def test_pictures_are_spread_over_the_class_and_shrunk() -> None:
    html = dataset_html(pictures(30, ("a",), side=100))
    found = [decode(base64.b64decode(text)) for text in re.findall(r'base64,([^"]+)"', html)]
    assert [int(pixels[0, 0, 0]) for pixels in found] == [0, 3, 6, 10, 13, 16, 19, 23, 26, 29]
    assert found[0].shape == (32, 64, 3)


def test_many_classes_are_cut_and_counted() -> None:
    html = dataset_html(pictures(40, tuple(f"class {k}" for k in range(20))))
    assert "class 11" in html
    assert "class 12" not in html
    assert "and 8 more classes" in html


def test_unlabelled_empty_and_vanished_pictures_show_calmly(tmp_path: Path) -> None:
    assert "unlabelled" in dataset_html(pictures(3, ()))
    assert "0 images" in dataset_html(Dataset.of([], classes=("a",)))
    gone = Dataset.of([Sample("x", Annotation(class_id=0), path=tmp_path / "gone.png")], classes=("a",))
    assert "expected the file that was read before" in dataset_html(gone)
