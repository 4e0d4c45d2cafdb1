"""The documents of :mod:`twinset.documents` as text for a terminal. Control characters are made visible."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from twinset import documents
from twinset.errors import printable
from twinset.formats.counting import counted
from twinset.pipeline.reporting import duration
from twinset.scores import Decision

SECONDS_PER_HOUR = 3600
SHOWN_IMAGES = 20

TITLES: dict[Decision, str] = {
    "use": "USE IT",
    "do_not_use": "DO NOT USE IT",
    "no_measurable_difference": "NO MEASURABLE DIFFERENCE",
    "not_measured": "NOT MEASURED",
    "nothing_learnt": "NO VERDICT",
    "blocked_by_gate": "BLOCKED BY THE RELEASE GATE",
}


def run(document: documents.RunDocument) -> str:
    """The verdict, the arms, and where everything is."""
    lines = ["", _verdict(document.verdict), ""]
    lines += _arms(document.utility, document.utility_metric)
    counts = document.counts
    lines.append(
        f"images    {counts.accepted} accepted of {counts.planned} planned, {counts.rejected} tries rejected"
        + (f", {counts.failed} slots not filled" if counts.failed else "")
        + (f", {counts.redacted} redacted" if counts.redacted else "")
    )
    lines.append(f"gate      {_gate(document)}")
    lines += _audits(document.audit)
    lines += _cost(document.cost)
    lines += [f"export    {printable(path)} ({format_})" for format_, path in document.exports.items()]
    lines += [] if document.generator is None else [f"export    {printable(document.generator)} (generator)"]
    lines += [f"warning   {printable(text)}" for text in document.warnings]
    lines += [f"report    {printable(document.report)}", f"run       {printable(document.run)}"]
    lines.append(f"digest    {document.digest}")
    lines.append(f"took      {duration(document.seconds)}")
    return "\n".join(lines)


def preview(document: documents.PreviewDocument) -> str:
    """Where the sheet is, what made it, and what is left out."""
    lines = [f"wrote {document.sheet}: {counted(document.images, 'pictures')}"]
    lines += [*document.sources, *(f"note: {note}" for note in document.notes)]
    return "\n".join(map(printable, lines))


def scene(document: documents.SceneDocument) -> str:
    """Where the scene is, and how much is in it."""
    held = f"{counted(document.objects, 'objects')}, {counted(document.triangles, 'triangles')}"
    return printable(f"wrote {document.scene}: {held}, {document.bytes / 1e6:.1f} MB")


def _audits(found: documents.AuditedPart | None) -> list[str]:
    """The audit of the dataset, and of the generator where that is to be released too."""
    if found is None:
        return []
    lines = [f"audit     {'blocked: ' if found.withheld else ''}{printable(found.finding)}"]
    if found.generator is not None:
        blocked = "generator withheld" if found.generator.withheld else "generator"
        lines.append(f"audit     {blocked}: {printable(found.generator.finding)}")
    return lines


def _verdict(verdict: documents.VerdictPart) -> str:
    title = TITLES[verdict.decision]
    headline, _, rest = verdict.sentence.partition(": ")
    told = headline.lower().endswith(title.lower())
    return f"{title}: {printable(rest if told and rest else verdict.sentence)}"


def _gate(document: documents.RunDocument) -> str:
    gate = document.gate
    if gate.passed:
        return "passed" if gate.tested else "not tested (gate.copies: off)"
    if gate.blocking:
        return f"blocked: {printable('; '.join(gate.blocking))}"
    return f"reported, not blocked: {_reasons(gate)}"


def _reasons(gate: documents.GatePart) -> str:
    return printable("; ".join(gate.reasons))


def _cost(part: documents.CostPart | None) -> list[str]:
    """What 1,000 accepted images take; a line more for measuring too, and for labelling them by hand."""
    if part is None:
        return []
    lines = []
    for name, row in part.rows.items():
        if row.hours_per_1000 is None:
            continue
        price = "" if row.price_per_1000 is None else f", price {row.price_per_1000:,.2f}"
        energy = "" if row.kwh_per_1000 is None else f", {row.kwh_per_1000:.3g} kWh"
        takes = duration(SECONDS_PER_HOUR * row.hours_per_1000)
        thousand = "" if "1,000" in name else " 1,000 images"
        lines.append(f"cost      {takes}{price}{energy} for {name}{thousand}")
    if part.labelling_price_per_1000 is not None:
        lines.append(f"cost      price {part.labelling_price_per_1000:,.2f} for labelling 1,000 images by hand")
    return lines


def _arms(utility: dict[str, documents.ArmPart], metric: str) -> list[str]:
    if not utility:
        return []
    lines = [f"{metric} on the real test images, mean and 95 % interval"]
    for name, arm in utility.items():
        mark = " ←" if arm.picked else ""
        runs = f"{len(arm.seeds)} run{'' if len(arm.seeds) == 1 else 's'}"
        lines.append(f"  {name:<24} {arm.mean:.3f}  {arm.low:.3f} … {arm.high:.3f}  {runs}{mark}")
    return [*lines, ""]


def plan(document: documents.PlanDocument) -> str:
    """What a run would do."""
    lines = ["plan, with times estimated on this machine"]
    for name in ("training", "validation", "test"):
        lines.append(f"  {name:<11} {_part(document, name, getattr(document, name))}")
    by_class = f" ({_counts(document.slots)})" if document.unit == "images" else ""
    lines.append(f"  to make     {_images(sum(document.slots.values()))}{by_class}")
    lines.append(f"  shards      {document.shards}, about {document.bytes / 1e6:.1f} MB")
    times = {name: seconds for name, seconds in document.seconds.items() if seconds or name == "whole run"}
    lines += [f"  {name:<11} about {duration(seconds)}" for name, seconds in times.items()]
    lines += [f"  missing     {printable(text)}" for text in document.missing]
    return "\n".join(lines + [f"  note        {printable(text)}" for text in document.notes])


def _part(document: documents.PlanDocument, name: str, counts: dict[str, int]) -> str:
    """``12 images with 30 objects (cat 20, dog 10)``, ``12 images (cat 7, dog 5)``, or in how many each class shows."""
    total = sum(counts.values())
    images = _images(document.images.get(name, total))
    if document.unit == "objects":
        return f"{images} with {total} object{'' if total == 1 else 's'} ({_counts(counts)})"
    return f"{images} ({'' if document.unit == 'images' else f'{document.unit}: '}{_counts(counts)})"


def _images(number: int) -> str:
    return f"{number} image{'' if number == 1 else 's'}"


def _counts(counts: dict[str, int], limit: int = 12) -> str:
    shown = [f"{printable(name)} {n}" for name, n in list(counts.items())[:limit]]
    return ", ".join(shown) + (f", … {len(counts) - limit} more classes" if len(counts) > limit else "")


def status(document: documents.StatusDocument) -> str:
    """How far a run is."""
    lines = [f"{printable(document.run)}: {'finished' if document.finished else document.stage}"]
    lines.append(f"  generated   {document.generated} tries for {document.planned} slots")
    if document.accepted is not None:
        lines.append(f"  accepted    {document.accepted}")
    lines += [f"  {printable(name):<24} {duration(seconds)}" for name, seconds in document.stages.items()]
    return "\n".join(lines)


def verify(document: documents.VerifyDocument) -> str:
    """Whether a run is what it says it is."""
    lines = [f"{printable(document.run)}: {'ok' if document.ok else 'NOT ok'}"]
    lines.append(
        f"  {document.shards} shards re-hashed, {document.regenerated} samples made again, digest {document.digest}"
    )
    return "\n".join(lines + [f"  {printable(f'{part.path}: {part.problem}')}" for part in document.mismatches])


def inspection(lines: Sequence[str]) -> str:
    """What the inspection found."""
    return "\n".join(printable(line) for line in lines)


def comparison(document: documents.CompareDocument) -> str:
    """Scores in a table, and the verdict if utility was asked for."""
    lines = [f"{document.n_real} real and {document.n_synthetic} synthetic images", ""]
    lines += [*_scores(document.scores), ""]
    lines += _arms(document.utility, "balanced accuracy")
    if document.gate is not None:
        lines.append(
            "copies: " + ("none found beyond the holdout baseline" if document.gate.passed else _reasons(document.gate))
        )
    if document.verdict is not None:
        lines.append(_verdict(document.verdict))
    lines += [f"warning: {printable(text)}" for text in document.warnings]
    return "\n".join(lines + ([f"report: {printable(document.report)}"] if document.report else []))


def says_something(document: documents.CompareDocument) -> bool:
    """Whether anything could be measured: a score, copies, or usefulness."""
    return document.gate is not None or any(score.value is not None for score in document.scores.values())


def leaderboard(document: documents.LeaderboardDocument) -> str:
    """Sets by the chosen score, best first, with the ranks that the images allow by every score."""
    lines = [
        f"{document.n_synthetic} images of each set against {document.n_real} real ones, by {document.extractor}",
        "",
    ]
    rows = document.scores[document.by]
    ranks = {name: {one.name: one for one in ranked} for name, ranked in document.scores.items()}
    width = max(12, *(len(printable(one.name)) for one in rows))
    others = [name for name in document.scores if name != document.by]
    lines.append(f"  {'rank':<6} {'set':<{width}} {document.by:<34} " + "  ".join(f"{name:<16}" for name in others))
    for one in rows:
        error = "not known" if one.standard_error is None else f"{one.standard_error:.2g}"
        figure = f"{one.value:.4g} ± {error}"
        beside = "  ".join(f"{_ranks(ranks[name][one.name]):<16}" for name in others)
        lines.append(f"  {_ranks(one):<6} {printable(one.name):<{width}} {figure:<34} {beside}".rstrip())
    lines += ["", "sets whose ranks overlap cannot be told apart"]
    lines += [f"{printable(name)}: {_verdict(verdict)}" for name, verdict in document.verdicts.items()]
    lines += [f"warning: {printable(text)}" for text in document.warnings]
    return "\n".join(lines + ([f"report: {printable(document.report)}"] if document.report else []))


def _ranks(one: documents.RankedPart) -> str:
    return str(one.best) if one.best == one.worst else f"{one.best}–{one.worst}"


def _scores(scores: Mapping[str, documents.ScorePart]) -> list[str]:
    """A table of what was measured, then each reason why something was not, once."""
    width = max([28, *(len(printable(name)) for name, score in scores.items() if score.value is not None)])
    head = f"  {'score':<{width}} {'value':>10}  {'interval':<22} {'real vs real':>12}  {'this set, as many':>17}"
    lines = [head] if any(score.value is not None for score in scores.values()) else ["nothing could be measured"]
    missing: dict[str, list[str]] = {}
    for name, score in scores.items():
        if score.value is None:
            missing.setdefault(score.undefined_because or "", []).append(printable(name))
            continue
        interval = "" if score.low is None or score.high is None else f"{score.low:.4g} … {score.high:.4g}"
        floor = "" if score.floor is None else f"{score.floor:.4g}"
        same = score.settings.get("value_at_floor")
        beside = f"{same:.4g}" if isinstance(same, float) else ""
        lines.append(
            f"  {printable(name):<{width}} {score.value:>10.4g}  {interval:<22} {floor:>12}  {beside:>17}".rstrip()
        )
    lines += [f"not measured: {', '.join(names)}: {printable(reason)}" for reason, names in missing.items()]
    return lines


def detection(document: documents.DetectDocument) -> str:
    """What was flagged, the most suspicious images, and what the detector is worth."""
    lines = [printable(document.sentence[:1].upper() + document.sentence[1:]), ""]
    ranked = sorted(document.images, key=lambda image: (image.false_alarm_rate, -image.score, image.id))
    lines.append(f"  {'score':>8} {'false alarms':>13}   image")
    for image in ranked[:SHOWN_IMAGES]:
        rate = f"{100 * image.false_alarm_rate:.1f} %"
        mark = "  ← called generated" if image.flagged else ""
        lines.append(f"  {image.score:>8.3f} {rate:>13}   {printable(image.id)}{mark}")
    if len(ranked) > SHOWN_IMAGES:
        lines.append(f"  … {len(ranked) - SHOWN_IMAGES} more, less like generated ones; --json lists all")
    return "\n".join([*lines, "", *_detector(document.detector, document.limits, document.warnings)])


def fitted_detector(document: documents.FitDetectorDocument) -> str:
    """What was fitted, and where it is."""
    lines = _detector(document.detector, document.limits, document.warnings)
    place = printable(document.detector_file)
    wrote = f"wrote {place}, and its card {printable(document.card)}"
    return "\n".join([*lines, wrote, f"next: twinset detect FOLDER --detector {place}"])


def _detector(part: documents.DetectorPart, limits: str, warnings: Sequence[str]) -> list[str]:
    """Facts, limits and warnings; those of the detector itself among them."""
    names = f"{printable(part.real_name)} ({part.n_real}) and {printable(part.synthetic_name)} ({part.n_synthetic})"
    made_by = f", made by {printable(', '.join(part.generators))}" if part.generators else ""
    rates = [f"{100 * float(rate):g} %" for rate, threshold in part.thresholds.items() if threshold is not None]
    return [
        f"fitted on {names}{made_by}",
        f"AUC       {part.auc:.3f} ({part.auc_low:.3f} … {part.auc_high:.3f}) on {part.held_out_real} real and "
        f"{part.held_out_synthetic} synthetic images held out",
        f"rates     {' and '.join(rates) or 'none: too few real images were held out'}",
        f"limits    {printable(limits)}",
        *(f"warning   {printable(text)}" for text in [*part.warnings, *warnings]),
        f"sha256    {part.sha256}",
    ]


def inference(document: documents.InferenceDocument, place: str) -> str:
    """What was inferred, the warnings, and what to do next."""
    lines = [*document.sentences, f"wrote {place}: {_images(len(document.images))}"]
    if document.measures:
        lines.append(f"next: twinset check-metadata {place} --images FOLDER")
    return "\n".join(map(printable, lines))


def checked_metadata(document: documents.CheckMetadataDocument) -> str:
    """Mean ratings with their intervals."""
    lines = [f"{document.rated} of {_images(document.images)} rated; ratings in {document.ratings_file}"]
    for one in document.measures:
        if one.mean is not None:
            width = "" if one.low is None else f" ({one.low:.2f} … {one.high:.2f})"
            lines.append(f"  {one.measure}: {one.mean:.2f}{width} of 5, {_images(one.images)}")
    return "\n".join(map(printable, lines))


def plugins(document: documents.PluginsDocument) -> str:
    """A line per method."""
    lines = []
    for part in document.plugins:
        lines.append(
            printable(
                f"{part.kind.removesuffix('s'):<10} {part.name:<14} {part.distribution} {part.version}  {part.target}"
            )
        )
        lines += [f"    {printable(line)}" for line in part.problem.rstrip().splitlines()]
    return "\n".join(lines)


def doctor(document: documents.DoctorDocument) -> str:
    """What is installed."""
    lines = [f"{name:<12} {printable(value)}" for name, value in document.environment.items()]
    lines += [f"{'extra ' + name:<12} {value}" for name, value in document.extras.items()]
    return "\n".join(
        [
            *lines,
            *(f"problem: {printable(text)}" for text in document.problems),
            "all good" if document.ok else "not ready",
        ]
    )
