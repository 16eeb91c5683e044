{{- define "sidecar.name" -}}
{{- printf "%s-sidecar" .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{- define "sidecar.selector" -}}
app.kubernetes.io/name: sidecar
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "sidecar.labels" -}}
{{ include "sidecar.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "sidecar.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
{{- end }}

{{- define "sidecar.image" -}}
{{- printf "%s@%s" .repository .digest -}}
{{- end }}

{{- define "sidecar.mounts" -}}
- {name: settings, mountPath: /etc/sidecar/sidecar.yaml, subPath: sidecar.yaml, readOnly: true}
- {name: catalogs, mountPath: /etc/sidecar/catalogs, readOnly: true}
- {name: dsn, mountPath: /etc/sidecar/dsn, readOnly: true}
- {name: approvers, mountPath: /etc/sidecar/approvers, readOnly: true}
- {name: jwks, mountPath: /etc/sidecar/jwks, readOnly: true}
- {name: revisions, mountPath: /etc/sidecar/revisions, readOnly: true}
- {name: keys, mountPath: /etc/sidecar/keys, readOnly: true}
- {name: witnesses, mountPath: /etc/sidecar/witnesses, readOnly: true}
{{- if .Values.storage.passwordSecret }}
- {name: storage, mountPath: /etc/sidecar/storage, readOnly: true}
{{- end }}
{{- if .Values.server.tlsSecret }}
- {name: tls, mountPath: /etc/sidecar/tls, readOnly: true}
{{- end }}
- {name: run, mountPath: /var/run/sidecar}
- {name: state, mountPath: /var/lib/sidecar}
- {name: tmp, mountPath: /tmp}
{{- end }}

{{- define "sidecar.check" -}}
{{- if and (hasPrefix "sqlite" .Values.storage.url) (gt (int .Values.replicas) 1) }}
{{- fail (printf "storage.url is SQLite, which one pod can use only, but replicas is %d: set replicas to 1, or storage.url to a postgresql+psycopg:// URL" (int .Values.replicas)) }}
{{- end }}
{{- if and (hasPrefix "sqlite" .Values.storage.url) (not .Values.storage.persistentVolumeClaim) }}
{{- fail "storage.url is SQLite but storage.persistentVolumeClaim is empty: the ledger would be lost with the pod; name a claim" }}
{{- end }}
{{- if and .Values.opa.enabled (not .Values.opa.image.digest) }}
{{- fail "opa.image.digest is empty: set it to the digest of an OPA 1.20 image (sha256:…), or opa.enabled to false to decide by WASM in the process" }}
{{- end }}
{{- if ne (empty .Values.ledger.logKeySecret) (empty .Values.ledger.signedClaim) }}
{{- fail "ledger.logKeySecret and ledger.signedClaim belong together: the key must never sign two histories, and log.signed is what it remembers" }}
{{- end }}
{{- if and .Values.ledger.witnesses (not .Values.ledger.logKeySecret) }}
{{- fail "ledger.witnesses cosign signed checkpoints only: name ledger.logKeySecret and ledger.signedClaim" }}
{{- end }}
{{- if lt (len .Values.revision.approvers) 2 }}
{{- fail "revision.approvers must name at least two approvers: a revision is valid when two of them signed it" }}
{{- end }}
{{- range $name, $text := .Values.catalogs }}
{{- if not (regexMatch "^[a-z0-9][a-z0-9_-]{0,62}$" $name) }}
{{- fail (printf "catalogs: the name %q must match ^[a-z0-9][a-z0-9_-]{0,62}$" $name) }}
{{- end }}
{{- end }}
{{- if contains ":" (regexReplaceAll "^[^/]*//" .Values.storage.url "" | splitList "@" | first) }}
{{- if contains "@" .Values.storage.url }}
{{- fail "storage.url holds a password: leave it out and name the secret in storage.passwordSecret" }}
{{- end }}
{{- end }}
{{- end }}
