"""Golden latents of the released code at full size: 1024 wide, 12 layers, energy head 6 deep.

    python full-size.py SLED_CHECKOUT        # torch 2.5.1, transformers 4.47.0, CPU, float32; writes full-size/, several minutes

What scripts/run_offline.py, run_stream.py and run_voice_clone.py draw: texts through bpe/, the prompt's sound through encodec.py's "24khz",
weights of hash_weights.py's rule. Written:

    golden.json          the config in the released keys, the gains of the weights, which channels and frames are stored, and the cases: the
                         released script, text, seed, guidance, `frames` drawn until the end-of-speech score stops it, the frame of the stopping step included;
                         of "clone" also the prompt's text and how many samples of encodec.py's signal are its sound
    golden.safetensors   end [1, C], the weight of the end-of-speech head; by case, T frames, D channels:
                         CASE.channels [T, D / 8]    every eighth channel of every frame
                         CASE.frames [T / 25, D]     every 25th frame whole

A subset is enough: every channel of a frame is read with the next one, so that an error in one that is left out shows in all that come
after. float16 would not be enough: its steps are two thousandths at 2.

GAINS: with the rule alone a small error in the first frame is fifty times as large after thirty, so that two engines' roundings come apart
before frame 200 whatever the code does. With less weight on a frame beside its projection's bias errors fade. FORGETS holds the network to that,
and DEPENDS to frames that still differ by text, noise, history and prompt.

END: the end-of-speech weight does not change what is drawn. Every case runs without it, a weight is solved for with which each ends where CASES
has it (scores -GAP before, +GAP there, about the case's threshold), and every case runs again, and ends, with it.
"""

import json
import pathlib

import torch
from safetensors.torch import save_file
from transformers import RobertaTokenizer
from encodec import build as build_codec, signal
from generation import GAP, LOGIT, build, run, sled, sled_stream, solve
from hash_weights import hash_uniform

HERE = pathlib.Path(__file__).parent
OUT = HERE / "full-size"
CONFIG = dict(vocab_size=16384, hidden_size=1024, intermediate_size=2752, num_hidden_layers=12, num_attention_heads=16, vae_embed_dim=128,
              diffloss_d=6, diffloss_w=1024, noise_channels=128, max_position_embeddings=2048, rms_norm_eps=1e-6, training_cfg=0.1,
              bos_token_id=0, pad_token_id=None, eos_token_id=2)
TURNS = dict(stream_n=5, stream_m=45)
GAINS = {"z_proj.weight": 0.03}
EVERY = dict(channels=8, frames=25)  # which of them are stored
SILENT = "It was silent and gloomy,"
CASES = {
    "offline": dict(script="run_offline", text=f"{SILENT} being tenanted solely by the captive.", seed=42, guidance=2.0, frames=201),
    "stream": dict(script="run_stream", text="It was silent, and the captive slept by the fire.", seed=42, guidance=2.0, frames=201),
    "stream-early": dict(script="run_stream", text=f"{SILENT} being tenanted solely by the captive.", seed=7, guidance=1.0, frames=101),
    "clone": dict(script="run_voice_clone", text="and lighted by the dying embers.", seed=1, guidance=1.5, frames=201, prompt=SILENT, samples=24_000),
}
DEPENDS = 0.1  # root mean square of the difference that another text, seed, first frame or prompt makes; latents are of size 1
FORGETS = 0.3  # share of a small change in the first frame that is left after LATER frames
LATER = 40
rms = lambda x: x.square().mean().sqrt().item()


class Case:
    def __init__(self, name, models, tokenizer, codec):
        self.name, self.settings = name, CASES[name]
        self.stream = self.settings["script"] == "run_stream"
        self.mode = {"run_offline": "offline", "run_stream": "stream", "run_voice_clone": "clone"}[self.settings["script"]]
        self.model = models[self.stream]
        self.ids = lambda text: tokenizer.encode(text, return_tensors="pt")
        samples = signal(self.settings.get("samples", 0))[None, None]
        codes = codec.encode(samples, torch.ones_like(samples[0]), bandwidth=6).audio_codes[0] if self.mode == "clone" else None
        self.prompt = torch.zeros(1, 0, 128) if codes is None else codec.quantizer.decode(codes.transpose(0, 1)).transpose(1, 2)

    def __call__(self, frames, seed=None, text=None, prompt=None, first=None):
        """latents [T, D], scores [T]; `first` [D] is added to the first frame that is drawn"""
        text = text or " ".join(filter(None, [self.settings.get("prompt"), self.settings["text"]]))
        ids, drawn = self.ids(text), []
        hook = self.model.scoreloss.net.register_forward_hook(lambda *io: (drawn.append(0), io[2] + first if first is not None and len(drawn) == 1 else io[2])[1])
        prompt = self.prompt if prompt is None else prompt
        latents, scores = run(self.model, self.mode, ids, torch.ones_like(ids), prompt, self.settings["guidance"], seed or self.settings["seed"], frames)
        hook.remove()
        return latents[0], scores[0]


def states_of(case):
    """Hidden states [T, C] that the end-of-speech head sees while it never stops, and the latents."""
    states = []
    hook = case.model.eos_head.register_forward_hook(lambda _, inputs, out: (states.append(inputs[0]), out - 9)[1])
    latents, _ = case(case.settings["frames"])
    hook.remove()
    return torch.cat(states), latents


def probe(case, latents):
    """Asserts that frames depend on what they should, and that the first one's errors are forgotten."""
    other = torch.from_numpy(hash_uniform("probe", 128)).float()
    print(case.name, flush=True)
    never = case.model.eos_head.register_forward_hook(lambda _, __, out: out - 9)
    changes = {"text": dict(text="Nothing of the kind was heard by the captive."), "seed": dict(seed=3), "history": dict(first=other)}
    if case.mode == "clone":
        changes["prompt"] = dict(prompt=case.prompt.flip(1))
    for what, change in changes.items():
        # four frames after the first, which is what "history" changes; the released code wants more frames than tokens in a stream
        difference = rms(case(30 if case.stream else 5, **change)[0][1:5] - latents[1:5])
        print(f"  another {what}: {difference:.3f}", flush=True)
        assert difference > DEPENDS, f"{case.name}: hardly depends on its {what}"
    left = rms(case(LATER + 1, first=1e-3 * other)[0][LATER] - latents[LATER]) / rms(1e-3 * other)
    print(f"  left of a change: {left:.3f}", flush=True)
    assert left < FORGETS, f"{case.name}: errors are not forgotten"
    never.remove()


def main():
    OUT.mkdir(exist_ok=True)
    models = {stream: build(module, {**CONFIG, **turns}, GAINS) for stream, module, turns in ((False, sled, {}), (True, sled_stream, TURNS))}
    tokenizer, codec = RobertaTokenizer(str(HERE / "bpe/vocab.json"), str(HERE / "bpe/merges.txt")), build_codec("24khz")
    for model in models.values():
        model.eos_head.weight.data.zero_()
    states, drawn = {}, {}
    for name in CASES:
        case = Case(name, models, tokenizer, codec)
        states[name], drawn[name] = states_of(case)
        print(name, len(drawn[name]), "frames, deviation over time %.2f" % drawn[name].std(0).mean(), flush=True)
    logits = [LOGIT[sled_stream if case["script"] == "run_stream" else sled] for case in CASES.values()]
    end = solve(list(states.values()), logits)
    tensors = {"end": end}
    for (name, settings), logit in zip(CASES.items(), logits):
        case = Case(name, models, tokenizer, codec)
        case.model.eos_head.weight.data.copy_(end)
        latents, scores = case(settings["frames"] + 20)
        assert torch.equal(latents, drawn[name]), f"{name}: {len(latents)} frames"
        assert (scores - logit).abs().min() > GAP / 2, f"{name}: a score near its threshold"
        print(name, "ends by itself after", len(latents), flush=True)
        tensors[f"{name}.channels"], tensors[f"{name}.frames"] = latents[:, :: EVERY["channels"]], latents[:: EVERY["frames"]]
    save_file({key: value.clone().contiguous() for key, value in tensors.items()}, OUT / "golden.safetensors")
    (OUT / "golden.json").write_text(json.dumps({"config": CONFIG, "turns": TURNS, "gains": GAINS, "every": EVERY, "cases": CASES}, indent=2) + "\n")
    for name in CASES:
        case = Case(name, models, tokenizer, codec)
        case.model.eos_head.weight.data.zero_()
        probe(case, drawn[name])


with torch.no_grad():
    main()
