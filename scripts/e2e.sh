#!/usr/bin/env bash
# The end-to-end tests. With KUBECONFIG set: against that cluster, whose nodes must know REFMODEL_E2E_IMAGE, with a
# bound claim "models" in the namespace (see docs/development.md). Without: builds and starts a cluster of its own.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
say() { echo "e2e: $*" >&2; }
fail() { say "$*"; exit 1; }

namespace=${REFMODEL_E2E_NAMESPACE:-rl}
image=${REFMODEL_E2E_IMAGE:-refmodel.local/refmodel:e2e}
client=${REFMODEL_E2E_CLIENT_IMAGE:-refmodel.local/client:e2e}
previous=${REFMODEL_E2E_PREVIOUS:-} # folder of a chart, and image, to upgrade from
cluster=(env) # what stands before a command that talks to the cluster
work=
test_flags=(--import tsx --test --test-concurrency=1 --test-timeout=900000)

kubectl() { "${cluster[@]}" kubectl "$@"; }

install_tools() {
  local tool missing=()
  [ "$(uname -s)" = Linux ] && [ "$(id -u)" = 0 ] || fail "needs root on Linux, or KUBECONFIG of a cluster (kind, for instance)"
  command -v go >/dev/null || fail "needs go 1.26, or KUBECONFIG of a cluster"
  for tool in nft:nftables ip:iproute2 openssl:openssl curl:curl; do
    command -v "${tool%%:*}" >/dev/null || missing+=("${tool##*:}")
  done
  [ ${#missing[@]} = 0 ] || { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null; }
}

start_cluster() { # with the image of the built project, one with curl, and the folder of models
  work=$(mktemp -d)
  chmod 755 "$work"
  trap 'status=$?; [ $status = 0 ] || show_logs; test/cluster/down.sh; forget_previous; rm -rf "$work"; exit $status' EXIT
  test/cluster/down.sh
  test/cluster/up.sh >/dev/null
  cluster=(test/cluster/run.sh)
  mkdir "$work"/{image,client,models}
  scripts/image-root.sh "$work/image"
  test/cluster/image.sh "$image" "$work/image" /usr/local/bin/node /app/dist/refmodel.js
  test/cluster/rootfs.sh "$work/client" "$(command -v curl)" /bin/sleep
  test/cluster/image.sh "$client" "$work/client" /bin/sleep infinity
  cp -r examples/models/* test/golden/* "$work/models/"
  chmod -R a+rX "$work/models"
}

make_previous() { # the commit before this one, from git's own copy of it
  local folder=$work/previous
  git rev-parse -q --verify HEAD~1 >/dev/null 2>&1 || { say "no upgrade from the commit before: it is not in this clone"; return; }
  git worktree add -q --detach "$folder" HEAD~1
  if cmp -s package-lock.json "$folder/package-lock.json"; then
    ln -s "$PWD/node_modules" "$folder/node_modules"
  else
    npm ci --prefix "$folder" --no-audit --no-fund --silent
  fi
  (cd "$folder" && npm run --silent build)
  mkdir "$work/previous-image"
  "$folder/scripts/image-root.sh" "$work/previous-image"
  test/cluster/image.sh refmodel.local/refmodel:previous "$work/previous-image" /usr/local/bin/node /app/dist/refmodel.js
  previous="$folder/charts/refmodel refmodel.local/refmodel:previous"
}
forget_previous() { [ ! -e "$work/previous" ] || git worktree remove --force "$work/previous"; }

api_server() { # its process id, where the cluster is our own
  [ -z "$work" ] || cut -d' ' -f1 "${REFMODEL_CLUSTER_DIR:-${TMPDIR:-/tmp}/refmodel-cluster}/pids/kube-apiserver"
}

show_logs() { # what a failed run leaves to read
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

make_monitoring_kinds() { # of the Prometheus operator
  test/cluster/monitoring-crds.sh | kubectl apply --server-side -f -
  kubectl wait --for=condition=Established crd --all
}

make_namespaces() { # and the pod that the requests come from
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
}

# Our cluster enforces NetworkPolicies. Its API server and DNS are processes of the node; a pod plays the hub.
network_policies() {
  [ -n "$work" ] || return 0
  local node='{"ipBlock":{"cidr":"10.200.0.1/32"}}'
  printf '%s\n' --set-json "networkPolicies.dns.to=[$node]" --set-json "networkPolicies.kubernetesApi.to=[$node]" \
    --set-json 'networkPolicies.hub={"to":[{"podSelector":{"matchLabels":{"app":"hub"}}}],"ports":[{"port":8080}]}'
}

# Metrics are for pods that say so.
monitoring() {
  [ -n "$work" ] || return 0
  printf '%s\n' --set monitoring.monitors.enabled=true \
    --set-json 'networkPolicies.metrics=[{"namespaceSelector":{},"podSelector":{"matchLabels":{"app":"prometheus"}}}]'
}

install_chart() {
  local settings
  mapfile -t settings < <(network_policies; monitoring)
  "${cluster[@]}" helm upgrade --install refmodel charts/refmodel --namespace refmodel-system \
    --set "image.repository=${image%:*}" --set "image.tag=${image##*:}" "${settings[@]}" --wait --timeout 120s
}

PATH=$PATH:$(test/prometheus.sh) node "${test_flags[@]}" test/e2e/alerts.test.ts test/e2e/dashboard.test.ts
CLIENTS_PYTHON=$(test/clients/install.sh) node "${test_flags[@]}" test/e2e/clients.test.ts test/e2e/fuzz.test.ts
CHROMIUM=$(scripts/chromium.sh) node "${test_flags[@]}" test/e2e/console.test.ts
if [ -n "${KUBECONFIG:-}" ]; then
  REFMODEL_TEST_KUBECONFIG=$KUBECONFIG node "${test_flags[@]}" test/e2e/control-plane-*.test.ts
else
  install_tools
  test/cluster/build.sh
  node "${test_flags[@]}" test/e2e/control-plane-*.test.ts # on a control plane of their own, on loopback
  start_cluster
  make_previous
fi
make_namespaces
[ -z "$work" ] || { make_volume; make_monitoring_kinds; }
install_chart
kubectl wait --for=condition=Ready pod/client -n "$namespace" --timeout=60s
REFMODEL_E2E_NAMESPACE=$namespace "${cluster[@]}" node "${test_flags[@]}" test/e2e/story.test.ts
REFMODEL_E2E_NAMESPACE=$namespace PATH=$PATH:$(test/prometheus.sh) \
  "${cluster[@]}" node "${test_flags[@]}" test/e2e/command-line.test.ts test/e2e/monitors.test.ts
REFMODEL_E2E_NAMESPACE=$namespace REFMODEL_E2E_IMAGE=$image REFMODEL_E2E_NETWORK_POLICIES=${work:+enforced} \
  "${cluster[@]}" node "${test_flags[@]}" test/e2e/security.test.ts
REFMODEL_E2E_NAMESPACE=$namespace REFMODEL_E2E_APISERVER_PID=$(api_server) \
  "${cluster[@]}" node "${test_flags[@]}" test/e2e/failure.test.ts
REFMODEL_E2E_NAMESPACE=$namespace REFMODEL_E2E_IMAGE=$image REFMODEL_E2E_PREVIOUS=$previous \
  "${cluster[@]}" node "${test_flags[@]}" test/e2e/lifecycle.test.ts
