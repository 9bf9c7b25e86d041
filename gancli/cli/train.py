"""`gan train`: from images to a generator, with a plan before and a verdict after."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from gancli.cli.inputs import TRAINING_SET, has_pipe, input_path
from gancli.cli.options import DATA_PANEL, DeviceOption, JsonOption, OutOption, QuietOption, VerboseOption
from gancli.cli.output import Output
from gancli.cli.session import follow, plan_lines, run_session, show_plan
from gancli.config import TrainOptions
from gancli.errors import UsageError
from gancli.text import clean

LENGTH = "Length (the first reached ends)"
NUMBERS = "Numbers (default: the recipe's)"
LOSS = "Loss (default: the recipe's)"
START = "Where to start"
MACHINE = "Machine"
KEEPING = "Keeping and watching"


def train(
    context: typer.Context,
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="DATA",
            help="A folder or zip of images, a training set, WebDataset shards, idx:FOLDER, demo:landscapes, "
            "toy:ring|grid|arcs, torchvision:NAME; '-' or a pipe: what the step before printed.",
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="The recipe; 'gan models' lists them.", rich_help_panel=DATA_PANEL)
    ] = None,
    size: Annotated[
        str | None, typer.Option(help="N or WxH in pixels, e.g. 64 or 96x64.", rich_help_panel=DATA_PANEL)
    ] = None,
    flip: Annotated[
        bool | None,
        typer.Option("--flip/--no-flip", help="Mirror images at random (on for photos).", rich_help_panel=DATA_PANEL),
    ] = None,
    conditional: Annotated[
        bool, typer.Option(help="Learn the classes (sub-folders) as well.", rich_help_panel=DATA_PANEL)
    ] = False,
    stacked: Annotated[
        bool, typer.Option(help="Three grey images as one in colour (Stacked MNIST).", rich_help_panel=DATA_PANEL)
    ] = False,
    augment: Annotated[
        str | None, typer.Option(help="none, light, photo, diffaugment or ada.", rich_help_panel=DATA_PANEL)
    ] = None,
    epochs: Annotated[float | None, typer.Option(help="Passes over the images.", rich_help_panel=LENGTH)] = None,
    kimg: Annotated[float | None, typer.Option(help="Thousands of real images.", rich_help_panel=LENGTH)] = None,
    minutes: Annotated[float | None, typer.Option(help="Minutes, over all starts.", rich_help_panel=LENGTH)] = None,
    batch: Annotated[int | None, typer.Option(help="Images a batch.", rich_help_panel=NUMBERS)] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate of both networks.", rich_help_panel=NUMBERS)] = None,
    d_lr: Annotated[
        float | None, typer.Option(help="Learning rate of the discriminator.", rich_help_panel=NUMBERS)
    ] = None,
    betas: Annotated[
        str | None, typer.Option(help="Adam's two betas, e.g. 0.5,0.999.", rich_help_panel=NUMBERS)
    ] = None,
    latent_dim: Annotated[int | None, typer.Option(help="Numbers in a latent.", rich_help_panel=NUMBERS)] = None,
    width: Annotated[int | None, typer.Option(help="Base channels.", rich_help_panel=NUMBERS)] = None,
    d_steps: Annotated[
        int | None,
        typer.Option(
            "--d-steps",
            "--n-critic",
            help="Discriminator updates per generator update.",
            rich_help_panel=NUMBERS,
        ),
    ] = None,
    d_every: Annotated[
        str | None,
        typer.Option(help="Train the discriminator on every 2nd batch (2) or epoch (2e).", rich_help_panel=NUMBERS),
    ] = None,
    dropout: Annotated[
        float | None, typer.Option(help="Dropout in the discriminator, 0 to 0.95.", rich_help_panel=NUMBERS)
    ] = None,
    ema: Annotated[
        float | None, typer.Option(help="Half-life of the running average, in kimg.", rich_help_panel=NUMBERS)
    ] = None,
    lr_schedule: Annotated[
        str | None, typer.Option(help="constant, linear, cosine, burn-in or fish.", rich_help_panel=NUMBERS)
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option(
            help="non-saturating, wasserstein, hinge, least-squares or relativistic.",
            rich_help_panel=LOSS,
        ),
    ] = None,
    r1: Annotated[float | None, typer.Option(help="R1: weight of the gradient on reals.", rich_help_panel=LOSS)] = None,
    r2: Annotated[float | None, typer.Option(help="R2: weight of the gradient on fakes.", rich_help_panel=LOSS)] = None,
    gp: Annotated[
        float | None, typer.Option(help="Weight of WGAN-GP's gradient penalty.", rich_help_panel=LOSS)
    ] = None,
    drift: Annotated[
        float | None, typer.Option(help="Weight that keeps the critic's output near zero.", rich_help_panel=LOSS)
    ] = None,
    label_smoothing: Annotated[
        float | None, typer.Option(help="Real targets 1 minus this, 0 to 0.5.", rich_help_panel=LOSS)
    ] = None,
    instance_noise: Annotated[
        float | None, typer.Option(help="Noise on reals and fakes, fading to 0.", rich_help_panel=LOSS)
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Continue this run.", metavar="RUN", rich_help_panel=START)
    ] = None,
    init_from: Annotated[
        Path | None,
        typer.Option(help="Begin with the networks of this run, on other data.", metavar="CKPT", rich_help_panel=START),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="The same run, with what else is given changed.", metavar="RUN|FILE", rich_help_panel=START),
    ] = None,
    grow_from: Annotated[
        Path | None,
        typer.Option(
            help="Grow this run to twice its size; new layers fade in.", metavar="CKPT", rich_help_panel=START
        ),
    ] = None,
    force_data: Annotated[
        bool, typer.Option(help="Continue although the data has changed.", rich_help_panel=START)
    ] = False,
    seed: Annotated[int, typer.Option(help="Decides every random draw.", rich_help_panel=START)] = 0,
    device: DeviceOption = "auto",
    precision: Annotated[str, typer.Option(help="auto, fp32, bf16 or fp16.", rich_help_panel=MACHINE)] = "auto",
    compile_: Annotated[
        str,
        typer.Option("--compile", help="auto, on, or off (also: no CUDA graphs).", rich_help_panel=MACHINE),
    ] = "auto",
    tick_kimg: Annotated[
        float | None,
        typer.Option(help="Kimg between ticks (default: 40 s, more where ticks are dear).", rich_help_panel=KEEPING),
    ] = None,
    keep: Annotated[int, typer.Option(help="Checkpoints to keep.", rich_help_panel=KEEPING)] = 3,
    on_collapse: Annotated[
        str,
        typer.Option(
            help="warn, stop, or rollback: to the best tick, with one thing changed.", rich_help_panel=KEEPING
        ),
    ] = "warn",
    tensorboard: Annotated[
        bool, typer.Option(help="Write RUN/tensorboard as well (an extra).", rich_help_panel=KEEPING)
    ] = False,
    dry_run: Annotated[bool, typer.Option(help="Print the plan, train nothing.", rich_help_panel=KEEPING)] = False,
    out: OutOption = None,
    json_: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Train a generator.

    Prints a plan first, then one line a tick, then a verdict. The same command again continues.
    """
    is_first = os.environ.get("RANK", "0") == "0"  # of the processes that torchrun started
    output = Output(json=json_, quiet=quiet or not is_first, verbose=verbose)
    spec = _spec(data, resume or config, init_from or grow_from, output) if is_first else None
    options = TrainOptions(
        data=spec,
        model=model,
        size=size,
        epochs=epochs,
        kimg=kimg,
        minutes=minutes,
        batch_size=batch,
        g_lr=lr,
        d_lr=d_lr,
        betas=_betas(betas),
        latent_dim=latent_dim,
        width=width,
        d_steps=d_steps,
        d_every=d_every,
        loss=loss,
        r1_gamma=r1,
        r2_gamma=r2,
        gp_weight=gp,
        drift=drift,
        label_smoothing=label_smoothing,
        instance_noise=instance_noise,
        dropout=dropout,
        ema_halflife_kimg=ema,
        lr_schedule=lr_schedule,
        augment=augment,
        flip=flip,
        conditional=conditional,
        stacked=stacked,
        seed=seed,
        device=device,
        precision=precision,
        compile=compile_,
        tick_kimg=tick_kimg,
        keep=keep,
        on_collapse=on_collapse,
        tensorboard=tensorboard,
    )
    from gancli.training.ranks import joined_ranks
    from gancli.training.together import open_together

    with joined_ranks(device) as ranks:
        session = open_together(
            options,
            ranks,
            out=out,
            resume=resume,
            init_from=init_from,
            grow_from=grow_from,
            like=config,
            given=_given(context),
            force_data=force_data,
            say=output.detail,
        )
        if not ranks.is_first:
            follow(session)
        elif dry_run:
            show_plan(session, output)
            output.answer(session.plan.figures if json_ else "\n".join(plan_lines(session)))
        else:
            run_session(session, output)


def _given(context: typer.Context) -> set[str]:
    """The options that stand on the command line, by the names of `TrainOptions`."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return {name.rstrip("_") for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"}


def _spec(data: str | None, before: Path | None, parent: Path | None, output: Output) -> str | None:
    """The data that were named or piped; None where those of another run are taken."""
    if data is None and (before is not None or (parent is not None and not has_pipe())):
        return None
    spec = input_path(data, TRAINING_SET, output, required=False)
    if spec is None:
        output.note("No data was named and no training set is here: painting demo:landscapes.")
        return "demo:landscapes"
    return spec


def _betas(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        first, second = (float(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"--betas '{clean(text, 40)}': give two numbers, e.g. 0.5,0.999.") from error
    return first, second
