"""Files of layers inside a `.keras` file: vocabularies, and whatever a class writes in its save_assets()."""

from __future__ import annotations

import pathlib
import tempfile

from nnlite.saving.state_walk import walk


def assets_of(model) -> dict[str, bytes]:
    """Name in the archive -> content, of all files that the parts of a model write into the folders they are given."""
    owners = [(path, owner) for path, owner in walk(model) if callable(getattr(owner, "save_assets", None))]
    if not owners:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        for path, owner in owners:
            place = pathlib.Path(folder, path)
            place.mkdir(parents=True, exist_ok=True)
            owner.save_assets(str(place))
        files = sorted(file for file in pathlib.Path(folder).rglob("*") if file.is_file())
        return {f"assets/{file.relative_to(folder).as_posix()}": file.read_bytes() for file in files}


def load_assets(model, parts: dict[str, bytes], label: str) -> None:
    """Gives every part of a model its files again.

    Args:
        parts: Name in the archive -> content.
        label: The archive, for error texts.

    Raises:
        ValueError: A file that its layer cannot read; the text names both.
    """
    for path, owner in walk(model):
        if not callable(getattr(owner, "load_assets", None)):
            continue
        prefix = f"assets/{path}/"
        files = {name[len(prefix) :]: data for name, data in parts.items() if name.startswith(prefix)}
        with tempfile.TemporaryDirectory() as folder:
            for name, data in files.items():
                if name and not {"/", "\\"} & set(name) and name not in (".", ".."):  # a name must not lead out of the folder
                    pathlib.Path(folder, name).write_bytes(data)
            try:
                owner.load_assets(folder)
            except (ValueError, OSError) as error:
                raise ValueError(
                    f"{label}: {type(owner).__name__} {getattr(owner, 'name', path)!r} cannot read {sorted(files)}: {error}. The file is damaged."
                ) from error
