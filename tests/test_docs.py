"""Code in the documentation runs, and the documentation says what is true."""

from __future__ import annotations

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# Pieces of code that explain, in these pages, are not whole programs.
FRAGMENTS = {"engine.md", "add-an-op.md", "naming.md"}


def blocks(path: pathlib.Path) -> list[tuple[int, str]]:
    """(line, code) of every Python block."""
    text = path.read_text(encoding="utf-8")
    return [
        (text[: found.start()].count("\n") + 2, found.group(1)) for found in re.finditer(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    ]


@pytest.mark.parametrize("path", [p for p in PAGES if p.name not in FRAGMENTS and blocks(p)], ids=lambda p: p.name)
def test_code_runs(path, tmp_path, monkeypatch, capsys):
    """The blocks of a page are one program."""
    pytest.importorskip("h5py")
    from nnlite import config

    threads = config.get_num_threads()
    monkeypatch.chdir(tmp_path)
    names: dict = {"__name__": "__main__"}
    try:
        for line, code in blocks(path):
            exec(compile("\n" * (line - 1) + code, str(path), "exec"), names)
    finally:
        config.set_num_threads(threads)


@pytest.mark.parametrize("path", [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"], ids=lambda p: p.name)
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (path.parent / target).exists(), f"{path.name} links to {target}"


def test_the_users_guide_names_the_environment_variables_that_are_read():
    read = set()
    for path in [*(ROOT / "csrc").rglob("*.cpp"), *(ROOT / "python").rglob("*.py")]:
        read |= set(re.findall(r"""(?:getenv\(|environ(?:\.get\(|\[))["'](NNLITE_\w+|KERAS_HOME)""", path.read_text(encoding="utf-8")))
    documented = set(re.findall(r"^\| `(\w+)`", (ROOT / "docs" / "users-guide.md").read_text(encoding="utf-8"), re.MULTILINE))
    assert documented <= read, f"the guide names variables that nothing reads: {documented - read}"


def test_the_table_of_primitives_is_complete():
    import importlib
    import pkgutil

    import nnlite.ops
    from nnlite.graph.op import REGISTRY

    for module in pkgutil.iter_modules(nnlite.ops.__path__):
        importlib.import_module(f"nnlite.ops.{module.name}")
    words = set(re.findall(r"\w+", (ROOT / "docs" / "engine.md").read_text(encoding="utf-8")))
    missing = [name for name, op in REGISTRY.items() if op.__module__.startswith("nnlite.") and name not in words]
    assert not missing, f"docs/engine.md does not name the primitives {missing}"


def test_the_table_of_measurements_has_its_place():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert 0 < text.index("<!-- benchmarks -->") < text.index("<!-- /benchmarks -->")


def test_what_is_said_to_be_missing_is_missing():
    """The list of what does not work yet stays honest: whoever adds one of these edits the list."""
    from nnlite import layers

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in ("LSTM", "GRU", "SimpleRNN", "Bidirectional", "TimeDistributed"):
        assert (f"`{name}`" in text) != hasattr(layers, name), f"README.md and nnlite.layers disagree about {name}"
