"""Weights made from names, the same in Python (here) and TypeScript (hash-weights.ts), so that goldens need not carry them.

    seed    = FNV-1a over the UTF-8 bytes of the tensor's name, 32 bit
    h(i)    = murmur3 finaliser of (seed + i * 0x9E3779B9) mod 2^32, i = flat row-major index
    u(i)    = (h(i) >> 8) / 2^23 - 1                                     in [-1, 1), exact in float32
    value   = float32(offset + scale * u(i)), computed in float64

with scale and offset by name:

    *.bias                                         scale 0.1            offset 0
    *norm.weight, *_ln.weight, *layernorm.weight   scale 0.1            offset 1
    eos_head.weight                                scale 0.5 * sqrt(3 / C)
    model.embed_tokens.weight                      scale sqrt(3)
    any other [out, in]                            scale sqrt(3 / in)

A golden may multiply the scale of tensors that it names by gains.
"""

import numpy as np
import torch


def fnv1a(name: str) -> int:
    h = 0x811C9DC5
    for byte in name.encode():
        h = ((h ^ byte) * 0x01000193) & 0xFFFFFFFF
    return h


def hash_uniform(name: str, count: int) -> np.ndarray:
    """[count] float64 in [-1, 1)."""
    x = np.arange(count, dtype=np.uint32) * np.uint32(0x9E3779B9) + np.uint32(fnv1a(name))
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x85EBCA6B)
    x ^= x >> np.uint32(13)
    x *= np.uint32(0xC2B2AE35)
    x ^= x >> np.uint32(16)
    return (x >> np.uint32(8)).astype(np.float64) / 2**23 - 1


def scale_and_offset(name: str, shape):
    if name.endswith(".bias"):
        return 0.1, 0.0
    if name.endswith(("norm.weight", "_ln.weight")):
        return 0.1, 1.0
    if name == "eos_head.weight":
        return 0.5 * (3 / shape[1]) ** 0.5, 0.0
    if name == "model.embed_tokens.weight":
        return 3**0.5, 0.0
    return (3 / shape[1]) ** 0.5, 0.0


def fill(model, gains={}) -> None:
    """Overwrites every parameter of the released model by hashed values; gains by tensor name."""
    with torch.no_grad():
        for name, p in model.named_parameters():
            scale, offset = scale_and_offset(name, p.shape)
            values = (offset + gains.get(name, 1.0) * scale * hash_uniform(name, p.numel())).astype(np.float32)
            p.copy_(torch.from_numpy(values).reshape(p.shape))
