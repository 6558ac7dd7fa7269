"""Nodes of a loop's body that do not depend on the carry are computed before the loop, for all rounds at once."""

from __future__ import annotations

from nnlite.graph.control import Body, live_nodes, reapply, tensor_key
from nnlite.graph.op import REGISTRY
from nnlite.tensor import Tensor

# Worth a buffer for all rounds: one big product is quicker than many small ones, and so are its gradients.
_HEAVY = frozenset(("matmul", "conv2d", "depthwise_conv2d", "take_rows"))
_LAST_AXIS = frozenset(("softmax", "log_softmax", "argsort"))
_SHIFTED_AXES = frozenset(("sum", "max", "min", "prod", "reverse"))
_SHIFTED_AXIS = frozenset(("argmax", "argmin", "cumsum"))


class Hoisted:
    """What `hoist` leaves of a loop.

    Attributes:
        body, xs, outside: As for `add_loop`.
        stacked: Key of a tensor of the old body -> its values of all rounds, where these are known before the loop.
        fixed: Key of a tensor of the old body -> its value, where that is the same in all rounds.
    """

    def __init__(self, body: Body, xs, outside, stacked: dict, fixed: dict):
        self.body, self.xs, self.outside, self.stacked, self.fixed = body, xs, outside, stacked, fixed


def hoist(body: Body, carries: int, xs, outside, length: int, everything: bool = False) -> Hoisted:
    """Records before the loop: what is the same in all rounds, and products of xs (with `everything`: all that can be batched)."""
    n, m = carries, len(xs)
    stacked = {tensor_key(t): x for t, x in zip(body.inputs[n : n + m], xs)}
    fixed = {tensor_key(t): x for t, x in zip(body.inputs[n + m :], outside)}
    wanted = None if everything else _wanted(body, set(stacked), set(fixed))
    rest = []
    for node in body.nodes:
        keys = [tensor_key(t) for t in node.inputs]
        if all(t.data is not None or key in fixed for t, key in zip(node.inputs, keys)):
            results = reapply(node.op, [fixed.get(key, t) for key, t in zip(keys, node.inputs)], node.attributes)
            fixed.update({(node, i): result for i, result in enumerate(results)})
            continue
        results = None
        if wanted is None or node in wanted:
            results = _batched(node, keys, stacked, fixed, length)
        if results is None:
            rest.append(node)
        else:
            stacked.update({(node, i): result for i, result in enumerate(results)})
    return _rebuilt(body, n, rest, stacked, fixed)


def _wanted(body: Body, stacked: set, fixed: set) -> set:
    """Heavy nodes of xs, what they need, and the biases added to them."""
    of_xs: set = set()
    wanted: set = set()
    for node in body.nodes:
        keys = [tensor_key(t) for t in node.inputs]
        results = [(node, i) for i in range(len(node.output_specs))]
        if all(t.data is not None or key in fixed for key, t in zip(keys, node.inputs)):
            fixed.update(results)
            continue
        known = all(t.data is not None or key in stacked or key in fixed for key, t in zip(keys, node.inputs))
        if not known or (node.op.name not in RULES and not node.op.traits.elementwise):
            continue
        of_xs.add(node)
        stacked.update(results)
        if node.op.name in _HEAVY:
            _take(node, of_xs, wanted)
        elif node.op.name == "add" and any(key in fixed for key in keys):
            if any(t.node in wanted and t.spec == node.output_specs[0] for t in node.inputs):
                wanted.add(node)
    return wanted


def _take(node, of_xs: set, wanted: set) -> None:
    if node in of_xs and node not in wanted:
        wanted.add(node)
        for t in node.inputs:
            if t.node is not None:
                _take(t.node, of_xs, wanted)


def _rebuilt(body: Body, n: int, rest: list, stacked: dict, fixed: dict) -> Hoisted:
    """The body of the nodes that stay; what has been computed before comes in as xs and from outside."""
    made = set(rest)
    live = live_nodes(rest, body.outputs)
    formal = {id(t) for t in body.inputs[:n]}
    placeholders: dict = {}
    xs: dict = {}
    outside: dict = {}

    def inside(t: Tensor) -> Tensor:
        if t.data is not None or t.node in made or id(t) in formal:
            return t
        key = tensor_key(t)
        found = placeholders.get(key)
        if found is None:
            found = placeholders[key] = Tensor(t.spec)
            if key in stacked:
                xs[key] = stacked[key]
            else:
                outside[key] = fixed[key]
        return found

    for node in live:
        node.inputs = tuple([inside(t) for t in node.inputs])
    outputs = []
    for k, t in enumerate(body.outputs):
        known = t.node not in made and tensor_key(t) in (stacked if k >= n else ())
        outputs.append(t if known else inside(t))  # ys that are known stay as they are: the caller takes them from `stacked`
    inputs = [*body.inputs[:n], *[placeholders[key] for key in xs], *[placeholders[key] for key in outside]]
    return Hoisted(Body(inputs, outputs, live), list(xs.values()), list(outside.values()), stacked, fixed)


def _batched(node, keys, stacked, fixed, length: int):
    """The outputs of all rounds, or None where some input is only known in the loop or there is no rule."""
    if any(t.data is None and key not in stacked and key not in fixed for t, key in zip(node.inputs, keys)):
        return None
    rule = _elementwise if node.op.traits.elementwise else RULES.get(node.op.name)
    if rule is None:
        return None
    inputs = [(stacked.get(key, fixed.get(key, t)), key in stacked) for key, t in zip(keys, node.inputs)]
    results = rule(node, inputs, length)
    return results if results is None or isinstance(results, tuple) else (results,)


def _call(name: str, *inputs, **attributes):
    return REGISTRY[name](*inputs, **attributes)


def _reshape(x: Tensor, shape) -> Tensor:
    return x if x.spec.shape == tuple(shape) else _call("reshape", x, shape=tuple(shape))


def _of_rank(x: Tensor, is_stacked: bool, rank: int) -> Tensor:
    """With axes of size 1 after the first, so that what follows broadcasts as the single rounds do."""
    if not is_stacked:
        return x
    first, *rest = x.spec.shape
    return _reshape(x, (first, *(1,) * (rank - len(rest)), *rest))


def _elementwise(node, inputs, length):
    rank = node.output_specs[0].rank
    return node.op(*[_of_rank(x, is_stacked, rank) for x, is_stacked in inputs], **node.attributes)


def _matmul(node, inputs, length):
    (a, stacked_a), (b, stacked_b) = inputs
    if stacked_a and not stacked_b and b.spec.rank == 2 and not node.attributes["transpose_a"]:
        rows = _call("reshape", a, shape=(a.spec.size // a.spec.shape[-1], a.spec.shape[-1])) if a.spec.shape[-1] else None
        if rows is not None:
            return _reshape(node.op(rows, b, **node.attributes), (length, *node.output_specs[0].shape))
    rank = node.output_specs[0].rank
    return node.op(_of_rank(a, stacked_a, rank), _of_rank(b, stacked_b, rank), **node.attributes)


def _convolution(node, inputs, length):
    (x, stacked_x), (w, stacked_w) = inputs
    if not stacked_x or stacked_w:
        return None
    first, batch, *rest = x.spec.shape
    y = node.op(_reshape(x, (first * batch, *rest)), w, **node.attributes)
    return _reshape(y, (length, *node.output_specs[0].shape))


def _rows(node, inputs, length):
    (table, stacked_table), (ids, _) = inputs
    return None if stacked_table else node.op(table, ids)


def _shaped(node, inputs, length):
    return _call("reshape", inputs[0][0], shape=(length, *node.attributes["shape"]))


def _broadcast(node, inputs, length):
    shape = node.attributes["shape"]
    return _call("broadcast_to", _of_rank(inputs[0][0], True, len(shape)), shape=(length, *shape))


def _transposed(node, inputs, length):
    return _call("transpose", inputs[0][0], axes=(0, *[axis + 1 for axis in node.attributes["axes"]]))


def _sliced(node, inputs, length):
    a = node.attributes
    return node.op(inputs[0][0], starts=(0, *a["starts"]), sizes=(length, *a["sizes"]), strides=(1, *a["strides"]))


def _padded(node, inputs, length):
    a = node.attributes
    return node.op(inputs[0][0], low=(0, *a["low"]), high=(0, *a["high"]), interior=(0, *a["interior"]), value=a["value"])


def _joined(node, inputs, length):
    parts = [x if is_stacked else _call("broadcast_to", x, shape=(length, *x.spec.shape)) for x, is_stacked in inputs]
    return node.op(*parts, axis=node.attributes["axis"] + 1)


def _last_axis(node, inputs, length):
    x = inputs[0][0]
    return node.op(x, **node.attributes) if x.spec.rank > 1 else None


def _over_axes(node, inputs, length):
    return node.op(inputs[0][0], **{**node.attributes, "axes": tuple([axis + 1 for axis in node.attributes["axes"]])})


def _along_axis(node, inputs, length):
    return node.op(inputs[0][0], **{**node.attributes, "axis": node.attributes["axis"] + 1})


# Name of an op -> the outputs of all rounds, stacked, from (node, [(tensor, whether it is stacked)], number of rounds).
RULES = {
    "matmul": _matmul,
    "conv2d": _convolution,
    "depthwise_conv2d": _convolution,
    "take_rows": _rows,
    "reshape": _shaped,
    "broadcast_to": _broadcast,
    "transpose": _transposed,
    "slice": _sliced,
    "pad": _padded,
    "concatenate": _joined,
    "stop_gradient": lambda node, inputs, length: node.op(inputs[0][0]),
    **{name: _last_axis for name in _LAST_AXIS},
    **{name: _over_axes for name in _SHIFTED_AXES},
    **{name: _along_axis for name in _SHIFTED_AXIS},
}
