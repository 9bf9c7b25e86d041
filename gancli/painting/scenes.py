"""The six kinds of landscape the painter knows: their hours of the day, and how each is composed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from gancli.painting.canvas import Canvas, Colour, Light
from gancli.painting.land import Relief, forest, mountains, water
from gancli.painting.sky import aurora, clouds, mist, sky

__all__ = ["SCENES"]

DAY = Light(
    zenith=(0.20, 0.45, 0.80),
    middle=(0.50, 0.72, 0.93),
    horizon=(0.84, 0.92, 0.97),
    sun=(1.0, 0.98, 0.88),
    sunlit=(1.08, 1.04, 0.95),
    shade=(0.50, 0.58, 0.74),
    altitude=(0.25, 0.42),
    glow=0.35,
)
MORNING = Light(
    zenith=(0.36, 0.52, 0.78),
    middle=(0.80, 0.76, 0.82),
    horizon=(1.0, 0.88, 0.76),
    sun=(1.0, 0.95, 0.84),
    sunlit=(1.10, 0.95, 0.84),
    shade=(0.52, 0.53, 0.70),
    altitude=(0.08, 0.26),
    glow=0.6,
)
EVENING = Light(
    zenith=(0.26, 0.30, 0.56),
    middle=(0.84, 0.54, 0.52),
    horizon=(1.0, 0.76, 0.46),
    sun=(1.0, 0.86, 0.58),
    sunlit=(1.12, 0.84, 0.60),
    shade=(0.44, 0.38, 0.52),
    altitude=(0.02, 0.16),
    glow=0.75,
)
NIGHT = Light(
    zenith=(0.04, 0.07, 0.20),
    middle=(0.10, 0.17, 0.36),
    horizon=(0.28, 0.38, 0.58),
    sun=(0.93, 0.95, 1.0),
    sunlit=(0.58, 0.66, 0.86),
    shade=(0.22, 0.27, 0.44),
    altitude=(0.22, 0.42),
    glow=0.35,
    stars=True,
)
GREY = Light(
    zenith=(0.56, 0.58, 0.66),
    middle=(0.71, 0.72, 0.79),
    horizon=(0.88, 0.87, 0.90),
    sun=(0.96, 0.95, 0.95),
    sunlit=(0.98, 0.96, 0.97),
    shade=(0.55, 0.55, 0.64),
    altitude=(0.22, 0.40),
    glow=0.2,
)


def _towards(light: Light, zenith: Colour, horizon: Colour, share: float) -> Light:
    """The hour in another climate: its sky drawn towards two colours."""

    def mix(first: Colour, second: Colour) -> Colour:
        a, b, c = (x + share * (y - x) for x, y in zip(first, second, strict=True))
        return a, b, c

    halfway: Colour = ((zenith[0] + horizon[0]) / 2, (zenith[1] + horizon[1]) / 2, (zenith[2] + horizon[2]) / 2)
    return replace(
        light, zenith=mix(light.zenith, zenith), middle=mix(light.middle, halfway), horizon=mix(light.horizon, horizon)
    )


def _hour(canvas: Canvas, *choices: tuple[float, Light]) -> Light:
    """One of the hours, by weight."""
    at = canvas.between(0, sum(weight for weight, _ in choices))
    for weight, light in choices:
        at -= weight
        if at < 0:
            return light
    return choices[-1][1]


def desert(canvas: Canvas) -> None:
    """Dunes under a wide sky, sometimes with table mountains far away."""
    warm = ((0.42, 0.60, 0.80), (1.0, 0.90, 0.72))
    light = _hour(canvas, (3, _towards(DAY, *warm, 0.55)), (2, _towards(MORNING, *warm, 0.4)), (3, EVENING))
    horizon = canvas.between(0.46, 0.62)
    sky(canvas, light, horizon)
    sand: Colour = (0.90, 0.62, 0.34)
    if canvas.between(0, 1) < 0.55:
        mesa = Relief(
            height=0.17,
            peaks=1.7,
            roughness=0.35,
            rounded=False,
            colour=(0.72, 0.36, 0.24),
            second=(0.86, 0.52, 0.34),
            strata=0.8,
            plateau=0.7,
        )
        mountains(canvas, light, mesa, horizon + 0.03, haze=0.32)
    else:
        far = Relief(height=0.12, peaks=2.2, roughness=0.45, rounded=False, colour=(0.66, 0.42, 0.36), second=sand)
        mountains(canvas, light, far, horizon + 0.03, haze=0.45)
    dune = Relief(
        height=0.11,
        peaks=1.5,
        roughness=0.22,
        rounded=True,
        colour=sand,
        second=(0.97, 0.74, 0.46),
        patches=0.35,
        grain=(3.0, 24.0),
        contrast=3.0,
    )
    steps = 3 + int(canvas.between(0, 2))
    for k in range(steps):
        t = (k + 1) / steps
        mountains(canvas, light, dune, horizon + 0.06 + 0.42 * t**1.4, haze=0.30 * (1 - t), scale=0.7 + 1.1 * t)


def green(canvas: Canvas) -> None:
    """Rolling meadows and woods below soft hills, sometimes a lake."""
    light = _hour(canvas, (5, DAY), (2, MORNING), (2, _towards(EVENING, (0.35, 0.45, 0.66), (1.0, 0.86, 0.56), 0.5)))
    horizon = canvas.between(0.42, 0.58)
    sky(canvas, light, horizon + 0.05)
    clouds(canvas, light, canvas.between(0.1, 0.7), horizon)
    far = Relief(
        height=0.26,
        peaks=1.6,
        roughness=0.42,
        rounded=False,
        colour=(0.24, 0.42, 0.34),
        second=(0.38, 0.52, 0.34),
        patches=0.6,
    )
    mountains(canvas, light, far, horizon + 0.06, haze=0.50, scale=canvas.between(0.7, 1.3))
    wood = replace(
        far, height=0.16, peaks=1.3, rounded=True, colour=(0.13, 0.36, 0.16), second=(0.30, 0.54, 0.20), patches=0.8
    )
    mountains(canvas, light, wood, horizon + 0.10, haze=0.24)
    shore = horizon + 0.10
    if canvas.between(0, 1) < 0.45:
        water(canvas, light, shore, (0.20, 0.46, 0.56))
        shore += 0.16
    meadow = Relief(
        height=0.15,
        peaks=0.9,
        roughness=0.25,
        rounded=True,
        colour=(0.26, 0.54, 0.14),
        second=(0.52, 0.70, 0.22),
        patches=0.9,
        grain=(4.0, 20.0),
        contrast=0.7,
    )
    for k, foot in enumerate((shore + 0.17, 1.10)):
        line = mountains(canvas, light, meadow, foot, haze=0.10 * (1 - k), scale=1.0 + 0.4 * k)
        forest(canvas, light, line + 0.01, (0.12, 0.34, 0.14), num=26 - 12 * k, height=0.045 + 0.05 * k)


def high(canvas: Canvas) -> None:
    """Great blue peaks with white summits that stand out of a sea of clouds."""
    deep = ((0.07, 0.20, 0.58), (0.66, 0.78, 0.97))
    light = _hour(
        canvas,
        (4, _towards(DAY, *deep, 0.8)),
        (2, _towards(MORNING, *deep, 0.45)),
        (1.5, _towards(EVENING, (0.16, 0.16, 0.52), (0.96, 0.66, 0.60), 0.6)),
        (1.5, NIGHT),
    )
    horizon = canvas.between(0.58, 0.68)
    sky(canvas, light, horizon)
    peak = Relief(
        height=0.62,
        peaks=1.25,
        roughness=0.42,
        rounded=False,
        colour=(0.26, 0.32, 0.52),
        second=(0.40, 0.46, 0.64),
        patches=0.5,
        spurs=0.75,
        contrast=1.5,
    )
    snow = horizon - canvas.between(0.04, 0.18)
    mountains(canvas, light, peak, horizon + 0.10, haze=0.38, snow=snow, scale=canvas.between(0.65, 0.85))
    mist(canvas, light, horizon - 0.02, 0.55)
    mountains(canvas, light, peak, horizon + 0.20, haze=0.10, snow=snow + 0.04, scale=canvas.between(0.75, 1.1))
    mist(canvas, light, horizon + canvas.between(0.06, 0.14), 0.95, billow=1.0)


def rocky(canvas: Canvas) -> None:
    """Bare crags of brown and slate, bands in the rock, scree and a few dark firs below."""
    pale = ((0.50, 0.60, 0.62), (0.93, 0.89, 0.78))
    light = _hour(
        canvas, (4, _towards(DAY, *pale, 0.8)), (3, _towards(GREY, *pale, 0.5)), (2, _towards(EVENING, *pale, 0.35))
    )
    horizon = canvas.between(0.50, 0.62)
    sky(canvas, light, horizon)
    clouds(canvas, light, canvas.between(0.0, 0.6), horizon)
    crag = Relief(
        height=0.46,
        peaks=1.9,
        roughness=0.56,
        rounded=False,
        colour=(0.40, 0.33, 0.28),
        second=(0.60, 0.50, 0.40),
        patches=0.3,
        strata=0.4,
        spurs=0.8,
        contrast=1.6,
    )
    mountains(canvas, light, crag, horizon + 0.12, haze=0.34, scale=canvas.between(0.75, 1.1))
    mountains(canvas, light, replace(crag, peaks=1.4), horizon + 0.27, haze=0.13, scale=canvas.between(0.6, 0.95))
    scree = replace(crag, height=0.17, colour=(0.30, 0.26, 0.23), second=(0.50, 0.43, 0.34), patches=0.8, strata=0.0)
    line = mountains(canvas, light, scree, horizon + 0.38, haze=0.04)
    if canvas.between(0, 1) < 0.6:
        forest(canvas, light, line + 0.02, (0.15, 0.20, 0.13), num=14, height=0.11)
    mountains(canvas, light, replace(scree, rounded=True), 1.08, haze=0.0)


def highland(canvas: Canvas) -> None:
    """Broad old hills in heather and moss under a heavy sky, often above a loch."""
    soft = ((0.50, 0.50, 0.64), (0.88, 0.84, 0.90))
    light = _hour(canvas, (5, GREY), (3, _towards(DAY, *soft, 0.75)), (2, _towards(MORNING, *soft, 0.7)))
    horizon = canvas.between(0.44, 0.56)
    sky(canvas, light, horizon)
    clouds(canvas, light, canvas.between(0.5, 1.0), horizon + 0.1)
    hill = Relief(
        height=0.26,
        peaks=1.0,
        roughness=0.33,
        rounded=True,
        colour=(0.38, 0.36, 0.40),
        second=(0.52, 0.38, 0.50),
        patches=0.8,
        grain=(4.0, 20.0),
    )
    mountains(canvas, light, hill, horizon + 0.08, haze=0.50, scale=1.2)
    mist(canvas, light, horizon + 0.04, 0.5)
    moor = replace(hill, colour=(0.38, 0.34, 0.24), second=(0.54, 0.32, 0.46), patches=1.0)
    mountains(canvas, light, moor, horizon + 0.13, haze=0.24)
    shore = horizon + 0.13
    if canvas.between(0, 1) < 0.65:
        water(canvas, light, shore, (0.42, 0.46, 0.54))
        shore = canvas.between(shore + 0.16, 0.92)
    heather = replace(moor, height=0.14, colour=(0.34, 0.31, 0.18), second=(0.58, 0.28, 0.50), peaks=1.3)
    for foot in (shore + 0.14, 1.09):
        mountains(canvas, light, heather, foot, haze=0.03)


def snowy(canvas: Canvas) -> None:
    """Winter: white slopes with blue shadows, dark firs, pale days, and nights of northern light."""
    cold = ((0.50, 0.70, 0.88), (0.94, 0.96, 0.99))
    light = _hour(
        canvas,
        (4, _towards(DAY, *cold, 0.7)),
        (3, _towards(MORNING, (0.56, 0.62, 0.84), (1.0, 0.86, 0.86), 0.6)),
        (2, _towards(GREY, *cold, 0.5)),
        (1.2, NIGHT),
    )
    if light is NIGHT:
        light = replace(light, shade=(0.34, 0.44, 0.68), sunlit=(0.76, 0.84, 1.0))
    else:
        light = replace(light, shade=(0.60, 0.70, 0.88), sunlit=(1.04, 1.0, 0.98))
    horizon = canvas.between(0.46, 0.58)
    sky(canvas, light, horizon)
    if light.stars:
        aurora(canvas, horizon)
    white: Colour = (0.93, 0.95, 0.98)
    slope = Relief(
        height=0.40,
        peaks=1.5,
        roughness=0.42,
        rounded=False,
        colour=white,
        second=(0.52, 0.58, 0.68),
        patches=0.75,
        grain=(11.0, 5.0),
        spurs=0.75,
        contrast=1.4,
    )
    mountains(canvas, light, slope, horizon + 0.08, haze=0.36, snow=horizon - 0.1, scale=canvas.between(0.7, 1.1))
    mountains(canvas, light, slope, horizon + 0.14, haze=0.16, snow=horizon + 0.02, scale=canvas.between(0.4, 0.75))
    drift = Relief(
        height=0.13,
        peaks=1.0,
        roughness=0.22,
        rounded=True,
        colour=white,
        second=(0.82, 0.89, 0.97),
        patches=0.5,
        contrast=0.8,
    )
    for k, foot in enumerate((horizon + 0.24, horizon + 0.40, 1.08)):
        line = mountains(canvas, light, drift, foot, haze=0.10 * (2 - k) / 2, scale=0.8 + 0.3 * k)
        if k < 2 or canvas.between(0, 1) < 0.5:
            forest(canvas, light, line + 0.015, (0.14, 0.24, 0.28), num=22 - 6 * k, height=0.05 + 0.045 * k)


SCENES: dict[str, Callable[[Canvas], None]] = {
    scene.__name__: scene for scene in (desert, green, high, rocky, highland, snowy)
}
