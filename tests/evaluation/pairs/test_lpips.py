from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional

from twinset.embedding.weights import LPIPS
from twinset.errors import MissingModelError
from twinset.evaluation.pairs.diversity import Classes
from twinset.evaluation.pairs.lpips import Lpips, Name, PerceptualNetwork
from twinset.evaluation.pairs.perceptual import (
    PerceptualDistance,
    lpips,
    lpips_values,
    mean_of_all_pairs,
    perceptual_diversity,
    perceptual_vectors,
)
from twinset.neighbours import nearest
from twinset.randomness import Stream

# Position in torchvision's features, inputs, outputs, side, stride, padding.
ALEX = ((0, 3, 64, 11, 4, 2), (3, 64, 192, 5, 1, 2), (6, 192, 384, 3, 1, 1), (8, 384, 256, 3, 1, 1),
        (10, 256, 256, 3, 1, 1))  # fmt: skip
VGG = ((0, 3, 64), (2, 64, 64), (5, 64, 128), (7, 128, 128), (10, 128, 256), (12, 256, 256), (14, 256, 256),
       (17, 256, 512), (19, 512, 512), (21, 512, 512), (24, 512, 512), (26, 512, 512), (28, 512, 512))  # fmt: skip


def weights(name: Name) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Random weights in the layouts of torchvision and of the lpips package."""
    draw = Stream(7).torch()
    convolutions = ALEX if name == "alex" else tuple((*each, 3, 1, 1) for each in VGG)
    backbone = {"classifier.6.bias": torch.zeros(10)}
    for place, inputs, outputs, side, _, _ in convolutions:
        scale = (2 / (inputs * side * side)) ** 0.5
        backbone[f"features.{place}.weight"] = scale * torch.randn(outputs, inputs, side, side, generator=draw)
        backbone[f"features.{place}.bias"] = 0.1 * torch.randn(outputs, generator=draw)
    channels = (64, 192, 384, 256, 256) if name == "alex" else (64, 128, 256, 512, 512)
    heads = {f"lin{n}.model.1.weight": torch.rand(1, c, 1, 1, generator=draw) for n, c in enumerate(channels)}
    return backbone, heads


def saved(folder: Path, name: Name) -> Lpips:
    backbone, heads = weights(name)
    save_file(backbone, folder / f"{name}.safetensors")
    save_file(heads, folder / f"heads-{name}.safetensors")
    return Lpips(name, str(folder / f"{name}.safetensors"), str(folder / f"heads-{name}.safetensors"))


def plain(name: Name, x: np.ndarray, y: np.ndarray) -> float:
    """LPIPS of two uint8 pictures (H, W, 3), straight from the paper, with convolutions called one by one."""
    backbone, heads = weights(name)

    def looks(picture: np.ndarray) -> list[torch.Tensor]:
        unit = torch.from_numpy(picture / 255.0).permute(2, 0, 1)[None].double()
        hidden = (unit * 2 - 1 - torch.tensor([-0.030, -0.088, -0.188]).double()[:, None, None]) / torch.tensor(
            [0.458, 0.448, 0.450]
        ).double()[:, None, None]

        def convolved(place: int, stride: int, padding: int) -> torch.Tensor:
            kernel, bias = (backbone[f"features.{place}.{kind}"].double() for kind in ("weight", "bias"))
            return functional.conv2d(hidden, kernel, bias, stride, padding).relu()

        found = []
        if name == "alex":
            for number, (place, _, _, _, stride, padding) in enumerate(ALEX):
                if number in (1, 2):
                    hidden = functional.max_pool2d(hidden, 3, 2)
                hidden = convolved(place, stride, padding)
                found.append(hidden)
        else:
            for number, (place, *_) in enumerate(VGG):
                if number in (2, 4, 7, 10):
                    hidden = functional.max_pool2d(hidden, 2, 2)
                hidden = convolved(place, 1, 1)
                if number in (1, 3, 6, 9, 12):
                    found.append(hidden)
        return found

    total = 0.0
    for number, (a, b) in enumerate(zip(looks(x), looks(y), strict=True)):
        unit_a, unit_b = (each / (each.pow(2).sum(dim=1, keepdim=True).sqrt() + 1e-10) for each in (a, b))
        squares = (unit_a - unit_b) ** 2 * heads[f"lin{number}.model.1.weight"].double()
        total += float(squares.sum(dim=1).mean())
    return total


def pictures(seed: int, count: int, side: tuple[int, int] = (40, 33), channels: int = 3) -> np.ndarray:
    return np.random.Generator(np.random.PCG64(seed)).integers(0, 256, (count, *side, channels), dtype=np.uint8)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> PerceptualNetwork:
    return saved(tmp_path_factory.mktemp("alex"), "alex").load()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["alex", "vgg"])
def test_it_equals_a_plain_computation(name: Name, tmp_path: Path) -> None:
    x, y = pictures(0, 2), pictures(1, 2)
    found = lpips_values(saved(tmp_path, name).load(), x, y, data_range=255)
    assert found == pytest.approx([plain(name, a, b) for a, b in zip(x, y, strict=True)], rel=2e-5)
    assert (found > 0.01).all()


def test_laws(network: PerceptualNetwork) -> None:
    x = pictures(2, 3)
    noise = np.random.Generator(np.random.PCG64(0)).normal(size=x.shape)
    near, far = (np.clip(x + scale * noise, 0, 255).astype(np.uint8) for scale in (8, 60))
    values = lpips_values(network, x, near, data_range=255)
    assert (lpips_values(network, x, x, data_range=255) == 0).all()
    assert lpips_values(network, near, x, data_range=255) == pytest.approx(values, rel=1e-6)
    assert (values < lpips_values(network, x, far, data_range=255)).all()
    assert lpips_values(network, x / 255, near / 255, data_range=1) == pytest.approx(values, rel=1e-4)
    grey = x[..., :1]
    as_colours = lpips_values(network, *(np.repeat(each, 3, axis=3) for each in (grey, 255 - grey)), data_range=255)
    assert lpips_values(network, grey, 255 - grey, data_range=255) == pytest.approx(as_colours, rel=1e-6)


def test_what_a_pair_gets_does_not_depend_on_the_pairs_beside_it(network: PerceptualNetwork) -> None:
    x, y = pictures(3, 11), pictures(4, 11)
    alone = lpips_values(network, x[10:], y[10:], data_range=255)
    assert lpips_values(network, x, y, data_range=255)[10] == alone[0]


def test_squared_distances_of_vectors_are_lpips_and_neighbours_follow(
    network: PerceptualNetwork, tmp_path: Path
) -> None:
    x = pictures(5, 9)
    vectors = perceptual_vectors(network, x, data_range=255)
    kept = np.lib.format.open_memmap(tmp_path / "v.npy", mode="w+", dtype=np.float32, shape=vectors.shape)
    assert (perceptual_vectors(network, x, data_range=255, out=kept) == vectors).all()
    y = np.clip(x[[4]] + 3.0, 0, 255).astype(np.uint8)
    query = perceptual_vectors(network, y, data_range=255)
    distances, rows = nearest(query, vectors, k=9)
    assert rows[0, 0] == 4
    expected = lpips_values(network, np.repeat(y, 9, axis=0), x[rows[0]], data_range=255)
    assert distances[0] ** 2 == pytest.approx(expected, rel=1e-6)
    with pytest.raises(ValueError, match="expected out as float32"):
        perceptual_vectors(network, x, data_range=255, out=kept[:3])


def test_the_documented_lengths_are_those_of_alexnet(network: PerceptualNetwork) -> None:
    assert network.vectors(torch.zeros(1, 3, 64, 64)).shape == (1, 31_872)
    assert network.vectors(torch.zeros(1, 1, 256, 256)).shape == (1, 640_128)
    assert network.vectors(torch.zeros(1, 3, 31, 31)).shape[0] == 1


def test_diversity_is_the_mean_over_all_pairs(network: PerceptualNetwork) -> None:
    real, synthetic = pictures(6, 13), np.clip(pictures(7, 10) // 4 + 90, 0, 255).astype(np.uint8)
    pairs = np.array([(i, j) for i in range(13) for j in range(i + 1, 13)])
    expected = lpips_values(network, real[pairs[:, 0]], real[pairs[:, 1]], data_range=255).mean()
    found = perceptual_diversity(network, real, synthetic, data_range=255, rng=Stream(0))
    assert [score.name.removeprefix("perceptual_diversity_") for score in found] == ["real", "synthetic", "gap"]
    assert found[0].value == pytest.approx(expected, rel=1e-5)
    assert found[0].counts["pairs"] == 78
    assert found[2].value == pytest.approx(found[1].value - found[0].value)
    assert found[0].extractor is not None
    assert found[0].extractor.startswith("lpips-alex-")


def test_one_picture_over_and_over_has_no_diversity_and_classes_are_kept_apart(network: PerceptualNetwork) -> None:
    two = pictures(8, 2)
    labels = np.repeat([0, 1], 5)
    classes = Classes(["a", "b"], labels, labels)
    arguments = {"data_range": 255, "rng": Stream(0)}
    scores = perceptual_diversity(network, two[labels], two[labels], classes=classes, **arguments)
    assert [score.value for score in scores] == pytest.approx([0.0] * 9, abs=1e-9)
    mixed = perceptual_diversity(network, two[labels], two[labels], **arguments)[0]
    between = lpips_values(network, two[:1], two[1:], data_range=255)[0]
    assert mixed.value == pytest.approx(between * 25 / 45, rel=1e-5)


def test_the_jackknife_over_groups_of_one_leaves_out_each_vector() -> None:
    draw = np.random.Generator(np.random.PCG64(1))
    x = draw.normal(size=(9, 4)) + 5

    def mean(rows: np.ndarray) -> float:
        squares = ((rows[:, None] - rows[None]) ** 2).sum(axis=2)
        return float(squares.sum() / (len(rows) * (len(rows) - 1)))

    left_out = np.array([mean(np.delete(x, row, axis=0)) for row in range(9)])
    found = mean_of_all_pairs(iter([x[:4], x[4:]]), 9)
    assert found.value == pytest.approx(mean(x), rel=1e-12)
    assert found.standard_error == pytest.approx(np.sqrt(8 / 9 * np.square(left_out - left_out.mean()).sum()), rel=1e-9)
    assert (found.degrees, found.pairs) == (8, 36)


def test_groups_are_fewer_when_memory_is_short_and_the_error_stays_about_the_same() -> None:
    x = np.random.Generator(np.random.PCG64(2)).normal(size=(4000, 6))
    many, few = (mean_of_all_pairs(iter([x]), 4000, memory_bytes=memory) for memory in (1 << 30, 1))
    assert many.value == few.value or many.value == pytest.approx(few.value, rel=1e-12)
    assert (many.degrees, few.degrees) == (31, 7)
    # Var of the mean squared distance between 6-dimensional normals is 4 · Var(|x|²)/n = 4 · 12/n.
    assert many.standard_error == pytest.approx(np.sqrt(48 / 4000), rel=0.35)
    assert few.standard_error == pytest.approx(np.sqrt(48 / 4000), rel=0.8)


def test_too_small_pictures_have_no_score(network: PerceptualNetwork) -> None:
    x = pictures(9, 3, (30, 64))
    assert "at least 31 x 31 pixels; got 30 x 64" in lpips(network, x, x, data_range=255).undefined_because
    assert perceptual_diversity(network, x, x, data_range=255, rng=Stream(0))[2].value is None
    with pytest.raises(ValueError, match=r"in \[0, 1\]"):
        lpips_values(network, pictures(9, 2), pictures(9, 2), data_range=1)


def test_missing_files_are_named_with_their_source_and_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWINSET_MODELS", str(tmp_path))
    with pytest.raises(MissingModelError, match=r"alexnet\.safetensors.*alexnet-owt-7be5be79\.pth.*7be5be79"):
        PerceptualDistance().score(pictures(0, 2), pictures(1, 2))
    with pytest.raises(MissingModelError, match=r"vgg16\.safetensors.*vgg16-397923af\.pth"):
        Lpips("vgg").check()
    save_file(weights("alex")[0], tmp_path / "alexnet.safetensors")
    with pytest.raises(MissingModelError, match=r"lpips-alex\.safetensors.*v0\.1/alex\.pth .sha256 begins with df73"):
        Lpips().load()
    with pytest.raises(MissingModelError, match="pickled weights"):
        Lpips(heads=str(tmp_path / "alex.pth")).check()
    with pytest.raises(ValueError, match="no other variant"):
        Lpips("squeeze")  # type: ignore[arg-type]


def test_weights_of_another_layout_are_refused(tmp_path: Path) -> None:
    chosen = saved(tmp_path, "alex")
    backbone, heads = weights("alex")
    for broken, message in (
        ({**heads, "lin2.model.1.weight": -heads["lin2.model.1.weight"]}, "lin2.*none below 0"),
        ({**heads, "lin4.model.1.weight": torch.rand(1, 512, 1, 1)}, r"lin4.*\(1, 256, 1, 1\)"),
        ({key: heads[key] for key in list(heads)[:4]}, "lin4.*got none"),
        ({**heads, "lin0.model.1.weight": torch.full((1, 64, 1, 1), float("nan"))}, "NaN or infinity in lin0"),
    ):
        save_file(broken, tmp_path / "heads-alex.safetensors")
        with pytest.raises(MissingModelError, match=message):
            chosen.load()
    save_file(heads, tmp_path / "heads-alex.safetensors")
    save_file(
        {key: value for key, value in backbone.items() if key != "features.8.bias"}, tmp_path / "alex.safetensors"
    )
    with pytest.raises(MissingModelError, match=r"features\.8\.bias \(256,\); got none"):
        chosen.load()
    (tmp_path / "alex.safetensors").write_bytes(b"no tensors")
    with pytest.raises(MissingModelError, match="expected weights of LPIPS"):
        chosen.load()


def test_checkpoint_names_are_torchvisions() -> None:
    from torchvision.models import AlexNet_Weights, VGG16_Weights

    assert AlexNet_Weights.IMAGENET1K_V1.url.endswith(LPIPS["alex"].checkpoint.file)
    assert VGG16_Weights.IMAGENET1K_V1.url.endswith(LPIPS["vgg"].checkpoint.file)
