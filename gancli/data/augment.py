"""Augmentation on the device, on reals and fakes alike, drawn per image from its position in the run.

All random numbers are drawn first, for the global batch, into an `AugmentPlan`; applying it is pure tensor arithmetic
(linear in the image, so penalties with respect to the image before augmentation differentiate through it twice), and
ranks or micro-batches take a slice of the plan.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gancli.data.matrices import LUMA_AXIS, colour_scale, enlarge, identity, rotate, shear, translate, turn_about_luma
from gancli.data.resample import sample_affine, sample_affine_smooth, shift_pixels

__all__ = ["POLICIES", "AugmentPlan", "apply_augmentation", "draw_augmentation"]


@dataclass(frozen=True, kw_only=True)
class AugmentPlan:
    """Everything random for `num` images, as tensors; None where the policy has no such part.

    `affine` [N, 2, 3] maps output to input positions in pixels from the centre; `smooth` samples it through a low-pass.
    `shift` int64 [N, 2] moves whole pixels (down, right), zeros come in. `colour` [N, 3, 4] is a matrix on RGB and an
    offset. `contrast` [N] scales about the image's own mean. `hole` float [N, 2] is the centre of a square of zeros,
    from 0 to 1; `touched` bool [N] says which images the affine part moves at all.
    """

    num: int
    affine: Tensor | None = None
    touched: Tensor | None = None
    smooth: bool = False
    shift: Tensor | None = None
    colour: Tensor | None = None
    contrast: Tensor | None = None
    hole: Tensor | None = None

    def part(self, start: int, stop: int) -> AugmentPlan:
        """The plan for images `start` up to `stop` of the batch."""
        stop = min(stop, self.num)
        return self._map(lambda tensor: tensor[start:stop], num=stop - start)

    def to(self, device: torch.device | str) -> AugmentPlan:
        """The plan with its tensors on `device`."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=True), num=self.num)

    def tensors(self) -> list[Tensor]:
        """All that was drawn, in one order."""
        values = (getattr(self, f.name) for f in dataclasses.fields(self))
        return [value for value in values if isinstance(value, Tensor)]

    @property
    def is_identity(self) -> bool:
        """Does it leave every image as it is?"""
        return all(t is None for t in (self.affine, self.shift, self.colour, self.contrast, self.hole))

    def _map(self, change: Callable[[Tensor], Tensor], num: int) -> AugmentPlan:
        tensors = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        changed: dict[str, Any] = {n: change(value) for n, value in tensors.items() if isinstance(value, Tensor)}
        return dataclasses.replace(self, num=num, **changed)


def draw_augmentation(
    policy: str | None,
    num: int,
    size: tuple[int, int],
    channels: int,
    generator: torch.Generator,
    p: float | None = None,
    *,
    colour: float = 1.0,
    cutout: bool | None = None,
) -> AugmentPlan:
    """The plan for `num` images of `size` (width, height) px with `channels` 1, 3 or 4, drawn from `generator` (CPU).

    `policy`: none, light, photo, diffaugment or ada. `p`: how often an operation strikes (ada: each on its own, light
    and photo: all together); None is the policy's own (.6, .7, 1; ada 0, its controller gives it). How many random
    numbers are drawn does not depend on `p`. `colour`: ada's operations on colours strike with this share of `p`;
    `cutout`: with or without the square of zeros, None as the policy has it (diffaugment with, ada without).
    """
    if policy is None:
        policy = "none"
    uniform = torch.rand(num, 24, generator=generator)
    normal = torch.randn(num, 8, generator=generator)
    return POLICIES[policy](_Draws(uniform, normal, size, channels, colour, cutout), p)


def apply_augmentation(images: Tensor, plan: AugmentPlan) -> Tensor:
    """`images` float [N, C, H, W] in [-1, 1] as the discriminator will see them; the range may be left (no clipping).

    Differentiable twice with respect to `images`. Colour leaves an alpha channel alone.
    """
    assert len(images) == plan.num, "the plan is for another number of images"
    if plan.affine is not None and plan.touched is not None:
        sample = sample_affine_smooth if plan.smooth else sample_affine
        moved = sample(images, plan.affine)
        images = torch.where(plan.touched[:, None, None, None], moved, images)
    if plan.colour is not None:
        images = _recolour(images, plan.colour)
    if plan.contrast is not None:
        images = _scale_contrast(images, plan.contrast)
    if plan.shift is not None:
        images = shift_pixels(images, plan.shift)
    if plan.hole is not None:
        images = _cut_out(images, plan.hole)
    return images


@dataclass(frozen=True)
class _Draws:
    """Raw random numbers for a batch: uniform [N, 24] in [0, 1), normal [N, 8]; each column is used once.

    `colour` and `cutout`: the recipe's variation, as `draw_augmentation` takes them.
    """

    uniform: Tensor
    normal: Tensor
    size: tuple[int, int]
    channels: int
    colour: float
    cutout: bool | None

    def spread(self, column: int, low: float, high: float) -> Tensor:
        return low + (high - low) * self.uniform[:, column]

    def strikes(self, column: int, p: float) -> Tensor:
        return self.uniform[:, column] < p

    @property
    def num(self) -> int:
        return len(self.uniform)


# ---- policies ---------------------------------------------------------------------------------------------------


def _none(draws: _Draws, p: float | None) -> AugmentPlan:
    return AugmentPlan(num=draws.num)


def _light(draws: _Draws, p: float | None) -> AugmentPlan:
    """Shifts of a sixteenth, zoom within 8 %, a little brightness and contrast: for sets of thousands."""
    on = draws.strikes(0, 0.6 if p is None else p)
    width, height = draws.size
    affine = identity(draws.num)
    affine = affine @ translate(draws.spread(1, -1, 1) * width / 16, draws.spread(2, -1, 1) * height / 16)
    zoom = 1 / draws.spread(3, 0.92, 1.08)
    affine = affine @ enlarge(zoom, zoom)
    gain = draws.spread(4, 0.9, 1.1)
    colour = colour_scale(gain, gain, gain)
    colour[:, :, 3] += draws.spread(5, -0.1, 0.1)[:, None]
    return _one_coin(on, affine, colour)


def _photo(draws: _Draws, p: float | None) -> AugmentPlan:
    """The fish project's list; struck with probability .7 so that the images as they are stay in the mixture."""
    on = draws.strikes(0, 0.7 if p is None else p)
    width, height = draws.size
    affine = rotate(torch.deg2rad(draws.spread(1, -25, 25)))
    affine = affine @ translate(draws.spread(2, -0.05, 0.05) * width, draws.spread(3, -0.1, 0.1) * height)
    affine = affine @ shear(torch.deg2rad(draws.spread(4, -10, 10)))
    zoom = 1 / draws.spread(5, 0.95, 1.2)
    affine = affine @ enlarge(zoom, zoom)
    brightness = draws.spread(6, 0.8, 1.4)
    # the mean of two uniforms is triangular: 0.6 to 1.4 with its peak at 1
    gains = [brightness * (draws.spread(7 + i, 0.6, 1.4) + draws.spread(10 + i, 0.6, 1.4)) / 2 for i in range(3)]
    if draws.channels < 3:
        gains = [gains[0]] * 3
    colour = colour_scale(*gains)
    # gains act on [0, 1], where black stays black: ((x + 1) / 2 · g) · 2 - 1 = g x + g - 1
    colour[:, :, 3] = torch.stack(gains, dim=1) - 1
    return _one_coin(on, affine, colour)


def _diffaugment(draws: _Draws, p: float | None) -> AugmentPlan:
    """Zhao et al. 2020, the policy for hundreds of images: colour, translation, cutout; always on."""
    on = draws.strikes(0, 1.0 if p is None else p)
    width, height = draws.size
    saturation = torch.where(on, draws.spread(1, 0, 2), torch.ones(draws.num))
    grey = torch.full((3, 3), 1 / 3)
    # written so that a saturation of 1 is the identity to the bit, as is the contrast below
    mix = torch.eye(3) + (saturation - 1)[:, None, None] * (torch.eye(3) - grey)
    brightness = torch.where(on, draws.spread(2, -0.5, 0.5), torch.zeros(draws.num))
    colour = torch.cat([mix, brightness[:, None, None].expand(-1, 3, 1)], dim=2)
    far = torch.tensor([height, width]) // 8
    shift = (draws.uniform[:, 4:6] * (2 * far + 1)).floor() - far
    return AugmentPlan(
        num=draws.num,
        colour=colour,
        contrast=torch.where(on, draws.spread(3, 0.5, 1.5), torch.ones(draws.num)),
        shift=(shift * on[:, None]).long(),
        hole=None if draws.cutout is False else _holes(draws.uniform[:, 6:8], on),
    )


def _ada(draws: _Draws, p: float | None) -> AugmentPlan:
    """Karras et al. 2020, the pipe 'bgc' without its flip, which is a switch of its own; each strikes with chance p."""
    p = p or 0.0
    if p <= 0:
        return AugmentPlan(num=draws.num)
    affine, moved = _ada_geometry(draws, p)
    return AugmentPlan(
        num=draws.num,
        affine=affine[:, :2],
        touched=moved,
        smooth=True,
        colour=_ada_colour(draws, p * draws.colour),
        hole=_holes(draws.uniform[:, 20:22], draws.strikes(22, p)) if draws.cutout else None,
    )


def _holes(centres: Tensor, on: Tensor) -> Tensor:
    """`centres` [N, 2] from 0 to 1 where `on`, elsewhere far outside of the image."""
    return torch.where(on[:, None], centres, torch.full_like(centres, -10.0))


def _ada_geometry(draws: _Draws, p: float) -> tuple[Tensor, Tensor]:
    """The inverse map [N, 3, 3] and which images it moves (appendix B of the paper, same order)."""
    width, height = draws.size
    # on what is not square only half a turn fits
    turns = (draws.spread(0, 0, 4).floor() if width == height else 2 * draws.spread(0, 0, 2).floor()) * math.pi / 2
    x_whole = (draws.spread(1, -0.125, 0.125) * width).round()
    y_whole = (draws.spread(2, -0.125, 0.125) * height).round()
    scale = torch.exp2(-0.2 * draws.normal[:, 0])
    stretch = torch.exp2(-0.2 * draws.normal[:, 1])
    p_turn = 1 - math.sqrt(max(0.0, 1 - p))
    parts = (
        (rotate(turns), draws.strikes(3, p)),
        (translate(x_whole, y_whole), draws.strikes(4, p)),
        (enlarge(scale, scale), draws.strikes(5, p)),
        (rotate(draws.spread(6, -math.pi, math.pi)), draws.strikes(7, p_turn)),
        (enlarge(stretch, 1 / stretch), draws.strikes(8, p)),
        (rotate(draws.spread(9, -math.pi, math.pi)), draws.strikes(10, p_turn)),
        (
            translate(draws.normal[:, 2] * 0.125 * width, draws.normal[:, 3] * 0.125 * height),
            draws.strikes(11, p),
        ),
    )
    affine, moved = identity(draws.num), torch.zeros(draws.num, dtype=torch.bool)
    for matrix, on in parts:
        affine = torch.where(on[:, None, None], affine @ matrix, affine)
        moved = moved | on
    return affine, moved


def _ada_colour(draws: _Draws, p: float) -> Tensor:
    """Brightness, contrast, luma flip, hue, saturation as one matrix [N, 3, 4] (appendix B of the paper)."""
    num = draws.num
    luma = torch.outer(LUMA_AXIS, LUMA_AXIS)
    mirror = torch.eye(3) - 2 * luma * (draws.uniform[:, 12] < 0.5)[:, None, None]
    saturation = torch.exp2(draws.normal[:, 6])[:, None, None]
    steps = (
        (torch.exp2(0.5 * draws.normal[:, 5])[:, None, None] * torch.eye(3), draws.strikes(14, p)),
        (mirror, draws.strikes(15, p)),
        (turn_about_luma(draws.spread(16, -math.pi, math.pi)), draws.strikes(17, p) & (draws.channels >= 3)),
        (luma + saturation * (torch.eye(3) - luma), draws.strikes(18, p) & (draws.channels >= 3)),
    )
    brightness = 0.2 * draws.normal[:, 4] * draws.strikes(13, p)
    matrix, offset = torch.eye(3).repeat(num, 1, 1), brightness[:, None].expand(num, 3)[:, :, None]
    for step, on in steps:
        step = torch.where(on[:, None, None], step, torch.eye(3))
        matrix, offset = step @ matrix, step @ offset
    return torch.cat([matrix, offset], dim=2)


POLICIES: dict[str, Callable[[_Draws, float | None], AugmentPlan]] = {
    "none": _none,
    "light": _light,
    "photo": _photo,
    "diffaugment": _diffaugment,
    "ada": _ada,
}


def _one_coin(on: Tensor, affine: Tensor, colour: Tensor) -> AugmentPlan:
    same = torch.cat([torch.eye(3), torch.zeros(3, 1)], dim=1)
    colour = torch.where(on[:, None, None], colour, same)
    return AugmentPlan(num=len(on), affine=affine[:, :2], touched=on, colour=colour)


# ---- arithmetic on pixels -----------------------------------------------------------------------------------------


def _recolour(images: Tensor, colour: Tensor) -> Tensor:
    colour = colour.to(images.dtype)
    if images.shape[1] == 1:
        # grey is R = G = B: the row sum is what the matrix does to it, for the mean of the three rows
        gain = colour[:, :, :3].sum(2).mean(1)
        return images * gain[:, None, None, None] + colour[:, :, 3].mean(1)[:, None, None, None]
    rgb, alpha = images[:, :3], images[:, 3:]
    rgb = torch.einsum("nij,njhw->nihw", colour[:, :, :3], rgb) + colour[:, :, 3, None, None]
    return torch.cat([rgb, alpha], dim=1) if alpha.shape[1] else rgb


def _scale_contrast(images: Tensor, contrast: Tensor) -> Tensor:
    colours, alpha = images[:, :3], images[:, 3:]
    mean = colours.mean(dim=(1, 2, 3), keepdim=True)
    colours = colours + (colours - mean) * (contrast.to(images.dtype) - 1)[:, None, None, None]
    return torch.cat([colours, alpha], dim=1) if alpha.shape[1] else colours


def _cut_out(images: Tensor, hole: Tensor) -> Tensor:
    """Zeros in a square of half the side; near the border part of it lies outside."""
    height, width = images.shape[2:]
    y = torch.arange(height, device=images.device)[None, :]
    x = torch.arange(width, device=images.device)[None, :]
    in_y = (y - (hole[:, :1] * height).floor() + height // 4).div(height // 2, rounding_mode="floor") == 0
    in_x = (x - (hole[:, 1:] * width).floor() + width // 4).div(width // 2, rounding_mode="floor") == 0
    inside = in_y[:, None, :, None] & in_x[:, None, None, :]
    return images * (~inside).to(images.dtype)
