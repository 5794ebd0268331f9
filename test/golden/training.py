"""Golden numbers of training, from the released code.

    python training.py SLED_CHECKOUT        # torch 2.5.1, transformers 4.47.0; writes training/*.safetensors and training/config.json

config.json: the config shared by all cases, in the released keys. Weights: hash_weights.py / hash-weights.ts, eos gain 0.5; no
modulation is zero (except in `initial`). One file a case; float32 unless said otherwise; B batch, L text tokens, T frames, D latent
channels, N noise channels, C width, S = L + T.

    input_ids       int32 [B, L]     text_mask  int32 [B, L]      1 real, 0 padding (before guidance dropout)
    latents         [B, T, D]        frame_mask int32 [B, T]      1 real, 0 padding
    noise_a/noise_b [B * T, N]       first and second draw, batch-major, padded slots included
    hidden          [B, S, C]        final RMSNorm's output at every position of the released layout, padding included
    energy, eos, total [1]           total = energy + eos
    dropped         int32 [1]        1 where guidance dropout took the text of every sample
    grad.NAME       NAME's shape     gradient of total; absent in the cases that only pin values

    offline-one, offline-two (equal lengths), interleaved-one, interleaved-two (equal lengths): with gradients.
    offline-uneven (text padded left, frames right), offline-dropped, interleaved-dropped, interleaved-short (frames end
    before the text does): values only.
    initial: the released initial values, as the class makes them after torch.manual_seed(0), stored in
    initial-parameters.safetensors by NAME; a batch as in offline-two; gradients.
    adamw: ten steps on offline-two's batch from the hashed weights: AdamW 5e-4, betas 0.9/0.999, eps 1e-8, weight decay 0.01 on
    everything but norms and biases, total gradient norm clipped to 1, no warm-up. noise_a/noise_b are [10, B * T, N], losses
    [10] the totals before each step, norms [10] the gradient norms before clipping, update.NAME = parameter after ten steps minus before.
"""

import json
import pathlib
import sys
from types import SimpleNamespace

sys.path.insert(0, sys.argv[1])
import torch
from safetensors.torch import save_file
from transformers.trainer_pt_utils import get_parameter_names
from transformers.pytorch_utils import ALL_LAYERNORM_LAYERS
from sled import sled, sled_stream
from hash_weights import fill, hash_uniform

OUT = pathlib.Path(__file__).parent / "training"
CONFIG = dict(
    vocab_size=20, hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=3, max_position_embeddings=128,
    rms_norm_eps=1e-6, vae_embed_dim=12, diffloss_d=2, diffloss_w=16, noise_channels=10, training_cfg=0.0, stream_n=3, stream_m=4,
    bos_token_id=0, pad_token_id=None, eos_token_id=2,
)


def build(module, **changes):
    torch.manual_seed(0)
    model = module.SpeechLlamaForCausalLM(module.SpeechLlamaConfig(**{**CONFIG, **changes}))
    return model.eval()


def batch(text_lengths, frame_lengths, module):
    """Token ids and latents by hash; text padded left (offline) or right (interleaved), frames right."""
    B, L, T, D = len(text_lengths), max(text_lengths), max(frame_lengths), CONFIG["vae_embed_dim"]
    ids, text_mask = torch.full((B, L), 1, dtype=torch.long), torch.zeros((B, L), dtype=torch.long)
    frame_mask = torch.zeros((B, T), dtype=torch.long)
    for b, (n, t) in enumerate(zip(text_lengths, frame_lengths)):
        body = 4 + ((hash_uniform(f"text.{b}", n - 2) + 1) / 2 * (CONFIG["vocab_size"] - 4)).astype(int)
        slot = slice(L - n, L) if module is sled else slice(0, n)
        ids[b, slot] = torch.tensor([0, *body.tolist(), 2])
        text_mask[b, slot] = 1
        frame_mask[b, :t] = 1
    latents = torch.from_numpy(hash_uniform("latents", B * T * D)).float().reshape(B, T, D) * frame_mask[..., None]
    return ids, text_mask, latents, frame_mask


def stub_codec(model, latents):
    """The released forward encodes audio; here its codec returns the given latents."""
    model.codec = SimpleNamespace(
        encode=lambda *_, **__: SimpleNamespace(audio_codes=[torch.zeros(1, 1, 1)]),
        quantizer=SimpleNamespace(decode=lambda _: latents.transpose(1, 2)),
    )


class Recorder:
    """Keeps noises, hidden states and both losses of one forward pass."""

    def __init__(self, model):
        self.noises, self.bce = [], None
        model.model.register_forward_hook(lambda _, __, out: setattr(self, "hidden", out[0]))
        model.scoreloss.register_forward_hook(lambda _, __, out: setattr(self, "energy", out))
        model.bceloss.register_forward_hook(lambda _, __, out: setattr(self, "bce", out))

    def run(self, model, ids, text_mask, latents, frame_mask):
        self.noises = []
        stub_codec(model, latents)
        audio = {"input_values": None, "padding_mask": frame_mask.repeat_interleave(320, dim=1)}
        draw = torch.randn
        torch.randn = lambda *a, **k: self.noises.append(draw(*a, **k)) or self.noises[-1]
        try:
            total = model(input_ids=ids.clone(), attention_mask=text_mask.clone(), audio_inputs=audio).loss
        finally:
            torch.randn = draw
        mask = torch.cat([torch.ones(len(ids), 1), frame_mask], dim=1)
        self.eos = (self.bce * mask).sum() / mask.sum()
        return total


def save(name, tensors):
    ready = {k: (v.detach().to(torch.int32) if v.dtype == torch.long else v.detach()).clone().contiguous() for k, v in tensors.items()}
    save_file(ready, OUT / f"{name}.safetensors")
    print(name, sum(v.numel() for v in ready.values()) * 4 // 1024, "KB", {k: ready[k].item() for k in ("energy", "eos", "total") if k in ready})


def gradients(model):
    return {f"grad.{n}": p.grad for n, p in model.named_parameters()}


def one_case(name, module, text_lengths, frame_lengths, with_gradients=False, dropped=False, initial=False):
    model = build(module, training_cfg=0.5 if dropped else 0.0)
    if initial:
        save("initial-parameters", dict(model.named_parameters()))
    else:
        fill(model)
    data = batch(text_lengths, frame_lengths, module)
    recorder = Recorder(model)
    rand = torch.rand
    torch.rand = lambda *a, **k: torch.zeros(*a, **k)  # below any dropout rate: every sample is dropped
    torch.manual_seed(1)
    total = recorder.run(model, *data)
    torch.rand = rand
    total.backward()
    ids, text_mask, latents, frame_mask = data
    save(name, dict(
        input_ids=ids, text_mask=text_mask, latents=latents, frame_mask=frame_mask, dropped=torch.tensor([int(dropped)]),
        noise_a=recorder.noises[0], noise_b=recorder.noises[1], hidden=recorder.hidden,
        energy=recorder.energy.reshape(1), eos=recorder.eos.reshape(1), total=total.reshape(1),
        **(gradients(model) if with_gradients else {}),
    ))


def adamw():
    model = build(sled)
    fill(model)
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    decayed = [n for n in get_parameter_names(model, ALL_LAYERNORM_LAYERS) if "bias" not in n]
    groups = [
        {"params": [p for n, p in model.named_parameters() if n in decayed], "weight_decay": 0.01},
        {"params": [p for n, p in model.named_parameters() if n not in decayed], "weight_decay": 0.0},
    ]
    assert not [n for n in decayed if "norm" in n or "_ln" in n], "norms must not decay"
    optimizer = torch.optim.AdamW(groups, lr=5e-4, betas=(0.9, 0.999), eps=1e-8)
    data = batch([7, 7], [9, 9], sled)
    recorder = Recorder(model)
    torch.manual_seed(2)
    a, b, losses, norms = [], [], [], []
    for _ in range(10):
        total = recorder.run(model, *data)
        optimizer.zero_grad()
        total.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0))
        optimizer.step()
        a.append(recorder.noises[0])
        b.append(recorder.noises[1])
        losses.append(total)
    ids, text_mask, latents, frame_mask = data
    updates = {f"update.{n}": p.detach() - before[n] for n, p in model.named_parameters()}
    save("adamw", dict(input_ids=ids, text_mask=text_mask, latents=latents, frame_mask=frame_mask, noise_a=torch.stack(a),
                       noise_b=torch.stack(b), losses=torch.stack(losses), norms=torch.stack(norms), **updates))


OUT.mkdir(exist_ok=True)
(OUT / "config.json").write_text(json.dumps(CONFIG, indent=2) + "\n")
one_case("offline-one", sled, [7], [9], with_gradients=True)
one_case("offline-two", sled, [7, 7], [9, 9], with_gradients=True)
one_case("offline-uneven", sled, [7, 4], [6, 9])
one_case("offline-dropped", sled, [7], [9], dropped=True)
one_case("interleaved-one", sled_stream, [8], [13], with_gradients=True)
one_case("interleaved-two", sled_stream, [8, 8], [13, 13], with_gradients=True)
one_case("interleaved-dropped", sled_stream, [8], [13], dropped=True)
one_case("interleaved-short", sled_stream, [11], [6])
one_case("initial", sled, [7, 7], [9, 9], with_gradients=True, initial=True)
adamw()
