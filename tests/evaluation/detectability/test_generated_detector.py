from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save
from sklearn.datasets import load_digits

from twinset.dataset import Dataset, Origin, Sample
from twinset.errors import ChangedFileError, DataError
from twinset.evaluation.detectability import generated_detector
from twinset.evaluation.detectability.confounders import Equalise
from twinset.evaluation.detectability.detector_figures import auc_score, share_score
from twinset.evaluation.detectability.detector_file import read_arrays, write_arrays
from twinset.evaluation.detectability.generated_detector import DetectorSettings, GeneratedDetector, fit_detector
from twinset.evaluation.detectability.kernel_classifier import KernelClassifier
from twinset.evaluation.detectability.picture_features import PictureFeatures
from twinset.randomness import Stream
from twinset.scores import Score

SETTINGS = DetectorSettings(recipe=PictureFeatures(channels=1), fourier_features=64)
MADE = Origin(method="blur", seed=1, recipe_digest="0" * 64)


def digits(rows: range, *, blur: float = 0.0, noise: float = 0.0, name: str = "digits") -> Dataset:
    """Handwritten digits at 16 × 16, with the small noise of a scanner; ``blur`` and ``noise`` make a twin of them."""
    draw = np.random.Generator(np.random.PCG64(rows.start))
    samples = []
    for row in rows:
        picture = cv2.resize(load_digits().images[row] * 15.0, (16, 16), interpolation=cv2.INTER_LINEAR)
        picture += draw.normal(0, 3, picture.shape)
        if blur:
            picture = cv2.GaussianBlur(picture, (0, 0), blur)
        picture += draw.normal(0, noise, picture.shape) if noise else 0.0
        pixels = np.clip(np.rint(picture), 0, 255).astype(np.uint8)[..., None]
        samples.append(Sample(f"{name}/{row}", image=pixels, origin=MADE if blur or noise else Origin()))
    return Dataset.of(samples, classes=["digit"], name=name)


@pytest.fixture(scope="module", autouse=True)
def _digits_are_read_once() -> None:
    load_once = load_digits()
    globals()["load_digits"] = lambda: load_once


@pytest.fixture(scope="module")
def detector() -> GeneratedDetector:
    return fit_detector(digits(range(300)), digits(range(300, 600), blur=0.7), rng=Stream(7), settings=SETTINGS)


def named(scores: list[Score]) -> dict[str, Score]:
    return {score.name.removeprefix("generated_detector_"): score for score in scores}


def test_it_finds_images_of_its_generator_that_it_never_saw(detector: GeneratedDetector) -> None:
    found = named(detector.assess(digits(range(600, 900)), digits(range(900, 1100), blur=0.7)))
    assert found["auc"].value is not None
    assert found["auc"].value > 0.95
    assert found["found_at_0.05"].value is not None
    assert found["found_at_0.05"].value > 0.8
    false_alarms = found["false_alarms_at_0.05"].interval
    assert false_alarms is not None
    assert false_alarms.low <= 0.05 <= false_alarms.high + 0.03


def test_on_another_generator_it_says_what_it_is_worth_there(detector: GeneratedDetector) -> None:
    real = digits(range(600, 900))
    assert detector.facts.auc > 0.95
    noisy = named(detector.assess(real, digits(range(900, 1200), noise=6.0)))["auc"]
    assert noisy.value is not None
    assert noisy.value < 0.5
    same = named(detector.assess(real, digits(range(1200, 1500))))["auc"]
    assert same.interval is not None
    assert same.interval.low <= 0.5 <= same.interval.high


@pytest.mark.slow
def test_false_alarms_keep_to_their_rate_on_average() -> None:
    real = digits(range(1000))
    shares = []
    for seed in range(12):
        rows = np.random.Generator(np.random.PCG64(seed)).permutation(1000)
        fitted = fit_detector(
            real.take(rows[:200]), digits(range(1000, 1100), blur=0.5), rng=Stream(seed), settings=SETTINGS
        )
        shares.append(fitted.judge(real.take(rows[200:600])).flagged(0.05).mean())
    assert np.mean(shares) == pytest.approx(4 / 81, abs=0.015)  # ⌊.05 · 81⌋ of 81


def test_thresholds_and_p_values_flag_the_same_images(detector: GeneratedDetector) -> None:
    judged = detector.judge(digits(range(600, 800)))
    assert judged.ids[0] == "digits/600"
    for rate in (0.01, 0.05):
        threshold = detector.facts.thresholds[f"{rate:g}"]
        assert threshold is not None
        assert np.array_equal(judged.flagged(rate), judged.scores > threshold)
    order = np.argsort(judged.scores)
    assert (np.diff(judged.p_values[order]) <= 0).all()
    assert judged.p_values.min() >= 1 / 121
    assert (judged.outside < 0.05).all()


def test_an_image_that_scores_as_a_held_out_one_counts_that_one(detector: GeneratedDetector) -> None:
    images = digits(range(600, 640))
    judged = replace(detector, calibration=np.sort(detector.judge(images).scores)).judge(images)
    assert np.sort(judged.p_values) == pytest.approx(np.arange(2, 42) / 41)


def test_pictures_of_another_world_are_marked_as_outside_what_it_knows(detector: GeneratedDetector) -> None:
    foreign = np.random.Generator(np.random.PCG64(0)).integers(0, 256, (3, 16, 16, 1)).astype(np.uint8)
    judged = detector.judge(Dataset.of([Sample(str(i), image=each) for i, each in enumerate(foreign)], classes=[]))
    assert (judged.outside > 0.1).all()
    assert np.isfinite(judged.scores).all()


def test_it_comes_back_from_its_file_as_it_was(detector: GeneratedDetector, tmp_path: Path) -> None:
    detector.save(tmp_path / "it.safetensors")
    back = GeneratedDetector.load(tmp_path / "it.safetensors")
    assert back.record == detector.record
    assert back.sha256 == detector.sha256
    images = digits(range(600, 640))
    assert np.array_equal(back.judge(images).scores, detector.judge(images).scores)
    assert np.array_equal(back.judge(images).p_values, detector.judge(images).p_values)
    detector.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "it.safetensors").read_bytes()


def test_a_changed_or_foreign_file_is_refused(
    detector: GeneratedDetector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "it.safetensors"
    detector.save(path)
    kept = bytearray(path.read_bytes())
    kept[-3] ^= 1
    (tmp_path / "changed").write_bytes(bytes(kept))
    with pytest.raises(ChangedFileError, match="expected the detector that was written"):
        GeneratedDetector.load(tmp_path / "changed")
    (tmp_path / "retold").write_bytes(path.read_bytes().replace(b"digits", b"people"))
    with pytest.raises(ChangedFileError):
        GeneratedDetector.load(tmp_path / "retold")
    (tmp_path / "text").write_bytes(b"not a detector")
    (tmp_path / "other").write_bytes(save({"x": np.zeros(3)}))
    for name in ("text", "other", "absent"):
        with pytest.raises(DataError, match="expected a detector"):
            GeneratedDetector.load(tmp_path / name)
    arrays, record = read_arrays(path)
    write_arrays(tmp_path / "lacking", {name: arrays[name] for name in ("mean", "gain", "calibration")}, record)
    write_arrays(tmp_path / "unread", arrays, b"{}")
    for name in ("lacking", "unread"):
        with pytest.raises(DataError, match="expected a detector"):
            GeneratedDetector.load(tmp_path / name)
    monkeypatch.setattr(generated_detector, "RECIPE_VERSION", 2)
    with pytest.raises(DataError, match="expected a detector on features of version 2; got 1"):
        GeneratedDetector.load(path)


def test_facts_say_where_it_comes_from(detector: GeneratedDetector) -> None:
    facts = detector.facts
    assert (facts.real, facts.synthetic, facts.held_out_real, facts.held_out_synthetic) == (300, 300, 120, 120)
    assert (facts.generators, facts.classes, facts.real_name, facts.seed) == (("blur",), ("digit",), "digits", 7)
    assert facts.auc_interval[0] < facts.auc <= facts.auc_interval[1]
    assert facts.warnings == ()
    assert "another generator" in str(generated_detector.__doc__)


def test_file_formats_that_give_the_sets_away_stand_in_the_facts() -> None:
    def as_jpeg(dataset: Dataset) -> Dataset:
        samples = []
        for sample in dataset:
            buffer = io.BytesIO()
            Image.fromarray(sample.pixels()[..., 0]).save(buffer, format="JPEG", quality=90)
            samples.append(Sample(sample.id, image=buffer.getvalue()))
        return Dataset.of(samples, classes=["digit"])

    real, synthetic = as_jpeg(digits(range(40))), digits(range(40, 80), blur=0.5)
    plain = fit_detector(real, synthetic, rng=Stream(0), settings=SETTINGS)
    assert any(text.startswith("container alone") for text in plain.facts.warnings)
    even = DetectorSettings(recipe=SETTINGS.recipe, equalise=Equalise(jpeg_quality=60), fourier_features=64)
    assert fit_detector(real, synthetic, rng=Stream(0), settings=even).facts.warnings == ()


def test_few_held_out_images_allow_no_threshold_of_one_percent() -> None:
    small = fit_detector(digits(range(60)), digits(range(60, 100), blur=0.7), rng=Stream(0), settings=SETTINGS)
    assert small.facts.thresholds["0.01"] is None
    assert small.facts.thresholds["0.05"] is not None
    found = named(small.assess(digits(range(100, 130)), digits(range(130, 160), blur=0.7)))
    assert (
        found["found_at_0.01"].undefined_because == "a false-alarm rate of 0.01 needs 99 held-out real images; got 24"
    )
    assert found["found_at_0.05"].value is not None
    with pytest.raises(ValueError, match="at least 20 images and families"):
        fit_detector(digits(range(19)), digits(range(20, 60)), rng=Stream(0), settings=SETTINGS)
    families = np.arange(60) // 4
    with pytest.raises(ValueError, match="at least 20 images and families"):
        fit_detector(digits(range(60)), digits(range(60, 99)), rng=Stream(0), settings=SETTINGS, real_families=families)


def test_families_are_held_out_as_a_whole() -> None:
    families = np.repeat(np.arange(40), 5)
    held = generated_detector._held_out(families, 0.4, np.random.Generator(np.random.PCG64(0)))
    assert held.sum() == 80
    assert set(families[held]).isdisjoint(families[~held])


def test_auc_is_the_share_of_pairs_and_its_interval_never_certain() -> None:
    draw = np.random.Generator(np.random.PCG64(0))
    real, synthetic = draw.normal(size=40).round(1), draw.normal(0.8, size=30).round(1)
    pairs = synthetic[:, None] - real
    assert auc_score(real, synthetic).value == pytest.approx(((pairs > 0) + 0.5 * (pairs == 0)).mean())
    assert auc_score(synthetic, real).value == pytest.approx(1 - float(auc_score(real, synthetic).value or 0))
    perfect = auc_score(np.zeros(20), np.ones(20))
    assert perfect.value == 1.0
    assert perfect.interval is not None
    assert perfect.interval.low == pytest.approx(0.839, abs=1e-3)
    assert "at least 2 images" in auc_score(np.zeros(1), np.ones(5)).undefined_because


def test_intervals_of_the_auc_hold_the_truth() -> None:
    from scipy.stats import norm

    draw = np.random.Generator(np.random.PCG64(1))
    truth = float(norm.cdf(1.2 / np.sqrt(2)))
    held = []
    for _ in range(400):
        interval = auc_score(draw.normal(size=30), draw.normal(1.2, size=25)).interval
        assert interval is not None
        held.append(interval.low <= truth <= interval.high)
    assert 0.92 <= np.mean(held) <= 0.99


def test_shares_have_wilson_intervals() -> None:
    score = share_score("some", np.repeat([True, False], 5), "real", rate=0.05)
    assert score.value == 0.5
    assert score.interval is not None
    assert score.interval.low == pytest.approx(0.237, abs=1e-3)
    assert share_score("some", np.empty(0, dtype=bool), "real", rate=0.05).undefined_because == "there are no images"


def test_the_classifier_weighs_both_sets_and_all_tables_alike() -> None:
    draw = np.random.Generator(np.random.PCG64(2))
    real, synthetic = draw.normal(size=(400, 3)), draw.normal(1.0, size=(40, 3))
    fitted = KernelClassifier.fit(
        real, synthetic, widths=[1, 2], fourier_features=0, ridge=1e-9, draw=np.random.Generator(np.random.PCG64(0))
    )
    weights = np.repeat([0.5 / 400, 0.5 / 40], [400, 40])
    design = np.concatenate([np.ones((440, 1)), np.concatenate([real, synthetic])], axis=1)
    truth = np.repeat([-1.0, 1.0], [400, 40])
    solved = np.linalg.solve((design * weights[:, None]).T @ design, design.T @ (weights * truth))
    assert fitted.scores(real) == pytest.approx(design[:400] @ solved, abs=1e-5)
    dead = (
        np.concatenate([real, np.full((400, 1), 7.0)], axis=1),
        np.concatenate([synthetic, np.full((40, 1), 7.0)], axis=1),
    )
    with_dead = KernelClassifier.fit(
        *dead, widths=[2, 2], fourier_features=8, ridge=1e-3, draw=np.random.Generator(np.random.PCG64(0))
    )
    moved = dead[0].copy()
    moved[:, 3] = 1e6
    assert np.array_equal(with_dead.scores(moved), with_dead.scores(dead[0]))
    with pytest.raises(ValueError, match="expected arrays that fit"):
        KernelClassifier(np.zeros(2), np.zeros(3), np.zeros((2, 1)), np.zeros(1), np.zeros(4))
    with pytest.raises(ValueError, match="finite weights"):
        KernelClassifier(np.zeros(2), np.zeros(2), np.zeros((2, 1)), np.zeros(1), np.full(4, np.nan))
