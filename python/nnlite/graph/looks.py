"""Whether anybody has looked at variables: what spares plans that run after every batch from announcing each change."""

from __future__ import annotations


class _Looks:
    """When a value or a version of any variable was last asked for.

    A plan that runs again without a look since its last run has changed nothing that anybody remembers, and need not say so again.
    """

    __slots__ = ("last",)

    def __init__(self):
        self.look()

    def look(self) -> None:
        self.last = object()  # unlike a count, never the same twice, whatever other threads do


looks = _Looks()
