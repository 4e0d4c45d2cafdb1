"""The recipe that ``twinset init`` proposes: a comment beside every key that people change."""

from __future__ import annotations

import json
from typing import cast

from twinset.dataset import UNITS
from twinset.inspection import Inspection
from twinset.recipe import EXPORTS

PROPOSED = 8
"""Attributes that are proposed as groups."""


def recipe_text(place: str, inspection: Inspection) -> str:
    """The recipe with a comment beside every key that people change."""
    if inspection.task != "classification":
        return _placed(place, inspection)
    facts = inspection.to_json()
    classes = cast("dict[str, int]", facts["classes"])
    bad = cast("list[object]", facts["bad_files"])
    given = cast("dict[str, object]", facts.get("splits") or {})
    parts = f"given splits stand: {', '.join(given)}" if given else "none given, so by these fractions"
    listed = ", ".join(f"{name!r} {count}" for name, count in list(classes.items())[:8])
    skip = "skip" if bad else "refuse"
    return f"""\
# A twinset recipe. `twinset run THIS_FILE --dry-run` shows the plan; every key but data may go.
# Found: {facts["images"]} images, {len(classes)} classes ({listed}{", …" if len(classes) > 8 else ""}), \
{len(bad)} bad files.
schema: twinset/recipe/1
data:
  path: {_quoted(place)}
  # licence: CC-BY-4.0        # of the real images; stands in report and dataset card
task: classification

image:
  size: auto                  # side in pixels, [height, width], or auto (as they are, at most 32)
  channels: auto              # 1, 3 or auto
  fit: stretch                # stretch, crop or pad when the aspect ratio differs

split:                        # {parts}
  train: 0.6
  validation: 0.2
  test: 0.2
  # shots: 10                 # keep only so many training images per class
  # groups: {{regex: "^(p[0-9]+)_"}}   # what must not straddle a split; or {{column: patient}}, {{folder: 2}}

count: auto                   # accepted images: 500, {{class: n, …}}, balance or auto
generate:
- use: diffusion              # trained from scratch on the training split; or use: folder with path: of your images
edit: []                      # e.g. [{{use: sdedit, strength: 0.5, share: 0.5}}]; edits are copies unless varied a lot
align:                        # filters in order; `align: off` for none
- use: copies                 # near copies of training images go
- use: agreement              # a real-trained ensemble must not contradict the label
- use: density                # nothing far from all real images
- use: duplicates             # nothing twice

evaluate:
  embedder: {{use: self}}       # or random, or {{use: pretrained, name: dinov2, path: …}}
  utility: {{seeds: 3}}         # or off
{_subgroups(inspection)}gate:
  copies: block               # or block-unrecorded (parents on record may show), report, off
# privacy: {{on_leak: withhold}}   # audit the dataset before it is released, and withhold one that leaks
# release: {{watermark: {{key_file: watermark.key}}}}   # an invisible mark; also c2pa and access
export: [imagefolder]         # imagefolder, webdataset, parquet, csv
seed: 0
minutes: 10                   # what the whole run should take on this machine
on_bad_input: {skip:<11}     # refuse or skip{f"; {len(bad)} bad files would stop the run" if bad else ""}
"""


COPYPASTE = """\
- use: copypaste              # objects of the training images on training images without theirs
  placement: fitted           # fitted to the real sizes, places and numbers; or uniform, or context
  backgrounds: inpainted      # inpainted, real or procedural; background_path: a folder of pictures of yours
  # foregrounds: boxes        # auto, masks, or boxes (cut out by GrabCut); foreground_path: class folders of cut-outs
  # blending: [alpha, gaussian, box, poisson]
  # harmonise: colour         # move the colours of objects with their surroundings
  # balance: 0.5              # this share of objects drawn evenly among the classes
"""
RECOMPOSE = """\
- use: copypaste              # regions of some training images moved into others, maps exact
  # recompose: [car]          # classes whose regions are moved; by default those that form small regions
"""


def _placed(place: str, inspection: Inspection) -> str:
    """The recipe for images with objects or semantic maps, with a comment beside every key that people change."""
    task, bad = inspection.task, inspection.report.bad_files
    counts = ", ".join(f"{name!r} {count}" for name, count in list(inspection.classes.items())[:8])
    more = ", …" if len(inspection.classes) > 8 else ""
    given = f"given splits stand: {', '.join(inspection.splits)}" if inspection.splits else "none given, so by these"
    skip = "skip" if bad else "refuse"
    made = RECOMPOSE if task == "semantic-segmentation" else COPYPASTE
    format_ = "masks" if task == "semantic-segmentation" else "coco"
    return f"""\
# A twinset recipe. `twinset run THIS_FILE --dry-run` shows the plan; every key but data may go.
# Found: {inspection.report.images} images, {UNITS[task]} by class: {counts}{more}; {len(bad)} problems.
schema: twinset/recipe/1
data:
  path: {_quoted(place)}
  # licence: CC-BY-4.0        # of the real images; stands in report and dataset card
task: {task}

image:
  size: auto                  # as they are; or [height, width]

split:                        # {given}
  train: 0.6
  validation: 0.2
  test: 0.2
  # shots: 20                 # keep only so many training images
  # groups: {{regex: "^(flight[0-9]+)_"}}   # what must not straddle a split: videos, sites, patients

count: auto                   # images to make; auto: five times the training images, at most 500
generate:
{made}edit: []                      # e.g. [{{use: mosaic, share: 0.3}}, {{use: geometric, share: 0.3}}]
align: off                    # e.g. [{{use: object-density}}]: no objects unlike all real ones

evaluate:
  embedder: {{use: self}}       # or random, or {{use: pretrained, name: dinov2, path: …}}
  utility: {{seeds: 3}}         # or off; model: …, steps: …, size: [h, w] to train something larger
{_subgroups(inspection)}gate:
  copies: block-unrecorded    # pasted images may show their parents, which is reported; or block, report, off
# privacy: {{on_leak: withhold}}   # audit the dataset before it is released, and withhold one that leaks
# release: {{watermark: {{key_file: watermark.key}}}}   # an invisible mark; also c2pa and access
export: [{format_}]{" " * max(1, 20 - len(format_))}# {", ".join(EXPORTS[4:])}
seed: 0
minutes: 30                   # what the whole run should take on this machine
on_bad_input: {skip:<11}     # refuse or skip{f"; {len(bad)} problems would stop the run" if bad else ""}
"""


def _quoted(text: str) -> str:
    """Text as YAML on one line."""
    import yaml

    return yaml.safe_dump(text, width=10_000).strip().removesuffix("\n...")


def _subgroups(inspection: Inspection) -> str:
    """A line that proposes the attributes with few values as groups; "" where there are none."""
    names = list(inspection.groups)[:PROPOSED]
    if not names:
        return ""
    told = ", ".join(f"{name!r} has {len(inspection.groups[name])} values" for name in names)
    listed = ", ".join(json.dumps(name, ensure_ascii=not name.isprintable()) for name in names)
    return f"  # subgroups: [{listed}]   # figures by these groups too: {told}\n"
