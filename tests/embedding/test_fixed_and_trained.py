from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from twinset.contracts import digits
from twinset.embedding.embedder import embed_dataset, embed_images, embed_stream, in_fixed_batches, resized
from twinset.embedding.pixels import SmallPixels
from twinset.embedding.random_convolution import RandomConvolution
from twinset.embedding.self_trained import Network, SelfTrained, SelfTrainedEmbedder, augment, contrastive_loss
from twinset.errors import DatasetFormatError
from twinset.images import ImageSpec, to_model
from twinset.randomness import Stream

SPEC = ImageSpec(8, 8, 1)


def images(n: int, *, side: int = 8, channels: int = 1) -> np.ndarray:
    draw = np.random.Generator(np.random.PCG64(n))
    return draw.integers(256, size=(n, side, side, channels), dtype=np.uint8)


@pytest.mark.parametrize("embedder", [RandomConvolution(), SmallPixels()])
@pytest.mark.parametrize("batch", [16, 64, 256])
def test_order_and_company_change_no_bit(embedder: RandomConvolution, batch: int) -> None:
    pictures = images(70, side=32, channels=3)
    order = np.random.Generator(np.random.PCG64(1)).permutation(70)
    straight = embed_images(embedder, pictures, batch=batch)
    assert np.array_equal(embed_images(embedder, pictures[order], batch=batch), straight[order])
    assert np.array_equal(embed_images(embedder, pictures[:1], batch=batch), straight[:1])


def test_a_dataset_in_batches_gives_what_its_pixels_give() -> None:
    dataset = digits(30)
    streamed = embed_dataset(RandomConvolution(), dataset, spec=SPEC, batch=8)
    assert np.array_equal(streamed, embed_images(RandomConvolution(), dataset.prepared(SPEC), batch=8))


def test_the_random_network_is_the_same_everywhere() -> None:
    features = embed_images(RandomConvolution(), np.full((1, 32, 32, 1), 200, dtype=np.uint8))
    filters, projection = RandomConvolution()._weights
    assert [tuple(f.shape) for f in filters] == [(16, 3, 5, 5), (32, 32, 3, 3), (32, 64, 3, 3)]
    assert projection.shape == (48 + 512 + 1024 + 256, 128)
    found = [float(filters[0][0, 0, 0, 0]), float(filters[2][5, 4, 1, 1]), float(projection[7, 11])]
    assert found == pytest.approx(GOLDEN, rel=1e-5)
    assert features.shape == (1, 128)


GOLDEN = [-0.015141656622290611, 0.06420030444860458, 4.0053391456604]


def test_grey_and_its_rgb_copy_have_the_same_features() -> None:
    grey = images(5, side=16)
    for embedder in (RandomConvolution(), SmallPixels()):
        assert np.array_equal(embed_images(embedder, grey), embed_images(embedder, np.repeat(grey, 3, axis=3)))


def test_a_slightly_changed_copy_is_nearer_than_any_other_image() -> None:
    pictures = digits(200).prepared(SPEC)
    noise = np.random.Generator(np.random.PCG64(0)).integers(-12, 13, size=pictures.shape)
    changed = np.clip(pictures.astype(int) + noise, 0, 255).astype(np.uint8)
    one, other = (embed_images(RandomConvolution(), each).astype(np.float64) for each in (pictures, changed))
    distances = np.linalg.norm(one[:, None] - other[None], axis=2)
    assert np.array_equal(distances.argmin(axis=1), np.arange(200))


def test_shrinking_averages_so_that_noise_does_not_alias() -> None:
    noise = torch.from_numpy(images(1, side=1024)[..., 0].astype(np.float32))[None]
    assert float(resized(noise, (64, 64)).std()) < 0.15 * float(noise.std())


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match=r"uint8 \(N, H, W, C\)"):
        embed_images(SmallPixels(), images(0))
    with pytest.raises(ValueError, match="at most 2 pictures"):
        embed_stream(SmallPixels(), [images(2), images(3)])
    with pytest.raises(ValueError, match="1 or 3"):
        in_fixed_batches(lambda batch: batch, torch.zeros(2, 4, 8, 8), batch=2)
    for wrong in ({"size": 12}, {"dimension": 1}):
        with pytest.raises(ValueError, match="expected dimension"):
            RandomConvolution(**wrong)

    class Broken(SmallPixels):
        def embed(self, images: torch.Tensor) -> np.ndarray:
            return np.full((len(images), 2), np.nan, dtype=np.float32)

    with pytest.raises(ValueError, match="finite features from pixels-8"):
        embed_images(Broken(), images(3))


def test_the_contrastive_loss_by_hand_and_its_sign() -> None:
    # Two images, views equal and images orthogonal, τ = 1: −log e / (e + 2).
    unit = torch.eye(2)
    rows = torch.tensor([0, 1])
    aligned = float(contrastive_loss(torch.cat([unit, unit]), rows, 1.0))
    assert aligned == pytest.approx(-np.log(np.e / (np.e + 2)), rel=1e-6)
    crossed = float(contrastive_loss(torch.cat([unit, unit.flip(0)]), rows, 1.0))
    assert crossed == pytest.approx(-np.log(1 / (1 + 1 + np.e)), rel=1e-6)


def test_an_image_twice_in_a_batch_is_not_its_own_negative() -> None:
    unit = torch.eye(2)[[0, 0, 1]]
    loss = float(contrastive_loss(torch.cat([unit, unit]), torch.tensor([5, 5, 6]), 1.0))
    # Views of image 5: partner e, two views of 6 count 1 each. View of 6: partner e, four views of 5.
    expected = -(4 * np.log(np.e / (np.e + 2)) + 2 * np.log(np.e / (np.e + 4))) / 6
    assert loss == pytest.approx(expected, rel=1e-6)


def test_views_without_strength_are_the_picture_and_flips_only_on_request() -> None:
    pictures = to_model(images(16, side=16, channels=3))
    still = SelfTrained(shift=0, zoom=0, rotation=0, brightness=0, contrast=0)
    assert torch.allclose(augment(pictures, still, Stream(0).torch()), pictures, atol=1e-5)
    mirrored = augment(
        pictures, SelfTrained(shift=0, zoom=0, rotation=0, brightness=0, contrast=0, flips=True), Stream(0).torch()
    )
    same = (mirrored - pictures).abs().amax(dim=(1, 2, 3)) < 1e-4
    flipped = (mirrored - pictures.flip(3)).abs().amax(dim=(1, 2, 3)) < 1e-4
    assert bool((same | flipped).all())
    assert 0 < int(flipped.sum()) < 16


def test_a_new_network_draws_from_its_own_generator_only() -> None:
    before = torch.random.get_rng_state()
    one, other = (Network.fresh(8, 16, Stream(3).torch()) for _ in range(2))
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.slow
def test_training_makes_neighbours_of_unseen_images_share_their_class() -> None:
    dataset = digits(500)
    order = np.random.Generator(np.random.PCG64(0)).permutation(500)
    train, test = dataset.take(order[:150]), dataset.take(order[150:])
    before = torch.random.get_rng_state()
    trained = SelfTrained(steps=100).fit(train, spec=SPEC, rng=Stream(0))
    assert torch.equal(before, torch.random.get_rng_state())
    untrained = SelfTrainedEmbedder(Network.fresh(8, 64, Stream(0).torch()), frozenset())
    right = []
    for embedder in (untrained, trained):
        known, unseen = (embed_dataset(embedder, part, spec=SPEC).astype(np.float64) for part in (train, test))
        distances = np.linalg.norm(unseen[:, None] - known[None], axis=2)
        right.append((train.class_ids[distances.argmin(axis=1)] == test.class_ids).mean())
        assert (unseen**2).mean() == pytest.approx(1.0, rel=1e-4)
    assert right[1] > 0.9
    assert right[1] > right[0] + 0.05


@pytest.mark.slow
def test_unlabelled_and_tiny_sets_train_too() -> None:
    embedder = SelfTrained(steps=3, dimension=8).fit_pixels(
        images(3), np.array([-1, -1, -1]), ids=["a", "b", "c"], rng=Stream(0)
    )
    assert embed_images(embedder, images(3)).shape == (3, 8)
    with pytest.raises(ValueError, match="≥ 2 images"):
        SelfTrained(steps=1).fit_pixels(images(1), np.array([0]), ids=["a"], rng=Stream(0))


def test_damaged_weights_of_a_self_trained_embedder_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetFormatError, match=r"self-trained\.safetensors: expected the weights"):
        SelfTrainedEmbedder.load(tmp_path)
    (tmp_path / "self-trained.safetensors").write_bytes(b"nothing")
    with pytest.raises(DatasetFormatError, match="train it again"):
        SelfTrainedEmbedder.load(tmp_path)
