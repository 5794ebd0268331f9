#!/usr/bin/env bash
# Makes the shipped voice from text alone, on two CPU cores:  runs/first-voice.sh WORK [MODEL_MINUTES] [CODEC_MINUTES]
# Every stage keeps what is there, so the same command goes on after an interruption. WORK takes about 12 GB.
# Before: npm ci && npm run setup:torch. Python 3.10 or later is needed for the teacher and the judge.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ $# -ge 1 ] || { echo "usage: runs/first-voice.sh WORK [MODEL_MINUTES] [CODEC_MINUTES]" >&2; exit 1; }
mkdir -p "$1"
work=$(cd "$1" && pwd)
model_minutes=${2:-600}
codec_minutes=${3:-90}
python=$work/venv/bin/python
sled_tts=(node dist/cli/main.js)
threads=$(nproc)

stage() { echo "--- $(date -u +%H:%M:%S) $*"; }

stage "teacher and judge: a Python of their own"
[ -x "$python" ] || python3 -m venv "$work/venv"
"$python" -m pip install --quiet --requirement runs/requirements.txt
npm run --silent build

stage "text: lines that are not held out, and their phonemes"
"$python" runs/first-voice/split.py "$work"
node runs/first-voice/phonemes.mjs "$work/lines.tsv" "$work/phonemes.tsv"
for set in sentences dev; do
  awk -v set="$set" '{ printf "%s-%03d\t%s\n", set, NR - 1, $0 }' "test/evaluation/$set.txt" >"$work/$set.lines.tsv"
  node runs/first-voice/phonemes.mjs "$work/$set.lines.tsv" "$work/$set.phonemes.tsv"
done

stage "the teacher speaks"
"$python" runs/first-voice/synthesize.py "$work/phonemes.tsv" "$work/teacher" --processes "$threads"
for set in sentences dev; do
  "$python" runs/first-voice/synthesize.py "$work/$set.phonemes.tsv" "$work/$set" --plain-speed --processes 1
done

stage "codec: $codec_minutes minutes"
resume=()
[ -e "$work/codec/checkpoint.safetensors" ] && resume=(--resume)
[ -e "$work/codec.done" ] ||
  "${sled_tts[@]}" codec train "$work"/teacher/manifest-*.jsonl --out "$work/codec" \
    --minutes "$codec_minutes" --threads "$threads" "${resume[@]}"
touch "$work/codec.done"

stage "latents and tokens"
"${sled_tts[@]}" prepare "$work"/teacher/manifest-*.jsonl --codec "$work/codec" --out "$work/shards"
"${sled_tts[@]}" prepare "$work/dev/manifest-000.jsonl" --codec "$work/codec" --out "$work/held-out"

stage "model: $model_minutes minutes"
"${sled_tts[@]}" train configs/first-voice.json --data "$work/shards" --held-out "$work/held-out" --out "$work/model" \
  --minutes "$model_minutes" --threads "$threads" --evaluate-every 500 --save-every 500

stage "the voice: the last checkpoint's averaged weights and the codec"
last=$(ls -d "$work"/model/step-* | sort | tail -1)
mkdir -p "$work/voice/codec"
cp "$last/config.json" "$last/model.safetensors" "$work/voice/"
cp "$work/codec/config.json" "$work/codec/model.safetensors" "$work/voice/codec/"
node runs/first-voice/half-precision.mjs "$work/voice" "$work/voice-half"

stage "evaluation: the held-out sentences, by the voice and by its teacher"
node runs/evaluate.mjs "$work/evaluation" --model "$work/voice-half" --seed 0 --threads "$threads" --python "$python"
"$python" runs/first-voice/clips.py "$work/sentences/clips" "$work/sentences/manifest-000.jsonl"
"$python" runs/judge.py "$work/sentences/clips/list.tsv" --out "$work/teacher-result" --threads "$threads" --name "teacher, our phonemes"
stage "done: $work/voice-half"
