"""Golden codes and sound of EnCodec, from Hugging Face's EncodecModel.

    python encodec.py [CONFIG...]        # torch 2.5.1, transformers 4.47.0, CPU, float32; writes encodec/

encodec/CONFIG.json: the config as save_pretrained writes it. encodec/CONFIG.names.json: names and shapes of its state_dict.
encodec/CONFIG.safetensors, by case; N samples, T frames, K codebooks, D latent channels:

    decode.T.samples      [T * hop]                           of latents [T, D] hashed from `latents.T`
    encode.N.codes        int32 [K, ceil(N / hop)]           of 0.5 * sin(n * n / 5000) + 0.2 * (hashed from `samples.N`)
    encode.N.latents      [ceil(N / hop), D]                  sums of the codes' vectors; of the small codecs, since they are large

Inputs are not in the file: both languages make them. Weights are
hashed by hash_weights.py's rule with a scale and an offset by name:

    *.bias, *.bias_ih_l*, *.bias_hh_l*     0.1, 0
    *original0 (magnitudes)                0.2, 1.1
    *codebook.embed                        0.8 * 0.75 ** index, 0
    any other                              1 / sqrt(product of all dimensions but the first) * sqrt(3), 0
"""

import json
import pathlib
import re
import sys
import warnings

warnings.filterwarnings("ignore")
import numpy as np
import torch
from safetensors.torch import save_file
from transformers import EncodecConfig, EncodecModel
from hash_weights import hash_uniform

torch.set_num_threads(1)
OUT = pathlib.Path(__file__).parent / "encodec"
CONFIGS = {
    "tiny": (dict(num_filters=4, hidden_size=12, upsampling_ratios=[4, 3, 2], codebook_size=32, sampling_rate=1800),
             [1, 3, 6, 7, 20], [1, 5, 24, 47, 100, 168, 481, 490]),
    # no 75 frames, dilations, no shortcut, even kernels, other widths
    "odd": (dict(num_filters=6, hidden_size=10, upsampling_ratios=[2, 5], codebook_size=16, sampling_rate=800, kernel_size=4,
                 last_kernel_size=5, residual_kernel_size=5, num_residual_layers=2, dilation_growth_rate=3, compress=4,
                 num_lstm_layers=1, use_conv_shortcut=False),
            [1, 2, 3, 4, 9, 33], [1, 3, 9, 10, 11, 29, 64, 333]),
    "24khz": (dict(), [4, 12, 40], [640 + 7, 320 * 9, 24_000]),
}


def scale_and_offset(name, shape):
    if "bias" in name.rsplit(".", 1)[-1]:
        return 0.1, 0.0
    if name.endswith("original0"):
        return 0.2, 1.1
    if name.endswith("codebook.embed"):
        return 0.8 * 0.75 ** int(re.search(r"layers\.(\d+)", name)[1]), 0.0
    return (3 / np.prod(shape[1:])) ** 0.5, 0.0


def hashed(name, shape):
    scale, offset = scale_and_offset(name, shape)
    return torch.from_numpy((offset + scale * hash_uniform(name, int(np.prod(shape)))).astype(np.float32)).reshape(shape)


def signal(count):
    n = np.arange(count, dtype=np.float64)
    return torch.from_numpy((0.5 * np.sin(n * n / 5000) + 0.2 * hash_uniform(f"samples.{count}", count)).astype(np.float32))


def smallest_margin(model, embeddings, count):
    """The least gap between the nearest and the next vector, over the distance."""
    least, residual = 1.0, embeddings[0].T
    for layer in model.quantizer.layers[:count]:
        distance = torch.cdist(residual.double(), layer.codebook.embed.double()) ** 2
        two, index = distance.topk(2, largest=False)
        least = min(least, ((two[:, 1] - two[:, 0]) / two[:, 1]).min().item())
        residual = residual - layer.codebook.embed[index[:, 0]]
    return least


def build(name):
    model = EncodecModel(EncodecConfig(**CONFIGS[name][0])).eval()
    with torch.no_grad():
        for key, p in [*model.named_parameters(), *model.named_buffers()]:
            if p.requires_grad or key.endswith(".embed"):
                p.copy_(hashed(key, p.shape))
    return model


def make(name, decodes, encodes):
    model = build(name)
    (OUT / f"{name}.json").write_text(model.config.to_json_string(use_diff=False))
    names = {k: list(v.shape) for k, v in model.state_dict().items()}
    (OUT / f"{name}.names.json").write_text(json.dumps(names, separators=(",", ":")) + "\n")
    D, tensors = model.config.hidden_size, {}
    for T in decodes:
        latents = torch.from_numpy(hash_uniform(f"latents.{T}", T * D).astype(np.float32)).reshape(T, D)
        samples = model.decoder(latents.T[None])[0, 0]
        tensors[f"decode.{T}.samples"] = samples
        print(name, "decode", T, "std %.3f" % samples.std(), "max %.3f" % samples.abs().max())
    for N in encodes:
        embeddings = model.encoder(signal(N)[None, None])
        codes = model.quantizer.encode(embeddings, 6.0)[:, 0]
        latents = model.quantizer.decode(codes[:, None])[0].T
        tensors[f"encode.{N}.codes"] = codes.int()
        if D < 128:
            tensors[f"encode.{N}.latents"] = latents
        print(name, "encode", N, "std %.3f" % embeddings.std(), "codes", list(codes.shape), "distinct", codes.unique().numel(),
              "margin %.1e" % smallest_margin(model, embeddings, len(codes)), "left %.3f" % (embeddings[0].T - latents).std())
    save_file({k: v.contiguous().clone() for k, v in tensors.items()}, OUT / f"{name}.safetensors")


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    with torch.no_grad():
        for name in sys.argv[1:] or CONFIGS:
            make(name, *CONFIGS[name][1:])
