# METADATA
# title: Alerts
# description: >-
#   Which entries of the ledger the procuratorate is told of, and how severe they are. A function of the entry's clear
#   fields and the revision, so that the alerts can be recomputed from the ledger. Missing papers are recorded, not
#   alerted (R18).
# custom:
#   rule: R18
#   legal_basis: CPL 286; ZJ (A1)
# schemas:
#   - input: schema.entry
package sidecar.alerts

import data.params

# METADATA
# title: Alerts raised by an entry
# description: Sorted by type; one alert a type. Undefined, never empty, where there is no entry to judge.
# entrypoint: true
# custom:
#   rule: R18
#   legal_basis: ZJ (A1)
raised := [alert |
	some name in sort(object.keys(by_type))
	alert := by_type[name]
] if {
	input.entry.kind
	input.entry.codes
}

by_type[alert.type] := alert if some alert in chosen

# One entry of counted attempts raises at most one alert, its most severe.
chosen contains found[1] if {
	bundled
	found := max({[rank, alert] |
		some alert in candidates
		rank := params.severities.value[alert.severity]
	})
}

chosen contains alert if {
	not bundled
	some alert in candidates
}

bundled if input.entry.kind in params.floods.value.kinds

# METADATA
# title: A code that is an unlawful attempt or a fault
# scope: document
# custom:
#   rule: R18
#   legal_basis: ZJ (A1)
candidates contains alert(finding.type, severity(finding), finding.rules) if {
	some code in input.entry.codes
	finding := params.alerts.value[code]
}

# METADATA
# title: A route of the legacy system that is not declared
# custom:
#   rule: R18
#   legal_basis: ZJ (A1)
candidates contains alert(params.undeclared_routes.value.type, params.undeclared_routes.value.severity, params.undeclared_routes.value.rules) if {
	input.entry.channel in params.undeclared_routes.value.channels
	some code in input.entry.codes
	code in params.undeclared_routes.value.codes
}

# METADATA
# title: A flood of requests without a valid token
# description: An entry that does not say how many requests it counts is taken for a flood.
# custom:
#   rule: R18
#   legal_basis: ZJ (A1)
candidates contains alert(params.floods.value.type, params.floods.value.severity, params.floods.value.rules) if {
	bundled
	not few
}

few if {
	input.entry.count >= 0
	input.entry.count < params.floods.value.count
}

alert(type, level, rules) := {"type": type, "severity": level, "rules": sort(rules)}

severity(finding) := finding.severity_sealed if grave

severity(finding) := finding.severity if not grave

grave if input.entry.scope == "sealed"

# METADATA
# title: Many statements of one minute past the sidecar
# description: Nobody reads that many by mistake. An entry that does not say how many it counts is taken for many.
# scope: rule
# custom:
#   rule: A1
#   legal_basis: ZJ (A1)
grave if {
	input.entry.kind in params.mass_reads.value.kinds
	not one_by_one
}

one_by_one if {
	input.entry.count >= 0
	input.entry.count < params.mass_reads.value.count
}
