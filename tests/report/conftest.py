"""A whole report on real scanned digits. The "synthetic" ones are other real digits: only the page is under test."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from twinset.images import Pixels
from twinset.report import (
    AlignmentFacts,
    Arm,
    ClassGrid,
    ClosePair,
    Cost,
    DatasetFacts,
    Difference,
    FeatureMap,
    Gallery,
    Gate,
    MetricTable,
    Picture,
    Problem,
    Rejected,
    ReportData,
    ScoreValues,
    Trial,
    Twin,
    Utility,
    Verdict,
)
from twinset.scores import Interval, Score

HOSTILE = ("<script>alert(1)</script>", "<b>x</b>", "a & \"b\" 'c' {{ 7 * 7 }}", '"><img src=x onerror=alert(2)>')
DIGITS = tuple(str(digit) for digit in range(10))


@pytest.fixture
def report_data() -> Callable[..., ReportData]:
    return make_report_data


def make_report_data(
    *, classes: tuple[str, ...] = (*HOSTILE, *DIGITS[4:]), decision: str = "use", seed: int = 0
) -> ReportData:
    rng = np.random.default_rng(seed)
    pixels, labels, features = digits()
    rows = {c: np.flatnonzero(labels == c) for c in range(10)}
    return ReportData(
        title="digits",
        classes=classes,
        command="twinset run runs/digits-3f9a1c2e/resolved.yaml --out runs",
        version="0.1.0",
        created="2025-01-31",
        verdict=verdict(decision),
        recipe="data: builtin:digits\ncount: 1000\nseed: 0\ngenerate:\n  - use: diffusion\n",
        asked=(("Synthetic images", "1,000, balanced"), ("Generator", "diffusion, 12,000 steps"), ("Seed", "0")),
        datasets=datasets(labels, classes),
        gallery=Gallery(tuple(grid(c, rows[c], pixels) for c in range(10))),
        alignment=alignment(rng),
        feature_map=feature_map(features, labels),
        metrics=metric_tables(classes),
        utility=utility(rng),
        rejected=rejected(pixels, labels),
        gate=gate(pixels, rows, blocked=decision == "blocked_by_gate"),
        cost=Cost(
            (("read", 1.2), ("split", 0.3), ("fit generator", 176.0), ("generate", 24.0), ("align", 9.4),
             ("evaluate", 88.0), ("report", 2.1)),
            "2 cores of an x86-64 processor", 1163, 24.0, 1_240_000_000,
        ),
        environment={"Python": "3.11.9", "PyTorch": "2.6.0", "Processor": "x86-64, AVX2"},
        digests={"Dataset": "6b1f" * 16, "Recipe": "90aa" * 16},
    )  # fmt: skip


def digits() -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.float64]]:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    pixels = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[..., None]
    return pixels, bunch.target.astype(np.int64), bunch.data - bunch.data.mean(axis=0)


def verdict(decision: str) -> Verdict:
    sentences = {
        "use": "Adding the synthetic images raises balanced accuracy on real test images by 1.8 percentage points.",
        "do_not_use": "Adding the synthetic images lowers balanced accuracy on real test images by 2.3 points.",
        "no_measurable_difference": "With or without the synthetic images, balanced accuracy is equal as far as "
        "this test can see.",
        "nothing_learnt": "No verdict: the networks learnt next to nothing in the time given: 10.1 % and 9.9 %.",
        "blocked_by_gate": "7 synthetic images repeat a training image; the release is blocked.",
    }
    differences = {
        "use": Difference(0.018, 0.004, 0.031),
        "do_not_use": Difference(-0.023, -0.041, -0.006),
        "no_measurable_difference": Difference(0.003, -0.008, 0.013),
        "nothing_learnt": Difference(-0.002, -0.01, 0.006),
        "blocked_by_gate": None,
    }
    return Verdict(decision, sentences[decision], differences[decision])  # type: ignore[arg-type]


def datasets(labels: NDArray[np.int64], classes: tuple[str, ...]) -> tuple[DatasetFacts, ...]:
    total = np.bincount(labels, minlength=10)
    train, validation = total * 6 // 10, total * 2 // 10
    counts = {"train": train, "validation": validation, "test": total - train - validation}
    problems = (
        Problem("unreadable image", 2, ("<i>odd</i>/name.png", "3/0417.png")),
        Problem("exact duplicate", 5, ("1/0007.png",)),
    )
    return (
        DatasetFacts(
            "digits", "real", {k: tuple(int(n) for n in v) for k, v in counts.items()}, "8 × 8 grey, as they came",
            "CC BY 4.0", ("Split by image, stratified by class.",), problems,
        ),
        DatasetFacts("digits twin", "synthetic", {"accepted": (100,) * 10}, "8 × 8 grey", "CC BY 4.0"),
    )  # fmt: skip


def grid(class_id: int, rows: NDArray[np.int64], pixels: NDArray[np.uint8]) -> ClassGrid:
    real = tuple(Picture(f"train/{row}", pixels[row]) for row in rows[:14])
    twins = []
    for row in rows[40:52]:
        others = rows[:40]
        distances = np.sqrt(((pixels[others] / 255.0 - pixels[row] / 255.0) ** 2).mean(axis=(1, 2, 3)))
        best = int(distances.argmin())
        nearest = Picture(f"train/{others[best]}", pixels[others[best]])
        twins.append(Twin(Picture(f"{row:06d}-0", pixels[row]), nearest, float(distances[best])))
    return ClassGrid(class_id, real, tuple(twins))


def alignment(rng: np.random.Generator) -> AlignmentFacts:
    agreement = rng.beta(12, 1.5, 1163)
    distance = rng.gamma(6, 0.35, 1163)
    before = Score(
        "frechet_distance", 14.2, False, {"real": 1078, "synthetic": 1163}, floor=3.1, extractor="self-trained"
    )
    after = Score(
        "frechet_distance", 9.7, False, {"real": 1078, "synthetic": 1000}, floor=3.2, extractor="self-trained"
    )
    return AlignmentFacts(
        judged=1163,
        kept=1000,
        reasons={"label not confirmed": 97, "far from real images": 54, "near copy of a training image": 12},
        scores=(
            ScoreValues("agreement", agreement[agreement > 0.7], agreement[agreement <= 0.7]),
            ScoreValues("distance_from_real", distance[distance < 3.6], distance[distance >= 3.6]),
        ),
        before=(before,),
        after=(after,),
        by_class={c: (100, 5 + 3 * c) for c in range(10)},
    )  # fmt: skip


def feature_map(features: NDArray[np.float64], labels: NDArray[np.int64]) -> FeatureMap:
    _, _, directions = np.linalg.svd(features, full_matrices=False)
    n = len(labels)
    kinds = ("real train", "real train", "synthetic", "synthetic", "real held out")
    sets = tuple("rejected" if row % 31 == 0 else kinds[row % 5] for row in range(n))
    ids = tuple(f"{row:06d}" for row in range(n))
    return FeatureMap(
        features @ directions[:2].T, sets, labels, "PCA, 29 % of the variance", "self-trained (ResNet-8)", ids
    )


def metric_tables(classes: tuple[str, ...]) -> tuple[MetricTable, ...]:
    n = {"real": 1078, "synthetic": 1000}
    own = "self-trained (ResNet-8)"
    small = ("N = 1,000 is below 5 × 256 features: the figure is biased upwards",)
    few = {"real": 71, "synthetic": 100}
    by_class = tuple(
        Score(f"{figure}[{name}]", 0.8 + k / 50, True, few, Interval(0.7, 1.0), extractor=own)
        for k, name in enumerate(classes)
        for figure in ("precision", "recall")
    )
    return (
        MetricTable(
            "Kept synthetic images against real training images",
            (
                Score(
                    "frechet_distance", 9.71, False, n, Interval(9.1, 10.4), extractor=own, floor=3.2, warnings=small
                ),
                Score("kid", 0.00213, False, n, Interval(0.0011, 0.0031), extractor=own, floor=0.00002),
                Score("precision", 0.912, True, n, extractor=own, floor=0.97),
                Score("recall", 0.871, True, n, extractor=own, floor=0.969),
                Score("coverage", 0.894, True, n, extractor=own, floor=0.981),
                Score(
                    "detectability_auc",
                    0.664,
                    False,
                    n,
                    Interval(0.63, 0.7),
                    extractor="random convolutions",
                    floor=0.5,
                ),
                Score("vendi", None, True, n, undefined_because="needs at least 2,000 images"),
            ),
        ),
        MetricTable("By class", by_class, "Fewer images, so wider intervals."),
    )


def utility(rng: np.random.Generator) -> Utility:
    rows = (
        ("real", 0.952, 0.011, 0, False), ("real+classical", 0.963, 0.009, 0, True),
        ("synthetic", 0.944, 0.013, 1000, False), ("real+synthetic", 0.971, 0.008, 1000, False),
        ("real+classical+synthetic", 0.981, 0.006, 1000, True),
    )  # fmt: skip
    arms = tuple(
        Arm(
            name, mean, mean - half, mean + half, tuple(float(v) for v in rng.normal(mean, half / 2, 5)),
            0 if name == "synthetic" else 1078, synthetic, "mix 1:1" if synthetic else "", mean + 0.004, picked,
            (*(float(v) for v in np.clip(rng.normal(mean, 0.03, 9), 0, 1)), float("nan")),
        )
        for name, mean, half, synthetic, picked in rows
    )  # fmt: skip
    trials = tuple(Trial(arm.name, f"trial {k}", arm.mean - 0.002 * k, k == 0) for arm in arms for k in range(3))
    return Utility(arms, "balanced accuracy", trials, "small ResNet, 78 k parameters", 900, 360)


def rejected(pixels: NDArray[np.uint8], labels: NDArray[np.int64]) -> tuple[Rejected, ...]:
    reasons = ("label not confirmed", "far from real images", "near copy of a training image", "<i>odd</i> reason")
    return tuple(
        Rejected(
            Picture(f"{row:06d}-1", pixels[row]), reasons[int(np.sqrt(k) * 7) % 4], int(labels[row]), f"0.{31 + k}"
        )
        for k, row in enumerate(range(1200, 1248))
    )


def gate(pixels: NDArray[np.uint8], rows: dict[int, NDArray[np.int64]], *, blocked: bool) -> Gate:
    def pair(k: int) -> ClosePair:
        real: Pixels = pixels[rows[k % 10][60]]
        made = np.clip(real.astype(int) + (k if blocked else 40), 0, 255).astype(np.uint8)
        return ClosePair(
            Picture(f"{k:06d}-0", made), Picture(f"train/{rows[k % 10][60]}", real), 0.02 + k / 50, 0.1 + k / 7,
            blocked and k < 4, k % 10,
        )  # fmt: skip

    score = Score("nearest_record_ratio", 0.98, None, {"real": 1078, "synthetic": 1000}, Interval(0.94, 1.03))
    sentence = "7 copies of training images were found." if blocked else "No synthetic image repeats a training image."
    return Gate(not blocked, sentence, "pixels at 8 × 8", (score,), tuple(pair(k) for k in range(8)))
