from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from twinset import documents
from twinset.annotations import Annotation
from twinset.dataset import Dataset, Origin, Sample
from twinset.pipeline.explaining import ExplainSettings, Explanation, Training, _training_of, explain
from twinset.pipeline.fidelity import Features
from twinset.randomness import Stream
from twinset.report import ReportData, render
from twinset.report.explain_words import sentences_of
from twinset.scores import Interval, Score

HOSTILE = "<script>alert('x')</script>"
CLASSES = ("cat", HOSTILE)


def cloud(seed: int, n: int, at: float = 0.0, d: int = 5) -> np.ndarray:
    return np.random.Generator(np.random.PCG64(seed)).normal(size=(n, d)) + at


def dataset(
    name: str,
    class_ids: Sequence[int],
    *,
    classes: Sequence[str] = CLASSES,
    parents: Sequence[tuple[str, ...]] = (),
    side: int = 4,
) -> Dataset:
    """Images named ``name/row``, each of one grey level."""
    samples = [
        Sample(
            f"{name}/{row}",
            Annotation(class_id=class_id) if class_id >= 0 else None,
            Origin("x", 1, "0" * 64, parents=parents[row]) if parents else Origin(),
            image=np.full((side, side, 1), row % 256, np.uint8),
        )
        for row, class_id in enumerate(class_ids)
    ]
    return Dataset.of(samples, classes=list(classes))


def with_a_hole(**more: object) -> Explanation:
    """Thirty real images and twenty synthetic ones lie apart; the real ones are of the hostile class."""
    real = np.concatenate([cloud(0, 150), cloud(1, 30, at=15)])
    made = np.concatenate([cloud(2, 150), cloud(3, 20, at=-15)])
    return explain(
        dataset("real", [0] * 150 + [1] * 30),
        dataset("made", [0] * 170),
        features=(real, made),
        extractor="planted/1",
        rng=Stream(0),
        **more,  # type: ignore[arg-type]
    )


def page(found: Explanation) -> str:
    data = ReportData(
        title="x", classes=CLASSES, command="x", version="0", kind="compare", explanation=found.facts
    )  # fmt: skip
    return render(data)


def test_a_planted_hole_and_an_invention_are_told_with_the_ids_of_their_images() -> None:
    found = with_a_hole()
    (hole,), (invented,) = found.part.uncovered.regions, found.part.unsupported.regions
    assert set(hole.ids) == {f"real/{row}" for row in range(150, 180)}
    assert set(invented.ids) == {f"made/{row}" for row in range(150, 170)}
    assert all(id_.startswith("made/") for id_ in hole.nearest)
    assert all(id_.startswith("real/") for id_ in invented.nearest)
    assert (hole.share, hole.classes) == (pytest.approx(30 / 180), {HOSTILE: 30})
    assert max(hole.p_value, invented.p_value) <= 0.05 == found.part.uncovered.alpha
    assert "One region of the real images holds no synthetic one: 30 images of 180" in found.part.uncovered.sentence
    assert "One region of the synthetic images holds no real one: 20 images of 170" in found.part.unsupported.sentence
    assert hole.sentence.startswith("30 images, 16.7 %; p = 0.005; 30 of 30 of")


def test_the_pictures_shown_are_those_of_the_region_with_the_other_set_beside() -> None:
    found = with_a_hole()
    (hole,) = found.facts.uncovered.shown
    assert {picture.id for picture in hole.pictures} <= {f"real/{row}" for row in range(150, 180)}
    assert hole.pictures[0].id == found.part.uncovered.regions[0].ids[0]
    assert [picture.id for picture in hole.nearest] == found.part.uncovered.regions[0].nearest[:4]
    row = int(hole.pictures[0].id.removeprefix("real/"))
    assert (hole.pictures[0].pixels == row % 256).all()
    made = found.facts.unsupported.shown[0].pictures[0]
    assert (made.pixels == int(made.id.removeprefix("made/")) % 256).all()


def test_the_page_shows_what_was_found_and_no_name_is_markup() -> None:
    text = page(with_a_hole())
    assert 'id="explanation"' in text
    assert "<b>30 real images</b>" in text
    assert "<b>20 synthetic images</b>" in text
    assert text.count('title="real/1') >= 8
    assert HOSTILE not in text
    assert "&lt;script&gt;alert" in text
    assert "is at most 5 %" in text
    assert "The twin has no image of" in text


def test_exchangeable_halves_have_nothing_to_show() -> None:
    ids = [0, 1] * 100
    found = explain(
        dataset("real", ids),
        dataset("made", ids),
        features=(cloud(0, 200), cloud(1, 200)),
        extractor="x",
        rng=Stream(0),
        training=Training(dataset("train", ids), cloud(2, 200)),
    )
    part = found.part
    assert [*part.uncovered.regions, *part.unsupported.regions, *part.classes, *part.alarms, *part.notes] == []
    assert part.sentences[0].startswith("No region of the real images is without synthetic ones beyond chance")
    assert part.sentences[3] == "None of 2 classes differs beyond chance."
    section = re.search(r'<section class="part" id="explanation">.*?</section>', page(found), re.DOTALL)
    assert section is not None
    assert "<table" not in section[0]
    assert 'class="finding"' not in section[0]


@pytest.mark.slow
def test_false_findings_are_as_rare_as_the_page_says() -> None:
    wrong = 0
    for seed in range(40):
        ids = [-1] * 80
        found = explain(
            dataset("real", ids, classes=()),
            dataset("made", ids, classes=()),
            features=(cloud(2 * seed, 80), cloud(2 * seed + 1, 80)),
            extractor="x",
            rng=Stream(seed),
        )
        wrong += bool(found.part.uncovered.regions)
    assert wrong <= 6  # P(more | 5 %) = 0.6 %


def test_a_family_counts_once_or_a_burst_would_look_like_a_hole() -> None:
    real = np.concatenate([cloud(0, 150), cloud(1, 1, at=15) + 0.01 * cloud(2, 30)])
    ids = [0] * 180
    sets = dataset("real", ids), dataset("made", ids[:150])
    families = np.minimum(np.arange(180), 150)

    def found(**more: object) -> Explanation:
        return explain(*sets, features=(real, cloud(3, 150)), extractor="x", rng=Stream(0), **more)  # type: ignore[arg-type]

    assert [len(region.ids) for region in found().part.uncovered.regions] == [30]
    once = found(families=families).part
    assert not once.uncovered.regions
    assert once.uncovered.examined == 151
    assert once.notes == ["Of 180 real images one of each of 151 took part (families)"]
    assert [odd.id.startswith("real/") and int(odd.id[5:]) >= 150 for odd in once.odd if odd.kind == "outlier"] == [
        True
    ]


def test_outliers_are_told_with_the_synthetic_image_that_is_near_them() -> None:
    real, made = cloud(0, 150), cloud(1, 150)
    real[[40, 90]] = np.array([[30.0] * 5, [-30.0] * 5])
    made[77] = real[40] + 0.1
    families = np.maximum(np.arange(150), 10)  # the first eleven are one family, so rows move
    found = explain(
        dataset("real", [0] * 150),
        dataset("made", [0] * 150),
        features=(real, made),
        extractor="x",
        rng=Stream(0),
        families=families,
    )
    odd = {one.id: one for one in found.part.odd if one.kind == "outlier"}
    assert set(odd) == {"real/40", "real/90"}
    assert (odd["real/40"].nearest_synthetic, odd["real/40"].contained) == ("made/77", True)
    assert odd["real/40"].ratio < 1 < odd["real/90"].ratio
    assert not odd["real/90"].contained
    shown = found.facts.odd.shown
    assert [one.picture.id for one in shown[:2]] == ["real/90", "real/40"]  # what the twin lacks comes first
    assert shown[1].nearest_synthetic.id == "made/77"
    assert found.part.sentences[2].startswith(
        "Among 140 real images: 2 outliers (the twin has an image near 1 of them)"
    )


def test_images_made_from_the_same_parents_count_once() -> None:
    made = np.concatenate([cloud(20, 100), cloud(1, 1, at=15) + 0.01 * cloud(2, 30)])
    parents = [(f"train/{row}",) for row in range(100)] + [("train/1000",)] * 30
    real, ids = dataset("real", [0] * 100), [0] * 130
    features = cloud(21, 100), made

    def regions(synthetic: Dataset) -> int:
        return len(explain(real, synthetic, features=features, extractor="x", rng=Stream(0)).part.unsupported.regions)

    assert regions(dataset("made", ids, parents=parents)) == 0
    assert regions(dataset("made", ids)) == 1


def test_a_large_set_is_thinned_and_the_page_says_so() -> None:
    found = with_a_hole(settings=ExplainSettings(limit=100))
    assert found.part.uncovered.examined == 100
    assert found.part.notes[0] == "Of 180 real images 100 took part, drawn at random"
    (hole,) = found.part.uncovered.regions
    assert set(hole.ids) <= {f"real/{row}" for row in range(150, 180)}
    assert {picture.id for picture in found.facts.uncovered.shown[0].pictures} <= set(hole.ids)
    # Class counts are of all images: of a class that the sample misses nothing false is said.
    assert "(30 real)" in found.part.sentences[3]


def test_a_set_many_times_larger_than_the_other_is_thinned_lest_its_balls_hold_everything() -> None:
    real = np.concatenate([cloud(0, 800), cloud(1, 120, at=15)])
    found = explain(
        dataset("real", [0] * 920),
        dataset("made", [0] * 40),
        features=(real, cloud(2, 40)),
        extractor="x",
        rng=Stream(0),
    )
    part = found.part.uncovered
    assert (part.examined, part.others, part.undefined_because) == (160, 40, None)
    assert found.part.notes[0].startswith("Regions of real images were sought among 160 of them, drawn at random")
    (hole,) = part.regions
    assert set(hole.ids) <= {f"real/{row}" for row in range(800, 920)}


def test_classes_are_matched_by_name_and_the_worst_is_shown() -> None:
    real = np.concatenate([cloud(0, 60), cloud(1, 60, at=8)])
    made = np.concatenate([cloud(2, 60, at=8), cloud(3, 60, at=3), cloud(4, 5)])
    found = explain(
        dataset("real", [0] * 60 + [1] * 60, classes=("a", "b")),
        dataset("made", [0] * 60 + [1] * 60 + [2] * 5, classes=("b", "a", "new")),
        features=(real, made),
        extractor="x",
        rng=Stream(0),
    )
    assert list(found.part.classes) == ["a"]
    gap = found.part.classes["a"]
    assert (gap.n_real, gap.n_synthetic) == (60, 60)
    assert all(id_ in {f"made/{row}" for row in range(60, 120)} for id_ in gap.unsupported)
    figure = gap.figures["frechet_distance"]
    assert figure.value > figure.floor > 0
    assert figure.beyond_chance
    assert found.part.sentences[3] == (
        "There is no real image here of 'new' (5 synthetic). One of 2 classes differs beyond chance: 'a'."
    )
    assert "Classes beyond chance" in page(found)


def test_closest_pairs_are_measured_against_unseen_images_in_the_space_that_is_given() -> None:
    train = cloud(5, 90)
    made = cloud(6, 80)
    made[7] = train[11]
    ids = [0] * 90
    found = explain(
        dataset("real", ids[:70]),
        dataset("made", ids[:80]),
        features=(cloud(8, 70, d=3), cloud(9, 80, d=3)),
        extractor="self",
        rng=Stream(0),
        training=Training(dataset("train", ids), train, made, cloud(10, 70), "fixed/1"),
    )
    first = found.part.pairs[0]
    assert (first.synthetic, first.training, first.distance, first.ratio) == ("made/7", "train/11", 0.0, 0.0)
    assert first.unseen_share == pytest.approx(1 / 71)
    assert 0 < (found.part.pairs[1].ratio or 0) < 1
    assert len({pair.training for pair in found.part.pairs}) == 12
    assert found.facts.pairs is not None
    assert (found.facts.pairs.extractor, found.facts.pairs.unseen) == ("fixed/1", 70)
    assert with_a_hole().part.pairs == []


def test_an_alarm_stands_first() -> None:
    scores = (
        Score(f"{name}{where}", value, better, {"real": 99}, floor=floor, interval=Interval(value / 2, 2 * value))
        for name, value, better, floor in (("cmmd", 0.1, False, 0.2), ("coverage", 0.2, True, 0.9))
        for where in ("", "[cat]")
    )
    found = with_a_hole(scores=scores)
    assert found.part.sentences[0] == found.part.alarms[0]
    assert len(found.part.alarms) == 1  # single classes have a test of their own
    assert "less varied" in found.part.alarms[0]
    assert '<p class="alarm">Cmmd is at the level' in page(found)


def test_what_cannot_be_looked_for_is_said_and_nothing_fails() -> None:
    for n, m in ((1, 1), (3, 40), (40, 3)):
        found = explain(
            dataset("real", [0] * n),
            dataset("made", [0] * m),
            features=(cloud(0, n), cloud(1, m)),
            extractor="x",
            rng=Stream(0),
        )
        assert "were not looked for" in found.part.sentences[0], (n, m)
        assert "were not looked for" in page(found)


def test_equal_streams_find_the_same_and_features_must_fit() -> None:
    assert with_a_hole().part == with_a_hole().part
    with pytest.raises(ValueError, match=r"expected real features \(10, D\)"):
        explain(
            dataset("real", [0] * 10),
            dataset("made", [0] * 10),
            features=(cloud(0, 9), cloud(1, 10)),
            extractor="x",
            rng=Stream(0),
        )


def test_the_json_is_what_its_schema_says_and_its_sentences_are_the_pages() -> None:
    found = with_a_hole()
    document = documents.ExplanationDocument.model_validate(found.part.model_dump())
    value = json.loads(document.model_dump_json(by_alias=True))
    assert value["schema"] == "twinset/explanation/1"
    jsonschema.validate(value, documents.schema("explanation"))
    assert tuple(found.part.sentences) == sentences_of(found.facts)


def test_pairs_of_a_run_are_sought_in_features_that_saw_no_training_image() -> None:
    train, held, made = cloud(0, 30), cloud(1, 20), cloud(2, 25)
    fair = Features("fixed", train, held, made)
    seen = Features("self-trained", train + 9, held + 9, made + 9, saw_training=True, unseeing=fair)
    images = dataset("train", [0] * 30)
    own, others = _training_of(images, fair), _training_of(images, seen)
    assert (own.features is train, own.synthetic, own.holdout, own.extractor) == (True, None, None, "")
    assert (others.features is train, others.synthetic is made, others.holdout is held) == (True, True, True)
    assert (others.extractor, others.dataset) == ("fixed", images)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("embedder", "asked"),
    [
        pytest.param({"use": "self", "steps": 20}, True, id="self-True"),
        pytest.param({"use": "random"}, True, id="random-True"),
        pytest.param({"use": "random"}, False, id="random-False"),
    ],
)
def test_a_run_explains_itself_unless_told_not_to(
    embedder: dict[str, object], asked: bool, planted: dict[str, Path], tmp_path: Path
) -> None:
    import twinset

    recipe = {
        "data": str(planted["real"]),
        "generate": [{"use": "folder", "path": str(planted["helpful"])}],
        "count": 60,
        "threads": 1,
        "align": "off",
        "evaluate": {"embedder": embedder, "utility": "off", "explain": asked},
        "export": ["imagefolder"],
    }
    document = twinset.run(recipe, out=tmp_path / "run", workers=1, quiet=True)
    path = Path(document.run) / "evaluation" / "explanation.json"
    assert path.exists() == asked
    assert ('id="explanation"' in Path(document.report).read_text()) == asked
    if asked:
        value = json.loads(path.read_text())
        jsonschema.validate(value, documents.schema("explanation"))
        assert value["pairs"]
        # Pairs are never sought in features that were trained on the training images.
        assert "Nearest by features (random-convolution" in Path(document.report).read_text()
