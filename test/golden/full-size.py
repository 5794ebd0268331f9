"""Golden latents of the released code at full size: 1024 wide, 12 layers, energy head 6 deep.

    python full-size.py SLED_CHECKOUT        # torch 2.5.1, transformers 4.47.0, CPU, float32; writes full-size/, a few minutes

full-size/cases.json and one safetensors file a case, as generation.py documents them, but for the end-of-speech weight: one for
all cases, full-size/eos-head.safetensors [1, C]. It does not change what is drawn, so every case is run without it, a weight is
solved for with which each ends where ENDS has it (scores -GAP before, +GAP there, about the case's threshold), and every
case is run again with it.
"""

import json
import pathlib
import sys

import torch
from safetensors.torch import save_file
from generation import LOGIT, build, run, sled, sled_stream, text
from hash_weights import hash_uniform

OUT = pathlib.Path(__file__).parent / "full-size"
CONFIG = dict(vocab_size=16384, hidden_size=1024, intermediate_size=2752, num_hidden_layers=12, num_attention_heads=16, vae_embed_dim=128,
              diffloss_d=6, diffloss_w=1024, noise_channels=128, max_position_embeddings=2048, rms_norm_eps=1e-6, training_cfg=0.1,
              bos_token_id=0, pad_token_id=None, eos_token_id=2)
CONFIGS = {"full": CONFIG, "full-stream": {**CONFIG, "stream_n": 5, "stream_m": 45}}
GAP = 2.0
CASES = {  # config, mode, text tokens, guidance, seed, frames drawn until the score stops it, prompt frames
    "full-offline": ("full", "offline", 31, 2.0, 42, 201, 0),
    "full-stream": ("full-stream", "stream", 23, 2.0, 42, 201, 0),
    "full-early": ("full-stream", "stream", 48, 2.0, 7, 101, 0),
    "full-clone": ("full", "clone", 40, 2.0, 1, 121, 75),
}


def states_of(model, *arguments):
    """Hidden states [T, C] that the end-of-speech head sees; it never stops."""
    states = []
    record = model.eos_head.register_forward_hook(lambda _, inputs, out: (states.append(inputs[0]), out - 9)[1])
    latents, _ = run(model, *arguments)
    record.remove()
    return torch.cat(states), latents


def solve(states, logits):
    """The smallest weight [1, C] with which every score is as wanted."""
    wanted = torch.cat([torch.full((len(s),), logit - GAP) for s, logit in zip(states, logits)]).double()
    ends = torch.tensor([len(s) for s in states]).cumsum(0) - 1
    wanted[ends] += 2 * GAP
    return (torch.linalg.pinv(torch.cat(states).double()) @ wanted).float()[None]


def main():
    OUT.mkdir(exist_ok=True)
    torch.set_num_threads(2)
    models, inputs, states, drawn = {}, {}, [], {}
    for name, (config, mode, length, guidance, seed, frames, prompt_frames) in CASES.items():
        if config not in models:
            models = {config: build(sled_stream if mode == "stream" else sled, CONFIGS[config])} | models
            models[config].eos_head.weight.data.zero_()
        ids = torch.tensor([text(name, length, CONFIG["vocab_size"])])
        prompt = torch.from_numpy(hash_uniform(f"{name}.prompt", prompt_frames * 128)).float().reshape(1, prompt_frames, 128)
        inputs[name] = (mode, ids, torch.ones_like(ids), prompt, guidance, seed, frames)
        hidden, drawn[name] = states_of(models[config], *inputs[name])
        states.append(hidden)
        print(name, "frames", len(hidden), "std %.3f" % drawn[name].std(), flush=True)
    logits = [LOGIT[sled_stream if case[1] == "stream" else sled] for case in CASES.values()]
    weight = solve(states, logits)
    save_file({"eos_head.weight": weight}, OUT / "eos-head.safetensors")
    cases = {}
    for (name, (config, mode, _, guidance, seed, frames, _)), logit in zip(CASES.items(), logits):
        model = models[config]
        model.eos_head.weight.data.copy_(weight)
        latents, scores = run(model, *inputs[name][:-1], frames + 20)
        assert latents.shape[1] == frames and torch.equal(latents, drawn[name]), f"{name}: {latents.shape[1]} frames"
        assert (scores - logit).abs().min() > GAP / 2, f"{name}: a score near its threshold"
        tensors = {"input_ids": inputs[name][1][0].int(), "latents": latents[0], "scores": scores[0]}
        if mode == "clone":
            tensors["prompt"] = inputs[name][3][0]
        save_file({key: value.clone().contiguous() for key, value in tensors.items()}, OUT / f"{name}.safetensors")
        cases[name] = {"config": config, "mode": mode, "seed": seed, "guidance": guidance, "maxFrames": frames + 20, "stopped": True}
        print(name, "stopped after", frames, flush=True)
    (OUT / "configs.json").write_text(json.dumps(CONFIGS, indent=2) + "\n")
    (OUT / "cases.json").write_text(json.dumps(cases, indent=2) + "\n")


with torch.no_grad():
    main()
