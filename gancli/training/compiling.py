"""A function as one compiled graph, gradients of gradients included, or itself where this machine cannot compile."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch

__all__ = ["compiled"]

_log = logging.getLogger(__name__)
_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(function: _Function) -> _Function:
    """`function` compiled at its first call; if that fails, as it is, for good, and one sentence in the log.

    A loss with a gradient penalty must be compiled whole: its inner `autograd.grad` becomes part of the graph, which
    networks compiled by themselves do not allow.
    """
    if hasattr(torch._dynamo.config, "trace_autograd_ops"):
        torch._dynamo.config.trace_autograd_ops = True
    # what dropout draws stays what the plain function would draw
    options: dict[str, str | int | bool | Callable[..., Any]] = {"fallback_random": True}
    quick: Callable[..., Any] | None = torch.compile(function, fullgraph=True, dynamic=False, options=options)

    @functools.wraps(function)
    def call(*given: Any) -> Any:
        nonlocal quick
        if quick is not None:
            try:
                return quick(*given)
            except (torch.OutOfMemoryError, MemoryError):
                raise
            except Exception as error:  # noqa: BLE001 - a missing or odd C++ compiler raises anything
                _log.warning("the step cannot be compiled here (%s); going on without", type(error).__name__)
                quick = None
        return function(*given)

    return cast("_Function", call)
