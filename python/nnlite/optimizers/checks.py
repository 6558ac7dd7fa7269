"""Checks of what optimizers are given."""

from __future__ import annotations

import warnings


def check_unknown(optimizer, kwargs: dict) -> None:
    if kwargs.pop("decay", None) is not None:
        warnings.warn(
            "The argument `decay` is not supported any more and is ignored. Give a schedule as learning_rate, e.g. schedules.InverseTimeDecay.",
            stacklevel=4,
        )
    if kwargs:
        hint = " The learning rate's argument is `learning_rate`." if "lr" in kwargs else ""
        raise ValueError(f"{type(optimizer).__name__}: argument(s) not recognized: {kwargs}.{hint}")


def check_common(optimizer, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum, ema_overwrite_frequency, accumulation) -> None:
    name = type(optimizer).__name__
    if sum(value is not None for value in (clipnorm, clipvalue, global_clipnorm)) > 1:
        raise ValueError(
            f"{name}: only one of `clipnorm`, `clipvalue` and `global_clipnorm` can be set; received clipnorm={clipnorm}, clipvalue={clipvalue}, "
            f"global_clipnorm={global_clipnorm}."
        )
    if accumulation and accumulation < 2:
        raise ValueError(f"{name}: `gradient_accumulation_steps` must be an integer of at least 2, or None; received {accumulation}.")
    if use_ema and not 0 <= ema_momentum <= 1:
        raise ValueError(f"{name}: `ema_momentum` must be between 0 and 1; received {ema_momentum}.")
    if use_ema and ema_overwrite_frequency and (not isinstance(ema_overwrite_frequency, int) or ema_overwrite_frequency < 1):
        raise ValueError(f"{name}: `ema_overwrite_frequency` must be an integer of at least 1, or None; received {ema_overwrite_frequency}.")


def with_gradient(grads, variables):
    """Leaves out variables without gradient, with a warning."""
    pairs = [(g, v) for g, v in zip(grads, variables) if g is not None]
    if not pairs:
        raise ValueError(
            "No gradients provided for any variable: the loss does not depend on any trainable variable. Check that the model's outputs are used "
            "in the loss, and that layers are trainable."
        )
    if len(pairs) < len(variables):
        missing = [v.path for g, v in zip(grads, variables) if g is None]
        warnings.warn(
            f"Gradients do not exist for variables {missing} when minimizing the loss. If using `model.compile()`, did you forget to provide a "
            "`loss` argument?",
            stacklevel=4,
        )
    return [g for g, _ in pairs], [v for _, v in pairs]
