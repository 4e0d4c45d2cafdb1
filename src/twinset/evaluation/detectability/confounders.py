"""What tells real from synthetic files without looking at what they show: container, size, colours, JPEG quality.

Real pictures come as JPEG at many sizes, synthetic ones as PNG at one. A classifier then finds the file
format and says nothing about the generator (Grommelt et al. 2024, "Fake or JPEG?"). Here each such trait is
tested alone; :class:`Equalise` takes both sets through the same resize and the same JPEG coder.

Equalising is no cure-all: pictures that were shrunk are sharper than ones made at the size, and what was coded as JPEG
before is then coded twice, which is easily seen unless the second coding is clearly the coarser one, or a common resize
came between. :func:`confounder_warnings` says so.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.dataset import Dataset
from twinset.errors import ImageError
from twinset.evaluation.detectability.residuals import luminance
from twinset.images import Pixels, check_pixels, convert_channels, decode, resize
from twinset.randomness import Stream

TRAITS = ("container", "size", "colours", "jpeg quality")
ALARMING = 0.6
LEVEL = 0.01
# The luminance table of ISO/IEC 10918-1, K.1, which libjpeg scales by its quality setting.
_LUMINANCE = np.array(
    [
        *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55),
        *(14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62),
        *(18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92),
        *(49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
    ]
)


@dataclass(frozen=True)
class FileTraits:
    """Of one file: ``container`` such as PNG, ``size`` as width × height, ``colours`` as Pillow's mode, and the
    quality that libjpeg would give its tables (0 where it is no JPEG)."""

    container: str
    size: str
    colours: str
    jpeg_quality: int

    def value(self, trait: str) -> str:
        """One of :data:`TRAITS` as text."""
        return str(getattr(self, trait.replace(" ", "_")))


@dataclass(frozen=True)
class Confounder:
    """How well one trait alone separates the sets.

    ``separation`` is the balanced accuracy of the best rule on this trait on these very files, ½ … 1; its
    ``p_value`` is against permuted labels, so that many distinct sizes do not alarm by themselves.
    ``real`` and ``synthetic`` say what is common on each side.
    """

    trait: str
    separation: float
    p_value: float
    real: str
    synthetic: str

    @property
    def alarming(self) -> bool:
        """Whether the trait separates the sets clearly and beyond chance."""
        return self.p_value <= LEVEL and self.separation >= ALARMING

    @property
    def sentence(self) -> str:
        """For people."""
        return (
            f"{self.trait} alone tells the sets apart in {100 * self.separation:.0f} % of cases "
            f"(real: {self.real}; synthetic: {self.synthetic}): equalise both before judging the generator"
        )


def file_traits(data: bytes, *, name: str = "image") -> FileTraits:
    """Traits of an encoded picture; only its header is read. :class:`ImageError` for bytes that are no picture."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as picture:
            tables = getattr(picture, "quantization", None) if picture.format in ("JPEG", "MPO") else None
            quality = jpeg_quality(np.asarray(tables[0])) if tables else 0
            return FileTraits(str(picture.format), f"{picture.width} × {picture.height}", picture.mode, quality)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ImageError(f"{name}: expected an encoded picture; got {type(error).__name__}") from error


def jpeg_quality(table: NDArray[np.integer]) -> int:
    """The libjpeg quality 1…100 whose luminance table has the sum nearest to that of ``table`` (64,), in any order.

    Exact for files of libjpeg and its kin; of other coders it is the nearest in strength.
    """
    quality = np.arange(1, 101)
    scale = np.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    sums = np.clip((_LUMINANCE * scale[:, None] + 50) // 100, 1, 255).sum(axis=1)
    return int(quality[np.abs(sums - int(table.sum())).argmin()])


def traits_of(dataset: Dataset) -> list[FileTraits]:
    """Traits of every file as it came; pictures that are held as pixels count as PNG."""
    return [file_traits(sample.encoded(), name=sample.id) for sample in dataset]


def confounders(
    real: Sequence[FileTraits], synthetic: Sequence[FileTraits], *, rng: Stream, permutations: int = 999
) -> list[Confounder]:
    """One :class:`Confounder` for each of :data:`TRAITS`; none where a side has no files."""
    if not real or not synthetic:
        return []
    found = []
    for trait in TRAITS:
        values = [each.value(trait) for each in (*real, *synthetic)]
        draw = rng.child("confounder", trait).numpy()
        separation, p_value = _separation(np.unique(values, return_inverse=True)[1], len(real), draw, permutations)
        sides = _common(values[: len(real)]), _common(values[len(real) :])
        found.append(Confounder(trait, separation, p_value, *sides))
    return found


def confounder_warnings(
    found: Sequence[Confounder], equalise: Equalise, *, files: Sequence[FileTraits] = ()
) -> tuple[str, ...]:
    """A sentence for each trait that alone separates the sets clearly and that ``equalise`` does not remove.

    One more where it codes anew ``files`` that were JPEG of less than 20 points above its quality, without a resize.
    """
    warnings = [each.sentence for each in found if each.alarming and not equalise.removes(each.trait)]
    coded = [each.jpeg_quality for each in files if each.jpeg_quality]
    differ = any(each.alarming and each.trait == "jpeg quality" for each in found)
    again = equalise.jpeg_quality if equalise.size is None else None
    if differ and again is not None and any(quality < again + 20 for quality in coded):
        warnings.append(
            f"pictures of JPEG quality {min(coded)} were coded again at {again}, which shows: "
            "equalise at a quality at least 20 lower, or resize both as well"
        )
    return tuple(warnings)


def seams(picture: Pixels) -> float:
    """How much more neighbours differ across the seams of an 8 × 8 grid from the corner than elsewhere, log₁₀.

    About 0 for pictures never coded as JPEG (the smaller the noisier; 0 under 16 pixels) and more after coding, at high
    quality hardly. It stays when a JPEG is saved as PNG.
    """
    grey = luminance(picture[None])[0].astype(np.float64)
    if min(grey.shape) < 16:
        return 0.0
    across, down = np.abs(np.diff(grey, axis=1)).mean(axis=0), np.abs(np.diff(grey, axis=0)).mean(axis=1)
    at = np.concatenate([across[7::8], down[7::8]]).mean()
    elsewhere = np.concatenate([np.delete(each, np.s_[7::8]) for each in (across, down)]).mean()
    return float(np.log10((at + 0.1) / (elsewhere + 0.1)))


def seam_confounder(real: NDArray[np.float64], synthetic: NDArray[np.float64]) -> Confounder:
    """Whether :func:`seams` of real (N,) and synthetic (M,) pictures differ: traces of JPEG inside the pixels.

    Its separation is the AUC (or one less it), its p-value that of the two-sided rank-sum test.
    """
    from scipy.stats import mannwhitneyu

    if np.ptp(np.concatenate([real, synthetic])) == 0:
        return Confounder("8-pixel seams in the pixels", 0.5, 1.0, "none", "none")
    test = mannwhitneyu(real, synthetic, alternative="two-sided")
    auc = float(test.statistic) / (len(real) * len(synthetic))
    words = (f"median {np.median(side):.3f}" for side in (real, synthetic))
    return Confounder("8-pixel seams in the pixels", max(auc, 1 - auc), float(test.pvalue), *words)


@dataclass(frozen=True)
class Equalise:
    """Both sets through one road: ``channels``, then ``size`` (height, width), then JPEG of ``jpeg_quality``.

    None leaves that step out. Choose a size below both sets': enlarging leaves traces of its own.
    """

    size: tuple[int, int] | None = None
    jpeg_quality: int | None = None
    channels: int | None = None

    def __post_init__(self) -> None:
        if self.size is not None and min(self.size) < 8:
            raise ValueError(f"expected a size of at least 8 × 8; got {self.size}")
        if self.jpeg_quality is not None and not 1 <= self.jpeg_quality <= 100:
            raise ValueError(f"expected a JPEG quality in 1…100; got {self.jpeg_quality}")
        if self.channels not in (None, 1, 3):
            raise ValueError(f"expected 1 or 3 channels; got {self.channels}")

    def removes(self, trait: str) -> bool:
        """Whether this trait of :data:`TRAITS` can no longer tell the sets apart."""
        coded = trait in ("container", "jpeg quality") and self.jpeg_quality is not None
        return (
            coded or (trait == "size" and self.size is not None) or (trait == "colours" and self.channels is not None)
        )

    def apply(self, picture: Pixels) -> Pixels:
        """The picture, uint8 (H, W, C), as it comes out."""
        check_pixels(picture)
        if self.channels is not None:
            picture = convert_channels(picture, self.channels)
        if self.size is not None and picture.shape[:2] != self.size:
            picture = resize(picture, *self.size)
        return picture if self.jpeg_quality is None else _through_jpeg(picture, self.jpeg_quality)

    def pictures(self, dataset: Dataset) -> Iterator[Pixels]:
        """All pictures of a dataset, decoded one at a time."""
        return (self.apply(sample.pixels()) for sample in dataset)


def _through_jpeg(picture: Pixels, quality: int) -> Pixels:
    from PIL import Image

    buffer = io.BytesIO()
    grey = picture.shape[2] == 1
    Image.fromarray(picture[..., 0] if grey else picture).save(buffer, format="JPEG", quality=quality)
    return decode(buffer.getvalue(), name="re-encoded picture")


def _separation(codes: NDArray[np.intp], n: int, draw: np.random.Generator, permutations: int) -> tuple[float, float]:
    """½ + half the total variation between both sides' values, and its exact p-value under permuted labels."""
    totals = np.bincount(codes)
    m = len(codes) - n
    observed = np.bincount(codes[n:], minlength=len(totals))
    drawn = draw.multivariate_hypergeometric(totals, m, size=permutations, method="marginals")
    synthetic = np.concatenate([observed[None], drawn])
    variation = np.abs(synthetic / m - (totals - synthetic) / n).sum(axis=1) / 2
    p_value = (1 + (variation[1:] >= variation[0] - 1e-12).sum()) / (1 + permutations)
    return 0.5 + float(variation[0]) / 2, float(p_value)


def _common(values: Sequence[str]) -> str:
    counts = Counter(values).most_common(3)
    shown = ", ".join(f"{value} {100 * count / len(values):.0f} %" for value, count in counts)
    return shown + (" …" if len(set(values)) > len(counts) else "")
