#!/usr/bin/env bash
# Prints the folder of prometheus and promtool: those that are installed, or Debian's package, unpacked into a cache of our
# own, so that no service of it starts here.
set -euo pipefail
if command -v prometheus promtool >/dev/null; then
  dirname "$(command -v promtool)"
  exit
fi
dir=${HOME:-/root}/.cache/refmodel-prometheus
if [ ! -x "$dir/usr/bin/promtool" ]; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  cd "$work"
  apt-get update -qq >&2
  apt-get download prometheus >/dev/null 2>&1
  mkdir -p "$dir"
  dpkg-deb -x prometheus_*.deb "$dir"
fi
echo "$dir/usr/bin"
