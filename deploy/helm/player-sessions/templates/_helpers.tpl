{{/* The name of everything: that of the release, with player-sessions in it. */}}
{{- define "player-sessions.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" }}{{ end }}
{{- end }}

{{/* What pods are found by. */}}
{{- define "player-sessions.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "player-sessions.labels" -}}
{{ include "player-sessions.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* Of a pod: it is no root, owns nothing, and talks to no API server. */}}
{{- define "player-sessions.pod" -}}
automountServiceAccountToken: false
# The address of a Service "cassandra" would come as CASSANDRA_PORT, which is a setting of ours.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
volumes:
  - name: tmp
    emptyDir: {medium: Memory, sizeLimit: {{ .Values.tmpSize }}}
  {{- with .Values.cassandra.tlsSecret }}
  - name: cassandra-tls
    secret: {secretName: {{ . }}, defaultMode: 0440}
  {{- end }}
{{- end }}

{{/* Of a container of ours. */}}
{{- define "player-sessions.container" -}}
image: {{ printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) | quote }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
  {{- if .Values.cassandra.tlsSecret }}
  - {name: cassandra-tls, mountPath: /etc/cassandra-tls, readOnly: true}
  {{- end }}
{{- end }}

{{/* Host names: what clients inside of the cluster call the Service, the Ingress, and the caller's own. */}}
{{- define "player-sessions.hosts" -}}
{{- $name := include "player-sessions.name" . }}
{{- $inside := list $name (printf "%s.%s" $name .Release.Namespace) (printf "%s.%s.svc" $name .Release.Namespace) }}
{{- $ingress := ternary (list .Values.ingress.host) list .Values.ingress.enabled }}
{{- concat $inside $ingress .Values.allowedHosts | join "," }}
{{- end }}

{{/* The settings: (list . "the Secret of the role"). */}}
{{- define "player-sessions.env" -}}
{{- $role := last . }}
{{- with first . -}}
- {name: ALLOWED_HOSTS, value: {{ include "player-sessions.hosts" . | quote }}}
- {name: AUTH, value: {{ .Values.auth | quote }}}
- {name: WEB_WORKERS, value: {{ .Values.workers | quote }}}
- {name: CASSANDRA_HOSTS, value: {{ join "," .Values.cassandra.hosts | quote }}}
- {name: CASSANDRA_PORT, value: {{ .Values.cassandra.port | quote }}}
- {name: CASSANDRA_KEYSPACE, value: {{ .Values.cassandra.keyspace | quote }}}
- {name: CASSANDRA_LOCAL_DATACENTER, value: {{ .Values.cassandra.datacenter | quote }}}
- name: CASSANDRA_REPLICATION
  value: {{ .Values.cassandra.replication | default (printf "%s=3" .Values.cassandra.datacenter) | quote }}
{{- if .Values.cassandra.tlsSecret }}
- {name: CASSANDRA_CA_FILE, value: /etc/cassandra-tls/ca.crt}
{{- if .Values.cassandra.clientCertificate }}
- {name: CASSANDRA_CERT_FILE, value: /etc/cassandra-tls/tls.crt}
- {name: CASSANDRA_KEY_FILE, value: /etc/cassandra-tls/tls.key}
{{- end }}
{{- end }}
{{- if and .Values.ingress.enabled .Values.ingress.tlsSecret (not (hasKey .Values.settings "BEHIND_TLS_PROXY")) }}
- {name: BEHIND_TLS_PROXY, value: "True"}
{{- end }}
{{- range $name, $value := .Values.settings }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
- name: SECRET_KEY
  valueFrom: {secretKeyRef: {name: {{ .Values.secret }}, key: SECRET_KEY}}
- name: SECRET_KEY_FALLBACKS
  valueFrom: {secretKeyRef: {name: {{ .Values.secret }}, key: SECRET_KEY_FALLBACKS, optional: true}}
- name: REDIS_URL
  {{- if .Values.redis.url }}
  value: {{ .Values.redis.url | quote }}
  {{- else }}
  valueFrom: {secretKeyRef: {name: {{ .Values.secret }}, key: REDIS_URL}}
  {{- end }}
{{- with $role }}
- name: CASSANDRA_USER
  valueFrom: {secretKeyRef: {name: {{ . }}, key: username}}
- name: CASSANDRA_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ . }}, key: password}}
{{- end }}
{{- end }}
{{- end }}
