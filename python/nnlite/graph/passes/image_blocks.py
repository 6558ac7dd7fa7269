"""image_blocks: chains of steps that treat images one by one run through for a few images at a time, which the second cache holds.

A convolution's kernel gives an image the same bits alone and in any batch, so nothing changes but the traffic: what one step writes, the next reads from
the cache. The chain becomes the body of a loop over blocks of images; its rows are read and written where the whole batch lies. Threads run
different blocks, each in its own second cache, and wait for each other once, at the end of the loop.
"""

from __future__ import annotations

from dataclasses import dataclass

from nnlite.graph.control import LOOP
from nnlite.graph.ir import Graph, Step
from nnlite.graph.op import REGISTRY
from nnlite.graph.passes.control import Inner
from nnlite.graph.passes.fuse import PROGRAM
from nnlite.graph.passes.uses import use_positions

# What the largest step of a block may read and write: about the second cache of one core.
_BLOCK_BYTES = 1 << 20
# Bytes of weights that may be read again for each byte of images: what stays in the cache is neither written to memory nor read from it.
_WEIGHT_READS = 2
# Chains pay that keep more than this from memory.
_SAVED_BYTES = 4 << 20

# Sums of more numbers of an image may be cut in parts, which depend on the batch.
_SUMMED_WHOLE = 16 << 10

_CONVOLUTIONS = frozenset(("conv2d", "depthwise_conv2d"))
_POOLINGS = frozenset(("max_pool2d", "average_pool2d"))


@dataclass
class _Chain:
    """Steps `first` to `last` of a graph, for `images` images in blocks of `block`."""

    first: int
    last: int
    images: int
    block: int


def block_images(graph: Graph) -> Graph:
    """Turns chains of steps on images into loops over blocks of images where that keeps much from memory."""
    chains = _find_chains(graph)
    if not chains:
        return graph
    uses = use_positions(graph)
    nodes: list[Step] = []
    done = 0
    for chain in chains:
        if _saved_bytes(graph, uses, chain) > _SAVED_BYTES:
            nodes += graph.nodes[done : chain.first] + _loop(graph, uses, chain)
            done = chain.last + 1
    graph.nodes = nodes + graph.nodes[done:]
    return graph


def _find_chains(graph: Graph) -> list[_Chain]:
    chains: list[_Chain] = []
    made: set[int] = set()  # in the current chain
    current: _Chain | None = None
    for position, step in enumerate(graph.nodes):
        if current is not None and _joins(graph, made, current, step, position):
            current.last = position
        else:
            made = set()
            current = _new_chain(graph, step, position)
            if current is not None:
                chains.append(current)
        made.update(step.outputs)
    return [chain for chain in chains if chain.last > chain.first]


def _new_chain(graph: Graph, step: Step, position: int) -> _Chain | None:
    images = _batch(graph, step)
    block = _block_size(graph, step, images)
    chain = _Chain(position, position, images, block)
    return chain if block and _is_imagewise(graph, set(), step, images) and _weights_are_small(graph, step, chain) else None


def _joins(graph: Graph, made, chain: _Chain, step: Step, position: int) -> bool:
    if _batch(graph, step) != chain.images or not _is_imagewise(graph, made, step, chain.images):
        return False
    block = min(_block_size(graph, step, chain.images), chain.block)
    if block == 0 or not _weights_are_small(graph, step, _Chain(position, position, chain.images, block)):
        return False
    chain.block = block
    return True


def _batch(graph: Graph, step: Step) -> int:
    values = step.inputs if step.op.name == "sum" else step.outputs
    shape = graph.specs[values[0]].shape if values else ()
    return shape[0] if len(shape) == 4 else 0


def _of_images(graph: Graph, step: Step, images: int) -> tuple[int, ...]:
    """Inputs of a step that hold something of each image."""
    if step.op.name in _CONVOLUTIONS or step.op.name in _POOLINGS:
        return (step.inputs[0], step.inputs[-1]) if step.attributes.get("residual") else step.inputs[:1]
    return tuple([value for value in step.inputs if graph.specs[value].rank == 4 and graph.specs[value].shape[0] == images])


def _is_imagewise(graph: Graph, made, step: Step, images: int) -> bool:
    """Whether images of the result depend on the same images of the inputs alone, in the same way whatever their number."""
    name, attributes = step.op.name, step.attributes
    if name in _CONVOLUTIONS:
        known = name == "depthwise_conv2d" or "packed" in attributes  # else every call would pack the weights
    elif name == "pad":
        known = attributes["low"][0] == attributes["high"][0] == attributes["interior"][0] == 0
    elif name == "concatenate":
        known = attributes["axis"] > 0
    elif name == "sum":
        known = tuple(attributes["axes"]) == (1, 2) and graph.specs[step.inputs[0]].size <= images * _SUMMED_WHOLE
    else:
        known = name in _POOLINGS or (step.op is PROGRAM and not attributes.get("reduce"))
    mine = _of_images(graph, step, images)
    return known and bool(mine) and all(value in mine or value not in made for value in step.inputs)


def _block_size(graph: Graph, step: Step, images: int) -> int:
    """Images that the cache holds, as a part of the batch; 0 where there is no good one."""
    values = {*_of_images(graph, step, images), *step.outputs}
    each = sum(graph.specs[value].nbytes for value in values) // max(images, 1)
    most = min(_BLOCK_BYTES // max(each, 1), images // 2)
    return next((size for size in range(most, most // 2, -1) if images % size == 0), 0)


def _weights_are_small(graph: Graph, step: Step, chain: _Chain) -> bool:
    """Whether reading everything else again for each block costs less than what stays in the cache."""
    mine = _of_images(graph, step, chain.images)
    weights = sum(graph.specs[value].nbytes for value in step.inputs if value not in mine)
    images = sum(graph.specs[value].nbytes for value in (*mine, *step.outputs))
    return weights * (chain.images // chain.block) <= _WEIGHT_READS * images


def _saved_bytes(graph: Graph, uses, chain: _Chain) -> int:
    inside = [value for step in graph.nodes[chain.first : chain.last + 1] for value in step.outputs]
    return sum(graph.specs[value].nbytes for value in inside if all(use <= chain.last for use in uses[value]))


def _loop(graph: Graph, uses, chain: _Chain) -> list[Step]:
    """The chain as the body of a loop, between views of its images as stacks of blocks."""
    steps = graph.nodes[chain.first : chain.last + 1]
    made = [value for step in steps for value in step.outputs]
    given = list(dict.fromkeys(value for step in steps for value in step.inputs if value not in set(made)))
    rows = {value for step in steps for value in _of_images(graph, step, chain.images)}
    xs, outside = [v for v in given if v in rows], [v for v in given if v not in rows]
    ys = [value for value in made if any(use > chain.last for use in uses[value])]
    body = _body(graph, chain, steps, xs, outside, ys)
    stacks = {value: graph.new_value(_stack_spec(graph, chain, value)) for value in (*xs, *ys)}
    length = chain.images // chain.block
    attributes = {"body": Inner(body), "condition": None, "carries": 0, "xs": len(xs), "length": length, "reverse": False, "counted": False}
    attributes["independent"] = True
    scope = steps[0].scope
    loop = Step(LOOP, (*[stacks[v] for v in xs], *outside), tuple([stacks[v] for v in ys]), attributes, scope)
    return [
        *[Step(REGISTRY["reshape"], (v,), (stacks[v],), {"shape": graph.specs[stacks[v]].shape}, scope) for v in xs],
        loop,
        *[Step(REGISTRY["reshape"], (stacks[v],), (v,), {"shape": graph.specs[v].shape}, scope) for v in ys],
    ]


def _stack_spec(graph: Graph, chain: _Chain, value: int):
    spec = graph.specs[value]
    return spec.with_shape((chain.images // chain.block, chain.block, *spec.shape[1:]))


def _body(graph: Graph, chain: _Chain, steps, xs, outside, ys) -> Graph:
    """A graph of the steps for one block of images."""
    body = Graph([], [], [], {}, {}, [], [])
    numbers: dict[int, int] = {}
    for value in outside:
        numbers[value] = body.new_value(graph.specs[value])
    for value in (*xs, *[v for step in steps for v in step.outputs]):
        numbers[value] = body.new_value(graph.specs[value].with_shape((chain.block, *graph.specs[value].shape[1:])))
    body.inputs = [numbers[value] for value in (*xs, *outside)]
    body.outputs = [numbers[value] for value in ys]
    body.nodes = [Step(s.op, tuple([numbers[i] for i in s.inputs]), tuple([numbers[o] for o in s.outputs]), s.attributes, s.scope) for s in steps]
    return body
