"""Calls of nnlite.ops that are compared with Keras: shared by the script that asks Keras and by the tests."""

from __future__ import annotations

import zlib

import numpy as np


class Call:
    """One call: `ops.<name>(*args, **kwargs)`. Equal inputs in every run: they are seeded by the call's place and name.

    Attributes:
        key: Unique name.
    """

    def __init__(self, key: str, name: str, make):
        self.key, self.name, self._make = key, name, make

    def arguments(self):
        """(args, kwargs), made afresh."""
        return self._make(Draw(self.key))


class Draw:
    """Inputs of a call."""

    def __init__(self, key: str):
        self.rng = np.random.default_rng(zlib.crc32(key.encode()))

    def f(self, *shape, low=-2.0, high=2.0):
        """float32 numbers."""
        return self.rng.uniform(low, high, shape).astype("float32")

    def p(self, *shape):
        """Positive float32 numbers."""
        return self.f(*shape, low=0.1, high=2.0)

    def i(self, *shape, low=-4, high=5):
        """int32 numbers."""
        return self.rng.integers(low, high, shape).astype("int32")

    def b(self, *shape):
        """Booleans."""
        return self.rng.random(shape) < 0.5

    def share(self, *shape):
        """Rows that sum to 1."""
        x = self.p(*shape)
        return x / x.sum(-1, keepdims=True)

    def holes(self, *shape):
        """Numbers with some NaN."""
        x = self.f(*shape)
        x.reshape(-1)[1::4] = np.nan
        return x

    def definite(self, n):
        """A positive definite matrix."""
        x = self.f(n, n)
        return x @ x.T + np.eye(n, dtype="float32")


CALLS: list[Call] = []


def call(names: str, make) -> None:
    """Adds the call `make(draw) -> args` or `(args, kwargs)` for every name."""
    for name in names.split():

        def arguments(draw, make=make):
            made = make(draw)
            return made if len(made) == 2 and isinstance(made[0], tuple) and isinstance(made[1], dict) else (made, {})

        CALLS.append(Call(f"{name}-{len(CALLS)}", name, arguments))


_FLOATS = (
    "exp expm1 sin cos tan sinh cosh tanh arctan arcsinh erf sign square abs absolute negative floor ceil round trunc relu relu6 "
    "sigmoid softplus softsign "
    "silu gelu elu selu celu leaky_relu hard_sigmoid hard_silu hard_tanh tanh_shrink soft_shrink hard_shrink log_sigmoid softmax "
    "log_softmax squareplus "
    "sparse_plus sparse_sigmoid isnan isfinite isinf logical_not sum mean var std max min prod argmax argmin any all cumsum "
    "cumprod logsumexp median ravel flip "
    "transpose sort argsort diff deg2rad rad2deg sinc exp2 cbrt nan_to_num fabs signbit count_nonzero ptp nonzero zeros_like "
    "ones_like glu angle real "
    "amax amin isreal isposinf isneginf i0 nanmean nansum"
)
call(_FLOATS, lambda d: (d.f(3, 4),))
call(
    "sum mean max min prod argmax cumsum abs sign square negative sqrt exp floor ceil round relu logical_not isnan any all sort var median "
    "count_nonzero ptp argsort logsumexp trunc log2 softplus",
    lambda d: (d.i(3, 4, low=0),),
)
call("sum mean max min argmax cumsum any all prod logical_not sort count_nonzero", lambda d: (d.b(3, 4),))
call("log log1p log2 log10 sqrt rsqrt reciprocal arccosh", lambda d: (d.p(3, 4) + 1,))
call("arcsin arccos arctanh erfinv erfc", lambda d: (d.f(3, 4) / 2.1,))
_AXIS = "sum mean max min prod any all argmax argmin var std cumsum logsumexp median amax ptp cumprod sort argsort softmax log_softmax flip"
for _axis in (1, -1):
    call(_AXIS, lambda d, axis=_axis: ((d.f(3, 4, 2),), {"axis": axis}))
call("sum mean max min prod any all var std logsumexp median", lambda d: ((d.f(3, 4, 2),), {"axis": (0, 2), "keepdims": True}))

_BINARY = (
    "add subtract multiply divide true_divide maximum minimum power mod floor_divide fmax fmin fmod equal not_equal less "
    "less_equal greater greater_equal "
    "logical_and logical_or logical_xor outer divide_no_nan"
)
call(_BINARY + " arctan2 hypot logaddexp logaddexp2 isclose heaviside", lambda d: (d.p(3, 4), d.p(3, 1)))
call(_BINARY.replace("power", ""), lambda d: (d.f(3, 4), d.f(4)))
call(_BINARY.replace("power", ""), lambda d: (d.i(3, 4), d.i(4, low=1)))
call(_BINARY.replace("power", ""), lambda d: (d.f(3, 4), d.i(4, low=1)))
call(_BINARY, lambda d: (d.i(3, 4, low=0), 2))
call(_BINARY, lambda d: (d.i(3, 4, low=0), 2.5))
call(_BINARY, lambda d: (2.0, d.p(3)))
call("add multiply maximum minimum equal logical_and", lambda d: (d.b(3, 4), d.b(4)))

call("matmul", lambda d: (d.f(3, 4), d.f(4, 5)))
call("matmul", lambda d: (d.f(2, 3, 4), d.f(4, 5)))
call("matmul", lambda d: (d.f(4), d.f(4, 5)))
call("matmul", lambda d: (d.f(3, 4), d.f(4)))
call("matmul", lambda d: (d.f(2, 3, 4), d.f(2, 4, 5)))
call("matmul", lambda d: (d.i(3, 4), d.i(4, 5)))
call("matmul dot", lambda d: (d.f(4), d.f(4)))
call("dot", lambda d: (d.f(3, 4), d.f(4, 5)))
call("dot", lambda d: (d.f(2, 3, 4), d.f(5, 4, 6)))
call("dot", lambda d: (d.f(3, 4), 2.0))
call("tensordot", lambda d: (d.f(2, 3, 4), d.f(3, 4, 5)))
call("tensordot", lambda d: ((d.f(2, 3, 4), d.f(4, 3)), {"axes": [[1, 2], [1, 0]]}))
call("tensordot", lambda d: ((d.f(2, 3), d.f(4, 5)), {"axes": 0}))
call("tensordot", lambda d: ((d.f(2, 3, 4), d.f(4, 6)), {"axes": 1}))
for _text, _shapes in (
    ("ij,jk->ik", ((2, 3), (3, 4))),
    ("bij,bkj->bik", ((2, 3, 4), (2, 5, 4))),
    ("...ij,jk->...ik", ((2, 3, 4), (4, 5))),
    ("ii->i", ((3, 3),)),
    ("ij->", ((2, 3),)),
    ("ij->ji", ((2, 3),)),
    ("i,j,k->ijk", ((2,), (3,), (4,))),
    ("abc,cd,de->abe", ((2, 3, 4), (4, 5), (5, 2))),
    ("ij,jk", ((2, 3), (3, 4))),
    ("bhqk,bkhd->bqhd", ((2, 3, 4, 5), (2, 5, 3, 6))),
    ("ij,ij->i", ((2, 3), (2, 3))),
):
    call("einsum", lambda d, text=_text, shapes=_shapes: (text, *[d.f(*s) for s in shapes]))
call("inner", lambda d: (d.f(3, 4), d.f(2, 4)))
call("vdot", lambda d: (d.f(3, 4), d.f(3, 4)))
call("kron", lambda d: (d.f(2, 3), d.f(3, 2)))
call("cross", lambda d: (d.f(4, 3), d.f(4, 3)))
call("trace diag tril", lambda d: (d.f(3, 4),))
call("trace", lambda d: ((d.f(3, 4, 2),), {"offset": 1}))

for _shape in ((2, -1), (-1,), (4, 3, 1)):
    call("reshape", lambda d, shape=_shape: (d.f(3, 4), shape))
call("expand_dims", lambda d: (d.f(3, 4), 1))
call("expand_dims", lambda d: (d.f(3, 4), (0, -1)))
call("squeeze", lambda d: (d.f(3, 1, 4),))
call("squeeze", lambda d: (d.f(3, 1, 1), 1))
call("swapaxes moveaxis", lambda d: (d.f(2, 3, 4), 0, 2))
call("moveaxis", lambda d: (d.f(2, 3, 4), (0, 1), (-1, 0)))
call("transpose", lambda d: (d.f(2, 3, 4), (1, 2, 0)))
call("concatenate vstack", lambda d: ([d.f(2, 3), d.f(1, 3)],))
call("concatenate", lambda d: (([d.f(2, 3), d.i(2, 2)],), {"axis": -1}))
call("stack", lambda d: (([d.f(2, 3), d.f(2, 3)],), {"axis": 1}))
call("stack", lambda d: ([d.f(2), d.i(2)],))
call("hstack", lambda d: ([d.f(2), d.f(3)],))
call("hstack", lambda d: ([d.f(2, 2), d.f(2, 1)],))
call("vstack dstack", lambda d: ([d.f(2), d.f(2)],))
call("append", lambda d: (d.f(2, 3), d.f(4)))
call("append", lambda d: ((d.f(2, 3), d.f(1, 3)), {"axis": 0}))
call("split", lambda d: ((d.f(4, 6), 3), {"axis": 1}))
call("split", lambda d: (d.f(7, 2), [2, 5]))
call("array_split", lambda d: (d.f(7), 3))
call("hsplit vsplit", lambda d: (d.f(4, 6), 2))
call("unstack", lambda d: ((d.f(2, 3),), {"axis": 1}))
for _repeats in ((2, 2), 2):
    call("tile", lambda d, repeats=_repeats: (d.f(2, 3), repeats))
call("tile", lambda d: (d.f(3), (2, 2)))
call("repeat", lambda d: (d.f(2, 3), 2))
call("repeat", lambda d: ((d.f(2, 3), 2), {"axis": 0}))
call("roll rot90", lambda d: (d.f(3, 4), 1))
call("roll", lambda d: ((d.f(3, 4), -2), {"axis": 1}))
for _k in (2, 3):
    call("rot90", lambda d, k=_k: (d.f(3, 4), k))
for _mode in ("constant", "reflect", "symmetric"):
    call("pad", lambda d, mode=_mode: ((d.f(3, 4), ((1, 1), (2, 0))), {"mode": mode}))
call("where", lambda d: (d.b(3, 4), d.f(3, 4), d.f(4)))
call("where", lambda d: (d.b(3), 1.0, 0.0))
call("where", lambda d: (d.b(3), d.i(3), 2.0))
call("take", lambda d: ((d.f(5, 3), np.array([0, 2, -1])), {"axis": 0}))
call("take", lambda d: ((d.f(5, 3), np.array([[0, 2], [1, 1]])), {"axis": 1}))
call("take", lambda d: (d.f(5, 3), np.array([0, 7, -1])))
call("take", lambda d: ((d.f(5, 3), 2), {"axis": 1}))
call("take_along_axis", lambda d: ((d.f(3, 4), np.array([[0], [1], [2]])), {"axis": 1}))
call("take_along_axis", lambda d: ((d.f(3, 4), d.i(3, 4, low=0, high=3)), {"axis": 0}))
call("clip", lambda d: (d.f(3, 4), -1.0, 1.0))
call("clip", lambda d: (d.i(3, 4), -1, 1))

for _args in ((5,), (1.0, 4.0), (0, 10, 3), (0, 1, 0.25)):
    call("arange", lambda d, args=_args: args)
call("linspace", lambda d: (0, 1, 5))
call("linspace", lambda d: ((0.0, 1.0), {"num": 4, "endpoint": False}))
call("linspace", lambda d: (d.f(3), d.f(3), 4))
call("logspace", lambda d: (0, 2, 3))
call("eye identity tri", lambda d: (3,))
call("eye", lambda d: ((2, 3), {"k": 1}))
call("triu", lambda d: ((d.f(3, 4),), {"k": 1}))
for _k in (0, 1, -2):
    call("diag", lambda d, k=_k: ((d.f(3),), {"k": k}))
call("diagonal", lambda d: (d.f(3, 4, 2),))
call("diagflat", lambda d: (d.f(2, 2),))
call("full", lambda d: ((2, 3), 2))
call("full_like", lambda d: (d.i(3), 2.7))
call("meshgrid", lambda d: (d.f(2), d.f(3)))
call("meshgrid", lambda d: ((d.f(2), d.f(3)), {"indexing": "ij"}))
call("vander", lambda d: (d.f(3),))
call("bartlett blackman hamming hanning", lambda d: (5,))
call("kaiser", lambda d: (5, 14.0))

call("top_k", lambda d: (d.f(3, 5), 2))
call("in_top_k", lambda d: (np.array([0, 2, 1]), d.f(3, 5), 2))
for _side in ("left", "right"):
    call("searchsorted", lambda d, side=_side: ((np.sort(d.f(5)), d.f(3)), {"side": side}))
call("digitize", lambda d: (d.f(6), np.array([-1.0, 0.0, 1.0], "float32")))
call("bincount", lambda d: (np.array([1, 2, 2, 5], "int32"),))
call("bincount", lambda d: ((np.array([1, 2, 2, 5], "int32"),), {"weights": d.f(4)}))
call("unique", lambda d: (np.array([3, 1, 1, 2], "int32"),))
call("histogram", lambda d: ((d.f(20),), {"bins": 4}))
call("isin", lambda d: (d.i(3, 4), np.array([1, 2], "int32")))
call("one_hot", lambda d: (np.array([0, 2, 5]), 4))
call("one_hot", lambda d: ((np.array([[0, 2], [1, 1]]), 3), {"axis": 1}))
call("multi_hot", lambda d: (np.array([[0, 2], [1, 1]]), 3))

call("categorical_crossentropy", lambda d: (d.share(3, 4), d.share(3, 4)))
call("categorical_crossentropy", lambda d: (d.share(3, 4), d.p(3, 4)))
call("categorical_crossentropy", lambda d: ((d.share(3, 4), d.f(3, 4)), {"from_logits": True}))
call("categorical_crossentropy", lambda d: ((d.share(3, 4).T, d.share(3, 4).T), {"axis": 0}))
call("sparse_categorical_crossentropy", lambda d: (np.array([0, 2, 1]), d.share(3, 4)))
call("sparse_categorical_crossentropy", lambda d: ((np.array([[0], [2], [1]]), d.f(3, 4)), {"from_logits": True}))
call("binary_crossentropy", lambda d: (d.b(3, 4).astype("float32"), d.share(3, 4)))
call("binary_crossentropy", lambda d: ((d.b(3, 4).astype("float32"), d.f(3, 4)), {"from_logits": True}))
call("psnr", lambda d: (d.f(3, 4), d.f(3, 4), 2.0))
call("ctc_loss", lambda d: (np.array([[1, 2, 1], [2, 2, 0]], "int32"), d.f(2, 8, 4), np.array([3, 2], "int32"), np.array([8, 6], "int32")))
call("moments", lambda d: ((d.f(3, 4, 2),), {"axes": [0, 1]}))
call("batch_normalization", lambda d: ((d.f(2, 3, 4), d.f(4), d.p(4)), {"axis": -1, "offset": d.f(4), "scale": d.f(4)}))
call("batch_normalization", lambda d: ((d.f(2, 3, 4), d.f(3), d.p(3)), {"axis": 1}))
call("layer_normalization", lambda d: ((d.f(3, 4), d.f(4), d.f(4)), {"axis": -1}))
call("layer_normalization", lambda d: ((d.f(2, 3, 4), d.f(3, 4), d.f(3, 4)), {"axis": (1, 2)}))
call("rms_normalization", lambda d: ((d.f(3, 4),), {"scale": d.f(4)}))
call("normalize", lambda d: (d.f(3, 4),))
call("normalize", lambda d: ((d.f(3, 4),), {"axis": 0, "order": 3}))


def _strided(names: str, make, **more) -> None:
    for padding in ("valid", "same"):
        for strides in (1, 2, 3):
            call(names, lambda d, padding=padding, strides=strides: (make(d), {"strides": strides, "padding": padding, **more}))


_strided("conv", lambda d: (d.f(2, 7, 8, 3), d.f(3, 3, 3, 4)))
_strided("conv", lambda d: (d.f(2, 9, 3), d.f(4, 3, 5)))
_strided("conv", lambda d: (d.f(2, 4, 5, 6, 3), d.f(2, 3, 2, 3, 4)))
_strided("conv", lambda d: (d.f(2, 3, 7, 8), d.f(3, 3, 3, 4)), data_format="channels_first")
_strided("depthwise_conv", lambda d: (d.f(2, 7, 8, 3), d.f(3, 3, 3, 2)))
_strided("separable_conv", lambda d: (d.f(2, 7, 8, 3), d.f(3, 3, 3, 2), d.f(1, 1, 6, 5)))
_strided("conv_transpose", lambda d: (d.f(2, 4, 5, 3), d.f(3, 3, 6, 3)))
_strided("conv_transpose", lambda d: (d.f(1, 3, 3, 2), d.f(2, 2, 4, 2)))
_strided("conv_transpose", lambda d: (d.f(2, 5, 3), d.f(4, 6, 3)))
_strided("conv_transpose", lambda d: (d.f(1, 3, 2, 4, 2), d.f(2, 3, 3, 3, 2)))
_strided("max_pool average_pool", lambda d: (d.f(2, 7, 8, 3), (2, 3)))
_strided("max_pool average_pool", lambda d: (d.f(2, 7, 3), 3))
_strided("max_pool average_pool", lambda d: (d.f(1, 5, 6, 7, 2), (2, 3, 2)))
for _padding in ("valid", "same"):
    call("conv", lambda d, padding=_padding: ((d.f(2, 9, 8, 3), d.f(3, 3, 3, 4)), {"padding": padding, "dilation_rate": 2}))
    call("conv", lambda d, padding=_padding: ((d.f(2, 7, 8, 4), d.f(3, 3, 2, 6)), {"padding": padding}))
    call("conv_transpose", lambda d, padding=_padding: ((d.f(2, 4, 5, 3), d.f(3, 3, 6, 3)), {"strides": 2, "padding": padding, "output_padding": 1}))
call("adaptive_average_pool adaptive_max_pool", lambda d: (d.f(1, 7, 9, 2), (3, 4)))

_IDS = np.array([0, 0, 2, 1, 2], "int32")
call("segment_sum segment_max segment_min segment_prod", lambda d: ((d.f(5, 2), _IDS), {"num_segments": 3}))
call("segment_sum", lambda d: ((d.f(5, 2), _IDS), {"num_segments": 4}))
call("scatter", lambda d: (np.array([[0, 1], [2, 0]], "int32"), d.f(2), (3, 2)))
call("scatter_update", lambda d: (d.f(4, 3), np.array([[0], [2]], "int32"), d.f(2, 3)))
call("scatter_update", lambda d: (d.f(4, 3), np.array([[0, 1], [2, 2]], "int32"), d.f(2)))
for _reduction in ("add", "max", "min", "mul"):
    call("scatter_update", lambda d, reduction=_reduction: ((d.f(4, 3), np.array([[0], [2], [0]], "int32"), d.f(3, 3)), {"reduction": reduction}))
call("slice", lambda d: (d.f(4, 5), (1, 2), (2, 3)))
call("slice_update", lambda d: (d.f(4, 5), (1, 2), d.f(2, 3)))

for _method in ("linear", "lower", "higher", "midpoint", "nearest"):
    for _q in (0.3, [0.1, 0.5]):
        call("quantile", lambda d, q=_q, method=_method: ((d.f(3, 5), q), {"axis": 1, "method": method}))
call("quantile", lambda d: ((d.f(3, 4, 5), [0.2, 0.7]), {"axis": (0, 2), "keepdims": True}))
call("percentile", lambda d: (d.f(9), 30))
call("nanmax nanmin nansum nanmean nanvar nanstd nanprod nanargmax nanmedian nancumsum", lambda d: ((d.holes(3, 4),), {"axis": 1}))
call("average", lambda d: ((d.f(3, 4),), {"weights": d.p(4), "axis": 1}))
call("cast", lambda d: (d.f(3), "int32"))
call("saturate_cast", lambda d: (d.f(4) * 300, "uint8"))
call("trapezoid", lambda d: (d.f(3, 5),))
call("diff", lambda d: ((d.f(3, 5),), {"n": 2, "axis": 0}))
call("corrcoef", lambda d: (d.f(3, 5),))
for _mode in ("valid", "same", "full"):
    call("correlate", lambda d, mode=_mode: ((d.f(7), d.f(3)), {"mode": mode}))
for _order in (None, 1, 2, -1, np.inf, "fro", "nuc"):
    call("norm", lambda d, order=_order: ((d.f(3, 4),), {"ord": order}))
for _order in (1, 2, 3, np.inf):
    call("norm", lambda d, order=_order: ((d.f(3, 4),), {"ord": order, "axis": 1}))
call("det inv cholesky slogdet logdet pinv matrix_rank", lambda d: (d.definite(3),))
call("solve", lambda d: (d.definite(3), d.f(3, 2)))
call("solve_triangular", lambda d: ((d.definite(3), d.f(3, 2)), {"lower": True}))
call("svd", lambda d: ((d.f(4, 3),), {"compute_uv": False}))
call("fft fft2 ifft2", lambda d: ((d.f(3, 6), d.f(3, 6)),))
call("fft", lambda d: ((d.f(150), d.f(150)),))
call("rfft", lambda d: (d.f(2, 9),))
call("rfft", lambda d: ((d.f(2, 9),), {"fft_length": 12}))
call("irfft", lambda d: ((d.f(2, 5), d.f(2, 5)),))
call("irfft", lambda d: (((d.f(2, 5), d.f(2, 5)),), {"fft_length": 9}))
call("stft", lambda d: (d.f(2, 60), 20, 8, 24))
call("extract_sequences", lambda d: (d.f(2, 17), 5, 3))
call("depth_to_space", lambda d: (d.f(1, 2, 3, 8), 2))
call("space_to_depth", lambda d: (d.f(1, 4, 6, 3), 2))
call("unfold", lambda d: (d.f(1, 2, 5, 6), (2, 3)))
call("unfold", lambda d: ((d.f(1, 2, 5, 6), 2), {"stride": 2, "padding": 1}))
call("fold", lambda d: (d.f(1, 12, 16), (5, 6), (2, 3)))
call("rearrange", lambda d: ((d.f(2, 6, 3), "b (h w) c -> b c h w"), {"h": 2}))
call("dot_product_attention", lambda d: (d.f(2, 4, 3, 5), d.f(2, 6, 3, 5), d.f(2, 6, 3, 5)))
call("dot_product_attention", lambda d: ((d.f(2, 4, 3, 5), d.f(2, 4, 3, 5), d.f(2, 4, 3, 5)), {"is_causal": True}))

for _method in ("nearest", "bilinear", "bicubic", "lanczos3"):
    for _antialias in (False, True):
        given = {"interpolation": _method, "antialias": _antialias}
        call("image.resize", lambda d, given=given: ((d.p(1, 9, 8, 2), (4, 3)), given))
    call("image.resize", lambda d, method=_method: ((d.p(1, 6, 7, 2), (9, 11)), {"interpolation": method}))
for _ratio in ("crop_to_aspect_ratio", "pad_to_aspect_ratio"):
    call("image.resize", lambda d, ratio=_ratio: ((d.p(9, 8, 2), (4, 6)), {ratio: True}))
call("image.rgb_to_grayscale", lambda d: (d.p(2, 3, 4, 3),))
call("image.rgb_to_hsv image.hsv_to_rgb", lambda d: (d.p(2, 3, 4, 3) / 2,))
call("image.pad_images", lambda d: (d.p(2, 3, 4, 3), 1, 2, 1, 2))
call("image.crop_images", lambda d: ((d.p(2, 6, 7, 3), 1, 2), {"target_height": 3, "target_width": 4}))
call("image.extract_patches", lambda d: (d.p(1, 6, 8, 3), (2, 4)))
call("image.extract_patches", lambda d: ((d.p(1, 7, 8, 3), 3), {"strides": 2, "padding": "same"}))
call("image.extract_patches", lambda d: ((d.p(1, 9, 8, 3), 3), {"strides": 1, "dilation_rate": 2}))
for _fill in ("constant", "nearest", "wrap", "mirror", "reflect"):
    for _method in ("nearest", "bilinear"):
        given = {"interpolation": _method, "fill_mode": _fill}
        moves = np.array([0.5, 0.2, 1, 0.2, 0.5, 1, 0, 0], "float32")
        call("image.affine_transform", lambda d, given=given, moves=moves: ((d.p(2, 5, 6, 3), d.f(2, 8) * moves), given))
    for _order in (0, 1):
        call("image.map_coordinates", lambda d, order=_order, fill=_fill: ((d.p(5, 6), d.f(2, 7) * 4 + 2, order), {"fill_mode": fill}))
call("image.ssim", lambda d: (d.p(1, 16, 17, 2), d.p(1, 16, 17, 2)))
