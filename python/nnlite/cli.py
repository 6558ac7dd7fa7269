"""The `nnlite` command."""

from __future__ import annotations

import argparse
import sys


def main(arguments: list[str] | None = None) -> int:
    """Runs `nnlite demo` or `nnlite info`; returns the exit status."""
    parser = argparse.ArgumentParser(prog="nnlite", description="Neural networks the Keras way, on a compiled CPU engine.")
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser("demo", help="train a small convolutional network on real images and write a report page")
    demo.add_argument("--output", default="demo-report", help="folder for report.html and model.keras (default: demo-report)")
    demo.add_argument("--epochs", type=int, default=12, help="passes over the training images (default: 12)")
    commands.add_parser("info", help="print version, instruction set and number of threads")
    options = parser.parse_args(arguments)
    if options.command == "info":
        return _info()
    from nnlite.demo.run import run

    return run(options.output, options.epochs)


def _info() -> int:
    import nnlite
    from nnlite import _core

    print(f"nnlite {nnlite.__version__}, instruction set {_core.isa()} (best here: {_core.best_isa()}), {_core.get_num_threads()} threads")
    return 0


if __name__ == "__main__":
    sys.exit(main())
