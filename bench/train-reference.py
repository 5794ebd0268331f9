"""The released code's training step on bench/train.mjs's batch: reads the model as JSON from standard input, prints
frames a second and the most memory with its codec (random weights, the same cost) inside the step, as it trains, and without."""
import contextlib, json, resource, sys, time

import torch

given = json.load(sys.stdin)
sys.path.insert(0, given["released"])
from sled.sled import SpeechLlamaConfig, SpeechLlamaForCausalLM
from transformers import EncodecConfig, EncodecModel

torch.set_num_threads(given["threads"])
torch.set_flush_denormal(True)
torch.manual_seed(0)
device = torch.device(given["device"])
ours_only = {"device", "precision", "threads", "steps", "released", "utterances", "frames", "tokens", "text_front_end", "guidance_scale", "temperature", "stream_n", "stream_m", "alignment_heads"}
config = SpeechLlamaConfig(**{key: value for key, value in given.items() if key not in ours_only})
model = SpeechLlamaForCausalLM._from_config(config, attn_implementation="sdpa").to(device).train()
B, T, L, D = given["utterances"], given["frames"], given["tokens"], config.vae_embed_dim
codec = EncodecModel(EncodecConfig()).to(device).eval().requires_grad_(False)
audio = torch.randn(B, 1, T * 320, device=device)
optimizer = torch.optim.AdamW([p for p in model.parameters()], lr=5e-4, weight_decay=0.01)
ids = (torch.arange(L, device=device) * 7 % (config.vocab_size - 3) + 3).expand(B, L)
speech = torch.randn(B, T, D, device=device)


def step(with_codec):
    mixed = torch.autocast(device.type, torch.bfloat16) if given["precision"] == "bf16" else contextlib.nullcontext()
    with mixed:
        if with_codec:
            with torch.no_grad():
                codes = codec.encode(audio, torch.ones(B, T * 320, dtype=torch.int64, device=device), bandwidth=6).audio_codes
                codec.quantizer.decode(codes[0].transpose(0, 1))
        embeddings = torch.cat([model.model.embed_tokens(ids), model.z_proj(speech)], 1)
        # forward() adds the text and projection itself only with audio: the tail of it, for latents that are known
        hidden = model.model(inputs_embeds=model.z_proj_ln(embeddings), use_cache=False)[0]
        z = hidden[:, -(T + 1) : -1].reshape(B * T, -1)
        loss = model.scoreloss(z=z, target=speech.reshape(B * T, -1), mask=torch.ones(B * T, device=device))
        score = model.eos_head(hidden[:, -(T + 1) :]).squeeze(-1).float()
        labels = torch.zeros(B, T + 1, device=device)
        labels[:, T] = 1
        loss = loss + model.bceloss(score, labels).mean()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()


def settle():
    if device.type == "cuda":
        torch.cuda.synchronize()


def speed(with_codec):
    for _ in range(1 if device.type == "cpu" else 3):
        step(with_codec)
    settle()
    start = time.perf_counter()
    for _ in range(given["steps"]):
        step(with_codec)
    settle()
    rate = given["steps"] * B * T / (time.perf_counter() - start)
    used = torch.cuda.max_memory_allocated() if device.type == "cuda" else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"framesPerSecond": rate, "peakBytes": used}


without = speed(False)
print(json.dumps({"withoutCodec": without, "withCodec": speed(True)}))
