#!/usr/bin/env python3
"""Holds the times of words, as `sled-tts say --timings` writes them, against those that a recogniser hears.

    python runs/word-timings.py FOLDER [--threads 1]

FOLDER has NAME.wav with NAME.json. Words that Whisper base (see judge.py) hears as they are written are compared. It lets a word
begin where the one before it ends, so a pause between them counts as ours begun late.
"""
import argparse
import difflib
import glob
import json
import re
import statistics

from faster_whisper import WhisperModel
from judge import whisper_folder


def plain(word):
    return re.sub(r"[^a-z0-9']", "", word.lower())


def differences(recogniser, path):
    """Ours minus theirs, in seconds, of the start and of the end of every word that was heard as written."""
    with open(path, encoding="utf-8") as file:
        ours = json.load(file)["words"]
    segments, _ = recogniser.transcribe(
        path[:-5] + ".wav", language="en", beam_size=5, temperature=0.0, word_timestamps=True, vad_filter=False
    )
    theirs = [word for segment in segments for word in segment.words]
    matcher = difflib.SequenceMatcher(None, [plain(w["word"]) for w in ours], [plain(w.word) for w in theirs], autojunk=False)
    for first, other, size in matcher.get_matching_blocks():
        for mine, heard in zip(ours[first:first + size], theirs[other:other + size]):
            yield mine["startSeconds"] - heard.start, mine["endSeconds"] - heard.end


def report(name, values):
    sizes = sorted(map(abs, values))
    print(f"{name}: {len(sizes)} words, median {statistics.median(sizes):.3f} s, "
          f"90th percentile {sizes[int(0.9 * (len(sizes) - 1))]:.3f} s, median with its sign {statistics.median(values):+.3f} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    recogniser = WhisperModel(whisper_folder(), device="cpu", compute_type="float32", cpu_threads=options.threads)
    found = [pair for path in sorted(glob.glob(f"{options.folder}/*.json")) for pair in differences(recogniser, path)]
    if not found:
        raise SystemExit(f"word-timings: no word of NAME.json was heard in NAME.wav in {options.folder}")
    starts, ends = zip(*found)
    report("starts", starts)
    report("ends", ends)


if __name__ == "__main__":
    main()
