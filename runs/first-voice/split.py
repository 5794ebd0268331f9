#!/usr/bin/env python3
"""Draws the sentences that are never trained on, and lists the lines that may be.

    python split.py            writes ../../test/evaluation/{sentences,dev}.txt (fixed: run once, committed)
    python split.py WORK       writes WORK/lines.tsv: id TAB text, everything to be spoken for training, in random order

Held out: 100 test sentences and 200 dev lines (100 sentences, 100 phrases), drawn by seed from sentences.txt and phrases.txt.
A training line is left out if it shares four words in a row with a test sentence, or if one contains the other,
or if it equals, contains or lies within a dev line.
"""
import hashlib
import os
import random
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
HELD_OUT = os.path.join(HERE, "..", "..", "test", "evaluation")
SEED = 20261123
LONGEST_TRAINED = 24  # words
# Traces of the books' typesetting that nobody types, and sentences cut at an abbreviation.
ODD = re.compile(r",\s*,|\b([Tt]o (day|morrow|night)|[Gg]ood bye)\b|, quote,|end quote|\b(St|Mr|Mrs|Dr|Messrs|No|Co)\.$|\b[A-Z]\.$")


def read(path):
    with open(path, encoding="utf-8") as lines:
        return [line.strip() for line in lines if line.strip()]


def words(text):
    return tuple(re.sub(r"[^a-z' ]", "", text.lower()).split())


def is_sentence(text):
    return text[0].isupper() and text[-1] in ".?!" and 5 <= len(text.split()) <= 15 and not ODD.search(text)


def draw(sentences, phrases):
    rng = random.Random(SEED)
    drawn = rng.sample([text for text in sentences if is_sentence(text)], 200)
    test, dev = drawn[:100], drawn[100:] + rng.sample([text for text in phrases if len(text.split()) >= 5], 100)
    rng.shuffle(dev)
    return test, dev


def runs_of(sequence, length):
    return (sequence[i:i + length] for i in range(len(sequence) - length + 1))


def held_out_test(test, dev):
    """A predicate: may this line (as words) not be trained on?"""
    four = {run for text in test for run in runs_of(words(text), 4)}
    whole = {words(text) for text in test + dev}
    inside = {run for sequence in whole for n in range(3, len(sequence) + 1) for run in runs_of(sequence, n)}
    lengths = {len(sequence) for sequence in whole}

    def held_out(sequence):
        return (sequence in inside or any(run in four for run in runs_of(sequence, 4))
                or any(run in whole for n in lengths for run in runs_of(sequence, n)))

    return held_out


def training_lines(test, dev):
    held_out = held_out_test(test, dev)
    sources = [("phrase", read(os.path.join(HERE, "phrases.txt"))),
               ("sentence", [text for text in read(os.path.join(HERE, "sentences.txt")) if len(text.split()) <= LONGEST_TRAINED]),
               ("extra", read(os.path.join(HERE, "extra.txt")))]
    lines, seen = [], set()
    for source, texts in sources:
        kept = [(i, text) for i, text in enumerate(texts) if not held_out(words(text)) and text not in seen]
        print(f"split: {source}: {len(kept)} of {len(texts)} lines", file=sys.stderr)
        seen.update(text for _, text in kept)
        lines += [(f"{source}-{i:05d}", text) for i, text in kept]
    # Order by a hash of the id: every leading part of the list is a fair sample of all of it.
    return sorted(lines, key=lambda line: hashlib.sha256(line[0].encode()).digest())


def main():
    if len(sys.argv) == 1:
        test, dev = draw(read(os.path.join(HERE, "sentences.txt")), read(os.path.join(HERE, "phrases.txt")))
        for name, texts in (("sentences", test), ("dev", dev)):
            with open(os.path.join(HELD_OUT, name + ".txt"), "w", encoding="utf-8") as file:
                file.write("\n".join(texts) + "\n")
        return
    test, dev = read(os.path.join(HELD_OUT, "sentences.txt")), read(os.path.join(HELD_OUT, "dev.txt"))
    os.makedirs(sys.argv[1], exist_ok=True)
    with open(os.path.join(sys.argv[1], "lines.tsv"), "w", encoding="utf-8") as file:
        file.writelines(f"{identifier}\t{text}\n" for identifier, text in training_lines(test, dev))


if __name__ == "__main__":
    main()
