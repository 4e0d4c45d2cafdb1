"""What an inference tells: sentences for a report, plain values for a file."""

from __future__ import annotations

from collections.abc import Iterator

from twinset.alignment.inference.inference import Inference, InferredMeasure
from twinset.alignment.inference.reliance import ASSUMPTION


def sentences(found: Inference) -> tuple[str, ...]:
    """A sentence a measure, then what was left out, then the warnings."""
    return tuple(_told(found))


def _told(found: Inference) -> Iterator[str]:
    for one in found.measures:
        yield _sentence(one, found.threshold)
    for name, why in found.left_out.items():
        yield f"{name} was left out: {why}."
    if found.affected:
        yield (
            "WARNING: real features seem to lie off the synthetic ones, and cross-validated scores may mislead there. "
            f"Affected: {', '.join(found.affected)}."
        )
        for one in found.measures:
            for reason in one.warnings:
                yield f"{one.measure}: {reason}."


def record(found: Inference) -> dict[str, object]:
    """Plain JSON types; rows of predictions in the order of the real features."""
    return {
        "threshold": found.threshold,
        "assumption": ASSUMPTION,
        "measures": [_measure_record(one) for one in found.measures],
        "domain_shift": [
            {
                "extractor": shift.extractor,
                "auc": shift.auc,
                "beyond": shift.beyond,
                "far": shift.far,
            }
            for shift in found.shifts.values()
        ],
        "left_out": dict(found.left_out),
        "affected": list(found.affected),
        "sentences": list(sentences(found)),
    }


def _sentence(one: InferredMeasure, threshold: float) -> str:
    score = "R²" if one.kind == "number" else "accuracy beyond chance"
    low, high = one.interval
    text = f"{one.measure}: {score} {one.score:.2f} ({low:.2f} … {high:.2f}) over {one.rows} synthetic rows"
    if not one.inferable:
        return f"{text}, below {threshold:g}: not inferable."
    assert one.real_error is not None
    expected = one.real_error
    on_real = f"not known ({expected.undefined_because})" if expected.value is None else f"{expected.value:.3g}"
    return f"{text}, by {one.extractor}; error {one.synthetic_error:.3g} held out, on real pictures {on_real}."


def _measure_record(one: InferredMeasure) -> dict[str, object]:
    record: dict[str, object] = {
        "measure": one.measure,
        "kind": one.kind,
        "rows": one.rows,
        "inferable": one.inferable,
        "score": one.score,
        "interval": list(one.interval),
        "chance": one.chance,
        "extractor": one.extractor,
        "candidates": [
            {"extractor": each.extractor, "score": each.score, "interval": list(each.interval)}
            for each in one.candidates
        ],
        "synthetic_error": one.synthetic_error,
        "classes": list(one.classes),
        "shares": dict(one.shares),
        "warnings": list(one.warnings),
        "values": one.values(),
        "restored": None if one.restored is None else one.restored.tolist(),
    }
    if one.real_error is not None:
        record["real_error"] = {
            "value": one.real_error.value,
            "effective_rows": one.real_error.effective,
            "at_least": one.real_error.at_least,
            "undefined_because": one.real_error.undefined_because,
        }
    record["disagreements"] = [
        {
            "first": each.first,
            "second": each.second,
            "synthetic": each.synthetic,
            "real": each.real,
            "ratio": each.ratio,
        }
        for each in one.disagreements
    ]
    return record
