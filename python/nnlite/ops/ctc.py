"""Connectionist temporal classification: the loss, and decoding."""

from __future__ import annotations

import numpy as np

from nnlite.ops import elementwise as e, movement, softmaxes
from nnlite.ops._convert import to_float, to_tensor
from nnlite.ops._public import public
from nnlite.ops._scalars import scalar
from nnlite.ops.indexing import eager_array, take_along_axis
from nnlite.ops.joining import part_along
from nnlite.tensor import Tensor

# Stands for log(0): far below any score, and finite, so that differences stay numbers.
_NEVER = -1e30


@public
def ctc_loss(target, output, target_length, output_length, mask_index=0):
    """-log of the probability of all paths that spell the target, one number per sequence.

    Args:
        target: Integer labels [batch, labels].
        output: Scores before the softmax, [batch, time, classes].
        target_length, output_length: Integers [batch]: how much of each row counts.
        mask_index: The blank class.
    """
    target, output = to_tensor(target, "int32"), to_float(output)
    if len(target.spec.shape) != 2 or len(output.spec.shape) != 3 or target.spec.shape[0] != output.spec.shape[0]:
        raise ValueError(
            f"ctc_loss() takes target [batch, labels] and output [batch, time, classes]; received {target.spec.shape} and {output.spec.shape}."
        )
    batch, time, _ = output.spec.shape
    target_length, output_length = (to_tensor(n, "int32") for n in (target_length, output_length))
    path = _with_blanks(target, int(mask_index))
    states = path.spec.shape[1]
    log_p = softmaxes.log_softmax(output)
    emitted = take_along_axis(log_p, movement.reshape(path, shape=(batch, 1, states)), 2)
    may_skip = _may_skip(path, int(mask_index))
    start = to_tensor(np.where(np.arange(states) < 2, 0.0, _NEVER), output.spec.dtype)
    alpha = e.add(start, _at_time(emitted, 0))
    for t in range(1, time):
        moved = e.add(_arrivals(alpha, may_skip), _at_time(emitted, t))
        running = e.less(scalar(t, "int32"), movement.reshape(output_length, shape=(batch, 1)))
        alpha = e.where(running, moved, alpha)
    return _ended(alpha, target_length)


def _with_blanks(target: Tensor, blank: int) -> Tensor:
    """[batch, 2 * labels + 1]: a blank before, between and after the labels."""
    batch, labels = target.spec.shape
    spaced = movement.pad(target, low=(0, 1), high=(0, 1 if labels else 0), interior=(0, 1), value=0.0)
    is_blank = np.arange(2 * labels + 1) % 2 == 0
    return e.where(to_tensor(is_blank), scalar(blank, "int32"), spaced)


def _may_skip(path: Tensor, blank: int) -> Tensor:
    """Whether a state may be reached from two states before: labels that differ from the label before."""
    two_before = _shifted(path, 2, blank)
    return e.logical_and(e.not_equal(path, scalar(blank, "int32")), e.not_equal(path, two_before))


def _shifted(x: Tensor, by: int, filler) -> Tensor:
    """Columns moved right by `by` places."""
    columns = x.spec.shape[1]
    kept = part_along(x, 1, 0, max(columns - by, 0))
    return movement.pad(kept, low=(0, min(by, columns)), high=(0, 0), interior=(0, 0), value=float(filler))


def _at_time(emitted: Tensor, t: int) -> Tensor:
    batch, _, states = emitted.spec.shape
    return movement.reshape(part_along(emitted, 1, t, 1), shape=(batch, states))


def _log_add(values) -> Tensor:
    top = values[0]
    for value in values[1:]:
        top = e.maximum(top, value)
    total = e.exp(e.subtract(values[0], top))
    for value in values[1:]:
        total = e.add(total, e.exp(e.subtract(value, top)))
    return e.add(top, e.log(total))


def _arrivals(alpha: Tensor, may_skip: Tensor) -> Tensor:
    """The log of the probability to be in each state before it emits."""
    skipped = e.where(may_skip, _shifted(alpha, 2, _NEVER), scalar(_NEVER, alpha.spec.dtype))
    return _log_add([alpha, _shifted(alpha, 1, _NEVER), skipped])


def _ended(alpha: Tensor, target_length: Tensor) -> Tensor:
    """Minus the log of the probability to end in the last blank or the last label."""
    batch = alpha.spec.shape[0]
    last = e.multiply(movement.reshape(target_length, shape=(batch, 1)), scalar(2, "int32"))
    blank = take_along_axis(alpha, last, 1)
    label = take_along_axis(alpha, e.maximum(e.subtract(last, scalar(1, "int32")), scalar(0, "int32")), 1)
    label = e.where(e.greater(last, scalar(0, "int32")), label, scalar(_NEVER, alpha.spec.dtype))
    return e.negative(movement.reshape(_log_add([blank, label]), shape=(batch,)))


@public
def ctc_decode(inputs, sequence_lengths, strategy="greedy", beam_width=100, top_paths=1, merge_repeated=True, mask_index=0):
    """Label sequences of scores [batch, time, classes]. Not available in compiled functions.

    Args:
        strategy: "greedy" takes the best class at every time; "beam_search" keeps `beam_width` prefixes and gives the best `top_paths`.
        merge_repeated: Whether "greedy" joins equal neighbours.

    Returns:
        (int32 labels [paths, batch, time], filled up with -1; scores [batch, paths]: for "greedy" minus the sum of the best scores, for
        "beam_search" the log probability).
    """
    scores = eager_array("ctc_decode", to_float(inputs))
    lengths = eager_array("ctc_decode", to_tensor(sequence_lengths, "int32"))
    if strategy == "greedy":
        decoded = [_greedy(rows[:n], merge_repeated, mask_index) for rows, n in zip(scores, lengths)]
        worth = np.asarray([[-rows[:n].max(-1).sum()] for rows, n in zip(scores, lengths)], scores.dtype)
        return to_tensor(_filled([decoded], scores.shape[1])), to_tensor(worth.reshape(len(scores), 1))
    if strategy != "beam_search":
        raise ValueError(f'ctc_decode() takes strategy "greedy" or "beam_search"; received {strategy!r}.')
    log_p = np.asarray(softmaxes.log_softmax(to_tensor(scores)), "float64")
    found = [_beam(rows[:n], beam_width, top_paths, mask_index) for rows, n in zip(log_p, lengths)]
    paths = [[beams[k][0] for beams in found] for k in range(top_paths)]
    return to_tensor(_filled(paths, scores.shape[1])), to_tensor(np.asarray([[b[1] for b in beams] for beams in found], scores.dtype))


def _greedy(rows: np.ndarray, merge: bool, blank: int) -> list[int]:
    best = rows.argmax(-1)
    kept = np.ones(len(best), bool)
    if merge:
        kept[1:] = best[1:] != best[:-1]
    return [int(c) for c in best[kept] if c != blank]


def _filled(paths, time: int) -> np.ndarray:
    out = np.full((len(paths), len(paths[0]), time), -1, "int32")
    for k, path in enumerate(paths):
        for i, labels in enumerate(path):
            out[k, i, : len(labels)] = labels
    return out


def _beam(rows: np.ndarray, width: int, top: int, blank: int) -> list[tuple[tuple[int, ...], float]]:
    """The best prefixes with their log probabilities. A prefix keeps the probability of ending in a blank apart from that of ending in its label."""
    beams = {(): (0.0, -np.inf)}
    for row in rows:
        grown: dict = {}

        def put(prefix, ends_blank, ends_label):
            old = grown.get(prefix, (-np.inf, -np.inf))
            grown[prefix] = (np.logaddexp(old[0], ends_blank), np.logaddexp(old[1], ends_label))

        for prefix, (in_blank, in_label) in beams.items():
            both = np.logaddexp(in_blank, in_label)
            put(prefix, both + row[blank], -np.inf)
            for label in range(len(row)):
                if label == blank:
                    continue
                if prefix and prefix[-1] == label:
                    put(prefix, -np.inf, in_label + row[label])
                    put((*prefix, label), -np.inf, in_blank + row[label])
                else:
                    put((*prefix, label), -np.inf, both + row[label])
        ranked = sorted(grown.items(), key=lambda item: -np.logaddexp(*item[1]))
        beams = dict(ranked[:width])
    best = sorted(((prefix, float(np.logaddexp(*p))) for prefix, p in beams.items()), key=lambda item: -item[1])[:top]
    return best + [((), -np.inf)] * (top - len(best))
