"""Writes log-mel.json: log-mel frames of a fixed signal by torch.stft, with the filter bank built the slow way.

Run with torch 2.x and numpy: python log-mel.py > log-mel.json
"""

import json

import numpy as np
import torch

SAMPLE_RATE, FFT, HOP, BINS, TOP, FLOOR = 8000, 256, 60, 20, 4000.0, 1e-4
frequencies = np.linspace(0, SAMPLE_RATE / 2, FFT // 2 + 1)
to_mel = lambda f: 2595 * np.log10(1 + f / 700)
to_hertz = lambda m: 700 * (10 ** (m / 2595) - 1)
corners = to_hertz(np.linspace(0, to_mel(TOP), BINS + 2))
bank = np.stack(
    [
        np.clip(
            np.minimum(
                (frequencies - corners[i]) / (corners[i + 1] - corners[i]),
                (corners[i + 2] - frequencies) / (corners[i + 2] - corners[i + 1]),
            ),
            0,
            None,
        )
        for i in range(BINS)
    ]
)
bank = torch.tensor(bank / np.maximum(bank.sum(1, keepdims=True), 1e-6))
n = np.arange(960)
samples = 0.4 * np.sin(2 * np.pi * 440 * n / SAMPLE_RATE) * (n < 700) + 0.1 * np.sin(n * n / 500)
samples = torch.tensor(samples.round(6))
window = torch.hann_window(FFT, dtype=torch.float64)
spectrum = torch.stft(samples, FFT, HOP, window=window, center=True, return_complex=True).abs()
frames = (bank @ (spectrum / window.pow(2).sum().sqrt()) + FLOOR).log().T[:-1]
print(json.dumps({"samples": samples.tolist(), "frames": [[round(v, 6) for v in row] for row in frames.tolist()]}))
