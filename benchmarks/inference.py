"""Can metadata of real images be inferred, and does it say so where it cannot? Three sets with hidden truth.

    OMP_NUM_THREADS=1 uv run python benchmarks/inference.py [--images 400] [--real 80] [--seed 0] [--detector] [--out F]

All pictures are rendered by us. The synthetic part is drawn widely. The "real" part of the *easy* set follows a hidden
configuration (nearer, lower camera, dimmer light); that of the *textured* set has the same configuration, but checkered
objects that no synthetic picture shows; in the *permuted* set the synthetic features are dealt to other pictures.
What was inferred is compared with the truth that nobody was told, and matching then seeks the hidden configuration from
the inferred values of the easy set alone. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinset.alignment.inference import InferenceSettings, InferredMeasure, infer, target_of
from twinset.alignment.metadata import MEASURES, Matching, Trial, compare_measures, measure
from twinset.annotations import Annotation
from twinset.dataset import Dataset, Sample
from twinset.embedding.pixels import SmallPixels
from twinset.embedding.random_convolution import RandomConvolution
from twinset.generators.rendering import Rendering, RenderingGenerator, ShapeSource
from twinset.instances import Instances
from twinset.pipeline.inferring import (
    OBJECTS,
    PICTURES,
    SHAPE,
    InferredMetadata,
    infer_metadata,
    known_values,
    look_at,
)
from twinset.randomness import Stream
from twinset.stages import Configuration, Embedder

SIZE = (96, 96)
HIDDEN = {
    "size_mean": float(np.log(0.2)),
    "size_std": 0.15,
    "elevation_degrees_mean": 35.0,
    "elevation_degrees_std": 8.0,
    "ambient_mean": 0.7,
    "ambient_std": 0.12,
}
"""The configuration that the real parts follow."""

MATCHED = ("distance_metres", "camera_elevation_degrees", "ambient")
BATCH = 24


def generator(*materials: str) -> RenderingGenerator:
    """Four kinds of solids on white; only what is to be inferred varies, widely."""
    limits = {
        "solid": ("box", "cylinder", "cone", "torus"),
        "material": materials,
        "shade": (0.0, 0.01),
        "width": (0.4, 0.5),
        "depth": (0.4, 0.5),
        "height": (0.4, 0.6),
    }
    settings = Rendering(
        shapes={"solid": ShapeSource(family="primitive", limits=limits)},
        shapes_per_class=6,
        backdrop="white",
        image_size=SIZE,
        count=(3, 7),
        size=(0.12, 0.4),
        scale=(1.0, 1.0),
        elevation_degrees=(10.0, 80.0),
        field_of_view_degrees=(45.0, 45.0),
        roll_degrees=(0.0, 0.0),
        gap=-0.5,
        sun_strength=(0.5, 0.5),
        sun_elevation_degrees=(50.0, 50.0),
        ambient=(0.2, 1.6),
        noise=(0.0, 2.0),
        jpeg_quality=(95, 95),
        min_visible=0.15,
        maps=(),
    )
    return settings.fit(_blank(), rng=0)


def _blank() -> Dataset:
    white = np.full((*SIZE, 3), 255, dtype=np.uint8)
    samples = [Sample(str(k), Annotation(instances=Instances.none(SIZE)), image=white) for k in range(2)]
    return Dataset.of(samples, classes=("solid",))


@dataclass(frozen=True)
class Sets:
    """The synthetic pictures and both real parts, whose truth is not told; ``made_by`` drew the first two."""

    synthetic: Dataset
    easy: Dataset
    textured: Dataset
    made_by: RenderingGenerator


def sets(images: int, real: int, *, seed: int) -> Sets:
    """``images`` synthetic and twice ``real`` pictures."""
    plain, checkered = generator("grey lacquer", "red lacquer"), generator("checker")
    hidden = [(1.0, HIDDEN)]
    return Sets(
        plain.sample(images, rng=3 * seed),
        plain.configured(hidden).sample(real, rng=3 * seed + 1),
        checkered.configured(hidden).sample(real, rng=3 * seed + 2),
        plain,
    )


def permuted(synthetic: Dataset, real: Dataset, embedders: Sequence[Embedder], *, seed: int) -> InferredMetadata:
    """As :func:`infer_metadata` on features that were dealt to other pictures and objects."""
    made, seen = look_at(synthetic, embedders), look_at(real, embedders)
    of_pictures, of_objects = known_values(synthetic)
    draws = Stream(seed).child("permuted").numpy()
    found = []
    for features, values, others, groups in (
        (made.pictures, of_pictures, seen.pictures, np.arange(len(synthetic))),
        (made.objects, of_objects, seen.objects, made.rows),
    ):
        order = draws.permutation(len(groups))
        dealt = {name: rows[order] for name, rows in features.items()}
        found.append(infer(dealt, values, others, groups=groups, rng=Stream(seed)))
    return InferredMetadata(found[0], found[1], real)


def rows(found: InferredMetadata) -> list[dict[str, object]]:
    """A row a measure: its score, the error that was to be expected, and the error that nobody was told."""
    truth = dict(zip(("pictures", "objects"), known_values(found.real), strict=True))
    told = []
    for level, inference in (("pictures", found.pictures), ("objects", found.objects)):
        if inference is not None:
            told += [_row(one, truth[level], inference.affected) for one in inference.measures]
    return told


def _row(one: InferredMeasure, truth: Mapping[str, NDArray[np.generic]], affected: Container[str]) -> dict[str, object]:
    row: dict[str, object] = {
        "measure": one.measure,
        "score": round(one.score, 3),
        "interval": [round(value, 3) for value in one.interval],
        "inferable": one.inferable,
        "extractor": one.extractor,
        "by_extractor": {each.extractor: round(each.score, 3) for each in one.candidates},
        "synthetic_error": one.synthetic_error,
        "expected_error": one.expected_error,
        "warned": one.measure in affected,
    }
    if one.predictions is not None:
        known = truth[one.measure]
        if one.kind == "class":
            row["true_error"] = float(np.mean(np.array(one.values(), dtype=object) != known))
        else:
            finite = np.isfinite(known.astype(np.float64))
            gaps = one.predictions[finite] - known[finite].astype(np.float64)
            row["true_error"] = float(np.sqrt((gaps**2).mean()))
    return row


def recovered(
    found: InferredMetadata, made_by: RenderingGenerator, *, seed: int, trials: int = 40
) -> dict[str, object]:
    """Searches the configuration behind inferred values, and compares what it makes with the hidden truth."""
    inferred = found.measures()
    columns = {name: column for name, column in inferred.columns.items() if name in MATCHED}
    wanted = replace(inferred, columns=columns)
    target = target_of(wanted, *found.found, rng=seed, most_components=1)
    space = made_by.steered_by(list(columns))
    search, stream = Matching(grid=1, trials=trials), Stream(seed)
    history: list[Trial] = []
    proposal: Configuration | None = space.guess(target.components[0].means, target.components[0].stds)
    while proposal is not None:
        batch = space.configured([(1.0, proposal)]).sample(BATCH, rng=stream.child("batch", len(history)))
        history.append(Trial.of(proposal, measure(batch, measures=list(columns)), list(columns)))
        proposal = search.propose(space.space, target, history, rng=stream.child("propose"))
    best = search.best(target, history).matched
    after = space.configured([(one.weight, one.configuration) for one in best]).sample(120, rng=stream.child("after"))
    again = made_by.configured([(1.0, HIDDEN)]).sample(120, rng=stream.child("again"))
    before = made_by.sample(120, rng=stream.child("before"))
    hidden, *others = (measure(each, measures=list(columns)) for each in (found.real, again, before, after))
    table = compare_measures(
        hidden, {"before": others[1], "after": others[2]}, floor_from=others[0], rng=stream.child("compare")
    )
    return {
        "trials": len(history),
        "configuration": {name: round(value, 3) for name, value in best[0].configuration.items()},
        "measures": {
            gap.measure: {
                "floor": gap.floor,
                "distance": dict(gap.distance),
                "fall_of_excess": gap.fall(),
                "means": [float(part.values(gap.measure).mean()) for part in (hidden, others[1], others[2])],
                "stds": [float(part.values(gap.measure).std()) for part in (hidden, others[1], others[2])],
            }
            for gap in table.gaps
        },
    }


def _detector(synthetic: Dataset, seed: int) -> Embedder:
    """The backbone of a small dense detector that learned to find the synthetic objects."""
    from twinset.embedding.detector_backbone import DetectorBackbone
    from twinset.models.detection.scenes import Scenes
    from twinset.models.detection.settings import DetectorSettings
    from twinset.models.detection.training import fit_detector

    scenes = Scenes.of(synthetic, height=SIZE[0], width=SIZE[1], channels=3)
    settings = DetectorSettings(steps=300, stride=4)
    trained = fit_detector(scenes, n_classes=1, settings=settings, rng=Stream(seed).child("detector"))
    return DetectorBackbone.of(trained, fitted_on=synthetic.ids)


def _told(title: str, table: Sequence[Mapping[str, object]]) -> None:
    print(f"\n{title}\n{'measure':26} {'score':>7} {'held out':>9} {'expected':>9} {'true':>9}  warned  extractor")
    for row in table:
        numbers = [row.get(name) for name in ("synthetic_error", "expected_error", "true_error")]
        shown = " ".join(f"{'–' if value is None else format(value, '.3g'):>9}" for value in numbers)
        named = row["extractor"] if row["inferable"] else "not inferable"
        print(f"{row['measure']:26} {row['score']:7.2f} {shown}  {'yes' if row['warned'] else 'no':6}  {named}")


def main() -> None:
    from hardware import machine

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--real", type=int, default=80)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--self", action="store_true", help="also an extractor trained on the synthetic objects")
    parser.add_argument("--detector", action="store_true", help="also the backbone of a detector trained on them")
    parser.add_argument("--out", type=Path, help="where the JSON goes as well")
    options = parser.parse_args()
    began = time.perf_counter()
    drawn = sets(options.images, options.real, seed=options.seed)
    embedders: list[Embedder] = [RandomConvolution(256, 48), SmallPixels(12)]
    if options.self:
        from twinset.pipeline.inference_files import embedders_named

        embedders += embedders_named(["self"], drawn.synthetic, rng=Stream(options.seed))
    if options.detector:
        embedders.append(_detector(drawn.synthetic, options.seed))
    found = {
        name: infer_metadata(drawn.synthetic, real, embedders=embedders, rng=Stream(options.seed))
        for name, real in (("easy", drawn.easy), ("textured", drawn.textured))
    }
    found["permuted"] = permuted(drawn.synthetic, drawn.easy, embedders, seed=options.seed)
    tables = {name: rows(one) for name, one in found.items()}
    for name, table in tables.items():
        _told(name, table)
    answer = recovered(found["easy"], drawn.made_by, seed=options.seed, trials=options.trials)
    print("\nmatched from inferred values:", json.dumps(answer, indent=1))
    record = {
        "machine": machine(),
        "threshold": InferenceSettings().threshold,
        "images": options.images,
        "real": options.real,
        "seed": options.seed,
        "sets": tables,
        "matching": answer,
        "seconds": round(time.perf_counter() - began, 1),
        "measures": [name for name in (*PICTURES, *OBJECTS, SHAPE) if name == SHAPE or name in MEASURES],
    }
    if options.out:
        options.out.write_text(json.dumps(record))
    print(json.dumps(record))


if __name__ == "__main__":
    main()
