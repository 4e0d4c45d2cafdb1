"""What a plug-in must keep, as pytest suites that its author runs.

    from twinset.contracts import GeneratorContract

    class TestMine(GeneratorContract):
        def method(self):
            return MyMethod()

Each test states one law. ``training()`` gives 60 small grey digits; override it to bring your own. What is said of
sizes must hold for these images and for the same ones half as tall again: recipes may ask for any size.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import cast

import numpy as np

from twinset.dataset import Dataset, Sample
from twinset.images import ImageSpec
from twinset.randomness import Stream, seed_for
from twinset.stages import Aligner, Editor, EditorMethod, Generator, Method, SetFilter, Slot


def digits(count: int = 60) -> Dataset:
    """The first ``count`` real digits, 8 × 8 grey."""
    return _all_digits().take(range(count))


@lru_cache(maxsize=1)
def _all_digits() -> Dataset:
    """Read once: every law asks for them, and no dataset ever changes."""
    from twinset.formats import read

    return read("builtin:digits", on_bad_input="refuse")[0]


def taller(dataset: Dataset) -> Dataset:
    """The same samples with pictures half as tall again, so that height and width cannot be mixed up."""
    height, width, channels = dataset[0].pixels().shape
    spec = ImageSpec(height + height // 2, width, channels)
    samples = [replace(sample, image=spec.prepare(sample.pixels()), path=None, sha256=None) for sample in dataset]
    return Dataset.of(samples, classes=dataset.classes, splits=dataset.splits, name=dataset.name)


def slots(dataset: Dataset, count: int = 12, *, attempt: int = 0) -> list[Slot]:
    """Slots that go round the classes."""
    return [
        Slot(
            index=index,
            attempt=attempt,
            seed=seed_for("contract", index, attempt),
            class_id=index % len(dataset.classes),
            recipe_digest="contract",
            rank=index // len(dataset.classes),
        )
        for index in range(count)
    ]


def same(left: Sample, right: Sample) -> bool:
    """Whether two samples are equal in id, labels, origin and every pixel."""
    return (
        left.id == right.id
        and left.annotation == right.annotation
        and left.origin == right.origin
        and np.array_equal(left.pixels(), right.pixels())
    )


def _shapes(samples: Iterable[Sample]) -> set[tuple[int, ...]]:
    return {sample.pixels().shape for sample in samples}


class GeneratorContract:
    """Laws of a generator. Subclass it and give :meth:`method`."""

    def method(self) -> Method:
        """The method under test."""
        raise NotImplementedError("override method() with your own")

    def training(self) -> Dataset:
        """Real images to fit on."""
        return digits()

    def fitted(self, seed: int = 0) -> Generator:
        """A fitted generator."""
        return self.method().fit(self.training(), rng=Stream(seed))

    def generate(self, wanted: Sequence[Slot], seed: int = 0) -> list[Sample]:
        """What a fitted generator makes of these slots."""
        return list(self.fitted(seed).generate(wanted))

    def test_one_sample_per_slot_in_order(self) -> None:
        wanted = slots(self.training())
        assert [sample.id for sample in self.generate(wanted)] == [slot.id for slot in wanted]

    def test_samples_are_labelled_and_say_where_they_come_from(self) -> None:
        training = self.training()
        for slot, sample in zip(slots(training), self.generate(slots(training)), strict=True):
            assert sample.annotation is not None
            assert sample.annotation.class_id == slot.class_id
            assert sample.origin.synthetic
            assert (sample.origin.seed, sample.origin.recipe_digest) == (slot.seed, slot.recipe_digest)

    def test_pictures_have_the_size_of_the_training_images(self) -> None:
        training = self.training()
        assert _shapes(self.generate(slots(training))) == _shapes(training.take([0]))
        tall = taller(training)
        assert _shapes(self.method().fit(tall, rng=Stream(0)).generate(slots(tall))) == _shapes(tall.take([0]))

    def test_equal_seeds_give_equal_samples(self) -> None:
        wanted = slots(self.training())
        assert all(same(a, b) for a, b in zip(self.generate(wanted), self.generate(wanted), strict=True))

    def test_a_sample_does_not_depend_on_later_slots(self) -> None:
        wanted = slots(self.training())
        generator = self.fitted()
        alone, together = list(generator.generate(wanted[:1])), list(generator.generate(wanted))
        assert same(alone[0], together[0])

    def test_parents_are_training_images(self) -> None:
        training = self.training()
        known = set(training.ids)
        for sample in self.generate(slots(training)):
            assert set(sample.origin.parents) <= known

    def test_pickles_to_workers(self) -> None:
        wanted = slots(self.training(), 4)
        generator = self.fitted()
        other = cast(Generator, pickle.loads(pickle.dumps(generator)))  # our own bytes, made one line above
        assert all(same(a, b) for a, b in zip(generator.generate(wanted), other.generate(wanted), strict=True))


class EditorContract:
    """Laws of an editor. Subclass it and give :meth:`editor` an editor or a method that fits one."""

    def editor(self) -> Editor | EditorMethod:
        """The editor under test."""
        raise NotImplementedError("override editor() with your own")

    def training(self) -> Dataset:
        """Real images to edit."""
        return digits()

    def fitted(self) -> Editor:
        """An editor that is ready."""
        return self._fitted_on(self.training())

    def _fitted_on(self, training: Dataset) -> Editor:
        editor = self.editor()
        return editor.fit(training, rng=Stream(0)) if isinstance(editor, EditorMethod) else editor

    def test_the_parent_is_recorded(self) -> None:
        sample = self.training()[0]
        assert sample.id in self.fitted().edit(sample, rng=Stream(1)).origin.parents

    def test_the_sample_keeps_its_size_and_a_label(self) -> None:
        training = self.training()
        for editor, sample in ((self.fitted(), training[0]), (self._fitted_on(taller(training)), taller(training)[0])):
            edited = editor.edit(sample, rng=Stream(1))
            assert edited.pixels().shape == sample.pixels().shape
            assert edited.annotation is not None

    def test_equal_streams_give_equal_edits(self) -> None:
        sample, editor = self.training()[0], self.fitted()
        first, second = editor.edit(sample, rng=Stream(1)), editor.edit(sample, rng=Stream(1))
        assert np.array_equal(first.pixels(), second.pixels())

    def test_the_original_is_left_alone(self) -> None:
        sample = self.training()[0]
        before = sample.pixels().copy()
        self.fitted().edit(sample, rng=Stream(1))
        assert np.array_equal(sample.pixels(), before)


class AlignerContract:
    """Laws of an aligner. Subclass it and give :meth:`aligner`."""

    def aligner(self) -> Aligner | SetFilter:
        """The aligner under test."""
        raise NotImplementedError("override aligner() with your own")

    def test_a_reason_or_none_for_every_sample(self) -> None:
        everything = digits(180)
        synthetic = everything.take(range(120, 180))
        assert len(self._reasons(synthetic, everything)) == len(synthetic)

    def test_judgement_does_not_depend_on_later_samples(self) -> None:
        everything = digits(180)
        synthetic = everything.take(range(120, 180))
        whole = self._reasons(synthetic, everything)
        assert self._reasons(synthetic.take(range(10)), everything)[:10] == whole[:10]

    def _reasons(self, synthetic: Dataset, everything: Dataset) -> tuple[str | None, ...]:
        aligner = self.aligner()
        if isinstance(aligner, SetFilter):
            return aligner.judge_set(synthetic, accepted=None)
        fitted = aligner.fit(
            everything.take(range(120, 180)),
            training=everything.take(range(60)),
            holdout=everything.take(range(60, 120)),
            spec=ImageSpec(*everything[0].pixels().shape),
            rng=Stream(0),
        )
        return fitted.judge(synthetic).reasons
