"""CompileLoss: the losses given to compile(), matched with targets and predictions when these are first seen."""

from __future__ import annotations

from dataclasses import dataclass

from nnlite import losses as losses_module
from nnlite import metrics as metrics_module
from nnlite import ops, tree
from nnlite.losses.loss import Loss
from nnlite.training.compile_metrics import binary_or_sparse, name_of


def resolve_loss(identifier, y_true, y_pred) -> Loss:
    """A Loss, named as in error texts."""
    if isinstance(identifier, str) and identifier.lower() in ("crossentropy", "ce"):
        is_binary, is_sparse = binary_or_sparse(y_true, y_pred)
        kind = "binary_crossentropy" if is_binary else "sparse_categorical_crossentropy" if is_sparse else "categorical_crossentropy"
        found = losses_module.get(kind)
    else:
        found = losses_module.get(identifier)
    if isinstance(found, Loss):
        return found
    return losses_module.LossFunctionWrapper(found, name=identifier if isinstance(identifier, str) else name_of(found))


@dataclass
class OutputLoss:
    """The loss of one output.

    Attributes:
        path: Keys that lead to the output in the predictions.
        loss: The loss.
        weight: Its weight, or None.
        name: Of the output, for logs and error texts.
        classes: Size of the predictions' last axis, once seen.
    """

    path: tuple
    loss: Loss
    weight: float | None
    name: str
    classes: int | None = None


class CompileLoss:
    """The total loss of a compiled model.

    Args:
        loss, loss_weights: As given to compile().
        output_names: Names of the model's outputs, or None.
    """

    def __init__(self, loss, loss_weights=None, output_names=None):
        if loss_weights and not isinstance(loss_weights, (list, tuple, dict, float, int)):
            raise ValueError(
                f"`loss_weights` must be a number (one output), or a list or dict (several outputs); received loss_weights={loss_weights!r} of "
                f"type {type(loss_weights).__name__}."
            )
        self._loss = loss
        self._weights = loss_weights
        self._output_names = list(output_names) if output_names else None
        self.parts: list[OutputLoss] = []
        self.metrics: list = []
        self.built = False

    @property
    def variables(self) -> list:
        return [variable for metric in self.metrics for variable in metric.variables]

    # Matching losses with outputs.

    def build(self, y_true, y_pred) -> None:
        loss, weights = self._loss, self._weights
        nested = tree.is_nested(y_pred)
        if isinstance(loss, dict) and not isinstance(y_pred, dict):
            loss, weights = self._by_output_name(loss, weights, y_pred)
        if isinstance(y_pred, dict) and isinstance(loss, (list, tuple)) and len(loss) == len(y_pred):
            loss = dict(zip(sorted(y_pred), loss))
        if not tree.is_nested(loss):
            loss = tree.map_structure(lambda _: loss, y_pred) if nested else loss
        elif not nested and isinstance(loss, (list, tuple)) and len(loss) == 1:
            loss = loss[0]
        weight_list = self._weight_list(loss, weights)
        if not nested and tree.is_nested(loss):
            # Several losses on one output add up.
            for one, weight in zip(tree.flatten(loss), weight_list):
                self._add((), one, weight, y_true, y_pred)
        else:
            self._match(loss, iter(weight_list), y_true, y_pred)
        if len(self.parts) > 1:
            self.metrics = [metrics_module.Mean(name=f"{part.name}_loss") for part in self.parts]
        self.built = True

    def _by_output_name(self, loss: dict, weights, y_pred):
        names = self._output_names
        flat = tree.flatten(y_pred)
        if names is None or len(names) != len(flat) or not set(loss) <= set(names):
            raise ValueError(f"Expected keys {names} in loss dict, but found loss.keys()={list(loss)}. Use the names of the model's outputs.")
        ordered = [loss.get(name) for name in names]
        if isinstance(weights, dict):
            weights = [weights.get(name) for name in names]
        if not tree.is_nested(y_pred):
            return ordered[0], weights[0] if isinstance(weights, list) else weights
        return type(y_pred)(ordered) if type(y_pred) in (list, tuple) else ordered, weights

    @staticmethod
    def _weight_list(loss, weights) -> list:
        count = len(tree.flatten(loss))
        if weights is None:
            return [None] * count
        if isinstance(weights, dict) and isinstance(loss, dict):
            return tree.flatten({key: weights.get(key) for key in loss})
        flat = tree.flatten(weights)
        if len(flat) != count:
            raise ValueError(f"`loss_weights` must match the number of losses, got {count} losses and {len(flat)} weights.")
        return flat

    def _match(self, loss, weights, y_true, y_pred, path=()) -> None:
        if not tree.is_nested(y_pred):
            self._add(path, loss, next(weights), y_true, y_pred)
            return
        if isinstance(loss, (list, tuple)) and isinstance(y_pred, dict):
            raise ValueError(
                f"The model's outputs are a dict with keys {sorted(y_pred)}, so `loss` must be a dict with these keys; received a "
                f"{type(loss).__name__}: {loss!r}."
            )
        if isinstance(loss, dict) != isinstance(y_pred, dict) or (not isinstance(loss, dict) and len(loss) != len(y_pred)):
            raise ValueError(f"`loss` must have one entry per output: the model has {len(y_pred)} outputs, `loss` is {loss!r}.")
        keys = sorted(loss) if isinstance(loss, dict) else range(len(loss))
        for key in keys:
            if isinstance(y_pred, dict) and key not in y_pred:
                raise KeyError(
                    f"The path: {(*path, key)} in the `loss` argument, can't be found in the model's output (`y_pred`), whose keys are "
                    f"{sorted(y_pred)}."
                )
            self._match(loss[key], weights, y_true[key], y_pred[key], (*path, key))

    def _add(self, path, loss, weight, y_true, y_pred) -> None:
        if loss is None:
            return
        found = resolve_loss(loss, y_true, y_pred)
        self.parts.append(OutputLoss(path, found, weight, self._name_of(path, found)))

    def _name_of(self, path, loss) -> str:
        if len(path) == 1 and isinstance(path[0], int) and self._output_names and path[0] < len(self._output_names):
            return self._output_names[path[0]]
        if not path:
            return self._output_names[0] if self._output_names else loss.name
        return "/".join(map(str, path)) if not isinstance(path[-1], int) else loss.name

    # Computing.

    def __call__(self, y_true, y_pred, sample_weight=None):
        y_true = self._aligned(y_true, y_pred)
        if not self.built:
            self.build(y_true, y_pred)
        total = None
        for part, metric in zip(self.parts, self.metrics or [None] * len(self.parts)):
            prediction = _at(y_pred, part.path)
            weight = _at(sample_weight, part.path) if tree.is_nested(sample_weight) else sample_weight
            value = self._value(part, _at(y_true, part.path), prediction, weight)
            if metric is not None:
                metric.update_state(value, sample_weight=float(prediction.shape[0]))
            if part.weight is not None:
                value = value * float(part.weight)
            total = value if total is None else total + value
        return total

    def _value(self, part: OutputLoss, y_true, y_pred, weight):
        if y_true is None:
            raise ValueError(
                f"The loss {part.loss.name!r} of output {part.name!r} needs targets, but y is None. Pass y to fit(), or use add_loss() for losses "
                "without targets."
            )
        part.classes = y_pred.shape[part.loss._fn_kwargs.get("axis", -1) or -1] if hasattr(part.loss, "_fn_kwargs") and len(y_pred.shape) else None
        try:
            return part.loss(y_true, y_pred, weight)
        except (ValueError, TypeError) as error:
            shapes = f"targets {_describe(y_true)}, predictions {_describe(y_pred)}"
            raise type(error)(f"{error} (in loss {part.loss.name!r} of output {part.name!r}: {shapes})") from error

    def _aligned(self, y_true, y_pred):
        """The targets in the nesting of the predictions."""
        if not tree.is_nested(y_pred):
            if isinstance(y_true, (list, tuple)) and len(y_true) == 1:
                return y_true[0]
            if tree.is_nested(y_true):
                raise ValueError(_different(y_true, y_pred, self._output_names))
            return y_true
        if isinstance(y_pred, (list, tuple)):
            if isinstance(y_true, dict) and self._output_names and set(y_true) == set(self._output_names):
                y_true = [y_true[name] for name in self._output_names]
            elif not tree.is_nested(y_true) and len(y_pred) == 1:
                y_true = [y_true]
        elif isinstance(y_true, (list, tuple)) and len(y_true) == len(y_pred):
            y_true = dict(zip(sorted(y_pred), y_true))
        flat = tree.flatten(y_true)
        if _same_nesting(y_true, y_pred):
            return y_true if isinstance(y_pred, dict) else tree.pack_sequence_as(y_pred, flat)
        given = [i for i, loss in enumerate(tree.flatten(self._loss)) if loss is not None] if isinstance(self._loss, (list, tuple)) else []
        if len(given) == len(flat) and len(given) < len(y_pred) and not isinstance(y_pred, dict):
            spread = [None] * len(y_pred)  # outputs without a loss have no targets
            for i, value in zip(given, flat):
                spread[i] = value
            return spread
        raise ValueError(_different(y_true, y_pred, self._output_names))


def _same_nesting(a, b) -> bool:
    if isinstance(b, dict):
        return isinstance(a, dict) and set(b) <= set(a) and all(_same_nesting(a[key], b[key]) for key in b)
    if isinstance(b, (list, tuple)):
        return isinstance(a, (list, tuple)) and len(a) == len(b) and all(map(_same_nesting, a, b))
    return not tree.is_nested(a)


def _at(structure, path):
    for key in path:
        structure = structure[key]
    return structure


def _describe(tensor) -> str:
    return f"{getattr(tensor, 'dtype', type(tensor).__name__)}{list(getattr(tensor, 'shape', ()))}"


def _different(y_true, y_pred, names) -> str:
    hint = f" The outputs are named {names}." if names else ""
    star = [tree.map_structure(lambda _: "*", y) for y in (y_true, y_pred)]
    return f"y_true and y_pred have different structures.\ny_true: {star[0]}\ny_pred: {star[1]}\nGive one array of targets per output.{hint}"


def total_of(losses) -> object:
    """The sum of scalar (or to be summed) losses as a float tensor."""
    from nnlite import config
    from nnlite.graph.spec import FLOATS

    total = None
    for loss in losses:
        loss = ops.convert_to_tensor(loss)
        if loss.dtype not in FLOATS:
            loss = ops.cast(loss, config.floatx())
        if tuple(loss.shape) != ():
            loss = ops.sum(loss)
        total = loss if total is None else total + loss
    return total
