"""TensorBoard: logs as event files that TensorBoard shows. The files are written here, without TensorFlow."""

from __future__ import annotations

import os
import socket
import struct
import time

import numpy as np

from nnlite.callbacks.callback import Callback


class TensorBoard(Callback):
    """Writes metrics (and, if asked, histograms of the weights) for TensorBoard.

    Args:
        log_dir: Directory; metrics of training go to `train`, those of validation to `validation` in it.
        histogram_freq: Every so many epochs histograms of the weights are written; 0 for never.
        write_graph, write_images, profile_batch, embeddings_freq, embeddings_metadata: Accepted for familiarity; nothing is written for them.
        write_steps_per_second: Whether the speed is written.
        update_freq: "epoch", "batch", or a number of batches between two writings of the metrics so far.
    """

    def __init__(
        self,
        log_dir="logs",
        histogram_freq=0,
        write_graph=True,
        write_images=False,
        write_steps_per_second=False,
        update_freq="epoch",
        profile_batch=0,
        embeddings_freq=0,
        embeddings_metadata=None,
    ):
        super().__init__()
        if update_freq not in ("epoch", "batch") and (not isinstance(update_freq, int) or update_freq < 1):
            raise ValueError(f"TensorBoard: `update_freq` must be 'epoch', 'batch' or a number of batches; received update_freq={update_freq!r}.")
        self.log_dir = os.fspath(log_dir)
        self.histogram_freq = histogram_freq
        self.write_steps_per_second = write_steps_per_second
        self.update_freq = 1 if update_freq == "batch" else update_freq
        self._files: dict[str, EventFile] = {}
        self._steps = 0

    def _needs_batches(self, mode: str) -> bool:
        return (mode == "train" and self.update_freq != "epoch") or self._overrides(mode, TensorBoard)

    def _file(self, name: str) -> EventFile:
        if name not in self._files:
            self._files[name] = EventFile(os.path.join(self.log_dir, name))
        return self._files[name]

    def on_train_begin(self, logs=None):
        self._steps = 0

    def on_epoch_begin(self, epoch, logs=None):
        self._started, self._first_step = time.time(), self._iterations()

    def on_train_batch_end(self, batch, logs=None):
        if self.update_freq == "epoch":
            return
        self._steps += 1
        if self._steps % self.update_freq == 0:
            for name, value in (logs or {}).items():
                self._file("train").scalar(f"batch_{name}", value, self._steps)

    def on_epoch_end(self, epoch, logs=None):
        logs = dict(logs or {})
        if self.write_steps_per_second:
            logs["steps_per_second"] = (self._iterations() - self._first_step) / max(time.time() - self._started, 1e-9)
        for name, value in logs.items():
            part, short = ("validation", name[4:]) if name.startswith("val_") else ("train", name)
            if np.ndim(value) == 0:
                self._file(part).scalar(f"epoch_{short}", value, epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            for weight in self.model.weights:
                self._file("train").histogram(weight.path, weight.numpy(), epoch)
        for file in self._files.values():
            file.flush()

    def on_train_end(self, logs=None):
        for file in self._files.values():
            file.close()
        self._files.clear()

    def _iterations(self) -> int:
        optimizer = self.model.optimizer
        return 0 if optimizer is None else int(optimizer.iterations)


class EventFile:
    """An event file: records of serialized `Event` messages, each guarded by checksums."""

    def __init__(self, directory: str):
        os.makedirs(directory, exist_ok=True)
        now = time.time()
        self._file = open(os.path.join(directory, f"events.out.tfevents.{int(now)}.{socket.gethostname()}.{os.getpid()}.{time.monotonic_ns()}"), "wb")
        self._write(_double(1, now) + _bytes(3, b"brain.Event:2"))

    def scalar(self, tag: str, value: float, step: int) -> None:
        self._summary(step, _bytes(1, tag.encode()) + _float(2, float(value)))

    def histogram(self, tag: str, values: np.ndarray, step: int) -> None:
        values = np.asarray(values, "float64").reshape(-1)
        counts, edges = np.histogram(values, bins=30)
        message = b"".join(
            (
                _double(1, values.min()),
                _double(2, values.max()),
                _double(3, values.size),
                _double(4, values.sum()),
                _double(5, np.square(values).sum()),
                _bytes(6, edges[1:].astype("<f8").tobytes()),
                _bytes(7, counts.astype("<f8").tobytes()),
            )
        )
        self._summary(step, _bytes(1, tag.encode()) + _bytes(5, message))

    def _summary(self, step: int, value: bytes) -> None:
        self._write(_double(1, time.time()) + b"\x10" + _varint(step) + _bytes(5, _bytes(1, value)))

    def _write(self, event: bytes) -> None:
        length = struct.pack("<Q", len(event))
        self._file.write(length + struct.pack("<I", _masked_crc(length)) + event + struct.pack("<I", _masked_crc(event)))

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _double(field: int, value: float) -> bytes:
    return _varint(field << 3 | 1) + struct.pack("<d", value)


def _float(field: int, value: float) -> bytes:
    return _varint(field << 3 | 5) + struct.pack("<f", value)


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)  # CRC-32C, bits reversed
        table.append(byte)
    return table


_TABLE = _crc_table()


def _masked_crc(data: bytes) -> int:
    """The checksum of the record format: CRC-32C, rotated and shifted so that checksums of checksums differ."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
