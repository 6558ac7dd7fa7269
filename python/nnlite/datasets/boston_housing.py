"""Boston housing: 506 districts, 13 features, median price. One feature is based on race: use it only to run old examples."""

from __future__ import annotations

from nnlite.datasets._files import ORIGIN, find_file, read_npz
from nnlite.datasets._housing import split

_HASH = "f553886a1f8d56431e820c5b82552d9d95cfcb96d1e678153f8839538947dff5"


def load_data(path="boston_housing.npz", test_split=0.2, seed=113):
    """Returns `(x_train, y_train), (x_test, y_test)`: float64 features (n, 13) and prices in thousands of dollars."""
    arrays = read_npz(find_file(path, ORIGIN + "boston_housing.npz", _HASH), {"x": (None, 13), "y": (None,)}, "f")
    return split(arrays["x"], arrays["y"], test_split, seed)
