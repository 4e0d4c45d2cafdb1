"""Two rendered sets with hidden truth, as `benchmarks/inference.py` draws them; permuted features and what matching
recovers are measured there."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import twinset.alignment.inference.inference as inference_module
from twinset.alignment.inference import InferenceSettings, infer, inferred_measures, target_of
from twinset.alignment.inference.folds import Groups
from twinset.alignment.inference.linear import Features, Kind, Values
from twinset.alignment.inference.validation import Validated, validate
from twinset.annotations import Annotation
from twinset.dataset import Dataset, Sample
from twinset.embedding.pixels import SmallPixels
from twinset.embedding.random_convolution import RandomConvolution
from twinset.errors import RunFolderError, UsageError
from twinset.instances import Instances
from twinset.pipeline import inferring
from twinset.pipeline.inference_files import document_of, embedders_named
from twinset.pipeline.inferring import InferredMetadata, Looked, infer_metadata, known_values, look_at
from twinset.randomness import Stream
from twinset.stages import Embedder

ALL = {
    *("camera_elevation_degrees", "ambient", "brightness"),
    *("distance_metres", "visible_fraction", "occlusion", "background_similarity", "box_brightness", "shape_id"),
}
EMBEDDERS = (RandomConvolution(256, 48), SmallPixels(12))


def _benchmark() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "inference.py"
    spec = importlib.util.spec_from_file_location("inference_benchmark", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def study() -> ModuleType:
    return _benchmark()


@pytest.fixture(scope="module", autouse=True)
def _once() -> Iterator[None]:
    """What is done to synthetic pictures alone is done once: both real sets below have the same beside them.

    Their features are kept for the very dataset and extractors, cross-validation for the very stream, settings and
    bytes that it was asked with.
    """
    validated: dict[str, Validated] = {}
    looked: list[tuple[Dataset, Sequence[Embedder], Looked]] = []

    def validate_once(
        features: Mapping[str, Features],
        values: Values,
        groups: Groups,
        *,
        kind: Kind,
        settings: InferenceSettings,
        rng: Stream,
    ) -> Validated:
        asked = hashlib.sha256(f"{rng.seed} {kind} {settings} {list(features)}".encode())
        for part in (*features.values(), values, groups):
            asked.update(f"{part.dtype} {part.shape}".encode() + part.tobytes())
        key = asked.hexdigest()
        if key not in validated:
            validated[key] = validate(features, values, groups, kind=kind, settings=settings, rng=rng)
        return validated[key]

    def look_once(dataset: Dataset, embedders: Sequence[Embedder]) -> Looked:
        for seen, through, found in looked:
            if seen is dataset and through is embedders:
                return found
        looked.append((dataset, embedders, look_at(dataset, embedders)))
        return looked[-1][-1]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(inference_module, "validate", validate_once)
        patched.setattr(inferring, "look_at", look_once)
        yield


@pytest.fixture(scope="module")
def drawn(study: ModuleType) -> object:
    return study.sets(400, 80, seed=21)


@pytest.fixture(scope="module")
def easy(drawn: object) -> InferredMetadata:
    return infer_metadata(drawn.synthetic, drawn.easy, embedders=EMBEDDERS, rng=Stream(0))  # type: ignore[attr-defined]


@pytest.mark.slow(seconds=130)
def test_the_easy_set_is_inferred_and_the_error_on_real_pictures_stated(
    study: ModuleType, easy: InferredMetadata
) -> None:
    table = {row["measure"]: row for row in study.rows(easy)}
    assert {name for name, row in table.items() if row["inferable"]} == ALL
    assert not any(row["warned"] for row in table.values())
    for name, row in table.items():
        if row["inferable"]:
            most = 2.2 if name == "shape_id" else 1.6  # shapes are foretold better than expected: 1.85 as measured
            assert 0.8 < row["expected_error"] / row["true_error"] < most, name


@pytest.mark.slow
def test_shifted_textures_mislead_the_score_and_are_warned_of(
    study: ModuleType, drawn: object, easy: InferredMetadata
) -> None:
    found = infer_metadata(drawn.synthetic, drawn.textured, embedders=EMBEDDERS, rng=Stream(0))  # type: ignore[attr-defined]
    table = {row["measure"]: row for row in study.rows(found)}
    assert {name for name, row in table.items() if row["inferable"]} == ALL
    misled = {name for name, row in table.items() if row["true_error"] > 1.5 * row["synthetic_error"]}
    assert misled >= {"camera_elevation_degrees", "background_similarity", "shape_id"}
    assert misled <= {name for name, row in table.items() if row["warned"]}
    assert all(table[name]["expected_error"] is None for name in misled)


def small(count: int, *, seed: int, told: bool) -> Dataset:
    """Discs whose brightness is ``ambient``, as far away as they are small; ``told`` says so."""
    draws = np.random.default_rng(seed)
    samples = []
    for number in range(count):
        light, distances = draws.uniform(0.2, 1), draws.uniform(1, 3, size=2)
        pixels = np.full((48, 96, 3), 255, dtype=np.uint8)
        boxes = []
        for at, distance in enumerate(distances):
            radius = round(18 / distance)
            x, y = 24 + 48 * at, 24
            boxes.append((x - radius, y - radius, x + radius, y + radius))
            pixels[y - radius : y + radius, x - radius : x + radius] = round(200 * light)
        columns = {"distance_metres": tuple(distances.tolist()), "shape_id": ("box/1", "box/2")} if told else {}
        found = Instances((48, 96), np.zeros(2, dtype=np.int64), np.array(boxes, dtype=np.float32), columns=columns)
        attributes = {"ambient": light} if told else {}
        samples.append(Sample(f"{seed}-{number}", Annotation(instances=found, attributes=attributes), image=pixels))
    return Dataset.of(samples, classes=("disc",))


@pytest.fixture(scope="module")
def discs() -> InferredMetadata:
    return infer_metadata(
        small(60, seed=1, told=True), small(20, seed=2, told=False), embedders=[SmallPixels(8)], rng=Stream(0)
    )


@pytest.mark.slow
def test_what_pictures_and_objects_say_is_inferred_and_written_in_its_own_unit(discs: InferredMetadata) -> None:
    truth = small(20, seed=2, told=True)
    document = document_of(discs, synthetic="a", real="b")
    assert {"ambient", "distance_metres"} <= set(document.measures)
    assert "Errors of distance_metres are of natural logarithms: 0.1 is about 10 %." in document.sentences
    for image, sample in zip(document.images, truth, strict=True):
        assert image.id == sample.id
        assert image.values["ambient"] == pytest.approx(sample.annotation.attributes["ambient"], abs=0.1)
        distances = sample.annotation.instances.columns["distance_metres"]
        found = [one.values["distance_metres"] for one in image.objects]
        assert found == pytest.approx(distances, rel=0.2)


@pytest.mark.slow
def test_what_real_pictures_show_themselves_is_checked(discs: InferredMetadata) -> None:
    checked = {check.measure: check for check in discs.checks}
    assert {"brightness", "box_brightness"} <= set(checked)
    shown = known_values(small(20, seed=2, told=True))[0]["brightness"].astype(np.float64)
    assert discs.pictures is not None
    predicted = discs.pictures["brightness"].predictions
    assert predicted is not None
    assert checked["brightness"].error == pytest.approx(float(np.sqrt(((predicted - shown) ** 2).mean())))
    assert any("Check: brightness" in one for one in document_of(discs, synthetic="a", real="b").sentences)


def test_inferred_values_become_a_target_with_their_error(discs: InferredMetadata) -> None:
    measures = discs.measures()
    assert len(measures) == 20
    assert len(measures.image_rows) == 40
    target = target_of(measures, *discs.found, rng=0)
    assert target.level == "object"
    assert "inferred on 20 real images" in target.source
    assert 0 < target.errors["ambient"].mean_absolute_error < 0.2
    held = known_values(small(20, seed=2, told=True))[1]["distance_metres"].astype(np.float64)
    assert measures.values("distance_metres").mean() == pytest.approx(held.mean(), abs=0.1)


def test_only_inferable_numbers_become_measures() -> None:
    draws = np.random.default_rng(0)
    features = {"any": draws.normal(size=(60, 4))}
    values = {
        "ambient": features["any"][:, 0],
        "unheard_of": features["any"][:, 1],
        "shape_id": np.repeat(["a", "b"], 30),
    }
    settings = InferenceSettings(resamples=200)
    found = infer(features, values, features, groups=np.arange(60), settings=settings, rng=0)
    assert found.inferable == ("ambient", "unheard_of")
    assert inferred_measures(pictures=found, images=60).names == ("ambient",)


def test_features_stand_in_the_order_of_pictures_and_objects() -> None:
    dataset = small(6, seed=1, told=True)
    looked = look_at(dataset, [SmallPixels(8)])
    assert looked.rows.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    alone = look_at(dataset.take([4]), [SmallPixels(8)])
    for name, rows in looked.objects.items():
        np.testing.assert_allclose(rows[8:10], alone.objects[name], atol=1e-6)
    for name, rows in looked.pictures.items():
        np.testing.assert_allclose(rows[4:5], alone.pictures[name], atol=1e-6)


def test_pictures_that_say_nothing_of_themselves_are_refused() -> None:
    bare = Dataset.of(
        [Sample(str(k), Annotation(class_id=0), image=np.full((16, 16, 3), 9, dtype=np.uint8)) for k in range(24)],
        classes=("a",),
    )
    found = infer_metadata(bare, bare, embedders=[SmallPixels(4)], rng=Stream(0))
    assert found.objects is None
    assert [name for one in found.found for name in one.inferable] == []
    assert found.pictures is not None
    assert found.pictures.left_out["brightness"] == "all known values are equal"


def test_unknown_extractors_and_no_detectors_are_refused(tmp_path: Path) -> None:
    dataset = small(2, seed=1, told=True)
    with pytest.raises(UsageError, match="expected extractors out of random, pixels, self"):
        embedders_named(["dino"], dataset, rng=Stream(0))
    (tmp_path / "x.safetensors").write_bytes(b"no")
    with pytest.raises(RunFolderError, match="expected a checkpoint"):
        embedders_named([f"detector:{tmp_path / 'x.safetensors'}"], dataset, rng=Stream(0))
