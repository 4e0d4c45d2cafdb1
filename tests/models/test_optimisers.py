"""Our optimisers are PyTorch's, to the bit."""

from __future__ import annotations

import copy

import pytest
import torch

from twinset.models.optimisers import Adam, AdamW

PAIRS = {"Adam": (Adam, torch.optim.Adam), "AdamW": (AdamW, torch.optim.AdamW)}


def trained(kind: type[torch.optim.Optimizer], **settings: object) -> list[torch.Tensor]:
    """Weights and moments after steps at falling rates; a bias that does not decay, a weight without gradient."""
    generator = torch.Generator().manual_seed(3)
    weight, bias, idle = (torch.randn(shape, generator=generator).requires_grad_() for shape in ((5, 3), (3,), (2,)))
    groups = [{"params": [weight, idle]}, {"params": [bias], "weight_decay": 0.0}]
    optimiser = kind(groups, lr=0.1, **settings)  # type: ignore[call-arg]
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 1 / (1 + step))
    for _ in range(4):
        loss = (torch.randn((6, 5), generator=generator) @ weight + bias).square().mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    moments = [optimiser.state[one][name] for one in (weight, bias) for name in ("step", "exp_avg", "exp_avg_sq")]
    assert idle not in optimiser.state
    again = copy.deepcopy(optimiser)
    assert again.state_dict()["param_groups"] == optimiser.state_dict()["param_groups"]
    return [weight, bias, idle, *moments]


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("fused", [False, True])
def test_steps_and_state_equal_those_of_pytorch(name: str, fused: bool) -> None:
    settings = {"fused": fused, "betas": (0.9, 0.99), "weight_decay": 0.05}
    ours, theirs = (trained(kind, **settings) for kind in PAIRS[name])
    assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("kind", [Adam, AdamW])
def test_gradients_are_taken_off_and_a_step_leaves_no_graph(kind: type[torch.optim.Optimizer]) -> None:
    weight = torch.ones(3, requires_grad=True)
    optimiser = kind([weight], lr=0.1)  # type: ignore[call-arg]
    weight.sum().backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    assert weight.is_leaf
    assert not optimiser.state[weight]["exp_avg"].requires_grad
    optimiser.zero_grad()
    assert weight.grad is None
