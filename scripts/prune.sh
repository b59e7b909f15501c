#!/bin/sh
# Leaves of onnxruntime-node only the files of this platform. prune.sh NODE_MODULES
set -eu
bin=$1/onnxruntime-node/bin/napi-v6
arch=$(case $(uname -m) in x86_64) echo x64 ;; aarch64) echo arm64 ;; *) uname -m ;; esac)
for folder in "$bin"/*/*; do
  case $folder in */linux/"$arch") ;; *) rm -rf "$folder" ;; esac
done
