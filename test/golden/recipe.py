"""What transformers does with the released commands' flags.

    python recipe.py SLED_CHECKOUT        # torch 2.5.1, transformers 4.47.0; writes recipe.json

schedules: for each recipe the factor of the learning rate at some steps (steps from 0), from lr_scheduler_type "linear".
decayed, spared: the parameters that the trainer's groups apply weight decay to, and the others, of the golden training config.
initial: name -> [mean, standard deviation, largest magnitude] of the released initial values of a network of the sizes in `sizes`.
flags: every option that the two released shell scripts give.
"""

import json
import pathlib
import re
import sys

sys.path.insert(0, sys.argv[1])
import torch
from transformers import get_scheduler
from transformers.pytorch_utils import ALL_LAYERNORM_LAYERS
from transformers.trainer_pt_utils import get_parameter_names
from sled import sled

HERE = pathlib.Path(__file__).parent
TRAINING = json.loads((HERE / "training" / "config.json").read_text())
SIZES = dict(vocab_size=400, hidden_size=96, intermediate_size=200, num_hidden_layers=2, num_attention_heads=4, vae_embed_dim=48, diffloss_d=2, diffloss_w=80, noise_channels=40)


def schedule(warmup, steps, at):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = get_scheduler("linear", optimizer, num_warmup_steps=warmup, num_training_steps=steps)
    return dict(warmup=warmup, steps=steps, factors=[[k, scheduler.lr_lambdas[0](k)] for k in at])


def model(sizes):
    torch.manual_seed(0)
    return sled.SpeechLlamaForCausalLM(sled.SpeechLlamaConfig(**sizes))


known = {k: v for k, v in TRAINING.items() if k in sled.SpeechLlamaConfig().to_dict()}
tiny = model(known)
decayed = [n for n in get_parameter_names(tiny, ALL_LAYERNORM_LAYERS) if "bias" not in n]
flags = sorted({f for n in ("train_libriheavy", "train_libriheavy_stream") for f in re.findall(r"^\s+(--\w+)|(?<=\s)(--[a-z_0-9]+)(?= \d| 0\.|\s*\\|$)", (pathlib.Path(sys.argv[1]) / "shell_scripts" / f"{n}.sh").read_text(), re.M) for f in f if f})
out = dict(
    schedules=[
        schedule(32000, 300000, [0, 1, 100, 31999, 32000, 32001, 150000, 299999, 300000]),
        schedule(10000, 100000, [0, 1, 9999, 10000, 55000, 99999, 100000]),
    ],
    decayed=decayed,
    spared=[n for n, _ in tiny.named_parameters() if n not in decayed],
    sizes=SIZES,
    initial={n: [p.mean().item(), p.std().item(), p.abs().max().item()] for n, p in model(SIZES).named_parameters()},
    flags=[f for f in flags if f not in ("--nnodes", "--node_rank", "--nproc_per_node", "--master_addr", "--master_port")],
)
(HERE / "recipe.json").write_text(json.dumps(out) + "\n")
print(len(out["decayed"]), len(out["spared"]), out["flags"])
