"""A comparison measures as a run does, counts every image, and refuses before the work what it could not finish."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import twinset
from twinset import report
from twinset.annotations import Annotation
from twinset.dataset import Dataset, Origin, Sample
from twinset.downstream import UtilityData, UtilityPlan
from twinset.embedding.random_convolution import RandomConvolution
from twinset.errors import DataError, RecipeError, RunFolderError, TwinsetError, UsageError
from twinset.formats import write
from twinset.models.classifier import ClassifierSettings
from twinset.pipeline.comparing import pages as found_pages
from twinset.pipeline.comparing import question, utility, whole
from twinset.pipeline.comparing.asking import matched_classes
from twinset.pipeline.comparing.metrics import MEASURES, available
from twinset.randomness import Stream

SOFT = {0: (0.75, 0.25), 1: (0.25, 0.75)}


def lights(count: int, seed: int, *, soft: bool = False) -> Dataset:
    """Bright above (class 0) or below (class 1), in noise: a picture and its mirror image show the same."""
    draws = Stream(seed).numpy()
    samples = []
    for number in range(count):
        label = number % 2
        pixels = draws.integers(128, size=(8, 8, 1)).astype(np.uint8)
        pixels[slice(0, 4) if label == 0 else slice(4, 8)] += 127
        annotation = Annotation(class_id=label, class_probabilities=SOFT[label] if soft else None)
        samples.append(Sample(f"{seed}-{number}", annotation, image=pixels))
    return Dataset.of(samples, classes=("above", "below"))


def written(dataset: Dataset, path: Path) -> Path:
    write(dataset, path, "imagefolder")
    return path


class StoppedError(Exception):
    """The study was about to begin."""


@pytest.fixture
def studied(monkeypatch: pytest.MonkeyPatch) -> list[tuple[UtilityData, UtilityPlan]]:
    """What ``--utility`` was about to study; a comparison ends there with :class:`StoppedError`."""
    found: list[tuple[UtilityData, UtilityPlan]] = []

    def study(data: UtilityData, plan: UtilityPlan, **_: object) -> None:
        found.append((data, plan))
        raise StoppedError

    monkeypatch.setattr(utility, "study", study)
    monkeypatch.setattr(utility, "choose_settings", lambda *_, **__: ClassifierSettings(steps=300, width=16))
    return found


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> list[report.ReportData]:
    """The pages that were written."""
    found: list[report.ReportData] = []

    def render(data: report.ReportData) -> str:
        found.append(data)
        return ""

    monkeypatch.setattr(found_pages, "render", render)
    return found


def test_utility_is_the_study_of_a_run_with_mirroring_and_soft_labels(
    tmp_path: Path, studied: list[tuple[UtilityData, UtilityPlan]]
) -> None:
    held, train = written(lights(40, 1), tmp_path / "held"), written(lights(40, 2), tmp_path / "train")
    made = written(lights(20, 3, soft=True), tmp_path / "made")
    with pytest.raises(StoppedError):
        twinset.compare(held, made, train=train, utility=True, workers=1)
    ((data, plan),) = studied
    assert plan.flip
    assert (plan.settings.steps, plan.settings.width) == (300, 16)
    targets = data.synthetic_targets
    assert sorted(map(tuple, targets.tolist())) == sorted([SOFT[0], SOFT[1]] * 10)


@pytest.mark.slow
def test_digits_are_not_mirrored(tmp_path: Path, studied: list[tuple[UtilityData, UtilityPlan]]) -> None:
    digits = twinset.load("builtin:digits")
    held = written(digits.take(range(150)), tmp_path / "held")
    made = written(digits.take(range(150, 200)), tmp_path / "made")
    train = written(digits.take(range(200, 500)), tmp_path / "train")
    with pytest.raises(StoppedError):
        twinset.compare(held, made, train=train, utility=True, workers=1)
    ((data, plan),) = studied
    assert not plan.flip
    assert data.synthetic_targets.ndim == 1


@pytest.mark.parametrize("splits", [["test"] * 40, ["train"] * 8 + ["validation"] * 4 + ["test"] * 28])
def test_half_picks_and_half_tests_whatever_splits_were_given(
    splits: list[str], tmp_path: Path, studied: list[tuple[UtilityData, UtilityPlan]]
) -> None:
    held = written(lights(40, 1).with_splits(splits), tmp_path / "held")
    made, train = written(lights(20, 3), tmp_path / "made"), written(lights(40, 2), tmp_path / "train")
    with pytest.raises(StoppedError):
        twinset.compare(held, made, train=train, utility=True, workers=1)
    ((data, _),) = studied
    assert (len(data.validation_images), len(data.test_images)) == (20, 20)
    assert np.bincount(data.test_labels).tolist() == [10, 10]


def test_too_few_images_to_test_on_are_told_without_a_word_of_recipes(
    tmp_path: Path, studied: list[tuple[UtilityData, UtilityPlan]]
) -> None:
    held = written(lights(2, 1), tmp_path / "held")
    made, train = written(lights(20, 3), tmp_path / "made"), written(lights(40, 2), tmp_path / "train")
    with pytest.raises(DataError, match="others to test on; got 2 images of 2 classes") as caught:
        twinset.compare(held, made, train=train, utility=True, workers=1)
    assert "recipe" not in str(caught.value)
    assert not studied


@pytest.mark.parametrize("which", ["held", "made", "train"])
def test_utility_needs_a_label_on_every_image(which: str, tmp_path: Path) -> None:
    paths = {name: tmp_path / name for name in ("held", "made", "train")}
    for number, (name, path) in enumerate(paths.items()):
        dataset = lights(20, number)
        if name == which:
            dataset = Dataset.of((Sample(s.id, image=s.image) for s in dataset), classes=())
        write(dataset, path, "imagefolder")
    with pytest.raises(UsageError, match="labelled images on all sides"):
        twinset.compare(paths["held"], paths["made"], train=paths["train"], utility=True)


def counted(page: report.ReportData) -> dict[str, Sequence[int]]:
    return {facts.kind: facts.counts["all"] for facts in page.datasets}


@pytest.mark.slow
def test_images_of_no_class_are_counted_on_the_page(tmp_path: Path, pages: list[report.ReportData]) -> None:
    held = written(lights(40, 1), tmp_path / "held")
    bare = Dataset.of((Sample(sample.id, image=sample.image) for sample in lights(30, 2)), classes=())
    flat = written(bare, tmp_path / "flat")
    twinset.compare(held, flat, report=tmp_path / "page.html")
    twinset.compare(flat, held, report=tmp_path / "page.html")
    twinset.compare(held, written(lights(20, 3), tmp_path / "made"), report=tmp_path / "page.html")
    assert [page.classes for page in pages] == [("above", "below", "unlabelled or other"), ("all",), ("above", "below")]
    assert counted(pages[0]) == {"real": (20, 20, 0), "synthetic": (0, 0, 30)}
    assert counted(pages[1]) == {"real": (30,), "synthetic": (40,)}
    assert counted(pages[2]) == {"real": (20, 20), "synthetic": (10, 10)}


def test_the_command_on_the_page_names_an_extractor_that_is_accepted_and_no_path(
    tmp_path: Path, pages: list[report.ReportData], monkeypatch: pytest.MonkeyPatch
) -> None:
    held, made = written(lights(40, 1), tmp_path / "held"), written(lights(20, 3), tmp_path / "made")
    with monkeypatch.context() as patched:
        for module in (question, whole):
            patched.setattr(module, "embedder_named", lambda _: RandomConvolution())
        patched.setattr(question, "check_extractor", lambda _: None)
        twinset.compare(held, made, extractor="dinov2:/secret/model", report=tmp_path / "page.html")
    words = pages[0].command.split()
    named = words[words.index("--extractor") + 1]
    assert named == "dinov2:FILE"
    assert "secret" not in pages[0].command
    assert question.embedder_named(named)
    with pytest.raises(TwinsetError):
        question.embedder_named("dinov2")


def test_a_report_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match=r"expected a file for --report; got the folder .*report\.html"):
        twinset.compare("nowhere", "there", report=tmp_path)
    with pytest.raises(RunFolderError, match="expected a page that can be written"):
        twinset.compare("nowhere", "there", report=tmp_path / "file" / "page.html")
    with pytest.raises(UsageError, match="no such home folder"):
        twinset.compare("nowhere", "there", report="~nosuchuser/page.html")
    with pytest.raises(DataError, match="no such file"):
        twinset.compare("nowhere", "there", report=tmp_path / "page.html")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that nobody can write to")
def test_a_report_in_a_folder_that_cannot_be_written_to_is_refused_before_the_work() -> None:
    with pytest.raises(RunFolderError, match="expected a page that can be written"):
        twinset.compare("nowhere", "there", report="/proc/page.html")


@pytest.mark.parametrize("source", ["~nosuchuser/photos", "a\0b"])
def test_a_source_that_is_no_path_is_told(source: str) -> None:
    with pytest.raises(UsageError, match="expected a path") as caught:
        twinset.load(source)
    assert not isinstance(caught.value, RecipeError)


def test_features_of_anybody_are_compared_without_pictures(tmp_path: Path) -> None:
    draws = np.random.default_rng(0)
    for name, shift in (("real", 0.0), ("near", 0.0), ("far", 1.0)):
        np.save(tmp_path / f"{name}.npy", draws.normal(shift, 1, (300, 8)).astype(np.float32))
    near, far = (twinset.compare(tmp_path / "real.npy", tmp_path / f"{name}.npy") for name in ("near", "far"))
    assert (near.n_real, near.n_synthetic) == (300, 300)
    assert near.scores["frechet_distance"].value < 0.5 < 6 < far.scores["frechet_distance"].value
    assert near.protocol["extractor"] == "given features"
    assert near.protocol["real_digest"] == far.protocol["real_digest"]
    assert near.protocol["synthetic_digest"] != far.protocol["synthetic_digest"]
    trained = twinset.compare(tmp_path / "real.npy", tmp_path / "far.npy", train=tmp_path / "far.npy")
    assert trained.scores["authenticity"].value == 0.0
    page = tmp_path / "page.html"
    twinset.compare(tmp_path / "real.npy", tmp_path / "far.npy", report=page, metrics="frechet,structure")
    assert "it needs pictures; got features alone" in page.read_text()


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (np.zeros((3, 4, 5)), r"expected numbers \(N, D\); got float64 \(3, 4, 5\)"),
        (np.array([["a"]]), r"expected numbers \(N, D\); got <U1"),
        (np.array([{}], dtype=object), "expected features .* in NumPy's .npy format; got"),
    ],
)
def test_what_are_no_features_is_refused(array: np.ndarray, told: str, tmp_path: Path) -> None:
    np.save(tmp_path / "odd.npy", array, allow_pickle=True)
    with pytest.raises(DataError, match=told):
        twinset.compare(tmp_path / "odd.npy", tmp_path / "odd.npy")


def test_features_are_compared_with_features_only(tmp_path: Path) -> None:
    np.save(tmp_path / "real.npy", np.zeros((3, 4)))
    np.save(tmp_path / "wide.npy", np.zeros((3, 5)))
    with pytest.raises(UsageError, match="all sides as pictures, or all as features"):
        twinset.compare(tmp_path / "real.npy", "builtin:digits")
    with pytest.raises(DataError, match="features of one width; got 4 and 5"):
        twinset.compare(tmp_path / "real.npy", tmp_path / "wide.npy")
    with pytest.raises(UsageError, match="expected pictures with --utility or --by"):
        twinset.compare(tmp_path / "real.npy", tmp_path / "real.npy", by="class")


@pytest.mark.slow
def test_all_metrics_run_and_those_without_weights_name_the_file_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWINSET_MODELS", str(tmp_path / "none"))
    held, made = written(lights(60, 1), tmp_path / "held"), written(lights(40, 3), tmp_path / "made")
    train = written(lights(40, 2), tmp_path / "train")
    began = time.perf_counter()
    ready, missing = available(tuple(MEASURES))
    assert time.perf_counter() - began < 1
    assert set(missing) == {"inception", "spatial", "perceptual", "text"}
    assert not set(ready) & set(missing)
    for name, wanted in (("inception", "0cc3c7bd"), ("perceptual", "7be5be79"), ("text", "clip-vit-base-patch32")):
        assert wanted in missing[name], name
    found = twinset.compare(held, made, train=train, metrics="all", by="class").scores
    undefined = {name for name, score in found.items() if score.value is None}
    measured = set(found) - undefined
    assert {"inception_score", "spatial_frechet_distance", "clip_score", "crop_kernel_distance"} <= undefined
    assert {"cmmd", "vendi_ratio_q1", "authenticity", "detectability_auc_all", "cler", "cler_difference"} <= measured
    assert {"frechet_distance[above]", "coverage[below]"} <= measured
    assert found["cler"].value == 1.0


def test_classes_are_matched_by_name_whatever_their_order(tmp_path: Path) -> None:
    held = lights(60, 1)
    swapped = Dataset.of(
        (Sample(s.id, Annotation(class_id=1 - s.annotation.class_id), image=s.image) for s in lights(40, 3)),
        classes=("below", "above"),
    )
    assert matched_classes(swapped, held.classes).tolist() == lights(40, 3).class_ids.tolist()
    found = twinset.compare(
        written(held, tmp_path / "held"), written(swapped, tmp_path / "made"), metrics="cler,frechet", by="class"
    )
    assert found.scores["cler"].value == 1.0
    assert found.scores["frechet_distance[above]"].n_synthetic == 20


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"metrics": "fid"}, "expected a metric out of .*'fid'"),
        ({"by": "colour"}, "expected a value of --by out of class"),
    ],
)
def test_wrong_names_are_refused_before_the_work(asked: dict[str, str], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        twinset.compare("nowhere", "there", **asked)


def test_pictures_are_looked_at_once_and_their_features_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWINSET_CACHE", str(tmp_path / "cache"))
    held, made = written(lights(40, 1), tmp_path / "held"), written(lights(20, 3), tmp_path / "made")
    first = twinset.compare(held, made)
    assert len(list((tmp_path / "cache" / "features").iterdir())) == 2
    asked: list[int] = []
    monkeypatch.setattr(RandomConvolution, "embed", lambda *_: asked.append(1))
    assert twinset.compare(held, made).scores == first.scores
    assert not asked


def test_edited_images_are_compared_with_the_training_images_that_they_name(tmp_path: Path) -> None:
    train, held = lights(30, 2), written(lights(30, 1), tmp_path / "held")
    draws = np.random.default_rng(0)
    edited = []
    for sample in train:
        noisy = np.clip(sample.pixels() + draws.normal(0, 5, sample.pixels().shape), 0, 255).astype(np.uint8)
        origin = Origin("noise", 1, "ab" * 32, (sample.id,))
        edited.append(Sample(f"edit-{sample.id}", sample.annotation, origin, image=noisy))
    made = Dataset.of(edited, classes=train.classes)
    train.export(tmp_path / "train", format="parquet")
    made.export(tmp_path / "made", format="parquet")
    found = twinset.compare(held, tmp_path / "made", train=tmp_path / "train", metrics="edits").scores
    assert 30 < found["psnr"].value < 38
    others = twinset.compare(held, tmp_path / "train", train=tmp_path / "made", metrics="edits").scores
    assert "names one training image as its parent" in others["psnr"].undefined_because


def test_what_cannot_be_measured_leaves_the_rest_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWINSET_MODELS", str(tmp_path))
    (tmp_path / "inception.safetensors").write_bytes(b"no weights at all")
    held = list(lights(40, 1))
    thin = Sample("thin", held[0].annotation, image=np.zeros((30, 4, 1), np.uint8))
    odd = written(Dataset.of([*held, thin], classes=("above", "below")), tmp_path / "odd")
    found = twinset.compare(odd, written(lights(60, 3), tmp_path / "made"), metrics="frechet,pictures,inception").scores
    assert found["frechet_distance"].value is not None
    assert "sides of 8 pixels; got 4" in found["detectability_auc_all"].undefined_because
    assert "expected the weights of inception; got" in found["inception_score"].undefined_because


def test_the_digest_is_of_the_images_that_were_compared(tmp_path: Path) -> None:
    held, train = lights(40, 1), lights(30, 2)
    both = Dataset.of([*held, *train.take(range(5))], classes=held.classes)
    places = {name: written(each, tmp_path / name) for name, each in (("held", held), ("both", both), ("train", train))}
    made = written(lights(20, 3), tmp_path / "made")
    alone = twinset.compare(places["held"], made, train=places["train"], metrics="frechet")
    freed = twinset.compare(places["both"], made, train=places["train"], metrics="frechet")
    assert freed.n_real == alone.n_real == 40
    assert freed.protocol["real_digest"] == alone.protocol["real_digest"]


def test_a_cache_that_cannot_be_written_to_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("TWINSET_CACHE", str(tmp_path / "file"))
    held, made = written(lights(40, 1), tmp_path / "held"), written(lights(20, 3), tmp_path / "made")
    assert twinset.compare(held, made, metrics="frechet").scores["frechet_distance"].value is not None


def test_by_class_asks_every_class_what_was_asked_of_all(tmp_path: Path) -> None:
    held, made = written(lights(40, 1), tmp_path / "held"), written(lights(20, 3), tmp_path / "made")
    found = twinset.compare(held, made, metrics="prdc,vendi", by="class").scores
    assert "coverage[above]" in found
    assert not [name for name in found if name.startswith(("frechet", "kernel"))]


def test_a_set_compared_with_itself_is_told(tmp_path: Path) -> None:
    held = written(lights(40, 1), tmp_path / "held")
    told = twinset.compare(held, held, metrics="frechet").warnings
    assert any("40 synthetic images are real images of this comparison" in text for text in told)
    other = twinset.compare(held, written(lights(40, 3), tmp_path / "made"), metrics="frechet").warnings
    assert not any("real images of this comparison" in text for text in other)


def test_what_was_asked_for_and_cannot_be_measured_is_told(tmp_path: Path) -> None:
    held, made = written(lights(40, 1), tmp_path / "held"), written(lights(20, 3), tmp_path / "made")
    found = twinset.compare(held, made, metrics="authenticity,nearest").scores
    assert found["authenticity"].undefined_because
    assert found["nearest_record_ratio"].undefined_because
    assert "authenticity" not in twinset.compare(held, made).scores


def test_features_with_a_hole_are_named_with_their_row(tmp_path: Path) -> None:
    rows = np.zeros((9, 3))
    np.save(tmp_path / "real.npy", rows)
    rows[4, 1] = np.nan
    np.save(tmp_path / "holed.npy", rows)
    with pytest.raises(DataError, match=r"holed\.npy: expected finite features; got NaN or infinity in row 4"):
        twinset.compare(tmp_path / "real.npy", tmp_path / "holed.npy")


def test_sets_without_classes_of_equal_name_are_compared_as_wholes(tmp_path: Path) -> None:
    held, made = written(lights(40, 1), tmp_path / "held"), lights(20, 3)
    other = written(Dataset.of(list(made), classes=("left", "right")), tmp_path / "made")
    found = twinset.compare(held, other, metrics="frechet", by="class")
    assert found.scores["frechet_distance"].value is not None
    assert any("not by class" in text for text in found.warnings)
