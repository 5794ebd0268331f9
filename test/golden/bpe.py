#!/usr/bin/env python3
"""Writes test/golden/bpe: a byte-level BPE vocabulary learned by the `tokenizers` library from 600 lines, and the ids
that transformers' RobertaTokenizer gives for texts with it.  Needs transformers 4.47 (tokenizers 0.21).

    python test/golden/bpe.py
"""
import json
import random
from pathlib import Path

from tokenizers import ByteLevelBPETokenizer
from transformers import RobertaTokenizer

HERE = Path(__file__).parent / "bpe"
LINES = (Path(__file__).parents[2] / "runs/first-voice/phrases.txt").read_text(encoding="utf-8").split("\n")[:600]
PARTS = ["'", "r", "e", "ll", "s", " ", "  ", "\n", "\t", "a", "Word", "é", "e\u0301", "你好", "😀", "1", "23", "!", "...",
         "<s>", "</s>", "<pad>", "<unk>", "<", "<pa", "\u00a0", "\x85", "\x1c", "\ufeff", "ʼ", "-", "x'", "don't", "I'LL", "we've"]

HERE.mkdir(exist_ok=True)
trainer = ByteLevelBPETokenizer()
trainer.train_from_iterator(LINES, vocab_size=700, min_frequency=2, special_tokens=["<s>", "<pad>", "</s>", "<unk>"], show_progress=False)
trainer.save_model(str(HERE))

random.seed(0)
texts = ["", " ", "Hello world", " Hello", "don't we'll I'd", "   lots   of  \n\n space  ", "a<s>b </s> c", *LINES[:20]]
texts += ["".join(random.choices(PARTS, k=random.randint(1, 10))) for _ in range(150)]
tokenizer = RobertaTokenizer.from_pretrained(str(HERE))
rows = [{"text": text, "ids": tokenizer(text)["input_ids"]} for text in texts]
(HERE / "ids.json").write_text(json.dumps(rows, ensure_ascii=True) + "\n")
