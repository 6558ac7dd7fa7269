"""What layers share while they run: the stack of calls of this thread, and the clock of changes."""

from __future__ import annotations

import threading
import weakref

from nnlite import config


class _Calls(threading.local):
    """The calls in progress in this thread.

    Attributes:
        stack: Layers being called or built, outermost first. Their names make the paths of new variables.
        training: The mode that the innermost call with a known mode runs in; None outside.
        with_losses: Layers that hold losses of their last call.
        inferring: How many inferences of output shapes are in progress: batch sizes are stand-ins then.
    """

    def __init__(self):
        self.stack: list = []
        self.training: bool | None = None
        self.with_losses: weakref.WeakSet = weakref.WeakSet()
        self.inferring = 0


class _Clock:
    """Counts changes of layers, variables and settings that compiled plans may depend on.

    Attributes:
        now: The number of changes.
        settings: When settings changed last.
    """

    __slots__ = ("now", "settings")

    def __init__(self):
        self.now = 0
        self.settings = 0

    def tick(self) -> int:
        self.now += 1
        return self.now

    def note_settings(self) -> None:
        self.settings = self.tick()


calls = _Calls()
clock = _Clock()
config.on_change(clock.note_settings)


def current_path(layer) -> str:
    """The path of `layer` where it stands now: names of the layers around it and its own."""
    names = [outer.name for outer in calls.stack]
    if not calls.stack or calls.stack[-1] is not layer:
        names.append(layer.name)
    return "/".join(names)
