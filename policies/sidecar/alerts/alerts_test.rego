# METADATA
# title: Tests of the alerts
# description: Every code that raises an alert, with its complete alert in both scopes; what is recorded only, raises none.
# custom:
#   rule: R18
#   legal_basis: ZJ (A1)
package sidecar.alerts_test

import data.params
import data.sidecar.alerts

entry := {
	"kind": "inquiry", "channel": "api", "scope": "open", "outcome": "refuse", "codes": [],
	"purpose": "case_handling", "database": "county",
}

raised(change) := found if {
	found := alerts.raised with input as {"entry": object.union(entry, change)}
}

test_open_scope[code] if {
	some code, row in expected
	raised({"codes": [code]}) == [{"type": row[0], "severity": row[1], "rules": row[3]}]
}

test_sealed_scope[code] if {
	some code, row in expected
	raised({"codes": [code], "scope": "sealed"}) == [{"type": row[0], "severity": row[2], "rules": row[3]}]
}

test_all_codes_are_expected if object.keys(expected) == object.keys(params.alerts.value)

test_every_severity_is_ranked if {
	params.severities.value == {"info": 0, "low": 1, "medium": 2, "high": 3, "critical": 4}
}

test_an_answer_without_codes_raises_nothing if raised({"outcome": "allow"}) == []

test_missing_papers_are_recorded_not_alerted[code] if {
	some code in [
		"application-missing", "application-not-approved", "basis-missing", "basis-not-listed", "case-number-missing",
		"certificate-expired", "certificate-missing", "letter-expired", "letter-missing", "purpose-missing",
		"purpose-not-allowed", "reason-missing", "scope-not-allowed", "undertaking-missing",
	]
	raised({"codes": [code], "scope": "sealed"}) == []
}

test_several_codes_are_sorted_by_type if {
	found := raised({"codes": ["letter-used", "certificate-revoked", "reason-missing", "letter-unit-mismatch"]})
	[alert.type | some alert in found] == [
		"sealed-records.attempt.certificate-revoked.v1",
		"sealed-records.attempt.letter-replayed.v1",
		"sealed-records.attempt.letter-unit-mismatch.v1",
	]
}

undeclared := [{
	"type": "sealed-records.attempt.undeclared-route.v1", "severity": "medium", "rules": ["A1", "R18"],
}]

test_undeclared_route_of_the_proxy[code] if {
	some code in ["not-found", "method-not-allowed"]
	raised({"channel": "proxy", "codes": [code]}) == undeclared
}

test_both_codes_of_an_undeclared_route_are_one_alert if {
	raised({"channel": "proxy", "codes": ["method-not-allowed", "not-found"]}) == undeclared
}

test_another_code_of_the_proxy_raises_nothing if raised({"channel": "proxy", "codes": ["reason-missing"]}) == []

test_an_inquiry_is_no_flood if raised({"count": 500, "codes": ["reason-missing"]}) == []

test_an_inquiry_raises_all_its_alerts if {
	count(raised({"codes": ["letter-used", "letter-unit-mismatch"]})) == 2
}

test_unknown_path_of_the_api_raises_nothing if raised({"codes": ["not-found"]}) == []

flood := [{"type": "sealed-records.attempt.flood.v1", "severity": "low", "rules": ["A1", "R18"]}]

test_flood_from_its_number_on if {
	raised({"kind": "attempts", "codes": ["token-missing"], "count": 10}) == flood
	raised({"kind": "attempts", "codes": ["token-missing"], "count": 9}) == []
	raised({"kind": "attempts", "codes": ["token-missing"], "count": 0}) == []
}

test_attempts_without_a_number_are_a_flood if {
	raised({"kind": "attempts", "codes": ["token-expired"]}) == flood
	raised({"kind": "attempts", "codes": ["token-expired"], "count": -1}) == flood
	raised({"kind": "attempts", "codes": ["token-expired"], "count": "3"}) == flood
}

test_attempts_raise_the_most_severe_alert_only if {
	found := raised({"kind": "attempts", "codes": ["token-lifetime", "token-signature"], "count": 500})
	[alert.type | some alert in found] == ["sealed-records.attempt.token-signature.v1"]
}

test_nothing_to_judge_is_undefined if {
	not alerts.raised with input as {}
	not alerts.raised with input as {"entry": {}}
	not alerts.raised with input as {"entry": object.remove(entry, ["kind"])}
	not alerts.raised with input as {"entry": object.remove(entry, ["codes"])}
}

test_reads_past_the_sidecar_are_graver_from_a_number_on[code] if {
	some code in ["audit-incomplete", "read-without-entry", "read-without-inquiry"]
	row := expected[code]
	few := [{"type": row[0], "severity": row[1], "rules": row[3]}]
	many := [{"type": row[0], "severity": row[2], "rules": row[3]}]
	read := {"kind": "bypass", "channel": "cli", "scope": "", "purpose": "", "outcome": "error", "codes": [code]}
	raised(object.union(read, {"count": 0})) == few
	raised(object.union(read, {"count": 19})) == few
	raised(object.union(read, {"count": 20})) == many
	raised(object.union(read, {"count": -1})) == many
	raised(object.union(read, {"count": "3"})) == many
	raised(read) == many
}

test_a_number_makes_no_inquiry_graver if {
	raised({"count": 500, "codes": ["letter-used"]}) == raised({"codes": ["letter-used"]})
}

expected := {
	"application-approver-not-distinct": ["sealed-records.attempt.application-approver-not-distinct.v1", "high", "critical", ["A1", "Q5", "R18"]],
	"application-mismatch": ["sealed-records.attempt.application-mismatch.v1", "medium", "high", ["A1", "Q5", "R18"]],
	"audit-incomplete": ["sealed-records.bypass.audit-incomplete.v1", "high", "critical", ["A1", "E2"]],
	"certificate-revoked": ["sealed-records.attempt.certificate-revoked.v1", "high", "critical", ["A1", "Q5", "R18"]],
	"certificate-suspended": ["sealed-records.attempt.certificate-suspended.v1", "high", "critical", ["A1", "Q5", "R18"]],
	"clock-fault": ["sealed-records.fault.clock-fault.v1", "high", "high", ["P1", "R18"]],
	"database-closed": ["sealed-records.fault.database-closed.v1", "high", "high", ["R18"]],
	"engine-unavailable": ["sealed-records.fault.engine-unavailable.v1", "high", "high", ["R18"]],
	"internal-error": ["sealed-records.fault.internal-error.v1", "high", "high", ["R18"]],
	"ledger-damaged": ["sealed-records.fault.ledger-damaged.v1", "critical", "critical", ["E3", "R18"]],
	"ledger-destroyed": ["sealed-records.notice.ledger-destroyed.v1", "high", "high", ["E3", "R18"]],
	"ledger-forked": ["sealed-records.fault.ledger-forked.v1", "critical", "critical", ["E3", "R18"]],
	"ledger-opened": ["sealed-records.notice.ledger-opened.v1", "medium", "medium", ["E3", "R18"]],
	"ledger-rolled-back": ["sealed-records.fault.ledger-rolled-back.v1", "critical", "critical", ["E3", "R18"]],
	"ledger-unavailable": ["sealed-records.fault.ledger-unavailable.v1", "critical", "critical", ["E3", "R18"]],
	"letter-audience-mismatch": ["sealed-records.attempt.letter-audience-mismatch.v1", "medium", "high", ["A1", "Q5", "R18"]],
	"letter-basis-mismatch": ["sealed-records.attempt.letter-basis-mismatch.v1", "medium", "high", ["A1", "Q5", "R18"]],
	"letter-database-mismatch": ["sealed-records.attempt.letter-database-mismatch.v1", "medium", "high", ["A1", "Q5", "R18"]],
	"letter-forged": ["sealed-records.attempt.letter-forged.v1", "high", "critical", ["A1", "Q5", "R18"]],
	"letter-officer-mismatch": ["sealed-records.attempt.letter-officer-mismatch.v1", "medium", "high", ["A1", "Q5", "R18"]],
	"letter-purpose-mismatch": ["sealed-records.attempt.letter-purpose-mismatch.v1", "medium", "high", ["A1", "Q5", "R18"]],
	"letter-revoked": ["sealed-records.attempt.letter-revoked.v1", "high", "critical", ["A1", "Q5", "R18"]],
	"letter-scope-mismatch": ["sealed-records.attempt.letter-scope-mismatch.v1", "medium", "high", ["A1", "Q5", "R18"]],
	"letter-subject-mismatch": ["sealed-records.attempt.letter-subject-mismatch.v1", "high", "critical", ["A1", "Q5", "R18"]],
	"letter-unit-mismatch": ["sealed-records.attempt.letter-unit-mismatch.v1", "high", "critical", ["A1", "Q5", "R18"]],
	"letter-unknown": ["sealed-records.attempt.letter-unknown.v1", "medium", "high", ["A1", "Q5", "R18"]],
	"letter-used": ["sealed-records.attempt.letter-replayed.v1", "high", "critical", ["A1", "R17", "R18"]],
	"log-unsigned": ["sealed-records.fault.log-unsigned.v1", "high", "high", ["E3", "R18"]],
	"officer-revoked": ["sealed-records.attempt.officer-revoked.v1", "high", "critical", ["A1", "R18"]],
	"officer-suspended": ["sealed-records.attempt.officer-suspended.v1", "high", "critical", ["A1", "R18"]],
	"read-without-entry": ["sealed-records.bypass.read-without-entry.v1", "high", "critical", ["A1", "E3"]],
	"read-without-inquiry": ["sealed-records.bypass.read-without-inquiry.v1", "high", "critical", ["A1", "Q1"]],
	"revision-unapproved": ["sealed-records.fault.revision-unapproved.v1", "critical", "critical", ["R18"]],
	"role-missing": ["sealed-records.attempt.role-missing.v1", "medium", "high", ["A1", "R18"]],
	"search-not-allowed": ["sealed-records.attempt.bulk-inquiry.v1", "medium", "high", ["A1", "Q10", "R18"]],
	"self-approval": ["sealed-records.attempt.self-approval.v1", "high", "critical", ["A1", "Q5", "R18"]],
	"token-algorithm": ["sealed-records.attempt.token-algorithm.v1", "high", "high", ["A1", "R18"]],
	"token-audience": ["sealed-records.attempt.token-audience.v1", "high", "high", ["A1", "R18"]],
	"token-issuer": ["sealed-records.attempt.token-issuer.v1", "high", "high", ["A1", "R18"]],
	"token-key-unknown": ["sealed-records.attempt.token-key-unknown.v1", "high", "high", ["A1", "R18"]],
	"token-lifetime": ["sealed-records.attempt.token-lifetime.v1", "medium", "medium", ["A1", "R18"]],
	"token-revoked": ["sealed-records.attempt.token-revoked.v1", "high", "high", ["A1", "R18"]],
	"token-role-issuer": ["sealed-records.attempt.token-role-issuer.v1", "high", "high", ["A1", "R18"]],
	"token-signature": ["sealed-records.attempt.token-signature.v1", "high", "high", ["A1", "R18"]],
	"unit-suspended": ["sealed-records.attempt.unit-suspended.v1", "high", "critical", ["A1", "R18"]],
	"witness-silent": ["sealed-records.fault.witness-silent.v1", "high", "high", ["E3", "R18"]],
}
