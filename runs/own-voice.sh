#!/usr/bin/env bash
# Fine-tunes the shipped voice on one's own recordings, speaks sentences that it was not trained on, and judges them like
# the shipped voice:  runs/own-voice.sh WORK RECORDINGS [PYTHON]
# RECORDINGS is a folder with transcripts or a manifest. PYTHON has runs/requirements.txt installed; without it nothing is judged.
# The same command goes on after an interruption. Before: npm ci && npm run setup:torch.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ $# -ge 2 ] || { echo "usage: runs/own-voice.sh WORK RECORDINGS [PYTHON]" >&2; exit 1; }
mkdir -p "$1"
work=$(cd "$1" && pwd)
recordings=$(realpath "$2")
python=${3:-}
threads=${THREADS:-$(nproc)}

npm run --silent build
node dist/cli/main.js train --from voices/wren "$recordings" --out "$work/voice" --threads "$threads"
for voice in "$work/voice" voices/wren; do
  name=$(basename "$voice")
  node dist/cli/main.js say --model "$voice" "Nobody had told him that the ferry left at half past seven." \
    --out "$work/$name.wav" --no-play --threads "$threads"
done
[ -z "$python" ] ||
  node runs/evaluate.mjs "$work/evaluation" --model "$work/voice" --seed 0 --threads "$threads" --python "$python"
echo "$work/voice"
