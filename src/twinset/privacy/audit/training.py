"""Does private training keep what its account says? An audit by canaries, on a training that takes seconds.

A multinomial logistic regression is trained on real images by the very sampling, cutting, noise and account that train
our private networks (:mod:`twinset.models.private.trainer`). Each of r canaries has an input of its own, which no image
uses, and a random label; a fair coin decides which are put in. Whether a canary was in shows in how its input moves the
regression toward its label. Right guesses give a lower bound on ε (:mod:`twinset.privacy.attacks.one_run`): one above
the account's ε would show a fault; without noise, the bound must be high, or the audit sees nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from twinset.images import PixelBatch, to_model
from twinset.models.private.accounting import Account, Privacy, account_of
from twinset.models.private.trainer import PrivateTrainer
from twinset.privacy.attacks.one_run import CanaryAudit, canary_audit
from twinset.randomness import Stream
from twinset.secret_randomness import fresh_key

BRIGHTNESS = 10.0
"""Of a canary's input: its gradient is longer than the clip until it is learnt."""


RATE = 0.02


@dataclass(frozen=True)
class TrainingAudit:
    """What canaries showed of a training with this account."""

    canaries: CanaryAudit
    account: Account

    @property
    def vacuous(self) -> bool:
        """Whether even perfect guesses could not have reached the account's ε."""
        return math.isfinite(self.account.epsilon) and self.canaries.vacuous_for(self.account.epsilon)

    @property
    def refuted(self) -> bool:
        """Whether the canaries show more than the account says: something is wrong with it."""
        return self.canaries.epsilon > self.account.epsilon

    def sentence(self) -> str:
        """The audit in words."""
        one = self.canaries
        shown = (
            f"{one.right} of {one.guesses} guesses about {one.canaries} canaries were right: ε is at least "
            f"{one.epsilon:.3g} at δ = {one.delta:.3g} (confidence {1 - one.beta:.0%}; {one.ceiling:.3g} at most could "
            "have been shown)"
        )
        if math.isinf(self.account.epsilon):
            return f"{shown}. The training had no noise."
        if self.refuted:
            return f"{shown}. That is more than the account's ε = {self.account.epsilon:.4g}: the account is wrong."
        tail = ", so the audit is vacuous against it" if self.vacuous else ""
        return f"{shown}; the account says ε = {self.account.epsilon:.4g}{tail}."


def audit_training(
    images: PixelBatch,
    class_ids: NDArray[np.int64],
    *,
    n_classes: int,
    privacy: Privacy,
    canaries: int = 1000,
    guesses: int | None = None,
    steps: int = 60,
    sampling_rate: float = 0.5,
    rng: Stream,
    key: bytes | None = None,
) -> TrainingAudit:
    """Trains on uint8 (N, H, W, C) images with classes (N,) and half of the canaries, and guesses which half.

    ``guesses``: chosen before scores are seen; half of the canaries by default, the surest. δ of ``privacy`` should be
    far below one over the number of canaries, or nothing can be shown.
    """
    included = rng.child("coins").numpy().random(canaries) < 0.5
    targets = rng.child("labels").numpy().integers(n_classes, size=canaries)
    rows = np.flatnonzero(included)
    real = to_model(images).flatten(1)
    inputs = torch.zeros(len(real) + len(rows), real.shape[1] + canaries)
    inputs[: len(real), : real.shape[1]] = real
    inputs[len(real) + np.arange(len(rows)), real.shape[1] + rows] = BRIGHTNESS
    labels = torch.from_numpy(np.concatenate([class_ids, targets[rows]]))
    account = account_of(privacy, images=len(inputs), batch=round(sampling_rate * len(inputs)), steps=steps)
    trainer = PrivateTrainer(
        {"weight": torch.zeros(n_classes, inputs.shape[1]), "bias": torch.zeros(n_classes)},
        _regression,
        account=account,
        images=len(inputs),
        key=fresh_key() if key is None else key,
        learning_rate=lambda _: RATE,
    )
    for _ in range(steps):
        trainer.advance(lambda drawn, _: (inputs[drawn], labels[drawn]))
    own = trainer.parameters["weight"][:, real.shape[1] :].double().numpy()
    scores = own[targets, np.arange(canaries)] - own.mean(0)
    wanted = canaries // 2 if guesses is None else guesses
    return TrainingAudit(canary_audit(scores, included, guesses=wanted, delta=account.delta), account)


def _regression(parameters: Mapping[str, torch.Tensor], one: tuple[torch.Tensor, ...]) -> torch.Tensor:
    logits = parameters["weight"] @ one[0] + parameters["bias"]
    return functional.cross_entropy(logits[None], one[1][None])
