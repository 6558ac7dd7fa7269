"""Configs of functions of `nnlite.ops` inside functional models, in the form Keras files have them."""

from __future__ import annotations

import inspect
import re

from nnlite import ops, tree
from nnlite.graph.symbolic import FunctionOperation, KerasTensor

# Parameters that take tensors stay arguments of the call; all others are configuration.
_TENSORS = frozenset(
    (
        "x",
        "x1",
        "x2",
        "x3",
        "xs",
        "y",
        "a",
        "b",
        "v",
        "inputs",
        "input",
        "kernel",
        "depthwise_kernel",
        "pointwise_kernel",
        "condition",
        "indices",
        "array",
        "arrays",
        "operands",
        "key",
        "mean",
        "variance",
        "offset",
        "scale",
        "gamma",
        "beta",
        "target",
        "output",
        "updates",
        "start_indices",
        "start",
        "stop",
        "fill_value",
        "bins",
        "images",
        "query",
        "value",
        "values",
        "sequences",
        "data",
        "segment_ids",
        "targets",
        "predictions",
        "sorted_sequence",
        "fill",
        "weights",
        "v1",
        "v2",
        "transform",
        "coordinates",
    )
)
# Parameters that are configuration although their name is that of a tensor elsewhere, by function.
_CONFIGURED = {"resize": {"fill_value"}, "pad_images": {"fill_value"}}
_MODULES = {
    "nn": (
        "average_pool batch_normalization binary_crossentropy categorical_crossentropy celu conv conv_transpose ctc_decode ctc_loss "
        "depth_to_space depthwise_conv dot_product_attention elu gelu glu hard_shrink hard_sigmoid hard_silu hard_tanh layer_normalization "
        "leaky_relu log_sigmoid log_softmax max_pool moments multi_hot normalize one_hot polar psnr relu relu6 rms_normalization selu "
        "separable_conv sigmoid silu soft_shrink softmax softplus softsign space_to_depth sparse_categorical_crossentropy sparse_plus "
        "sparse_sigmoid sparsemax squareplus tanh_shrink threshold unfold adaptive_average_pool adaptive_max_pool fold"
    ),
    "linalg": "cholesky cholesky_inverse det eig eigh inv jvp lstsq lu_factor matrix_rank norm pinv qr solve solve_triangular svd",
    "image": (
        "affine_transform crop_images elastic_transform extract_patches gaussian_blur hsv_to_rgb map_coordinates pad_images "
        "perspective_transform resize rgb_to_grayscale rgb_to_hsv scale_and_translate"
    ),
    "math": (
        "cdist erf erfc erfinv extract_sequences fft fft2 ifft2 in_top_k irfft istft logdet logsumexp rfft rsqrt segment_max segment_min "
        "segment_prod segment_sum stft top_k"
    ),
    "core": "cast cond scatter scatter_update slice slice_update stop_gradient switch unstack saturate_cast",
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names.split()}


def class_name_of(function_name: str) -> str:
    """The name of the class that stands for a function.

    >>> class_name_of("expand_dims")
    'ExpandDims'
    """
    return "".join(part.capitalize() for part in function_name.split("_"))


def operation_config(operation: FunctionOperation, args: tuple, kwargs: dict) -> tuple[dict, tuple, dict]:
    """(entry, args, kwargs) of a call: what is no tensor moves into the entry's config."""
    name = operation.function.__name__
    arguments = _named(operation.function, args, kwargs)
    config = {"name": operation.name}
    rest, rest_kwargs = [], {}
    for key, (value, kind) in arguments.items():
        is_tensor = key in _TENSORS and key not in _CONFIGURED.get(name, ())
        if kind is inspect.Parameter.VAR_POSITIONAL:
            rest.extend(value)
        elif is_tensor or any(isinstance(leaf, KerasTensor) for leaf in tree.flatten(value)):
            if kind is inspect.Parameter.KEYWORD_ONLY:
                rest_kwargs[key] = value
            else:
                rest.append(value)
        else:
            config[key] = value
    while rest and rest[-1] is None:
        rest.pop()
    class_name = class_name_of(name)
    entry = {"module": f"keras.src.ops.{_MODULE_OF.get(name, 'numpy')}", "class_name": class_name, "config": config, "registered_name": class_name}
    return entry, tuple(rest), rest_kwargs


def _named(function, args: tuple, kwargs: dict) -> dict:
    """Parameter name -> (value, kind), defaults included."""
    signature = inspect.signature(function)
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    found = {}
    for key, value in bound.arguments.items():
        kind = signature.parameters[key].kind
        if kind is inspect.Parameter.VAR_KEYWORD:
            found.update({k: (v, inspect.Parameter.KEYWORD_ONLY) for k, v in value.items()})
        else:
            found[key] = (value, kind)
    return found


def is_operation(entry: dict) -> bool:
    """Whether a layer entry of a config stands for a function of `nnlite.ops`."""
    return ".ops." in f"{entry.get('module') or ''}."


def operation_from_config(entry: dict) -> tuple[FunctionOperation, dict]:
    """The operation, and keyword arguments for each of its calls."""
    class_name = entry["class_name"]
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", class_name).lower()
    function = getattr(ops, name, None) or getattr(ops.image, name, None) or getattr(ops.linalg, name, None)
    if function is None:
        raise ValueError(f"The model uses the operation {class_name!r}, but nnlite.ops has no function {name!r}.")
    from nnlite.saving import deserialize_keras_object

    config = {key: deserialize_keras_object(value) for key, value in entry["config"].items() if key != "name"}
    known = inspect.signature(function).parameters
    config = {key: tuple(value) if isinstance(value, list) else value for key, value in config.items() if key in known}
    return FunctionOperation(function, entry["config"].get("name") or entry["name"]), config
