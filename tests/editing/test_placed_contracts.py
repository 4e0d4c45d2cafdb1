"""The editors of placed labels keep the laws of every editor, on pictures that have a class only."""

from __future__ import annotations

import pydantic
import pytest

from twinset.contracts import EditorContract
from twinset.editing.erase import Erase
from twinset.editing.geometric import Geometric
from twinset.editing.mosaic import Mosaic
from twinset.editing.photometric import Photometric
from twinset.editing.region_sdedit import RegionSDEdit
from twinset.editing.scene_mixup import SceneMixup
from twinset.methods import settings_of
from twinset.stages import Editor, EditorMethod

METHODS = (
    Geometric(),
    Photometric(),
    Mosaic(),
    SceneMixup(),
    Erase(),
    RegionSDEdit(
        family="unet", width=32, depth=1, levels=1, patch=2, steps=2, batch=4, augment=0.0, sampler_steps=2, side=8
    ),
)


@pytest.mark.parametrize("method", METHODS)
def test_settings_survive_being_written_down(method: object) -> None:
    assert pydantic.TypeAdapter(type(method)).validate_python(settings_of(method)) == method


class TestGeometric(EditorContract):
    def editor(self) -> Editor:
        return Geometric()


class TestPhotometric(EditorContract):
    def editor(self) -> Editor:
        return Photometric()


class TestMosaic(EditorContract):
    def editor(self) -> EditorMethod:
        return Mosaic()


class TestSceneMixup(EditorContract):
    def editor(self) -> EditorMethod:
        return SceneMixup()


class TestErase(EditorContract):
    def editor(self) -> Editor:
        return Erase()


class TestRegionSDEdit(EditorContract):
    def editor(self) -> EditorMethod:
        return METHODS[-1]  # type: ignore[return-value]
