"""Where the pictures of a COCO file lie, and what the file's name says."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from twinset.dataset import SplitName
from twinset.formats.folder import Folder, Unusable, relative_path
from twinset.formats.listing import SPLIT_NAMES

KINDS = ("instances", "person_keypoints", "stuff", "", "labels", "captions", "image_info", "panoptic")
"""What files of a COCO download are called by, in the order in which they are preferred."""

ROBOFLOW = "_annotations.coco"
_PLAIN = re.compile(r"\w[\w .-]*\w")
_WORD = re.compile(r"[^\W\d_]+")


def split_of(text: str) -> SplitName | None:
    """The first word of a name that means a split: ``instances_val2017`` is validation."""
    words = (word.casefold() for word in _WORD.findall(text))
    return next((SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES), None)


@dataclass(frozen=True)
class Named:
    """A COCO file: its path, the kind its name begins with, and the rest of that name, such as ``train2017``."""

    path: str
    kind: str
    rest: str

    @staticmethod
    def of(path: str) -> Named:
        """What this path says."""
        stem = PurePosixPath(path).stem
        kind = next((kind for kind in KINDS if kind and re.match(rf"{kind}(_|$)", stem)), "")
        return Named(path, kind, "" if stem == ROBOFLOW else stem.removeprefix(kind).lstrip("_"))

    @property
    def parent(self) -> str:
        """The folder it lies in, "" for the top."""
        parent = str(PurePosixPath(self.path).parent)
        return "" if parent == "." else parent

    @property
    def rank(self) -> int:
        """How early it is preferred among those about the same pictures."""
        return KINDS.index(self.kind)

    @property
    def split(self) -> SplitName | None:
        """What its name says, or the folder it lies in."""
        return split_of(self.rest) or split_of(PurePosixPath(self.parent).name)


@dataclass
class Places:
    """Looks up the pictures of one file: beside it, in ``images/``, in the folder of its split, at the top."""

    folder: Folder
    file: Named
    _bases: list[str] | None = None
    _names: dict[str, frozenset[str]] = field(default_factory=dict)

    def find(self, name: str | None) -> str:
        """The path of a picture in the dataset; :class:`Unusable` where its name leads out of it or is missing."""
        if not name:
            raise Unusable("expected a file_name; got none")
        below, _, last = ("", "", name) if _PLAIN.fullmatch(name) else str(relative_path(name)).rpartition("/")
        if self._bases is None:
            self._bases = list(dict.fromkeys(self._candidates()))
        for base in self._bases:
            parent = _joined(base, below) if below else base
            if parent not in self._names:
                self._names[parent] = frozenset(self.folder.names(parent))
            if last in self._names[parent]:
                return f"{parent}/{last}" if parent else last
        return _joined(self._likely(), below, last)

    def _candidates(self) -> list[str]:
        """Folders to look in. Those of the file's own split come first: names may repeat from split to split."""
        parent, split = self.file.parent, self.file.split
        top = _joined("", str(PurePosixPath(parent).parent)) if _is_annotations(parent) else parent
        images = _joined(top, "images")
        first = [] if _is_annotations(parent) else [parent] if split_of(parent) else []
        for base in (images, top, _joined(top, "data")):
            inside = self.folder.names(base)
            own = [one for one in inside if one == self.file.rest]
            alike = [one for one in inside if split is not None and split_of(one) == split and one not in own]
            first += [_joined(base, one) for one in (*own, *alike)]
        with_images = [_joined(one, "images") for one in first]
        return [*first, *with_images, images, top, _joined(top, "data"), parent, _joined(parent, "images")]

    def _likely(self) -> str:
        bases = self._bases or [""]
        return next((base for base in bases if self._names.get(base)), bases[0])


def _is_annotations(parent: str) -> bool:
    return PurePosixPath(parent).name.casefold() == "annotations"


def _joined(*parts: str) -> str:
    return "/".join(part for part in parts if part not in ("", "."))
