"""What is told of the choice: a sentence, the files that were audited, and a recipe that makes the setting anew."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

from twinset import documents
from twinset.pipeline.fitting import load_resolved, sources_of
from twinset.pipeline.frontier.choosing import Choice
from twinset.pipeline.frontier.trainings import Training
from twinset.pipeline.frontier.weighing import Weighed
from twinset.privacy.audit.model_release import Release
from twinset.recipe import PrivacyPart, Recipe


def sentence_of(recommended: documents.RecommendedPart | None, found: Sequence[Weighed], choice: Choice) -> str:
    """The answer in words."""
    fit = sum(not reason for reason in choice.reasons.values())
    if recommended is None:
        reasons = sorted(set(choice.reasons.values()))
        return f"Release nothing: none of {len(found)} releases qualifies ({'; '.join(reasons)})."
    one = next(each for each in found if (each.setting, each.release) == (recommended.setting, recommended.release))
    bound = "no formal guarantee" if one.guarantee is None else f"a guarantee of {guarantee(one.guarantee)}"
    test = recommended.test
    return (
        f"Release the {recommended.release} of {recommended.setting}: it has {bound}; {fit} of {len(found)} releases "
        f"qualify; {recommended.because}. On test images it is worth a balanced accuracy of {test.value:.3f} "
        f"({test.low:.3f}…{test.high:.3f}), real images {recommended.real_test.value:.3f}."
    )


def guarantee(part: documents.GuaranteePart) -> str:
    """ε and δ in words."""
    return f"ε = {part.epsilon:.4g} at δ = {part.delta:.3g}"


def recommended_files(
    release: Release, result: documents.RunDocument, folder: Path, classifiers: Mapping[Release, Sequence[Training]]
) -> list[str]:
    """Where what was audited lies."""
    if release == "classifier":
        return [str(classifiers["classifier"][0].out)]
    if release == "generator":
        return [str(sources_of(load_resolved(folder), folder)[0].folder / "model.safetensors")]
    return list(result.exports.values())


def recommended_recipe(written: Recipe, resolved: Recipe, document: documents.FrontierDocument) -> str:
    """A recipe for ``twinset run``: what made the images as it was resolved, all else as it was written, the audit on.

    Without private training it makes the same dataset again.
    """
    found = document.recommended
    assert found is not None
    privacy = written.privacy or PrivacyPart()
    releases = ("dataset", "generator") if found.release == "generator" else ("dataset",)
    recipe = resolved.model_copy(
        update={
            "name": written.name,
            "minutes": written.minutes,
            "evaluate": written.evaluate,
            "gate": written.gate,
            "export": written.export,
            "release": written.release,
            "privacy": privacy.model_copy(update={"audit": True, "frontier": None, "releases": releases}),
        }
    )
    lines = [document.sentence, *_advice(found, document)]
    comment = "\n".join(f"# {line}" for text in lines for line in textwrap.wrap(text, 110))
    return f"{comment}\n{recipe.to_yaml()}"


def _advice(found: documents.RecommendedPart, document: documents.FrontierDocument) -> list[str]:
    """What to know before this recipe is run."""
    texts = [f"What was audited lies in {', '.join(found.files) or 'the run of the setting'}: release that."]
    trained = next(one.trained for one in document.settings if one.name == found.setting)
    if trained is not None:
        texts.append(
            "To run this recipe trains anew: that spends its ε once more, and what comes out is another dataset, which "
            "the run audits again."
        )
    if found.release == "classifier":
        texts.append(
            "What is recommended is the classifier, not the dataset that it was trained on: `twinset fit-classifier` "
            "trains one on an export of this run."
        )
    return texts
