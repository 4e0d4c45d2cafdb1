"""A detector of generated images that can be kept: fitted on one real and one synthetic set, applied to a folder.

It looks at statistics of pixels and at spectra (:mod:`twinset.evaluation.detectability.picture_features`) by a small
kernel classifier. Part of both sets is held out: there its AUC is measured, and the scores of the held-out real
images say how often a real image scores as high (a conformal p-value: its false-alarm rate is exact, on average over
held-out sets, for real images drawn like those).

What it is not: a detector of generated images in general. It knows the traces of the generators it was fitted
on. On another generator's images its AUC can be anything, ½ and below included, and the false-alarm rate holds
for real images of the same source only: another camera, size or JPEG quality changes both.
:meth:`GeneratedDetector.assess` measures them on sets of known origin; nothing else supports a claim about
them. Resizing, screenshots and recoding wash the traces away. A score proves nothing about a single picture.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinset.dataset import Dataset
from twinset.errors import DataError
from twinset.evaluation.detectability.confounders import Equalise, confounder_warnings, confounders, traits_of
from twinset.evaluation.detectability.detector_figures import auc_score, share_score
from twinset.evaluation.detectability.detector_file import digest_of, read_arrays, write_arrays
from twinset.evaluation.detectability.kernel_classifier import KernelClassifier
from twinset.evaluation.detectability.picture_features import RECIPE_VERSION, VIEWS, PictureFeatures
from twinset.evaluation.protocol import Families, families_of
from twinset.randomness import Stream
from twinset.scores import Score

Array = NDArray[np.float64]
FEWEST = 20
RATES = (0.01, 0.05)


@dataclass(frozen=True)
class DetectorSettings:
    """What is computed (``recipe``) of pictures brought to one form (``equalise``), and how it is fitted.

    ``held_out`` is the share of either set that is kept for calibration; 99 held-out real images allow a false-alarm
    rate of 1 %, 19 one of 5 %.
    """

    recipe: PictureFeatures = field(default_factory=PictureFeatures)
    equalise: Equalise = field(default_factory=Equalise)
    fourier_features: int = 256
    ridge: float = 1e-3
    held_out: float = 0.4

    def __post_init__(self) -> None:
        if self.fourier_features < 0 or not self.ridge > 0 or not 0.1 <= self.held_out <= 0.9:
            raise ValueError(f"expected fourier_features ≥ 0, ridge > 0 and 0.1 ≤ held_out ≤ 0.9; got {self}")


@dataclass(frozen=True)
class DetectorFacts:
    """What a detector must be read with: where it comes from, and what it scored on images that it did not see.

    ``generators`` are the methods that made the synthetic images, where these say so. ``auc`` in ``auc_interval`` is
    of the held-out images of these two sets, and of no others. ``thresholds`` are the scores above which an image is
    called generated, by false-alarm rate ("0.01", "0.05"); None where too few real images were held out for it.
    """

    real_name: str
    synthetic_name: str
    classes: tuple[str, ...]
    generators: tuple[str, ...]
    real: int
    synthetic: int
    held_out_real: int
    held_out_synthetic: int
    auc: float
    auc_interval: tuple[float, float]
    thresholds: dict[str, float | None]
    seed: int
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class DetectorRecord:
    """What stands beside the arrays in the file; ``recipe_version`` must be that of the reader."""

    settings: DetectorSettings
    facts: DetectorFacts
    recipe_version: int = RECIPE_VERSION


@dataclass(frozen=True, eq=False)
class Judgement:
    """Of N images: ``ids``; ``scores`` (N,), higher is more like the synthetic set; ``p_values`` (N,), how often a
    real image like the held-out ones scores as high; and ``outside`` (N,), the share of features beyond ±6 spreads
    of the fitted sets: where it is large, the detector knows nothing about such pictures."""

    ids: tuple[str, ...]
    scores: Array
    p_values: Array
    outside: Array

    def flagged(self, rate: float) -> NDArray[np.bool_]:
        """bool (N,): images called generated, with this chance of a false alarm for each real image."""
        return np.asarray(self.p_values <= rate)


@dataclass(frozen=True, eq=False)
class GeneratedDetector:
    """A fitted detector; see the module for what its figures are worth. ``calibration`` (C,) are the scores of the
    held-out real images, ascending."""

    record: DetectorRecord
    classifier: KernelClassifier
    calibration: Array

    @property
    def facts(self) -> DetectorFacts:
        """Where it comes from and what it scored."""
        return self.record.facts

    @property
    def sha256(self) -> str:
        """Of arrays and record: what a judgement is quoted with."""
        return digest_of(self._arrays(), self._encoded())

    def judge(self, dataset: Dataset) -> Judgement:
        """Scores and calibrated p-values of every picture; pictures are decoded one at a time."""
        table = np.concatenate(_tables(dataset, self.record.settings), axis=1)
        scores = self.classifier.scores(table)
        as_high = len(self.calibration) - np.searchsorted(self.calibration, scores, side="left")
        p_values = np.asarray((1 + as_high) / (1 + len(self.calibration)))
        return Judgement(tuple(dataset.ids), scores, p_values, self.classifier.outside(table))

    def assess(self, real: Dataset, synthetic: Dataset) -> list[Score]:
        """How it does on these two sets, which it must not have been fitted on: AUC and shares called generated.

        ``generated_detector_auc``, and at 1 % and 5 % ``generated_detector_found_at_…`` of the synthetic images and
        ``generated_detector_false_alarms_at_…`` of the real ones, undefined where the calibration is too small. The way
        to learn what it is worth on another generator, or another source of real images.
        """
        first, second = self.judge(real), self.judge(synthetic)
        scores = [auc_score(first.scores, second.scores)]
        for rate in RATES:
            held = len(self.calibration)
            few = f"a false-alarm rate of {rate:g} needs {round(1 / rate) - 1} held-out real images; got {held}"
            reason = "" if _threshold(self.calibration, rate) is not None else few
            for name, side, kind in (("found", second, "synthetic"), ("false_alarms", first, "real")):
                called = side.flagged(rate)
                scores.append(
                    share_score(f"generated_detector_{name}_at_{rate:g}", called, kind, rate=rate, reason=reason)
                )
        return scores

    def save(self, path: Path | str) -> None:
        """Keeps it as safetensors: arrays, and in the header the record and the digest of all."""
        write_arrays(Path(path), self._arrays(), self._encoded())

    @staticmethod
    def load(path: Path | str) -> GeneratedDetector:
        """A kept detector; nothing in the file is executed.

        Raises :class:`DataError` for a file that is none or was made for other features, and
        :class:`~twinset.errors.ChangedFileError` for one whose content is not what was written.
        """
        import msgspec

        arrays, encoded = read_arrays(Path(path))
        try:
            record = msgspec.json.decode(encoded, type=DetectorRecord)
            calibration = arrays.pop("calibration")
            classifier = KernelClassifier(**arrays)
        except (msgspec.ValidationError, msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path}: expected a detector of twinset; got {error}", hint="fit it again") from error
        if record.recipe_version != RECIPE_VERSION:
            raise DataError(
                f"{path}: expected a detector on features of version {RECIPE_VERSION}; got {record.recipe_version}",
                hint="fit it again with this version of twinset",
            )
        return GeneratedDetector(record, classifier, calibration)

    def _arrays(self) -> dict[str, Array]:
        fitted = self.classifier
        return {
            "mean": fitted.mean,
            "gain": fitted.gain,
            "frequencies": fitted.frequencies,
            "phases": fitted.phases,
            "weights": fitted.weights,
            "calibration": self.calibration,
        }

    def _encoded(self) -> bytes:
        import msgspec

        return msgspec.json.encode(self.record, order="deterministic")


def fit_detector(
    real: Dataset,
    synthetic: Dataset,
    *,
    rng: Stream,
    settings: DetectorSettings | None = None,
    real_families: Families | None = None,
) -> GeneratedDetector:
    """A detector of images like ``synthetic`` among images like ``real``.

    Families of ``real_families`` (N,) are held out as a whole. File traits that alone separate the sets (JPEG
    here, PNG there) stand in the facts' warnings: the detector may have learnt their traces in the pixels, unless
    ``settings.equalise`` takes both sets through one coder. Raises ``ValueError`` for fewer than 20 images or
    families on a side.
    """
    chosen = settings or DetectorSettings()
    families = families_of(np.empty((len(real), 1)), real_families), np.arange(len(synthetic))
    groups = [len(np.unique(each)) for each in families]
    if min(groups) < FEWEST:
        raise ValueError(f"expected at least {FEWEST} images and families on each side; got {groups}; add some")
    draw = rng.child("generated-detector").numpy()
    held = [_held_out(each, chosen.held_out, draw) for each in families]
    parts = [_tables(dataset, chosen) for dataset in (real, synthetic)]
    tables = [np.concatenate(each, axis=1) for each in parts]
    classifier = KernelClassifier.fit(
        tables[0][~held[0]],
        tables[1][~held[1]],
        widths=[each.shape[1] for each in parts[0]],
        fourier_features=chosen.fourier_features,
        ridge=chosen.ridge,
        draw=draw,
    )
    unseen = [classifier.scores(table[mine]) for table, mine in zip(tables, held, strict=True)]
    calibration = np.sort(unseen[0])
    traits = traits_of(real), traits_of(synthetic)
    found = confounders(*traits, rng=rng)
    warnings = confounder_warnings(found, chosen.equalise, files=[*traits[0], *traits[1]])
    facts = replace(_facts(real, synthetic, auc_score(*unseen), calibration), seed=rng.seed, warnings=warnings)
    return GeneratedDetector(DetectorRecord(chosen, facts), classifier, calibration)


def _facts(real: Dataset, synthetic: Dataset, auc: Score, calibration: Array) -> DetectorFacts:
    assert auc.value is not None
    assert auc.interval is not None
    methods = set(synthetic.table.column("method").to_pylist()) - {None}
    return DetectorFacts(
        real_name=real.name,
        synthetic_name=synthetic.name,
        classes=tuple(dict.fromkeys((*real.classes, *synthetic.classes))),
        generators=tuple(sorted(methods)),
        real=len(real),
        synthetic=len(synthetic),
        held_out_real=auc.counts["real"],
        held_out_synthetic=auc.counts["synthetic"],
        auc=auc.value,
        auc_interval=(auc.interval.low, auc.interval.high),
        thresholds={f"{rate:g}": _threshold(calibration, rate) for rate in RATES},
        seed=0,
        warnings=(),
    )


def _threshold(calibration: Array, rate: float) -> float | None:
    """The score above which p ≤ rate; None where the calibration is too small for that."""
    allowed = int(np.floor(rate * (len(calibration) + 1) + 1e-9))
    return float(calibration[-allowed]) if allowed >= 1 else None


def _held_out(families: NDArray[np.int64], share: float, draw: np.random.Generator) -> NDArray[np.bool_]:
    """bool (N,): about this share of the families, at random, each as a whole."""
    names = np.unique(families)
    chosen = draw.permutation(names)[: max(2, round(share * len(names)))]
    return np.isin(families, chosen)


def _tables(dataset: Dataset, settings: DetectorSettings) -> list[Array]:
    tables = settings.recipe.tables(settings.equalise.pictures(dataset))
    return [tables[view] for view in VIEWS]
