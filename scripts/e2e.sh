#!/usr/bin/env bash
# The end-to-end tests. With KUBECONFIG set: against that cluster, whose nodes must know REFMODEL_E2E_IMAGE, with a
# bound claim "models" in the namespace (see docs/development.md). Without: builds and starts a cluster of its own.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
say() { echo "e2e: $*" >&2; }

namespace=${REFMODEL_E2E_NAMESPACE:-rl}
image=${REFMODEL_E2E_IMAGE:-refmodel.local/refmodel:e2e}
client=${REFMODEL_E2E_CLIENT_IMAGE:-refmodel.local/client:e2e}
run_tests() { "$@" node --import tsx --test --test-concurrency=1 --test-timeout=900000 "${tests[@]}"; }

own_cluster() {
  [ "$(uname -s)" = Linux ] && [ "$(id -u)" = 0 ] || { say "needs root on Linux, or KUBECONFIG of a cluster (kind, for instance)"; exit 1; }
  command -v go >/dev/null || { say "needs go 1.26, or KUBECONFIG of a cluster"; exit 1; }
  for tool in nft:nftables ip:iproute2 openssl:openssl curl:curl; do
    command -v "${tool%%:*}" >/dev/null || missing+=("${tool##*:}")
  done
  if [ ${#missing[@]} -gt 0 ]; then
    apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  fi
  test/cluster/build.sh
  tests=(test/e2e/control-plane-*.test.ts) && run_tests # on a control plane of their own, on loopback

  work=$(mktemp -d) && chmod 755 "$work"
  trap 'status=$?; [ $status = 0 ] || logs; test/cluster/down.sh; rm -rf "$work"; exit $status' EXIT
  test/cluster/down.sh
  test/cluster/up.sh >/dev/null
  mkdir "$work"/{image,client,models}
  scripts/image-root.sh "$work/image"
  test/cluster/image.sh "$image" "$work/image" /usr/local/bin/node /app/dist/refmodel.js
  test/cluster/rootfs.sh "$work/client" /usr/bin/curl /bin/sleep
  test/cluster/image.sh "$client" "$work/client" /bin/sleep infinity
  cp -r examples/models/* test/golden/* "$work/models/"
  chmod -R a+rX "$work/models"
  run=(test/cluster/run.sh)
}

missing=() run=() work=
if [ -n "${KUBECONFIG:-}" ]; then
  tests=(test/e2e/control-plane-*.test.ts) && REFMODEL_TEST_KUBECONFIG=$KUBECONFIG run_tests
else
  own_cluster
fi
kubectl() { "${run[@]}" kubectl "$@"; }

logs() { # what a failed run leaves to read
  kubectl get rfm,deployments,pods,events -A || true
  kubectl logs -n refmodel-system -l app.kubernetes.io/name=refmodel --tail=50 --prefix || true
  kubectl logs -n "$namespace" -l refmodel.dev/pool --tail=50 --prefix || true
} >&2

make_volume() { # the folder of models as a claim: a hostPath volume, bound by name
  kubectl apply -f - <<YAML
apiVersion: v1
kind: PersistentVolume
metadata: {name: $namespace-models}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadOnlyMany]
  hostPath: {path: $work/models}
  claimRef: {namespace: $namespace, name: models}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: models, namespace: $namespace}
spec:
  accessModes: [ReadOnlyMany]
  storageClassName: ""
  volumeName: $namespace-models
  resources: {requests: {storage: 1Gi}}
YAML
}

kubectl apply -f - <<YAML
apiVersion: v1
kind: Namespace
metadata: {name: $namespace, labels: {pod-security.kubernetes.io/enforce: restricted}}
---
apiVersion: v1
kind: Namespace
metadata: {name: refmodel-system, labels: {pod-security.kubernetes.io/enforce: restricted}}
---
apiVersion: v1
kind: Pod
metadata: {name: client, namespace: $namespace}
spec:
  securityContext: {runAsNonRoot: true, runAsUser: 65532, seccompProfile: {type: RuntimeDefault}}
  terminationGracePeriodSeconds: 0
  containers:
  - name: curl
    image: $client
    command: [/bin/sleep, infinity]
    imagePullPolicy: IfNotPresent
    securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
YAML
[ -z "$work" ] || make_volume
"${run[@]}" helm upgrade --install refmodel charts/refmodel --namespace refmodel-system --wait --timeout 120s \
  --set "image.repository=${image%:*}" --set "image.tag=${image##*:}"
kubectl wait --for=condition=Ready pod/client -n "$namespace" --timeout=60s
tests=(test/e2e/story.test.ts)
REFMODEL_E2E_NAMESPACE=$namespace run_tests "${run[@]}"
