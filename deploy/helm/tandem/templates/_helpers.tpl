{{- define "tandem.name" -}}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{- end }}

{{- define "tandem.labels" -}}
app.kubernetes.io/name: tandem
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* One image for everything that is Python. */}}
{{- define "tandem.image" -}}
{{- with .Values.image }}{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}{{ end }}
{{- end }}

{{- define "tandem.store" -}}
{{- with .Values.store -}}
postgresql://{{ .user }}@{{ .host }}:{{ .port }}/{{ .database }}?sslmode={{ .sslmode }}&password_from=file:/run/secrets/store/{{ .passwordSecret.key }}
{{- if .caSecret }}&sslrootcert=/run/secrets/store-ca/ca.crt{{ else if hasPrefix "verify" .sslmode }}&sslrootcert=system{{ end }}
{{- end }}
{{- end }}

{{- define "tandem.container" -}}
image: {{ include "tandem.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
  seccompProfile: { type: RuntimeDefault }
{{- with .Values.cloud.environmentSecret }}
envFrom:
  - secretRef: { name: {{ . }} }
{{- end }}
{{- end }}

{{- define "tandem.environment" -}}
- { name: TANDEM_HOME, value: {{ .Values.home | quote }} }
{{- if .Values.cloud.credentialsSecret }}
- { name: GOOGLE_APPLICATION_CREDENTIALS, value: /run/secrets/cloud/credentials.json }
{{- end }}
{{- end }}

{{- define "tandem.mounts" -}}
- { name: tmp, mountPath: /tmp }
- { name: store, mountPath: /run/secrets/store, readOnly: true }
{{- if .Values.store.caSecret }}
- { name: store-ca, mountPath: /run/secrets/store-ca, readOnly: true }
{{- end }}
{{- if .Values.cloud.credentialsSecret }}
- { name: cloud, mountPath: /run/secrets/cloud, readOnly: true }
{{- end }}
{{- end }}

{{/* The password's file is its group's to read: libpq isn't asked to read it, Tandem is. */}}
{{- define "tandem.volumes" -}}
- name: store
  secret: { secretName: {{ .Values.store.passwordSecret.name }}, defaultMode: 288 }
{{- with .Values.store.caSecret }}
- name: store-ca
  secret: { secretName: {{ . }}, defaultMode: 288 }
{{- end }}
{{- with .Values.cloud.credentialsSecret }}
- name: cloud
  secret: { secretName: {{ . }}, defaultMode: 288 }
{{- end }}
{{- end }}

{{- define "tandem.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: { type: RuntimeDefault }
{{- with .Values.image.pullSecrets }}
imagePullSecrets: {{ range . }}
  - { name: {{ . }} }
{{- end }}
{{- end }}
{{- end }}

{{- define "tandem.definitions" -}}
{{- range $name, $text := .Values.definitions }}
- --definition=/definitions/{{ $name }}.yaml
{{- end }}
{{- end }}

{{- define "tandem.outside" }}
    - ports: [{ protocol: UDP, port: 53 }, { protocol: TCP, port: 53 }]
      to: [{ namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: kube-system } } }]
    - ports: [{ protocol: TCP, port: {{ .Values.store.port }} }, { protocol: TCP, port: 443 }]
    {{- with .Values.networkPolicies.egress }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}
