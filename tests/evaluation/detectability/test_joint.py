from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from twinset.dataset import Dataset, Sample
from twinset.evaluation.detectability.confounders import Equalise
from twinset.evaluation.detectability.joint import joint_detectability, picture_detectability
from twinset.evaluation.detectability.permutation import adjusted_p_values, p_value_of
from twinset.evaluation.detectability.picture_features import PictureFeatures
from twinset.evaluation.detectability.two_sample import Detectability, detectability
from twinset.randomness import Stream

QUICK = Detectability(permutations=99, fourier_features=32)


def draw(seed: int, n: int, d: int) -> np.ndarray:
    return np.random.Generator(np.random.PCG64(seed)).normal(size=(n, d))


def test_the_first_view_has_the_figures_of_the_plain_test() -> None:
    real, synthetic = draw(0, 60, 5), draw(1, 80, 5) + 0.3
    plain = detectability(real, synthetic, settings=QUICK, rng=Stream(3))[0]
    views = {"features": (real, synthetic), "other": (draw(2, 60, 9), draw(3, 80, 9))}
    joint = joint_detectability(views, settings=QUICK, rng=Stream(3))[0]
    assert joint.name == "detectability_auc_features"
    assert (joint.value, joint.interval) == (plain.value, plain.interval)
    assert joint.settings["p_value"] == plain.settings["p_value"]


@pytest.mark.slow
def test_the_joint_p_value_is_uniform_between_equal_laws_and_single_ones_are_not_to_be_picked_from() -> None:
    joint, least = [], []
    for s in range(150):
        views = {str(v): (draw(100 * s + v, 24, 3), draw(100 * s + v + 50, 24, 3)) for v in range(4)}
        scores = joint_detectability(views, settings=Detectability(permutations=59, fourier_features=8), rng=Stream(s))
        joint.append(float(scores[0].settings["joint_p_value"]))
        least.append(min(float(score.settings["p_value"]) for score in scores))
        assert joint[-1] == min(float(score.settings["p_value_adjusted"]) for score in scores)
    assert np.mean(np.array(joint) <= 0.1) == pytest.approx(0.1, abs=0.06)
    assert np.mean(joint) == pytest.approx(0.5, abs=0.08)
    assert np.mean(np.array(least) <= 0.1) > 0.2


def test_a_difference_in_one_view_is_found_there_and_jointly() -> None:
    views = {
        "blind": (draw(10, 80, 6), draw(11, 80, 6)),
        "seeing": (draw(2, 80, 6), draw(3, 80, 6) + 1.0),
    }
    blind, seeing, both = joint_detectability(views, settings=QUICK, rng=Stream(0))
    assert [score.name for score in (blind, seeing, both)] == [
        f"detectability_auc_{name}" for name in ("blind", "seeing", "all")
    ]
    assert seeing.value is not None
    assert seeing.value > 0.8
    assert blind.settings["p_value_adjusted"] > 0.1  # type: ignore[operator]
    assert seeing.settings["p_value_adjusted"] == both.settings["p_value_adjusted"] == 0.01
    assert blind.settings["joint_p_value"] == 0.01


def test_small_hints_add_up_when_all_views_are_seen_together() -> None:
    views = {str(v): (draw(v, 150, 4), draw(v + 9, 150, 4) + 0.25) for v in range(4)}
    *single, together = [score.value for score in joint_detectability(views, settings=QUICK, rng=Stream(1))]
    assert together is not None
    assert together > max(value for value in single if value is not None) + 0.03


def test_one_view_has_no_other_and_few_images_no_figure() -> None:
    one = joint_detectability({"features": (draw(0, 30, 2), draw(1, 30, 2))}, settings=QUICK, rng=Stream(0))
    assert [score.name for score in one] == ["detectability_auc_features"]
    assert one[0].settings["p_value_adjusted"] == one[0].settings["p_value"]
    for score in joint_detectability({"a": (draw(0, 9, 2), draw(1, 30, 2))}, settings=QUICK, rng=Stream(0)):
        assert score.value is None
        assert "at least 10" in score.undefined_because
    bursts = joint_detectability(
        {"a": (draw(0, 60, 2), draw(1, 60, 2))}, settings=QUICK, rng=Stream(0), real_families=np.arange(60) // 3
    )
    assert bursts[0].settings["n_each"] == 20
    for wrong in (
        {"a": (draw(0, 30, 2), draw(1, 30, 2)), "b": (draw(0, 29, 2), draw(1, 30, 2))},
        {"all": (draw(0, 30, 2), draw(1, 30, 2))},
        {},
    ):
        with pytest.raises(ValueError, match="expected views of the same images"):
            joint_detectability(wrong, settings=QUICK, rng=Stream(0))


def test_adjusted_p_values_pay_for_the_number_of_statistics() -> None:
    one = np.array([[2.5, 0.0, 1.0, 2.0, 3.0]])
    assert adjusted_p_values(one) == [p_value_of(one[0])] == [0.4]
    constant = np.full((1, 5), 0.5)
    assert adjusted_p_values(np.concatenate([one, constant])) == [0.4, 1.0]
    assert adjusted_p_values(np.concatenate([one, one])) == [0.4, 0.4]
    units = np.array([[4.0, 0.0, 0.0, 0.0, 5.0], [0.0, 0.0, 5.0, 0.0, 0.0]])
    assert adjusted_p_values(units)[0] == pytest.approx(0.6)
    assert adjusted_p_values(units * [[1.0], [1000.0]]) == adjusted_p_values(units)


def texture(seed: int, size: int = 32) -> np.ndarray:
    rough = np.random.Generator(np.random.PCG64(seed)).normal(128, 180, (size, size, 1))
    return np.clip(cv2.GaussianBlur(rough, (0, 0), 1.5), 0, 255).astype(np.uint8)[..., None]


def jpeg(picture: np.ndarray, quality: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture[..., 0]).save(buffer, format="JPEG", quality=quality)
    return buffer.getvalue()


def made(pictures: list[np.ndarray] | list[bytes]) -> Dataset:
    return Dataset.of([Sample(str(row), image=picture) for row, picture in enumerate(pictures)], classes=[])


RECIPE = PictureFeatures(channels=1)


def judged(real: Dataset, synthetic: Dataset, equalise: Equalise | None = None) -> dict[str, float | None]:
    found = picture_detectability(real, synthetic, settings=QUICK, rng=Stream(0), recipe=RECIPE, equalise=equalise)
    return {score.name.removeprefix("detectability_auc_"): score.value for score in found.scores}


def test_a_blur_is_seen_in_pixels_and_spectra_and_another_draw_is_not() -> None:
    real = made([texture(s) for s in range(40)])
    other = judged(real, made([texture(s) for s in range(40, 80)]))
    blurred = judged(real, made([cv2.GaussianBlur(texture(s), (0, 0), 0.8)[..., None] for s in range(40, 80)]))
    assert [*other] == [*blurred] == ["pixels", "spectrum", "all"]
    assert all(value is not None and value < 0.7 for value in other.values())
    assert all(value is not None and value > 0.95 for value in blurred.values())


def test_a_file_format_is_warned_of_and_equalising_takes_its_traces() -> None:
    real = made([jpeg(texture(s), 90) for s in range(60)])
    synthetic = made([texture(s) for s in range(60, 120)])
    plain = picture_detectability(real, synthetic, settings=QUICK, rng=Stream(0), recipe=RECIPE)
    assert [each.trait for each in plain.confounders if each.alarming][:2] == ["container", "jpeg quality"]
    assert any("container alone tells the sets apart" in text for text in plain.scores[0].warnings)
    road = Equalise(jpeg_quality=40)
    even = picture_detectability(real, synthetic, settings=QUICK, rng=Stream(0), recipe=RECIPE, equalise=road)
    assert not any("container" in text for text in even.scores[0].warnings)
    before, after = plain.scores[-1].value, even.scores[-1].value
    assert before is not None
    assert after is not None
    assert before > 0.9
    assert after < 0.65


def test_given_features_are_the_first_view() -> None:
    real, synthetic = made([texture(s) for s in range(12)]), made([texture(s) for s in range(20, 35)])
    features = draw(0, 12, 3), draw(1, 15, 3)
    found = picture_detectability(
        real, synthetic, settings=QUICK, rng=Stream(5), recipe=RECIPE, features=features, extractor="some"
    )
    assert [score.name.split("_")[-1] for score in found.scores] == ["features", "pixels", "spectrum", "all"]
    assert found.scores[0].value == detectability(*features, settings=QUICK, rng=Stream(5))[0].value
    assert {score.extractor for score in found.scores} == {"some"}
