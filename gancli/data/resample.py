"""Moving pixels by a map per image: linear in the image, and differentiable twice (torch's own sampler is not)."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor

__all__ = ["sample_affine", "sample_affine_smooth", "shift_pixels"]

# Daubechies' least asymmetric wavelet of 6 vanishing moments, the low-pass of Karras et al. 2020
_SYM6 = (
    0.015404109327027373,
    0.0034907120842174702,
    -0.11799011114819057,
    -0.048311742585633,
    0.4910559419267466,
    0.787641141030194,
    0.3379294217276218,
    -0.07263752278646252,
    -0.021060292512300564,
    0.04472490177066578,
    0.0017677118642428036,
    -0.007800708325034148,
)


def sample_affine(images: Tensor, affine: Tensor) -> Tensor:
    """`images` [N, C, H, W] seen through `affine` [N, 2, 3] (output to input, pixels from the centre), bilinear.

    Beyond the border the image is mirrored.
    """
    height, width = images.shape[2:]
    return _sample(images, _grid(affine, (height, width), (height, width)))


def sample_affine_smooth(images: Tensor, affine: Tensor) -> Tensor:
    """As `sample_affine`, without aliasing: at twice the size, between two low-pass filters (Karras et al. 2020)."""
    height, width = images.shape[2:]
    up_y, down_y = _filters(height, images.device, images.dtype)
    up_x, down_x = _filters(width, images.device, images.dtype)
    large = up_y @ images @ up_x.T
    grid = _grid(affine, (height, width), (down_y.shape[1], down_x.shape[1]), spacing=0.5)
    return down_y @ _sample(large, grid) @ down_x.T


def shift_pixels(images: Tensor, shift: Tensor) -> Tensor:
    """`images` moved by `shift` int64 [N, 2] whole pixels (down, right); zeros come in."""
    num, _, height, width = images.shape
    y = torch.arange(height, device=images.device)[None, :] - shift[:, :1]
    x = torch.arange(width, device=images.device)[None, :] - shift[:, 1:]
    inside = ((y >= 0) & (y < height))[:, None, :, None] & ((x >= 0) & (x < width))[:, None, None, :]
    y, x = y.clamp(0, height - 1), x.clamp(0, width - 1)
    rows = images.gather(2, y[:, None, :, None].expand(num, images.shape[1], height, width))
    moved = rows.gather(3, x[:, None, None, :].expand(num, images.shape[1], height, width))
    return moved * inside.to(images.dtype)


def _grid(affine: Tensor, image: tuple[int, int], output: tuple[int, int], spacing: float = 1.0) -> Tensor:
    """Where each output pixel looks, [N, h, w, 2] in [-1, 1] of the image; `spacing` is the output's step in pixels."""
    height, width = image
    # all made on the device: a CUDA graph cannot hold a copy from the processor
    y = (torch.arange(output[0], device=affine.device) - (output[0] - 1) / 2) * spacing
    x = (torch.arange(output[1], device=affine.device) - (output[1] - 1) / 2) * spacing
    at = torch.stack([x[None, :].expand(*output), y[:, None].expand(*output)], dim=-1).reshape(1, -1, 2).to(affine)
    places = at @ affine[:, :, :2].transpose(1, 2) + affine[:, None, :, 2]
    places = torch.stack([places[..., 0] / (width / 2), places[..., 1] / (height / 2)], dim=-1)
    return places.reshape(len(affine), *output, 2)


@functools.lru_cache(maxsize=32)
def _filters(side: int, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """One axis of the low-pass as matrices: up [2 side, side], mirrored at the border, and down [side, 2 side + 20].

    Dense matrices are quicker than depthwise convolutions at the sizes trained here. The wavelet is orthogonal, so down
    after up is the identity; the filter's own delay, below half a pixel, is made and undone.
    """
    taps, ahead = len(_SYM6), 5
    up = torch.zeros(2 * side, side, dtype=torch.float64)
    down = torch.zeros(side, 2 * side + 2 * (taps - 2), dtype=torch.float64)
    for pixel in range(-taps, side + taps):
        for tap, weight in enumerate(_SYM6):
            at = 2 * pixel + tap - ahead
            if 0 <= at < 2 * side:
                up[at, _mirrored(pixel, side)] += weight
    for pixel in range(side):
        for tap, weight in enumerate(_SYM6):
            down[pixel, 2 * pixel + tap - ahead + taps - 2] += weight
    # divided by sqrt(2) along each axis on the way down, times it on the way up: brightness is kept in between
    return (up * 2**0.5).to(device, dtype), (down / 2**0.5).to(device, dtype)


def _mirrored(pixel: int, side: int) -> int:
    """The pixel that a mirror at the outer edge shows at `pixel`."""
    pixel %= 2 * side
    return pixel if pixel < side else 2 * side - 1 - pixel


def _sample(images: Tensor, grid: Tensor) -> Tensor:
    sampled: Tensor = _Sample.apply(images, grid.to(images.dtype))
    return sampled


_BILINEAR, _REFLECT = 0, 2  # as torch.grid_sampler numbers them


class _Sample(torch.autograd.Function):
    """Bilinear sampling; its derivative is the transposed operation, as a function that can be differentiated again."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, grid: Tensor) -> Tensor:
        ctx.save_for_backward(grid)
        ctx.shape = images.shape
        return torch.grid_sampler(images, grid, _BILINEAR, _REFLECT, False)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (grid,) = ctx.saved_tensors
        return _SampleTransposed.apply(grads[0], grid, ctx.shape), None


class _SampleTransposed(torch.autograd.Function):
    """Each sampled value's gradient, handed back to the pixels it was mixed from."""

    @staticmethod
    def forward(ctx: Any, grad: Tensor, grid: Tensor, shape: torch.Size) -> Tensor:
        ctx.save_for_backward(grid)
        empty = grad.new_empty(1).expand(shape)  # only its shape is read
        result = torch.ops.aten.grid_sampler_2d_backward(
            grad.contiguous(), empty, grid, _BILINEAR, _REFLECT, False, (True, False)
        )
        images: Tensor = result[0]
        return images

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (grid,) = ctx.saved_tensors
        return _Sample.apply(grads[0], grid), None, None
