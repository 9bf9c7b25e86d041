"""Runs whose fate is known, because they were planted: what the verdict is tuned on (half A) and judged by (half B).

A planted run is a generator that is made of pictures: fresh ones of the same kind (never the training set's own),
blurred and jittered at first and sharper with every tick, as in training; then, from a known tick on, it fails in a
known way. The measures are taken by the real monitor from real pictures, so a row here is what a run would log.

    python tests/benchmarks/planted_runs.py FOLDER -o tests/benchmarks/planted_runs.json.gz

measures all cases (about ten minutes on one core) from a folder with `sea`, `emoji` and `persian-cat` sub-folders of
pictures and an `mnist` one of IDX files; test_planted_runs.py then judges the rows kept there.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from gancli.metrics.clusters import fit_clusters
from gancli.metrics.features import small_pixels, to_float
from gancli.metrics.health import HealthMonitor
from gancli.painter import landscapes

TICKS = 8
ONSET = 5
Fakes = Callable[["World", int, int], Tensor]  # world, tick, n
Done = set[tuple[str, str]]


@dataclass
class World:
    """A training set, held-out pictures, and a pool of fresh ones of the same kind; all uint8 [N, C, H, W]."""

    train: Tensor
    pool: Tensor
    held_out: Tensor | None
    draw: np.random.RandomState
    cache: dict[str, Any] = field(default_factory=dict)

    @property
    def monitor(self) -> HealthMonitor:
        if "monitor" not in self.cache:
            self.cache["monitor"] = HealthMonitor(self.train, self.held_out, seed=0, device="cpu", num_fakes=160)
        found: HealthMonitor = self.cache["monitor"]
        return found

    def pick(self, source: Tensor, n: int) -> Tensor:
        return to_float(source[torch.from_numpy(self.draw.randint(len(source), size=n))])

    def noise(self, like: Tensor, amount: float) -> Tensor:
        return like + amount * torch.from_numpy(self.draw.standard_normal(like.shape)).float()

    def groups(self, k: int) -> list[Tensor]:
        """The pool in k kinds, the largest first."""
        key = f"groups{k}"
        if key not in self.cache:
            small = small_pixels(to_float(self.pool))
            clusters = fit_clusters(small, k, seed=int(self.draw.randint(1000)))
            nearest = torch.cdist(small, clusters.centres).argmin(1)
            found = [self.pool[nearest == i] for i in range(k)]
            self.cache[key] = sorted((g for g in found if len(g)), key=len, reverse=True)
        return self.cache[key]


@dataclass(frozen=True)
class Case:
    """A planted run: what it is, what the verdict may be, and from which tick on (None: not asked)."""

    name: str
    half: str
    expected: tuple[str, ...]
    onset: int | None
    rows: list[dict[str, Any]]
    num_images: int
    held_out: bool

    @property
    def is_healthy(self) -> bool:
        return "healthy" in self.expected


# ---- generators -------------------------------------------------------------------------------------------------


def learning(world: World, tick: int, n: int, *, start: float = 0.15, speed: float = 0.16) -> Tensor:
    """Fresh pictures, blurred and a little noisy at first, sharper with every tick."""
    return _imperfect(world, world.pick(world.pool, n), min(1.0, start + speed * tick))


def blurry(world: World, tick: int, n: int) -> Tensor:
    """A weak but honest generator: it never gets beyond blurred pictures."""
    return learning(world, tick, n, start=0.2, speed=0.03)


def faded(world: World, tick: int, n: int) -> Tensor:
    """Fresh pictures with a colour cast and less contrast."""
    return (0.85 * learning(world, tick, n) + 0.08).clamp(-1, 1)


def checkered(world: World, tick: int, n: int) -> Tensor:
    """Fresh pictures with the checkerboards of transposed convolutions."""
    images = learning(world, tick, n)
    board = (torch.arange(images.shape[-1]) % 2 * 2 - 1).float()
    return images + 0.06 * board * board[: images.shape[-2], None]


def constant(world: World, tick: int, n: int) -> Tensor:
    one = to_float(world.pool[3:4]).expand(n, -1, -1, -1)
    return world.noise(_blur(one, 0.5), 0.005)


def few_pictures(world: World, tick: int, n: int) -> Tensor:
    """A handful of pictures with small changes, as photographed from collapsed runs."""
    return _imperfect(world, world.pick(world.pool[5:7], n), 0.9)


def two_of_eight(world: World, tick: int, n: int) -> Tensor:
    """In a set of eight pictures with their variants: two of them."""
    return _imperfect(world, world.pick(_of_kinds(world, 8, (2, 5)), n), 0.9)


def four_of_25(world: World, tick: int, n: int) -> Tensor:
    """In a set of 25 pictures with their variants: four of them."""
    return _imperfect(world, world.pick(_of_kinds(world, 25, (2, 5, 11, 20)), n), 0.9)


def cycling(world: World, tick: int, n: int) -> Tensor:
    """In a set of eight pictures with their variants: two at a time, others at every tick."""
    return _imperfect(world, world.pick(_of_kinds(world, 8, (2 * tick % 8, (2 * tick + 1) % 8)), n), 0.9)


def _of_kinds(world: World, of: int, kinds: tuple[int, ...]) -> Tensor:
    """The pictures of these kinds in a pool made by `in_kinds`, where kinds follow each other."""
    number = torch.arange(len(world.pool)) % of
    return world.pool[torch.isin(number, torch.tensor(kinds))]


def in_kinds(world: World, kinds: int) -> World:
    """A set of `kinds` pictures, each in many variants: what a mixture of Gaussians is to points."""

    def variants(count: int) -> Tensor:
        images = to_float(world.pool[torch.arange(count) % kinds])
        return ((_jitter(world, world.noise(images, 0.01), 0.05) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)

    return World(variants(200), variants(400), variants(50), world.draw)


def cycling_pictures(world: World, tick: int, n: int) -> Tensor:
    """One picture at a time, another at every tick: what looks like variety to who sees one sample an epoch."""
    return _imperfect(world, world.pick(world.pool[7 * tick : 7 * tick + 2], n), 0.9)


def latent_ignored(world: World, tick: int, n: int) -> Tensor:
    """One picture, with the small changes that injected noise makes."""
    one = to_float(world.pool[11:12]).expand(n, -1, -1, -1)
    return _jitter(world, world.noise(one, 0.05), 0.05)


def copier(world: World, tick: int, n: int) -> Tensor:
    images = world.noise(world.pick(world.train, n), 0.02)
    flip = torch.from_numpy(world.draw.rand(n) < 0.5)
    return torch.where(flip[:, None, None, None], images.flip(-1), images)


def soft_copier(world: World, tick: int, n: int) -> Tensor:
    """Training images, slightly blurred, brightened and noisy: how networks copy."""
    return _jitter(world, world.noise(_blur(world.pick(world.train, n), 0.25), 0.03), 0.03)


def white_noise(world: World, tick: int, n: int) -> Tensor:
    return torch.from_numpy(world.draw.uniform(-1, 1, (n, *world.train.shape[1:]))).float()


def saturated_noise(world: World, tick: int, n: int) -> Tensor:
    return torch.sign(white_noise(world, tick, n))


def coarse_noise(world: World, tick: int, n: int) -> Tensor:
    """Noise in blocks of two pixels, tanh-squashed: a blown-up generator of the usual shape."""
    half = white_noise(world, tick, n)[..., ::2, ::2]
    return functional.interpolate(3 * half, world.train.shape[-2:], mode="bilinear").tanh()


def shrinking(world: World, tick: int, n: int) -> Tensor:
    """Kinds drop out one after the other from ONSET on, and about half of them are left at the end."""
    groups = world.groups(12)
    keep = max(2, len(groups) - 2 * (tick - ONSET) - 1)
    return _imperfect(world, world.pick(torch.cat(groups[-keep:]), n), 0.9)


def _imperfect(world: World, images: Tensor, quality: float) -> Tensor:
    images = _blur(_jitter(world, images, 0.06), 1 - quality)
    return world.noise(images, 0.02 + 0.1 * (1 - quality)).clamp(-1, 1)


def _jitter(world: World, images: Tensor, amount: float) -> Tensor:
    """Small changes of brightness, contrast and place, each picture its own."""
    n = len(images)
    gain, shift = (torch.from_numpy(world.draw.normal(m, amount, (n, 1, 1, 1))).float() for m in (1.0, 0.0))
    move = torch.from_numpy(world.draw.normal(0, amount, (n, 2, 1))).float()
    theta = torch.cat([torch.eye(2).expand(n, 2, 2), move], 2)
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    moved = functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
    return (gain * moved + shift).clamp(-1, 1)


def _blur(images: Tensor, amount: float) -> Tensor:
    side = max(2, round(images.shape[-1] * (1 - 0.85 * amount)))
    if side >= images.shape[-1]:
        return images
    small = functional.interpolate(images, (side, side), mode="bilinear", antialias=True)
    return functional.interpolate(small, images.shape[-2:], mode="bilinear")


# ---- runs -------------------------------------------------------------------------------------------------------


def run_case(
    name: str,
    half: str,
    world: World,
    before: Fakes,
    after: Fakes | None = None,
    *,
    expected: Sequence[str] = ("healthy",),
    ticks: int = TICKS,
    planned: float | None = None,
    gap: float = 0.1,
    nan: str = "",
    raw: Fakes | None = None,
) -> Case:
    """Measures a run that is `before` until ONSET and `after` from then on. `gap`: the discriminator's from ONSET;
    `raw`: what the raw network makes, where its average is better.

    What comes before the onset is measured once for all runs of one world: they are one run with several fates.
    """
    is_planted = after is not None or bool(nan) or gap > 0.1
    start = ONSET if is_planted else ticks + 1
    past = world.cache.setdefault(f"rows of {before.__name__}, {raw and raw.__name__}", [])
    world.monitor.continue_from(past)
    for tick in range(len(past), min(start, ticks + 1)):
        past.append(_row(world, tick, _untrained if tick == 0 else before, raw=raw))
    rows = past[: min(start, ticks + 1)]
    world.monitor.continue_from(rows)
    for tick in range(start, ticks + 1):
        rows.append(_row(world, tick, after or before, gap, nan, raw))
    planned = planned or 2.0 * ticks
    return Case(
        name=name,
        half=half,
        expected=tuple(expected),
        onset=start if start <= ticks and "healthy" not in expected else None,
        rows=[row | {"target_kimg": planned} for row in rows],
        num_images=len(world.train),
        held_out=world.held_out is not None,
    )


def _row(
    world: World, tick: int, kind: Fakes, gap: float = 0.1, nan: str = "", raw: Fakes | None = None
) -> dict[str, Any]:
    def sample(n: int, net: str) -> Tensor:
        maker = raw if raw is not None and net == "raw" else kind
        return maker(world, tick, n) * (math.nan if nan == "fakes" else 1.0)

    loss = math.nan if nan == "losses" else 1.0
    measures = world.monitor.measure(
        sample, _discriminator(world, gap), lambda n: _pairs(world, n, 0.0 if kind is latent_ignored else 1.0)
    )
    return _rounded({"tick": tick, "kimg": 2.0 * tick, "loss_d": loss, "loss_g": loss, **measures})


def _untrained(world: World, tick: int, n: int) -> Tensor:
    return 0.1 * functional.interpolate(
        white_noise(world, tick, n)[..., ::4, ::4], world.train.shape[-2:], mode="bilinear"
    )


def _pairs(world: World, n: int, sensitivity: float) -> tuple[Tensor, Tensor]:
    first, other = world.pick(world.pool, n), world.pick(world.pool, n)
    return first, first + 0.25 * sensitivity * (other - first)


def _discriminator(world: World, gap: float) -> Callable[[Tensor], Tensor]:
    """Logits that place held-out pictures `gap` of the way from training pictures (at 2) to fakes (at -1)."""
    calls = iter([2.0, -1.0] if world.held_out is None else [2.0 - 3 * gap, 2.0, -1.0])

    def logits(images: Tensor) -> Tensor:
        return next(calls) + torch.from_numpy(world.draw.standard_normal(len(images))).float()

    return logits


def _rounded(row: dict[str, Any]) -> dict[str, Any]:
    return {k: float(f"{v:.4g}") if isinstance(v, float) and math.isfinite(v) else v for k, v in row.items()}


# ---- points -----------------------------------------------------------------------------------------------------


def run_points(
    name: str,
    half: str,
    centres: Tensor,
    sigma: float,
    after: Callable[[int, Tensor, np.random.RandomState, int], Tensor] | None,
    *,
    expected: Sequence[str] = ("healthy",),
    seed: int = 0,
) -> Case:
    """A mixture of Gaussians, learned well until ONSET, and `after(tick, centres, draw, n)` from then on."""
    draw = np.random.RandomState(seed)
    reals = _mixture(centres, draw, 20_000, sigma)
    monitor = HealthMonitor(reals, None, seed=0, device="cpu", centres=centres, sigma=sigma)
    rows = []
    for tick in range(TICKS + 1):
        failed = after is not None and tick >= ONSET

        def sample(n: int, net: str, tick: int = tick, failed: bool = failed) -> Tensor:
            if failed and after is not None:
                return after(tick, centres, draw, n)
            return _mixture(centres, draw, n, sigma * (0.8 + 3 / (1 + tick)))

        row = {"tick": tick, "kimg": 2.0 * tick, "target_kimg": 2.0 * TICKS, "loss_d": 1.3, "loss_g": 0.9}
        rows.append(_rounded(row | monitor.measure(sample)))
    onset = ONSET if after is not None else None
    return Case(name, half, tuple(expected), onset, rows, len(reals), False)


def ring(turn: float = 0.0) -> Tensor:
    angles = torch.arange(8) * math.pi / 4 + turn
    return torch.stack([angles.cos(), angles.sin()], 1)


def grid() -> Tensor:
    side = torch.arange(-4.0, 5.0, 2.0)
    return torch.cartesian_prod(side, side)


def _mixture(centres: Tensor, draw: np.random.RandomState, n: int, sigma: float) -> Tensor:
    chosen = centres[torch.from_numpy(draw.randint(len(centres), size=n))]
    return chosen + sigma * torch.from_numpy(draw.standard_normal((n, 2))).float()


def _some_modes(count: int, sigma: float, move: bool = False) -> Callable[..., Tensor]:
    def after(tick: int, centres: Tensor, draw: np.random.RandomState, n: int) -> Tensor:
        first = count * tick if move else 1
        chosen = torch.stack([centres[(first + i) % len(centres)] for i in range(count)])
        return _mixture(chosen, draw, n, sigma)

    return after


def _scattered(tick: int, centres: Tensor, draw: np.random.RandomState, n: int) -> Tensor:
    return 40 * torch.from_numpy(draw.standard_normal((n, 2))).float()


# ---- the two halves ---------------------------------------------------------------------------------------------


def failures(half: str, name: str, make: Callable[[int], World], done: Done) -> Iterator[Case]:
    """The planted failures on one kind of picture."""
    plain = make(0)
    eight, many = in_kinds(make(1), 8), in_kinds(make(2), 25)
    plants: list[tuple[str, World, Fakes | None, str, dict[str, Any]]] = [
        ("constant", plain, constant, "collapsed", {}),
        ("few pictures", plain, few_pictures, "collapsed", {}),
        ("two of eight", eight, two_of_eight, "collapsed", {}),
        ("four of 25", many, four_of_25, "collapsed", {}),
        ("latent ignored", plain, latent_ignored, "collapsed", {}),
        ("cycling", eight, cycling, "cycling", {}),
        ("cycling pictures", plain, cycling_pictures, "cycling", {}),
        ("copier", plain, copier, "memorising", {}),
        ("soft copier", plain, soft_copier, "memorising", {}),
        ("white noise", plain, white_noise, "diverged", {}),
        ("saturated noise", plain, saturated_noise, "diverged", {}),
        ("coarse noise", plain, coarse_noise, "diverged", {}),
        ("eight kinds learned", eight, None, "healthy", {}),
        ("25 kinds learned", many, None, "healthy", {}),
        ("nan losses", plain, None, "diverged", {"nan": "losses"}),
        ("nan fakes", plain, None, "diverged", {"nan": "fakes"}),
        ("overfitting", plain, None, "overfitting", {"gap": 0.9}),
        ("shrinking", plain, shrinking, "collapsing", {}),
    ]
    for title, world, plant, verdict, more in plants:
        if (half, f"{name} {title}") not in done:
            yield run_case(f"{name} {title}", half, world, learning, plant, expected=[verdict], **more)


def healthy(half: str, name: str, make: Callable[[int], World], done: Done) -> Iterator[Case]:
    """Runs that are well, most of them only just."""
    if (half, f"{name} one bad tick") in done:
        return
    world = make(30)
    for kind in (learning, blurry, faded, checkered):
        yield run_case(f"{name} {kind.__name__}", half, world, kind)
    yield run_case(f"{name} small gap", half, world, learning, gap=0.29)
    for ticks in (1, 2, 4):
        may_be = ["healthy", "starved"]
        yield run_case(f"{name} first {ticks} ticks", half, world, learning, ticks=ticks, planned=60.0, expected=may_be)
    behind = {"raw": constant, "ticks": 4, "planned": 60.0, "expected": ["healthy", "starved"]}
    yield run_case(f"{name} raw network behind", half, world, learning, **behind)
    yield run_case(f"{name} one bad tick", half, world, learning, _one_bad_tick)


def _one_bad_tick(world: World, tick: int, n: int) -> Tensor:
    return few_pictures(world, tick, n) if tick == ONSET + 1 else learning(world, tick, n)


def near_misses(half: str, name: str, make: Callable[[int], World], done: Done) -> Iterator[Case]:
    """Sets that look suspicious by nature."""
    if (half, f"{name} every picture twice") in done:
        return

    shuffled = make(40)
    images, held = torch.cat([shuffled.train, shuffled.pool]), shuffled.held_out

    def world(train: Tensor, pool: Tensor, number: int, held_out: Tensor | None = None) -> World:
        return World(train, pool, held_out, make(40 + number).draw)

    yield run_case(f"{name} 30 images", half, world(images[:30], images[30:], 1), learning)
    yield run_case(f"{name} 20 images", half, world(images[:20], images[20:], 2), learning)
    grey = images.float().mean(1, keepdim=True).round().to(torch.uint8)
    yield run_case(f"{name} grey", half, world(grey[:200], grey[200:], 3), learning)
    yield run_case(f"{name} dim", half, world(images[:200] // 4, images[200:] // 4, 4), learning)
    maker = world(images[:1], images[:1], 5)
    alike = [
        ((_jitter(maker, maker.noise(maker.pick(images[9:10], n), 0.01), 0.04) + 1) * 127.5).round().to(torch.uint8)
        for n in (40, 200)
    ]
    yield run_case(f"{name} nearly identical", half, world(alike[0], alike[1], 6), _sharp)
    doubled = torch.cat([images[:100], images[:100]])
    yield run_case(f"{name} every picture twice", half, world(doubled, images[100:], 7, held), learning)


def _sharp(world: World, tick: int, n: int) -> Tensor:
    return world.noise(world.pick(world.pool, n), 0.01)


def all_cases(folder: Path, done: Done, only: Sequence[str] = ()) -> Iterator[Case]:
    """Both halves, without what is `done` (half, name): A is tuned on, B has other data and other seeds.

    `only` names the sets to take, `points` among them; none: all.
    """
    every = (failures, healthy, near_misses)
    plan = [
        ("A", "sea", _folder(folder / "sea"), 1, every),
        ("A", "digits", _digits(folder, None), 2, (failures, near_misses)),
        ("B", "emoji", _folder(folder / "emoji", first=2, step=4), 150, every),
        ("B", "sevens", _digits(folder, 7), 151, every),
        ("B", "persian cat", _folder(folder / "persian-cat"), 152, every),
        ("B", "painted", _painted(153), 153, every),
    ]
    for half, seed in (("A", 0), ("B", 150)):
        if (half, "grid scattered") not in done and (not only or "points" in only):
            yield from _point_cases(half, seed)
    for half, name, images, seed, kinds in plan:
        if only and name not in only:
            continue

        def make(number: int, images: Tensor = images, seed: int = seed) -> World:
            draw = np.random.RandomState(1000 * seed + number)
            mixed = images[torch.from_numpy(draw.permutation(len(images)))]
            return World(mixed[:200], mixed[200:-40], mixed[-40:], draw)

        for cases in kinds:
            yield from cases(half, name, make, done)


def _point_cases(half: str, seed: int) -> Iterator[Case]:
    turn = 0.0 if half == "A" else 0.3
    yield run_points("ring learned", half, ring(turn), 0.02, None, seed=seed)
    yield run_points("grid learned", half, grid(), 0.05, None, seed=seed)
    plants: list[tuple[str, Tensor, float, Callable[..., Tensor], str]] = [
        ("ring constant", ring(turn), 0.02, _some_modes(1, 1e-5), "collapsed"),
        ("ring 2 of 8", ring(turn), 0.02, _some_modes(2, 0.01), "collapsed"),
        ("grid 4 of 25", grid(), 0.05, _some_modes(4, 0.03), "collapsed"),
        ("ring cycling", ring(turn), 0.02, _some_modes(2, 0.01, move=True), "cycling"),
        ("grid scattered", grid(), 0.05, _scattered, "diverged"),
    ]
    for name, centres, sigma, after, verdict in plants:
        yield run_points(name, half, centres, sigma, after, expected=[verdict], seed=seed)


# ---- pictures and files -----------------------------------------------------------------------------------------


def _painted(seed: int) -> Tensor:
    images, _ = landscapes(480, (32, 32), seed)
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))


def _folder(folder: Path, first: int = 0, step: int = 1, side: int = 32, limit: int = 480) -> Tensor:
    images = []
    for path in sorted(folder.iterdir())[first::step][:limit]:
        with Image.open(path) as image:
            flat = Image.new("RGBA", image.size, "white")
            flat.alpha_composite(image.convert("RGBA"))
            images.append(np.asarray(flat.convert("RGB").resize((side, side), Image.Resampling.LANCZOS)))
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()


def _digits(folder: Path, only: int | None, limit: int = 480) -> Tensor:
    with gzip.open(folder / "mnist" / "t10k-images-idx3-ubyte.gz") as file:
        images = np.frombuffer(file.read()[16:], np.uint8).reshape(-1, 1, 28, 28)
    with gzip.open(folder / "mnist" / "t10k-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read()[8:], np.uint8)
    if only is not None:
        images = images[labels == only]
    return torch.from_numpy(images[:limit].copy())


def save_cases(cases: Sequence[Case], path: Path) -> None:
    """One gzipped JSON file of all rows."""
    path.write_bytes(gzip.compress(json.dumps([case.__dict__ for case in cases]).encode(), mtime=0))


def load_cases(path: Path) -> list[Case]:
    """What `save_cases` wrote."""
    found = json.loads(gzip.decompress(path.read_bytes()))
    return [Case(**{**case, "expected": tuple(case["expected"])}) for case in found]


def main() -> None:
    """Measures what the output file lacks, saving after every case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True, help="continued where it exists")
    parser.add_argument("--only", default="", help="sets to take, e.g. sea,emoji,points")
    given = parser.parse_args()
    only = tuple(name for name in given.only.split(",") if name)
    torch.set_num_threads(1)
    cases = load_cases(given.out) if given.out.exists() else []
    for case in all_cases(given.folder, {(case.half, case.name) for case in cases}, only):
        cases = [c for c in cases if (c.half, c.name) != (case.half, case.name)] + [case]
        save_cases(cases, given.out)
        print(f"{len(cases)} {case.half} {case.name}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
