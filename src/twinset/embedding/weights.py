"""Which files networks of others need on this machine, where they are looked for, and what to put there where none are.

Nothing here loads a network or PyTorch, so that what is missing is said at once. Nothing is ever downloaded, and
pickled weights are refused.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from twinset.errors import MissingExtraError, MissingModelError
from twinset.models.foreign import conversion
from twinset.paths import expanded

Name = Literal["dinov2", "clip", "resnet18", "resnet50", "inception"]
LpipsName = Literal["alex", "vgg"]
PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
TOKENIZER = "tokenizer.json"
VOCABULARY = ("vocab.json", "merges.txt")
NOTHING = "twinset downloads nothing"


@dataclass(frozen=True)
class Published:
    """A published checkpoint: the file, whose it is, and the first eight digits of its sha256."""

    file: str
    owner: str
    digest: str

    @property
    def told(self) -> str:
        """The file and its digest, for people."""
        return f"{self.file} (sha256 begins with {self.digest})"


HUB: Mapping[str, Published] = {
    "dinov2": Published("model.safetensors", "facebook/dinov2-small", "ae1e99fc"),
    "clip": Published("pytorch_model.bin", "openai/clip-vit-base-patch32", "a6308213"),
}
"""Of transformers; other sizes will do as well."""

# torchvision puts the first eight digits of a checkpoint's sha256 into its name.
TORCHVISION: Mapping[str, Published] = {
    "resnet18": Published("resnet18-f37072fd.pth", "torchvision", "f37072fd"),
    "resnet50": Published("resnet50-11ad3fa6.pth", "torchvision", "11ad3fa6"),
    "inception": Published("inception_v3_google-0cc3c7bd.pth", "torchvision", "0cc3c7bd"),
}


@dataclass(frozen=True)
class LpipsFiles:
    """The two files of a variant of LPIPS: torchvision's backbone, and the heads of the lpips package."""

    backbone: str
    checkpoint: Published
    heads: Published


LPIPS: Mapping[LpipsName, LpipsFiles] = {
    "alex": LpipsFiles(
        "alexnet",
        Published("alexnet-owt-7be5be79.pth", "torchvision", "7be5be79"),
        Published("lpips/weights/v0.1/alex.pth", "lpips", "df73285e"),
    ),
    "vgg": LpipsFiles(
        "vgg16",
        Published("vgg16-397923af.pth", "torchvision", "397923af"),
        Published("lpips/weights/v0.1/vgg.pth", "lpips", "a78928a0"),
    ),
}


def models_folder() -> Path:
    """Where weights are looked for: ``$TWINSET_MODELS``, else ``~/.cache/twinset/models``."""
    return expanded(os.environ.get("TWINSET_MODELS") or "~/.cache/twinset/models")


def weights_of(name: Name, path: str | None = None) -> Path:
    """The file that is, or should be, there; ``path`` is where the user says that it is, or its folder."""
    place = expanded(path) if path else _default_path(name)
    if name not in HUB or place.suffix in PICKLED:
        return place
    folder = place.parent if place.suffix == ".safetensors" else place
    weights, pickled = folder / "model.safetensors", folder / "pytorch_model.bin"
    return pickled if pickled.is_file() and not weights.is_file() else weights


def check_weights(name: Name, path: str | None = None) -> None:
    """Raises :class:`MissingModelError` or :class:`MissingExtraError`, in no time, if the network cannot be loaded."""
    _check_file(weights_of(name, path), f"the weights of {name}", where_to_put(name), to_convert(name))
    if name in HUB:
        check_packages("transformers", of=name)


def check_words(path: str | None = None) -> None:
    """As :func:`check_weights`, of CLIP with the files that its text needs beside the weights."""
    check_weights("clip", path)
    check_packages("transformers", "tokenizers", of="CLIP's text")
    folder = weights_of("clip", path).parent
    if not (folder / TOKENIZER).is_file() and not all((folder / name).is_file() for name in VOCABULARY):
        raise MissingModelError(
            f"{folder / TOKENIZER}: expected the words of CLIP; got no file", hint=beside_clip(TOKENIZER)
        )
    if not (folder / "config.json").is_file():
        raise MissingModelError(
            f"{folder / 'config.json'}: expected CLIP's configuration; got no file", hint=beside_clip("config.json")
        )


def check_packages(*names: str, of: str) -> None:
    """:class:`MissingExtraError` for the first of these packages that is not installed; imports none."""
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise MissingExtraError(
                f"expected the {name} package for {of}; got none", hint="install twinset[pretrained]"
            )


def where_to_put(name: Name) -> str:
    """What to do about weights that are not there."""
    if name not in HUB:
        return (
            f"put torchvision's weights there, {TORCHVISION[name].told} as safetensors: {to_convert(name)}; {NOTHING}"
        )
    found = HUB[name]
    if name == "clip":
        return (
            f"put config.json (for captions tokenizer.json, too) of {found.owner}, or of another size, into that "
            f"folder, and its {found.told} as safetensors: {to_convert(name)}; {NOTHING}"
        )
    return f"put config.json and {found.told} of {found.owner}, or of another size, into that folder; {NOTHING}"


def beside_clip(file: str) -> str:
    """What to do about a file that must lie beside the weights of CLIP."""
    return f"put {file} of {HUB['clip'].owner}, or of the CLIP that is there, into that folder; {NOTHING}"


def to_convert(name: Name) -> str:
    """How a user turns the pickled checkpoint of this network into safetensors."""
    if name in TORCHVISION:
        return conversion(TORCHVISION[name].file, f"{name}.safetensors")
    return conversion("pytorch_model.bin")


def lpips_files(name: LpipsName, backbone: str | None = None, heads: str | None = None) -> tuple[Path, Path]:
    """Backbone and heads: the files that are, or should be, there."""
    home = models_folder()
    names = f"{LPIPS[name].backbone}.safetensors", f"lpips-{name}.safetensors"
    first, second = (
        expanded(path) if path else home / file for path, file in zip((backbone, heads), names, strict=True)
    )
    return first, second


def check_lpips(name: LpipsName = "alex", backbone: str | None = None, heads: str | None = None) -> None:
    """As :func:`check_weights`, of both files of LPIPS."""
    files, hints = lpips_files(name, backbone, heads), lpips_hints(name)
    for path, what, hint in zip(files, ("backbone", "heads"), hints, strict=True):
        _check_file(path, f"the {what} of LPIPS ({name})", hint, hint)


def lpips_hints(name: LpipsName) -> tuple[str, str]:
    """What to do about a backbone, or heads, that are not there."""
    files = LPIPS[name]
    backbone = conversion(files.checkpoint.file, f"{files.backbone}.safetensors")
    heads = conversion(Path(files.heads.file).name, f"lpips-{name}.safetensors")
    return (
        f"put torchvision's weights there, {files.checkpoint.told} as safetensors: {backbone}; {NOTHING}",
        f"put the heads of the lpips package there, {files.heads.told} as safetensors: {heads}; {NOTHING}",
    )


def _check_file(path: Path, what: str, hint: str, to_convert: str) -> None:
    if path.suffix in PICKLED:
        raise MissingModelError(
            f"{path}: expected safetensors; got pickled weights, which can run code", hint=to_convert
        )
    if not path.is_file():
        raise MissingModelError(f"{path}: expected {what}; got no file", hint=hint)


def _default_path(name: str) -> Path:
    home = models_folder()
    if name not in HUB:
        return home / f"{name}.safetensors"
    if not (home / name).is_dir() and importlib.util.find_spec("huggingface_hub") is not None:
        from huggingface_hub import try_to_load_from_cache

        cached = try_to_load_from_cache(HUB[name].owner, "config.json")
        if isinstance(cached, str):
            return Path(cached).parent
    return home / name
