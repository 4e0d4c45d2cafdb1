"""What a study came to, as its document."""

from __future__ import annotations

from collections.abc import Sequence

from twinset import __version__, documents
from twinset.downstream.blind import blind_accuracy
from twinset.formats.counting import counted
from twinset.pipeline.fitting import load_resolved, remarks_of
from twinset.pipeline.frontier.asking import parts_counted
from twinset.pipeline.frontier.carding import card_of
from twinset.pipeline.frontier.choosing import Choice
from twinset.pipeline.frontier.making import Made, Study
from twinset.pipeline.frontier.recommending import recommended_files, sentence_of
from twinset.pipeline.frontier.trainings import Training, right_answers
from twinset.pipeline.frontier.weighing import Weighed, difference, figure, labels_of
from twinset.pipeline.guarantees import together
from twinset.recipe import PrivacyPart

RESULT, PAGE, RECIPE = "frontier.json", "frontier.html", "recommended.yaml"


def document_of(
    study: Study, made: Sequence[Made], found: Sequence[Weighed], choice: Choice, of_real: Sequence[Training]
) -> documents.FrontierDocument:
    """The document. Test images are looked at here for the first time, and for the recommended release alone."""
    recipe, real = study.asked.written.recipe, study.real
    validation = labels_of(real, "validation")
    pictures = real.part("validation")
    right = right_answers(of_real, pictures, pictures.prepared(real.spec))
    recommended = _recommended(study, made, choice, of_real)
    return documents.FrontierDocument(
        folder=str(study.folder),
        data=real.facts.name,
        data_digest=real.facts.digest,
        blind=blind_accuracy(validation.class_ids),
        images=parts_counted(real),
        alpha=_alpha(study),
        seed=recipe.seed,
        settings=[_setting_part(study, one) for one in made],
        weighed=[one.part(choice) for one in found],
        real=figure(validation.mean(right, rng=study.stream.child("intervals", "real")), len(right)),
        decision="release" if recommended is not None else "release_nothing",
        sentence=sentence_of(recommended, found, choice),
        recommended=recommended,
        not_covered=not_covered([one.trained for one in made], once=[not one.fits_of for one in made]),
        recipe=str(study.folder / RECIPE) if recommended is not None else None,
        report=str(study.folder / PAGE),
        warnings=_warnings(study, made, found),
        version=__version__,
        seconds=round(sum(study.timings.read().values()), 1),
    )


def not_covered(trained: Sequence[documents.GuaranteePart | None], *, once: Sequence[bool]) -> str:
    """What no ε covers of a study of settings whose trainings promise this; ``once``: of each whether it trained by
    itself, and did not take over what another had."""
    text = (
        f"Comparing settings is not covered by any ε. {len(trained)} settings were trained on the same private images, "
        "and the choice is by figures on validation images and by audits that look at training images without noise; "
        "the page and its figures look at them, too. How many images of each class are made may follow from the real "
        "images."
    )
    bounded = [one for one in trained if one is not None]
    spent = together([one for one, own in zip(trained, once, strict=True) if own and one is not None])
    if spent is not None:
        text += (
            f" Those with a guarantee, {len(bounded)}, spent ε = {spent.epsilon:.4g} at δ = {spent.delta:.3g} "
            "together, for whoever sees what all of them made."
        )
        if shared := len(bounded) - sum(own for one, own in zip(trained, once, strict=True) if one is not None):
            text += f" {shared} of them took over the training of another, which is counted once."
    if unbounded := len(trained) - len(bounded):
        text += f" {unbounded} of {len(trained)} settings were trained without any bound."
    return text


def _alpha(study: Study) -> float:
    return (study.asked.written.recipe.privacy or PrivacyPart()).alpha


def _recommended(
    study: Study, made: Sequence[Made], choice: Choice, of_real: Sequence[Training]
) -> documents.RecommendedPart | None:
    """The one that is recommended, on test images beside classifiers of the real training images."""
    taken = choice.recommended
    if taken is None:
        return None
    setting = next(one for one in made if one.setting.name == taken.setting)
    labels, test = labels_of(study.real, "test"), study.real.part("test")
    pictures, rng = test.prepared(study.real.spec), study.stream.child("test")
    own = right_answers(setting.classifiers[taken.release], test, pictures)
    real = right_answers(of_real, test, pictures)
    return documents.RecommendedPart(
        setting=taken.setting,
        release=taken.release,
        because=choice.because,
        tied=[one.key for one in choice.tied],
        test=figure(labels.mean(own, rng=rng.child("own")), len(own)),
        real_test=figure(labels.mean(real, rng=rng.child("real")), len(real)),
        cost=difference(labels.difference(real, own, rng=rng.child("cost"))),
        files=recommended_files(taken.release, setting.result, setting.folder, setting.classifiers),
        card=str(card_of(setting.classifiers["classifier"][0].out)) if taken.release == "classifier" else None,
    )


def _setting_part(study: Study, made: Made) -> documents.FrontierSettingPart:
    return documents.FrontierSettingPart(
        name=made.setting.name,
        what=made.setting.what,
        run=str(made.folder),
        accepted=made.result.counts.accepted,
        trained=made.trained,
        remarks=list(remarks_of(load_resolved(made.folder), made.folder)),
        seconds=round(study.seconds_of(made.setting.name), 1),
    )


def _warnings(study: Study, made: Sequence[Made], found: Sequence[Weighed]) -> list[str]:
    audits, alpha = sum(not isinstance(one.audit, str) for one in found), _alpha(study)
    audits -= sum(bool(one.fits_of) and isinstance(one.audits.get("generator"), documents.ModelPart) for one in made)
    return [
        *study.asked.notes,
        f"{counted(audits, 'audits')} at a false alarm rate of {alpha:.3g} each: about {audits * alpha:.2g} releases "
        "may be flagged by chance.",
        "The held-out images of the audits are the validation and the test images; usefulness was measured on test "
        "images for the recommended release alone.",
        *(f"{one.candidate.key}: {one.audit}" for one in found if isinstance(one.audit, str)),
    ]
