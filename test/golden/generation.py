"""Golden latents of generation, from the released code.

    python generation.py SLED_CHECKOUT [CASE...]        # torch 2.5.1, transformers 4.47.0, CPU, float32; writes generation/

generation/configs.json: the configs by name, in the released keys. generation/cases.json: a case's config, mode (offline, stream,
clone, batch), seed, guidance, maxFrames (frames allowed after the prompt; streaming: in all) and `stopped`: whether the
end-of-speech score ended it. Weights: hash_weights.py / hash-weights.ts, but for eos_head.weight, which each case carries. One
safetensors file a case; L text tokens, P prompt frames, T frames, D latent channels, C width, B rows:

    input_ids        int32 [L] (batch: [B, L], padded on the left with 1)
    latents          [T, D] (batch: [B, T, D])   drawn after the prompt, the frame of the stopping step included
    scores           [T] (batch: [B, T])         end-of-speech logits on the conditional row
    eos_head.weight  [1, C]
    prompt           [P, D]                      clone only
    mask             int32 [B, L]                batch only

A seed and an end-of-speech weight are searched with which the case ends as it should, and no score lies within 0.01 of its
threshold.
"""

import json
import pathlib
import sys
import warnings

sys.path.insert(0, sys.argv[1])
warnings.filterwarnings("ignore")
import torch
from safetensors.torch import save_file
from transformers import logging
from sled import sled, sled_stream
from hash_weights import fill, hash_uniform

logging.set_verbosity_error()
torch.set_num_threads(1)  # the sums of tiny products do not depend on it, their time does
OUT = pathlib.Path(__file__).parent / "generation"
COMMON = dict(max_position_embeddings=256, rms_norm_eps=1e-6, training_cfg=0.1, bos_token_id=0, pad_token_id=None, eos_token_id=2)
CONFIGS = {
    "even": dict(vocab_size=40, hidden_size=64, intermediate_size=176, num_hidden_layers=2, num_attention_heads=4, vae_embed_dim=32,
                 diffloss_d=2, diffloss_w=64, noise_channels=32, **COMMON),
    "odd": dict(vocab_size=37, hidden_size=72, intermediate_size=100, num_hidden_layers=3, num_attention_heads=3, vae_embed_dim=12,
                diffloss_d=3, diffloss_w=40, noise_channels=9, **COMMON),
}
for name, config in list(CONFIGS.items()):
    CONFIGS[f"{name}-stream"] = {**config, "stream_n": 5, "stream_m": 7}
LOGIT = {sled: 1.3862944, sled_stream: 0.0}  # where the sigmoid reaches 0.8 and 0.5
GAP = 2.0


def text(case, length, vocab):
    return [0, *(4 + ((hash_uniform(f"{case}.text", length - 2) + 1) / 2 * (vocab - 4)).astype(int)).tolist(), 2]


def build(module, config, gains={}):
    model = module.SpeechLlamaForCausalLM(module.SpeechLlamaConfig(**config)).eval()
    fill(model, gains)
    return model


def run(model, mode, ids, mask, prompt, guidance, seed, frames):
    """latents [B, T, D] after the prompt, scores [B, T]"""
    model.infer_cfg = guidance
    scores = []
    hook = model.eos_head.register_forward_hook(lambda _, __, out: scores.append(out[:, 0]))
    arguments = dict(input_ids=ids, do_sample=True, max_length=frames if mode == "stream" else ids.shape[1] + frames)
    if mode == "batch":
        arguments["attention_mask"] = mask
    if mode == "clone":
        full = torch.ones(1, ids.shape[1] + prompt.shape[1], dtype=torch.long)
        arguments.update(inputs_embeds=prompt, attention_mask=full, max_length=ids.shape[1] + prompt.shape[1] + frames)
    torch.manual_seed(seed)
    latents = model.generate(**arguments)[1]
    hook.remove()
    return latents[:, prompt.shape[1] if mode == "clone" else 0:], torch.stack(scores, dim=1)


def solve(states, logits):
    """The smallest weight [1, C] with which each sequence of hidden states [T, C] scores GAP below its logit, and at its end GAP above."""
    wanted = torch.cat([torch.full((len(s),), logit - GAP) for s, logit in zip(states, logits)]).double()
    ends = torch.tensor([len(s) for s in states]).cumsum(0) - 1
    wanted[ends] += 2 * GAP
    return (torch.linalg.pinv(torch.cat(states).double()) @ wanted).float()[None]


def end_of_speech_weight(model, case, mode, ids, mask, prompt, guidance, low):
    """Hashed, plus what makes the mean hidden state's logit -low."""
    states = []
    model.eos_head.weight.data.zero_()
    if mode == "stream":
        raised = model.eos_head.register_forward_hook(lambda _, __, out: out - 1)
    hook = model.eos_head.register_forward_hook(lambda _, inputs, __: states.append(inputs[0]))
    run(model, mode, ids, mask, prompt, guidance, 0, 50)
    hook.remove()
    if mode == "stream":
        raised.remove()
    mean = torch.cat(states).mean(0)
    hashed = torch.from_numpy(hash_uniform(f"{case}.eos", mean.numel())).float() * (3 / mean.numel()) ** 0.5
    return (hashed - (low + hashed @ mean) * mean / mean.square().sum())[None]


def make(case, config_name, mode, length, guidance, frames, ends, prompt_frames=0, seed_from=0):
    """`ends(T, stopped)` says whether a run is the one looked for."""
    config = CONFIGS[config_name]
    module = sled_stream if mode == "stream" else sled
    model = build(module, config)
    lengths = length if mode == "batch" else [length]
    rows = [text(f"{case}.{b}", n, config["vocab_size"]) for b, n in enumerate(lengths)]
    L = max(lengths)
    ids = torch.tensor([[1] * (L - len(r)) + r for r in rows])
    mask = torch.tensor([[0] * (L - len(r)) + [1] * len(r) for r in rows])
    D = config["vae_embed_dim"]
    prompt = torch.from_numpy(hash_uniform(f"{case}.prompt", prompt_frames * D)).float().reshape(1, prompt_frames, D)
    for trial in range(400):
        seed, low = seed_from + trial // 20, 0.15 * (trial % 20)
        weight = end_of_speech_weight(model, case, mode, ids, mask, prompt, guidance, low)
        model.eos_head.weight.data.copy_(weight)
        latents, scores = run(model, mode, ids, mask, prompt, guidance, seed, frames)
        stopped = bool((scores[:, -1] >= LOGIT[module]).any())
        if (scores - LOGIT[module]).abs().min() > 0.01 and ends(latents.shape[1], scores, stopped):
            break
    else:
        raise SystemExit(f"{case}: no seed ends it as asked")
    tensors = {"input_ids": ids.int() if mode == "batch" else ids[0].int(), "latents": latents if mode == "batch" else latents[0],
               "scores": scores if mode == "batch" else scores[0], "eos_head.weight": weight}
    if mode == "clone":
        tensors["prompt"] = prompt[0]
    if mode == "batch":
        tensors["mask"] = mask.int()
    save_file({k: v.clone().contiguous() for k, v in tensors.items()}, OUT / f"{case}.safetensors")
    print(case, "seed", seed, "frames", latents.shape[1], "stopped", stopped, "std %.3f" % latents.std())
    return {"config": config_name, "mode": mode, "seed": seed, "guidance": guidance, "maxFrames": frames, "stopped": stopped}


ENDS = {  # frames drawn T, scores [B, T], whether the score ended it
    "by itself": lambda T, s, stopped: stopped and 15 <= T <= 60,
    "by the limit": lambda T, s, stopped: not stopped,
    "one row early": lambda T, s, stopped: 20 <= T <= 45 and (s >= LOGIT[sled]).any(1).all() and (s[:, : T - 5] >= LOGIT[sled]).any(),
    "before the text": lambda T, s, stopped: stopped and 10 <= T <= 20,
}
CASES = {
    "offline-limit": ("even", "offline", 12, 1.0, 40, ENDS["by the limit"], 0, 42),
    "offline-stop": ("even", "offline", 17, 2.0, 60, ENDS["by itself"]),
    "offline-odd": ("odd", "offline", 9, 2.5, 60, ENDS["by itself"]),
    "offline-batch": ("even", "batch", [11, 6], 2.0, 60, ENDS["one row early"]),
    "stream-stop": ("even-stream", "stream", 23, 2.0, 90, lambda T, s, stopped: stopped and 33 <= T <= 60),
    "stream-single": ("even-stream", "stream", 16, 1.0, 90, ENDS["by itself"]),
    "stream-odd": ("odd-stream", "stream", 15, 3.0, 90, ENDS["by itself"]),
    "stream-early": ("even-stream", "stream", 40, 2.0, 90, ENDS["before the text"]),
    "clone-stop": ("even", "clone", 14, 2.0, 60, ENDS["by itself"], 11),
}
if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    (OUT / "configs.json").write_text(json.dumps(CONFIGS, indent=2) + "\n")
    index = OUT / "cases.json"
    cases = json.loads(index.read_text()) if index.exists() else {}
    with torch.no_grad():
        for name in sys.argv[2:] or CASES:
            cases[name] = make(name, *CASES[name])
            index.write_text(json.dumps(cases, indent=2) + "\n")
