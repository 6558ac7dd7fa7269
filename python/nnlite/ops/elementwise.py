"""Primitives that work element by element, with numpy broadcasting for two or three inputs."""

from __future__ import annotations

import math

import numpy as np

from nnlite.graph.op import Traits, no_gradient, primitive
from nnlite.graph.spec import FLOATS, ITEM_SIZE, Spec
from nnlite.ops._scalars import scalar


def broadcast_shapes(name: str, *shapes) -> tuple[int, ...]:
    """The shape that numpy's broadcasting gives; raises ValueError naming the op and the shapes."""
    first = shapes[0]
    if all(shape == first for shape in shapes):
        return first
    rank = max_int(len(shape) for shape in shapes)
    dims = []
    for axis in range(-rank, 0):
        dim = 1
        for shape in shapes:
            size = shape[axis] if -axis <= len(shape) else 1
            if size != 1 and dim not in (1, size):
                raise ValueError(
                    f"{name}() needs shapes that broadcast: counted from the right, sizes must be equal or 1; received "
                    f"{' and '.join(map(str, shapes))}. "
                    "Reshape or expand_dims one of them."
                )
            dim = size if size != 1 else dim
        dims.append(dim)
    return tuple(dims)


def unbroadcast(gradient, shape: tuple[int, ...]):
    """Sums `gradient` over the axes along which `shape` was broadcast."""
    if gradient.spec.shape == shape:
        return gradient
    from nnlite.ops import reduce, movement

    have = gradient.spec.shape
    extra = len(have) - len(shape)
    axes = tuple(range(extra)) + tuple(i + extra for i, dim in enumerate(shape) if dim == 1 and have[i + extra] != 1)
    return movement.reshape(reduce.sum(gradient, axes=axes, keepdims=False), shape=shape)


max_int = max  # the primitives below take the builtins' names


def _require(name: str, spec: Spec, dtypes, what: str) -> None:
    if spec.dtype not in dtypes:
        raise ValueError(f"{name}() takes {what}; received dtype {spec.dtype}. Use nnlite.ops.cast first.")


_NUMBERS = frozenset(ITEM_SIZE) - {"bool"}
_ALL = frozenset(ITEM_SIZE)


def _unary(name: str, reference, gradient, dtypes=FLOATS, what: str = "floating-point numbers", result: str | None = None):
    def rule(x):
        _require(name, x, dtypes, what)
        return x if result is None else Spec(x.shape, result)

    rule.__doc__ = f"Elementwise {name.replace('_', ' ')}. x: {what}."
    traits = Traits(elementwise=name, in_place=((0, 0),) if result is None else (), cost=_cost(name))
    return primitive(gradients=(gradient,), reference=reference, traits=traits, name=name)(rule)


def _cost(name: str):
    """Flops per element: divisions and roots count five, transcendental functions twenty."""
    flops = 5.0 if name in ("divide", "sqrt", "rsqrt", "reciprocal") else 20.0 if name in _TRANSCENDENTAL else 1.0
    return lambda inputs, outputs, attributes: flops * outputs[0].size


_TRANSCENDENTAL = frozenset("exp expm1 log log1p sin cos tan tanh sigmoid erf gelu gelu_grad asin acos atan sinh cosh power atan2 mod floor_divide".split())


def _binary(name: str, reference, gradients, dtypes=_NUMBERS, what: str = "numbers", result: str | None = None, commutative: bool = False):
    def rule(a, b):
        if a.dtype != b.dtype:
            raise ValueError(f"{name}() takes two tensors of one dtype; received {a} and {b}. Use nnlite.ops.{name}, which converts, or cast one.")
        _require(name, a, dtypes, what)
        return Spec(broadcast_shapes(name, a.shape, b.shape), result or a.dtype)

    rule.__doc__ = f"Elementwise {name.replace('_', ' ')} of two tensors, broadcast. a, b: {what} of one dtype."
    traits = Traits(elementwise=name, in_place=((0, 0), (1, 0)) if result is None else (), commutative=commutative, cost=_cost(name))
    return primitive(gradients=gradients, reference=reference, traits=traits, name=name)(rule)


def _of(tensor, value):
    return scalar(value, tensor.spec.dtype)


def _x(node):
    return node.inputs[0]


def _y(node):
    return node.outputs[0]


_COUNTABLE = _NUMBERS

negative = _unary("negative", np.negative, lambda node, dy: negative(dy), _COUNTABLE, "numbers")
abs = _unary("abs", np.abs, lambda node, dy: multiply(dy, sign(_x(node))), _COUNTABLE, "numbers")
sign = _unary("sign", np.sign, no_gradient, _COUNTABLE, "numbers")
square = _unary("square", np.square, lambda node, dy: multiply(dy, multiply(_x(node), _of(dy, 2.0))), _COUNTABLE, "numbers")
exp = _unary("exp", np.exp, lambda node, dy: multiply(dy, _y(node)))
expm1 = _unary("expm1", np.expm1, lambda node, dy: multiply(dy, add(_y(node), _of(dy, 1.0))))
log = _unary("log", np.log, lambda node, dy: divide(dy, _x(node)))
log1p = _unary("log1p", np.log1p, lambda node, dy: divide(dy, add(_x(node), _of(dy, 1.0))))
sqrt = _unary("sqrt", np.sqrt, lambda node, dy: divide(multiply(dy, _of(dy, 0.5)), _y(node)))
rsqrt = _unary(
    "rsqrt", lambda x: (1 / np.sqrt(x)).astype(x.dtype), lambda node, dy: multiply(dy, multiply(multiply(square(_y(node)), _y(node)), _of(dy, -0.5)))
)
reciprocal = _unary("reciprocal", lambda x: (1 / x).astype(x.dtype), lambda node, dy: negative(multiply(dy, square(_y(node)))))
sin = _unary("sin", np.sin, lambda node, dy: multiply(dy, cos(_x(node))))
cos = _unary("cos", np.cos, lambda node, dy: negative(multiply(dy, sin(_x(node)))))
tan = _unary("tan", np.tan, lambda node, dy: multiply(dy, add(square(_y(node)), _of(dy, 1.0))))
sinh = _unary("sinh", np.sinh, lambda node, dy: multiply(dy, cosh(_x(node))))
cosh = _unary("cosh", np.cosh, lambda node, dy: multiply(dy, sinh(_x(node))))
tanh = _unary("tanh", np.tanh, lambda node, dy: multiply(dy, subtract(_of(dy, 1.0), square(_y(node)))))
asin = _unary("asin", np.arcsin, lambda node, dy: multiply(dy, rsqrt(subtract(_of(dy, 1.0), square(_x(node))))))
acos = _unary("acos", np.arccos, lambda node, dy: negative(multiply(dy, rsqrt(subtract(_of(dy, 1.0), square(_x(node)))))))
atan = _unary("atan", np.arctan, lambda node, dy: divide(dy, add(square(_x(node)), _of(dy, 1.0))))


def _sigmoid_reference(x):
    z = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + z), z / (1 + z)).astype(x.dtype)


def _erf_reference(x):
    return np.vectorize(math.erf, otypes=[np.float64])(x).astype(x.dtype)


def _sigmoid_gradient(node, dy):
    y = _y(node)
    return multiply(dy, multiply(y, subtract(_of(dy, 1.0), y)))


def _erf_gradient(node, dy):
    return multiply(dy, multiply(exp(negative(square(_x(node)))), _of(dy, 2.0 / math.sqrt(math.pi))))


def _gelu_reference(x):
    held = np.maximum(x, -40).astype(np.float64)  # the result is 0 from there on
    return (0.5 * held * (1 + np.vectorize(math.erf, otypes=[np.float64])(held * math.sqrt(0.5)))).astype(x.dtype)


def _gelu_grad_reference(dy, x):
    held = np.clip(x, -40, 40).astype(np.float64)
    share = 0.5 * (1 + np.vectorize(math.erf, otypes=[np.float64])(held * math.sqrt(0.5)))
    return (dy * (share + held * np.exp(-0.5 * held * held) / math.sqrt(2 * math.pi))).astype(x.dtype)


def _gelu_curvature(node, ddy):
    """Gradient of gelu_grad in x: dy (2 - x^2) times the normal density."""
    dy, x = node.inputs
    square_of_x = square(x)
    density = multiply(exp(multiply(square_of_x, _of(x, -0.5))), _of(x, 1 / math.sqrt(2 * math.pi)))
    return multiply(multiply(ddy, dy), multiply(subtract(_of(x, 2.0), square_of_x), density))


def _relu_gradient(node, dy):
    # From y, not x: the fused forward step keeps only y.
    return where(greater(_y(node), _of(dy, 0.0)), dy, _of(dy, 0.0))


sigmoid = _unary("sigmoid", _sigmoid_reference, _sigmoid_gradient)
erf = _unary("erf", _erf_reference, _erf_gradient)
gelu = _unary("gelu", _gelu_reference, lambda node, dy: gelu_grad(dy, _x(node)))
relu = _unary("relu", lambda x: np.maximum(x, x.dtype.type(0)), _relu_gradient, _COUNTABLE, "numbers")
floor = _unary("floor", np.floor, no_gradient)
ceil = _unary("ceil", np.ceil, no_gradient)
round = _unary("round", np.round, no_gradient)
isnan = _unary("isnan", np.isnan, no_gradient, result="bool")
isinf = _unary("isinf", np.isinf, no_gradient, result="bool")
isfinite = _unary("isfinite", np.isfinite, no_gradient, result="bool")
logical_not = _unary("logical_not", np.logical_not, no_gradient, frozenset(("bool",)), "booleans")


def _shape(node, i):
    return node.inputs[i].spec.shape


def _both(for_a, for_b):
    """Gradients of a binary op, each summed back to its input's shape."""
    return (
        lambda node, dy: unbroadcast(for_a(node, dy), _shape(node, 0)),
        lambda node, dy: unbroadcast(for_b(node, dy), _shape(node, 1)),
    )


add = _binary("add", np.add, _both(lambda node, dy: dy, lambda node, dy: dy), commutative=True)
subtract = _binary("subtract", np.subtract, _both(lambda node, dy: dy, lambda node, dy: negative(dy)))
multiply = _binary(
    "multiply", np.multiply, _both(lambda node, dy: multiply(dy, node.inputs[1]), lambda node, dy: multiply(dy, node.inputs[0])), commutative=True
)
divide = _binary(
    "divide",
    np.divide,
    _both(lambda node, dy: divide(dy, node.inputs[1]), lambda node, dy: negative(multiply(dy, divide(_y(node), node.inputs[1])))),
    FLOATS,
    "floating-point numbers",
)


def _power_reference(a, b):
    if a.dtype.kind == "f":
        return np.power(a, b)
    return np.where(b < 0, 0, np.power(a, np.maximum(b, 0))).astype(a.dtype)


def _power_gradient_base(node, dy):
    # b * a**(b-1), and 0 (not 0 * inf) where b is 0.
    a, b = node.inputs
    zero = _of(dy, 0.0)
    slope = multiply(b, power(a, subtract(b, _of(dy, 1.0))))
    return multiply(dy, where(equal(b, zero), zero, slope))


def _power_gradient_exponent(node, dy):
    # y * log(a) where a > 0, else 0: the limit at 0, and the convention for negative bases.
    a = node.inputs[0]
    positive = greater(a, _of(dy, 0.0))
    logarithm = where(positive, log(where(positive, a, _of(dy, 1.0))), _of(dy, 0.0))
    return multiply(dy, multiply(_y(node), logarithm))


def _floor_quotient(node):
    return floor(divide(node.inputs[0], node.inputs[1]))


def _atan2_gradients():
    def over(node, dy, i):
        a, b = node.inputs
        return multiply(dy, divide(node.inputs[i], add(square(a), square(b))))

    return _both(lambda node, dy: over(node, dy, 1), lambda node, dy: negative(over(node, dy, 0)))


def _pick(node, dy, first: bool, compare):
    # At ties the first input takes the whole gradient.
    zero = _of(dy, 0.0)
    mask = compare(*node.inputs)
    return where(mask, dy, zero) if first else where(mask, zero, dy)


power = _binary("power", _power_reference, _both(_power_gradient_base, _power_gradient_exponent))
maximum = _binary(
    "maximum",
    np.maximum,
    _both(lambda node, dy: _pick(node, dy, True, greater_equal), lambda node, dy: _pick(node, dy, False, greater_equal)),
    commutative=True,
)
minimum = _binary(
    "minimum",
    np.minimum,
    _both(lambda node, dy: _pick(node, dy, True, less_equal), lambda node, dy: _pick(node, dy, False, less_equal)),
    commutative=True,
)
mod = _binary("mod", np.mod, _both(lambda node, dy: dy, lambda node, dy: negative(multiply(dy, _floor_quotient(node)))))
floor_divide = _binary("floor_divide", np.floor_divide, (no_gradient, no_gradient))
atan2 = _binary("atan2", np.arctan2, _atan2_gradients(), FLOATS, "floating-point numbers")
gelu_grad = _binary(
    "gelu_grad", _gelu_grad_reference, _both(lambda node, ddy: gelu_grad(ddy, node.inputs[1]), _gelu_curvature), FLOATS, "floating-point numbers"
)


def _compare(name, reference, dtypes=_ALL, what="any dtype", commutative=False):
    return _binary(name, reference, (no_gradient, no_gradient), dtypes, what, "bool", commutative)


equal = _compare("equal", np.equal, commutative=True)
not_equal = _compare("not_equal", np.not_equal, commutative=True)
less = _compare("less", np.less)
less_equal = _compare("less_equal", np.less_equal)
greater = _compare("greater", np.greater)
greater_equal = _compare("greater_equal", np.greater_equal)
_BOOL = frozenset(("bool",))
logical_and = _compare("logical_and", np.logical_and, _BOOL, "booleans", commutative=True)
logical_or = _compare("logical_or", np.logical_or, _BOOL, "booleans", commutative=True)
logical_xor = _compare("logical_xor", np.logical_xor, _BOOL, "booleans", commutative=True)


def _where_gradient(i: int):
    def gradient(node, dy):
        zero = _of(dy, 0.0)
        condition = node.inputs[0]
        return unbroadcast(where(condition, dy, zero) if i == 1 else where(condition, zero, dy), _shape(node, i))

    return gradient


@primitive(
    gradients=(no_gradient, _where_gradient(1), _where_gradient(2)),
    reference=np.where,
    traits=Traits(elementwise="where", in_place=((1, 0), (2, 0))),
)
def where(condition, a, b):
    """a where the boolean condition holds, else b; all three broadcast."""
    if condition.dtype != "bool" or a.dtype != b.dtype:
        raise ValueError(f"where() takes a bool condition and two tensors of one dtype; received {condition}, {a} and {b}. Cast them first.")
    return Spec(broadcast_shapes("where", condition.shape, a.shape, b.shape), a.dtype)


def _cast_reference(x, dtype):
    if dtype == "bfloat16":
        return x.astype(np.float32)
    return x.astype(dtype)


@primitive(
    gradients=(lambda node, dy: cast(dy, dtype=node.inputs[0].spec.dtype),),
    reference=_cast_reference,
    traits=Traits(elementwise="cast"),
)
def cast(x, *, dtype):
    """Converts to another dtype: floats to ints truncate, anything to bool is `x != 0`."""
    if dtype not in ITEM_SIZE:
        raise ValueError(f"cast() takes a dtype out of {', '.join(ITEM_SIZE)}; received {dtype!r}.")
    return Spec(x.shape, dtype)
