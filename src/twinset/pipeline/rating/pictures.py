"""Pictures of the page: found in one folder once, decoded with limits, objects numbered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from twinset import documents
from twinset.annotations import Annotation
from twinset.drawing import overlay
from twinset.errors import DataError, ImageError
from twinset.images import MAX_FILE_BYTES, SUFFIXES, decode, encode_png, resize
from twinset.instances import Instances

LONGEST_SIDE = 900
MOST_FILES = 200_000


def picture_files(folder: Path, images: Sequence[documents.InferredImage]) -> list[Path | None]:
    """The file of each image in a folder, by its id: its path there with or without suffix, else its bare name.

    What fits two files, or two images by their bare names, is not found: it could be the other one. Nothing outside
    the folder is found, links that lead out included. :class:`DataError` where no image has a file.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: expected a folder of pictures; got none", hint="correct --images")
    root = folder.resolve()
    named: dict[str, Path] = {}
    cut: dict[str, Path | None] = {}
    bare: dict[str, Path | None] = {}
    for path in _pictures(root):
        place = path.relative_to(root).as_posix()
        named[place] = path
        for names, name in ((cut, place[: -len(path.suffix)]), (bare, path.stem)):
            names[name] = None if name in names else path
    asked = Counter(Path(one.id).stem for one in images)
    found = [
        named.get(one.id) or cut.get(one.id) or (bare.get(stem) if asked[stem := Path(one.id).stem] == 1 else None)
        for one in images
    ]
    if images and not any(found):
        raise DataError(
            f"{folder}: expected files named as the images, such as {images[0].id!r}; got none of them",
            hint="name the folder that the real images were read from",
        )
    return found


def _pictures(root: Path) -> Iterator[Path]:
    paths = list(islice(root.rglob("*"), MOST_FILES + 1))
    if len(paths) > MOST_FILES:
        raise DataError(f"{root}: expected at most {MOST_FILES} files; got more", hint="name a smaller folder")
    for path in sorted(paths):
        if path.suffix.lower() in SUFFIXES and path.is_file() and path.resolve().is_relative_to(root):
            yield path


def drawn(path: Path, image: documents.InferredImage) -> bytes:
    """PNG of the picture, its longer side at most 900 pixels, with the numbers of its objects.

    :class:`ImageError` for what is no picture, is too large, or has another size than was inferred from.
    """
    if (size_bytes := path.stat().st_size) > MAX_FILE_BYTES:
        raise ImageError(f"{path.name}: expected at most {MAX_FILE_BYTES} bytes; got {size_bytes}")
    pixels = decode(path.read_bytes(), name=path.name)
    height, width = pixels.shape[:2]
    if (height, width) != image.size:
        raise ImageError(f"{path.name}: expected {image.size[1]} x {image.size[0]} pixels; got {width} x {height}")
    scale = min(4.0, LONGEST_SIDE / max(height, width))
    size = max(1, round(height * scale)), max(1, round(width * scale))
    shown = resize(pixels, *size)
    instances = _numbered(image, size)
    names = [str(number + 1) for number in range(len(image.objects))]
    return encode_png(overlay(shown, Annotation(instances=instances), names, masks=False))


def _numbered(image: documents.InferredImage, size: tuple[int, int]) -> Instances:
    """Boxes at the size of the page, each a class of its own; such as are nowhere in the picture are left out."""
    factor = np.array([size[1] / image.size[1], size[0] / image.size[0]] * 2)
    boxes = np.array([one.box for one in image.objects], dtype=np.float64).reshape(-1, 4) * factor
    boxes = np.clip(boxes, 0, [size[1], size[0]] * 2)
    there = (boxes[:, 2:] - boxes[:, :2] > 0.5).all(axis=1)
    return Instances(size, np.flatnonzero(there).astype(np.int64), boxes[there].astype(np.float32))
