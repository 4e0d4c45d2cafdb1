"""How many of N real images a calibrated detector calls generated: what a number of flagged images is compared with."""

from __future__ import annotations

from dataclasses import dataclass

from twinset.scores import Interval


@dataclass(frozen=True)
class FalseAlarms:
    """Of N images that were all real: ``expected`` flagged on average, and in ``interval`` with at least 95 %.

    ``p_value`` is the chance of as many flagged as there were, or more.
    """

    expected: float
    interval: Interval
    p_value: float


def false_alarms(flagged: int, *, images: int, calibration: int, rate: float) -> FalseAlarms | None:
    """What ``flagged`` of so many ``images`` is worth, by C ``calibration`` scores of real images, at this ``rate``.

    An image is flagged if its conformal p-value, (1 + the calibration scores as high) / (C + 1), is at most ``rate``:
    if fewer than k = ⌊rate · (C + 1)⌋ of them are. All images share one calibration, so the number of flagged ones
    among N real ones is no binomial: its chance of a false alarm is itself drawn, from a Beta(k, C + 1 − k), and the
    number is beta-binomial (Vovk 2012, "Conditional validity of inductive conformal predictors"), with mean
    N · k / (C + 1). Exact for scores without ties of exchangeable images; ties flag fewer; bursts and near copies in
    either set spread it wider. None where C is too small for the rate (k = 0).

    Two images against one calibration score, at ½: the three scores are in any order, so 0, 1 or 2 lie above it.

    >>> found = false_alarms(2, images=2, calibration=1, rate=0.5)
    >>> round(found.expected, 6), round(found.p_value, 6)
    (1.0, 0.333333)
    """
    if not 0 <= flagged <= images or calibration < 0 or not 0 < rate < 1:
        raise ValueError(
            f"expected 0 ≤ flagged ≤ images, calibration ≥ 0 and 0 < rate < 1; got {flagged}, {images}, {calibration} "
            f"and {rate}"
        )
    allowed = int(rate * (calibration + 1) + 1e-9)
    if not allowed:
        return None
    from scipy.stats import betabinom

    law = betabinom(images, allowed, calibration + 1 - allowed)
    interval = Interval(float(law.ppf(0.025)), float(law.ppf(0.975)))
    return FalseAlarms(images * allowed / (calibration + 1), interval, min(1.0, float(law.sf(flagged - 1))))
