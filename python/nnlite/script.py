"""Running Keras scripts unchanged: while one runs, `import keras` gives nnlite."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.util
import pathlib
import runpy
import sys


class _Loader(importlib.abc.Loader):
    """Hands out an nnlite module under its Keras name, and leaves the module itself as it was."""

    def __init__(self, module):
        self.module = module
        self.own_spec = module.__spec__

    def create_module(self, spec):
        return self.module

    def exec_module(self, module) -> None:
        module.__spec__ = self.own_spec


class KerasFinder(importlib.abc.MetaPathFinder):
    """Finds `keras` and `keras.<name>` among the modules of nnlite.

    >>> finder = KerasFinder()
    >>> finder.find_spec("keras.layers").loader.module.__name__
    'nnlite.layers'
    >>> finder.find_spec("numpy") is None
    True
    """

    def find_spec(self, fullname: str, path=None, target=None):
        if fullname.partition(".")[0] != "keras":
            return None
        own = "nnlite" + fullname[len("keras") :]
        try:
            module = importlib.import_module(own)
        except ModuleNotFoundError as error:
            if error.name is None or not own.startswith(error.name):
                raise
            raise ModuleNotFoundError(f"The script imports {fullname!r}, which nnlite does not have.", name=fullname) from None
        return importlib.util.spec_from_loader(fullname, _Loader(module), is_package=hasattr(module, "__path__"))


def run_script(path: str, arguments: list[str]) -> None:
    """Runs a Python file as `python path arguments...` would, with nnlite in place of Keras.

    Raises:
        FileNotFoundError: There is no such file.
        ImportError: The real Keras is loaded in this process already.
    """
    if not pathlib.Path(path).is_file():
        raise FileNotFoundError(f"There is no script {path}.")
    if "keras" in sys.modules:
        raise ImportError("The module keras is loaded in this process already; run the script in a fresh one: python -m nnlite script.py")
    finder = KerasFinder()
    outer = sys.argv, list(sys.path)
    sys.meta_path.insert(0, finder)
    sys.argv = [path, *arguments]
    sys.path.insert(0, str(pathlib.Path(path).resolve().parent))
    try:
        runpy.run_path(path, run_name="__main__")
    finally:
        sys.meta_path.remove(finder)
        sys.argv, sys.path[:] = outer
        for name in [name for name in sys.modules if name.partition(".")[0] == "keras"]:
            del sys.modules[name]
