"""The `nnlite` command."""

from __future__ import annotations

import argparse
import sys

from nnlite.demo import EPOCHS


def main(arguments: list[str] | None = None) -> int:
    """Runs `nnlite demo`, `nnlite info` or `nnlite script.py ...`; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments and arguments[0].endswith(".py"):
        return _script(arguments[0], arguments[1:])
    options = _parser().parse_args(arguments)
    if options.command == "info":
        return _info()
    from nnlite.demo.run import run

    return run(options.output, options.epochs)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nnlite",
        description="Neural networks the Keras way, on a compiled CPU engine.",
        epilog="nnlite script.py [arguments] runs a Keras script unchanged: its `import keras` gives nnlite.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="{demo,info,script.py}")
    demo = commands.add_parser("demo", help="train a small convolutional network on real images and write a report page")
    demo.add_argument("--output", default="demo-report", help="folder for report.html and model.keras (default: demo-report)")
    demo.add_argument("--epochs", type=_count, default=EPOCHS, help=f"passes over the training images (default: {EPOCHS})")
    commands.add_parser("info", help="print version, instruction set and number of threads")
    return parser


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 up; received {text!r}")
    return int(text)


def _script(path: str, arguments: list[str]) -> int:
    from nnlite.script import run_script

    try:
        run_script(path, arguments)
    except FileNotFoundError as error:
        if error.errno is not None:
            raise  # the script's own
        print(f"nnlite: {error}", file=sys.stderr)
        return 2
    return 0


def _info() -> int:
    import nnlite
    from nnlite import _core

    print(f"nnlite {nnlite.__version__}, instruction set {_core.isa()} (best here: {_core.best_isa()}), {_core.get_num_threads()} threads")
    return 0


if __name__ == "__main__":
    sys.exit(main())
