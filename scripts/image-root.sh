#!/usr/bin/env bash
# Lays out the image's root file system from the built project and this machine's node.
# image-root.sh DIR: needs dist/; test/cluster/image.sh packs DIR into an image.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$1
node=$(readlink -f "$(command -v node)")
mkdir -p "$root/app"
cp package.json package-lock.json .npmrc "$root/app/"
npm ci --prefix "$root/app" --omit=dev --no-audit --no-fund --silent
sh scripts/prune.sh "$root/app/node_modules"
cp -r dist "$root/app/dist"
test/cluster/rootfs.sh "$root" "$node" \
  "$root"/app/node_modules/onnxruntime-node/bin/napi-v6/linux/*/onnxruntime_binding.node
rm -rf "${root:?}$root" # rootfs.sh copied the binding to its own long path as well
mkdir -p "$root/usr/local/bin"
cp "$node" "$root/usr/local/bin/node"
chmod -R a+rX "$root"
