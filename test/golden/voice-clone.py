"""Golden latents and sound of voice cloning and of the evaluation, computed as the released scripts do, with a tiny model and a tiny codec.

    python voice-clone.py SLED_CHECKOUT [CASE...]        # torch 2.5.1, transformers 4.47.0, CPU, float32; writes voice-clone/

scripts/run_voice_clone.py: the prompt's text, a space and the new text; the prompt's latents; the sound after the prompt.
scripts/eval_continue.py: whole texts; of whole utterances the first 225 latents (here PROMPT_FRAMES); the sound from the beginning, up
to the frame of the stopping step. One seed for all batches. scripts/eval_reference.py: as run_voice_clone.py, up to that frame.
scripts/eval_stream.py: no prompt, one text a batch, one seed for all.

Their --max_length is 160 and bounds text, prompt and new frames together. (transformers takes the prompt's frames off it, but for a
prompt of exactly as many frames as the text has tokens: one of those is not counted. No case here is such a one.)

voice-clone/config.json: the model's config. voice-clone/cases.json: by case its seed, guidance, turns (keys of the config that an interleaved
model has too), and the texts, prompts (lengths of the signals of encodec.py) and readings of each batch. Weights: hash_weights.py, the end-of-speech weight in the file; codec and tokenizer: encodec.py's
"tiny" and bpe/. voice-clone/golden.safetensors by CASE.BATCH.ROW; P prompt frames, T frames, N samples:

    latents  [T, D]    drawn after the prompt, without the frame of the stopping step
    samples  [N]       what the script saves
    eos_head.weight    [1, C], by CASE
"""

import json
import pathlib
import sys
import warnings

sys.path.insert(0, sys.argv[1])
warnings.filterwarnings("ignore")
import torch
from safetensors.torch import load_file, save_file
from transformers import EncodecFeatureExtractor, RobertaTokenizer, logging
from encodec import build, signal
from generation import LOGIT, sled, sled_stream, solve
from hash_weights import fill, hash_uniform

logging.set_verbosity_error()
torch.set_num_threads(1)
HERE = pathlib.Path(__file__).parent
OUT = HERE / "voice-clone"
CONFIG = dict(vocab_size=700, hidden_size=72, intermediate_size=100, num_hidden_layers=3, num_attention_heads=3, vae_embed_dim=12,
              diffloss_d=2, diffloss_w=40, noise_channels=9, max_position_embeddings=2048, rms_norm_eps=1e-6, training_cfg=0.1,
              bos_token_id=0, pad_token_id=None, eos_token_id=2)
STRIDE, PROMPT_FRAMES, MAX_LENGTH = 24, 20, 160
TURNS = dict(stream_n=5, stream_m=7)
STREAM_FRAMES = [18, 25]  # drawn for the texts of "stream", the stopping step's included
PROMPT = "It was silent and gloomy,"
CASES = {  # script, seed, guidance, batches of (texts, prompt texts, signal lengths), readings, whether it ends by itself
    "clone": ("clone", 42, 2.0, [(["the captive slept."], [PROMPT], [725])], 1, True),
    "clone-limit": ("clone", 3, 1.0, [(["the fire went out."], [PROMPT], [1800])], 1, False),
    "readings": ("clone", 7, 2.0, [(["Nothing moved."], [PROMPT], [490])], 3, True),
    "continuation": ("continue", 0, 2.0, [(["It was silent and gloomy, and the fire went out.", "Nothing moved at all."], None, [700, 961]),
                                          (["The captive slept by the fire."], None, [600])], 1, True),
    "reference": ("reference", 0, 2.0, [(["Nothing moved."], [PROMPT], [600]), (["It was cold."], ["The fire went out."], [481])], 1, True),
    "stream": ("stream", 0, 2.0, [(["Nothing moved at all."], None, []), (["The captive slept by the fire."], None, [])], 1, True),
}


def build_codec():
    codec = build("tiny")
    return codec, EncodecFeatureExtractor(feature_size=1, sampling_rate=codec.config.sampling_rate)


def run_batch(model, tokenizer, codec, processor, script, batch, readings, probe=None, limit=MAX_LENGTH):
    """What a script does with a batch: for each row its latents and samples, and the end-of-speech logits [B, T]."""
    texts, prompts, lengths = batch
    inputs = [f"{p} {t}" for p, t in zip(prompts, texts)] if prompts else texts
    encoded = tokenizer.batch_encode_plus(inputs, add_special_tokens=True, padding="longest", truncation=True, return_tensors="pt")
    arguments, P = dict(attention_mask=encoded["attention_mask"]), 0
    if script != "stream":
        speech, mask = prompt_of(codec, processor, script, lengths)
        arguments, P = dict(inputs_embeds=speech, attention_mask=torch.concat([encoded["attention_mask"], mask], dim=1)), speech.shape[1]
        assert P != encoded["input_ids"].shape[1], "transformers would not count this prompt"
    scores = []
    hook = model.eos_head.register_forward_hook(lambda _, x, out: (scores.append(out[:, 0]), probe.append(x[0]) if probe is not None else 0)[0] and None)
    ids, latents = model.generate(input_ids=encoded["input_ids"], max_length=limit, do_sample=True, num_return_sequences=readings, **arguments)
    hook.remove()
    sound = codec.decoder(latents.transpose(-1, -2).float())
    drawn = ids if script == "stream" else ids[:, encoded["input_ids"].shape[1]:]
    rows = []
    for row, count in enumerate(drawn.ne(2).sum(dim=-1).tolist()):
        start = 0 if script == "continue" else P * STRIDE
        # run_voice_clone.py saves the frame of the stopping step too, which the evaluation drops
        rows.append((latents[row, P:P + count], sound[row, 0, start:(P + count) * STRIDE]))
    return rows, torch.stack(scores, dim=1)


def prompt_of(codec, processor, script, lengths):
    """latents [B, P, D] and mask [B, P]"""
    audio = processor(raw_audio=[signal(n).numpy() for n in lengths], sampling_rate=1800, return_tensors="pt")
    codes = codec.encode(audio["input_values"], audio["padding_mask"], bandwidth=6).audio_codes[0]
    speech = codec.quantizer.decode(codes.transpose(0, 1)).transpose(1, 2)
    mask = audio["padding_mask"][..., ::STRIDE]
    if script == "continue":
        return speech[:, :PROMPT_FRAMES], mask[:, :PROMPT_FRAMES]
    return speech, mask


def states_of(run, model, limits):
    """What the end-of-speech head sees while it never stops before a batch's limit, one after another."""
    states = []
    model.eos_head.weight.data.zero_()
    never = model.eos_head.register_forward_hook(lambda _, __, out: out - 9)
    run(states, limits)
    never.remove()
    return torch.cat(states)


def end_of_speech_weight(name, mean, low):
    """Hashed, plus what makes the mean hidden state's logit -low."""
    hashed_weight = torch.from_numpy(hash_uniform(f"{name}.eos", mean.numel())).float() * (3 / mean.numel()) ** 0.5
    return (hashed_weight - (low + hashed_weight @ mean) * mean / mean.square().sum())[None]


def make(name, script, seed, guidance, batches, readings, ends):
    tokenizer = RobertaTokenizer(str(HERE / "bpe/vocab.json"), str(HERE / "bpe/merges.txt"), padding_side="left")
    module, turns = (sled_stream, TURNS) if script == "stream" else (sled, {})
    model = module.SpeechLlamaForCausalLM(module.SpeechLlamaConfig(**CONFIG, **turns)).eval()
    fill(model)
    model.infer_cfg = guidance
    codec, processor = build_codec()

    def run(probe=None, limits=[MAX_LENGTH] * len(batches)):
        torch.manual_seed(seed)
        return [run_batch(model, tokenizer, codec, processor, script, batch, readings, probe, limit) for batch, limit in zip(batches, limits)]

    states = states_of(run, model, STREAM_FRAMES if turns else [MAX_LENGTH] * len(batches))
    for trial in range(200):
        if turns:
            weight = solve(states.split(STREAM_FRAMES), [LOGIT[module]] * len(batches))
        else:
            weight = end_of_speech_weight(name, states.mean(0), 0.05 * trial - 1 if ends else 6)
        model.eos_head.weight.data.copy_(weight)
        results = run()
        counts = [len(latents) for rows, _ in results for latents, _ in rows]
        margin = min((scores - LOGIT[module]).abs().min() for _, scores in results)
        # a finished row's later scores do not count, but a margin of theirs does no harm
        stopped = all((scores >= LOGIT[module]).any(1).all() for _, scores in results)
        if margin > 0.01 and stopped == ends and (not ends or (min(counts) >= 6 and max(counts) <= 70)):
            break
    else:
        raise SystemExit(f"{name}: no weight ends it as asked")
    tensors = {f"{name}.eos_head.weight": weight}
    for b, (rows, _) in enumerate(results):
        for r, (latents, samples) in enumerate(rows):
            tensors[f"{name}.{b}.{r}.latents"] = latents
            tensors[f"{name}.{b}.{r}.samples"] = samples
    print(name, "frames", counts, "margin %.3f" % margin)
    texts = [dict(texts=t, prompts=p, lengths=n) for t, p, n in batches]
    return tensors, dict(script=script, seed=seed, guidance=guidance, turns=turns, readings=readings, ends=ends, batches=texts)


OUT.mkdir(exist_ok=True)
(OUT / "config.json").write_text(json.dumps(CONFIG, indent=2) + "\n")
tensors, cases, wanted = {}, {}, sys.argv[2:]
if wanted:
    tensors, cases = load_file(OUT / "golden.safetensors"), json.loads((OUT / "cases.json").read_text())
with torch.no_grad():
    for name in wanted or CASES:
        made, cases[name] = make(name, *CASES[name])
        tensors = {key: value for key, value in tensors.items() if not key.startswith(f"{name}.")} | made
(OUT / "cases.json").write_text(json.dumps(cases, indent=2) + "\n")
save_file({k: v.contiguous().clone() for k, v in tensors.items()}, OUT / "golden.safetensors")
