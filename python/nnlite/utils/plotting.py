"""Drawings of models: Graphviz text, rendered by the `dot` program when another format is wanted."""

from __future__ import annotations

import os
import shutil
import subprocess

from nnlite import tree


class Dot:
    """A graph in Graphviz's language.

    Attributes:
        lines: Statements inside the graph.
    """

    def __init__(self, rankdir: str, dpi: int, splines: str = "ortho"):
        self.lines = [f"rankdir={rankdir};", f"dpi={dpi};", f"splines={splines};", "concentrate=true;", "node [shape=record, fontname=Helvetica];"]

    def to_string(self) -> str:
        return "\n  ".join(["digraph model {", *self.lines]) + "\n}\n"

    def write(self, path, format: str = "dot") -> None:
        """Writes the text, or a picture made by Graphviz."""
        if format in ("dot", "raw", "gv"):
            with open(path, "w", encoding="utf-8") as file:
                file.write(self.to_string())
            return
        program = shutil.which("dot")
        if program is None:
            raise ImportError(
                f"plot_model() needs Graphviz's `dot` program to write {os.fspath(path)!r}; it was not found. Install Graphviz, or write a `.dot` "
                "file."
            )
        subprocess.run([program, f"-T{format}", "-o", os.fspath(path)], input=self.to_string(), text=True, check=True)


def model_to_dot(
    model,
    show_shapes=False,
    show_dtype=False,
    show_layer_names=True,
    rankdir="TB",
    expand_nested=False,
    dpi=200,
    subgraph=False,
    show_layer_activations=False,
    show_trainable=False,
    splines="ortho",
    **kwargs,
) -> Dot:
    """The layers of a model and how they are connected.

    Args:
        show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable: What the boxes say.
        rankdir: "TB" draws from top to bottom, "LR" from left to right.
        expand_nested, subgraph: Accepted for familiarity; models inside are drawn as one box.
        dpi: Resolution.

    >>> import nnlite
    >>> model = nnlite.Sequential([nnlite.Input((2,)), nnlite.layers.Dense(1, name="head")])
    >>> "head" in model_to_dot(model).to_string()
    True
    """
    if kwargs:
        raise ValueError(f"model_to_dot() got unrecognized arguments {sorted(kwargs)}. Check the spelling.")
    if not model.built:
        raise ValueError(f"The model {model.name!r} has not been built yet, so its layers are not known. Call it on data, or build it, first.")
    dot = Dot(rankdir, dpi, splines)
    for layer in model.layers:
        dot.lines.append(
            f'n{id(layer)} [label="{_label(layer, show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable)}"];'
        )
    dot.lines += [f"n{id(a)} -> n{id(b)};" for a, b in _edges(model)]
    return dot


def plot_model(
    model,
    to_file="model.png",
    show_shapes=False,
    show_dtype=False,
    show_layer_names=False,
    rankdir="TB",
    expand_nested=False,
    dpi=200,
    show_layer_activations=False,
    show_trainable=False,
    splines="ortho",
    **kwargs,
) -> None:
    """Writes a drawing of the model. `.dot` files are plain text; other formats need Graphviz.

    Raises:
        ImportError: The format needs Graphviz, which is not installed.
    """
    dot = model_to_dot(
        model,
        show_shapes,
        show_dtype,
        show_layer_names,
        rankdir,
        expand_nested,
        dpi,
        False,
        show_layer_activations,
        show_trainable,
        splines,
        **kwargs,
    )
    dot.write(to_file, os.fspath(to_file).rpartition(".")[2].lower() or "png")


def _label(layer, shapes, dtype, names, activations, trainable) -> str:
    title = f"{layer.name} ({type(layer).__name__})" if names else type(layer).__name__
    parts = [title]
    activation = getattr(layer, "activation", None)
    if activations and activation is not None:
        parts.append(f"Activation: {getattr(activation, '__name__', activation)}")
    if shapes:
        node = layer.inbound_nodes[-1] if layer.inbound_nodes else None
        of = {"Input": node and node.input_tensors, "Output": node and node.output_tensors}
        parts += [f"{name} shape: {_shapes(tensors)}" for name, tensors in of.items() if tensors]
    if dtype:
        parts.append(f"dtype: {layer.dtype}")
    if trainable:
        parts.append("Trainable" if layer.trainable else "Non-trainable")
    return "\\n".join(_escaped(part) for part in parts)


def _shapes(tensors) -> str:
    return ", ".join(str(tuple(tensor.shape)) for tensor in tree.flatten(tensors))


def _escaped(text: str) -> str:
    return "".join("\\" + c if c in '{}|<>"\\' else c for c in text)


def _edges(model) -> list:
    """Pairs of layers, from and to; operations that are no layers are passed through."""
    layers = set(map(id, model.layers))
    if not hasattr(model, "_graph"):
        return list(zip(model.layers, model.layers[1:]))
    edges = []
    for node in model._graph.nodes:
        if id(node.operation) in layers:
            edges += [(source, node.operation) for source in _sources(node, layers)]
    return list({(id(a), id(b)): (a, b) for a, b in edges}.values())


def _sources(node, layers) -> list:
    found = []
    for tensor in node.input_tensors:
        operation, index, _ = tensor.history
        found += [operation] if id(operation) in layers else _sources(operation.inbound_nodes[index], layers)
    return found
