"""What a frontier study is asked, and everything that can be refused of it before anything is trained."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from twinset import __version__
from twinset.copytest import Known
from twinset.dataset import SplitName
from twinset.errors import DataError, MissingExtraError, MissingModelError, RunFolderError, UsageError
from twinset.generators.mean_embedding import LARGEST_SIDE
from twinset.pipeline.auditing import Audited, blind_baseline, release_of
from twinset.pipeline.fitting import check_training, sources_of
from twinset.pipeline.folders import run_folder
from twinset.pipeline.frontier.settings import Setting, settings_of
from twinset.pipeline.held_out import refuse_held_out
from twinset.pipeline.opening import check_models
from twinset.pipeline.real import RealData, load_real, prepare_real, read_real, refuse_another_dataset
from twinset.pipeline.reference_images import FEWEST, check_reference
from twinset.pipeline.reporting import Listener
from twinset.privacy.audit.model_release import FEWEST_UNITS, RELEASES, Release
from twinset.randomness import Stream
from twinset.recipe import FrontierPart, PrivacyPart, WrittenRecipe
from twinset.store import TEMPORARY, read_json, write_bytes, write_json
from twinset.threads import torch_threads

MARK = "study.json"
"""What a folder has that is a study."""

HELD_OUT: tuple[SplitName, ...] = ("validation", "test")


@dataclass(frozen=True, eq=False)
class Asked:
    """A study that can be made: its recipe and its settings, on these real images."""

    written: WrittenRecipe
    part: FrontierPart
    settings: tuple[Setting, ...]
    real: RealData
    notes: tuple[str, ...]

    @property
    def releases(self) -> tuple[Release, ...]:
        """What is to be weighed, where it can be."""
        return RELEASES if self.part.releases is None else self.part.releases

    def weighed(self, setting: Setting) -> tuple[Release, ...]:
        """The releases of a setting that are weighed."""
        return tuple(name for name, why in setting.weighed(self.releases).items() if not why)


def study_folder(written: WrittenRecipe, out: Path | None) -> Path:
    """``out``, or ``runs/NAME-KEY-frontier``."""
    place = run_folder(written, out)
    return place if out is not None else place.with_name(f"{place.name}-frontier")


def part_of(written: WrittenRecipe) -> FrontierPart:
    """What the recipe says of the study; the usual where it says nothing."""
    privacy = written.recipe.privacy
    return FrontierPart() if privacy is None or privacy.frontier is None else privacy.frontier


def with_minutes(written: WrittenRecipe, minutes: float | None) -> WrittenRecipe:
    """The recipe with another time for the whole study."""
    if minutes is None:
        return written
    if not 0 < minutes <= 10_000:
        raise UsageError(f"expected --minutes above 0; got {minutes:g}")
    part = part_of(written).model_copy(update={"minutes": minutes})
    privacy = written.recipe.privacy or PrivacyPart()
    recipe = written.recipe.model_copy(update={"privacy": privacy.model_copy(update={"frontier": part})})
    return replace(written, recipe=recipe)


@contextmanager
def asked_of(written: WrittenRecipe, listener: Listener) -> Iterator[tuple[Asked, Path]]:
    """The study, and a folder that holds its real images while the block lasts.

    Raises at once what a setting's run, its audit or its judgement would raise hours later.
    """
    part = part_of(written)
    if written.recipe.task not in ("auto", "classification"):
        raise _other_task(written.recipe.task)
    with tempfile.TemporaryDirectory(prefix="twinset-frontier-") as temporary:
        folder = Path(temporary)
        listener.stage("read the real images")
        dataset, report = read_real(written)
        if (found := dataset.task) != "classification":
            raise _other_task(found)
        real = prepare_real(written.recipe, dataset, report, folder)
        settings, notes = settings_of(written.recipe, part, real.spec)
        for setting in settings:
            notes += _checked(setting, real, folder)
        check_reference(settings[0].recipe, dataset)
        asked = Asked(written, part, tuple(settings), real, (*real.facts.notes, *dict.fromkeys(notes)))
        _check_numbers(real)
        _check_releases(asked)
        _check_sides(real, seed=written.recipe.seed)
        yield asked, folder


def _other_task(task: str) -> UsageError:
    return UsageError(
        f"expected images of classes (task classification) for a frontier study; got task {task}",
        hint="`twinset run` with privacy: {} audits a dataset of any task",
    )


def _checked(setting: Setting, real: RealData, folder: Path) -> list[str]:
    """What its run would refuse at once or after an hour; notes of it."""
    where = f"setting {setting.name}"
    try:
        check_models(setting.decided)
        sources = sources_of(setting.decided, folder)
        check_training(sources, real.dataset.classes, real.task)
        side = max(real.spec.height, real.spec.width)
        if side > LARGEST_SIDE and any(source.use == "mean-embedding" for source in sources):
            raise DataError(
                f"expected images of at most {LARGEST_SIDE} pixels a side for mean-embedding; got {side}",
                hint="image: {size: 32}, or another generator",
            )
        return [text for source in sources for text in refuse_held_out(source.method, real)]
    except (DataError, UsageError, MissingExtraError, MissingModelError) as error:
        kinds = (DataError, UsageError, MissingExtraError, MissingModelError)
        kind = next(kind for kind in kinds if isinstance(error, kind))
        raise kind(f"{where}: {error.message}", hint=error.hint) from error


def _check_numbers(real: RealData) -> None:
    """As many images, and families of them, as every audit needs."""
    parts: dict[str, tuple[SplitName, ...]] = {"training": ("train",), "held-out": HELD_OUT}
    for name, splits in parts.items():
        families = len(np.unique(real.part_families(*splits)))
        if families < max(FEWEST, FEWEST_UNITS):
            raise DataError(
                f"expected at least {max(FEWEST, FEWEST_UNITS)} {name} images that are no relatives, to audit with; "
                f"got {families}",
                hint="bring more images, or change split: in the recipe",
            )


def _check_releases(asked: Asked) -> None:
    """Every release that is asked for by name can be weighed of some setting."""
    for name in asked.part.releases or ():
        reasons = {one.name: one.weighed([name])[name] for one in asked.settings}
        if all(reasons.values()):
            raise UsageError(
                f"privacy.frontier.releases: expected a setting whose {name} can be weighed; got none: "
                f"{next(iter(reasons.values()))}",
                hint=f"leave {name} out, or add a setting with use: diffusion alone",
            )


def _check_sides(real: RealData, *, seed: int) -> None:
    """That training and held-out images cannot be told apart by somebody who saw no release: else no audit could clear
    any. It is the blind baseline of all audits of the study."""
    held_out, of_training = real.holdout, Known(real.training.class_ids, real.part_families("train"))
    of_held_out = Known(held_out.class_ids, real.part_families(*HELD_OUT))
    sides = Audited("", real.training, real.training, held_out, None, real.spec, of_training, of_held_out)
    with torch_threads(1):
        blind = blind_baseline(release_of(sides), rng=Stream(seed).child("audit").child("blind"))
    if blind is not None and not blind.at_chance:
        raise DataError(
            "expected training and held-out images that differ in nothing but the split; got some that are told "
            f"apart without any release (AUC {blind.auc:.2f}, {blind.low:.2f}…{blind.high:.2f}), so that every audit "
            "would be inconclusive",
            hint="one split in forty does so by chance: set another seed; if that does not help, the parts are of "
            "other kinds, and split: must mix them",
        )


def begin(folder: Path, asked: Asked, prepared: Path) -> None:
    """Makes the folder the study of this recipe, on the images that lie prepared; other folders are refused."""
    mark = folder / MARK
    key = _key(asked)
    if mark.exists():
        recorded = read_json(mark)
        if not isinstance(recorded, dict) or recorded.get("key") != key:
            raise RunFolderError(
                f"{folder}: expected the study of this recipe; got that of another one",
                hint="choose another --out; nothing was changed",
            )
        refuse_another_dataset(folder, asked.real.facts.digest)
        return
    ours = {"run.lock", "real", "split.json", "recipe.yaml"}
    present = sorted(path.name for path in folder.iterdir() if not path.name.startswith(TEMPORARY))
    if foreign := [name for name in present if name not in ours]:
        raise RunFolderError(
            f"{folder}: expected an empty folder; got {len(foreign)} other entries ({foreign[0]}, …)",
            hint="choose another --out; nothing was changed",
        )
    shutil.copytree(prepared / "real", folder / "real", dirs_exist_ok=True)
    shutil.copy2(prepared / "split.json", folder / "split.json")
    write_bytes(folder / "recipe.yaml", asked.written.recipe.to_yaml().encode())
    write_json(mark, {"key": key, "version": __version__, "created": time.strftime("%Y-%m-%dT%H:%M:%S%z")})


def _key(asked: Asked) -> str:
    """What decides the study: the recipe, and every setting as it is run."""
    values = [asked.written.digest(), [[one.name, one.recipe.to_values()] for one in asked.settings]]
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def same_split(first: RealData, other: Path) -> None:
    """An error if a setting's run divides the images otherwise, so that its figures would not compare."""
    found = load_real(other)
    if found.dataset.ids != first.dataset.ids or found.dataset.splits != first.dataset.splits:
        raise RunFolderError(
            f"{other}: expected the split that all settings share; got another", hint="begin a new study with --out"
        )


def parts_counted(real: RealData) -> dict[str, int]:
    """Images in each part of the split."""
    return {"training": len(real.training), **{name: len(real.part(name)) for name in HELD_OUT}}
