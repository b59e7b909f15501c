{{- define "refmodel.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "refmodel.cudaImage" -}}
{{- $tag := .Values.image.tag | default .Chart.AppVersion -}}
{{ .Values.image.repository }}:{{ .Values.image.cudaTag | default (printf "%s-cuda" $tag) }}
{{- end }}

{{/* Labels of one component: (dict "root" $ "component" "gateway") */}}
{{- define "refmodel.selector" -}}
app.kubernetes.io/name: refmodel
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "refmodel.ownLabels" -}}
{{ include "refmodel.selector" . }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- define "refmodel.labels" -}}
{{ merge (include "refmodel.ownLabels" . | fromYaml) .root.Values.labels | toYaml }}
{{- end }}

{{/* What the restricted Pod Security Standard asks of a pod. */}}
{{- define "refmodel.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "refmodel.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}
