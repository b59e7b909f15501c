#!/usr/bin/env bash
# Prints the definitions of ServiceMonitor, PodMonitor and PrometheusRule, from the pinned Go module of the Prometheus operator.
set -euo pipefail
module=github.com/prometheus-operator/prometheus-operator@v0.85.0
sum=h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=
cd /
found=$(GOTOOLCHAIN=local GOWORK=off go mod download -json "$module")
field() { sed -n "s/^\t\"$1\": \"\(.*\)\",\{0,1\}$/\1/p" <<<"$found"; }
[ "$(field Sum)" = "$sum" ] || { echo "monitoring-crds.sh: $module is not what was pinned" >&2; exit 1; }
for name in servicemonitors podmonitors prometheusrules; do
  echo ---
  cat "$(field Dir)/example/prometheus-operator-crd/monitoring.coreos.com_$name.yaml"
done
