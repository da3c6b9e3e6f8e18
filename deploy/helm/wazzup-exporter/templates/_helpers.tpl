{{- define "wazzup-exporter.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* Names of objects, with room for what is added to them. */}}
{{- define "wazzup-exporter.fullname" -}}
{{- $name := include "wazzup-exporter.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "wazzup-exporter.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride }}
{{- end }}

{{- define "wazzup-exporter.selectorLabels" -}}
app.kubernetes.io/name: {{ include "wazzup-exporter.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "wazzup-exporter.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "wazzup-exporter.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "wazzup-exporter.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "wazzup-exporter.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "wazzup-exporter.image" -}}
{{- with .Values.global.imageRegistry | default .Values.image.registry }}{{ . }}/{{ end -}}
{{- .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- with .Values.image.digest }}@{{ . }}{{ end }}
{{- end }}

{{- define "wazzup-exporter.configSecret" -}}
{{- .Values.existingConfigSecret | default (include "wazzup-exporter.fullname" .) }}
{{- end }}

{{/* Empty where there is no web configuration. */}}
{{- define "wazzup-exporter.webConfigSecret" -}}
{{- if .Values.existingWebConfigSecret }}
{{- .Values.existingWebConfigSecret }}
{{- else if .Values.webConfig }}
{{- include "wazzup-exporter.fullname" . }}-web
{{- end }}
{{- end }}

{{/* The claim that all pods share; empty where each has its own, or none. */}}
{{- define "wazzup-exporter.sharedClaim" -}}
{{- with .Values.persistence }}
{{- if .enabled }}
{{- if .existingClaim }}
{{- .existingClaim }}
{{- else if .shared }}
{{- include "wazzup-exporter.fullname" $ }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "wazzup-exporter.claim" -}}
accessModes:
  {{- toYaml .Values.persistence.accessModes | nindent 2 }}
{{- with .Values.persistence.storageClassName }}
storageClassName: {{ . }}
{{- end }}
resources:
  requests:
    storage: {{ .Values.persistence.size }}
{{- end }}

{{/* What values cannot mean; the schema has the rest. */}}
{{- define "wazzup-exporter.check" -}}
{{- if not (or .Values.config .Values.existingConfigSecret) }}
{{- fail "Set `config` to the exporter's configuration, or `existingConfigSecret` to a Secret that has it as config.yaml." }}
{{- end }}
{{- if and .Values.config .Values.existingConfigSecret }}
{{- fail "`config` and `existingConfigSecret` are both set; the exporter reads one of them." }}
{{- end }}
{{- if and .Values.webConfig .Values.existingWebConfigSecret }}
{{- fail "`webConfig` and `existingWebConfigSecret` are both set; the exporter reads one of them." }}
{{- end }}
{{- with .Values.persistence }}
{{- if and .shared (not .enabled) }}
{{- fail "`persistence.shared` needs `persistence.enabled`." }}
{{- end }}
{{- if and .enabled .existingClaim (not .shared) (gt (int $.Values.shards) 1) }}
{{- fail "`persistence.existingClaim` with more than one shard needs `persistence.shared`, and storage that takes locks over nodes." }}
{{- end }}
{{- if and .enabled .shared (not .existingClaim) (not (has "ReadWriteMany" .accessModes)) }}
{{- fail "`persistence.shared` needs `persistence.accessModes: [ReadWriteMany]`." }}
{{- end }}
{{- end }}
{{- end }}
