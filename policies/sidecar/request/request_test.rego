# METADATA
# title: Tests of the decision on a request
# description: Each case changes one complete request and states the complete decision.
# custom:
#   rule: Q1
#   legal_basis: CPL 286
package sidecar.request_test

import data.fixtures.facts_test as fixtures
import data.params
import data.sidecar.disposition
import data.sidecar.request

obligations := {
	"open": ["keep-to-purpose", "no-further-use"],
	"sealed": ["file-dossier", "keep-confidential", "keep-to-purpose", "no-further-use"],
}

nothing := {"open": {}, "sealed": {}, "fields": {}, "joint_dropped": [], "cover_mark": false}

expected_views(_, case) := nothing if case.outcome != "allow"

expected_views(facts, case) := disposition.views(facts.scope, request.class_of(facts.organ, facts.purpose)) if case.outcome == "allow"

expected_obligations(_, case) := [] if case.outcome != "allow"

expected_obligations(facts, case) := obligations[facts.scope] if case.outcome == "allow"

test_decision[name] if {
	some name, case in cases
	facts := object.union(fixtures.bases[case.from], case.change)
	decision := request.decision with input as facts
	decision == {
		"outcome": case.outcome,
		"codes": case.codes,
		"missing": case.missing,
		"rules": case.rules,
		"obligations": expected_obligations(facts, case),
		"views": expected_views(facts, case),
	}
}

# A field of the facts that is missing, or is null, never lets a request through.
test_without_a_field_denied[name] if {
	some name, facts in fixtures.bases
	let_through := {field |
		some field, _ in facts
		decision := request.decision with input as object.remove(facts, [field])
		decision.outcome == "allow"
	}
	let_through == set()
}

test_with_null_in_a_field_denied[name] if {
	some name, facts in fixtures.bases
	let_through := {field |
		some field, _ in facts
		decision := request.decision with input as object.union(facts, {field: null})
		decision.outcome == "allow"
	}
	let_through == set()
}

# The parts of a paper that is needed: none may be missing, but for what only an invalid letter or copies carry.
test_without_a_part_of_a_paper_denied[paper] if {
	some paper, unread in {"letter": {"code"}, "application": {"copies_approved"}, "undertaking": set()}
	let_through := {part |
		some part, _ in fixtures.licensing[paper]
		facts := object.union(
			object.remove(fixtures.licensing, [paper]),
			{paper: object.remove(fixtures.licensing[paper], [part])},
		)
		decision := request.decision with input as facts
		decision.outcome == "allow"
	}
	let_through == unread
}

# Malformed input yields a whole decision, and it is a refusal.
test_no_facts_at_all if {
	decision := request.decision with input as {}
	decision.outcome == "refuse"
	decision.views == nothing
	decision.obligations == []
	decision.codes == [
		"application-unknown", "basis-missing", "case-number-invalid", "certificate-missing", "channel-not-allowed",
		"copies-not-approved", "database-unknown", "letter-malformed", "officer-revoked", "organ-not-entitled", "purpose-missing",
		"role-missing", "scope-not-allowed", "search-not-allowed", "undertaking-missing", "unit-unknown",
	]
}

# The grant does not rest on the findings: without what is needed it is not given, whatever else is found.
test_grant_is_independent_of_findings[name] if {
	some name, case in cases
	facts := object.union(fixtures.bases[case.from], case.change)
	granted(facts) == object.get(granted_with_findings, name, case.outcome == "allow")
}

default granted(_) := false

granted(facts) if request.granted with input as facts

# Everything needed is in hand, and still something stands against it.
granted_with_findings := {
	"malformed number that is not needed": true,
	"a forged letter is refused where none is needed": true,
	"letter in no known state": true,
	"application in no known state": true,
	"coast_guard": true,
	"customs_anti_smuggling": true,
	"military_security": true,
	"supervisory_commission": true,
	"another state organ handles a case": true,
	"supervisory commission vets its staff": true,
}

# Who may ask for what, on which basis: the complete set over all organs, purposes and bases.
test_everything_that_can_be_granted_in_open_scope if matrix("open") == both_scopes | open_only

test_everything_that_can_be_granted_in_sealed_scope if matrix("sealed") == both_scopes

matrix(scope) := {[organ, purpose, basis] |
	some basis, _ in params.bases
	some organ in params.bases[basis].organs
	some purpose in params.bases[basis].purposes
	request.papers_of(scope, organ, purpose)
	request.basis_good(basis, organ, purpose, 20261123)
}

# What is absent is not in hand, whatever it is said to match.
test_an_absent_paper_is_not_in_hand if {
	facts := object.union(fixtures.police, {
		"letter": {"state": "absent"}, "application": {"state": "absent"}, "undertaking": {"state": "absent"},
	})
	held := request.held with input as facts
	held == {"basis", "case_number", "purpose", "reason", "work_certificate"}
}

# A basis is good from its first day to its last, both included.
test_first_and_last_day_of_a_basis[basis] if {
	some basis, days in {
		"CPL/286": [20121231, 20130101, 99991231],
		"PJDL/59": [20210531, 20210601, 99991231],
		"PSAPL/136": [20251231, 20260101, 99991231],
	}
	not request.basis_in_force(basis, days[0])
	request.basis_in_force(basis, days[1])
	request.basis_in_force(basis, days[2])
	not request.basis_in_force(basis, 99991232)
	not request.basis_in_force(basis, "20261123")
}

both_scopes := {[organ, purpose, basis] |
	some [purpose, basis, organs] in [
		["case_handling", "CPL/286", ["coast_guard", "court", "customs_anti_smuggling", "judicial_administration", "military_security", "prison", "procuratorate", "public_security", "state_security", "supervisory_commission"]],
		["case_handling", "PJDL/59", ["coast_guard", "court", "customs_anti_smuggling", "judicial_administration", "military_security", "prison", "procuratorate", "public_security", "state_security", "supervisory_commission"]],
		["case_handling", "PSAPL/136", ["civil_affairs", "coast_guard", "court", "customs_anti_smuggling", "education", "judicial_administration", "licensing_authority", "military_security", "prison", "procuratorate", "public_security", "state_security", "supervisory_commission"]],
		["licensing", "ENTERTAINMENT/5", ["licensing_authority"]],
		["licensing", "LAWYERS/7", ["judicial_administration", "professional_body"]],
		["notarisation", "NOTARISATION/29", ["notary"]],
		["preventing_reoffending", "CPL/286", ["coast_guard", "court", "customs_anti_smuggling", "judicial_administration", "military_security", "prison", "procuratorate", "public_security", "state_security", "supervisory_commission"]],
		["preventing_reoffending", "PJDL/59", ["coast_guard", "court", "customs_anti_smuggling", "judicial_administration", "military_security", "prison", "procuratorate", "public_security", "state_security", "supervisory_commission"]],
		["professional_qualification", "FORENSIC/4", ["judicial_administration", "professional_body"]],
		["professional_qualification", "LAWYERS/7", ["judicial_administration", "professional_body"]],
		["professional_qualification", "SECURITY-GUARDS/17", ["public_security"]],
		["professional_qualification", "TEACHERS/14", ["education"]],
	]
	some organ in organs
}

open_only := {[organ, purpose, basis] |
	some [purpose, basis, organs] in [
		["employment", "CIVIL-SERVANTS/26", ["civil_affairs", "coast_guard", "court", "customs_anti_smuggling", "education", "judicial_administration", "licensing_authority", "military_security", "prison", "procuratorate", "public_security", "state_security", "supervisory_commission"]],
		["staff_vetting", "LPM/62", ["civil_affairs", "education", "employer", "school"]],
		["staff_vetting", "SECURITY-GUARDS/17", ["employer", "public_security"]],
	]
	some organ in organs
}

cases := {
	"police, complete: the file": {
		"from": "police", "change": {},
		"outcome": "allow", "codes": [],
		"missing": [], "rules": ["Q1", "Q2", "Q5", "Q9", "R16a"],
	},
	"unit, complete: punished, crime, term": {
		"from": "licensing", "change": {},
		"outcome": "allow", "codes": [],
		"missing": [], "rules": ["C6", "Q1", "Q2", "Q5", "Q9", "R16a"],
	},
	"court, open scope: neither letter nor application": {
		"from": "court", "change": {},
		"outcome": "allow", "codes": [],
		"missing": [], "rules": ["Q1", "Q2", "Q5", "Q9", "R16a"],
	},
	"school vetting its staff, open scope": {
		"from": "school", "change": {},
		"outcome": "allow", "codes": [],
		"missing": [], "rules": ["C6", "Q1", "Q12", "Q2", "Q5", "Q9", "R16a"],
	},
	"paper letter": {
		"from": "police", "change": {"letter": {"kind": "paper"}},
		"outcome": "allow", "codes": [],
		"missing": [], "rules": ["Q1", "Q2", "Q5", "Q9", "R16a"],
	},
	"prevention with an internal file's number": {
		"from": "court", "change": {"purpose": "preventing_reoffending", "case_number": "free_form"},
		"outcome": "allow", "codes": [],
		"missing": [], "rules": ["Q1", "Q2", "Q5", "Q9", "R16a"],
	},
	"judicial organ searches open records": {
		"from": "court", "change": {"target": "search"},
		"outcome": "allow", "codes": [],
		"missing": [], "rules": ["Q1", "Q2", "Q5", "Q9", "R16a"],
	},
	"proxy": {
		"from": "police", "change": {"channel": "proxy"},
		"outcome": "allow", "codes": [],
		"missing": [], "rules": ["Q1", "Q2", "Q5", "Q9", "R16a"],
	},
	"desk, open scope": {
		"from": "court", "change": {"channel": "desk"},
		"outcome": "allow", "codes": [],
		"missing": [], "rules": ["Q1", "Q2", "Q5", "Q9", "R16a"],
	},
	"desk, sealed scope": {
		"from": "police", "change": {"channel": "desk"},
		"outcome": "allow", "codes": [],
		"missing": [], "rules": ["Q1", "Q2", "Q5", "Q9", "R16a"],
	},
	"proxy, open scope": {
		"from": "court", "change": {"channel": "proxy"},
		"outcome": "allow", "codes": [],
		"missing": [], "rules": ["Q1", "Q2", "Q5", "Q9", "R16a"],
	},
	"a court as employer passes the unit's gate": {
		"from": "court", "change": {"purpose": "employment", "basis": "CIVIL-SERVANTS/26", "case_number": "missing", "letter": {"basis_match": true, "code": "", "database_match": true, "kind": "jws", "officer_match": true, "purpose_match": true, "scope_match": true, "state": "valid", "subject_match": true, "unit_match": true}},
		"outcome": "allow", "codes": [],
		"missing": [], "rules": ["C6", "Q1", "Q2", "Q5", "Q9", "R13", "R16a"],
	},
	"copies approved": {
		"from": "licensing", "change": {"documents": true, "application": {"copies_approved": true}},
		"outcome": "allow", "codes": [],
		"missing": [], "rules": ["C6", "Q1", "Q2", "Q5", "Q9", "R16a"],
	},
	"copies are part of a judicial organ's file": {
		"from": "police", "change": {"documents": true},
		"outcome": "allow", "codes": [],
		"missing": [], "rules": ["Q1", "Q2", "Q5", "Q9", "R16a"],
	},
	"several roles": {
		"from": "police", "change": {"roles": ["approver", "officer"]},
		"outcome": "allow", "codes": [],
		"missing": [], "rules": ["Q1", "Q2", "Q5", "Q9", "R16a"],
	},
	"no role": {
		"from": "police", "change": {"roles": []},
		"outcome": "refuse", "codes": ["role-missing"],
		"missing": [], "rules": ["Q1"],
	},
	"another role": {
		"from": "police", "change": {"roles": ["prosecutor"]},
		"outcome": "refuse", "codes": ["role-missing"],
		"missing": [], "rules": ["Q1"],
	},
	"certificate missing": {
		"from": "police", "change": {"certificate": "missing"},
		"outcome": "refuse", "codes": ["certificate-missing"],
		"missing": ["work_certificate"], "rules": ["Q5"],
	},
	"certificate expired": {
		"from": "police", "change": {"certificate": "expired"},
		"outcome": "refuse", "codes": ["certificate-expired"],
		"missing": [], "rules": ["Q5"],
	},
	"certificate suspended": {
		"from": "police", "change": {"certificate": "suspended"},
		"outcome": "refuse", "codes": ["certificate-suspended"],
		"missing": [], "rules": ["Q5", "R18"],
	},
	"certificate revoked": {
		"from": "police", "change": {"certificate": "revoked"},
		"outcome": "refuse", "codes": ["certificate-revoked"],
		"missing": [], "rules": ["Q5", "R18"],
	},
	"officer suspended": {
		"from": "police", "change": {"officer": "suspended"},
		"outcome": "refuse", "codes": ["officer-suspended"],
		"missing": [], "rules": ["Q1", "R18"],
	},
	"officer revoked": {
		"from": "police", "change": {"officer": "revoked"},
		"outcome": "refuse", "codes": ["officer-revoked"],
		"missing": [], "rules": ["Q1", "R18"],
	},
	"unit suspended": {
		"from": "police", "change": {"unit": "suspended"},
		"outcome": "refuse", "codes": ["unit-suspended"],
		"missing": [], "rules": ["Q1", "R18"],
	},
	"unit unknown": {
		"from": "police", "change": {"unit": "unknown"},
		"outcome": "refuse", "codes": ["unit-unknown"],
		"missing": [], "rules": ["Q1"],
	},
	"unit without kind of organ": {
		"from": "police", "change": {"organ": ""},
		"outcome": "refuse", "codes": ["organ-not-entitled"],
		"missing": [], "rules": ["Q1", "Q3"],
	},
	"database unknown": {
		"from": "police", "change": {"database": "unknown"},
		"outcome": "refuse", "codes": ["database-unknown"],
		"missing": [], "rules": ["Q1"],
	},
	"channel unknown": {
		"from": "police", "change": {"channel": "cli"},
		"outcome": "refuse", "codes": ["channel-not-allowed"],
		"missing": [], "rules": ["Q1"],
	},
	"channel unknown, open scope": {
		"from": "court", "change": {"channel": "cli"},
		"outcome": "refuse", "codes": ["channel-not-allowed"],
		"missing": [], "rules": ["Q1"],
	},
	"search of sealed records": {
		"from": "police", "change": {"target": "search"},
		"outcome": "refuse", "codes": ["search-not-allowed"],
		"missing": [], "rules": ["Q10"],
	},
	"search by a unit": {
		"from": "school", "change": {"target": "search"},
		"outcome": "refuse", "codes": ["search-not-allowed"],
		"missing": [], "rules": ["Q10"],
	},
	"search without a row": {
		"from": "court", "change": {"target": "search", "purpose": "licensing"},
		"outcome": "refuse", "codes": ["basis-not-for-organ", "letter-missing", "search-not-allowed"],
		"missing": ["letter"], "rules": ["Q10", "Q2", "Q5", "R13"],
	},
	"search by another state organ": {
		"from": "licensing", "change": {"target": "search"},
		"outcome": "refuse", "codes": ["search-not-allowed"],
		"missing": [], "rules": ["Q10"],
	},
	"search where the organ is unknown": {
		"from": "court", "change": {"target": "search", "organ": ""},
		"outcome": "refuse", "codes": ["organ-not-entitled", "search-not-allowed"],
		"missing": [], "rules": ["Q1", "Q10", "Q3"],
	},
	"subject where a row forbids no subject": {
		"from": "licensing", "change": {"scope": "sealed", "organ": "employer", "basis": "LPM/62", "purpose": "staff_vetting"},
		"outcome": "refuse", "codes": ["scope-not-allowed"],
		"missing": [], "rules": ["Q12", "R13", "R15", "R16", "R16a"],
	},
	"scope unknown": {
		"from": "police", "change": {"scope": "all"},
		"outcome": "refuse", "codes": ["channel-not-allowed", "scope-not-allowed"],
		"missing": [], "rules": ["Q1", "R16a"],
	},
	"vetting asks for sealed records": {
		"from": "school", "change": {"scope": "sealed", "application": {"approver_distinct": true, "basis_match": true, "copies_approved": false, "database_match": true, "officer_match": true, "purpose_match": true, "scope_match": true, "state": "approved", "subject_match": true}, "undertaking": {"officer_match": true, "state": "signed"}},
		"outcome": "refuse", "codes": ["scope-not-allowed"],
		"missing": [], "rules": ["Q12", "R13", "R15", "R16", "R16a"],
	},
	"a court as employer asks for sealed records": {
		"from": "police", "change": {"organ": "court", "purpose": "employment", "basis": "CIVIL-SERVANTS/26", "case_number": "missing"},
		"outcome": "refuse", "codes": ["scope-not-allowed"],
		"missing": [], "rules": ["Q12", "R13", "R15", "R16", "R16a"],
	},
	"a licensing authority as employer asks for sealed records": {
		"from": "licensing", "change": {"purpose": "employment", "basis": "CIVIL-SERVANTS/26"},
		"outcome": "refuse", "codes": ["scope-not-allowed"],
		"missing": [], "rules": ["Q12", "R13", "R15", "R16a"],
	},
	"reason blank": {
		"from": "police", "change": {"reason": "missing"},
		"outcome": "refuse", "codes": ["reason-missing"],
		"missing": ["reason"], "rules": ["Q5"],
	},
	"reason blank, open scope": {
		"from": "court", "change": {"reason": "missing"},
		"outcome": "refuse", "codes": ["reason-missing"],
		"missing": ["reason"], "rules": ["Q5"],
	},
	"purpose blank": {
		"from": "police", "change": {"purpose": "", "purpose_state": "missing"},
		"outcome": "refuse", "codes": ["purpose-missing"],
		"missing": ["purpose"], "rules": ["Q5"],
	},
	"purpose unknown": {
		"from": "police", "change": {"purpose": "", "purpose_state": "unknown"},
		"outcome": "refuse", "codes": ["purpose-unknown"],
		"missing": [], "rules": ["Q5"],
	},
	"purpose said to be known is not": {
		"from": "police", "change": {"purpose": "gossip"},
		"outcome": "refuse", "codes": ["purpose-unknown"],
		"missing": [], "rules": ["Q5"],
	},
	"police license nothing without a basis for it": {
		"from": "police", "change": {"purpose": "licensing"},
		"outcome": "refuse", "codes": ["basis-not-for-organ"],
		"missing": [], "rules": ["Q2", "R13"],
	},
	"prevention by a unit": {
		"from": "licensing", "change": {"purpose": "preventing_reoffending", "basis": "CPL/286"},
		"outcome": "refuse", "codes": ["basis-not-for-organ", "organ-needs-review", "purpose-not-allowed"],
		"missing": [], "rules": ["Q1", "Q2", "R13", "R14", "R16a"],
	},
	"unit handles no cases": {
		"from": "licensing", "change": {"organ": "notary", "purpose": "case_handling", "basis": "CPL/286"},
		"outcome": "refuse", "codes": ["basis-not-for-organ", "purpose-not-allowed"],
		"missing": [], "rules": ["Q1", "Q2", "R13", "R16a"],
	},
	"civil_affairs, labour_file": {
		"from": "school", "change": {"organ": "civil_affairs", "purpose": "labour_file"},
		"outcome": "refuse", "codes": ["basis-not-for-organ", "purpose-not-allowed"],
		"missing": [], "rules": ["Q1", "Q11", "Q2", "R13", "R16a"],
	},
	"civil_affairs, personnel_file": {
		"from": "school", "change": {"organ": "civil_affairs", "purpose": "personnel_file"},
		"outcome": "refuse", "codes": ["basis-not-for-organ", "purpose-not-allowed"],
		"missing": [], "rules": ["Q1", "Q11", "Q2", "R13", "R16a"],
	},
	"civil_affairs, student_file": {
		"from": "school", "change": {"organ": "civil_affairs", "purpose": "student_file"},
		"outcome": "refuse", "codes": ["basis-not-for-organ", "purpose-not-allowed"],
		"missing": [], "rules": ["Q1", "Q11", "Q2", "R13", "R16a"],
	},
	"education, labour_file": {
		"from": "school", "change": {"organ": "education", "purpose": "labour_file"},
		"outcome": "refuse", "codes": ["basis-not-for-organ", "purpose-not-allowed"],
		"missing": [], "rules": ["Q1", "Q11", "Q2", "R13", "R16a"],
	},
	"education, personnel_file": {
		"from": "school", "change": {"organ": "education", "purpose": "personnel_file"},
		"outcome": "refuse", "codes": ["basis-not-for-organ", "purpose-not-allowed"],
		"missing": [], "rules": ["Q1", "Q11", "Q2", "R13", "R16a"],
	},
	"education, student_file": {
		"from": "school", "change": {"organ": "education", "purpose": "student_file"},
		"outcome": "refuse", "codes": ["basis-not-for-organ", "purpose-not-allowed"],
		"missing": [], "rules": ["Q1", "Q11", "Q2", "R13", "R16a"],
	},
	"employer, labour_file": {
		"from": "school", "change": {"organ": "employer", "purpose": "labour_file"},
		"outcome": "refuse", "codes": ["basis-not-for-organ", "purpose-not-allowed"],
		"missing": [], "rules": ["Q1", "Q11", "Q2", "R13", "R16a"],
	},
	"employer, personnel_file": {
		"from": "school", "change": {"organ": "employer", "purpose": "personnel_file"},
		"outcome": "refuse", "codes": ["basis-not-for-organ", "purpose-not-allowed"],
		"missing": [], "rules": ["Q1", "Q11", "Q2", "R13", "R16a"],
	},
	"employer, student_file": {
		"from": "school", "change": {"organ": "employer", "purpose": "student_file"},
		"outcome": "refuse", "codes": ["basis-not-for-organ", "purpose-not-allowed"],
		"missing": [], "rules": ["Q1", "Q11", "Q2", "R13", "R16a"],
	},
	"school, labour_file": {
		"from": "school", "change": {"organ": "school", "purpose": "labour_file"},
		"outcome": "refuse", "codes": ["basis-not-for-organ", "purpose-not-allowed"],
		"missing": [], "rules": ["Q1", "Q11", "Q2", "R13", "R16a"],
	},
	"school, personnel_file": {
		"from": "school", "change": {"organ": "school", "purpose": "personnel_file"},
		"outcome": "refuse", "codes": ["basis-not-for-organ", "purpose-not-allowed"],
		"missing": [], "rules": ["Q1", "Q11", "Q2", "R13", "R16a"],
	},
	"school, student_file": {
		"from": "school", "change": {"organ": "school", "purpose": "student_file"},
		"outcome": "refuse", "codes": ["basis-not-for-organ", "purpose-not-allowed"],
		"missing": [], "rules": ["Q1", "Q11", "Q2", "R13", "R16a"],
	},
	"student file asked for by a judicial organ": {
		"from": "court", "change": {"purpose": "student_file"},
		"outcome": "refuse", "codes": ["basis-not-for-organ", "purpose-not-allowed"],
		"missing": [], "rules": ["Q1", "Q2", "R13", "R16a"],
	},
	"basis blank": {
		"from": "police", "change": {"basis": "", "basis_state": "missing"},
		"outcome": "refuse", "codes": ["basis-missing"],
		"missing": ["basis"], "rules": ["Q2", "Q5"],
	},
	"basis not listed": {
		"from": "police", "change": {"basis": "", "basis_state": "unlisted"},
		"outcome": "refuse", "codes": ["basis-not-listed"],
		"missing": [], "rules": ["Q2", "R16"],
	},
	"basis said to be listed is not": {
		"from": "police", "change": {"basis": "CPL/999"},
		"outcome": "refuse", "codes": ["basis-not-listed"],
		"missing": [], "rules": ["Q2", "R16"],
	},
	"basis that is listed is said not to be": {
		"from": "police", "change": {"basis_state": "unlisted"},
		"outcome": "refuse", "codes": ["basis-not-listed"],
		"missing": [], "rules": ["Q2", "R16"],
	},
	"purpose that is known is said not to be": {
		"from": "police", "change": {"purpose_state": "unknown"},
		"outcome": "refuse", "codes": ["purpose-unknown"],
		"missing": [], "rules": ["Q5"],
	},
	"basis of a wrong state": {
		"from": "court", "change": {"basis_state": "perhaps"},
		"outcome": "refuse", "codes": ["basis-missing"],
		"missing": ["basis"], "rules": ["Q2", "Q5"],
	},
	"employer without a listed basis": {
		"from": "school", "change": {"organ": "employer", "basis": "", "basis_state": "unlisted"},
		"outcome": "refuse", "codes": ["basis-not-listed"],
		"missing": [], "rules": ["Q2", "R16"],
	},
	"unit, basis is a ministry rule": {
		"from": "licensing", "change": {"basis": "PSR/10"},
		"outcome": "refuse", "codes": ["basis-level-insufficient"],
		"missing": [], "rules": ["Q2", "R14"],
	},
	"company policy": {
		"from": "school", "change": {"basis": "COMPANY/HANDBOOK"},
		"outcome": "refuse", "codes": ["basis-level-insufficient"],
		"missing": [], "rules": ["Q2", "R14"],
	},
	"local rule": {
		"from": "school", "change": {"basis": "ZJ/12"},
		"outcome": "refuse", "codes": ["basis-level-insufficient"],
		"missing": [], "rules": ["Q2", "R14"],
	},
	"judicial interpretation": {
		"from": "court", "change": {"basis": "INTERP-2006-1/2"},
		"outcome": "refuse", "codes": ["basis-level-insufficient"],
		"missing": [], "rules": ["Q2", "R14"],
	},
	"joint Measures": {
		"from": "police", "change": {"basis": "IM/16"},
		"outcome": "refuse", "codes": ["basis-level-insufficient"],
		"missing": [], "rules": ["Q2", "R14"],
	},
	"basis not yet in force": {
		"from": "court", "change": {"basis": "PSAPL/136", "today": 20251231},
		"outcome": "refuse", "codes": ["basis-not-in-force"],
		"missing": [], "rules": ["Q2"],
	},
	"basis in force from its first day": {
		"from": "court", "change": {"basis": "PSAPL/136", "today": 20260101},
		"outcome": "allow", "codes": [],
		"missing": [], "rules": ["Q1", "Q2", "Q5", "Q9", "R14", "R16a", "S15"],
	},
	"basis of another organ": {
		"from": "licensing", "change": {"basis": "TEACHERS/14"},
		"outcome": "refuse", "codes": ["basis-not-for-organ"],
		"missing": [], "rules": ["Q2", "R13"],
	},
	"a unit on the judicial organs' basis": {
		"from": "licensing", "change": {"basis": "CPL/286"},
		"outcome": "refuse", "codes": ["basis-not-for-organ"],
		"missing": [], "rules": ["Q2", "R13"],
	},
	"court, no case number": {
		"from": "court", "change": {"case_number": "missing"},
		"outcome": "refuse", "codes": ["case-number-missing"],
		"missing": ["case_number"], "rules": ["R12"],
	},
	"court, no case number, sealed scope": {
		"from": "police", "change": {"organ": "court", "case_number": "missing"},
		"outcome": "refuse", "codes": ["case-number-missing"],
		"missing": ["case_number"], "rules": ["R12"],
	},
	"court, number of a wrong form": {
		"from": "court", "change": {"case_number": "free_form"},
		"outcome": "refuse", "codes": ["case-number-invalid"],
		"missing": [], "rules": ["E7", "R12"],
	},
	"malformed number": {
		"from": "police", "change": {"case_number": "malformed"},
		"outcome": "refuse", "codes": ["case-number-invalid"],
		"missing": [], "rules": ["E7", "R12"],
	},
	"malformed number that is not needed": {
		"from": "school", "change": {"case_number": "malformed"},
		"outcome": "refuse", "codes": ["case-number-invalid"],
		"missing": [], "rules": ["R12"],
	},
	"letter missing": {
		"from": "police", "change": {"letter": {"basis_match": false, "code": "", "database_match": false, "kind": "none", "officer_match": false, "purpose_match": false, "scope_match": false, "state": "absent", "subject_match": false, "unit_match": false}},
		"outcome": "refuse", "codes": ["letter-missing"],
		"missing": ["letter"], "rules": ["Q5"],
	},
	"letter missing, open scope of a unit": {
		"from": "school", "change": {"letter": {"basis_match": false, "code": "", "database_match": false, "kind": "none", "officer_match": false, "purpose_match": false, "scope_match": false, "state": "absent", "subject_match": false, "unit_match": false}},
		"outcome": "refuse", "codes": ["letter-missing"],
		"missing": ["letter"], "rules": ["Q5"],
	},
	"letter invalid: letter-audience-mismatch": {
		"from": "police", "change": {"letter": {"state": "invalid", "code": "letter-audience-mismatch"}},
		"outcome": "refuse", "codes": ["letter-audience-mismatch"],
		"missing": [], "rules": ["Q5", "R17"],
	},
	"letter invalid: letter-expired": {
		"from": "police", "change": {"letter": {"state": "invalid", "code": "letter-expired"}},
		"outcome": "refuse", "codes": ["letter-expired"],
		"missing": [], "rules": ["Q5", "R17"],
	},
	"letter invalid: letter-forged": {
		"from": "police", "change": {"letter": {"state": "invalid", "code": "letter-forged"}},
		"outcome": "refuse", "codes": ["letter-forged"],
		"missing": [], "rules": ["Q5", "R17"],
	},
	"letter invalid: letter-malformed": {
		"from": "police", "change": {"letter": {"state": "invalid", "code": "letter-malformed"}},
		"outcome": "refuse", "codes": ["letter-malformed"],
		"missing": [], "rules": ["Q5"],
	},
	"letter invalid: letter-not-yet-valid": {
		"from": "police", "change": {"letter": {"state": "invalid", "code": "letter-not-yet-valid"}},
		"outcome": "refuse", "codes": ["letter-not-yet-valid"],
		"missing": [], "rules": ["Q5", "R17"],
	},
	"letter invalid: letter-revoked": {
		"from": "police", "change": {"letter": {"state": "invalid", "code": "letter-revoked"}},
		"outcome": "refuse", "codes": ["letter-revoked"],
		"missing": [], "rules": ["Q5", "R17"],
	},
	"letter invalid: letter-unknown": {
		"from": "police", "change": {"letter": {"state": "invalid", "code": "letter-unknown"}},
		"outcome": "refuse", "codes": ["letter-unknown"],
		"missing": [], "rules": ["Q5", "R17"],
	},
	"letter invalid: letter-used": {
		"from": "police", "change": {"letter": {"state": "invalid", "code": "letter-used"}},
		"outcome": "refuse", "codes": ["letter-used"],
		"missing": [], "rules": ["Q5", "R17"],
	},
	"letter invalid: no code": {
		"from": "police", "change": {"letter": {"state": "invalid", "code": ""}},
		"outcome": "refuse", "codes": ["letter-malformed"],
		"missing": [], "rules": ["Q5"],
	},
	"letter invalid: other": {
		"from": "police", "change": {"letter": {"state": "invalid", "code": "other"}},
		"outcome": "refuse", "codes": ["letter-malformed"],
		"missing": [], "rules": ["Q5"],
	},
	"a forged letter is refused where none is needed": {
		"from": "court", "change": {"letter": {"state": "invalid", "code": "letter-forged"}},
		"outcome": "refuse", "codes": ["letter-forged"],
		"missing": [], "rules": ["Q5", "R17"],
	},
	"an absent letter has no code": {
		"from": "court", "change": {"letter": {"code": "letter-forged"}},
		"outcome": "allow", "codes": [],
		"missing": [], "rules": ["Q1", "Q2", "Q5", "Q9", "R16a"],
	},
	"a valid letter has no code": {
		"from": "police", "change": {"letter": {"code": "letter-forged"}},
		"outcome": "allow", "codes": [],
		"missing": [], "rules": ["Q1", "Q2", "Q5", "Q9", "R16a"],
	},
	"letter in no known state": {
		"from": "court", "change": {"letter": {"state": "lost"}},
		"outcome": "refuse", "codes": ["letter-malformed"],
		"missing": [], "rules": ["Q5"],
	},
	"letter of no kind": {
		"from": "police", "change": {"letter": {"kind": "none"}},
		"outcome": "refuse", "codes": ["letter-malformed"],
		"missing": [], "rules": ["Q5", "R17"],
	},
	"letter, unit differs": {
		"from": "police", "change": {"letter": {"unit_match": false}},
		"outcome": "refuse", "codes": ["letter-unit-mismatch"],
		"missing": [], "rules": ["Q5", "R18"],
	},
	"letter, officer differs": {
		"from": "police", "change": {"letter": {"officer_match": false}},
		"outcome": "refuse", "codes": ["letter-officer-mismatch"],
		"missing": [], "rules": ["Q5", "R18"],
	},
	"letter, subject differs": {
		"from": "police", "change": {"letter": {"subject_match": false}},
		"outcome": "refuse", "codes": ["letter-subject-mismatch"],
		"missing": [], "rules": ["Q5", "R18"],
	},
	"letter, database differs": {
		"from": "police", "change": {"letter": {"database_match": false}},
		"outcome": "refuse", "codes": ["letter-database-mismatch"],
		"missing": [], "rules": ["Q5", "R18"],
	},
	"letter, scope differs": {
		"from": "police", "change": {"letter": {"scope_match": false}},
		"outcome": "refuse", "codes": ["letter-scope-mismatch"],
		"missing": [], "rules": ["Q5", "R18"],
	},
	"letter, basis differs": {
		"from": "police", "change": {"letter": {"basis_match": false}},
		"outcome": "refuse", "codes": ["letter-basis-mismatch"],
		"missing": [], "rules": ["Q5", "R18"],
	},
	"letter, purpose differs": {
		"from": "police", "change": {"letter": {"purpose_match": false}},
		"outcome": "refuse", "codes": ["letter-purpose-mismatch"],
		"missing": [], "rules": ["Q5", "R18"],
	},
	"application missing": {
		"from": "police", "change": {"application": {"approver_distinct": false, "basis_match": false, "copies_approved": false, "database_match": false, "officer_match": false, "purpose_match": false, "scope_match": false, "state": "absent", "subject_match": false}, "undertaking": {"officer_match": false, "state": "absent"}},
		"outcome": "refuse", "codes": ["application-missing", "undertaking-missing"],
		"missing": ["application", "undertaking"], "rules": ["Q5", "Q8"],
	},
	"application unknown": {
		"from": "police", "change": {"application": {"state": "unknown"}},
		"outcome": "refuse", "codes": ["application-unknown"],
		"missing": [], "rules": ["Q5"],
	},
	"application draft": {
		"from": "police", "change": {"application": {"state": "draft"}},
		"outcome": "hold", "codes": ["application-not-approved"],
		"missing": ["approval"], "rules": ["Q5", "Q6"],
	},
	"application submitted": {
		"from": "police", "change": {"application": {"state": "submitted"}},
		"outcome": "hold", "codes": ["application-not-approved"],
		"missing": ["approval"], "rules": ["Q5", "Q6"],
	},
	"application refused": {
		"from": "police", "change": {"application": {"state": "refused"}},
		"outcome": "refuse", "codes": ["application-refused"],
		"missing": [], "rules": ["Q5", "Q7"],
	},
	"application withdrawn": {
		"from": "police", "change": {"application": {"state": "withdrawn"}},
		"outcome": "refuse", "codes": ["application-withdrawn"],
		"missing": [], "rules": ["Q5"],
	},
	"application expired": {
		"from": "police", "change": {"application": {"state": "expired"}},
		"outcome": "refuse", "codes": ["application-expired"],
		"missing": [], "rules": ["Q5"],
	},
	"application in no known state": {
		"from": "court", "change": {"application": {"state": "lost"}},
		"outcome": "refuse", "codes": ["application-unknown"],
		"missing": [], "rules": ["Q5"],
	},
	"application, officer differs": {
		"from": "police", "change": {"application": {"officer_match": false}},
		"outcome": "refuse", "codes": ["application-mismatch"],
		"missing": [], "rules": ["Q5", "R18"],
	},
	"application, subject differs": {
		"from": "police", "change": {"application": {"subject_match": false}},
		"outcome": "refuse", "codes": ["application-mismatch"],
		"missing": [], "rules": ["Q5", "R18"],
	},
	"application, database differs": {
		"from": "police", "change": {"application": {"database_match": false}},
		"outcome": "refuse", "codes": ["application-mismatch"],
		"missing": [], "rules": ["Q5", "R18"],
	},
	"application, scope differs": {
		"from": "police", "change": {"application": {"scope_match": false}},
		"outcome": "refuse", "codes": ["application-mismatch"],
		"missing": [], "rules": ["Q5", "R18"],
	},
	"application, basis differs": {
		"from": "police", "change": {"application": {"basis_match": false}},
		"outcome": "refuse", "codes": ["application-mismatch"],
		"missing": [], "rules": ["Q5", "R18"],
	},
	"application, purpose differs": {
		"from": "police", "change": {"application": {"purpose_match": false}},
		"outcome": "refuse", "codes": ["application-mismatch"],
		"missing": [], "rules": ["Q5", "R18"],
	},
	"self-approval": {
		"from": "police", "change": {"application": {"approver_distinct": false}},
		"outcome": "refuse", "codes": ["application-approver-not-distinct"],
		"missing": [], "rules": ["Q5", "R18"],
	},
	"unit, statute, no undertaking": {
		"from": "licensing", "change": {"undertaking": {"officer_match": false, "state": "absent"}},
		"outcome": "hold", "codes": ["undertaking-missing"],
		"missing": ["undertaking"], "rules": ["Q8"],
	},
	"police, no undertaking": {
		"from": "police", "change": {"undertaking": {"officer_match": false, "state": "absent"}},
		"outcome": "hold", "codes": ["undertaking-missing"],
		"missing": ["undertaking"], "rules": ["Q8"],
	},
	"undertaking of this officer in no known state": {
		"from": "licensing", "change": {"undertaking": {"state": "lost"}},
		"outcome": "hold", "codes": ["undertaking-missing"],
		"missing": ["undertaking"], "rules": ["Q8"],
	},
	"undertaking not signed, officer matches": {
		"from": "licensing", "change": {"undertaking": {"state": "absent"}},
		"outcome": "hold", "codes": ["undertaking-missing"],
		"missing": ["undertaking"], "rules": ["Q8"],
	},
	"undertaking of another officer": {
		"from": "licensing", "change": {"undertaking": {"officer_match": false}},
		"outcome": "hold", "codes": ["undertaking-missing"],
		"missing": ["undertaking"], "rules": ["Q8"],
	},
	"copies not approved": {
		"from": "licensing", "change": {"documents": true},
		"outcome": "hold", "codes": ["copies-not-approved"],
		"missing": ["copies_approval"], "rules": ["Q9"],
	},
	"copies of open records not approved": {
		"from": "court", "change": {"documents": true},
		"outcome": "hold", "codes": ["copies-not-approved"],
		"missing": ["copies_approval"], "rules": ["Q9"],
	},
	"copies approved in an application not decided": {
		"from": "licensing", "change": {"documents": true, "application": {"state": "submitted", "copies_approved": true}},
		"outcome": "hold", "codes": ["application-not-approved", "copies-not-approved"],
		"missing": ["approval", "copies_approval"], "rules": ["Q5", "Q6", "Q9"],
	},
	"coast_guard": {
		"from": "police", "change": {"organ": "coast_guard"},
		"outcome": "review", "codes": ["organ-needs-review"],
		"missing": [], "rules": ["Q3", "R13"],
	},
	"customs_anti_smuggling": {
		"from": "police", "change": {"organ": "customs_anti_smuggling"},
		"outcome": "review", "codes": ["organ-needs-review"],
		"missing": [], "rules": ["Q3", "R13"],
	},
	"military_security": {
		"from": "police", "change": {"organ": "military_security"},
		"outcome": "review", "codes": ["organ-needs-review"],
		"missing": [], "rules": ["Q3", "R13"],
	},
	"supervisory_commission": {
		"from": "police", "change": {"organ": "supervisory_commission"},
		"outcome": "review", "codes": ["organ-needs-review"],
		"missing": [], "rules": ["Q3", "R13"],
	},
	"another state organ handles a case": {
		"from": "licensing", "change": {"organ": "education", "purpose": "case_handling", "basis": "PSAPL/136", "case_number": "free_form"},
		"outcome": "review", "codes": ["organ-needs-review"],
		"missing": [], "rules": ["R14"],
	},
	"supervisory commission vets its staff": {
		"from": "school", "change": {"organ": "supervisory_commission", "purpose": "employment", "basis": "CIVIL-SERVANTS/26"},
		"outcome": "review", "codes": ["organ-needs-review"],
		"missing": [], "rules": ["Q3", "R13"],
	},
	"refuse before hold before review": {
		"from": "police", "change": {"organ": "coast_guard", "undertaking": {"officer_match": false, "state": "absent"}, "reason": "missing"},
		"outcome": "refuse", "codes": ["organ-needs-review", "reason-missing", "undertaking-missing"],
		"missing": ["reason", "undertaking"], "rules": ["Q3", "Q5", "Q8", "R13"],
	},
	"hold before review": {
		"from": "police", "change": {"organ": "coast_guard", "undertaking": {"officer_match": false, "state": "absent"}},
		"outcome": "hold", "codes": ["organ-needs-review", "undertaking-missing"],
		"missing": ["undertaking"], "rules": ["Q3", "Q8", "R13"],
	},
	"everything is missing": {
		"from": "court", "change": {"roles": [], "certificate": "missing", "reason": "missing", "basis": "", "basis_state": "missing", "purpose": "", "purpose_state": "missing", "scope": "sealed", "case_number": "missing"},
		"outcome": "refuse", "codes": ["application-missing", "basis-missing", "certificate-missing", "letter-missing", "purpose-missing", "reason-missing", "role-missing", "undertaking-missing"],
		"missing": ["application", "basis", "letter", "purpose", "reason", "undertaking", "work_certificate"], "rules": ["Q1", "Q2", "Q5", "Q8"],
	},
}
