"""CompileMetrics: the metrics given to compile(), resolved when targets and predictions are first seen."""

from __future__ import annotations

from nnlite import metrics as metrics_module
from nnlite import tree
from nnlite.metrics.metric import Metric
from nnlite.utils.naming import to_snake_case


def binary_or_sparse(y_true, y_pred) -> tuple[bool, bool]:
    """Whether targets and predictions are those of a binary, or of a sparse categorical classification."""
    true_shape, pred_shape = tuple(y_true.shape), tuple(y_pred.shape)
    is_binary = pred_shape[-1] == 1
    is_sparse = len(true_shape) < len(pred_shape) or (true_shape[-1] == 1 and pred_shape[-1] > 1)
    return is_binary, is_sparse


def resolve_metric(identifier, y_true, y_pred) -> Metric:
    """A Metric, named as in the logs."""
    if identifier is None:
        raise ValueError("A metric is a name, a function or a Metric; received None. Leave it out of the list.")
    if isinstance(identifier, str) and identifier.lower() in ("accuracy", "acc"):
        is_binary, is_sparse = binary_or_sparse(y_true, y_pred)
        cls = (
            metrics_module.BinaryAccuracy
            if is_binary
            else metrics_module.SparseCategoricalAccuracy
            if is_sparse
            else metrics_module.CategoricalAccuracy
        )
        return cls(name=identifier)
    found = metrics_module.get(identifier)
    if isinstance(found, Metric):
        if isinstance(identifier, str):
            found.name = identifier
        return found
    return metrics_module.MeanMetricWrapper(found, name=identifier if isinstance(identifier, str) else name_of(found))


def name_of(function) -> str:
    """The name in the logs of a function or object that is no Metric."""
    return getattr(function, "name", None) or to_snake_case(getattr(function, "__name__", type(function).__name__))


class CompileMetrics(Metric):
    """All metrics of a compiled model.

    Args:
        metrics, weighted_metrics: As given to compile().
        output_names: Names of the model's outputs, or None.
    """

    def __init__(self, metrics, weighted_metrics, output_names=None):
        super().__init__(name="compile_metrics")
        for argument, value in (("metrics", metrics), ("weighted_metrics", weighted_metrics)):
            if value and not isinstance(value, (list, tuple, dict)):
                raise ValueError(
                    f"Expected `{argument}` argument to be a list, tuple, or dict. Received instead: {argument}={value} of type {type(value)}. Put "
                    "it into a list."
                )
        self._user = {"metrics": metrics, "weighted_metrics": weighted_metrics}
        self._output_names = list(output_names) if output_names else None
        self._key_names = None  # names by which dicts of targets and predictions are read, for several flat outputs
        self._plain: list = []  # per output: (output name or None, metrics) or None
        self._weighted: list = []
        self.built = False

    @property
    def metrics(self) -> list[Metric]:
        return [metric for entry in (*self._plain, *self._weighted) if entry for metric in entry[1]]

    @property
    def variables(self) -> list:
        return [variable for metric in self.metrics for variable in metric.variables]

    def build(self, y_true, y_pred) -> None:
        """Finds the metrics of every output."""
        count = len(tree.flatten(y_pred))
        flat = tree.is_nested(y_pred) and len(y_pred) == count
        names = self._output_names
        if flat and isinstance(y_pred, dict) and not (names and set(names) == set(y_pred)):
            names = sorted(y_pred)
        self._key_names = names if count > 1 and flat else None
        self._plain = self._resolve("metrics", y_true, y_pred, count, names)
        self._weighted = self._resolve("weighted_metrics", y_true, y_pred, count, names)
        self.built = True

    def _resolve(self, argument: str, y_true, y_pred, count: int, names) -> list:
        given = self._user[argument]
        if not given:
            return [None] * count
        targets, predictions = self._flat(y_true), self._flat(y_pred)
        if count == 1:
            wanted = given.values() if isinstance(given, dict) else given
            return [(None, [resolve_metric(m, targets[0], predictions[0]) for m in tree.flatten(list(wanted))])]
        per_output = self._per_output(given, count, names)
        if per_output is None:
            known = f"the output names {self._output_names}" if self._output_names else "the outputs"
            raise ValueError(
                f"Invalid `{argument}`. For a model with {count} outputs it must be a list with one entry (or list) per output, or a dict keyed by "
                f"{known}; "
                f"received: {argument}={given}"
            )
        entries = []
        for wanted, name, y_t, y_p in zip(per_output, names or [None] * count, targets, predictions):
            wanted = wanted if isinstance(wanted, (list, tuple)) else [wanted]
            wanted = [m for m in wanted if m is not None]
            entries.append((name, [resolve_metric(m, y_t, y_p) for m in wanted]) if wanted else None)
        return entries

    @staticmethod
    def _per_output(given, count: int, names):
        if isinstance(given, dict):
            if names and set(given) <= set(names):
                return [given.get(name) for name in names]
            return None
        return list(given) if len(given) == count else None

    def _flat(self, y) -> list:
        if isinstance(y, dict) and self._key_names is not None:
            return [y[name] for name in self._key_names]
        return tree.flatten(y)

    def update_state(self, y_true, y_pred, sample_weight=None):
        if not self.built:
            self.build(y_true, y_pred)
        targets, predictions = self._flat(y_true), self._flat(y_pred)
        for entry, y_t, y_p in zip(self._plain, targets, predictions):
            for metric in entry[1] if entry else ():
                metric.update_state(y_t, y_p)
        weights = [None] * len(targets) if sample_weight is None else self._flat(sample_weight)
        if len(weights) < len(targets):
            weights = [weights[0]] * len(targets)
        for entry, y_t, y_p, weight in zip(self._weighted, targets, predictions, weights):
            for metric in entry[1] if entry else ():
                metric.update_state(y_t, y_p, weight)

    def reset_state(self) -> None:
        for metric in self.metrics:
            metric.reset_state()

    def named(self) -> list[tuple[str, Metric]]:
        """(name in the logs, metric) in order; names that clash get `weighted_` or a number."""
        found: list[tuple[str, Metric]] = []
        taken: dict[str, int] = {}
        for weighted, entries in ((False, self._plain), (True, self._weighted)):
            for output, metrics in (entry for entry in entries if entry):
                prefix = f"{output}_" if output else ""
                for metric in metrics:
                    name = prefix + metric.name
                    if weighted and name in taken:
                        name = f"{prefix}weighted_{metric.name}"
                    if name in taken:
                        name, taken[name] = f"{name}_{taken[name]}", taken[name] + 1
                    else:
                        taken[name] = 1
                    found.append((name, metric))
        return found

    def result(self) -> dict:
        if not self.built:
            raise ValueError(
                "The compiled metrics have no results yet: they are made when the model first sees data. Call fit() or evaluate() first."
            )
        return {name: metric.result() for name, metric in self.named()}
