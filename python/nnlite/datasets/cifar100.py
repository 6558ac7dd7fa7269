"""CIFAR-100: 60,000 colour images of 32x32 pixels in 100 fine or 20 coarse classes (Krizhevsky, 2009)."""

from __future__ import annotations

from nnlite.datasets._cifar import read_batches

_HASH = "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7"


def load_data(label_mode: str = "fine"):
    """Returns `(x_train, y_train), (x_test, y_test)`: uint8 images (50000, 32, 32, 3) and (10000, 32, 32, 3), labels (n, 1).

    Args:
        label_mode: "fine" (100 classes) or "coarse" (20).
    """
    if label_mode not in ("fine", "coarse"):
        raise ValueError(f'label_mode must be "fine" or "coarse"; received {label_mode!r}.')
    x_train, y_train, x_test, y_test = read_batches("cifar-100-python", "cifar-100-python.tar.gz", _HASH, ["train"], "test", f"{label_mode}_labels")
    return (x_train, y_train), (x_test, y_test)
