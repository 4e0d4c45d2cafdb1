"""Caption metrics: how much a caption agrees with reference captions, BLEU-1…4 and CIDEr-D.

They judge captions, not images: either what a captioner says of a synthetic image against the caption it was made
from (Hong et al. 2018), or captions that are themselves synthetic.

BLEU (Papineni et al. 2002), of all captions together: BLEU-n = BP · (p₁⋯p_n)^{1/n} with p_k the clipped share of
k-grams found in a reference, BP = exp(min(0, 1 − r/c)), c the words said and r those of the references nearest in
length. The counts are sacrebleu's (Post 2018; extra ``captions``), without smoothing, as the evaluation of COCO has it.

CIDEr-D (Vedantam, Zitnick and Parikh 2015, eq. 1–5 and sec. 5), mean over images and over n = 1…4: with g(s) the counts
of the n-grams of s, each times ln(I/number of images with a reference that has it), of I images, and l the lengths,

CIDEr-D_n(c, S) = 10/|S| · Σ_{s∈S} exp(−(l_c − l_s)²/(2·6²)) · min(g(c), g(s))·g(s) / (‖g(c)‖ ‖g(s)‖).

It is our own: the known package needs Java for its words and is not kept. We differ from the paper in not stemming, as
does its code. Words are those of :func:`~twinset.evaluation.text_image.words.words_of`.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from twinset.errors import MissingExtraError
from twinset.evaluation.predictions.simultaneous import Estimates
from twinset.evaluation.protocol import Families
from twinset.evaluation.text_image.words import words_of
from twinset.scores import Interval, Score

Array = NDArray[np.float64]
Grams = Counter[tuple[str, ...]]
ORDER = 4
SIGMA = 6.0


def bleu(
    candidates: Sequence[str], references: Sequence[Sequence[str]], *, families: Families | None = None
) -> list[Score]:
    """``bleu1`` … ``bleu4`` of ``candidates`` (N) with one or more ``references`` each; 0…1, not 100; higher is better.

    95 % interval: Wilson's at the number of trials that the linearised error over images or families is worth, by
    Student's t; none where the value is 0, which has no linearisation. Undefined without a word or below two images.
    :class:`~twinset.errors.MissingExtraError` without sacrebleu.
    """
    _check(candidates, references)
    terms = _bleu_terms(candidates, references)
    return [_bleu_score(order, terms, families) for order in range(1, ORDER + 1)]


def cider(
    candidates: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    families: Families | None = None,
    corpus: Sequence[Sequence[str]] | None = None,
) -> Score:
    """``cider_d`` of ``candidates`` (N) with one or more ``references`` each, 0…10, higher is better.

    The n-grams' weights come from ``corpus`` (references by image) or, by default, from ``references``: at few images
    nearly all weigh the same and the number means little. 95 % interval: mean ± t · error over images or families,
    weights taken as given. Undefined below two images, where all weights are 0.

    >>> references = [["a red cat"], ["the blue dog"]]
    >>> round(cider(["a red cat", "the blue dog"], references).value, 3)  # perfect in n = 1, 2, 3; no 4-gram to find
    7.5
    """
    _check(candidates, references)
    counts = {"synthetic": len(candidates)}
    source = references if corpus is None else corpus
    if len(candidates) < 2 or len(source) < 2:
        why = f"weights and interval need at least 2 images; got {len(candidates)}, {len(source)} in the corpus"
        return Score("cider_d", None, True, counts, undefined_because=why)
    values = cider_values(candidates, references, corpus=source)
    estimates = Estimates.ratios(values[:, None], np.ones((len(values), 1)), families=families)
    settings: dict[str, str | int | float] = {
        "corpus": len(source),
        "order": ORDER,
        "sigma": SIGMA,
        "interval": "mean ± t · error, weights as given",
        "standard_error": float(estimates.errors[0]),
    }
    warnings = (f"weights from {len(source)} images: rare and common words weigh alike",) if len(source) < 100 else ()
    interval = estimates.mean_intervals()[0]
    return Score("cider_d", float(values.mean()), True, counts, interval=interval, settings=settings, warnings=warnings)


def cider_values(
    candidates: Sequence[str], references: Sequence[Sequence[str]], *, corpus: Sequence[Sequence[str]]
) -> Array:
    """float64 (N,): CIDEr-D of each caption."""
    seen: Grams = Counter()
    for captions in corpus:
        seen.update({gram for caption in captions for order in grams(words_of(caption)) for gram in order})
    total = np.log(len(corpus))

    def weight(gram: tuple[str, ...]) -> float:
        return float(total - np.log(max(1, seen[gram])))

    values = np.zeros(len(candidates))
    for row, (candidate, captions) in enumerate(zip(candidates, references, strict=True)):
        said = words_of(candidate)
        for caption in captions:
            other = words_of(caption)
            penalty = np.exp(-((len(said) - len(other)) ** 2) / (2 * SIGMA**2))
            alike = sum(_clipped_cosine(a, b, weight) for a, b in zip(grams(said), grams(other), strict=True))
            values[row] += 10 * penalty * alike / ORDER / len(captions)
    return values


def grams(words: Sequence[str]) -> list[Grams]:
    """How often each n-gram occurs, for n = 1…4."""
    return [Counter(zip(*(words[start:] for start in range(n)), strict=False)) for n in range(1, ORDER + 1)]


def _clipped_cosine(mine: Grams, theirs: Grams, weight: Callable[[tuple[str, ...]], float]) -> float:
    """min(a, b)·b / (‖a‖ ‖b‖) of the weighted counts; 0 where either has no weight."""
    a, b = ({gram: count * weight(gram) for gram, count in side.items()} for side in (mine, theirs))
    length = float(np.linalg.norm(list(a.values()))) * float(np.linalg.norm(list(b.values())))
    common = sum(min(a[gram], b[gram]) * b[gram] for gram in a.keys() & b.keys())
    return common / length if length > 0 else 0.0


def _bleu_terms(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> Array:
    """float64 (N, 10): of every caption the matched and the said n-grams, n = 1…4, its length and the nearest one's."""
    if importlib.util.find_spec("sacrebleu") is None:
        raise MissingExtraError("expected the sacrebleu package for BLEU; got none", hint="install twinset[captions]")
    metric = importlib.import_module("sacrebleu.metrics").BLEU(tokenize="none", smooth_method="none", force=True)
    terms = np.zeros((len(candidates), 2 * ORDER + 2))
    for row, (candidate, captions) in enumerate(zip(candidates, references, strict=True)):
        said, true = " ".join(words_of(candidate)), [[" ".join(words_of(caption))] for caption in captions]
        found = metric.corpus_score([said], true)
        terms[row] = [*found.counts, *found.totals, found.sys_len, found.ref_len]
    return terms


def _bleu_score(order: int, terms: Array, families: Families | None) -> Score:
    name, counts = f"bleu{order}", {"synthetic": len(terms)}
    matched, said = terms[:, :order], terms[:, ORDER : ORDER + order]
    length, nearest = terms[:, -2], terms[:, -1]
    sums = terms.sum(axis=0)
    if len(terms) < 2 or (said.sum(axis=0) == 0).any():
        found = int(said.sum(axis=0)[-1])
        why = f"it needs two images and a {order}-gram; got {len(terms)} images, {found} {order}-grams"
        return Score(name, None, True, counts, undefined_because=why)
    settings: dict[str, str | int | float] = {"smoothing": "none", "reference_length": "closest"}
    if (matched.sum(axis=0) == 0).any():
        return Score(name, 0.0, True, counts, settings=settings, warnings=(f"no common {order}-gram: exactly 0",))
    logs = np.log(matched.sum(axis=0) / said.sum(axis=0))
    shorter = sums[-2] < sums[-1]
    value = float(np.exp(logs.mean() + (1 - sums[-1] / sums[-2] if shorter else 0.0)))
    moved = (matched / matched.sum(axis=0) - said / said.sum(axis=0)).mean(axis=1)
    if shorter:
        moved += sums[-1] * length / sums[-2] ** 2 - nearest / sums[-2]
    behind = len(terms) if families is None else len(np.unique(families))
    estimates = Estimates.influenced(
        np.array([value]), value * moved[:, None], behind=np.array([behind]), families=families
    )
    estimates = replace(estimates, grouped=True)
    settings |= {"interval": "Wilson, linearised", "standard_error": float(estimates.errors[0])}
    interval: Interval | None = estimates.share_intervals()[0]
    return Score(name, value, True, counts, interval=interval, settings=settings)


def _check(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    if len(candidates) != len(references):
        raise ValueError(f"expected references for each of {len(candidates)} captions; got {len(references)}")
    for row, captions in enumerate(references):
        if isinstance(captions, str) or not captions:
            raise ValueError(f"expected a list of one or more references of caption {row}; got {captions!r}")
