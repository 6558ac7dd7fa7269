"""Progbar: the progress line of fit, evaluate and predict."""

from __future__ import annotations

import math
import os
import sys
import time

import numpy as np

from nnlite.utils.io_utils import print_msg

_BOLD, _GREEN, _WHITE, _RESET = "\x1b[1m", "\x1b[32m", "\x1b[37m", "\x1b[0m"


class Progbar:
    """Draws a progress bar, or one line at the end.

    Args:
        target: Number of steps, None when unknown.
        width: Cells of the bar.
        verbose: 0 silent, 1 bar, 2 one line at the end.
        interval: Least seconds between two drawings.
        stateful_metrics: Names shown as given; others are averaged over the steps.
        stateless_metrics: The other way round: only these are averaged.
        unit_name: What a step is called.
    """

    def __init__(self, target, width=20, verbose=1, interval=0.05, stateful_metrics=None, stateless_metrics=None, unit_name="step"):
        if stateful_metrics is not None and stateless_metrics is not None:
            raise ValueError("Progbar takes one of `stateful_metrics` and `stateless_metrics`; received both. Leave one out.")
        self.target = target
        self.width = width
        self.verbose = verbose
        self.interval = interval
        self.unit_name = unit_name
        self.stateful_metrics = set(stateful_metrics or ()) if stateless_metrics is None else None
        self.stateless_metrics = None if stateless_metrics is None else set(stateless_metrics)
        terminal = (hasattr(sys.stdout, "isatty") and sys.stdout.isatty()) or "ipykernel" in sys.modules
        self._rewrites = terminal or "posix" in sys.modules or "PYCHARM_HOSTED" in os.environ
        self._seen_so_far = 0
        self._values: dict[str, list] = {}
        self._start = time.time()
        self._last_update = 0.0
        self._after_first_step = None
        self._drawn_width = 0

    def update(self, current, values=None, finalize=None) -> None:
        """Tells the bar the current step and pairs (name, value)."""
        if finalize is None:
            finalize = self.target is not None and current >= self.target
        for name, value in values or ():
            self._take(name, value, current, finalize)
        self._seen_so_far = current
        now = time.time()
        per_unit = self._seconds_per_unit(current, now)
        if self.verbose == 1:
            if now - self._last_update < self.interval and not finalize:
                return
            self._draw(current, now, per_unit, finalize)
        elif self.verbose == 2 and finalize and self.target:
            # The one line's threshold for scientific notation looks at the value, the bar's at its size.
            line = f"{self._count(current)} - {now - self._start:.0f}s -{_duration(per_unit, self.unit_name)}{self._metrics(lambda v: v)}\n"
            print_msg(line, line_break=False)
        self._last_update = now

    def add(self, n, values=None) -> None:
        """Tells the bar that n more steps are done."""
        self.update(self._seen_so_far + n, values)

    def _take(self, name, value, current, finalize) -> None:
        averaged = name not in self.stateful_metrics if self.stateful_metrics is not None else name in self.stateless_metrics
        if not averaged or finalize:
            self._values[name] = [value, 1]
            return
        weight = max(current - self._seen_so_far, 1)
        total, count = self._values.get(name, (0.0, 0))
        self._values[name] = [total + value * weight, count + weight]

    def _seconds_per_unit(self, current, now) -> float:
        if not current:
            return 0.0
        if self._after_first_step is not None and current > 1:
            per_unit = (now - self._after_first_step) / (current - 1)  # the first step compiles: it would spoil the mean
        else:
            per_unit = (now - self._start) / current
        if current == 1:
            self._after_first_step = now
        return per_unit

    def _count(self, current) -> str:
        digits = int(math.log10(self.target)) + 1
        return f"{current:{digits}d}/{self.target}"

    def _draw(self, current, now, per_unit, finalize) -> None:
        text, hidden = "\b" * self._drawn_width + "\r" if self._rewrites else "\n", 0
        if self.target:
            done = int(self.width * float(current) / self.target)
            bar = f"{_BOLD}{self._count(current)}{_RESET} "
            hidden += 8
            if done > 0:
                bar += f"{_GREEN}{'━' * done}{_RESET}"
                hidden += 9
            bar += f"{_WHITE}{'━' * (self.width - done)}{_RESET}"
            hidden += 9
        else:
            bar = f"{current:7d}/Unknown"
        if self.target and not finalize:
            seconds = _remaining(per_unit * (self.target - current))
        else:
            seconds = f"{now - self._start:.0f}s"
        info = f" {_BOLD}{seconds}{_RESET}{_duration(per_unit, self.unit_name)}{self._metrics(abs)}"
        hidden += 8
        width = len(bar) + len(info) - hidden
        text += bar + info + " " * max(self._drawn_width - width, 0)
        print_msg(text + ("\n" if finalize else ""), line_break=False)
        self._drawn_width = width

    def _metrics(self, size) -> str:
        parts = []
        for name, (total, count) in self._values.items():
            mean = (total if isinstance(total, float) else np.mean(total)) / max(1, count)
            parts.append(f" - {name}: {mean:.4f}" if size(mean) > 1e-3 else f" - {name}: {mean:.4e}")
        return "".join(parts)


def _remaining(seconds: float) -> str:
    if seconds > 3600:
        return f"{int(seconds // 3600)}:{int(seconds % 3600 // 60):02d}:{int(seconds % 60):02d}"
    if seconds > 60:
        return f"{int(seconds // 60)}:{int(seconds % 60):02d}"
    return f"{int(seconds)}s"


def _duration(seconds: float, unit: str) -> str:
    if seconds >= 1 or seconds == 0:
        return f" {seconds:.0f}s/{unit}"
    if seconds >= 1e-3:
        return f" {seconds * 1e3:.0f}ms/{unit}"
    return f" {seconds * 1e6:.0f}us/{unit}"
