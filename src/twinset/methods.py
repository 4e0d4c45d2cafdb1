"""The one table from the names in a recipe to the classes behind them, ours and plug-ins'.

Third parties register classes under the entry points ``twinset.generators``, ``twinset.editors``,
``twinset.aligners``, ``twinset.embedders``, ``twinset.shapes`` (families of rendered objects) and ``twinset.renderers``
(what draws them); a broken plug-in is shown by ``twinset plugins`` and harms no other.
"""

from __future__ import annotations

import dataclasses
import traceback
from collections.abc import Callable, Mapping
from typing import Literal, get_args

import pydantic

from twinset import plugged
from twinset.dataset import TASKS, Task
from twinset.errors import RecipeError, UnknownNameError
from twinset.plugged import Entry
from twinset.refusals import refusal

Kind = Literal["generators", "editors", "aligners", "embedders", "shapes", "renderers"]
KINDS: tuple[Kind, ...] = get_args(Kind)

BUILT_IN: Mapping[Kind, Mapping[str, str]] = {
    "generators": {
        "diffusion": "twinset.generators.diffusion:Diffusion",
        "gan": "twinset.generators.gan:GAN",
        "folder": "twinset.generators.folder:Folder",
        "copypaste": "twinset.generators.copypaste:CopyPaste",
        "render": "twinset.generators.rendering:Rendering",
        "mean-embedding": "twinset.generators.mean_embedding:MeanEmbedding",
    },
    "editors": {
        "classical": "twinset.editing.classical:Classical",
        "mixup": "twinset.editing.mixing:Mixup",
        "cutout": "twinset.editing.mixing:Cutout",
        "cutmix": "twinset.editing.mixing:CutMix",
        "patchshuffle": "twinset.editing.mixing:PatchShuffle",
        "sdedit": "twinset.editing.sdedit:SDEdit",
        "geometric": "twinset.editing.geometric:Geometric",
        "photometric": "twinset.editing.photometric:Photometric",
        "mosaic": "twinset.editing.mosaic:Mosaic",
        "scene-mixup": "twinset.editing.scene_mixup:SceneMixup",
        "erase": "twinset.editing.erase:Erase",
        "region-sdedit": "twinset.editing.region_sdedit:RegionSDEdit",
    },
    "aligners": {
        "copies": "twinset.alignment.copies:NearCopies",
        "duplicates": "twinset.alignment.duplicates:Duplicates",
        "agreement": "twinset.alignment.agreement:Agreement",
        "density": "twinset.alignment.density:Density",
        "object-density": "twinset.alignment.object_density:ObjectDensity",
    },
    "embedders": {
        "self": "twinset.embedding.self_trained:SelfTrained",
        "random": "twinset.embedding.random_convolution:RandomConvolution",
        "pretrained": "twinset.embedding.pretrained:Pretrained",
    },
}


def entries(kind: Kind) -> dict[str, Entry]:
    """All names of one kind; our own cannot be replaced by a plug-in. Loads no method."""
    if kind == "shapes":
        from twinset.generators.rendering.shapes import family_entries

        return family_entries()
    if kind == "renderers":
        from twinset.generators.rendering.backends import backend_entries

        return backend_entries()
    return plugged.entries(kind, BUILT_IN[kind])


def check(entry: Entry) -> Entry:
    """The entry with its traceback as ``problem`` if it does not load."""
    try:
        if entry.kind == "shapes":
            from twinset.generators.rendering.shapes import family_from

            family_from(entry.name, plugged.target(entry))
        else:
            _class(entry.target, plugged.target(entry))
    except Exception:  # code of others may raise anything, and all of it is shown
        return dataclasses.replace(entry, problem=traceback.format_exc())
    return entry


def method_class(kind: Kind, name: str) -> type:
    """The class behind a name; :class:`UnknownNameError` lists the known ones."""
    known = entries(kind)
    found = plugged.loaded(name, known, what=kind.removesuffix("s"))
    try:
        return _class(known[name].target, found)
    except TypeError as error:
        raise RecipeError(str(error), hint="`twinset plugins` lists what is installed") from error


def _class(target: str, found: object) -> type:
    if not isinstance(found, type):
        raise TypeError(f"expected a class at {target}; got {type(found).__name__}")
    return found


def check_task(kind: Kind, name: str, task: Task, *, where: str) -> None:
    """A :class:`RecipeError` where a method says by a class attribute ``tasks`` that it is not for this one."""
    tasks = getattr(method_class(kind, name), "tasks", TASKS)
    if task not in tasks:
        why = " (it knows one class per image, no boxes or masks)" if tasks == ("classification",) else ""
        fitting = [other for other in BUILT_IN[kind] if task in getattr(method_class(kind, other), "tasks", TASKS)]
        raise RecipeError(
            f"{where}: expected something for task {task}; got {name!r}, which is for {' and '.join(tasks)}{why}",
            hint=f"use {' or '.join(reversed(fitting))}" if fitting else f"`twinset plugins` lists the {kind}",
        )


def build(kind: Kind, name: str, settings: Mapping[str, object], *, where: str) -> object:
    """An instance with these settings; unknown keys and wrong types are a :class:`RecipeError` naming ``where``."""
    cls = method_class(kind, name)
    if not dataclasses.is_dataclass(cls):
        raise RecipeError(f"{where}: expected {name!r} to be a dataclass of settings; got {cls.__qualname__}")
    known = [field.name for field in dataclasses.fields(cls) if field.init]
    for key in settings:
        if key not in known:
            raise RecipeError(f"{where}: {UnknownNameError(f'setting of {name!r}', key, known)}")
    try:
        return pydantic.TypeAdapter(cls).validate_python(dict(settings))
    except pydantic.ValidationError as error:
        found = refusal(error)
        key = ".".join(str(part) for part in found.place) or name
        raise RecipeError(f"{where}.{key}: {found.message}", hint=found.hint) from error


def with_paths(
    kind: Kind, name: str, settings: Mapping[str, object], change: Callable[[str], str]
) -> dict[str, object]:
    """Settings with every path changed: ``path``, ``…_path``, and what the class itself says by ``with_paths``."""
    own = getattr(method_class(kind, name), "with_paths", None)
    found: dict[str, object] = dict(settings) if own is None else own(settings, change)
    named = {key: value for key, value in found.items() if key == "path" or key.endswith("_path")}
    return found | {key: change(value) for key, value in named.items() if isinstance(value, str)}


def keeps_pixels(generator: str, settings: Mapping[str, object]) -> bool:
    """Whether a generator so set leaves pixels of training images in what it makes, on purpose.

    A class says so by ``keeps_pixels(settings)``; where it does not, none are left.
    """
    own = getattr(method_class("generators", generator), "keeps_pixels", None)
    return own is not None and bool(own(settings))


def settings_of(instance: object) -> dict[str, object]:
    """The settings of a method as plain values, for ``resolved.yaml``."""
    assert dataclasses.is_dataclass(instance)
    assert not isinstance(instance, type)
    plain: dict[str, object] = pydantic.TypeAdapter(type(instance)).dump_python(instance, mode="json")
    fields = {field.name for field in dataclasses.fields(instance) if field.init}
    return {key: value for key, value in plain.items() if key in fields and value is not None}
