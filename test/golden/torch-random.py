"""Golden samples of PyTorch's CPU generator.

    python torch-random.py                # torch 2.5.1 on a CPU with AVX2; writes torch-random.safetensors

Draws in the order of their names, SEED.INDEX.KIND.SIZE, from one generator seeded by torch.manual_seed(SEED); float32 [SIZE].
The order leaves a cached normal of the double path behind in several places.
"""

import pathlib

import torch
from safetensors.torch import save_file

DRAWS = [("randn", n) for n in (1, 15, 16, 17, 128, 129, 3, 128, 1, 2, 1000)]
DRAWS[4:4] = [("rand", 1), ("rand", 17)]
out = {}
for seed in (0, 42, 4294967295):
    torch.manual_seed(seed)
    for index, (kind, size) in enumerate(DRAWS):
        out[f"{seed}.{index:02}.{kind}.{size}"] = getattr(torch, kind)(size)
save_file(out, pathlib.Path(__file__).parent / "torch-random.safetensors")
