"""What all networks of torchvision and transformers share: silence while they load, and how to convert checkpoints."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


def conversion(source: str, wanted: str = "model.safetensors") -> str:
    """How a user turns the pickled checkpoint ``source`` into safetensors, by himself: twinset opens no pickle."""
    # Some were saved from a GPU: without map_location they open on no other machine.
    return (
        'convert them by `python -c "import torch, safetensors.torch as s; '
        f"s.save_file(torch.load('{source}', weights_only=True, map_location='cpu'), '{wanted}')\"`"
    )


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """transformers neither logs nor draws bars inside this block."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
