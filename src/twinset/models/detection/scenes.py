"""Pictures of one size with their objects, ready for a network, and the way back to the original pixels."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinset.dataset import Dataset, Sample
from twinset.errors import RunFolderError
from twinset.images import PixelBatch, convert_channels, resize
from twinset.store import write_bytes

FILL = 127
"""Grey around a picture that does not fill its frame: zero, as near as uint8 comes, once it is in [-1, 1]."""

SMALLEST_SIDE = 1.5
"""Objects with a shorter side, in pixels of the network, are neither learnt nor counted as background."""

Objects = tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.bool_]]
"""Boxes float32 (K, 4) xyxy, class ids int64 (K,), and whether each is ignored, bool (K,)."""


@dataclass(frozen=True, eq=False)
class Scenes:
    """N pictures of one size with their objects.

    ``images`` uint8 (N, H, W, C), an array or a memory map. Picture i has ``boxes[i]`` float32 (K_i, 4), xyxy pixels
    of that size, ``class_ids[i]`` int64 (K_i,) and ``ignored[i]`` bool (K_i,): crowds, difficult and tiny objects,
    where a loss says nothing. An original of ``sizes`` int64 (N, 2), height and width, was scaled by ``scales``
    float64 (N, 2) and shifted by ``offsets`` float64 (N, 2), both x, y. ``labelled`` bool (N,) is false where nobody
    looked for objects; that is not a picture without any.
    """

    images: PixelBatch
    boxes: tuple[NDArray[np.float32], ...]
    class_ids: tuple[NDArray[np.int64], ...]
    ignored: tuple[NDArray[np.bool_], ...]
    scales: NDArray[np.float64]
    offsets: NDArray[np.float64]
    sizes: NDArray[np.int64]
    labelled: NDArray[np.bool_]

    def __post_init__(self) -> None:
        n = len(self.images)
        if self.images.dtype != np.uint8 or self.images.ndim != 4 or self.images.shape[3] not in (1, 3):
            raise ValueError(f"expected images uint8 (N, H, W, 1 or 3); got {self.images.dtype} {self.images.shape}")
        lengths = {name: len(getattr(self, name)) for name in ("boxes", "class_ids", "ignored", "labelled")}
        shapes = {name: getattr(self, name).shape for name in ("scales", "offsets", "sizes")}
        if set(lengths.values()) != {n} or set(shapes.values()) != {(n, 2)}:
            raise ValueError(f"expected objects, scales, offsets and sizes of {n} pictures; got {lengths}, {shapes}")
        for boxes, class_ids, ignored in zip(self.boxes, self.class_ids, self.ignored, strict=True):
            if boxes.shape != (len(class_ids), 4) or ignored.shape != class_ids.shape:
                raise ValueError(f"expected K boxes, class ids and flags; got {boxes.shape}, {class_ids.shape}")

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        height, width = self.images.shape[1:3]
        return f"Scenes({len(self)} of {width} x {height}, {sum(map(len, self.class_ids))} objects)"

    @staticmethod
    def of(dataset: Dataset, *, height: int, width: int, channels: int) -> Scenes:
        """All samples at one size: resized with antialiasing, aspect kept, the rest filled with grey.

        Objects that end with a side below :data:`SMALLEST_SIDE` px, crowds and difficult ones are ignored.
        Raises ``ValueError`` for a size below 1 or channels other than 1 and 3.
        """
        if min(height, width) < 1 or channels not in (1, 3):
            raise ValueError(f"expected a positive size and 1 or 3 channels; got {height} x {width} x {channels}")
        images = np.full((len(dataset), height, width, channels), FILL, dtype=np.uint8)
        placements, objects = [], []
        for row, sample in enumerate(dataset):
            pixels = convert_channels(sample.pixels(), channels)
            placement = _placement(pixels.shape[:2], height, width)
            new_width, new_height, left, top = placement
            resized = pixels if pixels.shape[:2] == (new_height, new_width) else resize(pixels, new_height, new_width)
            images[row, top : top + new_height, left : left + new_width] = resized
            scale = np.array([new_width / pixels.shape[1], new_height / pixels.shape[0]])
            placements.append((scale, np.array([left, top], dtype=np.float64), np.array(pixels.shape[:2])))
            objects.append(_objects(sample, scale, placements[-1][1]))
        return Scenes(
            images,
            tuple(boxes for boxes, _, _ in objects),
            tuple(class_ids for _, class_ids, _ in objects),
            tuple(ignored for _, _, ignored in objects),
            np.array([scale for scale, _, _ in placements]).reshape(-1, 2),
            np.array([offset for _, offset, _ in placements]).reshape(-1, 2),
            np.array([size for _, _, size in placements], dtype=np.int64).reshape(-1, 2),
            np.array([is_labelled(sample) for sample in dataset], dtype=np.bool_),
        )

    def to_original(self, index: int, boxes: NDArray[np.floating]) -> NDArray[np.float32]:
        """Boxes (K, 4) of picture ``index``, from pixels of the network to pixels of its original, not clipped.

        >>> one = np.ones((1, 2))
        >>> scenes = Scenes(np.zeros((1, 8, 8, 1), np.uint8), (np.zeros((0, 4), np.float32),), (np.zeros(0, np.int64),),
        ...     (np.zeros(0, bool),), one / 2, one * 3, one.astype(int) * 4, one[0, :1] > 0)
        >>> scenes.to_original(0, np.array([[3, 4, 5, 6]])).tolist()
        [[0.0, 2.0, 4.0, 6.0]]
        """
        moved = np.asarray(boxes, dtype=np.float64).reshape(-1, 2, 2) - self.offsets[index]
        return np.asarray((moved / self.scales[index]).reshape(-1, 4), dtype=np.float32)

    def check_learnable(self, n_classes: int) -> None:
        """``ValueError`` for no pictures, unlabelled ones, other class ids, or no object that is not ignored."""
        if not len(self) or not self.labelled.all():
            raise ValueError(
                f"expected one or more pictures with labels; got {len(self)}, "
                f"{int((~self.labelled).sum())} of them unlabelled; leave those out"
            )
        class_ids = np.concatenate(self.class_ids)
        if len(class_ids) and not 0 <= class_ids.min() <= class_ids.max() < n_classes:
            raise ValueError(f"expected class ids in 0…{n_classes - 1}; got {class_ids.min()}…{class_ids.max()}")
        if np.concatenate(self.ignored).all():
            raise ValueError(f"expected objects to learn; got none in {len(self)} pictures")

    def objects(self, index: int) -> Objects:
        """Boxes, class ids and ignored flags of one picture."""
        return self.boxes[index], self.class_ids[index], self.ignored[index]

    def take(self, rows: Sequence[int] | NDArray[np.integer]) -> Scenes:
        """The pictures at these rows, in this order."""
        index = np.asarray(rows, dtype=np.int64)
        picked = [tuple(part[i] for i in index) for part in (self.boxes, self.class_ids, self.ignored)]
        arrays = [part[index] for part in (self.scales, self.offsets, self.sizes, self.labelled)]
        return Scenes(self.images[index], *picked, *arrays)  # type: ignore[arg-type]

    def concat(self, other: Scenes) -> Scenes:
        """The pictures of both, these first; they must have one size."""
        if self.images.shape[1:] != other.images.shape[1:]:
            raise ValueError(f"expected pictures of {self.images.shape[1:]}; got {other.images.shape[1:]}")
        return Scenes(
            np.concatenate([self.images, other.images]),
            self.boxes + other.boxes,
            self.class_ids + other.class_ids,
            self.ignored + other.ignored,
            np.concatenate([self.scales, other.scales]),
            np.concatenate([self.offsets, other.offsets]),
            np.concatenate([self.sizes, other.sizes]),
            np.concatenate([self.labelled, other.labelled]),
        )

    def digest(self) -> str:
        """sha256 over pixels, objects and placements."""
        total = hashlib.sha256(repr(self.images.shape).encode())
        for image in self.images:
            total.update(image.tobytes())
        for array in self._table().values():
            total.update(array.tobytes())
        return total.hexdigest()

    def save(self, folder: Path) -> None:
        """Writes ``images.npy`` (to be mapped) and ``objects.safetensors``, which comes last, into ``folder``."""
        from safetensors.numpy import save

        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "images.npy").open("wb") as file:
            np.save(file, self.images, allow_pickle=False)
        write_bytes(folder / "objects.safetensors", save(self._table()))

    @staticmethod
    def load(folder: Path) -> Scenes:
        """What :meth:`save` wrote, its images mapped, so that processes share them; else a ``RunFolderError``."""
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            images = np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False)
            table = load_file(folder / "objects.safetensors")
            counts = table["counts"]
            cuts = np.cumsum(counts)[:-1]
            parts = [tuple(np.split(table[name], cuts)[: len(counts)]) for name in ("boxes", "class_ids", "ignored")]
            rest = [table[name] for name in ("scales", "offsets", "sizes", "labelled")]
            return Scenes(images, *parts, *rest)  # type: ignore[arg-type]
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise RunFolderError(
                f"{folder}: expected the scenes that twinset wrote; got {error}", hint="remove this folder"
            ) from error

    def _table(self) -> dict[str, NDArray[np.generic]]:
        """All arrays but the images, the objects of all pictures one after the other."""
        return {
            "counts": np.array([len(ids) for ids in self.class_ids], dtype=np.int64),
            "boxes": np.concatenate([np.zeros((0, 4), np.float32), *self.boxes]),
            "class_ids": np.concatenate([np.zeros(0, np.int64), *self.class_ids]),
            "ignored": np.concatenate([np.zeros(0, np.bool_), *self.ignored]),
            "scales": self.scales,
            "offsets": self.offsets,
            "sizes": self.sizes,
            "labelled": self.labelled,
        }


def is_labelled(sample: Sample) -> bool:
    """Whether somebody looked for objects in it."""
    return sample.annotation is not None and sample.annotation.instances is not None


def _placement(size: Sequence[int], height: int, width: int) -> tuple[int, int, int, int]:
    """New width and height, left and top edge, of a picture of ``size`` in the middle of a frame."""
    scale = min(height / size[0], width / size[1])
    new_height = min(height, max(1, round(size[0] * scale)))
    new_width = min(width, max(1, round(size[1] * scale)))
    return new_width, new_height, (width - new_width) // 2, (height - new_height) // 2


def _objects(sample: Sample, scale: NDArray[np.float64], offset: NDArray[np.float64]) -> Objects:
    """The objects of a sample in its frame."""
    instances = sample.annotation.instances if sample.annotation is not None else None
    if instances is None or not len(instances):
        return np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, np.bool_)
    boxes = (instances.boxes.reshape(-1, 2, 2) * scale + offset).reshape(-1, 4).astype(np.float32)
    tiny = (boxes[:, 2:] - boxes[:, :2]).min(1) < SMALLEST_SIDE
    return boxes, instances.class_ids, instances.is_crowd | instances.is_difficult | tiny
