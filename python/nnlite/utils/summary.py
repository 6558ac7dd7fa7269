"""Model.summary(): the table of layers."""

from __future__ import annotations

import math
import re
import shutil

from nnlite import tree
from nnlite.graph.symbolic import FunctionOperation
from nnlite.utils.io_utils import print_msg

# Widest tables, and where their columns end, for chains of layers and for other graphs.
_CHAIN_WIDTH, _CHAIN_ENDS = 88, [0.45, 0.80, 1.0]
_GRAPH_WIDTH, _GRAPH_ENDS = 108, [0.3, 0.56, 0.74, 1.0]
_ELLIPSIS = "…"


def print_summary(model, line_length=None, positions=None, print_fn=None, expand_nested=False, show_trainable=False, layer_range=None) -> None:
    """Prints the table of a model; see `Model.summary`."""
    chain = _is_chain(model)
    header = ["Layer (type)", "Output Shape", "Param #"] + ([] if chain else ["Connected to"])
    alignment = ["<", "<", ">"] + ([] if chain else ["<"])
    ends = list(positions or (_CHAIN_ENDS if chain else _GRAPH_ENDS))
    width = _CHAIN_WIDTH if chain else _GRAPH_WIDTH
    if show_trainable:
        width += 8
        ends = [end * 0.90 for end in ends] + [1.0]
        header.append("Trainable")
        alignment.append("^")
    width = line_length or min(width, shutil.get_terminal_size().columns - 4)
    widths = _column_widths([int(end * width) if end <= 1 else int(end) for end in ends], width)
    rows = _Rows(chain, expand_nested, show_trainable, None if chain else model).of(model, _range(model, layer_range))
    text = f"{_title(model.name)}{_table(header, rows, widths, alignment)}{_totals(model)}"
    if print_fn is not None:
        print_fn(text)
    else:
        print_msg(text, line_break=False)


def _title(name: str) -> str:
    """The first line; a name that does not fit into the terminal's line starts on the next one."""
    columns = shutil.get_terminal_size().columns
    if len(name) + len('Model: ""') <= columns:
        return f'Model: "{name}"\n'
    rest = f'"{name}"'
    return "Model: \n" + "".join(f"{rest[i : i + columns]}\n" for i in range(0, len(rest), columns))


def _operations(model) -> list:
    return model.operations if hasattr(model, "_graph") else model.layers


def _is_chain(model) -> bool:
    return model._graph.is_chain if hasattr(model, "_graph") else True


def _column_widths(ends: list, width: int) -> list[int]:
    """Widths of the columns, their borders excluded: each end's share, then all narrowed alike until the table fits."""
    shares = [end - start for start, end in zip([0, *ends], ends)]
    if min(shares) < 4:
        raise ValueError(
            f"A summary needs columns of at least 4 characters; line_length={width} leaves {shares}. Use a wider line_length or other positions."
        )
    widths = [share + 2 for share in shares]
    excess = sum(widths) - (width - len(widths) - 1)
    for i in range(len(widths)):
        cut = round(excess / (len(widths) - i)) if excess > 0 else 0
        widths[i] -= cut
        excess -= cut
    return widths


class _Rows:
    """The rows of the table, each a list of cells."""

    def __init__(self, chain: bool, expand_nested: bool, show_trainable: bool, graph_model):
        self.chain = chain
        self.expand_nested = expand_nested
        self.show_trainable = show_trainable
        self.nodes = None if graph_model is None else set(graph_model._graph.depths)

    def of(self, model, shown: slice, level: int = 0) -> list:
        rows = []
        for operation in _operations(model)[shown]:
            rows.append(self._row(operation, "   " * level + "└ " if level else ""))
            if self.expand_nested and getattr(operation, "layers", None):
                rows += self.of(operation, slice(None), level + 1)
        return rows

    def _row(self, operation, prefix: str) -> list:
        if isinstance(operation, FunctionOperation):
            from nnlite.models._operation_config import class_name_of

            kind = class_name_of(operation.function.__name__)
        else:
            kind = type(operation).__name__
        cells = [f"{prefix}{operation.name} ({kind})", _shape_text(operation), _parameters_text(operation)]
        if not self.chain:
            cells.append(self._connections(operation))
        if self.show_trainable:
            has_weights = getattr(operation, "weights", None)
            cells.append(("Y" if operation.trainable else "N") if has_weights else "-")
        return cells

    def _connections(self, operation) -> str:
        tensors = [tensor for node in operation.inbound_nodes if node in self.nodes for tensor in node.input_tensors]
        return ", ".join(f"{t.history[0].name}[{t.history[1]}][{t.history[2]}]" for t in tensors) or "-"


def _parameters_text(operation) -> str:
    if isinstance(operation, FunctionOperation):
        return "0"
    return f"{operation.count_params():,}" if operation.built else "0 (unbuilt)"


def _shape_text(operation) -> str:
    """The shape of the last symbolic output, or the one that follows from the shapes the layer was built with."""
    if operation.inbound_nodes:
        shapes = tree.map_structure(lambda tensor: _ShapeText(tensor.shape), operation.inbound_nodes[-1].output_tensors)
    elif getattr(operation, "_build_shapes", None):
        try:
            shapes = operation.compute_output_shape(*operation._build_shapes.values())
        except (NotImplementedError, TypeError):
            return "?"
        shapes = _as_texts(shapes)
    else:
        return "?"
    if isinstance(shapes, _ShapeText):
        return shapes
    if isinstance(shapes, (list, tuple)) and len(shapes) == 1:
        return shapes[0]
    return str(shapes).replace("'", "")


class _ShapeText(str):
    """A shape as text: "(None, 3)"."""

    def __new__(cls, shape):
        return super().__new__(cls, f"({', '.join(str(dim) for dim in shape)})")


def _as_texts(shapes):
    if isinstance(shapes, dict):
        return {key: _as_texts(shape) for key, shape in shapes.items()}
    if isinstance(shapes, (tuple, list)) and all(dim is None or isinstance(dim, int) for dim in shapes):
        return _ShapeText(shapes)
    return type(shapes)(_as_texts(shape) for shape in shapes)


def _range(model, layer_range) -> slice:
    """The part of the layers from the first to the last named one."""
    if layer_range is None:
        return slice(None)
    if len(layer_range) != 2 or not all(isinstance(name, str) for name in layer_range):
        raise ValueError(f"layer_range must be a pair of layer names or regular expressions; received {layer_range!r}.")
    names = [operation.name for operation in _operations(model)]
    first = [i for i, name in enumerate(names) if re.match(layer_range[0], name)]
    last = [i for i, name in enumerate(names) if re.match(layer_range[1], name)]
    if not first or not last:
        raise ValueError(
            f"Passed layer_names do not match the layer names in the model; received layer_range={layer_range!r}, the layers are {names}."
        )
    return slice(min(first[0], last[-1]), max(first[0], last[-1]) + 1)


def _table(header: list, rows: list, widths: list, alignment: list) -> str:
    lines = [_border("┏┳┓", "━", widths)]
    lines += _lines(header, widths, alignment, "┃", at_bottom=True)
    lines.append(_border("┡╇┩", "━", widths))
    separator = _border("├┼┤", "─", widths)
    for i, row in enumerate(rows):
        if i:
            lines.append(separator)
        lines += _lines(row, widths, alignment, "│")
    lines.append(_border("└┴┘", "─", widths))
    return "\n".join(lines) + "\n"


def _border(corners: str, line: str, widths: list) -> str:
    left, between, right = corners
    return left + between.join(line * width for width in widths) + right


def _lines(cells: list, widths: list, alignment: list, bar: str, at_bottom: bool = False) -> list[str]:
    """One row, as many lines as its tallest cell needs."""
    columns = [_wrap(cell, width - 2) for cell, width in zip(cells, widths)]
    height = max(len(column) for column in columns)
    fill = [[""] * (height - len(column)) for column in columns]
    padded = [[*rest, *column] if at_bottom else [*column, *rest] for column, rest in zip(columns, fill)]
    return [bar + bar.join(f" {text:{align}{width - 2}} " for text, align, width in zip(texts, alignment, widths)) + bar for texts in zip(*padded)]


def _wrap(text: str, width: int) -> list[str]:
    """Lines of whole words; a word that is too long is cut with an ellipsis. Spaces in front (the indentation) belong to the first word."""
    lines = [""]
    for word in re.findall(r"\s*\S+\s*", text):
        if lines[-1] and len(lines[-1]) + len(word.rstrip()) > width:
            lines.append("")
        lines[-1] += word
    lines = [line.rstrip() for line in lines]
    return [line if len(line) <= width else line[: width - 1] + _ELLIPSIS for line in lines]


def _totals(model) -> str:
    all_counts = _count(model.weights)
    trainable = _count(model.trainable_weights)
    other = (all_counts[0] - trainable[0], all_counts[1] - trainable[1])
    optimizer = (
        _count(model.optimizer.variables)
        if getattr(model, "compiled", False) and getattr(model, "optimizer", None) is not None and model.optimizer.built
        else None
    )
    total = all_counts if optimizer is None else (all_counts[0] + optimizer[0], all_counts[1] + optimizer[1])
    lines = [_total("Total", total), _total("Trainable", trainable), _total("Non-trainable", other)]
    if optimizer is not None:
        lines.append(_total("Optimizer", optimizer))
    return "".join(lines)


def _count(variables) -> tuple[int, int]:
    """(number of values, bytes) of variables."""
    variables = list(variables)
    return sum(v.size for v in variables), sum(v.spec.nbytes for v in variables)


def _total(name: str, count: tuple[int, int]) -> str:
    return f" {name} params: {count[0]:,} ({readable_size(count[1])})\n"


def readable_size(size: int) -> str:
    """A number of bytes with a unit.

    >>> readable_size(218152)
    '213.04 KB'
    """
    units = ("B", "KB", "MB", "GB", "TB", "PB")
    power = min(int(math.log(size, 1024)), len(units) - 1) if size else 0
    return f"{size / 1024**power:.2f} {units[power]}"
