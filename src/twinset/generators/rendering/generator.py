"""The fitted renderer: slot by slot a scene, its picture, its labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from twinset.annotations import Annotation, DepthMap, NormalMap
from twinset.dataset import Dataset, Sample
from twinset.errors import UnshownError
from twinset.generators.copypaste.placement import Boxes
from twinset.generators.rendering.backdrops import Backdrops, Place
from twinset.generators.rendering.backends import backend_of
from twinset.generators.rendering.drawing import (
    STEERED,
    Drawing,
    check_configuration,
    ranges_of,
    space_of,
    steered_by,
)
from twinset.generators.rendering.labels import attributes_of, instances_of, labelled, too_hidden
from twinset.generators.rendering.layout import Layouts, outline_of, rest_as_wanted, spanned
from twinset.generators.rendering.meshes import Mesh
from twinset.generators.rendering.placement import draw_camera, extent, float_freely, rest_on_ground
from twinset.generators.rendering.raster import Rasterizer
from twinset.generators.rendering.scene import CostlyRenderer, Frame, Light, Placed, Renderer, Scene
from twinset.generators.rendering.sensor import Lens, sensed
from twinset.generators.rendering.settings import FOLLOWED, Rendering
from twinset.images import convert_channels
from twinset.instances import AttributeValue
from twinset.randomness import RandomSource, Stream
from twinset.stages import Configuration, Parameter, Slot
from twinset.threads import opencv_threads

DRAWN = 40
"""Scenes that are tried for a picture of one object."""


@dataclass(frozen=True, eq=False)
class Shape:
    """A mesh, the name of its shape, what a family made it with, and how it lies in its file (:class:`Placed`)."""

    mesh: Mesh
    shape_id: str
    values: Mapping[str, Parameter] = field(default_factory=dict)
    frame: NDArray[np.float64] | None = None

    @cached_property
    def outline(self) -> NDArray[np.float64]:
        """(P, 3) the outermost vertices."""
        return outline_of(self.mesh)


@dataclass(frozen=True, eq=False)
class Rendered:
    """One scene as drawn: through its lens, with what the labels need."""

    scene: Scene
    lens: Lens
    frame: Frame
    alone: tuple[NDArray[np.bool_], ...]
    left_out: int
    parents: tuple[str, ...]
    close_up: bool = False


@dataclass(frozen=True, eq=False)
class RenderingGenerator:
    """Draws scenes. A picture depends on the fit and its slot alone.

    ``shapes`` holds the shapes of each class, ``shares`` (C,) how often a class is drawn. For classification a picture
    shows one object of the slot's class. ``attributes`` of a sample count what found no place or was hidden; its
    parents are the training picture behind the objects, where there is one.
    """

    settings: Rendering
    classes: tuple[str, ...]
    task: str
    sizes: NDArray[np.int64]
    shapes: tuple[tuple[Shape, ...], ...]
    shares: NDArray[np.float64]
    backdrops: Backdrops
    things: tuple[Shape, ...] = ()
    grey: bool = False
    layouts: Layouts | None = None
    steered: tuple[str, ...] = STEERED
    following: tuple[tuple[float, Configuration], ...] = ()
    remarks: tuple[str, ...] = ()

    def __repr__(self) -> str:
        shapes = sum(len(shapes) for shapes in self.shapes)
        return f"RenderingGenerator({shapes} shapes of {len(self.classes)} classes, backdrop {self.backdrops.kind})"

    def generate(self, slots: Sequence[Slot]) -> Iterator[Sample]:
        """One sample per slot, in order."""
        with backend_of(self.settings.backend).open(self.settings.quality) as renderer:
            for slot in slots:
                with opencv_threads(1):
                    sample = self._sample(slot, renderer)
                yield sample

    def sample(self, wanted: int, *, rng: RandomSource) -> Dataset:
        """A dataset of ``wanted`` pictures."""
        if wanted < 1:
            raise ValueError(f"expected at least one picture; got {wanted}")
        stream = Stream.of(rng)
        digest = f"interactive-{stream.seed}"
        slots = [
            Slot(index, 0, stream.child("slot", index).seed, index % len(self.classes), digest)
            for index in range(wanted)
        ]
        return Dataset.of(self.generate(slots), classes=self.classes, name="synthetic")

    @cached_property
    def keypoint_names(self) -> tuple[str, ...]:
        """All names of keypoints that shapes of the classes have, in alphabetical order."""
        return tuple(sorted({name for shapes in self.shapes for shape in shapes for name in shape.mesh.keypoints}))

    @property
    def space(self) -> Mapping[str, tuple[float, float]]:
        """Bounds of every parameter of a configuration: mean and standard deviation of what is steered."""
        return space_of(self.steered)

    def configured(self, weighted: Sequence[tuple[float, Configuration]]) -> RenderingGenerator:
        """The same generator; every picture follows one of these configurations, in proportion to their weights."""
        if not weighted or any(not weight > 0 for weight, _ in weighted):
            raise ValueError(f"expected configurations with weights > 0; got {list(weighted)}")
        for _, configuration in weighted:
            check_configuration(configuration)
        return replace(self, following=tuple((float(weight), dict(values)) for weight, values in weighted))

    @property
    def shape_parameters(self) -> Mapping[str, Mapping[str, Mapping[str, Parameter]]]:
        """Of every class that is drawn the ids of its shapes, each with what its family made it with."""
        stock = zip(self.classes, self.shapes, strict=True)
        return {name: {shape.shape_id: shape.values for shape in shapes} for name, shapes in stock if shapes}

    def without(self, shapes: Mapping[str, Sequence[str]]) -> RenderingGenerator:
        """The same generator without these shapes of these classes; what it draws else stays as likely as it was."""
        for name, gone in shapes.items():
            known = self.shape_parameters.get(name, {})
            if not known or set(gone) - set(known) or set(known) <= set(gone):
                raise ValueError(f"expected some, not all, of the {len(known)} shapes of {name!r}; got {list(gone)}")
        left = [
            tuple(shape for shape in stock if shape.shape_id not in shapes.get(name, ()))
            for name, stock in zip(self.classes, self.shapes, strict=True)
        ]
        return replace(self, shapes=tuple(left))

    @property
    def follows_layouts(self) -> bool:
        """Whether places, areas, aspects and numbers all follow the boxes of the training pictures."""
        return set(self.settings.follow) == set(FOLLOWED)

    def following_layouts(self) -> RenderingGenerator:
        """The same generator, whose objects rest on the ground and follow the training boxes in all of these."""
        if self.layouts is None:
            raise ValueError("expected training pictures with boxes of classes that are drawn; got none")
        return replace(self, settings=replace(self.settings, placement="surface", follow=FOLLOWED))

    def steered_by(self, measures: Sequence[str]) -> RenderingGenerator:
        """The same generator with a space of what moves these metadata measures; ValueError where nothing does."""
        return replace(self, steered=steered_by(measures))

    def guess(self, means: Mapping[str, float], stds: Mapping[str, float]) -> Configuration:
        """A first configuration: sizes by the root of the area, places and numbers as they are, else the settings."""
        height, width = (float(side) for side in self.sizes.mean(0))
        wanted = {
            name: ((low + high) / 2, (high - low) / 4)
            for name, (low, high) in ranges_of(self.settings).items()
            if name in self.steered
        }
        if "box_area" in means:
            across = 0.5 * np.log(height * width) - np.log(max(height, width))
            wanted["size"] = (0.5 * means["box_area"] + across, 0.5 * stds["box_area"])
        same = {name: name for name in ("centre_x", "centre_y", "count", "sun_strength", "ambient")}
        for name, measure in (same | {"elevation_degrees": "camera_elevation_degrees"}).items():
            if measure in means:
                wanted[name] = (means[measure], stds[measure])
        space = self.space
        flat = {
            f"{name}_{kind}": v for name, pair in wanted.items() for kind, v in zip(("mean", "std"), pair, strict=True)
        }
        return {name: float(np.clip(flat[name], *bounds)) for name, bounds in space.items()}

    def scene(self, slot: Slot) -> Scene:
        """What the picture of this slot shows, before its lens and sensor: what would hardly be seen is not in it."""
        with opencv_threads(1):
            return self.rendered(slot, Rasterizer(samples=1)).scene

    def rendered(self, slot: Slot, renderer: Renderer) -> Rendered:
        """The scene of this slot, drawn, with everything that would hardly be seen taken out.

        A picture with a class of its own shows its object: scenes are drawn until one does, at most :data:`DRAWN` times
        (then :class:`UnshownError`).
        """
        if self.task != "classification":
            return self._rendered(slot, renderer)
        for again in range(DRAWN):
            seed = slot.rng.child("again", again).seed if again else slot.seed
            found = self._rendered(replace(slot, seed=seed), renderer)
            if labelled(found.scene):
                return found
        raise UnshownError(
            f"expected a picture that shows its {self.classes[slot.class_id]}; got none in {DRAWN} scenes",
            hint="size, places or camera leave it no room, or min_pixels asks for more than pictures this small have",
        )

    def _rendered(self, slot: Slot, renderer: Renderer) -> Rendered:
        drawing = self._drawing(slot)
        scene, lens, lost, parents = self._scene(slot, drawing)
        for attempt in range(2):
            frame = renderer.labelled(scene) if isinstance(renderer, CostlyRenderer) else renderer.render(scene)
            alone = renderer.silhouettes(scene)
            ids, whole = lens.labels(frame.ids), tuple(lens.labels(mask) for mask in alone)
            hidden = too_hidden(scene, ids, whole, share=self.settings.min_visible, pixels=self.settings.min_pixels)
            if not hidden or attempt:
                break
            lost += len(hidden)
            keep = tuple(one for k, one in enumerate(scene.objects) if k not in hidden)
            scene = replace(scene, objects=keep)
        if isinstance(renderer, CostlyRenderer):
            frame = renderer.render(scene)
        seen = Frame(lens.picture(frame.rgb), lens.labels(frame.depth), ids, lens.labels(frame.normals))
        return Rendered(scene, lens, seen, whole, lost, parents, drawing.close_up)

    def _drawing(self, slot: Slot) -> Drawing:
        drawing = Drawing(self.settings, self._configuration(slot))
        near = slot.rng.child("close-up").numpy().random() < self.settings.close_ups
        return drawing.close() if near else drawing

    def _configuration(self, slot: Slot) -> Configuration:
        if not self.following:
            return {}
        weights = np.array([weight for weight, _ in self.following])
        which = int(slot.rng.child("component").numpy().choice(len(weights), p=weights / weights.sum()))
        return self.following[which][1]

    def _sample(self, slot: Slot, renderer: Renderer) -> Sample:
        found = self.rendered(slot, renderer)
        draws = slot.rng.child("sensor").numpy()
        drawing = Drawing(self.settings, {})
        pixels = sensed(
            found.frame.rgb,
            draws,
            blur=drawing.number("blur", draws),
            noise=drawing.number("noise", draws),
            jpeg_quality=drawing.whole("jpeg_quality", draws),
        )
        return slot.sample(
            convert_channels(pixels, 1) if self.grey else pixels,
            method="rendering",
            annotation=self._annotation(slot, found),
            parents=found.parents,
        )

    def _annotation(self, slot: Slot, found: Rendered) -> Annotation:
        lens, frame = found.lens, found.frame
        attributes: dict[str, AttributeValue] = attributes_of(found.scene, lens)
        if found.left_out:
            attributes["objects_left_out"] = found.left_out
        if found.close_up:
            attributes["close_up"] = True
        if lens.k1:
            attributes["distortion_k1"] = lens.k1
        one_class = self.task == "classification"
        return Annotation(
            class_id=slot.class_id if one_class else None,
            attributes=attributes,
            instances=None
            if one_class
            else instances_of(
                found.scene, lens, frame.ids, frame.depth, found.alone, keypoint_names=self.keypoint_names
            ),
            depth_metres=DepthMap.of(frame.depth) if "depth" in self.settings.maps else None,
            normals=NormalMap.of(frame.normals) if "normals" in self.settings.maps else None,
            # A pinhole camera would say something else than what a lens with distortion shows.
            camera=None if lens.k1 or not self.settings.maps else lens.camera,
        )

    def _scene(self, slot: Slot, drawing: Drawing) -> tuple[Scene, Lens, int, tuple[str, ...]]:
        """A scene, its lens, how many objects found no place, and the training picture behind it."""
        draws = slot.rng.child("objects").numpy()
        chosen = self._chosen(slot, drawing, draws)
        meshes = [shape.mesh for _, shape in chosen]
        extents = [extent(shape.mesh) for class_id, shape in chosen if class_id is not None] or [1.0]
        typical = extents[0] if drawing.close_up else float(np.mean(extents))
        height, width = self.sizes[int(draws.integers(len(self.sizes)))]
        size = (int(height), int(width))
        wanted, follow = None, drawing.followed
        if self.layouts is not None and follow and chosen:
            wanted, size = self._wanted(slot, chosen, size, self.layouts)
            drawing = drawing.with_size(spanned(wanted, meshes, size)) if "area" in follow else drawing
        draws = slot.rng.child("camera").numpy()
        camera = draw_camera(drawing, typical, size, draws)
        lens = Lens(camera, drawing.number("distortion", draws))
        draws = slot.rng.child("places").numpy()
        if wanted is not None:
            outlines = [shape.outline for _, shape in chosen]
            poses = rest_as_wanted(meshes, outlines, wanted, camera, drawing, follow, draws)
        else:
            put = rest_on_ground if self.settings.placement == "surface" else float_freely
            poses = put(meshes, camera, drawing, draws)
        objects = tuple(
            Placed(shape.mesh, pose, class_id, shape.shape_id, frame=shape.frame)
            for (class_id, shape), pose in zip(chosen, poses, strict=True)
            if pose is not None
        )
        place = self.backdrops.place(lens.wide, typical, slot.rng.child("backdrop").numpy(), objects=objects)
        lost = sum(pose is None for (class_id, _), pose in zip(chosen, poses, strict=True) if class_id is not None)
        return self._lit(slot, drawing, lens, objects, place), lens, lost, place.parents

    def _wanted(
        self, slot: Slot, chosen: Sequence[tuple[int | None, Shape]], size: tuple[int, int], layouts: Layouts
    ) -> tuple[Boxes, tuple[int, int]]:
        """A wanted box for every object, as in the training picture behind them where there is one; the size of it."""
        draws = slot.rng.child("layout").numpy()
        drawn = np.flatnonzero(self.shares)
        class_ids = [class_id if class_id is not None else int(draws.choice(drawn)) for class_id, _ in chosen]
        row = self.backdrops.shown(slot.rng.child("backdrop").numpy())
        shown = self.backdrops.ids[row] if 0 <= row < len(self.backdrops.ids) else None
        if shown is not None and len(self.sizes) > 1:
            height, width = self.sizes[layouts.rows[shown]]
            size = (int(height), int(width))
        return layouts.boxes(class_ids, shown, draws), size

    def _chosen(self, slot: Slot, drawing: Drawing, draws: np.random.Generator) -> list[tuple[int | None, Shape]]:
        """Classes and shapes of a picture's objects; things without a class at the end."""
        if self.task == "classification":
            class_ids = [slot.class_id]
        elif self.layouts is not None and "count" in drawing.followed:
            class_ids = self.layouts.class_ids(draws)
        else:
            count = drawing.whole("count", draws)
            class_ids = draws.choice(len(self.classes), size=count, p=self.shares).tolist()
        found: list[tuple[int | None, Shape]] = [
            (class_id, self.shapes[class_id][int(draws.integers(len(self.shapes[class_id])))]) for class_id in class_ids
        ]
        if self.things:
            extra = drawing.whole("distractors", draws)
            found += [(None, self.things[int(draws.integers(len(self.things)))]) for _ in range(extra)]
        return found

    def _lit(self, slot: Slot, drawing: Drawing, lens: Lens, objects: tuple[Placed, ...], place: Place) -> Scene:
        draws = slot.rng.child("light").numpy()
        up, around = np.radians(drawing.number("sun_elevation_degrees", draws)), draws.uniform(0, 2 * np.pi)
        warm = draws.uniform(-0.08, 0.08)
        towards = float(np.cos(around) * np.cos(up)), float(np.sin(around) * np.cos(up)), float(np.sin(up))
        surroundings, share = place.environment, 1.0
        if surroundings is not None:
            towards, share = surroundings.sun()
        sun = Light(
            towards,
            strength=share * drawing.number("sun_strength", draws),
            colour=(min(1.0, 1 + warm), 1.0, min(1.0, 1 - warm)),
            shadows=place.shadows,
            softness_degrees=float(draws.uniform(0.5, 6)),
        )
        ambient = drawing.number("ambient", draws)
        return Scene(
            camera=lens.wide,
            objects=(*objects, *place.furniture),
            lights=(sun,),
            ambient=ambient,
            background=place.background if surroundings is None else surroundings.seen(lens.wide, ambient),
            seed=slot.rng.child("paths").seed,
            environment=surroundings,
        )
