"""The controller of adaptive augmentation: how often to strike, from how sure the discriminator is of the reals."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from gancli.errors import CheckpointError

__all__ = ["AdaController"]

_MAX_P = 0.8  # above it augmentations begin to leak into the fakes (Karras et al. 2020, section 2.2)


@dataclass(kw_only=True)
class AdaController:
    """`p` rises while the mean sign of D(augmented real) is above `target`, and falls below it (Karras et al. 2020).

    From 0 to 1 takes `full_kimg`; it moves every `interval` batches, stays in 0 to .8. Where only differences of logits
    mean anything (relativistic and Wasserstein losses) the sign must be that of D(real) - D(fake).
    """

    p: float = 0.0
    target: float = 0.6
    full_kimg: float = 500.0
    interval: int = 4
    sign_sum: float | Tensor = 0.0
    batches: int = 0
    images: int = 0

    def update(self, mean_sign: float | Tensor, nimg: int) -> float:
        """Takes one batch's mean sign (-1 to 1) of `nimg` reals; gives the `p` for the next batch.

        Signs on a GPU are added up there; the device is waited for once in an interval.
        """
        self.sign_sum = self.sign_sum + mean_sign
        self.batches += 1
        self.images += nimg
        if self.batches >= self.interval:
            excess = float(self.sign_sum) / self.batches - self.target
            step = self.images / (self.full_kimg * 1000)
            self.p = min(max(self.p + (step if excess > 0 else -step if excess < 0 else 0.0), 0.0), _MAX_P)
            self.sign_sum, self.batches, self.images = 0.0, 0, 0
        return self.p

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers for the checkpoint."""
        return asdict(self)  # a sum that is still on its device is a tensor, which a checkpoint can hold as well

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> AdaController:
        """The controller in a checkpoint. Raises `CheckpointError` when it is not one."""
        try:
            controller = cls(**state)
            sane = 0 <= controller.p <= 1 and controller.full_kimg > 0 and controller.interval >= 1
        except TypeError as error:
            raise CheckpointError("The checkpoint's state of augmentation cannot be read.") from error
        if not sane:
            raise CheckpointError("The checkpoint's state of augmentation is out of range.")
        return controller
