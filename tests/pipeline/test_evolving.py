"""Evolution in a run: committed round by round, killed and gone on with, and told of in the report."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pydantic
import pytest
from tests.alignment.evolution.greys import Greys

import twinset
from twinset import pipeline
from twinset.alignment.evolution import Configurations, epsilon
from twinset.errors import RecipeError
from twinset.executors.local import LocalProcesses
from twinset.formats import read, write
from twinset.generators.copypaste import CopyPaste
from twinset.generators.rendering import Rendering
from twinset.pipeline.evolving import commit_evolution, committing, evolved, evolved_path, spaces, touched_by
from twinset.pipeline.evolving.kept import kept_key
from twinset.pipeline.evolving.pooled import OfClass, Pooled
from twinset.pipeline.real import prepare_real, read_real
from twinset.pipeline.reporting import Quiet
from twinset.randomness import Stream
from twinset.recipe import EvolvePart, recipe_from_values
from twinset.secret_randomness import KEY_BYTES
from twinset.stages import BoundedMethod, Slot

EVOLVE = {"rounds": 3, "population": 8, "pictures": 2, "measures": ["box_area", "centre_y"]}
QUICK = {
    "minutes": 1,
    "count": 16,
    "shard_size": 8,
    "seed": 5,
    "evaluate": {"fidelity": False, "metadata": False, "utility": "off"},
    "gate": {"copies": "off"},
}


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    dataset, _ = read("builtin:digit-scenes")
    splits = np.asarray(dataset.splits, dtype=object)
    parts = {"train": 16, "validation": 6, "test": 6}
    folder = tmp_path_factory.mktemp("evolving") / "real"
    write(dataset.take(np.concatenate([np.flatnonzero(splits == k)[:n] for k, n in parts.items()])), folder, "coco")
    return folder


def run(real: Path, out: Path, **changes: object) -> Path:
    twinset.run({"data": str(real), **QUICK, "evolve": {**EVOLVE, **changes}}, out=out, workers=1, quiet=True)
    return out / "models" / "0-copypaste"


def killed_in_round(number: int, monkeypatch: pytest.MonkeyPatch, real: Path, out: Path, **changes: object) -> list:
    """A run that is killed when this round's votes are counted and noised, but not yet committed; these votes."""
    commit, lost = committing.commit_round, []

    def interrupted(folder: Path, at: int, found: object, excess: float | None) -> None:
        if at == number:
            lost.append(found)
            raise KeyboardInterrupt
        commit(folder, at, found, excess)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(committing, "commit_round", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(real, out, **changes)
    return lost


@pytest.fixture(scope="module")
def finished(real: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("evolved") / "run"
    run(real, out)
    return out


@pytest.mark.slow
def test_a_run_keeps_its_rounds_and_tells_of_them(finished: Path) -> None:
    folder = finished / "models" / "0-copypaste"
    assert sorted(path.name for path in (folder / "evolution").iterdir()) == [f"round-00{n}.json" for n in range(3)]
    outcome = json.loads(evolved_path(folder).read_text())
    assert list(outcome["excess_frechet"]) == ["before", "round 1", "round 2", "round 3", "after"]
    page = (finished / "report.html").read_text()
    assert "Evolution of copypaste: Fréchet distance from exposed images, which voted, over" in page
    assert "no differential privacy is claimed" in page


@pytest.mark.slow
def test_the_outcome_is_the_winners_of_the_last_round(finished: Path) -> None:
    folder = finished / "models" / "0-copypaste"
    last = json.loads((folder / "evolution" / "round-002.json").read_text())
    outcome = json.loads(evolved_path(folder).read_text())["weighted"]
    votes = np.array(last["votes"])
    assert votes.sum() == pytest.approx(16)
    expected = [[v / 16, c] for v, c in zip(last["votes"], last["configurations"], strict=True) if v > 0]
    assert outcome == [expected]


def test_samples_of_an_evolved_run_can_be_made_again(finished: Path) -> None:
    assert pipeline.verify(finished, samples=3, device="cpu", listener=Quiet()).ok


@pytest.mark.slow
@pytest.mark.parametrize("number", [0, 2])
def test_a_run_that_is_killed_while_it_evolves_ends_in_the_same_dataset(
    number: int, real: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_in_round(number, monkeypatch, real, tmp_path / "run")
    document = pipeline.resume(tmp_path / "run", workers=2, device="cpu", listener=Quiet())
    assert document.digest == json.loads((finished / "result.json").read_text())["digest"]


@pytest.mark.slow
def test_a_killed_run_repeats_its_round_with_the_same_noise_and_destroys_the_key_in_the_end(
    real: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (lost,) = killed_in_round(1, monkeypatch, real, tmp_path / "run", sigma=4.0)
    folder = tmp_path / "run" / "models" / "0-copypaste" / "evolution"
    key = (folder / "key").read_bytes()
    assert (folder / "key").stat().st_mode & 0o077 == 0
    pipeline.resume(tmp_path / "run", workers=1, device="cpu", listener=Quiet())
    again = json.loads((folder / "round-001.json").read_text())
    assert again["votes"] == lost.votes.tolist()
    assert again["configurations"] == [dict(one) for one in lost.candidates]
    assert not (folder / "key").exists()
    everything = b"".join(path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file())
    assert key not in everything
    assert key.hex().encode() not in everything


@pytest.mark.slow
def test_noise_follows_from_no_recipe(real: Path, tmp_path: Path) -> None:
    """Whoever has recipe and data could take it off again."""
    votes = [
        json.loads((run(real, tmp_path / name, sigma=4.0, rounds=1) / "evolution" / "round-000.json").read_text())
        for name in ("one", "other")
    ]
    assert votes[0]["configurations"] == votes[1]["configurations"]
    assert votes[0]["votes"] != votes[1]["votes"]


@pytest.mark.slow
def test_noise_over_a_generator_that_saw_the_images_is_told_and_not_claimed(real: Path, tmp_path: Path) -> None:
    folder = run(real, tmp_path / "run", sigma=4.0, rounds=1)
    outcome = json.loads(evolved_path(folder).read_text())
    assert outcome["claimed"] is False
    assert outcome["epsilon"] == pytest.approx(epsilon(4.0, 1, 1 / 160))
    assert any("copypaste was fitted on the exposed images" in sentence for sentence in outcome["sentences"])


def test_an_epsilon_that_cannot_be_claimed_is_refused(real: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="owe nothing to the exposed images, for epsilon; got copypaste"):
        run(real, tmp_path / "run", epsilon=1.0)
    assert not (tmp_path / "run" / "resolved.yaml").exists()


def test_what_is_in_a_renderer_before_any_vote() -> None:
    def found(method: object, *, matched: bool = False, curated: bool = False) -> tuple[str, ...]:
        return touched_by(method, name="it", matched=matched, curated=curated)

    assert found(Rendering(backdrop="road")) == ()
    assert found(Rendering()) == ("the backdrops are exposed images",)
    assert found(Rendering(backdrop="road", follow=("area",))) == ("objects follow the boxes of exposed images",)
    assert len(found(Rendering(backdrop="road", balance=0.5), matched=True, curated=True)) == 3
    assert found(CopyPaste()) == ("it was fitted on the exposed images",)


def test_a_generator_without_a_space_is_refused() -> None:
    with pytest.raises(RecipeError, match="evolve: expected generators with a configuration space; got folder"):
        spaces.space_of(object(), None, name="folder")


def test_bounds_that_the_generator_has_not_are_refused(real: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="evolve: copypaste: expected bounds of log_area_mean"):
        run(real, tmp_path / "run", within={"sun": (0, 1)})


def test_a_dry_run_refuses_bounds_that_no_renderer_has(real: Path) -> None:
    rendered = {"use": "render", "backdrop": "road", "shapes": dict.fromkeys(read(real)[0].classes, "primitive")}
    recipe = {"data": str(real), **QUICK, "generate": [rendered]}
    for evolve, said in (
        ({"within": {"size_mean": [0.1, 0.3]}}, "expected bounds of size_mean within -4.605…0"),
        ({"within": {"count": [0, 5]}}, "expected bounds of size_mean, .*; got count"),
        ({"measures": ["box_area"], "within": {"count_mean": [0, 5]}}, "expected bounds of size_mean, size_std; got"),
        ({"measures": ["hue"]}, "expected measures out of box_area.*; got hue"),
    ):
        written = recipe_from_values({**recipe, "evolve": evolve})
        with pytest.raises(RecipeError, match=f"evolve: render: {said}"):
            pipeline.dry_run(written, workers=1, device="cpu", listener=Quiet())


def test_a_dry_run_refuses_an_epsilon_over_features_that_the_images_train(real: Path) -> None:
    rendered = {"use": "render", "backdrop": "road", "shapes": dict.fromkeys(read(real)[0].classes, "primitive")}
    recipe = {"data": str(real), **QUICK, "generate": [rendered]}
    evolve = {"epsilon": 5.0, "embedder": {"use": "self"}}
    with pytest.raises(RecipeError, match="for epsilon; got render: the features are of a network that is trained on"):
        pipeline.dry_run(recipe_from_values({**recipe, "evolve": evolve}), workers=1, device="cpu", listener=Quiet())


def test_a_method_of_others_that_knows_its_space_is_held_to_it_before_a_fit(real: Path, tmp_path: Path) -> None:
    class Bounded(CopyPaste):
        def bounds(self, measures: Sequence[str] | None = None) -> dict[str, tuple[float, float]]:
            return {"zoom": (1.0, 2.0)}

    assert isinstance(Rendering(), BoundedMethod)
    written = recipe_from_values({"data": str(real), **QUICK, "evolve": {"within": {"zoom": [1, 3]}}})
    data = prepare_real(written.recipe, *read_real(written), tmp_path / "run")
    source = SimpleNamespace(kind="generators", use="zoomed", method=Bounded())
    with pytest.raises(RecipeError, match=r"evolve: zoomed: expected bounds of zoom within 1…2"):
        spaces.check_evolution(written.recipe, [source], data)  # type: ignore[list-item]


def test_a_dry_run_refuses_fewer_candidates_than_classes_need() -> None:
    written = recipe_from_values({"data": "builtin:digits", **QUICK, "evolve": {"population": 19}})
    with pytest.raises(RecipeError, match="expected at least 20 candidates for 10 classes; got 19"):
        pipeline.dry_run(written, workers=1, device="cpu", listener=Quiet())


def test_candidates_begin_around_what_matching_found(real: Path, tmp_path: Path) -> None:
    training = read(real)[0]
    generator = CopyPaste().fit(training.where([s == "train" for s in training.splits]), rng=Stream(0))
    low, high = spaces.space_of(generator, ["box_area"], name="copypaste").space["log_area_mean"]
    middle = (low + high) / 2
    matched = {"measures": ["box_area"], "weighted": [[1.0, {"log_area_mean": middle, "log_area_std": 0.3}]]}
    (tmp_path / "matched.json").write_text(json.dumps(matched))
    part = EvolvePart.model_validate({**EVOLVE, "population": 40})
    first = spaces.candidates_of(generator, tmp_path, part, name="copypaste").first([0] * 40, rng=Stream(1))
    assert max(abs(one["log_area_mean"] - middle) for one in first) <= 0.1 * (high - low)
    assert np.ptp([one["centre_y_mean"] for one in first]) > 0.9


def test_measures_that_would_give_up_what_matching_found_are_refused(real: Path, tmp_path: Path) -> None:
    training = read(real)[0]
    generator = CopyPaste().fit(training.where([s == "train" for s in training.splits]), rng=Stream(0))
    matched = {"measures": ["box_area"], "weighted": [[1.0, {"log_area_mean": -3.0, "log_area_std": 0.3}]]}
    (tmp_path / "matched.json").write_text(json.dumps(matched))
    part = EvolvePart.model_validate({**EVOLVE, "measures": ["centre_y"]})
    with pytest.raises(RecipeError, match="that move all that match did; got centre_y, without log_area_mean"):
        spaces.candidates_of(generator, tmp_path, part, name="copypaste")


def test_nobody_else_may_read_the_key_at_any_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modes, replaced = [], Path.replace

    def watched(path: Path, target: Path) -> Path:
        modes.append(path.stat().st_mode & 0o077)
        return replaced(path, target)

    monkeypatch.setattr(Path, "replace", watched)
    key = kept_key(tmp_path)
    assert modes == [0]
    assert len(key) == KEY_BYTES
    assert kept_key(tmp_path) == key
    assert [path.name for path in (tmp_path / "evolution").iterdir()] == ["key"]


@pytest.mark.parametrize(
    "wrong", [{"sigma": 1.0, "epsilon": 1.0}, {"delta": 0.1}, {"votes": 9, "population": 8}, {"rounds": 0}]
)
def test_parts_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(pydantic.ValidationError):
        EvolvePart.model_validate(wrong)


def test_an_epsilon_becomes_the_noise_that_it_takes() -> None:
    part = EvolvePart.model_validate({"epsilon": 2.0, "delta": 1e-4, "rounds": 7, "votes": 4})
    sigma = part.settings(images=50).sigma
    assert epsilon(sigma, 7, 1e-4, sensitivity=0.5) == pytest.approx(2.0, rel=1e-9)
    of_three = part.settings(images=50, generators=3).sigma
    assert epsilon(of_three, 21, 1e-4, sensitivity=0.5) == pytest.approx(2.0, rel=1e-9)


@pytest.mark.slow
def test_every_class_of_a_classification_run_has_its_own_winners(tmp_path: Path) -> None:
    written = recipe_from_values({"data": "builtin:digits", "seed": 3})
    data = prepare_real(written.recipe, *read_real(written), tmp_path / "run")
    part = EvolvePart.model_validate({"rounds": 1, "population": 40, "pictures": 1, "within": {"level_mean": [0, 200]}})
    folder = tmp_path / "run" / "models" / "0-greys"
    commit_evolution(Greys(), folder, part, data, name="greys", seed=3, executor=LocalProcesses(1), listener=Quiet())
    weighted = json.loads(evolved_path(folder).read_text())["weighted"]
    assert len(weighted) == 10
    assert all(sum(weight for weight, _ in own) == pytest.approx(1.0) for own in weighted)
    generator = evolved(Greys(), folder, name="greys")
    assert isinstance(generator, OfClass)
    slots = [Slot(number, 0, number, number % 10, "x") for number in range(20)]
    assert [sample.id for sample in generator.generate(slots)] == [slot.id for slot in slots]
    assert [dict(c) for _, c in generator.generators[7].weighted] == [c for _, c in weighted[7]]  # type: ignore[attr-defined]


class Backwards(LocalProcesses):
    """Workers of which the last to start is the first to end."""

    def map(self, function: object, tasks: Sequence[object]) -> Iterator[tuple[int, object]]:  # type: ignore[override]
        for number in reversed(range(len(tasks))):
            yield number, function(tasks[number])  # type: ignore[operator]


def test_workers_make_the_same_pictures_in_whatever_order_they_end() -> None:
    candidates = Configurations(Greys())
    members = candidates.first([0] * 7, rng=Stream(0))
    pooled = Pooled(candidates, Backwards(2))
    shown = [one.pictures(members, [0] * 7, 3, rng=Stream(1)) for one in (candidates, pooled)]
    pixels = [np.array([[one.pixels() for one in each] for each in found]) for found in shown]
    np.testing.assert_array_equal(pixels[0], pixels[1])


@pytest.mark.slow
def test_a_renderer_that_saw_no_image_may_claim_an_epsilon(real: Path, tmp_path: Path) -> None:
    classes = read(real)[0].classes
    rendered = {
        "use": "render",
        "backdrop": "road",
        "shapes": dict.fromkeys(classes, "primitive"),
        "shapes_per_class": 2,
    }
    evolve = {"rounds": 2, "population": 8, "pictures": 1, "epsilon": 3.0, "within": {"count_mean": [0, 5]}}
    both = [rendered, {**rendered, "backdrop": "white"}]
    recipe = {"data": str(real), **QUICK, "generate": both, "evolve": evolve}
    twinset.run(recipe, out=tmp_path / "run", workers=1, quiet=True)
    for name in ("0-render", "1-render"):
        outcome = json.loads(evolved_path(tmp_path / "run" / "models" / name).read_text())
        assert outcome["claimed"] is True
        assert outcome["epsilon"] == pytest.approx(3.0)
        assert outcome["delta"] == pytest.approx(1 / 160)
        assert epsilon(outcome["sigma"], 2 * 2, 1 / 160) == pytest.approx(3.0)
    assert "amount together to ε = 3 at δ = 0.00625" in (tmp_path / "run" / "report.html").read_text()
    recipe["generate"] = [{**rendered, "backdrop": "training"}]
    with pytest.raises(RecipeError, match="the backdrops are exposed images"):
        twinset.run(recipe, out=tmp_path / "other", workers=1, quiet=True)
