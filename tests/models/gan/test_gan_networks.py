"""Shapes, spectral norms, projection and augmentation of the networks of a GAN."""

from __future__ import annotations

import pytest
import torch

from twinset.images import ImageSpec
from twinset.models.gan.augmentation import CHANGES, change, draw_changes
from twinset.models.gan.networks import Discriminator, GanGenerator, GanNetworkSettings, build_gan
from twinset.models.gan.spectral import GAIN, SpectralNorms
from twinset.randomness import Stream

SMALL = GanNetworkSettings(16, 4, 8)


def networks(spec: ImageSpec, classes: int = 3) -> tuple[GanGenerator, Discriminator]:
    return build_gan(SMALL, spec, classes, generator=Stream(0).torch())


def pictures(count: int, spec: ImageSpec) -> torch.Tensor:
    return torch.rand(count, spec.channels, spec.height, spec.width, generator=Stream(1).torch()) * 2 - 1


@pytest.mark.parametrize("shape", [(4, 4, 1), (8, 8, 1), (9, 13, 3), (28, 28, 1), (64, 48, 3)])
def test_any_size_and_colour_comes_out_and_is_judged(shape: tuple[int, int, int]) -> None:
    spec = ImageSpec(*shape)
    made, judge = networks(spec)
    class_ids = torch.tensor([0, 2])
    out = made(torch.randn(2, 8, generator=Stream(2).torch()), class_ids)
    assert out.shape == (2, spec.channels, spec.height, spec.width)
    assert float(out.detach().abs().max()) <= 1
    assert judge(out, class_ids).shape == (2,)


def test_what_is_drawn_and_the_class_both_matter() -> None:
    made, _ = networks(ImageSpec(8, 8, 1))
    codes = torch.randn(2, 8, generator=Stream(2).torch())
    first, other_code, other_class = (
        made(code, torch.tensor([class_id])) for code, class_id in ((codes[:1], 0), (codes[1:], 0), (codes[:1], 1))
    )
    assert not torch.allclose(first, other_code)
    assert not torch.allclose(first, other_class)


def test_the_discriminator_judges_every_image_by_itself() -> None:
    spec = ImageSpec(8, 8, 1)
    _, judge = networks(spec)
    images, class_ids = pictures(5, spec), torch.tensor([0, 1, 2, 0, 1])
    together = judge(images, class_ids)
    alone = torch.cat([judge(images[row : row + 1], class_ids[row : row + 1]) for row in range(5)])
    assert torch.allclose(together, alone, atol=1e-5)


def test_the_class_enters_by_projection() -> None:
    """D(x, y) − D(x, y') is linear in the embeddings: doubling their difference doubles it."""
    spec = ImageSpec(8, 8, 1)
    _, judge = networks(spec)
    images = pictures(4, spec)

    def difference() -> torch.Tensor:
        return judge(images, torch.ones(4, dtype=torch.int64)) - judge(images, torch.zeros(4, dtype=torch.int64))

    before = difference()
    with torch.no_grad():
        judge.classes.weight[1] += judge.classes.weight[1] - judge.classes.weight[0]
    assert torch.allclose(difference(), 2 * before, rtol=1e-4, atol=1e-5)
    assert float(before.detach().abs().max()) > 1e-3


def test_normalised_weights_have_one_spectral_norm() -> None:
    _, judge = networks(ImageSpec(8, 8, 1))
    parameters = dict(judge.named_parameters())
    norms = SpectralNorms(parameters, generator=Stream(3).torch())
    for _ in range(200):
        norms.update(parameters)
    for name, value in norms.normalised(parameters).items():
        if value.ndim > 1:
            largest = float(torch.linalg.matrix_norm(value.detach().flatten(1), ord=2))
            assert largest == pytest.approx(GAIN, rel=0.01), name
        else:
            assert value is parameters[name]


def test_gradients_flow_through_the_norm() -> None:
    """W/σ(W) does not change with the scale of W, so its gradient along W is zero."""
    weight = torch.randn(4, 6, generator=Stream(4).torch()).requires_grad_()
    norms = SpectralNorms({"w": weight}, generator=Stream(5).torch())
    aim = torch.randn(4, 6, generator=Stream(6).torch())
    (norms.normalised({"w": weight})["w"] * aim).sum().backward()
    assert weight.grad is not None
    along = float((weight.grad * weight.detach()).sum())
    assert along == pytest.approx(0, abs=1e-4)
    assert float(weight.grad.norm()) > 0.1


def test_restored_singular_vectors_go_on_alike() -> None:
    parameters = {"w": torch.randn(5, 7, generator=Stream(4).torch())}
    norms = SpectralNorms(parameters, generator=Stream(5).torch())
    other = SpectralNorms(parameters, generator=Stream(6).torch())
    other.restore(norms.tensors())
    for one in (norms, other):
        one.update(parameters)
    assert torch.equal(norms.normalised(parameters)["w"], other.normalised(parameters)["w"])


@pytest.mark.parametrize("wrong", [{"width": 8}, {"width": 24}, {"latent": 0}, {"discriminator_width": 0}])
def test_networks_that_cannot_be_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="expected"):
        GanNetworkSettings(**wrong)


def test_no_change_changes_nothing() -> None:
    images = pictures(3, ImageSpec(8, 8, 3))
    assert torch.equal(change(images, draw_changes(3, (), flip=False, generator=Stream(0).torch())), images)


def test_translation_moves_by_whole_pixels_up_to_an_eighth() -> None:
    images = pictures(60, ImageSpec(16, 8, 1))
    moved = change(images, draw_changes(60, ("translation",), flip=False, generator=Stream(0).torch()))
    inside = images[:, :, 4:-4, 2:-2]
    found = set()
    for row in range(60):
        for down in range(-2, 3):
            for right in range(-1, 2):
                part = moved[row, :, 4 + down : 12 + down, 2 + right : 6 + right]
                if torch.equal(part, inside[row]):
                    found.add((down, right))
    assert found == {(down, right) for down in range(-2, 3) for right in range(-1, 2)}


def test_a_hole_is_grey_and_at_most_a_quarter_of_the_picture() -> None:
    images = torch.ones(200, 1, 8, 8)
    holed = change(images, draw_changes(200, ("cutout",), flip=False, generator=Stream(0).torch()))
    hidden = (holed == 0).sum(dim=(1, 2, 3))
    assert int(hidden.max()) == 16
    assert int(hidden.min()) >= 4
    assert set(holed.unique().tolist()) == {0.0, 1.0}


def test_colour_changes_light_and_contrast_but_no_place() -> None:
    images = pictures(4, ImageSpec(8, 8, 1))
    changed = change(images, draw_changes(4, ("colour",), flip=False, generator=Stream(0).torch()))
    for before, after in zip(images.flatten(1), changed.flatten(1), strict=True):
        correlation = float(torch.corrcoef(torch.stack([before, after]))[0, 1])
        assert correlation == pytest.approx(1, abs=1e-4)
        assert not torch.allclose(before, after, atol=1e-3)


def test_gradients_pass_all_changes() -> None:
    images = pictures(6, ImageSpec(8, 8, 3)).requires_grad_()
    drawn = draw_changes(6, CHANGES, flip=True, generator=Stream(0).torch())
    change(images, drawn).square().sum().backward()
    assert images.grad is not None
    assert int((images.grad != 0).any(dim=1).sum()) > 100
