#!/usr/bin/env bash
# Tests and benchmarks that need a GPU.
set -euo pipefail
if ! command -v nvidia-smi >/dev/null || ! nvidia-smi -L >/dev/null 2>&1; then
  echo "gpu: skipped: this machine has no NVIDIA GPU (nvidia-smi finds none)"
  exit 0
fi
echo "gpu: skipped: this version computes on CPU only; nothing in it needs the GPU of this machine yet"
