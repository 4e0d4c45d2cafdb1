"""Private Evolution: candidates from any generator, chosen by the votes of real images and varied, round by round.

Nothing of the real images enters but a histogram of votes; noise on it gives (ε, δ)-differential privacy.
"""

from twinset.alignment.evolution.accounting import Neighbours, vote_sensitivity
from twinset.alignment.evolution.breeding import Box, jittered, parents
from twinset.alignment.evolution.candidates import Candidates, Configurations, Edited
from twinset.alignment.evolution.guarantee import Guarantee, guarantee
from twinset.alignment.evolution.noise import noisy, thresholded
from twinset.alignment.evolution.rounds import Electorate, Round, evolve, votes_in
from twinset.alignment.evolution.settings import Evolution
from twinset.alignment.evolution.voting import votes_of
from twinset.gaussian_privacy import best_auc, default_delta, delta, epsilon, sigma_for
from twinset.secret_randomness import fresh_key

__all__ = [
    "Box",
    "Candidates",
    "Configurations",
    "Edited",
    "Electorate",
    "Evolution",
    "Guarantee",
    "Neighbours",
    "Round",
    "best_auc",
    "default_delta",
    "delta",
    "epsilon",
    "evolve",
    "fresh_key",
    "guarantee",
    "jittered",
    "noisy",
    "parents",
    "sigma_for",
    "thresholded",
    "vote_sensitivity",
    "votes_in",
    "votes_of",
]
