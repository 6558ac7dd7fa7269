"""What layers share while they run: the stack of calls of this thread, and the clock of changes."""

from __future__ import annotations

import threading
import weakref


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
    """Counts changes of layers and variables that compiled plans may depend on."""

    __slots__ = ("now",)

    def __init__(self):
        self.now = 0

    def tick(self) -> int:
        self.now += 1
        return self.now


calls = _Calls()
clock = _Clock()


def current_path(layer) -> str:
    """The path of `layer` where it stands now: names of the layers around it and its own."""
    names = [outer.name for outer in calls.stack]
    if not calls.stack or calls.stack[-1] is not layer:
        names.append(layer.name)
    return "/".join(names)
