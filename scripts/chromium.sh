#!/usr/bin/env bash
# Prints the path of a Chromium, after installing Debian's where there is none and this may be done; else says why not.
set -euo pipefail
find_browser() { command -v chromium || command -v chromium-browser || command -v google-chrome; }
find_browser && exit
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "chromium.sh: there is no Chromium, and only root can install one with apt-get" >&2
  exit
fi
{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core; } >/dev/null 2>&1 \
  || { echo "chromium.sh: apt-get could not install chromium" >&2; exit 1; }
find_browser
