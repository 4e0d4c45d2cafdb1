"""The typed run file: what a person writes, checked to the line, and what a run resolves it to.

pydantic stops here; the rooms behind take frozen dataclasses. A resolved recipe is itself a recipe: every
``auto`` has become a value, and running it again gives the same dataset.
"""

from twinset.recipe.evolve import EvolvePart
from twinset.recipe.group_count import GroupCountPart
from twinset.recipe.model import Recipe
from twinset.recipe.parts import (
    EXPORTS,
    CloseGapPart,
    CostPart,
    CuratePart,
    DataPart,
    EvaluatePart,
    GatePart,
    GroupsPart,
    ImagePart,
    MatchPart,
    ModelName,
    SplitPart,
    TargetPart,
    UsePart,
    UtilityPart,
)
from twinset.recipe.privacy import FrontierPart, FrontierSetting, PrivacyPart
from twinset.recipe.reading import (
    WrittenRecipe,
    build_methods,
    load_recipe,
    recipe_for,
    recipe_from_values,
)
from twinset.recipe.release import ReleasePart

__all__ = [
    "EXPORTS",
    "CloseGapPart",
    "CostPart",
    "CuratePart",
    "DataPart",
    "EvaluatePart",
    "EvolvePart",
    "FrontierPart",
    "FrontierSetting",
    "GatePart",
    "GroupCountPart",
    "GroupsPart",
    "ImagePart",
    "MatchPart",
    "ModelName",
    "PrivacyPart",
    "Recipe",
    "ReleasePart",
    "SplitPart",
    "TargetPart",
    "UsePart",
    "UtilityPart",
    "WrittenRecipe",
    "build_methods",
    "load_recipe",
    "recipe_for",
    "recipe_from_values",
]
