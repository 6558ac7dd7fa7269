"""MelSpectrogram: sound as an image of loudness by pitch and time."""

from __future__ import annotations

import numpy as np

from nnlite import ops
from nnlite.layers._arguments import positive_int
from nnlite.layers.layer import Layer


def mel_matrix(bands: int, bins: int, sampling_rate: float, low: float, high: float) -> np.ndarray:
    """[bins, bands]: triangular weights of frequencies, their corners evenly spaced on the mel scale 1127 ln(1 + hertz / 700)."""

    def mel(hertz):
        return 1127.0 * np.log1p(np.asarray(hertz) / 700.0)

    corners = np.linspace(mel(low), mel(high), bands + 2)
    pitches = mel(np.linspace(0.0, sampling_rate / 2.0, bins))[:, None]
    left, middle, right = corners[:-2], corners[1:-1], corners[2:]
    weights = np.maximum(np.minimum((pitches - left) / (middle - left), (right - pitches) / (right - middle)), 0.0)
    weights[0] = 0.0  # the constant part of the signal has no pitch
    return weights


class MelSpectrogram(Layer):
    """Waveforms [time] or [batch, time] to mel spectrograms [(batch,) num_mel_bins, frames].

    Args:
        fft_length: Points of a Fourier transform.
        sequence_stride: Points between frames.
        sequence_length: Points of a frame; `fft_length` by default.
        window: "hann", "hamming" or None.
        sampling_rate: Points per second.
        num_mel_bins: Number of pitch bands.
        min_freq, max_freq: Lowest and highest frequency in hertz; the highest is half the sampling rate by default.
        power_to_db: Whether powers become decibels.
        top_db: Decibels this far below the loudest of the same waveform are raised to there.
        mag_exp: Exponent of the magnitudes, 2 for powers.
        min_power: Smallest power before the logarithm.
        ref_power: Power that has 0 decibels.

    >>> import numpy as np
    >>> MelSpectrogram(num_mel_bins=64, sampling_rate=8000, sequence_stride=256)(np.ones((2, 2048))).shape
    (2, 64, 9)
    """

    def __init__(
        self,
        fft_length=2048,
        sequence_stride=512,
        sequence_length=None,
        window="hann",
        sampling_rate=16000,
        num_mel_bins=128,
        min_freq=20.0,
        max_freq=None,
        power_to_db=True,
        top_db=80.0,
        mag_exp=2.0,
        min_power=1e-10,
        ref_power=1.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.fft_length = positive_int(fft_length, "fft_length", "MelSpectrogram")
        self.sequence_stride = positive_int(sequence_stride, "sequence_stride", "MelSpectrogram")
        self.sequence_length = positive_int(sequence_length or fft_length, "sequence_length", "MelSpectrogram")
        self.window = window
        self.sampling_rate = sampling_rate
        self.num_mel_bins = positive_int(num_mel_bins, "num_mel_bins", "MelSpectrogram")
        self.min_freq = min_freq
        self.max_freq = max_freq or int(sampling_rate / 2)
        if not 0 <= self.min_freq < self.max_freq:
            raise ValueError(f"MelSpectrogram takes 0 <= min_freq < max_freq. Received: min_freq={min_freq}, max_freq={self.max_freq}")
        self.power_to_db, self.top_db = power_to_db, top_db
        self.mag_exp, self.min_power, self.ref_power = mag_exp, min_power, ref_power
        self._build_at_init()

    def call(self, inputs):
        if len(inputs.shape) not in (1, 2):
            raise ValueError(
                f"MelSpectrogram {self.name!r} takes waveforms [time] or [batch, time]; received shape {tuple(inputs.shape)}. Take one channel."
            )
        x = ops.cast(inputs, self.compute_dtype)
        real, imaginary = ops.stft(x, self.sequence_length, self.sequence_stride, self.fft_length, window=self.window, center=True)
        power = ops.power(ops.sqrt(ops.square(real) + ops.square(imaginary)), self.mag_exp)
        weights = mel_matrix(self.num_mel_bins, self.fft_length // 2 + 1, self.sampling_rate, self.min_freq, self.max_freq)
        bands = ops.matmul(power, weights.astype(x.dtype))
        return ops.swapaxes(self._decibels(bands) if self.power_to_db else bands, -1, -2)

    def _decibels(self, power):
        level = 10.0 * ops.log10(ops.maximum(power, self.min_power)) - 10.0 * float(np.log10(max(abs(self.ref_power), self.min_power)))
        return ops.maximum(level, ops.max(level, axis=(-2, -1), keepdims=True) - self.top_db)

    def compute_output_shape(self, input_shape):
        time = input_shape[-1]
        frames = None if time is None else 1 + (time + self.fft_length // 2 * 2 - self.fft_length) // self.sequence_stride
        return (*input_shape[:-1], self.num_mel_bins, frames)

    def get_config(self) -> dict:
        names = (
            "fft_length sequence_stride sequence_length window sampling_rate num_mel_bins min_freq max_freq power_to_db top_db mag_exp min_power "
            "ref_power"
        )
        return {**super().get_config(), **{name: getattr(self, name) for name in names.split()}}
