#!/usr/bin/env bash
# A newcomer's two paths, timed: clone → `make run` → first log-probs, with an empty npm cache; and, where this machine
# can start the cluster of test/cluster, cluster up → `helm install` → first log-probs. Prints the times.
# newcomer.sh [local|cluster]: one of them; without an argument both.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=$(mktemp -d)
chmod 755 "$work"
pid=
clean() {
  [ -z "$pid" ] || kill -- "-$pid" 2>/dev/null || true
  [ ! -e "$work/cluster" ] || "$root/test/cluster/down.sh"
  rm -rf "$work"
}
trap clean EXIT
say() { printf '%-58s %s\n' "$1" "$2"; }
now() { date +%s; }
body='{"model":"MODEL","input_ids":[[1,622,201,53,430,308,373,263]]}'

on_this_machine() {
  local start
  start=$(now)
  git clone --quiet --no-hardlinks "$root" "$work/clone"
  cd "$work/clone"
  say "clone" "$(($(now) - start)) s"
  npm_config_cache=$work/npm XDG_CACHE_HOME=$work/cache setsid make run PORT=18321 >"$work/run.log" 2>&1 &
  pid=$!
  until grep -q Listening "$work/run.log"; do
    kill -0 "$pid" 2>/dev/null || { cat "$work/run.log" >&2; exit 1; }
    sleep 0.5
  done
  say "… and make run, until it listens (npm cache empty)" "$(($(now) - start)) s"
  curl -fsS http://127.0.0.1:18321/v1/logprobs -H 'content-type: application/json' \
    -d "${body/MODEL/default\/tiny-python-llama}" >"$work/answer.json"
  say "… and the first log-probs" "$(($(now) - start)) s"
  cut -c1-100 "$work/answer.json"
  kill -- "-$pid"
  pid=
  cd "$root"
}

in_a_cluster() { # its programs and the image are made before: a newcomer has a cluster and pulls an image
  local start image=refmodel.local/refmodel:newcomer run=$root/test/cluster/run.sh
  cd "$root"
  make build >/dev/null
  test/cluster/build.sh >/dev/null
  mkdir "$work"/{image,models}
  scripts/image-root.sh "$work/image"
  cp -r examples/models/* "$work/models/"
  chmod -R a+rX "$work/models"
  start=$(now)
  touch "$work/cluster"
  test/cluster/up.sh >/dev/null
  say "cluster up" "$(($(now) - start)) s"
  test/cluster/image.sh "$image" "$work/image" /usr/local/bin/node /app/dist/refmodel.js
  say "… and the image on its node" "$(($(now) - start)) s"
  "$run" helm install refmodel charts/refmodel --namespace refmodel-system --create-namespace --wait \
    --set "image.repository=${image%:*}" --set "image.tag=${image##*:}" >/dev/null
  say "… and helm install, until it is ready" "$(($(now) - start)) s"
  "$run" kubectl apply -f - <<YAML >/dev/null
apiVersion: v1
kind: PersistentVolume
metadata: {name: models}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadOnlyMany]
  hostPath: {path: $work/models}
  claimRef: {namespace: default, name: models}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: models, namespace: default}
spec:
  accessModes: [ReadOnlyMany]
  storageClassName: ""
  volumeName: models
  resources: {requests: {storage: 1Gi}}
YAML
  "$run" kubectl apply -f examples/tiny-python-llama.yaml >/dev/null
  local address
  address=$("$run" kubectl get service refmodel-gateway -n refmodel-system -o 'jsonpath={.spec.clusterIP}')
  until "$run" curl -fsS --max-time 150 "http://$address/v1/logprobs" -H 'content-type: application/json' \
    -d "${body/MODEL/default\/tiny-python-llama}" >"$work/answer.json" 2>/dev/null; do sleep 1; done
  say "… and the first log-probs" "$(($(now) - start)) s"
  cut -c1-100 "$work/answer.json"
}

case ${1:-both} in
  local) on_this_machine ;;
  cluster) in_a_cluster ;;
  both) on_this_machine; in_a_cluster ;;
  *) echo "usage: newcomer.sh [local|cluster]" >&2; exit 2 ;;
esac
