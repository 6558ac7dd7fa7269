"""Training: compile, fit, evaluate, predict."""

from __future__ import annotations

from nnlite.training.trainer import Trainer as Trainer
