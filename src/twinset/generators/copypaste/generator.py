"""The fitted generator: slot by slot, a layout, a composition, a picture with its labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from twinset.annotations import Annotation
from twinset.dataset import Dataset, Sample
from twinset.errors import DataError
from twinset.generators.copypaste import labels
from twinset.generators.copypaste.backgrounds import Backgrounds, Noise
from twinset.generators.copypaste.compositing import Settled, paint, settle
from twinset.generators.copypaste.layout import Layout, Placement, Scene, draw_layout
from twinset.generators.copypaste.marginals import RANKS, Configuration
from twinset.generators.copypaste.regions import Regions, draw_regions
from twinset.generators.copypaste.settings import Blend, CopyPaste
from twinset.generators.copypaste.stores import Cutouts
from twinset.images import Pixels
from twinset.instances import Instances
from twinset.randomness import RandomSource, Stream, seed_for
from twinset.semantic import SemanticMap
from twinset.stages import Slot
from twinset.threads import opencv_threads

MOST_DRAWS = 50
"""Layouts that are drawn until one changes its background."""


@dataclass(frozen=True, eq=False)
class CopyPasteGenerator:
    """Pastes cut-outs on backgrounds. A picture depends on the fit and its slot alone.

    With ``siblings`` > 1, slots ``siblings·g … siblings·g + siblings − 1`` of one attempt share layout ``g``, which is
    drawn from the recipe's digest, and differ in their way of blending. ``attributes`` of a sample name the blend and
    count what was left out of the layout; its parents are the training pictures in it, the background's first.
    The slot's class makes no difference: a picture holds what the placement puts in it.
    """

    settings: CopyPaste
    classes: tuple[str, ...]
    cutouts: Cutouts
    backgrounds: Backgrounds | None
    noise: Noise | None
    placement: Placement | None
    regions: Regions | None
    grey: bool
    with_masks: bool
    remarks: tuple[str, ...] = ()

    def __repr__(self) -> str:
        on = f"{len(self.backgrounds)} backgrounds" if self.backgrounds is not None else "procedural backgrounds"
        return f"CopyPasteGenerator({len(self.cutouts)} cut-outs of {len(self.classes)} classes, {on})"

    def generate(self, slots: Sequence[Slot]) -> Iterator[Sample]:
        """One sample per slot, in order."""
        held: tuple[Stream | None, Settled | None, Pixels | None] = (None, None, None)
        for slot in slots:
            stream = self._layout_stream(slot)
            with opencv_threads(1):
                if held[0] != stream:
                    settled, background = self._settled(stream)
                    held = (stream, settled, background)
                assert held[1] is not None
                assert held[2] is not None
                sample = self._sample(slot, held[1], held[2])
            yield sample

    def sample(self, wanted: int, *, rng: RandomSource) -> Dataset:
        """A dataset of ``wanted`` pictures."""
        if wanted < 1:
            raise ValueError(f"expected at least one picture; got {wanted}")
        stream = Stream.of(rng)
        digest = f"interactive-{stream.seed}"
        slots = [Slot(index, 0, stream.child("slot", index).seed, 0, digest) for index in range(wanted)]
        return Dataset.of(self.generate(slots), classes=self.classes, name="synthetic")

    @property
    def space(self) -> Mapping[str, tuple[float, float]]:
        """Bounds of every parameter of a :class:`Configuration`: what training shows, and half its spread beyond."""
        placement = self._steerable()
        tables = placement.steering.pooled.tables
        found: dict[str, tuple[float, float]] = {}
        for name in ("log_area", "log_aspect", "centre_y"):
            table = tables[name]
            low, high = (float(v) for v in np.interp([0.005, 0.995], RANKS, table))
            if not np.isfinite(low + high):
                low, high = -1.5, 1.5
            rim = 0.5 * max(high - low, 0.1)
            found[f"{name}_mean"], found[f"{name}_std"] = (low - rim, high + rim), (0.02, 2 * rim)
        found["log_area_mean"] = (found["log_area_mean"][0], min(found["log_area_mean"][1], -0.1))
        found["centre_y_mean"], found["centre_y_std"] = (0.0, 1.0), (0.01, 0.5)
        most = float(max(placement.counts.counts.sum(1).max(initial=1), (placement.counts.range or (0, 1))[1]))
        found["count_mean"], found["count_std"] = (0.0, 1.5 * most), (0.0, most)
        return found

    def configured(self, weighted: Sequence[tuple[float, Configuration]]) -> CopyPasteGenerator:
        """The same generator, following these configurations in proportion to their weights.

        An object follows one of them; where any speaks of the count, all objects of a picture follow the same.
        """
        if not weighted or any(not weight > 0 for weight, _ in weighted):
            raise ValueError(f"expected configurations with weights > 0; got {list(weighted)}")
        placement = self._steerable()
        plain = tuple((float(weight), configuration) for weight, configuration in weighted)
        steering = placement.steering.following(plain, Stream(0).child("components").numpy())
        return replace(self, placement=replace(placement, steering=steering))

    def _steerable(self) -> Placement:
        if self.placement is None:
            raise ValueError("expected a generator of objects with boxes; got one that recomposes semantic maps")
        return self.placement

    def layout(self, slot: Slot) -> Layout:
        """What would be laid where in this slot's picture."""
        return self._settled(self._layout_stream(slot))[0].layout

    def _layout_stream(self, slot: Slot) -> Stream:
        siblings = self.settings.siblings
        if siblings == 1:
            return slot.rng.child("layout")
        return Stream(seed_for(slot.recipe_digest, "copypaste", slot.index // siblings, slot.attempt))

    def _blend(self, slot: Slot) -> Blend:
        ways = self.settings.blending
        if self.settings.siblings > 1:
            return ways[slot.index % self.settings.siblings]
        return ways[int(slot.rng.child("blend").numpy().integers(len(ways)))]

    def _drawn(self, stream: Stream) -> tuple[Layout, Pixels]:
        draws = stream.child("layout").numpy()
        if self.backgrounds is None:
            assert self.noise is not None
            size = self.noise.size(draws)
            scene = Scene(-1, -1, size, np.zeros((0, 4), dtype=np.float32))
            background = self.noise.picture(size, stream.child("background").numpy())
        else:
            row = int(draws.integers(len(self.backgrounds)))
            background = self.backgrounds.pictures[row]
            there = self.backgrounds.labels[row]
            standing = there.boxes if isinstance(there, Instances) else np.zeros((0, 4), dtype=np.float32)
            size = (background.shape[0], background.shape[1])
            scene = Scene(row, int(self.backgrounds.scenes[row]), size, standing)
        if self.regions is not None:
            own = self.backgrounds.ids[scene.row] if self.backgrounds is not None else ""
            layout = draw_regions(
                self.regions, self.cutouts, self.settings, background=scene.row, own=own, size=size, draws=draws
            )
        else:
            assert self.placement is not None
            layout = draw_layout(self.placement, self.cutouts, self.settings, scene, draws=draws)
        return layout, background

    def _settled(self, stream: Stream) -> tuple[Settled, Pixels]:
        """What a picture shows. A training picture with nothing pasted on it is no synthetic one: it is drawn again.

        :class:`DataError` where nothing but training pictures as they are comes of it.
        """
        settings = self.settings
        for number in range(MOST_DRAWS):
            layout, background = self._drawn(stream if number == 0 else stream.child("again", number))
            settled = settle(layout, self.cutouts, min_visible=settings.min_visible, truncation=settings.truncation)
            if settled.objects or not self._is_as_it_was(settled.layout.background):
                return settled, background
        raise DataError(
            f"expected something pasted on a training picture; got nothing in {MOST_DRAWS} layouts",
            hint="give backgrounds of your own (background_path), backgrounds: procedural, or a higher count",
        )

    def _is_as_it_was(self, row: int) -> bool:
        """Whether a background is a training picture with nothing taken out of it."""
        if self.backgrounds is None or self.backgrounds.scenes[row] < 0:
            return False
        if self.placement is None or self.settings.backgrounds == "real":
            return True
        return not self.placement.counts.counts[int(self.backgrounds.scenes[row])].any()

    def _sample(self, slot: Slot, settled: Settled, background: Pixels) -> Sample:
        how = self._blend(slot)
        angle = float(slot.rng.child("motion").numpy().uniform(0, np.pi))
        pixels = paint(
            background, settled, self.cutouts, how, harmonise=self.settings.harmonise == "colour", angle=angle
        )
        there = None if self.backgrounds is None else self.backgrounds.labels[settled.layout.background]
        attributes: dict[str, str | int] = {"blend": how, "left_out": settled.left_out}
        if isinstance(there, SemanticMap):
            annotation = Annotation(semantic=labels.semantic(settled, there), attributes=attributes)
        else:
            objects, lost = labels.instances(
                settled, there, with_masks=self.with_masks, min_visible=self.settings.min_visible
            )
            attributes |= {"unlabelled_by_occlusion": lost} if there is not None else {}
            annotation = Annotation(instances=objects, attributes=attributes)
        parents, licence = self._parents(settled)
        pixels = np.ascontiguousarray(pixels[..., :1]) if self.grey else pixels
        return slot.sample(pixels, method="copypaste", annotation=annotation, parents=parents, licence=licence)

    def _parents(self, settled: Settled) -> tuple[tuple[str, ...], str | None]:
        """Ids of the training pictures that are in it, and their licences, joined where they differ."""
        found: dict[str, str | None] = {}
        row = settled.layout.background
        if self.backgrounds is not None:
            found[self.backgrounds.ids[row]] = self.backgrounds.licences[row]
        for seen in settled.objects:
            source = int(self.cutouts.source[seen.placed.cutout])
            found.setdefault(self.cutouts.sources[source], self.cutouts.licences[source])
        licences = sorted({licence for licence in found.values() if licence is not None})
        return tuple(name for name in found if name), " AND ".join(licences) or None
