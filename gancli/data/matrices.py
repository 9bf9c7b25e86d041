"""Matrices of augmentation, one for each of N images: [N, 3, 3] on homogeneous (x, y, 1), or on (red, green, blue)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["LUMA_AXIS", "colour_scale", "enlarge", "identity", "rotate", "shear", "translate", "turn_about_luma"]

LUMA_AXIS = torch.tensor([1.0, 1.0, 1.0]) / math.sqrt(3)


def identity(num: int) -> Tensor:
    """Nothing moves."""
    return torch.eye(3).repeat(num, 1, 1)


def translate(x: Tensor, y: Tensor) -> Tensor:
    """By `x` to the right and `y` down, px."""
    matrix = identity(len(x))
    matrix[:, 0, 2], matrix[:, 1, 2] = x, y
    return matrix


def enlarge(x: Tensor, y: Tensor) -> Tensor:
    """About the centre."""
    matrix = identity(len(x))
    matrix[:, 0, 0], matrix[:, 1, 1] = x, y
    return matrix


def rotate(angle: Tensor) -> Tensor:
    """By `angle`, radians."""
    matrix = identity(len(angle))
    matrix[:, 0, 0] = matrix[:, 1, 1] = angle.cos()
    matrix[:, 0, 1], matrix[:, 1, 0] = -angle.sin(), angle.sin()
    return matrix


def shear(angle: Tensor) -> Tensor:
    """Along x, by `angle`, radians."""
    matrix = identity(len(angle))
    matrix[:, 0, 1] = angle.tan()
    return matrix


def colour_scale(red: Tensor, green: Tensor, blue: Tensor) -> Tensor:
    """Each channel by its own factor, with an offset of zero: [N, 3, 4]."""
    matrix = torch.diag_embed(torch.stack([red, green, blue], dim=1))
    return torch.cat([matrix, torch.zeros(len(red), 3, 1)], dim=2)


def turn_about_luma(angle: Tensor) -> Tensor:
    """Rotation of RGB about the grey axis (Rodrigues)."""
    x, y, z = LUMA_AXIS.tolist()
    cross = torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    sine, cosine = angle.sin()[:, None, None], angle.cos()[:, None, None]
    return torch.eye(3) + sine * cross + (1 - cosine) * (cross @ cross)
