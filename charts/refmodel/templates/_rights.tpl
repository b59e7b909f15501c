{{/*
What the two ServiceAccounts may do: plain YAML, since docs/security.md is generated from it. No Secrets, no wildcard.
`models` is for the namespaces of models: all, or those of watch.namespaces. `own` is for the namespace of the release.
*/}}
{{- define "refmodel.rights.operator.models" -}}
- apiGroups: [refmodel.dev]
  resources: [referencemodels]
  verbs: [get, list, watch]
- apiGroups: [refmodel.dev]
  resources: [referencemodels/status]
  verbs: [patch]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [deployments/scale]
  verbs: [get, update, patch]
- apiGroups: [""]
  resources: [services, serviceaccounts, configmaps]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, patch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}

{{- define "refmodel.rights.operator.cluster" -}}
- apiGroups: [refmodel.dev]
  resources: [gpuclasses]
  verbs: [get, list, watch, create, patch]
{{- end }}

{{/* The Lease of the operator that leads, and the leases of runs, which it clears away; where the gateways are. */}}
{{- define "refmodel.rights.operator.own" -}}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [get, list, watch, create, update, delete]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [get, list, watch]
{{- end }}

{{- define "refmodel.rights.gateway.models" -}}
- apiGroups: [refmodel.dev]
  resources: [referencemodels]
  verbs: [get, list, watch]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [get, list, watch]
- apiGroups: [apps]
  resources: [deployments/scale]
  verbs: [get, update]
{{- end }}

{{/* Whose token is it, and what may they do? */}}
{{- define "refmodel.rights.gateway.cluster" -}}
- apiGroups: [refmodel.dev]
  resources: [gpuclasses]
  verbs: [get, list, watch]
- apiGroups: [authentication.k8s.io]
  resources: [tokenreviews]
  verbs: [create]
- apiGroups: [authorization.k8s.io]
  resources: [subjectaccessreviews]
  verbs: [create]
{{- end }}

{{/* The leases of runs. */}}
{{- define "refmodel.rights.gateway.own" -}}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [get, list, watch, create, patch, delete]
{{- end }}
