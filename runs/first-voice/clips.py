#!/usr/bin/env python3
"""Cuts the utterances of manifests into WAV files of their own, with a list for runs/judge.py:  python clips.py OUT MANIFEST..."""
import json
import os
import sys
import wave


def main():
    out, manifests = sys.argv[1], sys.argv[2:]
    os.makedirs(out, exist_ok=True)
    rows = []
    for manifest in manifests:
        with open(manifest, encoding="utf-8") as lines:
            cuts = [json.loads(line) for line in lines]
        for item in cuts:
            source = os.path.join(os.path.dirname(manifest), item["recording"]["sources"][0]["source"])
            with wave.open(source) as audio, wave.open(os.path.join(out, item["id"] + ".wav"), "wb") as clip:
                audio.setpos(item["custom"]["startSample"])
                clip.setparams(audio.getparams())
                clip.writeframes(audio.readframes(item["custom"]["numSamples"]))
            rows.append(f"{item['id']}.wav\t{item['supervisions'][0]['text']}\n")
    with open(os.path.join(out, "list.tsv"), "w", encoding="utf-8") as file:
        file.writelines(rows)


if __name__ == "__main__":
    main()
