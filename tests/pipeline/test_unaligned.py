"""What a twin is compared with as it was before: the same generator without what aligned it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from twinset.generators.copypaste import CopyPaste
from twinset.generators.diffusion import Diffusion
from twinset.generators.folder import Folder
from twinset.generators.rendering import Rendering
from twinset.pipeline.curating import curated_path
from twinset.pipeline.fitting import Source
from twinset.pipeline.matching import matched_path
from twinset.pipeline.metadata import plainer
from twinset.store import write_json


def source(method: object, folder: Path) -> Source:
    return Source(0, "it", "generators", method, folder)


@pytest.mark.parametrize("committed", [matched_path, curated_path])
def test_a_matched_or_curated_renderer_is_compared_with_what_its_settings_draw(
    tmp_path: Path, committed: object
) -> None:
    method = Rendering(count=(2, 3))
    assert plainer(source(method, tmp_path)) is None
    write_json(committed(tmp_path), json.loads("{}"))  # type: ignore[operator]
    found = plainer(source(method, tmp_path))
    assert found is not None
    assert found.method == method
    assert found.called == "images as the settings draw them, before anything was aligned"


def test_a_renderer_that_follows_real_boxes_is_compared_with_one_that_does_not(tmp_path: Path) -> None:
    found = plainer(source(Rendering(follow=("area", "count")), tmp_path))
    assert found is not None
    assert found.method == Rendering()


def test_copypaste_is_compared_with_placement_by_chance_unless_it_is_that(tmp_path: Path) -> None:
    found = plainer(source(CopyPaste(), tmp_path))
    assert found is not None
    assert isinstance(found.method, CopyPaste)
    assert found.method.placement == "uniform"
    assert plainer(source(CopyPaste(placement="uniform"), tmp_path)) is None


def test_what_is_fitted_long_or_stands_in_a_folder_is_not_made_again(tmp_path: Path) -> None:
    write_json(matched_path(tmp_path), {})
    assert plainer(source(Diffusion(steps=1), tmp_path)) is None
    editor = Source(0, "it", "editors", Folder(path="x"), tmp_path)
    assert plainer(editor) is None
