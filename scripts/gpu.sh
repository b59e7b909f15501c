#!/usr/bin/env bash
# Tests and benchmarks that need a GPU. PYTHON names one with torch and transformers; without, nothing is compared.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if ! command -v nvidia-smi >/dev/null || ! nvidia-smi -L >/dev/null 2>&1; then
  echo "gpu: skipped: this machine has no NVIDIA GPU (nvidia-smi finds none)"
  exit 0
fi
bash scripts/test.sh test/gpu
python=${PYTHON:-$(command -v python3 || true)}
if [ -n "$python" ] && "$python" -c 'import torch, transformers' 2>/dev/null; then
  node --import tsx bench/gpu/main.ts --python "$python" --compile "$@"
else
  echo "gpu: no Python with torch and transformers (PYTHON): our own figures only"
  node --import tsx bench/gpu/main.ts "$@"
fi
