"""What a report shows: plain numbers, words and small pictures; one file a part of the page.

The pipeline fills it, :mod:`twinset.report.html` draws it. Every part but the title is optional, so that one page
serves a whole run and a bare comparison of two datasets. All texts are data: nothing in here is ever taken as markup.
"""

from twinset.report.model.answer import Arm, Difference, Trial, Utility, Verdict
from twinset.report.model.copies import ClosePair, Gate
from twinset.report.model.cost import Cost, CostOfThousand
from twinset.report.model.datasets import AlignmentFacts, DatasetFacts, Problem, ScoreValues
from twinset.report.model.fairness import (
    FairnessFacts,
    GroupCounts,
    GroupFigure,
    Grouping,
    GroupMeasure,
    PairStrip,
    Unit,
)
from twinset.report.model.likeness import FeatureMap, MapSet, MetricTable
from twinset.report.model.objects import MeasureFacts, MetadataFacts
from twinset.report.model.page import ReportData
from twinset.report.model.pictures import ClassGrid, Gallery, Picture, Rejected, Twin
from twinset.report.model.privacy import AttackFacts, PrivacyFacts, ReleaseFacts
from twinset.report.model.samples import BoxSize, SampleArm, SampleBin, SampleFacts
from twinset.report.model.shapes import CurationFacts, ShapeFacts, ShapeLook, TraitFacts
from twinset.report.model.steps import GapFacts, StepChange, StepFacts

__all__ = [
    "AlignmentFacts",
    "Arm",
    "AttackFacts",
    "BoxSize",
    "ClassGrid",
    "ClosePair",
    "Cost",
    "CostOfThousand",
    "CurationFacts",
    "DatasetFacts",
    "Difference",
    "FairnessFacts",
    "FeatureMap",
    "Gallery",
    "GapFacts",
    "Gate",
    "GroupCounts",
    "GroupFigure",
    "GroupMeasure",
    "Grouping",
    "MapSet",
    "MeasureFacts",
    "MetadataFacts",
    "MetricTable",
    "PairStrip",
    "Picture",
    "PrivacyFacts",
    "Problem",
    "Rejected",
    "ReleaseFacts",
    "ReportData",
    "SampleArm",
    "SampleBin",
    "SampleFacts",
    "ScoreValues",
    "ShapeFacts",
    "ShapeLook",
    "StepChange",
    "StepFacts",
    "TraitFacts",
    "Trial",
    "Twin",
    "Unit",
    "Utility",
    "Verdict",
]
