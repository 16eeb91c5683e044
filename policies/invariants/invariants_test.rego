# METADATA
# title: Invariants that no revision may break
# description: >-
#   Outside the reach of whoever edits the policies: these tests hold their own copy of the two promises, over whole
#   grids, and read no parameter but the names of organs and purposes.
# custom:
#   rule: S1
#   legal_basis: CPL 286; IM 16(3)
package invariants_test

import data.fixtures.facts_test as fixtures
import data.params
import data.sidecar.disposition
import data.sidecar.request
import data.sidecar.sealing

kinds := [
	"acquittal", "acquittal_insufficient", "administrative_penalty", "assistance", "compulsory_measure",
	"corrective_education", "judgment", "judicial_aid", "no_liability", "non_prosecution", "psychological",
	"social_investigation", "unknown", "violation",
]

judicial := {"court", "judicial_administration", "prison", "procuratorate", "public_security", "state_security"}

# A minor's judgment of 60 months or less without an unsealing decision is never open, whatever else it says.
test_minors_judgment_of_sixty_months_or_less_is_never_open if {
	opened := {record |
		some minor in ["yes", "straddles", "unknown"]
		some months in [-1, 0, 1, 59, 60]
		some mark in [false, true]
		some exempted in [false, true]
		some agreed in [false, true]
		some joint in ["none", "separated", "unseparated", "unknown"]
		some main in ["after", "before", "unknown"]
		record := {
			"minor": minor, "sentence_months": months, "kind": "judgment", "main_acts": main, "joint": joint,
			"seal_mark": mark, "exempted": exempted, "unsealed": false, "disclosure_agreed": agreed, "era": "current",
		}
		sealing.open_record(record)
	}
	opened == set()
}

# A minor's other material is never open, but for an acquittal by wish and agreement.
test_minors_material_is_never_open if {
	opened := {[record.kind, record.disclosure_agreed] |
		some minor in ["yes", "straddles", "unknown"]
		some kind in kinds
		kind != "judgment"
		some months in [-1, 36, 61, 9999]
		some unsealed in [false, true]
		some agreed in [false, true]
		record := {
			"minor": minor, "sentence_months": months, "kind": kind, "main_acts": "before", "joint": "none",
			"seal_mark": false, "exempted": false, "unsealed": unsealed, "disclosure_agreed": agreed, "era": "current",
		}
		sealing.open_record(record)
	}
	opened == {["acquittal", true], ["acquittal_insufficient", true]}
}

# A mark seals every record; a violation is sealed at any age (S13, S15).
test_marked_records_and_violations_are_never_open if {
	opened := {record |
		some minor in ["no", "straddles", "unknown", "yes"]
		some kind in kinds
		some unsealed in [false, true]
		record := {
			"minor": minor, "sentence_months": 120, "kind": kind, "main_acts": "after", "joint": "none",
			"seal_mark": kind != "violation", "exempted": false, "unsealed": unsealed, "disclosure_agreed": true,
			"era": "current",
		}
		sealing.open_record(record)
	}
	opened == set()
}

# Over all organs and purposes: `sealed` is full for judicial organs in their functions only, limited for judgments of
# others only, and scope open shows nothing of a sealed record.
test_sealed_is_never_full_but_for_judicial_organs if {
	shown := {organ |
		some organ, _ in params.organs
		some purpose, _ in params.purposes
		some scope in ["open", "sealed"]
		"full" in {view | some view in disposition.views(scope, request.class_of(organ, purpose)).sealed}
	}
	shown == judicial
}

test_judicial_organs_get_the_file_for_two_purposes_only if {
	purposes := {purpose |
		some organ, _ in params.organs
		some purpose, _ in params.purposes
		count(disposition.views("sealed", request.class_of(organ, purpose)).sealed) > 1
	}
	purposes == {"case_handling", "preventing_reoffending"}
}

test_scope_open_shows_no_sealed_record if {
	views := {view |
		some organ, _ in params.organs
		some purpose, _ in params.purposes
		some view in disposition.views("open", request.class_of(organ, purpose)).sealed
	}
	views - {"omitted"} == set()
}

# The same through the whole decision, with every paper in hand.
test_complete_papers_open_sealed_records_in_full_for_judicial_organs_only if {
	full := {organ |
		some organ, _ in params.organs
		some basis in ["CPL/286", "ENTERTAINMENT/5", "LPM/62", "NOTARISATION/29"]
		some purpose in params.bases[basis].purposes
		facts := object.union(fixtures.police, {
			"organ": organ, "purpose": purpose, "basis": basis, "case_number": "court_form",
		})
		decision := request.decision with input as facts
		"full" in {view | some view in decision.views.sealed}
	}
	full == judicial
}
