"""Who draws the scenes: names, settings, plug-ins, and what is said where a backend cannot work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from types import SimpleNamespace

import numpy as np
import pytest

from twinset import methods, plugged
from twinset.errors import MissingExtraError, RecipeError, UnknownNameError
from twinset.generators.rendering import Rendering
from twinset.generators.rendering.backends import BACKENDS, Quality, backend_names, backend_of
from twinset.generators.rendering.scene import Frame, Renderer, Scene


class Flat:
    """A renderer that shows grey."""

    def render(self, scene: Scene) -> Frame:
        size = scene.camera.size
        nothing = np.full(size, np.inf, np.float32), np.full(size, -1, np.int32), np.zeros((*size, 3), np.float32)
        return Frame(np.full((*size, 3), 128, np.uint8), *nothing)

    def silhouettes(self, scene: Scene) -> tuple[np.ndarray, ...]:
        return tuple(np.zeros(scene.camera.size, bool) for _ in scene.objects)


class FlatBackend:
    """A plug-in's."""

    def check(self, quality: Quality) -> None:
        if quality.denoise:
            raise MissingExtraError("expected a denoiser; got none")

    def remark(self) -> str:
        return "Grey."

    @contextmanager
    def open(self, quality: Quality) -> Iterator[Renderer]:
        yield Flat()


def plug_in(monkeypatch: pytest.MonkeyPatch, target: str) -> None:
    point = metadata.EntryPoint("flat", target, "twinset.renderers")
    monkeypatch.setattr(metadata, "entry_points", lambda *, group: [point] if group == "twinset.renderers" else [])


def test_the_table_of_methods_names_the_same_backends() -> None:
    assert tuple(methods.entries("renderers")) == tuple(BACKENDS)
    assert [methods.check(entry).problem for entry in methods.entries("renderers").values()] == ["", "", ""]


def test_an_unknown_backend_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(ValueError, match=r"expected a backend out of blender, embedded, mitsuba; got 'mitsubo'"):
        Rendering(backend="mitsubo")
    with pytest.raises(UnknownNameError, match="mitsuba"):
        backend_of("mitsubo")


@pytest.mark.parametrize("more", [{"samples_per_pixel": 8}, {"denoise": True}, {"denoise": False}])
def test_the_rasteriser_refuses_what_only_path_tracers_have(more: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="with a path tracer; got backend embedded"):
        Rendering(**more)  # type: ignore[arg-type]
    assert Rendering(backend="mitsuba", **more).quality != Rendering(backend="mitsuba").quality  # type: ignore[arg-type]


@pytest.mark.parametrize("paths", [0, -1, 100_000])
def test_paths_a_pixel_are_counted(paths: int) -> None:
    with pytest.raises(ValueError, match="samples_per_pixel in 1"):
        Rendering(backend="blender", samples_per_pixel=paths)


def test_a_plug_in_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    plug_in(monkeypatch, f"{__name__}:FlatBackend")
    assert backend_names() == ("embedded", "mitsuba", "blender", "flat")
    settings = Rendering(backend="flat", samples_per_pixel=3)
    settings.check()
    with backend_of("flat").open(settings.quality) as renderer:
        assert isinstance(renderer, Flat)
    with pytest.raises(MissingExtraError, match="expected a denoiser"):
        Rendering(backend="flat", denoise=True).check()


def test_a_broken_plug_in_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    plug_in(monkeypatch, "no_such_module_of_ours:Renderer")
    with pytest.raises(RecipeError, match=r"'flat' .*to load; got ModuleNotFoundError"):
        backend_of("flat")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twinset.generators.rendering.tracing.mitsuba.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"expected the mitsuba package.*twinset\[mitsuba\]"):
        Rendering(backend="mitsuba").check()


def test_a_backend_of_a_package_must_have_what_a_backend_has(monkeypatch: pytest.MonkeyPatch) -> None:
    for found, words in ((SimpleNamespace, "got none of check, remark, open"), (int.from_bytes, "to be a class")):
        monkeypatch.setattr(plugged, "loaded", lambda *_, found=found, **__: found)
        with pytest.raises(RecipeError, match=words):
            backend_of("mine")


def test_a_fault_in_a_backend_is_not_told_as_one_of_the_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    class Faulty:
        def __init__(self) -> None:
            raise MissingExtraError("expected the package of mine; got none")

    monkeypatch.setattr(plugged, "loaded", lambda *_, **__: Faulty)
    with pytest.raises(MissingExtraError):
        backend_of("mine")
