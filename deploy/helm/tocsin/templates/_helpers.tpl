{{- define "tocsin.name" -}}
{{- if contains .Chart.Name .Release.Name -}}{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else -}}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{- end -}}
{{- end -}}

{{- define "tocsin.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .role }}
{{- end -}}

{{- define "tocsin.labels" -}}
{{ include "tocsin.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{- define "tocsin.image" -}}
{{- if .Values.image.digest -}}{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{- end -}}
{{- end -}}

{{- define "tocsin.account" -}}
{{- if .Values.serviceAccount.create -}}{{ .Values.serviceAccount.name | default (include "tocsin.name" .) }}
{{- else -}}{{ .Values.serviceAccount.name | default "default" }}{{- end -}}
{{- end -}}

{{- define "tocsin.configMap" -}}
{{ .Values.existingConfigMap | default (include "tocsin.name" .) }}
{{- end -}}

{{/* tocsin.yaml: what the values say of Kafka, and over it what `config` says. */}}
{{- define "tocsin.config" -}}
{{- $of := .Values.kafka -}}
{{- $cluster := dict "brokers" (splitList "," $of.bootstrap) "prefix" $of.prefix "group" $of.group "partitions" (int $of.partitions) "replication" (int $of.replication) "snapshots" "/shared/snapshots" -}}
{{- with .Values.snapshots -}}
{{- if .bucket -}}
{{- $reached := dict -}}
{{- if .region -}}{{- $_ := set $reached "region" .region -}}{{- end -}}
{{- if .endpoint -}}{{- $_ := set $reached "endpoint" .endpoint -}}{{- end -}}
{{- if .credentialsSecret -}}{{- $_ := set $reached "credentials_file" "/credentials/credentials" -}}{{- end -}}
{{- $_ := set $cluster "snapshots" .bucket -}}
{{- if $reached -}}{{- $_ := set $cluster "s3" $reached -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- if .Values.snapshots.topic -}}{{- $_ := set $cluster "snapshots" "topic" -}}{{- end -}}
{{- if not (include "tocsin.shares" .) -}}{{- $_ := set $cluster "shared" "/keys" -}}{{- end -}}
{{- toYaml (mergeOverwrite (dict "cluster" $cluster) (deepCopy .Values.config)) -}}
{{- end -}}

{{/* Whether all pods share a directory; else keysSecret has what they share. */}}
{{- define "tocsin.shares" -}}
{{- if not (or .Values.snapshots.bucket .Values.snapshots.topic) -}}yes{{- end -}}
{{- end -}}

{{- define "tocsin.claim" -}}
{{ .Values.shared.existingClaim | default (printf "%s-shared" (include "tocsin.name" .)) }}
{{- end -}}

{{/* What can't be right is refused before anything is made. */}}
{{- define "tocsin.check" -}}
{{- if not .Values.kafka.bootstrap -}}{{ fail "kafka.bootstrap is empty: name the brokers as HOST:PORT,HOST:PORT" }}{{- end -}}
{{- if not .Values.keysSecret -}}{{ fail "keysSecret is empty: `tocsin key create --scope ingest --data keys`, then `kubectl create secret generic tocsin-keys --from-file=keys/keys.json`" }}{{- end -}}
{{- if and .Values.snapshots.topic .Values.snapshots.bucket -}}{{ fail "snapshots.topic and snapshots.bucket: snapshots lie in one of them" }}{{- end -}}
{{- $most := int .Values.engine.replicas -}}
{{- if ne .Values.engine.autoscaling.kind "none" -}}{{- $most = int .Values.engine.autoscaling.maxReplicas -}}{{- end -}}
{{- if and .Values.api.replicas (not .Values.existingConfigMap) -}}
{{- if not (dig "telemetry" "cluster" "" .Values.config) -}}{{ fail "api.replicas reads telemetry that others store: name a ClickHouse cluster, config.telemetry.cluster, or leave it at 0" }}{{- end -}}
{{- if not (or (dig "state" "url" "" .Values.config) .Values.existingSecret) -}}{{ fail "api.replicas reads state that others store: name a PostgreSQL, config.state.url or TOCSIN_STATE_URL in existingSecret, or leave it at 0" }}{{- end -}}
{{- end -}}
{{- if gt $most (int .Values.kafka.partitions) -}}
{{ fail (printf "%d engine workers and %d partitions: the workers above that would idle; lower them, or make partitions" $most (int .Values.kafka.partitions)) }}{{- end -}}
{{- end -}}

{{/* The roles that there are, by their names. */}}
{{- define "tocsin.roles" -}}
{{- $roles := list "engine" "control" -}}
{{- if .Values.edge.enabled -}}{{- $roles = prepend $roles "edge" -}}{{- end -}}
{{- if .Values.api.replicas -}}{{- $roles = append $roles "api" -}}{{- end -}}
{{- join " " $roles -}}
{{- end -}}

{{- define "tocsin.probes" -}}
# kernels are compiled at the first start on a processor
startupProbe:
  httpGet: {path: /healthz, port: http}
  periodSeconds: 5
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /healthz, port: http}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, port: http}
  periodSeconds: 5
  timeoutSeconds: 4
  failureThreshold: 3
{{- end -}}

{{/* A pod of one role; takes root, role, command, ports. */}}
{{- define "tocsin.pod" -}}
{{- $of := index .root.Values .role -}}
metadata:
  labels:
    {{- include "tocsin.labels" . | nindent 4 }}
  annotations:
    {{- if not .root.Values.existingConfigMap }}
    checksum/config: {{ include "tocsin.config" .root | sha256sum }}
    {{- end }}
    {{- with $of.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "tocsin.account" .root }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ $of.terminationGracePeriodSeconds }}
  {{- with .root.Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    {{- toYaml .root.Values.podSecurityContext | nindent 4 }}
  containers:
    - name: {{ .role }}
      image: {{ include "tocsin.image" .root | quote }}
      imagePullPolicy: {{ .root.Values.image.pullPolicy }}
      args:
        {{- range .command }}
        - {{ . | quote }}
        {{- end }}
        {{- range $of.args }}
        - {{ . | quote }}
        {{- end }}
      env:
        - {name: TOCSIN_KAFKA_BOOTSTRAP, value: {{ .root.Values.kafka.bootstrap | quote }}}
        - {name: TOCSIN_DATA, value: /data}
        - {name: TMPDIR, value: /tmp}
        {{- with .root.Values.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with .root.Values.existingSecret }}
      envFrom:
        - secretRef: {name: {{ . }}}
      {{- end }}
      ports:
        {{- range $name, $port := .ports }}
        - {name: {{ $name }}, containerPort: {{ $port }}, protocol: TCP}
        {{- end }}
      {{- include "tocsin.probes" . | nindent 6 }}
      resources:
        {{- toYaml $of.resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL]}
      volumeMounts:
        - {name: config, mountPath: /etc/tocsin, readOnly: true}
        - {name: data, mountPath: /data}
        - {name: tmp, mountPath: /tmp}
        - {name: keys, mountPath: /data/keys.json, subPath: keys.json, readOnly: true}
        {{- if eq .role "api" }}
        {{- else if not (include "tocsin.shares" .root) }}
        - {name: keys, mountPath: /keys, readOnly: true}
        {{- else }}
        - {name: shared, mountPath: /shared}
        {{- end }}
        {{- if and .root.Values.snapshots.credentialsSecret (eq .role "engine") }}
        - {name: credentials, mountPath: /credentials, readOnly: true}
        {{- end }}
  volumes:
    - name: config
      configMap: {name: {{ include "tocsin.configMap" .root }}}
    {{- if ne .role "control" }}
    - name: data
      emptyDir: {sizeLimit: {{ $of.scratch }}}
    {{- end }}
    - name: tmp
      emptyDir: {sizeLimit: 256Mi}
    - name: keys
      secret: {secretName: {{ .root.Values.keysSecret }}, defaultMode: 288}
    {{- if and (include "tocsin.shares" .root) (ne .role "api") }}
    - name: shared
      persistentVolumeClaim: {claimName: {{ include "tocsin.claim" .root }}}
    {{- end }}
    {{- if and .root.Values.snapshots.credentialsSecret (eq .role "engine") }}
    - name: credentials
      secret: {secretName: {{ .root.Values.snapshots.credentialsSecret }}, defaultMode: 288}
    {{- end }}
  {{- with $of.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $of.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $of.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "tocsin.selector" . | nindent 10 }}
{{- end -}}

{{/* Up at once, by half as many again; down one at a time, and late. */}}
{{- define "tocsin.scaling" -}}
scaleUp:
  stabilizationWindowSeconds: 30
  policies:
    - {type: Percent, value: 50, periodSeconds: 60}
    - {type: Pods, value: 2, periodSeconds: 60}
  selectPolicy: Max
scaleDown:
  stabilizationWindowSeconds: {{ .Values.engine.autoscaling.scaleDownSeconds }}
  policies:
    - {type: Pods, value: 1, periodSeconds: 180}
{{- end -}}
