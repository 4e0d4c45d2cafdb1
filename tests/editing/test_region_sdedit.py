from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from twinset.annotations import Annotation, Instances, SemanticMap
from twinset.dataset import Dataset, Sample
from twinset.editing.grain import too_grainy
from twinset.editing.region_sdedit import RegionEditor, RegionSDEdit, inpainted
from twinset.editing.regions import region_of, windows
from twinset.images import ImageSpec, to_model
from twinset.masks import Rle
from twinset.models.choices import DiffusionChoices
from twinset.models.diffusion import DiffusionModel
from twinset.models.preconditioning import Denoiser
from twinset.randomness import Stream
from twinset.stages import CalibratedMethod, ResumableEditorMethod, Workspace

SIZE = (48, 64)
CLASSES = ("disc", "bar")
QUICK = RegionSDEdit(
    family="unet",
    width=32,
    depth=1,
    levels=1,
    patch=2,
    steps=3,
    batch=8,
    augment=0.0,
    sampler_steps=4,
    looks=0,
    side=16,
)


class Gaussian(Denoiser):
    """The exact denoiser of independent pixels, normal with ``mean`` and ``std``; it notes what it is asked."""

    def __init__(self, mean: float, std: float) -> None:
        torch.nn.Module.__init__(self)
        self.mean, self.std, self.sigma_data = mean, std, std
        self.asked: list[tuple[float, torch.Tensor]] = []

    @property
    def null_class(self) -> int:
        return 2

    def forward(
        self, x: torch.Tensor, sigma: torch.Tensor, class_ids: torch.Tensor, augmentation: torch.Tensor
    ) -> torch.Tensor:
        self.asked.append((float(sigma[0]), x.clone()))
        level = sigma[:, None, None, None].square()
        return (self.std**2 * x + level * self.mean) / (self.std**2 + level)


def exact(mean: float = -0.4, std: float = 0.1, *, side: int = 16, channels: int = 1) -> DiffusionModel:
    settings = DiffusionChoices(sampler_steps=30).settings()
    return DiffusionModel(Gaussian(mean, std), ImageSpec(side, side, channels), 3, settings)


def half() -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    unknown = np.zeros((16, 16), dtype=np.bool_)
    unknown[:, 8:] = True
    return unknown


def test_unknown_pixels_come_from_the_model_and_known_ones_stay() -> None:
    pixels = Stream(0).numpy().integers(256, size=(16, 16, 1)).astype(np.uint8)
    made = [inpainted(exact(), pixels, 0, half(), strength=1.0, rng=Stream(seed)) for seed in range(20)]
    new = np.concatenate([picture[:, 8:].ravel() for picture in made]) / 127.5 - 1
    for picture in made:
        np.testing.assert_array_equal(picture[:, :8], pixels[:, :8])
    assert new.mean() == pytest.approx(-0.4, abs=0.01)
    assert new.std() == pytest.approx(0.1, rel=0.06)


def test_the_network_sees_the_known_pixels_with_just_the_noise_of_the_level() -> None:
    pixels = Stream(0).numpy().integers(256, size=(16, 16, 1)).astype(np.uint8)
    model = exact()
    inpainted(model, pixels, 0, half(), strength=0.7, rng=Stream(1))
    known = to_model(pixels[None])[..., :8]
    assert isinstance(model.denoiser, Gaussian)
    noises = [(x[..., :8] - known) / sigma for sigma, x in model.denoiser.asked if sigma > 0.1]
    assert len(noises) > 5
    for noise in noises[1:]:
        torch.testing.assert_close(noise, noises[0], atol=1e-2, rtol=1e-2)
    assert float(noises[0].std()) == pytest.approx(1, abs=0.15)


def test_little_strength_changes_little() -> None:
    pixels = np.full((16, 16, 1), 200, np.uint8)
    change = [
        np.abs(inpainted(exact(), pixels, 0, half(), strength=s, rng=Stream(3)).astype(int) - 200)[:, 8:].mean()
        for s in (0.02, 0.3, 0.5, 1.0)
    ]
    assert change[0] < 3
    assert change == sorted(change)


def scene(number: int = 0, *, masks: bool = True) -> Sample:
    """A grey disc on noise, and a bar."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    disc, bar = (x - 20) ** 2 + (y - 24) ** 2 < 100, (x > 40) & (x < 60) & (y > 8) & (y < 14)
    pixels = Stream(number).numpy().integers(100, size=(*SIZE, 3)).astype(np.uint8)
    pixels[disc], pixels[bar] = 180, 250
    both = tuple(Rle.of(mask) for mask in (disc, bar))
    boxes = np.array([mask.box() for mask in both])
    instances = Instances(SIZE, np.array([0, 1]), boxes, both if masks else None)
    return Sample(f"scene{number}", Annotation(instances=instances), image=pixels)


def editor(**settings: float | str) -> RegionEditor:
    return RegionEditor(exact(0.2, 0.2, channels=3), replace(QUICK, **settings))  # type: ignore[arg-type]


@pytest.mark.parametrize("masks", [True, False])
@pytest.mark.parametrize("side", [8, 16, 40])
def test_only_the_inside_of_one_object_changes_and_all_labels_stay(masks: bool, side: int) -> None:
    sample = scene(masks=masks)
    assert sample.annotation is not None
    instances = sample.annotation.instances
    assert instances is not None
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    inside = (
        instances.dense_masks()
        if masks
        else np.stack([(x >= b[0]) & (x < b[2]) & (y >= b[1]) & (y < b[3]) for b in instances.boxes])
    )
    seen = set()
    for seed in range(8):
        made = replace(editor(strength=1.0), model=exact(0.2, 0.2, side=side, channels=3)).edit(
            sample, rng=Stream(seed)
        )
        changed = (made.pixels() != sample.pixels()).any(2)
        which = [row for row in range(2) if changed[inside[row]].any()]
        assert len(which) == 1
        assert not changed[~inside[which[0]]].any()
        assert changed[inside[which[0]]].mean() > 0.9
        assert made.annotation == sample.annotation
        assert made.origin.parents == (sample.id,)
        seen.add(which[0])
    assert seen == {0, 1}


def test_a_neighbour_in_the_same_box_stays_as_it_was() -> None:
    sample = scene(masks=False)
    assert sample.annotation is not None
    boxes = np.array([[4, 4, 34, 34], [24, 20, 54, 40], [8, 8, 14, 14]], dtype=np.float32)
    objects = Instances(SIZE, np.array([0, 1, 0]), boxes)
    sample = replace(sample, annotation=Annotation(instances=objects))
    seen = set()
    for seed in range(20):
        changed = (editor(strength=1.0).edit(sample, rng=Stream(seed)).pixels() != sample.pixels()).any(2)
        share = {row: changed[y1:y2, x1:x2].mean() for row, (x1, y1, x2, y2) in enumerate(boxes.astype(int).tolist())}
        which = max(share, key=lambda row: share[row])
        seen.add(which)
        assert not changed[20:34, 24:34].any()  # both of the large ones
        if which == 2:
            assert share[2] > 0.9  # in front of the first
            assert changed.sum() == changed[8:14, 8:14].sum()
        if which == 0:
            assert not changed[8:14, 8:14].any()
    assert seen == {0, 1, 2}


def test_the_background_changes_and_no_object_does() -> None:
    sample = scene()
    assert sample.annotation is not None
    assert sample.annotation.instances is not None
    for seed in range(6):
        made = editor(region="background", strength=0.8).edit(sample, rng=Stream(seed))
        changed = (made.pixels() != sample.pixels()).any(2)
        assert changed.sum() > 50
        for x1, y1, x2, y2 in sample.annotation.instances.boxes.astype(int).tolist():
            assert not changed[y1:y2, x1:x2].any()


def test_background_is_where_there_are_no_objects() -> None:
    corner = np.array([[0, 0, 64, 30], [0, 30, 40, 48]], dtype=np.float32)  # 24 × 18 pixels are free
    annotation = Annotation(instances=Instances(SIZE, np.array([0, 1]), corner))
    regions = [
        region_of(annotation, SIZE, "background", Stream(seed).numpy(), context=1.5, background=2) for seed in range(40)
    ]
    shares = np.array([region.inside.mean() for region in regions])
    assert (shares >= 0.95).mean() > 0.6
    assert shares.mean() > 0.8
    assert {region.class_id for region in regions} == {2}
    nothing = Annotation(instances=Instances.none(SIZE))
    free = region_of(nothing, SIZE, "background", Stream(0).numpy(), context=1.5, background=2)
    assert free.inside.shape == (24, 24)
    assert free.inside.all()


def test_one_class_of_a_map_changes_and_a_class_alone_has_a_box_changed() -> None:
    ids = np.zeros(SIZE, dtype=int)
    ids[:, 30:] = 1
    ids[:5] = -1
    mapped = replace(scene(), annotation=Annotation(semantic=SemanticMap.of(ids)))
    for seed in range(6):
        changed = (editor(strength=1.0).edit(mapped, rng=Stream(seed)).pixels() != mapped.pixels()).any(2)
        assert len({int(c) for c in ids[changed]}) == 1
        assert not changed[ids < 0].any()
    plain = replace(scene(), annotation=Annotation(class_id=1))
    changed = (editor(strength=1.0).edit(plain, rng=Stream(0)).pixels() != plain.pixels()).any(2)
    assert 0.15 < changed.mean() <= 0.25
    with pytest.raises(ValueError, match="without an annotation"):
        editor().edit(replace(scene(), annotation=None), rng=Stream(0))


def test_detail_stays_at_low_strength() -> None:
    """The model's pixels are coarser than the picture's: what it cannot see it must not blur away."""
    sample = scene()
    fine = np.where(np.add.outer(np.arange(SIZE[0]), np.arange(SIZE[1])) % 2, 140, 220).astype(np.uint8)
    sample = replace(sample, image=np.repeat(fine[..., None], 3, axis=2))
    small = replace(editor(strength=0.05), model=exact(0.2, 0.2, side=8, channels=3)).edit(sample, rng=Stream(0))
    assert np.abs(small.pixels().astype(int) - sample.pixels()).max() < 20


def test_a_model_that_leaves_noise_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    smooth = np.repeat(np.linspace(90, 110, 16), 16).reshape(1, 16, 16, 1).repeat(8, 0).astype(np.uint8)
    ids = np.zeros(8, dtype=np.int64)
    assert too_grainy(exact(0.0, 0.004), smooth, ids, rng=Stream(0)) == ()
    (told,) = too_grainy(exact(0.0, 0.1), smooth, ids, rng=Stream(0))
    # A pixel less the mean of four others, all normal: √(2/π · 5/4) · 0.1 · 127.5 grey levels over a floor of one half.
    assert float(told.split(" times")[0].split(" ")[-1]) == pytest.approx(np.sqrt(2.5 / np.pi) * 12.75 / 0.5, rel=0.1)
    monkeypatch.setattr("twinset.editing.region_sdedit.too_grainy", lambda *_, **__: ("grainy",))
    data = Dataset.of([scene(n) for n in range(4)], classes=CLASSES)
    assert QUICK.fit(data, rng=Stream(0)).remarks == ("grainy",)


def test_many_steps_where_there_is_time_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twinset.models.calibration.seconds_per_step", lambda *_, **__: 0.1)
    spec = ImageSpec(240, 320, 3)
    few, many = (
        RegionSDEdit().resolve(spec, n_classes=3, n_training=80, seconds=seconds, threads=1) for seconds in (100, 10000)
    )
    assert few.steps == 750
    assert many.steps is not None
    assert many.steps > 4000


def test_windows_show_what_they_are_called() -> None:
    data = Dataset.of([scene(n) for n in range(4)], classes=CLASSES)
    learnt = windows(data, side=16, context=1.5, rng=Stream(0))
    assert learnt.classes == ("disc", "bar", "background")
    assert learnt.class_counts() == {"disc": 4, "bar": 4, "background": 4}
    for sample in learnt:
        assert sample.pixels().shape == (16, 16, 3)
        assert sample.annotation is not None
        middle, lightest = sample.pixels()[7:9, 7:9].mean(), sample.pixels().max()
        assert {0: 170 < middle < 190, 1: lightest > 230, 2: True}[sample.annotation.class_id or 0]
    taken = Dataset.of([scene()], classes=("background", "bar"))
    assert windows(taken, side=8, context=1, rng=Stream(0)).classes[-1] == "background_"
    with pytest.raises(ValueError, match="expected training images"):
        windows(Dataset.of([replace(scene(), annotation=None)], classes=CLASSES), side=8, context=1, rng=Stream(0))


def test_windows_at_the_border_stay_inside_the_picture() -> None:
    corner = Instances(SIZE, np.array([0]), np.array([[58, 40, 64, 48]]))
    region = region_of(Annotation(instances=corner), SIZE, "object", Stream(0).numpy(), context=2, background=2)
    assert (region.rows, region.columns) == (slice(32, 48), slice(48, 64))
    assert region.inside.sum() == 48
    assert region.inside[8:, 10:].all()


def test_it_fits_loads_and_resumes(tmp_path: Path) -> None:
    assert isinstance(QUICK, ResumableEditorMethod)
    assert isinstance(QUICK, CalibratedMethod)
    data = Dataset.of([scene(n) for n in range(4)], classes=CLASSES)
    fitted = QUICK.fit(data, rng=2, workspace=Workspace(folder=tmp_path, holdout=data))
    assert fitted.model.n_classes == 3
    loaded = QUICK.load(tmp_path)
    made = [e.edit(data[1], rng=Stream(1)).pixels() for e in (fitted, loaded, QUICK.fit(data, rng=2))]
    np.testing.assert_array_equal(made[0], made[1])
    np.testing.assert_array_equal(made[0], made[2])
    assert not np.array_equal(made[0], fitted.edit(data[1], rng=Stream(2)).pixels())


def test_settings_out_of_range_are_refused() -> None:
    for values in ({"strength": 0}, {"side": 2}, {"context": 0.5}, {"feather": 0.9}):
        with pytest.raises(ValueError, match="expected"):
            RegionSDEdit(**values)  # type: ignore[arg-type]
