"""Classes by an attribute: what a conditional generator learns, draws and says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from twinset.annotations import PAIR, Annotation
from twinset.dataset import Dataset
from twinset.errors import DataError, RunFolderError
from twinset.families import families
from twinset.formats import read
from twinset.generators.cells import CELLS_FILE, Cells
from twinset.generators.diffusion import Diffusion, DiffusionGenerator
from twinset.models.private.accounting import Privacy
from twinset.provenance import Provenance, encode_with_provenance, read_provenance
from twinset.randomness import Stream
from twinset.stages import ConditionalMethod, Slot, Workspace

TINY = Diffusion(
    family="unet",
    width=32,
    depth=1,
    levels=1,
    patch=2,
    steps=4,
    batch=8,
    augment=0.0,
    sampler_steps=3,
    sample_batch=4,
    looks=1,
    by="pen",
)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return some_digits(0)


def some_digits(first: int) -> Dataset:
    """Ten digits of each of three classes; of class 2 no thick ones, and of every fifth image the pen is unknown."""
    pool, _ = read("builtin:digits", on_bad_input="refuse")
    rows = np.concatenate([np.flatnonzero(pool.class_ids == c)[first : first + 10] for c in range(3)])
    samples = []
    for at, sample in enumerate(pool.take(rows)):
        class_id = int(pool.class_ids[rows[at]])
        pen = None if at % 5 == 4 else "thick" if at % 5 == 0 and class_id != 2 else "thin"
        told = Annotation(class_id=class_id, attributes={} if pen is None else {"pen": pen})
        samples.append(replace(sample, annotation=told))
    return Dataset.of(samples, classes=("0", "1", "2"))


@pytest.fixture(scope="module")
def generator(digits: Dataset) -> DiffusionGenerator:
    return TINY.fit(digits, rng=1)


def slot(index: int, class_id: int, value: str | None, **given: int) -> Slot:
    attribute = None if value is None else ("pen", value)
    return Slot(
        index, 0, given.get("seed", 100 + index), class_id, "digest", attribute=attribute, pair=given.get("pair")
    )


def test_cells_are_what_the_training_images_have_with_unknown_values_apart(digits: Dataset) -> None:
    cells = Cells.of(digits, "pen")
    assert [(cell.class_id, cell.value, cell.images) for cell in cells.cells] == [
        (0, "thick", 2),
        (0, "thin", 6),
        (0, None, 2),
        (1, "thick", 2),
        (1, "thin", 6),
        (1, None, 2),
        (2, "thin", 8),
        (2, None, 2),
    ]
    assert cells.shares == pytest.approx((1 / 3, 1 / 3, 1 / 3))
    labels = cells.relabelled(digits).class_ids
    assert np.bincount(labels).tolist() == [2, 6, 2, 2, 6, 2, 8, 2]
    assert [cells.cells[label].class_id for label in labels] == digits.class_ids.tolist()


def test_held_out_images_of_a_cell_without_training_images_are_no_other_cell(digits: Dataset) -> None:
    cells = Cells.of(digits, "pen")
    other = replace(digits[29], annotation=Annotation(class_id=2, attributes={"pen": "thick"}))
    held = cells.relabelled(Dataset.of([other], classes=digits.classes))
    assert held.class_ids.tolist() == [len(cells.cells) + 2]


def test_values_are_drawn_in_training_proportions_and_never_the_unknown_ones(digits: Dataset) -> None:
    cells = Cells.of(digits, "pen")
    drawn = np.array([cells.drawn(0, Stream(3).child(n)) for n in range(400)])
    assert set(drawn.tolist()) == {0, 1}
    assert np.mean(drawn == 0) == pytest.approx(0.25, abs=0.06)
    only_unknown = Dataset.of(
        [*digits, replace(digits[0], id="odd", annotation=Annotation(class_id=3))], classes=("0", "1", "2", "3")
    )
    lone = Cells.of(only_unknown, "pen")
    assert lone.attributes(lone.drawn(3, Stream(0))) == {}


def test_typed_values_come_back_as_they_were_and_are_asked_for_by_name(digits: Dataset) -> None:
    numbered = Dataset.of(
        [replace(s, annotation=Annotation(class_id=0, attributes={"age": at % 2})) for at, s in enumerate(digits)],
        classes=("0",),
    )
    cells = Cells.of(numbered, "age")
    assert cells.attributes(cells.number(0, "1")) == {"age": 1}


def test_an_attribute_that_no_image_has_is_refused(digits: Dataset) -> None:
    with pytest.raises(DataError, match=r"got 'age', which none has"):
        Cells.of(digits, "age")
    with pytest.raises(DataError, match="pairs of synthetic images"):
        Cells.of(digits, PAIR)


def test_it_takes_a_condition_and_its_images_say_so(generator: DiffusionGenerator) -> None:
    assert isinstance(TINY, ConditionalMethod)
    made = list(generator.generate([slot(0, 0, "thick"), slot(1, 2, "thin"), slot(2, 1, None)]))
    told = [sample.annotation for sample in made]
    assert [each.class_id for each in told if each] == [0, 2, 1]
    assert [dict(each.attributes) for each in told[:2] if each] == [{"pen": "thick"}, {"pen": "thin"}]
    assert told[2] is not None
    assert told[2].attributes["pen"] in ("thick", "thin")


def test_the_condition_reaches_the_network(generator: DiffusionGenerator) -> None:
    thick, thin = (next(iter(generator.generate([slot(0, 0, value)]))).pixels() for value in ("thick", "thin"))
    assert not np.array_equal(thick, thin)


def test_a_cell_without_training_images_and_another_attribute_are_refused(generator: DiffusionGenerator) -> None:
    with pytest.raises(ValueError, match="got class '2' with pen 'thick'"):
        list(generator.generate([slot(0, 2, "thick")]))
    with pytest.raises(ValueError, match="fitted by 'age'"):
        list(generator.generate([Slot(0, 0, 1, 0, "d", attribute=("age", "1"))]))


def test_slots_of_a_pair_begin_at_one_noise_and_stay_in_one_family(generator: DiffusionGenerator) -> None:
    """At the first step all that differs is the condition; of two seeds the noise differs, too."""
    pairs = generator.pairs([0, 1, 2], rng=5)
    assert pairs.class_ids.tolist() == [0, 0, 1, 1, 2]
    assert pairs.attribute("pen") == ["thick", "thin", "thick", "thin", "thin"]
    assert pairs.attribute(PAIR) == ["000000-0", "000000-0", "000002-0", "000002-0", "000004-0"]
    seeds = [sample.origin.seed for sample in pairs]
    assert seeds[0] == seeds[1] != seeds[2] == seeds[3]
    kin = families(pairs)
    assert kin[0] == kin[1] != kin[2] == kin[3]
    pixels = np.stack([sample.pixels() for sample in pairs]).astype(float)
    within = np.abs(pixels[0] - pixels[1]).mean() + np.abs(pixels[2] - pixels[3]).mean()
    apart = np.abs(pixels[0] - pixels[3]).mean() + np.abs(pixels[1] - pixels[2]).mean()
    assert within < apart


def test_real_images_with_an_attribute_of_that_name_are_no_pair(digits: Dataset) -> None:
    real = [replace(s, annotation=Annotation(class_id=0, attributes={PAIR: "x"})) for s in digits.take([0, 1])]
    assert len(set(families(Dataset.of(real, classes=("0",))).tolist())) == 2


def test_the_pair_stands_in_the_file_itself_and_files_without_one_are_as_before(generator: DiffusionGenerator) -> None:
    first = generator.pairs([0], rng=5)[0]
    found = read_provenance(encode_with_provenance(first))
    assert found == Provenance.of(first)
    assert found is not None
    assert found.pair == "000000-0"
    (alone,) = generator.generate([slot(0, 0, "thick")])
    assert b"twinset:pair" not in encode_with_provenance(alone)


def test_a_loaded_generator_makes_the_same_images_of_the_same_cells(digits: Dataset, tmp_path: Path) -> None:
    fitted = TINY.fit(digits, rng=1, workspace=Workspace(folder=tmp_path, holdout=some_digits(10)))
    loaded = TINY.load(tmp_path)
    assert loaded.cells == fitted.cells
    assert loaded.classes == digits.classes
    wanted = [slot(0, 0, "thick"), slot(5, 1, None)]
    for left, right in zip(fitted.generate(wanted), loaded.generate(wanted), strict=True):
        assert np.array_equal(left.pixels(), right.pixels())
        assert left.annotation == right.annotation
    (tmp_path / CELLS_FILE).write_text(json.dumps({"by": "pen"}))
    with pytest.raises(RunFolderError, match="expected the cells"):
        TINY.load(tmp_path)


def test_few_images_and_unknown_values_are_told(generator: DiffusionGenerator) -> None:
    few, unknown = generator.remarks[-2:]
    assert "5 of 5 cells of class and pen have fewer than 10 training images (the least 2)" in few
    assert "6 training images say nothing of pen" in unknown


def test_privacy_and_a_condition_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="expected by or privacy; got both"):
        Diffusion(by="pen", privacy=Privacy(5.0))


def test_a_generator_of_classes_takes_no_condition(digits: Dataset) -> None:
    plain = replace(TINY, by=None).fit(digits, rng=1)
    with pytest.raises(ValueError, match="got one that learnt classes"):
        list(plain.generate([slot(0, 0, "thick")]))
    with pytest.raises(ValueError, match="got one that learnt classes"):
        plain.pairs([0], rng=1)
