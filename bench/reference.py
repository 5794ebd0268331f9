"""The released Python code: a full-size checkpoint with random weights, and its speed on this machine.

    python bench/reference.py SLED_CHECKOUT write FOLDER                        # config, weights, tokenizer and codec, as released
    python bench/reference.py SLED_CHECKOUT time FOLDER float32|bfloat16 FRAMES GUIDANCE "text" [cpu|cuda]
    python bench/reference.py SLED_CHECKOUT codec FOLDER SECONDS THREADS                          # FOLDER: EnCodec's own

torch 2.5.1, transformers 4.47.0. `time` prints one line of JSON: frames, milliseconds a frame of the network and of EnCodec's
decoder (float32, as released), threads. The end-of-speech head is zero: offline generation runs to the length asked for.
"""

import json
import pathlib
import sys
import time
import warnings

source, verb, folder = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
sys.path.insert(0, source)
warnings.filterwarnings("ignore")
import torch
from sled.sled import SpeechLlamaConfig, SpeechLlamaForCausalLM
from transformers import EncodecConfig, EncodecModel, RobertaTokenizer, logging

logging.set_verbosity_error()
WARM_UP_FRAMES = 10
SIZES = dict(vocab_size=16384, hidden_size=1024, intermediate_size=2752, num_hidden_layers=12, num_attention_heads=16,
             max_position_embeddings=2048, rms_norm_eps=1e-6, vae_embed_dim=128, diffloss_d=6, diffloss_w=1024, noise_channels=128,
             training_cfg=0.1, bos_token_id=0, pad_token_id=None, eos_token_id=2)


def write():
    torch.manual_seed(0)
    tokenizer = pathlib.Path(source) / "tokenizer_bpe_libriheavy"
    model = SpeechLlamaForCausalLM(SpeechLlamaConfig(**SIZES))
    for parameter in model.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, 0, 0.02)  # modulations start at zero: nothing would depend on the noise
    model.eos_head.weight.data.zero_()
    model.save_pretrained(folder)
    RobertaTokenizer(vocab_file=str(tokenizer / "vocab.json"), merges_file=str(tokenizer / "merges.txt")).save_pretrained(folder)
    EncodecModel(EncodecConfig()).save_pretrained(folder / "codec")


def finished(result):
    if result.is_cuda:
        torch.cuda.synchronize()
    return result


def generate(model, ids, frames):
    torch.manual_seed(0)
    begin = time.perf_counter()
    latents = finished(model.generate(input_ids=ids, max_length=ids.shape[1] + frames, do_sample=True)[1])
    return latents, (time.perf_counter() - begin) * 1000


def measure(dtype, frames, guidance, text, device="cpu"):
    ids = RobertaTokenizer.from_pretrained(folder).encode(text, return_tensors="pt").to(device)
    model = SpeechLlamaForCausalLM.from_pretrained(folder, torch_dtype=getattr(torch, dtype)).eval().to(device)
    model.infer_cfg = guidance
    codec = EncodecModel.from_pretrained(folder / "codec").eval().to(device)
    generate(model, ids, WARM_UP_FRAMES)
    latents, network_ms = generate(model, ids, frames)
    decode = lambda x: codec.decoder(x.float().transpose(1, 2))
    finished(decode(latents))  # the first of a length sets up its kernels
    begin = time.perf_counter()
    finished(decode(latents))
    codec_ms = (time.perf_counter() - begin) * 1000
    T = latents.shape[1]
    print(json.dumps({"frames": T, "networkMs": network_ms / T, "codecMs": codec_ms / T, "threads": torch.get_num_threads(),
                      "first": latents[0, 0, :4].tolist(), "last": latents[0, -1, :4].tolist()}))


def measure_codec(seconds, threads):
    torch.set_num_threads(threads)
    codec = EncodecModel.from_pretrained(folder).eval()
    rate = codec.config.frame_rate
    latents = torch.randn(1, codec.config.hidden_size, seconds * rate)
    codec.decoder(latents[:, :, :rate])
    times = []
    for _ in range(3):
        begin = time.perf_counter()
        codec.decoder(latents)
        times.append(time.perf_counter() - begin)
    print(json.dumps({"factor": sorted(times)[1] / seconds}))


with torch.no_grad():
    if verb == "write":
        write()
    elif verb == "codec":
        measure_codec(int(sys.argv[4]), int(sys.argv[5]))
    else:
        measure(sys.argv[4], int(sys.argv[5]), float(sys.argv[6]), *sys.argv[7:9])
