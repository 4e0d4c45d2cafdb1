"""Is the synthetic set worth using? Train on each arm, test on real images, compare in pairs, say so in a sentence.

``UtilityPlan.due(results)`` lists the cells that can run now, :func:`run_cell` runs one in any process,
:func:`summarise` and :func:`decide` turn the results into a :class:`Utility` and a :class:`Verdict`.
"""

from twinset.downstream.arms import ARMS, ArmName, Cell, CellResult, Recipe, UtilityPlan
from twinset.downstream.budget import choose_settings, study_seconds, unbalanced
from twinset.downstream.cells import UtilityData, run_cell
from twinset.downstream.intervals import Difference
from twinset.downstream.summary import ArmSummary, Utility, summarise
from twinset.downstream.verdict import Verdict, decide

__all__ = [
    "ARMS",
    "ArmName",
    "ArmSummary",
    "Cell",
    "CellResult",
    "Difference",
    "Recipe",
    "Utility",
    "UtilityData",
    "UtilityPlan",
    "Verdict",
    "choose_settings",
    "decide",
    "run_cell",
    "study_seconds",
    "summarise",
    "unbalanced",
]
