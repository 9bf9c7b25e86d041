"""Which device is there, and what 'auto' means."""

from __future__ import annotations

import torch

from gancli.errors import UsageError
from gancli.text import clean

__all__ = ["pick_device"]


def pick_device(name: str) -> torch.device:
    """'auto' (cuda, else mps, else cpu), 'cpu', 'cuda', 'cuda:1' or 'mps'. Raises `UsageError` if it is not there."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", 0)
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"--device '{clean(name, 40)}' is no device. Give auto, cpu, cuda, cuda:1 or mps.") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(
            f"--device '{clean(name, 40)}': this machine shows {torch.cuda.device_count()} CUDA devices. "
            "Leave --device out, or say cpu."
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UsageError("--device mps: this machine has no Apple GPU. Leave --device out, or say cpu.")
    if device.type not in ("cpu", "cuda", "mps"):
        raise UsageError(f"--device '{clean(name, 40)}' is not supported. Give auto, cpu, cuda, cuda:1 or mps.")
    return torch.device("cpu") if device.type == "cpu" else device
