"""Adam and AdamW as PyTorch has them, without its compiler.

PyTorch wraps three methods of every optimiser so that ``torch.compile`` leaves them alone, and for that imports the
whole compiler when the first optimiser is made: seconds of every process that trains, where nothing is compiled.
These classes call what the wrappers call. Numbers and state are those of ``torch.optim``.
"""

from __future__ import annotations

from inspect import unwrap

import torch


class Adam(torch.optim.Adam):
    """Adam (Kingma, Ba 2015) with the arguments and the state of ``torch.optim.Adam``."""

    add_param_group = unwrap(torch.optim.Adam.add_param_group)
    zero_grad = unwrap(torch.optim.Adam.zero_grad)
    step = torch.no_grad()(unwrap(torch.optim.Adam.step))


class AdamW(torch.optim.AdamW):
    """Adam with decoupled weight decay (Loshchilov, Hutter 2019), as ``torch.optim.AdamW``."""

    add_param_group = unwrap(torch.optim.AdamW.add_param_group)
    zero_grad = unwrap(torch.optim.AdamW.zero_grad)
    step = torch.no_grad()(unwrap(torch.optim.AdamW.step))
