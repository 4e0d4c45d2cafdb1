"""Held-out images among the pictures that a run is given beside its dataset: never pasted, and told where followed."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import twinset
from twinset.dataset import Dataset
from twinset.errors import DataError
from twinset.formats import read, write
from twinset.generators.copypaste import CopyPaste
from twinset.generators.folder import Folder
from twinset.images import ImageSpec, Pixels, resize
from twinset.pipeline import dry_run
from twinset.pipeline.held_out import copies_in, held_out_among, refuse_held_out
from twinset.pipeline.image_sizes import looking_spec
from twinset.pipeline.real import RealData, RealFacts
from twinset.pipeline.reporting import Quiet
from twinset.recipe import recipe_from_values

PARTS = {"train": 10, "validation": 6, "test": 6}
QUICK = {
    "minutes": 1,
    "count": 8,
    "shard_size": 8,
    "seed": 5,
    "threads": 1,
    "evaluate": {"fidelity": False, "metadata": False, "utility": "off"},
    "gate": {"copies": "off"},
}


@pytest.fixture(scope="module")
def scenes() -> Dataset:
    dataset, _ = read("builtin:digit-scenes")
    splits = np.asarray(dataset.splits, dtype=object)
    return dataset.take(np.concatenate([np.flatnonzero(splits == name)[:n] for name, n in PARTS.items()]))


@pytest.fixture(scope="module")
def real(scenes: Dataset) -> RealData:
    facts = RealFacts("0", "scenes", None, "", (), (), "instance-segmentation")
    return RealData(scenes, np.arange(len(scenes)), looking_spec(scenes), facts)


def first(real: RealData, split: str) -> Pixels:
    return real.part(split)[0].pixels()  # type: ignore[arg-type]


def put(path: Path, pixels: Pixels, *, quality: int | None = None) -> Path:
    """A picture as PNG, or as JPEG of this quality."""
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    shown = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    shown.save(buffer, "PNG" if quality is None else "JPEG", **({} if quality is None else {"quality": quality}))
    path.write_bytes(buffer.getvalue())
    return path


def test_copies_are_found_as_they_are_when_a_dataset_is_split(real: RealData, tmp_path: Path) -> None:
    pixels = first(real, "test")
    files = [
        put(tmp_path / "train.png", first(real, "train")),
        put(tmp_path / "equal.png", pixels),
        put(tmp_path / "recompressed.jpg", pixels, quality=70),
        put(tmp_path / "larger.png", resize(pixels, 2 * pixels.shape[0], 2 * pixels.shape[1])),
        put(tmp_path / "validation.png", first(real, "validation")),
        put(tmp_path / "noise.png", np.random.default_rng(0).integers(0, 256, pixels.shape).astype(np.uint8)),
    ]
    found = held_out_among(files, real)
    assert [(one.file.stem, one.split) for one in found] == [
        ("equal", "test"),
        ("recompressed", "test"),
        ("larger", "test"),
        ("validation", "validation"),
    ]
    assert {one.id for one in found[:3]} == {real.part("test").ids[0]}
    assert held_out_among([], real) == []


def test_each_copy_is_named_with_the_picture_that_it_copies(scenes: Dataset) -> None:
    assert copies_in(scenes.take([3, 7, 12]), scenes.take([12, 3])) == {0: 1, 2: 0}


@pytest.mark.parametrize("name", ["background_path", "foreground_path", "distractor_path"])
@pytest.mark.parametrize("split", ["validation", "test"])
def test_held_out_images_are_not_pasted(name: str, split: str, real: RealData, tmp_path: Path) -> None:
    put(tmp_path / "here" / real.dataset.classes[0] / "mine.png", first(real, "train"))
    method = CopyPaste(**{name: str(tmp_path / "here")})  # type: ignore[arg-type]
    refuse_held_out(method, real)
    leak = put(tmp_path / "here" / real.dataset.classes[0] / "leak.jpg", first(real, split), quality=80)
    with pytest.raises(DataError, match=f"got 1 that are also {split} images") as caught:
        refuse_held_out(method, real)
    assert str(leak) in str(caught.value)
    assert real.part(split).ids[0] in str(caught.value)  # type: ignore[arg-type]
    assert "take them out of the folder" in str(caught.value.hint)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("split", ["validation", "test"])
def test_held_out_images_are_not_handed_out_as_synthetic(
    split: str, scenes: Dataset, real: RealData, tmp_path: Path
) -> None:
    twin = scenes.where([part == "train" for part in scenes.splits]).with_splits([None] * PARTS["train"])
    write(twin, tmp_path / "twin", "coco")
    assert refuse_held_out(Folder(str(tmp_path / "twin")), real) == ()
    leaking = twin.concat(real.part(split).take([1, 0]).with_splits([None] * 2))  # type: ignore[arg-type]
    write(leaking, tmp_path / "leaking", "coco")
    with pytest.raises(DataError, match=f"got 2 that are also {split} images, first .*{real.part(split).ids[1]}") as e:  # type: ignore[arg-type]
        refuse_held_out(Folder(str(tmp_path / "leaking")), real)
    assert str(e.value).startswith(f"{tmp_path / 'leaking'}: expected synthetic images that are no held-out images")
    assert "take them out of the folder" in str(e.value.hint)


@pytest.mark.slow
def test_near_copies_of_held_out_images_are_counted_not_refused(
    scenes: Dataset, real: RealData, tmp_path: Path
) -> None:
    near = real.part("test").take([0, 1, 2])
    brighter = (replace(s, image=np.clip(s.pixels() * 0.9 + 9, 0, 255).astype(np.uint8), path=None) for s in near)
    write(Dataset.of([*brighter, real.training[0]], classes=scenes.classes), tmp_path / "twin", "coco")
    (told,) = refuse_held_out(Folder(str(tmp_path / "twin")), real)
    assert told.startswith("Folder twin: of 4 images, 3 that are also test images, or near copies of such")
    run = ran(scenes, tmp_path, generate=[{"use": "folder", "path": str(tmp_path / "twin")}], count=4)
    assert told in json.loads((run / "models" / "0-folder" / "fitted.json").read_text())["remarks"]
    assert "or near copies of such" in (run / "report.html").read_text()


def test_images_of_classes_are_compared_at_the_size_of_the_run(tmp_path: Path) -> None:
    """At 8 × 8 pixels the run sees what a larger file was: a held-out image blown up is that image again."""
    digits, _ = read("builtin:digits")
    digits = digits.take(range(60))
    names = ["train"] * 20 + ["validation"] * 20 + ["test"] * 20
    facts = RealFacts("0", "digits", None, "", (), (), "classification")
    real = RealData(digits.with_splits(names), np.arange(60), ImageSpec(8, 8, 1), facts)
    blown_up = replace(digits[45], image=digits[45].pixels().repeat(3, 0).repeat(3, 1))
    shown = real.spec.prepare(blown_up.pixels())
    held = [replace(s, image=shown) if s.id == digits.ids[45] else s for s in real.dataset]
    real = replace(real, dataset=Dataset.of(held, classes=digits.classes, splits=names))
    write(Dataset.of([digits[3], blown_up], classes=digits.classes), tmp_path / "twin", "imagefolder")
    with pytest.raises(DataError, match="got 1 that are also test images"):
        refuse_held_out(Folder(str(tmp_path / "twin")), real)


@pytest.mark.parametrize("use", ["folder", "copypaste"])
def test_the_plan_finds_what_the_run_would_refuse(use: str, scenes: Dataset, tmp_path: Path) -> None:
    test = scenes.where([split == "test" for split in scenes.splits]).with_splits([None] * PARTS["test"])
    write(scenes, tmp_path / "real", "coco")
    write(test, tmp_path / "twin", "coco")
    name = "path" if use == "folder" else "background_path"
    source = {"use": use, name: str(tmp_path / "twin")}
    written = recipe_from_values({"data": str(tmp_path / "real"), **QUICK, "generate": [source]})
    with pytest.raises(DataError, match="no held-out images; got 6 that are also test images"):
        dry_run(written, workers=1, device="cpu", listener=Quiet())


def ran(scenes: Dataset, folder: Path, **changes: object) -> Path:
    write(scenes, folder / "real", "coco")
    twinset.run({"data": str(folder / "real"), **QUICK, **changes}, out=folder / "run", workers=1, quiet=True)
    return folder / "run"


def test_a_run_ends_before_it_makes_anything_of_held_out_images(scenes: Dataset, tmp_path: Path) -> None:
    test = scenes.where([split == "test" for split in scenes.splits])
    put(tmp_path / "grounds" / "leak.png", test[2].pixels())
    pasting = [{"use": "copypaste", "background_path": str(tmp_path / "grounds")}]
    with pytest.raises(DataError, match=r"leak\.png: expected pictures for copypaste that are no held-out images"):
        ran(scenes, tmp_path, generate=pasting)
    assert not (tmp_path / "run" / "plan.parquet").exists()


@pytest.mark.slow
@pytest.mark.parametrize("leaks", [True, False])
def test_a_target_of_held_out_images_is_told_as_transductive(leaks: bool, scenes: Dataset, tmp_path: Path) -> None:
    everything, _ = read("builtin:digit-scenes")
    splits = np.asarray(everything.splits, dtype=object)
    others = everything.take(np.flatnonzero(splits == "test")[-6:])
    shown = scenes.where([split == "test" for split in scenes.splits]) if leaks else others
    for row, sample in enumerate(shown):
        put(tmp_path / "deployment" / f"{row}.png", sample.pixels())
    target = {"path": str(tmp_path / "deployment"), "steps": 8, "size": [48, 48]}
    run = ran(scenes, tmp_path, target=target)
    sentences = json.loads((run / "models" / "target.json").read_text())["sentences"]
    told = [sentence for sentence in sentences if "transductive" in sentence]
    assert bool(told) == leaks == ("transductive" in (run / "report.html").read_text())
    if leaks:
        assert told[0].startswith("Deployment images: of 6, 6 that are also test images")
