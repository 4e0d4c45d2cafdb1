"""Slots, siblings, labels of real backgrounds, folders, semantic maps."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydantic
import pytest
from PIL import Image

from twinset.annotations import Annotation
from twinset.dataset import Dataset, Sample
from twinset.errors import DataError
from twinset.generators.copypaste import CopyPaste
from twinset.generators.copypaste.settings import BLENDS
from twinset.instances import Instances
from twinset.randomness import Stream
from twinset.stages import Slot

Slots = Callable[..., list[Slot]]
Scene = Callable[[int], tuple[np.ndarray, list[tuple[int, np.ndarray]]]]


def equal(left: Sample, right: Sample) -> bool:
    same = left.id == right.id and left.annotation == right.annotation and left.origin == right.origin
    return same and np.array_equal(left.pixels(), right.pixels())


def objects(sample: Sample) -> Instances:
    assert sample.annotation is not None
    assert sample.annotation.instances is not None
    return sample.annotation.instances


@pytest.mark.slow
@pytest.mark.parametrize("siblings", [1, 3])
def test_a_slot_gives_one_sample_whatever_is_asked_with_it(masked: Dataset, slots: Slots, siblings: int) -> None:
    settings = CopyPaste(siblings=siblings, distractors=(0, 2), harmonise="colour")
    generator = settings.fit(masked, rng=0)
    together = list(generator.generate(slots(9)))
    backwards = list(generator.generate(slots(9)[::-1]))[::-1]
    copy = pickle.loads(pickle.dumps(settings.fit(masked, rng=0)))
    alone = [next(iter(copy.generate([slot]))) for slot in slots(9)]
    assert all(equal(a, b) and equal(a, c) for a, b, c in zip(together, backwards, alone, strict=True))
    assert len({sample.pixels().tobytes() for sample in together}) == 9


def test_siblings_share_labels_and_differ_in_blend(masked: Dataset, slots: Slots) -> None:
    generator = CopyPaste(siblings=6, blending=BLENDS).fit(masked, rng=0)
    made = list(generator.generate(slots(12)))
    for family in (made[:6], made[6:]):
        assert all(objects(sample) == objects(family[0]) for sample in family)
        assert [s.annotation.attributes["blend"] for s in family if s.annotation] == list(BLENDS)
        assert len({sample.pixels().tobytes() for sample in family}) == 6
        assert len({sample.origin.parents for sample in family}) == 1
    assert objects(made[0]) != objects(made[6])
    assert objects(next(iter(generator.generate(slots(1, digest="another recipe"))))) != objects(made[0])


def test_other_seeds_give_other_pictures(masked: Dataset) -> None:
    generator = CopyPaste().fit(masked, rng=0)
    one, other = generator.generate([Slot(0, 0, 1, 0, "r"), Slot(0, 1, 2, 0, "r")])
    assert objects(one) != objects(other)


def test_parents_are_the_training_pictures_that_were_used(masked: Dataset, slots: Slots) -> None:
    generator = CopyPaste().fit(masked, rng=0)
    for slot, sample in zip(slots(6), generator.generate(slots(6)), strict=True):
        layout = generator.layout(slot)
        used = {generator.cutouts.sources[generator.cutouts.source[o.cutout]] for o in layout.objects}
        assert sample.origin.parents[0] == masked.ids[layout.background]
        assert set(sample.origin.parents) <= used | {masked.ids[layout.background]}
        assert len(sample.origin.parents) > 1


def test_boxes_alone_give_boxes_alone(boxed: Dataset, slots: Slots) -> None:
    generator = CopyPaste().fit(boxed, rng=0)
    for sample in generator.generate(slots(5)):
        assert objects(sample).masks is None
        assert objects(sample).amodal_boxes is not None
        assert "visible_fraction" in objects(sample).columns


def test_grabcut_finds_the_objects_in_their_boxes(boxed: Dataset, truth: Scene) -> None:
    generator = CopyPaste(most_cutouts=1000).fit(boxed, rng=0)
    true_areas = sorted(int(mask.sum()) for i in range(24) for c, mask in truth(i)[1] if c == 0)
    alphas = [
        generator.cutouts.pictures[int(generator.cutouts.first[i])][..., 3] > 0 for i in range(len(generator.cutouts))
    ]
    areas = sorted(int(a.sum()) for a, c in zip(alphas, generator.cutouts.class_ids, strict=True) if c == 0)
    assert len(areas) == len(true_areas)
    assert np.median(np.abs(np.array(areas) / np.array(true_areas) - 1)) < 0.1
    assert "were cut out by GrabCut" in generator.remarks[0]
    words = generator.remarks[0].split()
    found, of = int(words[0]), int(words[2])
    assert of == len(generator.cutouts)
    assert found > 0.5 * of


def test_objects_of_real_backgrounds_keep_what_is_seen_of_them(masked: Dataset, slots: Slots) -> None:
    generator = CopyPaste(backgrounds="real", blending=("none",), placement="uniform", count=(8, 12)).fit(masked, rng=0)
    shrunk = lost = 0
    for slot, sample in zip(slots(20), generator.generate(slots(20)), strict=True):
        there = masked[generator.layout(slot).background]
        before, after = objects(there), objects(sample)
        changed = (there.pixels() != sample.pixels()).any(2)
        kept = [mask & ~changed for mask in before.dense_masks()]
        expected = [k for k, m in enumerate(kept) if m.sum() >= max(1, 0.1 * before.dense_masks()[k].sum())]
        for k, mask in zip(expected, after.dense_masks(), strict=False):
            assert np.array_equal(mask, kept[k])
        assert after.class_ids[: len(expected)].tolist() == before.class_ids[expected].tolist()
        shrunk += sum(bool((kept[k] != before.dense_masks()[k]).any()) for k in expected)
        lost += len(before) - len(expected)
        assert sample.annotation is not None
        assert sample.annotation.attributes["unlabelled_by_occlusion"] == len(before) - len(expected)
    assert shrunk > 5
    assert lost > 0


def test_distractors_lie_in_front_without_a_label(masked: Dataset, slots: Slots) -> None:
    plain = CopyPaste(blending=("none",), count=(0, 0), distractors=(3, 3)).fit(masked, rng=0)
    assert plain.backgrounds is not None
    for slot, sample in zip(slots(4), plain.generate(slots(4)), strict=True):
        assert len(objects(sample)) == 0
        assert (sample.pixels() != plain.backgrounds.pictures[plain.layout(slot).background]).any()
    covering = CopyPaste(blending=("none",), count=(6, 6), distractors=(8, 8)).fit(masked, rng=0)
    shares = [share for s in covering.generate(slots(12)) for share in objects(s).columns.get("visible_fraction", ())]
    assert min(float(share) for share in shares if share is not None) < 0.9


def test_regions_of_semantic_maps_are_moved_with_their_pixels(mapped: Dataset, slots: Slots) -> None:
    generator = CopyPaste(blending=("none",), flip=False, jitter=0.1).fit(mapped, rng=0)
    assert "disc" in generator.remarks[0]
    moved = 0
    for slot, sample in zip(slots(12), generator.generate(slots(12)), strict=True):
        layout = generator.layout(slot)
        background = mapped[layout.background]
        assert background.annotation is not None
        assert background.annotation.semantic is not None
        expected, canvas = background.annotation.semantic.dense(), background.pixels().copy()
        for placed in layout.objects:  # rearmost first; regions are only moved
            rgba = generator.cutouts.pictures[int(generator.cutouts.first[placed.cutout])]
            x, y = (int(v) for v in placed.matrix[:, 2])
            rows, columns = (index + shift for index, shift in zip(np.nonzero(rgba[..., 3]), (y, x), strict=True))
            inside = (rows >= 0) & (rows < expected.shape[0]) & (columns >= 0) & (columns < expected.shape[1])
            expected[rows[inside], columns[inside]] = placed.class_id
            canvas[rows[inside], columns[inside]] = rgba[rows[inside] - y, columns[inside] - x, :3]
            assert generator.cutouts.sources[generator.cutouts.source[placed.cutout]] != background.id
            if not placed.truncated:
                assert inside.all()
        assert sample.annotation is not None
        assert sample.annotation.semantic is not None
        if sample.annotation.attributes["left_out"] == 0:
            assert np.array_equal(sample.annotation.semantic.dense(), expected)
            assert np.array_equal(sample.pixels(), canvas)
            moved += len(layout.objects)
    assert moved > 20


def test_cutouts_and_backgrounds_of_folders(masked: Dataset, slots: Slots, tmp_path: Path) -> None:
    for name, colour in (("disc", (250, 0, 250)), ("bar", (0, 250, 250))):
        rgba = np.zeros((20, 30, 4), dtype=np.uint8)
        rgba[4:16, 5:25] = (*colour, 255)
        (tmp_path / "cuts" / name).mkdir(parents=True)
        Image.fromarray(rgba).save(tmp_path / "cuts" / name / "a.png")
    (tmp_path / "grounds").mkdir()
    Image.fromarray(np.full((80, 90, 3), 9, dtype=np.uint8)).save(tmp_path / "grounds" / "g.png")
    settings = CopyPaste(
        foreground_path=str(tmp_path / "cuts"),
        background_path=str(tmp_path / "grounds"),
        blending=("none",),
        rotation_degrees=0,
    )
    generator = settings.pinned().fit(masked, rng=0)
    colours = set()
    for sample in generator.generate(slots(10)):
        assert sample.pixels().shape == (80, 90, 3)
        assert sample.origin.parents == ()
        colours |= {tuple(c) for c in sample.pixels().reshape(-1, 3).tolist()}
    assert colours <= {(9, 9, 9), (250, 0, 250), (0, 250, 250)}
    assert len(colours) == 3
    Image.fromarray(np.zeros((8, 8, 3), dtype=np.uint8)).save(tmp_path / "grounds" / "other.png")
    with pytest.raises(DataError, match="resolved with"):
        settings.pinned().__class__(**{**vars(settings), "content": "0" * 64}).fit(masked, rng=0)
    with pytest.raises(DataError, match="expected a folder of cut-outs"):
        CopyPaste(foreground_path=str(tmp_path / "nowhere")).fit(masked, rng=0)


def test_folders_without_anything_of_use_are_refused_before_a_fit(masked: Dataset, tmp_path: Path) -> None:
    for name in ("known/bar", "unknown/bar", "unknown/gnome", "empty/bar"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("known", "unknown"):
        Image.fromarray(np.full((9, 9, 3), 200, dtype=np.uint8)).save(tmp_path / name / "bar" / "a.png")

    def check(**settings: object) -> None:
        CopyPaste(**settings).check_training(masked.classes, "detection")  # type: ignore[arg-type]

    check(foreground_path=str(tmp_path / "known"), background_path=str(tmp_path / "known"))
    check(distractor_path=str(tmp_path / "empty"))  # no distractors are asked for
    for wrong, got in (
        ({"foreground_path": str(tmp_path / "unknown")}, "for some of the classes disc, bar; got gnome"),
        ({"foreground_path": str(tmp_path / "empty")}, "expected a folder of cut-outs .* got none"),
        ({"foreground_path": str(tmp_path / "nowhere")}, "expected a folder of cut-outs .* got none"),
        ({"background_path": str(tmp_path / "empty")}, "expected pictures; got none"),
        ({"distractor_path": str(tmp_path / "empty"), "distractors": (1, 2)}, "expected pictures; got none"),
    ):
        with pytest.raises(DataError, match=got):
            check(**wrong)
    with pytest.raises(ValueError, match="expected names of folders; got an empty one"):
        CopyPaste(background_path="")


def test_procedural_backgrounds_have_training_sizes_and_no_background_parent(masked: Dataset, slots: Slots) -> None:
    generator = CopyPaste(backgrounds="procedural", count=(0, 0)).fit(masked, rng=0)
    made = list(generator.generate(slots(4)))
    assert {sample.pixels().shape for sample in made} == {(96, 128, 3)}
    assert all(sample.origin.parents == () for sample in made)
    assert len({sample.pixels().tobytes() for sample in made}) == 4


def forgotten(dataset: Dataset) -> Dataset:
    """The same pictures with the labels of all bars and of the first disc of each; other discs lost theirs."""
    samples = []
    for sample in dataset:
        known = objects(sample)
        discs = np.flatnonzero(known.class_ids == 0)
        kept = known.take(np.setdiff1d(np.arange(len(known)), discs[1:]))
        samples.append(Sample(sample.id, Annotation(instances=kept), image=sample.pixels()))
    return Dataset.of(samples, classes=dataset.classes)


def test_what_nobody_labelled_leaves_backgrounds_and_distractors_where_that_is_asked_for(masked: Dataset) -> None:
    reds = {}
    for fill in ("labelled", "alike"):
        generator = CopyPaste(fill=fill, distractors=(1, 3)).fit(forgotten(masked), rng=0)  # type: ignore[arg-type]
        cutouts = generator.cutouts
        assert generator.backgrounds is not None
        shown = [*generator.backgrounds.pictures]
        shown += [cutouts.pictures[int(cutouts.first[i])][..., :3] for i in np.flatnonzero(cutouts.class_ids < 0)]
        reds[fill] = sum(int((pixels.astype(int) @ [1, -1, 0] > 100).sum()) for pixels in shown)
    assert reds["alike"] < 0.1 * reds["labelled"]


def test_grey_pictures_stay_grey(masked: Dataset, slots: Slots) -> None:
    grey = [Sample(s.id, s.annotation, image=s.pixels()[..., :1].copy()) for s in masked]
    generator = CopyPaste(harmonise="colour").fit(Dataset.of(grey, classes=masked.classes), rng=0)
    assert {sample.pixels().shape[2] for sample in generator.generate(slots(4))} == {1}


def test_memory_beyond_the_limit_is_encoded_and_gives_the_same_pictures(masked: Dataset, slots: Slots) -> None:
    from twinset.generators.copypaste.stores import pack

    generator = CopyPaste().fit(masked, rng=0)
    pictures = generator.cutouts.pictures
    small = pack((pictures[i] for i in range(len(pictures))), limit_bytes=1000)
    assert small.encoded
    assert not pictures.encoded
    assert all(np.array_equal(small[i], pictures[i]) for i in range(len(pictures)))


def test_data_without_objects_are_refused() -> None:
    empty = Sample("a", Annotation(instances=Instances.none((20, 20))), image=np.zeros((20, 20, 3), dtype=np.uint8))
    with pytest.raises(DataError, match="expected objects"):
        CopyPaste().fit(Dataset.of([empty], classes=["x"]), rng=0)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"blending": ()}, "distinct ways of blending"),
        ({"blending": ("alpha", "alpha")}, "distinct ways of blending"),
        ({"siblings": 5}, "siblings"),
        ({"truncation": 1.5}, "truncation"),
        ({"min_visible": 0.0}, "min_visible"),
        ({"count": (5, 2)}, "count"),
        ({"scale": (0.0, 1.0)}, "scale"),
        ({"stretch": 0.5}, "stretch"),
        ({"placement": "context", "backgrounds": "procedural"}, "pictures as backgrounds"),
        ({"fill": "alike", "backgrounds": "real"}, "inpainted training pictures as backgrounds for fill 'alike'"),
        ({"fill": "alike", "background_path": "photos"}, "inpainted training pictures as backgrounds"),
        ({"placement": "everywhere"}, "uniform"),
        ({"target": {"log_area": [{"mean": 0, "std": -1}]}}, "std"),
        ({"target": {"class_shares": {"disc": -1}}}, "class_shares"),
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(pydantic.ValidationError, match=message):
        pydantic.TypeAdapter(CopyPaste).validate_python(wrong)


def test_settings_come_back_from_their_plain_values() -> None:
    target = {"log_area": [{"mean": -4, "std": 0.3}], "per_class": {"disc": {"centre_y": [{"mean": 0.4, "std": 0.1}]}}}
    adapter = pydantic.TypeAdapter(CopyPaste)
    settings = adapter.validate_python({"target": target, "count": [1, 4], "blending": ["none"]})
    assert adapter.validate_python(adapter.dump_python(settings, mode="json")) == settings


def test_a_training_picture_with_nothing_pasted_on_it_never_goes_out() -> None:
    # Half of the pictures show nothing, so half of the layouts are empty.
    rng = Stream(3).numpy()
    samples = []
    for number in range(12):
        pixels = rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)
        boxes = np.array([[4, 6, 20, 22]], dtype=np.float32) if number % 2 else np.zeros((0, 4), dtype=np.float32)
        objects = Instances((40, 48), np.zeros(len(boxes), dtype=np.int64), boxes)
        samples.append(Sample(str(number), Annotation(instances=objects), image=pixels))
    training = Dataset.of(samples, classes=["a"])
    real = {sample.pixels().tobytes() for sample in training}
    for backgrounds in ("inpainted", "real"):
        generator = CopyPaste(backgrounds=backgrounds).fit(training, rng=0)
        made = generator.sample(60, rng=1)
        assert not real & {sample.pixels().tobytes() for sample in made}
    with pytest.raises(DataError, match="expected something pasted"):
        CopyPaste(backgrounds="real", count=(0, 0)).fit(training, rng=0).sample(1, rng=1)
