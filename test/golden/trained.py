"""The released code loads a checkpoint that was trained here, and says what losses it has.

    python trained.py SLED_CHECKOUT        # after trained.mjs; writes trained/losses.json

For the batches and noises of training/{offline,interleaved}-two.safetensors: energy, eos and total; and the names that
from_pretrained missed or did not know.
"""

import json
import pathlib
import sys

sys.path.insert(0, sys.argv[1])
import torch
from safetensors.torch import load_file
from sled import sled, sled_stream

HERE = pathlib.Path(__file__).parent


def losses(module, name):
    model, info = module.SpeechLlamaForCausalLM.from_pretrained(HERE / "trained", output_loading_info=True)
    model.eval()
    golden = load_file(HERE / "training" / f"{name}.safetensors")
    from types import SimpleNamespace

    model.codec = SimpleNamespace(
        encode=lambda *_, **__: SimpleNamespace(audio_codes=[torch.zeros(1, 1, 1)]),
        quantizer=SimpleNamespace(decode=lambda _: golden["latents"].transpose(1, 2)),
    )
    found = {}
    model.scoreloss.register_forward_hook(lambda _, __, out: found.update(energy=out.item()))
    noises = [golden["noise_a"], golden["noise_b"]]
    draw, torch.randn = torch.randn, lambda *_, **__: noises.pop(0)
    try:
        total = model(
            input_ids=golden["input_ids"].long(), attention_mask=golden["text_mask"].long(),
            audio_inputs={"input_values": None, "padding_mask": golden["frame_mask"].long().repeat_interleave(320, dim=1)},
        ).loss
    finally:
        torch.randn = draw
    assert not noises
    found.update(total=total.item(), missing=info["missing_keys"], unexpected=info["unexpected_keys"], mismatched=info["mismatched_keys"])
    return found


out = {name: losses(module, name) for name, module in [("offline-two", sled), ("interleaved-two", sled_stream)]}
(HERE / "trained" / "losses.json").write_text(json.dumps(out) + "\n")
print(out)
