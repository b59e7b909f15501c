#!/usr/bin/env bash
# Makes a Python environment with the clients, once: 2.7 GB to download and 6 GB on disk where torch comes with CUDA.
# Prints the path of its python. A folder for each list of packages, outside of the checkout.
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
bare=(lm-eval==0.4.13 verl==0.9.1 axolotl==0.19.0) # without their dependencies
openrlhf=openrlhf==0.11.2
stamp=$({ cat "$here/requirements.txt"; echo "${bare[@]}" "$openrlhf"; python3 --version; } | sha256sum | cut -c1-16)
folder=${CLIENTS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/refmodel-python}/$stamp

if [ ! -e "$folder/complete" ]; then
  python3 -c 'import venv, sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "install.sh: needs Python 3.11 or newer, with venv" >&2
    exit 1
  }
  rm -rf "$folder"
  python3 -m venv "$folder"
  packages=$("$folder/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  pip=("$folder/bin/pip" install --quiet --no-cache-dir --disable-pip-version-check)
  "${pip[@]}" -r "$here/requirements.txt" >&2
  "${pip[@]}" --no-deps "${bare[@]}" >&2
  # Pure Python, published for one version and one platform.
  "${pip[@]}" --no-deps --target "$packages" --only-binary=:all: --implementation cp --python-version 3.11 \
    --platform manylinux1_x86_64 "$openrlhf" >&2
  # lm-eval imports `evaluate` for metrics that scoring does not use.
  touch "$packages/evaluate.py"
  touch "$folder/complete"
fi
echo "$folder/bin/python"
