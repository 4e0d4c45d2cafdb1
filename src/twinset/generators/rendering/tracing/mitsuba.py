"""Mitsuba 3, a path tracer in this process (extra ``mitsuba``): global light in seconds a picture.

On its LLVM variant where LLVM 19 or later is on the machine, else two to three times slower on its scalar one, which
needs nothing. The two draw other random paths; each alone gives equal pictures for equal scenes and any number of
threads.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from twinset.errors import MissingExtraError
from twinset.generators.rendering.backends import Quality
from twinset.generators.rendering.extra import check_extra
from twinset.generators.rendering.raster import Rasterizer
from twinset.generators.rendering.scene import NOTHING, Renderer, Scene
from twinset.generators.rendering.tracing.denoising import denoised
from twinset.generators.rendering.tracing.layers import Layers, Light32, background_colour
from twinset.generators.rendering.tracing.mitsuba_scene import Translator, sensor
from twinset.generators.rendering.tracing.threads import threads
from twinset.generators.rendering.tracing.traced import Traced
from twinset.generators.rendering.tracing.translucent import Passing, passing
from twinset.generators.rendering.tracing.view import View
from twinset.randomness import seed_for

SAMPLES = 36
"""Paths a pixel where nothing else is wanted."""

LEAST_LLVM = 19
"""LLVM 15 and 16 load and then end the process; 14 is refused by Dr.Jit."""

MOST_LANES = 4 << 20
"""Paths at once: about half a gigabyte."""

DEPTH = 6
"""Surfaces on a path, the camera and the light among them."""

DIRECT = 2

MOST_SIDES = 16
"""Translucent surfaces on a path besides."""

SCALAR_AIDS = 4
"""Paths a pixel by which the scalar variant finds the denoiser's aids."""


AIDS: dict[str, object] = {"type": "aov", "aovs": "albedo:albedo,normal:sh_normal"}
"""What the denoiser is told: reflectance and normals."""


class Mitsuba:
    """Opens renderers on Mitsuba."""

    def check(self, quality: Quality) -> None:
        """Raises :class:`~twinset.errors.MissingExtraError` where a package is missing."""
        check_extra()
        wanted = ("mitsuba", "pyoidn") if quality.denoise is not False else ("mitsuba",)
        for name in wanted:
            if find_spec(name) is None:
                hint = "install twinset[mitsuba]" + (", or set denoise: false" if name == "pyoidn" else "")
                raise MissingExtraError(f"expected the {name} package for backend mitsuba; got none", hint=hint)

    @contextmanager
    def open(self, quality: Quality) -> Iterator[Renderer]:
        """A renderer; textures stay with Mitsuba for as long as their materials live."""
        self.check(quality)
        tracer = MitsubaTracer(
            samples_per_pixel=quality.samples_per_pixel or SAMPLES, denoise=quality.denoise is not False
        )
        yield Traced(tracer)

    def remark(self) -> str:
        """One line about the variant where it is the slow one; "" where it is not."""
        _, why = variant()
        return f"Mitsuba runs as scalar_rgb, two to three times slower than with LLVM: {why}." if why else ""


def variant() -> tuple[str, str]:
    """The variant of Mitsuba that works here, and what the fast one lacks ("" where it is the fast one)."""
    try:
        import drjit
        import mitsuba  # noqa: F401  (its variants use LLVM as drjit finds it)

        found = drjit.detail.llvm_version()
    except (ImportError, NameError, AttributeError, RuntimeError) as error:
        # Without libatomic Dr.Jit does not load LLVM and says so with a NameError about something else.
        return "scalar_rgb", f"Dr.Jit could not load LLVM ({error}); install libllvm{LEAST_LLVM} and libatomic1"
    version = ".".join(map(str, found)) if found else "none"
    if not found or found[0] < LEAST_LLVM:
        where = "install it, or name its libLLVM.so in DRJIT_LIBLLVM_PATH"
        return "scalar_rgb", f"expected LLVM {LEAST_LLVM} or later; got {version}; {where}"
    return "llvm_ad_rgb", ""


class MitsubaTracer:
    """Traces scenes; without ``variant_name`` on the fastest variant that works here.

    Over shadow catchers a scene is drawn three times with the same random numbers (Debevec 1998): whole; with black
    objects and direct light only; and without objects. Second by third is the share of light left on the ground, first
    less second is the light of the objects, and what they throw onto the ground. Where no path meets an object, the
    first and second are equal to the bit, and the background stays as it is.
    """

    def __init__(
        self, *, samples_per_pixel: int = SAMPLES, denoise: bool = True, variant_name: str | None = None
    ) -> None:
        if samples_per_pixel < 1:
            raise ValueError(f"expected at least one path a pixel; got {samples_per_pixel}")
        import drjit
        import mitsuba

        self.variant = variant_name or variant()[0]
        mitsuba.set_variant(self.variant)
        # Else it tells on standard output that it rounds a number of samples.
        mitsuba.set_log_level(mitsuba.LogLevel.Error)
        drjit.set_thread_count(threads())
        self._samples = samples_per_pixel
        self._denoise = denoise
        self._translator = Translator()
        self._rasterizer = Rasterizer(samples=2)

    def trace(self, scene: Scene) -> Layers:
        """What is seen of a scene, but for its background."""
        view = View.of(scene.camera)
        around = self._translator.surroundings(scene)
        ground = background_colour(scene)
        catching = any(placed.catcher for placed in scene.objects)
        through = passing(scene, self._rasterizer)
        more = 0 if through is None else MOST_SIDES
        objects = self._translator.objects(scene)
        if not catching:
            whole = self._drawn(scene, view, around, objects, depth=DEPTH + more, aids=self._denoise)
            light, empty = whole[..., :3], 1 - whole[..., 3:4]
            if self._denoise:
                light = denoised(light, whole[..., 4:7], whole[..., 7:10])
                if through is not None:
                    some = (empty > 0) & (empty < 1)
                    empty = np.where(some, denoised(np.repeat(empty, 3, axis=-1), None, None), empty)
            return _layers(view, light, empty, through)
        catchers = self._translator.catchers(scene, ground)
        whole = self._drawn(scene, view, around, {**objects, **catchers}, depth=DEPTH + more, aids=self._denoise)
        black = self._translator.objects(scene, black=True)
        dimmed = self._drawn(scene, view, around, {**black, **catchers}, depth=DIRECT + more)
        alone = self._drawn(scene, view, around, catchers, depth=DIRECT + more)
        return self._over_ground(view, whole, dimmed, alone, through)

    def labels(self, scene: Scene) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Mitsuba's own ids and depth (H, W) at pixel centres, as in a frame; of a camera of square pixels only."""
        import mitsuba

        view = View.of(scene.camera)
        if view.size != scene.camera.size:
            raise ValueError(f"expected equal focal lengths; got {scene.camera.focal}")
        whole = mitsuba.load_dict({"type": "scene", **self._translator.objects(scene)}, optimize=False)
        numbers = [int(shape.id().removeprefix("object").partition("_")[0]) for shape in whole.shapes()]
        centres = {**sensor(view, 1), "sampler": {"type": "stratified", "sample_count": 1, "jitter": False}}
        drawer = {"type": "aov", "aovs": "shape:shape_index,at:position"}
        seen = mitsuba.load_dict(centres), mitsuba.load_dict(drawer)
        found = np.array(mitsuba.render(whole, sensor=seen[0], integrator=seen[1], spp=1, seed=0), dtype=np.float64)
        # Shapes are counted from 1; 0 is none.
        ids = np.array([NOTHING, *numbers], dtype=np.int32)[np.rint(found[..., 0]).astype(int)]
        depth = scene.camera.seen_from_here(found[..., 1:].reshape(-1, 3))[:, 2].reshape(view.size)
        return ids, np.where(ids >= 0, depth, np.inf).astype(np.float32)

    def _over_ground(
        self, view: View, whole: Light32, dimmed: Light32, alone: Light32, through: Passing | None
    ) -> Layers:
        light = np.maximum(whole[..., :3] - dimmed[..., :3], 0)
        full = alone[..., :3]
        share = np.divide(dimmed[..., :3], full, out=np.ones_like(full), where=full > 0)
        # Of a pixel partly covered by objects the share already lacks their part.
        share = np.where(full > 0, share * alone[..., 3:4], 0)
        # Where there is no ground, the film's coverage knows how much passes, but not of which colour.
        share = share + (1 - whole[..., 3:4]) * (1 if through is None or view.size != view.picture else through.tint)
        untouched = (light == 0).all(-1) & (share == 1).all(-1)
        if self._denoise:
            light = denoised(light, whole[..., 4:7], whole[..., 7:10])
            share = denoised(np.clip(share, 0, 4), None, None)
            light[untouched], share[untouched] = 0, 1
        return _layers(view, light, share, None)

    def _drawn(
        self,
        scene: Scene,
        view: View,
        around: dict[str, object],
        shapes: dict[str, object],
        *,
        depth: int,
        aids: bool = False,
    ) -> Light32:
        """(H, W, 4) linear light and coverage; with ``aids`` (H, W, 10), reflectance and normals beside them."""
        import drjit
        import mitsuba

        path = {"type": "path", "max_depth": depth, "hide_emitters": True}
        whole = mitsuba.load_dict({"type": "scene", **around, **shapes}, optimize=False)
        light = self._traced(scene, view, whole, path, 4, self._samples)
        if not aids:
            return light
        # Drawn apart: asked for both at once, Mitsuba 3.9 follows every path twice (its issue 1917).
        if self.variant.startswith("scalar"):
            # There the integrator of aids takes locks, the interpreter's among them: more threads make it slower.
            drjit.set_thread_count(1)
            try:
                found = self._traced(scene, view, whole, AIDS, 6, min(SCALAR_AIDS, self._samples))
            finally:
                drjit.set_thread_count(threads())
        else:
            found = self._traced(scene, view, whole, AIDS, 6, self._samples)
        return np.concatenate([light, found], axis=-1)

    def _traced(
        self, scene: Scene, view: View, whole: object, drawer: dict[str, object], channels: int, paths: int
    ) -> Light32:
        """(H, W, channels) that a drawer finds in a loaded scene, the mean over so many paths a pixel."""
        import mitsuba

        drawing = mitsuba.load_dict(drawer)
        height, width = view.size
        total = np.zeros((height, width, channels))
        most = max(1, MOST_LANES // (height * width))
        for number, first in enumerate(range(0, paths, most)):
            count = min(most, paths - first)
            seed = seed_for(scene.seed, "mitsuba", number) & 0xFFFFFFFF
            seeing = mitsuba.load_dict(sensor(view, count))
            part = mitsuba.render(whole, sensor=seeing, integrator=drawing, spp=count, seed=seed)
            total += count / paths * np.array(part, dtype=np.float64)
        return total.astype(np.float32)


def _layers(view: View, light: Light32, behind: Light32, through: Passing | None) -> Layers:
    three = view.resampled(np.ascontiguousarray(np.broadcast_to(behind, light.shape), dtype=np.float32))
    return Layers(view.resampled(light), three if through is None else three * through.tint)
