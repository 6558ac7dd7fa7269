"""California housing: 20,640 districts of the 1990 census, 8 features, median price."""

from __future__ import annotations

from nnlite.datasets._files import ORIGIN, find_file, read_npz
from nnlite.datasets._housing import split

_HASH = "1a2e3a52e0398de6463aebe6f4a8da34fb21fbb6b934cf88c3425e766f2a1a6f"


def load_data(version="large", path="california_housing.npz", test_split=0.2, seed=113):
    """Returns `(x_train, y_train), (x_test, y_test)`: features (n, 8) and prices in dollars.

    Args:
        version: "large" for all 20,640 districts, "small" for 600.
    """
    if version not in ("large", "small"):
        raise ValueError(f'version must be "large" or "small"; received {version!r}.')
    arrays = read_npz(find_file(path, ORIGIN + "california_housing.npz", _HASH), {"x": (None, 8), "y": (None,)}, "f")
    x, y = arrays["x"], arrays["y"]
    if version == "small":
        x, y = x[:600], y[:600]
    return split(x, y, test_split, seed)
