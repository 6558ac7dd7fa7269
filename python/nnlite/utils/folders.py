"""Data sets from folders of images or texts, one subfolder a class."""

from __future__ import annotations

import os

import numpy as np

from nnlite import config
from nnlite.utils.dataset import Dataset

_IMAGES = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
_LABEL_MODES = ("int", "categorical", "binary", None)


def image_dataset_from_directory(
    directory,
    labels="inferred",
    label_mode="int",
    class_names=None,
    color_mode="rgb",
    batch_size=32,
    image_size=(256, 256),
    shuffle=True,
    seed=None,
    validation_split=None,
    subset=None,
    interpolation="bilinear",
    follow_links=False,
    crop_to_aspect_ratio=False,
    pad_to_aspect_ratio=False,
    data_format=None,
    format="tf",
    verbose=True,
):
    """Batches (images, labels) of image files; files need Pillow.

    Args:
        directory: A folder with one subfolder per class, or any folder when `labels` are given or None.
        labels: "inferred" from the subfolders, None, or a list with one integer per file in the order of their paths.
        label_mode: "int", "categorical" (one-hot), "binary" (0.0 and 1.0) or None for images alone.
        class_names: The subfolders in the order of their numbers; alphabetical by default.
        color_mode: "rgb", "grayscale" or "rgba".
        batch_size: Images of a batch; None for single images.
        image_size: (height, width) that all are brought to.
        shuffle, seed: Whether the files come in another order in every pass, and its seed.
        validation_split, subset: A share of the files, and which part to take: "training", "validation" or "both".
        interpolation: "bilinear", "nearest", "bicubic", "lanczos3" or "lanczos5".
        follow_links: Whether links to folders are followed.
        crop_to_aspect_ratio, pad_to_aspect_ratio: Keep the proportions by cutting, or by a black border.
        data_format: "channels_last" or "channels_first"; by default the library's setting.
        format: Accepted for familiarity.
        verbose: Whether the numbers of files and classes are printed.

    Returns:
        A Dataset of float images in 0..255 with `class_names` and `file_paths`; two of them for subset="both".
    """
    channels = {"rgb": 3, "rgba": 4, "grayscale": 1}.get(color_mode)
    if channels is None:
        raise ValueError(f'`color_mode` must be one of "rgb", "rgba", "grayscale". Received: color_mode={color_mode!r}')
    if not isinstance(image_size, (tuple, list)) or len(image_size) != 2:
        raise ValueError(f"`image_size` must be a tuple (height, width). Received: image_size={image_size!r}")
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ValueError("Only one of `crop_to_aspect_ratio` and `pad_to_aspect_ratio` can be True; received both. Choose one.")

    def read(path):
        return _read_image(path, color_mode, tuple(image_size), interpolation, crop_to_aspect_ratio, pad_to_aspect_ratio, data_format)

    return _from_directory(
        directory, labels, label_mode, class_names, batch_size, shuffle, seed, validation_split, subset, follow_links, verbose, _IMAGES, read
    )


def text_dataset_from_directory(
    directory,
    labels="inferred",
    label_mode="int",
    class_names=None,
    batch_size=32,
    max_length=None,
    shuffle=True,
    seed=None,
    validation_split=None,
    subset=None,
    follow_links=False,
    format="tf",
    verbose=True,
):
    """Batches (texts, labels) of `.txt` files.

    Args:
        directory: A folder with one subfolder per class, or any folder when `labels` are given or None.
        labels: "inferred" from the subfolders, None, or a list with one integer per file in the order of their paths.
        label_mode: "int", "categorical" (one-hot), "binary" (0.0 and 1.0) or None for texts alone.
        class_names: The subfolders in the order of their numbers; alphabetical by default.
        batch_size: Texts of a batch; None for single texts.
        max_length: Longer texts are cut to this many bytes.
        shuffle, seed: Whether the files come in another order in every pass, and its seed.
        validation_split, subset: A share of the files, and which part to take: "training", "validation" or "both".
        follow_links: Whether links to folders are followed.
        format: Accepted for familiarity.
        verbose: Whether the numbers of files and classes are printed.

    Returns:
        A Dataset of str arrays with `class_names` and `file_paths`; two of them for subset="both".
    """

    def read(path):
        with open(path, "rb") as file:
            return file.read(max_length if max_length is not None else -1).decode("utf-8", errors="replace")

    return _from_directory(
        directory, labels, label_mode, class_names, batch_size, shuffle, seed, validation_split, subset, follow_links, verbose, (".txt",), read
    )


def _from_directory(
    directory, labels, label_mode, class_names, batch_size, shuffle, seed, validation_split, subset, follow_links, verbose, endings, read
):
    _check(labels, label_mode, class_names, validation_split, subset, shuffle, seed)
    label_mode = None if labels is None else label_mode
    seed = int(np.random.randint(10**6)) if seed is None else seed
    paths, numbers, class_names = _files(directory, labels, class_names, endings, follow_links)
    if label_mode == "binary" and len(class_names) != 2:
        raise ValueError(
            f'label_mode="binary" needs exactly 2 classes; {directory} has {len(class_names)}: {class_names}. Use label_mode="int" or "categorical".'
        )
    if verbose:
        print(f"Found {len(paths)} files{f' belonging to {len(class_names)} classes' if labels == 'inferred' else ''}.")
    if not paths:
        raise ValueError(f"No files in directory {directory} end in {', '.join(endings)}. Check the path: each class is a subfolder of it.")
    if shuffle:
        order = np.random.RandomState(seed).permutation(len(paths))
        paths, numbers = [paths[i] for i in order], numbers[order]
    found = []
    for part in ("training", "validation") if subset == "both" else (subset,):
        low, high = _part(len(paths), validation_split, part)
        if verbose and part is not None:
            print(f"Using {high - low} files for {part}.")
        if low == high:
            raise ValueError(f"{directory} has {len(paths)} files, of which validation_split={validation_split} leaves none for {part}.")
        shuffled = shuffle and part != "validation"
        found.append(_dataset(paths[low:high], numbers[low:high], label_mode, class_names, batch_size, shuffled, seed, read))
    return found if subset == "both" else found[0]


def _check(labels, label_mode, class_names, validation_split, subset, shuffle, seed) -> None:
    if label_mode not in _LABEL_MODES:
        raise ValueError(f"`label_mode` must be one of {_LABEL_MODES}. Received: label_mode={label_mode!r}")
    if labels not in ("inferred", None) if labels is None or isinstance(labels, str) else not isinstance(labels, (list, tuple)):
        raise ValueError(f'`labels` must be "inferred", None or a list of integers, one per file. Received: labels={labels!r}')
    if class_names is not None and labels != "inferred":
        raise ValueError(f'`class_names` needs labels="inferred". Received: class_names={class_names}, labels of type {type(labels).__name__}.')
    if (validation_split is None) != (subset is None):
        raise ValueError(f"`validation_split` and `subset` belong together. Received: validation_split={validation_split}, subset={subset!r}.")
    if validation_split is not None and not 0 < validation_split < 1:
        raise ValueError(f"`validation_split` must be between 0 and 1. Received: validation_split={validation_split}")
    if subset not in ("training", "validation", "both", None):
        raise ValueError(f'`subset` must be "training", "validation" or "both". Received: subset={subset!r}')
    if validation_split is not None and shuffle and seed is None and subset != "both":
        raise ValueError(
            "With `validation_split` and shuffle=True a `seed` is needed, so that the parts do not overlap. Received: seed=None. Pass the same seed "
            "for both parts, or shuffle=False."
        )


def _files(directory, labels, class_names, endings, follow_links):
    """(paths in order, class number of each, names of the classes)."""
    directory = os.fspath(directory)
    if not os.path.isdir(directory):
        raise ValueError(f"There is no folder {directory}. Check the path, or extract the archive first.")
    if labels == "inferred":
        folders = sorted(entry.name for entry in os.scandir(directory) if entry.is_dir(follow_symlinks=True) and not entry.name.startswith("."))
        if class_names is not None and set(class_names) != set(folders):
            raise ValueError(
                f"`class_names` must be the subfolders of {directory}. Received: class_names={list(class_names)}; the subfolders are {folders}."
            )
        class_names = list(folders if class_names is None else class_names)
        paths = [(path, i) for i, name in enumerate(class_names) for path in _walk(os.path.join(directory, name), endings, follow_links)]
        return [path for path, _ in paths], np.asarray([i for _, i in paths], "int32"), class_names
    paths = _walk(directory, endings, follow_links)
    if labels is None:
        return paths, np.zeros(len(paths), "int32"), []
    if len(labels) != len(paths):
        raise ValueError(f"`labels` must have one integer per file; received {len(labels)} labels for the {len(paths)} files of {directory}.")
    return paths, np.asarray(labels, "int32"), [str(label) for label in sorted(set(labels))]


def _walk(folder: str, endings, follow_links) -> list[str]:
    found = []
    for root, folders, files in os.walk(folder, followlinks=follow_links):
        folders.sort()
        found += [os.path.join(root, name) for name in sorted(files) if name.lower().endswith(endings)]
    return found


def _part(count: int, validation_split, part) -> tuple[int, int]:
    """First and last file of a part: the validation files are the last ones."""
    if part is None:
        return 0, count
    split = count - int(validation_split * count)
    return (0, split) if part == "training" else (split, count)


def _dataset(paths, numbers, label_mode, class_names, batch_size, shuffle, seed, read) -> Dataset:
    labels = _labels(numbers, label_mode, len(class_names))
    draws = np.random.default_rng(seed)

    def iterate():
        order = draws.permutation(len(paths)) if shuffle else range(len(paths))
        for i in order:
            yield read(paths[i]) if labels is None else (read(paths[i]), labels[i])

    dataset = Dataset(iterate, len(paths))
    dataset = dataset if batch_size is None else dataset.batch(batch_size)
    dataset.class_names, dataset.file_paths = class_names, paths
    return dataset


def _labels(numbers: np.ndarray, label_mode, classes: int):
    if label_mode is None:
        return None
    if label_mode == "int":
        return numbers
    return np.eye(classes, dtype="float32")[numbers] if label_mode == "categorical" else numbers.astype("float32")[:, None]


def _read_image(path, color_mode, size, interpolation, crop, pad, data_format) -> np.ndarray:
    """A file as a float array of the wanted size."""
    from nnlite import ops
    from nnlite.utils.image_utils import img_to_array, load_img

    pixels = img_to_array(load_img(path, color_mode=color_mode), data_format="channels_last", dtype="float32")
    if pixels.shape[:2] != size:
        pixels = ops.image.resize(
            pixels, size, interpolation=interpolation, crop_to_aspect_ratio=crop, pad_to_aspect_ratio=pad, data_format="channels_last"
        ).numpy()
    return pixels.transpose(2, 0, 1) if (data_format or config.image_data_format()) == "channels_first" else pixels
