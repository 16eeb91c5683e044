# METADATA
# title: Decision on a request
# description: >-
#   Who may inquire, with which papers, and what the answer may show. It depends on officer, papers and request only,
#   never on a subject or a record (Q13). Allow needs a positive grant and an empty set of findings; the findings are in
#   findings.rego, what is in hand is in papers.rego.
# custom:
#   rule: Q1
#   legal_basis: CPL 286; CL 94, 96; PR 484, 486; IM 10, 16-17
# schemas:
#   - input: schema.facts
package sidecar.request

import data.params
import data.sidecar.disposition

# METADATA
# title: The decision
# description: Refuse before hold before review; allow only on a grant without findings.
# entrypoint: true
# custom:
#   rule: Q1
#   legal_basis: CPL 286
decision := {
	"outcome": outcome,
	"codes": sort({finding.code | some finding in findings}),
	"missing": sort({finding.missing | some finding in findings}),
	"obligations": obligations,
	"rules": sort(carried | {rule | some finding in findings; some rule in finding.rules}),
	"views": views,
}

default outcome := "refuse"

outcome := "allow" if allowed

outcome := "hold" if {
	count(refuse) == 0
	count(hold) > 0
}

outcome := "review" if {
	count(refuse | hold) == 0
	count(review) > 0
}

findings := (refuse | hold) | review

allowed if {
	granted
	count(findings) == 0
}

default obligations := []

obligations := sort(params.obligations.value[input.scope]) if allowed

default views := {
	"open": {},
	"sealed": {},
	"fields": {},
	"joint_dropped": [],
	"cover_mark": false,
}

views := disposition.views(input.scope, organ_class) if allowed

# The rules that carry an allow: the gate, the views, the papers, the basis.
default carried := set()

carried := {"Q1", "Q2", "Q5", "Q9", "R16a"} | {rule | some rule in params.bases[input.basis].rule} if allowed

# METADATA
# title: The positive grant
# description: Good standing of all who ask, a row of the table of papers, and everything that the row names in hand.
# custom:
#   rule: Q1
#   legal_basis: CPL 286
granted if {
	may_ask
	officer_active
	unit_active
	database_known
	channel_allowed
	target_allowed
	documents_settled
	papers := row # an undefined row must end here: a comprehension over it would be empty
	count({paper | some paper in papers} - held) == 0
}
