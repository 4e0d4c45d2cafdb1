"""Our own methods keep the contracts that plug-in authors run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from twinset.alignment.copies import NearCopies
from twinset.alignment.density import Density
from twinset.alignment.duplicates import Duplicates
from twinset.contracts import AlignerContract, EditorContract, GeneratorContract, digits
from twinset.dataset import Dataset, Sample
from twinset.editing.classical import Classical
from twinset.editing.mixing import Mixup
from twinset.editing.sdedit import SDEdit
from twinset.formats import write
from twinset.generators.diffusion import Diffusion
from twinset.generators.folder import Folder
from twinset.randomness import Stream
from twinset.stages import Aligner, Editor, EditorMethod, Method, SetFilter, Slot


@dataclass(frozen=True)
class Blend:
    """A whole generator in twenty lines: the mean of two training images of a class."""

    weight: float = 0.5

    def fit(self, training: Dataset, *, rng: Stream) -> Blender:
        """Nothing to learn."""
        del rng
        return Blender(training, self.weight)


@dataclass(frozen=True)
class Blender:
    """Blends pairs."""

    training: Dataset
    weight: float

    def generate(self, slots: Sequence[Slot]) -> Iterator[Sample]:
        """One blend per slot."""
        for slot in slots:
            rows = [row for row, c in enumerate(self.training.class_ids) if c == slot.class_id]
            first, second = slot.rng.numpy().choice(rows, size=2)
            a, b = self.training[int(first)], self.training[int(second)]
            pixels = (self.weight * a.pixels() + (1 - self.weight) * b.pixels()).astype("uint8")
            yield slot.sample(pixels, method="blend", parents=[a.id, b.id])


@dataclass(frozen=True)
class Rigid(Blend):
    """Makes 8 × 8 pictures whatever it is shown."""

    def fit(self, training: Dataset, *, rng: Stream) -> Blender:
        """Blends small digits."""
        del training, rng
        return Blender(digits(), self.weight)


class OfRigid(GeneratorContract):
    def method(self) -> Method:
        return Rigid()


def test_a_generator_of_one_size_breaks_the_law_of_sizes() -> None:
    contract = OfRigid()
    contract.test_one_sample_per_slot_in_order()
    with pytest.raises(AssertionError):
        contract.test_pictures_have_the_size_of_the_training_images()


class TestBlend(GeneratorContract):
    def method(self) -> Method:
        return Blend()


class TestDiffusion(GeneratorContract):
    def method(self) -> Method:
        return Diffusion(
            family="unet",
            width=32,
            depth=1,
            levels=2,
            patch=2,
            steps=4,
            batch=16,
            augment=0.2,
            sampler_steps=3,
            sample_batch=8,
        )


class TestFolder(GeneratorContract):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        write(digits(300).take(range(100, 300)), tmp_path / "synthetic", "imagefolder")
        self.path = tmp_path / "synthetic"

    def method(self) -> Method:
        return Folder(str(self.path))


class TestClassical(EditorContract):
    def editor(self) -> Editor | EditorMethod:
        return Classical()


class TestMixup(EditorContract):
    def editor(self) -> Editor | EditorMethod:
        return Mixup()


class TestSDEdit(EditorContract):
    def editor(self) -> Editor | EditorMethod:
        return SDEdit(width=32, patch=2, steps=3, batch=16, augment=0.2, sampler_steps=3)


class TestNearCopies(AlignerContract):
    def aligner(self) -> Aligner | SetFilter:
        return NearCopies()


class TestDensity(AlignerContract):
    def aligner(self) -> Aligner | SetFilter:
        return Density()


class TestDuplicates(AlignerContract):
    def aligner(self) -> Aligner | SetFilter:
        return Duplicates()
