"""`gan models`: the recipes, each with every number that `gan train` would use."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from gancli.cli.options import QuietOption
from gancli.cli.output import Output
from gancli.recipes import RECIPES, TUNABLE, Recipe, find_recipe

FLAGS = {
    "batch_size": "--batch",
    "g_lr": "--lr",
    "r1_gamma": "--r1",
    "r2_gamma": "--r2",
    "gp_weight": "--gp",
    "ema_halflife_kimg": "--ema",
}
_SIZES = {"any": "images, each side 4 to 7 times a power of two", "mlp": "images or points", "points": "points"}


def models(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Only this recipe, with every number.")] = None,
    json_: Annotated[
        bool, typer.Option("--json", help="Print one JSON list of recipes.", rich_help_panel="Output")
    ] = False,
    quiet: QuietOption = False,
) -> None:
    """List the recipes that 'gan train --model' knows, with their numbers.

    A number that a recipe has no use for is not shown, and its flag is refused.
    """
    output = Output(json=json_, quiet=quiet)
    chosen = [find_recipe(name)] if name is not None else list(RECIPES.values())
    if json_:
        output.answer([dataclasses.asdict(recipe) for recipe in chosen])
        return
    output.answer("\n\n".join(describe(recipe, whole=name is not None) for recipe in chosen))
    if name is None:
        output.note("One with all its sources: gan models NAME. Train with it: gan train DATA --model NAME")


def describe(recipe: Recipe, *, whole: bool) -> str:
    """A recipe as lines of text: what it is for, then its numbers as flags, at most 100 columns wide."""
    numbers = [f"--loss {recipe.objective}"]
    for field in TUNABLE:
        value = getattr(recipe, field)
        if value is not None:
            numbers.append(f"{FLAGS.get(field, '--' + field.replace('_', '-'))} {_short(value)}")
    lines = [f"{recipe.name}: {recipe.summary}"]
    if whole:
        lines += [
            f"  source    {recipe.source}",
            f"  makes     {_SIZES[recipe.sizes]}",
            f"  losses    {', '.join(recipe.losses)}",
        ]
        if recipe.gamma_schedule != "constant":
            lines.append(f"  penalties fall along the schedule '{recipe.gamma_schedule}'")
        if recipe.gamma_px is not None:
            lines.append(f"  --r1 and --r2 are for {recipe.gamma_px} px and go with the area")
        if recipe.beta2_final is not None:
            lines.append(f"  Adam's second beta ends at {recipe.beta2_final:g}")
        if recipe.augment_p is not None:
            lines.append(f"  augmentation strikes with a chance that rises to {recipe.augment_p:g}")
        if recipe.augment_colour != 1:
            lines.append(f"  its own augmentation changes colours with {recipe.augment_colour:g} of that chance")
        if recipe.augment_cutout is not None:
            lines.append(f"  its own augmentation is {'with' if recipe.augment_cutout else 'without'} a square cut out")
        if recipe.hinge_margin != 1:
            lines.append(f"  each logit's margin of the hinge loss is drawn from {recipe.hinge_margin:g} to 1")
    lines.append(f"  planned   {recipe.kimg:,.0f} kimg")
    return "\n".join([*lines, *_wrapped(numbers, 96)])


def _wrapped(words: list[str], width: int) -> list[str]:
    lines: list[str] = []
    for word in words:
        if lines and len(lines[-1]) + len(word) + 2 <= width:
            lines[-1] += "  " + word
        else:
            lines.append("  " + word)
    return lines


def _short(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(f"{v:g}" for v in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
