"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import pathlib
import tempfile


def write_whole(path: pathlib.Path, data: bytes) -> None:
    """Writes a file beside `path` and renames it onto it; on any error that file is removed and `path` stays as it was.

    Raises:
        FileNotFoundError: The folder does not exist.
        OSError: The disk is full, the folder is read-only, ...
    """
    folder = path.parent
    if not folder.is_dir():
        raise FileNotFoundError(f"The folder {folder} for {path.name} does not exist; make it first.")
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; give the name of a file.")
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException as error:
        if temporary is not None:
            pathlib.Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise OSError(
                error.errno or 0, f"{path} could not be written ({error.strerror or error}). Any earlier file of that name is unchanged."
            ) from error
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
