"""What DP-SGD costs in privacy, and how much noise a wanted ε takes.

A step draws every image with chance q (Poisson sampling), cuts every image's gradient to norm C, and adds N(0, σ²C²) to
the sum. T steps are composed numerically (privacy loss random variables: Gopi, Lee and Wutschitz 2021, by opacus); the
figure is an upper bound for one image more or less. With q = 1 the Gaussian account is exact (Dong et al. 2019).
"""

from __future__ import annotations

import importlib.util
import math
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from twinset.errors import MissingExtraError, UsageError
from twinset.gaussian_privacy import default_delta, sigma_for
from twinset.gaussian_privacy import epsilon as gaussian_epsilon

ERROR_SHARE = 0.002
"""Of ε: how coarse the numerical composition may be."""

CLOSE_ENOUGH = 0.995
"""A noise multiplier is taken whose ε lies between this share of the target and the target."""

MOST_TRIALS = 60

NOT_COVERED = (
    "It covers the weights and what is sampled from them; the report, its figures, the filters, the copy gate, digests "
    "and seeds in the provenance look at the images without noise."
)


@dataclass(frozen=True)
class Privacy:
    """What private training is asked for: (``epsilon``, ``delta``) for one image more or less; δ is 1/(10 n) if None.

    ``clip``: the norm that every image's gradient is cut to. ``draws``: noise levels and augmentations that an image is
    seen at in a step, before its gradient is cut (Dockhorn et al. 2023; De et al. 2022): they cost time, not privacy.
    ``epsilon`` None trains with the same cuts and no noise: no privacy, the control of an audit.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012

    epsilon: float | None
    delta: float | None = None
    clip: float = 1.0
    draws: int = 4

    def __post_init__(self) -> None:
        if self.epsilon is not None and not 0 < self.epsilon < math.inf:
            raise ValueError(f"expected epsilon above 0 and finite; got {self.epsilon}")
        if self.delta is not None and not 0 < self.delta < 1:
            raise ValueError(f"expected delta between 0 and 1; got {self.delta}; 1/(10 n) is usual for n images")
        if not 0 < self.clip < math.inf or self.draws < 1:
            raise ValueError(f"expected clip above 0 and finite, and draws ≥ 1; got {self.clip} and {self.draws}")


@dataclass(frozen=True)
class Account:
    """The four numbers that decide ε, and ε (infinite without noise): whoever has them can compute it again."""

    sampling_rate: float
    noise_multiplier: float
    steps: int
    delta: float
    epsilon: float
    clip: float

    def to_values(self) -> dict[str, float | int | None]:
        """Plain values; an infinite ε as None, since JSON has no such number."""
        return {**asdict(self), "epsilon": self.epsilon if math.isfinite(self.epsilon) else None}

    @staticmethod
    def from_values(values: Mapping[str, float | int | None]) -> Account:
        """The account that :meth:`to_values` made plain."""
        epsilon = math.inf if values["epsilon"] is None else values["epsilon"]
        return Account(**{**values, "epsilon": epsilon})  # type: ignore[arg-type]

    def sentence(self) -> str:
        """The account in words."""
        if math.isinf(self.epsilon):
            return "Gradients were cut but had no noise: no differential privacy is claimed."
        return (
            f"Trained by DP-SGD: ε = {self.epsilon:.4g} at δ = {self.delta:.3g} for one image more or less, from "
            f"{self.steps} steps with every image drawn at chance {self.sampling_rate:.4g}, gradients cut to "
            f"{self.clip:.4g} and noise of {self.noise_multiplier:.4g} times that (numerical composition, an upper "
            f"bound). {NOT_COVERED}"
        )


def check_opacus() -> None:
    """:class:`MissingExtraError` if opacus is not installed."""
    if importlib.util.find_spec("opacus") is None:
        raise MissingExtraError(
            "expected the opacus package for private training; got none", hint="install twinset[dp]"
        )


def account_of(privacy: Privacy, *, images: int, batch: int, steps: int) -> Account:
    """The account of ``steps`` steps with ``batch`` images expected in each, with the noise that the target takes."""
    if images < 1 or batch < 1 or steps < 1:
        raise ValueError(f"expected images, batch and steps ≥ 1; got {images}, {batch} and {steps}")
    rate = min(1.0, batch / images)
    delta = default_delta(images) if privacy.delta is None else privacy.delta
    if privacy.epsilon is None:
        return Account(rate, 0.0, steps, delta, math.inf, privacy.clip)
    sigma, spent = _calibrated(privacy.epsilon, delta, rate, steps)
    return Account(rate, sigma, steps, delta, spent, privacy.clip)


def epsilon_of(noise_multiplier: float, delta: float, *, sampling_rate: float, steps: int) -> float:
    """An upper bound on ε at δ after ``steps`` steps; infinite without noise."""
    if not noise_multiplier:
        return math.inf
    if sampling_rate == 1:
        return gaussian_epsilon(noise_multiplier, steps, delta)
    check_opacus()
    from opacus.accountants import PRVAccountant

    rough = max(0.05, _gaussian_limit(noise_multiplier, delta, sampling_rate, steps))
    accountant = PRVAccountant()
    accountant.history = [(noise_multiplier, sampling_rate, steps)]
    try:
        with warnings.catch_warnings():
            # Its first guess by Rényi orders, which only sizes the grid, says that it could be better.
            warnings.filterwarnings("ignore", message="Optimal order is the", category=UserWarning)
            found = float(accountant.get_epsilon(delta, eps_error=min(0.01, ERROR_SHARE * rough)))
    except RuntimeError as error:
        raise UsageError(
            f"expected (ε, δ) that can be composed numerically; got noise {noise_multiplier:.3g}, sampling rate "
            f"{sampling_rate:.3g}, {steps} steps, δ {delta:.3g}: {error}",
            hint="a smaller ε, fewer steps or a larger δ",
        ) from error
    return found


def _calibrated(epsilon: float, delta: float, sampling_rate: float, steps: int) -> tuple[float, float]:
    """The noise, in units of the clipping norm, with which ε lies just below the target, and that ε."""
    if sampling_rate == 1:
        return sigma_for(epsilon, delta, steps), epsilon
    low, high, slope = 0.0, math.inf, -1.0
    sigma = _limit_noise(epsilon, delta, sampling_rate, steps)
    before: tuple[float, float] | None = None
    for _ in range(MOST_TRIALS):
        found = epsilon_of(sigma, delta, sampling_rate=sampling_rate, steps=steps)
        if CLOSE_ENOUGH * epsilon <= found <= epsilon:
            return sigma, found
        low, high = (sigma, high) if found > epsilon else (low, sigma)
        here = (math.log(sigma), math.log(max(found, 1e-9)))
        if before is not None and here[0] != before[0]:
            slope = min(-0.1, (here[1] - before[1]) / (here[0] - before[0]))
        before = here
        step = math.exp(here[0] + (math.log((1 + CLOSE_ENOUGH) / 2 * epsilon) - here[1]) / slope)
        sigma = step if low < step < high else (low + high) / 2 if math.isfinite(high) else 2 * sigma
    raise UsageError(
        f"expected an ε that noise can meet; got {epsilon} at δ = {delta:.3g} in {steps} steps",
        hint="an ε between .1 and 50, or another number of steps",
    )


def _gaussian_limit(noise_multiplier: float, delta: float, sampling_rate: float, steps: int) -> float:
    """ε by the central limit theorem of Gaussian DP: where to begin, never what is claimed (Bu et al. 2020)."""
    exponent = min(1 / noise_multiplier**2, 50.0)
    mu = sampling_rate * math.sqrt(steps * math.expm1(exponent))
    return gaussian_epsilon(1 / mu, 1, delta)


def _limit_noise(epsilon: float, delta: float, sampling_rate: float, steps: int) -> float:
    """The σ at which the central limit theorem says ``epsilon``."""
    mu = 1 / sigma_for(epsilon, delta, 1)
    return 1 / math.sqrt(math.log1p((mu / sampling_rate) ** 2 / steps))
