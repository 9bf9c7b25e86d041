"""How often adaptive augmentation strikes: by its controller, or by the recipe's schedule."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from gancli.config import TrainConfig
from gancli.data.ada import AdaController
from gancli.recipes import find_recipe
from gancli.training.schedules import burn_in, cosine

__all__ = ["Adaptation"]

_FULL_KIMG = 500.0  # from never to always in so many, and sooner on a small set, which is overfitted sooner
_FULL_EPOCHS = 100.0


class Adaptation:
    """The chance of `--augment ada` over the run. Its state lies in a plain dict that the checkpoint carries."""

    def __init__(self, config: TrainConfig, state: dict[str, Any]) -> None:
        recipe = find_recipe(config.recipe)
        self._config = config
        self._is_ada = config.augment == "ada"
        self._final = recipe.augment_p if self._is_ada and recipe.augment == "ada" else None
        if self._is_ada and self._final is None and not state:
            full_kimg = min(_FULL_KIMG, _FULL_EPOCHS * config.num_images / 1000)
            state.update(AdaController(full_kimg=full_kimg).state_dict())

    def chance(self, progress: float, state: dict[str, Any]) -> float | None:
        """The `p` for the next batch at `progress` (0..1); None leaves it to the policy."""
        if not self._is_ada:
            return None
        if self._final is not None:
            return cosine(0.0, self._final, progress, burn_in(self._config.gamma_schedule))
        return float(state["p"])

    def observe(self, sign: Tensor, nimg: int, state: dict[str, Any]) -> None:
        """Takes the mean sign of the reals' logits of one batch."""
        if self._is_ada and self._final is None:
            controller = AdaController.from_state(state)
            controller.update(sign.detach(), nimg)
            state.update(controller.state_dict())
