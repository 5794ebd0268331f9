#!/usr/bin/env python3
"""The teacher speaks: phonemes in, long WAV files with manifests and alignments out.

    python synthesize.py PHONEMES.tsv OUT [--processes 2] [--shard 1000] [--plain-speed]

PHONEMES.tsv: id TAB text TAB phoneme tokens (a JSON list), as phonemes.mjs writes it. OUT gets, for every shard of 1000 lines,
audio-NNN.wav (24 kHz, 16 bit, mono, utterances back to back) and then manifest-NNN.jsonl, whose lines are Lhotse MonoCuts:
    custom.startSample, custom.numSamples                where the utterance lies in the file
    supervisions[0].custom.phonemes, .begin, .ends       tokens; first sample of the first, end sample of each, from the utterance's start
Shards that are there are kept, so an interrupted run goes on. The result depends on the input alone:
the speed (0.94 to 1.06) and the noise of an utterance are drawn by a hash of its id.

Alignment: the teacher's network computes whole durations per phoneme in an inner node, which this script makes an output of the graph.
Leading and trailing silence is trimmed to 30 and 80 ms.
"""
import argparse
import hashlib
import json
import os
import tempfile
import wave
from multiprocessing import Pool

import numpy as np

DURATIONS = "/Cast_32_output_0"  # int64 [1, ids], in units of two synthesis frames
SAMPLES_PER_DURATION = 2 * 300  # hibari.dsp.HOP = 300 samples
# The sound runs ahead of the durations: moved by so much, sibilants are richest in treble and stressed vowels loudest where they should be
# (treble contrast 16.8 dB unmoved, 51.1 at 1200 samples, 49.6 at 900).
SOUND_LEADS = 1100
SAMPLE_RATE = 24000
SPEED_SPREAD = 0.06
# Silence: mean magnitude over 240 samples at or below 0.004.
SILENCE, SILENCE_WINDOW, KEPT_BEFORE, KEPT_AFTER = 0.004, 240, 720, 1920


class Teacher:
    def __init__(self):
        import hibari
        import onnx

        graph = onnx.load(os.path.join(os.path.dirname(hibari.__file__), "assets", "hibari.onnx"))
        graph.graph.output.append(onnx.helper.make_tensor_value_info(DURATIONS, onnx.TensorProto.INT64, None))
        with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
            onnx.save(graph, file.name)
            self.hibari = hibari.Hibari(model=file.name)
        self.dsp = hibari.dsp

    def __call__(self, tokens, speed, seed):
        """Phoneme tokens -> float32 samples [N], end sample of each token."""
        vocabulary = self.hibari.vocab
        unknown = {letter for token in tokens for letter in token} - set(vocabulary)
        if unknown or not tokens:
            raise ValueError(f"the teacher does not know the phonemes {sorted(unknown)}")
        ids = [0, *(vocabulary[letter] for token in tokens for letter in token), 0]
        inputs = {"ids": np.asarray([ids], np.int64), "speed": np.asarray([speed], np.float32)}
        *spectra, durations = self.hibari.sess.run(None, inputs)
        audio = self.dsp.synth(*(part[0] for part in spectra), np.random.default_rng(seed))
        ends = np.cumsum(durations.reshape(-1)) * SAMPLES_PER_DURATION
        if ends[-1] != len(audio):
            raise ValueError(f"durations add up to {ends[-1]} samples, the audio has {len(audio)}")
        last_letters = np.cumsum([len(token) for token in tokens])  # ids[0] is the pad
        return audio, ends[0] - SOUND_LEADS, ends[last_letters] - SOUND_LEADS


def trim(audio, begin, ends):
    """Cuts silence off both ends and moves the alignment; None when there is nothing but silence."""
    level = np.convolve(np.abs(audio), np.ones(SILENCE_WINDOW) / SILENCE_WINDOW, "same")
    loud = np.flatnonzero(level > SILENCE)
    if len(loud) == 0:
        return None
    start, stop = max(0, loud[0] - KEPT_BEFORE), min(len(audio), loud[-1] + KEPT_AFTER)
    shift = lambda sample: np.clip(sample - start, 0, stop - start)
    return audio[start:stop], int(shift(begin)), shift(ends).tolist()


def seeded(identifier):
    """Speed and noise seed of an utterance, from its id."""
    digest = hashlib.sha256(identifier.encode()).digest()
    unit = int.from_bytes(digest[:4], "big") / 2**32
    return 1 + SPEED_SPREAD * (2 * unit - 1), int.from_bytes(digest[4:8], "big")


def cut(identifier, text, tokens, spoken, start, source):
    audio, begin, ends = spoken
    duration = len(audio) / SAMPLE_RATE
    custom = {"phonemes": tokens, "begin": begin, "ends": ends}
    return {
        "id": identifier, "start": start / SAMPLE_RATE, "duration": duration, "channel": 0,
        "custom": {"startSample": start, "numSamples": len(audio)},
        "supervisions": [{"id": identifier, "text": text, "start": 0, "duration": duration, "custom": custom}],
        "recording": {"id": source[:-4], "sources": [{"type": "file", "channels": [0], "source": source}], "sampling_rate": SAMPLE_RATE},
        "type": "MonoCut",
    }


TEACHER = None  # one a process


def speak_shard(job):
    """Writes one shard; returns its number and seconds of speech."""
    global TEACHER
    number, lines, out, vary = job
    source, manifest = f"audio-{number:03d}.wav", os.path.join(out, f"manifest-{number:03d}.jsonl")
    if os.path.exists(manifest):
        with open(manifest, encoding="utf-8") as done:
            return number, sum(json.loads(line)["duration"] for line in done)
    TEACHER = TEACHER or Teacher()
    position, cuts, skipped = 0, [], []
    path = os.path.join(out, source)
    with wave.open(path + ".part", "wb") as file:
        file.setnchannels(1), file.setsampwidth(2), file.setframerate(SAMPLE_RATE)
        for line in lines:
            identifier, text, tokens = line.rstrip("\n").split("\t")
            tokens = json.loads(tokens)
            speed, seed = seeded(identifier)
            try:
                spoken = trim(*TEACHER(tokens, speed if vary else 1.0, seed))
            except ValueError as error:
                spoken = None
                skipped.append(f"{identifier}: {error}")
            if spoken is None:
                continue
            file.writeframes((np.clip(spoken[0], -1, 1) * 32767).astype("<i2").tobytes())
            cuts.append(cut(identifier, text, tokens, spoken, position, source))
            position += len(spoken[0])
    os.replace(path + ".part", path)
    with open(manifest + ".part", "w", encoding="utf-8") as file:
        file.writelines(json.dumps(item, ensure_ascii=False, separators=(",", ":")) + "\n" for item in cuts)
    os.replace(manifest + ".part", manifest)
    for reason in skipped:
        print("synthesize: left out", reason, flush=True)
    return number, position / SAMPLE_RATE


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("phonemes")
    parser.add_argument("out")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--shard", type=int, default=1000, help="utterances a file")
    parser.add_argument("--plain-speed", action="store_true", help="speak everything at the teacher's own speed")
    options = parser.parse_args()
    os.makedirs(options.out, exist_ok=True)
    with open(options.phonemes, encoding="utf-8") as file:
        lines = file.readlines()
    shards = [lines[i:i + options.shard] for i in range(0, len(lines), options.shard)]
    jobs = [(number, shard, options.out, not options.plain_speed) for number, shard in enumerate(shards)]
    seconds = 0
    with Pool(options.processes) as pool:
        for number, spoken in pool.imap(speak_shard, jobs):
            seconds += spoken
            print(f"synthesize: shard {number + 1:3d} of {len(jobs)}, {seconds / 3600:6.2f} hours", flush=True)


if __name__ == "__main__":
    main()
