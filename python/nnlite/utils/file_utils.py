"""Files that are downloaded once and kept in a cache folder."""

from __future__ import annotations

import hashlib
import os
import pathlib
import shutil
import tarfile
import tempfile
import urllib.error
import urllib.parse
import urllib.request
import zipfile


def cache_folder() -> pathlib.Path:
    """The folder shared with Keras: `KERAS_HOME`, else `~/.keras`."""
    return pathlib.Path(os.environ.get("KERAS_HOME") or pathlib.Path.home() / ".keras")


def get_file(
    fname=None,
    origin=None,
    untar=False,
    md5_hash=None,
    file_hash=None,
    cache_subdir="datasets",
    hash_algorithm="auto",
    extract=False,
    archive_format="auto",
    cache_dir=None,
    force_download=False,
):
    """Returns the path of a file, downloading it from `origin` when it is not in the cache.

    Args:
        fname: Name in the cache; defaults to the last part of `origin`.
        origin: Address of the file.
        file_hash: Expected sha256 or md5 in hex; a file that does not match is an error and is not kept.
        cache_subdir: Folder below the cache folder.
        extract: Unpack a tar or zip archive and return the folder `<fname>_extracted`.
        cache_dir: Defaults to `KERAS_HOME` or `~/.keras`.
        force_download: Download even when the file is there.

    Raises:
        ValueError: Neither name nor origin, or a hash that does not match.
        OSError: The download failed; nothing is left in the cache.

    >>> import tempfile, pathlib
    >>> folder = pathlib.Path(tempfile.mkdtemp()); _ = (folder / "datasets").mkdir()
    >>> _ = (folder / "datasets" / "a.txt").write_text("hello")
    >>> pathlib.Path(get_file("a.txt", "https://example.invalid/a.txt", cache_dir=folder)).read_text()
    'hello'
    """
    if origin is None:
        raise ValueError("get_file() needs `origin`, the address to download from; received origin=None.")
    fname = os.fspath(fname) if fname else os.path.basename(urllib.parse.urlparse(origin).path)
    if not fname:
        raise ValueError(f"get_file() cannot take a file name from origin={origin!r}; give `fname`.")
    file_hash = file_hash or md5_hash
    folder = pathlib.Path(cache_dir or cache_folder()) / cache_subdir
    target = folder / fname
    if force_download or not target.exists() or (file_hash and not hash_matches(target, file_hash, hash_algorithm)):
        folder.mkdir(parents=True, exist_ok=True)
        download(origin, target, file_hash, hash_algorithm)
    if extract or untar:
        return str(_extract(target, archive_format))
    return str(target)


def hash_matches(path, file_hash: str, algorithm: str = "auto") -> bool:
    """Whether a file has the given sha256 (64 hex digits) or md5 (32)."""
    name = algorithm if algorithm != "auto" else "sha256" if len(file_hash) == 64 else "md5"
    digest = hashlib.new(name)
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest() == file_hash


def download(origin: str, target: pathlib.Path, file_hash: str | None, algorithm: str = "auto") -> None:
    """Downloads to a temporary file beside `target` and renames it: a broken download leaves nothing behind."""
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as out, urllib.request.urlopen(origin, timeout=60) as response:
            shutil.copyfileobj(response, out, 1 << 20)
        if file_hash and not hash_matches(temporary, file_hash, algorithm):
            raise ValueError(
                f"The download of {origin} does not match its expected hash {file_hash}: the file is damaged or was changed. Nothing was kept; try "
                "again."
            )
        os.replace(temporary, target)
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        raise OSError(
            f"{target.name} is not in {target.parent} and could not be downloaded from {origin}: {reason}. Put the file there yourself, or set "
            "NNLITE_DATA to a folder that holds it."
        ) from error
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


def _extract(archive: pathlib.Path, archive_format: str) -> pathlib.Path:
    folder = archive.with_name(f"{archive.name.split('.')[0]}_extracted")
    if folder.exists():
        return folder
    scratch = pathlib.Path(tempfile.mkdtemp(dir=archive.parent))
    try:
        if archive_format != "zip" and tarfile.is_tarfile(archive):
            with tarfile.open(archive) as file:
                _extract_tar_safely(file, scratch)
        elif zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as file:
                file.extractall(scratch)  # zipfile itself removes drive letters and ".."
        else:
            raise ValueError(f"{archive} is neither a tar nor a zip archive; pass extract=False to get the file itself.")
        scratch.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder


def _extract_tar_safely(file: tarfile.TarFile, folder: pathlib.Path) -> None:
    """Regular files and folders only, and only below `folder`."""
    root = folder.resolve()
    members = []
    for member in file.getmembers():
        inside = (root / member.name).resolve().is_relative_to(root)
        if not inside or not (member.isfile() or member.isdir()):
            raise ValueError(
                f"The archive {file.name} holds {member.name!r}, which is a link or lies outside the archive's folder. It was not unpacked."
            )
        members.append(member)
    file.extractall(root, members=members)
