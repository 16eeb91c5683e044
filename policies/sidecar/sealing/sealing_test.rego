# METADATA
# title: Tests of sealing
# description: Each case states a record's attributes that matter and its complete classification.
# custom:
#   rule: S1
#   legal_basis: CPL 286
package sidecar.sealing_test

import data.params
import data.sidecar.sealing

plain := {
	"kind": "judgment", "main_acts": "unknown", "joint": "none", "seal_mark": false, "exempted": false,
	"unsealed": false, "disclosure_agreed": false, "era": "current",
}

test_classification[name] if {
	some name, case in cases
	record := object.union(plain, case.change)
	found := sealing.classification with input as {"records": [record]}
	found == [{"open": case.open, "class": class_of(record), "grounds": case.grounds, "review": case.review}]
}

class_of(record) := record.kind if record.kind in params.kinds.value

class_of(record) := "unknown" if not record.kind in params.kinds.value

test_the_filter_says_the_same[name] if {
	some name, case in cases
	record := object.union(plain, case.change)
	filtered(record) == case.open
}

default filtered(_) := false

filtered(record) if sealing.open with input as {"record": record}

test_order_and_count_are_kept if {
	sealed := object.union(plain, {"minor": "yes", "sentence_months": 60})
	grown_up := object.union(plain, {"minor": "no", "sentence_months": 60})
	found := sealing.classification with input as {"records": [sealed, grown_up, sealed, "no record", {}]}
	[row.open | some row in found] == [false, true, false, false, false]
}

test_no_records if {
	found := sealing.classification with input as {"records": []}
	found == []
}

# Each attribute is missing once from a record that would be open: withheld, but for one that no rule of it reads.
test_without_an_attribute_withheld[name] if {
	some name, open in {
		"adult": {"minor": "no", "sentence_months": 36},
		"minor": {"minor": "yes", "sentence_months": 61},
		"both": {"minor": "straddles", "main_acts": "after", "sentence_months": 61},
		"unsealed": {"minor": "yes", "sentence_months": 36, "unsealed": true},
		"acquittal": {"minor": "yes", "sentence_months": -1, "kind": "acquittal", "disclosure_agreed": true},
	}
	record := object.union(plain, open)
	sealing.open_record(record)
	still_open := {attribute | some attribute, _ in record; sealing.open_record(object.remove(record, [attribute]))}
	still_open == unread[name]
}

unread := {
	"adult": {"disclosure_agreed", "era", "exempted", "main_acts", "sentence_months"},
	"minor": {"disclosure_agreed", "era", "main_acts"},
	"both": {"disclosure_agreed", "era"},
	"unsealed": {"disclosure_agreed", "era", "exempted", "main_acts", "minor"},
	"acquittal": {"era", "exempted", "main_acts", "sentence_months"},
}

cases := {
	"S1, S2: a minor's 60 months": {"change": {"minor": "yes", "sentence_months": 60}, "open": false, "grounds": ["S1", "S2"], "review": false},
	"S2: 61 months are open": {"change": {"minor": "yes", "sentence_months": 61}, "open": true, "grounds": [], "review": false},
	"S1: 59 months": {"change": {"minor": "yes", "sentence_months": 59}, "open": false, "grounds": ["S1"], "review": false},
	"S1: one month": {"change": {"minor": "yes", "sentence_months": 1}, "open": false, "grounds": ["S1"], "review": false},
	"S3: stand-alone fine": {"change": {"minor": "yes", "sentence_months": 0}, "open": false, "grounds": ["S3"], "review": false},
	"R5: term unknown": {"change": {"minor": "yes", "sentence_months": -1}, "open": false, "grounds": ["R5"], "review": true},
	"R5: life or death is open": {"change": {"minor": "yes", "sentence_months": 9999}, "open": true, "grounds": [], "review": false},
	"R5: beyond the bound": {"change": {"minor": "yes", "sentence_months": 10000}, "open": false, "grounds": ["R5"], "review": true},
	"R5: a term that is text": {"change": {"minor": "yes", "sentence_months": "61"}, "open": false, "grounds": ["R5"], "review": true},
	"S3: exempted": {"change": {"minor": "yes", "sentence_months": -1, "exempted": true}, "open": false, "grounds": ["S3"], "review": false},
	"S3: exempted stays sealed whatever the term": {"change": {"minor": "yes", "sentence_months": 61, "exempted": true}, "open": false, "grounds": ["S3"], "review": false},
	"S5: grown up": {"change": {"minor": "no", "sentence_months": 36}, "open": true, "grounds": ["S5"], "review": false},
	"S5: grown up, term unknown": {"change": {"minor": "no", "sentence_months": -1}, "open": true, "grounds": ["S5"], "review": false},
	"S5: grown up, exempted": {"change": {"minor": "no", "sentence_months": 0, "exempted": true}, "open": true, "grounds": ["S5"], "review": false},
	"S6: both sides, main acts before, 48 months": {"change": {"minor": "straddles", "main_acts": "before", "sentence_months": 48}, "open": false, "grounds": ["S1", "S6"], "review": false},
	"S6: both sides, main acts before, 60 months": {"change": {"minor": "straddles", "main_acts": "before", "sentence_months": 60}, "open": false, "grounds": ["S1", "S2", "S6"], "review": false},
	"S6: both sides, main acts before, 61 months": {"change": {"minor": "straddles", "main_acts": "before", "sentence_months": 61}, "open": true, "grounds": ["S6"], "review": false},
	"S6: both sides, main acts after, 48 months": {"change": {"minor": "straddles", "main_acts": "after", "sentence_months": 48}, "open": false, "grounds": ["S6"], "review": true},
	"S6: both sides, main acts after, 60 months": {"change": {"minor": "straddles", "main_acts": "after", "sentence_months": 60}, "open": false, "grounds": ["S6"], "review": true},
	"S6: both sides, main acts after, 61 months": {"change": {"minor": "straddles", "main_acts": "after", "sentence_months": 61}, "open": true, "grounds": ["S6"], "review": false},
	"S6: both sides, main acts unknown, 48 months": {"change": {"minor": "straddles", "main_acts": "unknown", "sentence_months": 48}, "open": false, "grounds": ["S6"], "review": true},
	"S6: both sides, main acts unknown, 60 months": {"change": {"minor": "straddles", "main_acts": "unknown", "sentence_months": 60}, "open": false, "grounds": ["S6"], "review": true},
	"S6: both sides, main acts unknown, 61 months": {"change": {"minor": "straddles", "main_acts": "unknown", "sentence_months": 61}, "open": false, "grounds": ["S6"], "review": true},
	"S6: both sides, main acts before, exempted": {"change": {"minor": "straddles", "main_acts": "before", "exempted": true, "sentence_months": 61}, "open": false, "grounds": ["S3", "S6"], "review": false},
	"S6: both sides, main acts after, exempted": {"change": {"minor": "straddles", "main_acts": "after", "exempted": true, "sentence_months": 61}, "open": false, "grounds": ["S6"], "review": true},
	"S6: both sides, main acts before, a fine": {"change": {"minor": "straddles", "main_acts": "before", "sentence_months": 0}, "open": false, "grounds": ["S3", "S6"], "review": false},
	"S6: both sides, main acts before, life": {"change": {"minor": "straddles", "main_acts": "before", "sentence_months": 9999}, "open": true, "grounds": ["S6"], "review": false},
	"S6: both sides, beyond the bound": {"change": {"minor": "straddles", "main_acts": "before", "sentence_months": 10000}, "open": false, "grounds": ["R5", "S6"], "review": true},
	"S6: both sides, unknown finding, non-prosecution": {"change": {"minor": "straddles", "kind": "non_prosecution", "sentence_months": -1}, "open": false, "grounds": ["S6", "S7"], "review": false},
	"kind acquittal, minor yes": {"change": {"minor": "yes", "kind": "acquittal", "sentence_months": -1}, "open": false, "grounds": ["S9"], "review": false},
	"kind acquittal, minor no": {"change": {"minor": "no", "kind": "acquittal", "sentence_months": -1}, "open": true, "grounds": ["S5"], "review": false},
	"kind acquittal, minor straddles": {"change": {"minor": "straddles", "kind": "acquittal", "sentence_months": -1}, "open": false, "grounds": ["S6", "S9"], "review": false},
	"kind acquittal_insufficient, minor yes": {"change": {"minor": "yes", "kind": "acquittal_insufficient", "sentence_months": -1}, "open": false, "grounds": ["S9"], "review": false},
	"kind acquittal_insufficient, minor no": {"change": {"minor": "no", "kind": "acquittal_insufficient", "sentence_months": -1}, "open": true, "grounds": ["S5"], "review": false},
	"kind acquittal_insufficient, minor straddles": {"change": {"minor": "straddles", "kind": "acquittal_insufficient", "sentence_months": -1}, "open": false, "grounds": ["S6", "S9"], "review": false},
	"kind administrative_penalty, minor yes": {"change": {"minor": "yes", "kind": "administrative_penalty", "sentence_months": -1}, "open": false, "grounds": ["S8"], "review": false},
	"kind administrative_penalty, minor no": {"change": {"minor": "no", "kind": "administrative_penalty", "sentence_months": -1}, "open": true, "grounds": ["S5"], "review": false},
	"kind administrative_penalty, minor straddles": {"change": {"minor": "straddles", "kind": "administrative_penalty", "sentence_months": -1}, "open": false, "grounds": ["S6", "S8"], "review": false},
	"kind assistance, minor yes": {"change": {"minor": "yes", "kind": "assistance", "sentence_months": -1}, "open": false, "grounds": ["S7"], "review": false},
	"kind assistance, minor no": {"change": {"minor": "no", "kind": "assistance", "sentence_months": -1}, "open": false, "grounds": ["R2", "S5"], "review": true},
	"kind assistance, minor straddles": {"change": {"minor": "straddles", "kind": "assistance", "sentence_months": -1}, "open": false, "grounds": ["S6", "S7"], "review": false},
	"kind compulsory_measure, minor yes": {"change": {"minor": "yes", "kind": "compulsory_measure", "sentence_months": -1}, "open": false, "grounds": ["S7"], "review": false},
	"kind compulsory_measure, minor no": {"change": {"minor": "no", "kind": "compulsory_measure", "sentence_months": -1}, "open": true, "grounds": ["S5"], "review": false},
	"kind compulsory_measure, minor straddles": {"change": {"minor": "straddles", "kind": "compulsory_measure", "sentence_months": -1}, "open": false, "grounds": ["S6", "S7"], "review": false},
	"kind corrective_education, minor yes": {"change": {"minor": "yes", "kind": "corrective_education", "sentence_months": -1}, "open": false, "grounds": ["S8"], "review": false},
	"kind corrective_education, minor no": {"change": {"minor": "no", "kind": "corrective_education", "sentence_months": -1}, "open": false, "grounds": ["R2", "S5"], "review": true},
	"kind corrective_education, minor straddles": {"change": {"minor": "straddles", "kind": "corrective_education", "sentence_months": -1}, "open": false, "grounds": ["S6", "S8"], "review": false},
	"kind judicial_aid, minor yes": {"change": {"minor": "yes", "kind": "judicial_aid", "sentence_months": -1}, "open": false, "grounds": ["S7"], "review": false},
	"kind judicial_aid, minor no": {"change": {"minor": "no", "kind": "judicial_aid", "sentence_months": -1}, "open": false, "grounds": ["R2", "S5"], "review": true},
	"kind judicial_aid, minor straddles": {"change": {"minor": "straddles", "kind": "judicial_aid", "sentence_months": -1}, "open": false, "grounds": ["S6", "S7"], "review": false},
	"kind no_liability, minor yes": {"change": {"minor": "yes", "kind": "no_liability", "sentence_months": -1}, "open": false, "grounds": ["S7"], "review": false},
	"kind no_liability, minor no": {"change": {"minor": "no", "kind": "no_liability", "sentence_months": -1}, "open": true, "grounds": ["S5"], "review": false},
	"kind no_liability, minor straddles": {"change": {"minor": "straddles", "kind": "no_liability", "sentence_months": -1}, "open": false, "grounds": ["S6", "S7"], "review": false},
	"kind non_prosecution, minor yes": {"change": {"minor": "yes", "kind": "non_prosecution", "sentence_months": -1}, "open": false, "grounds": ["S7"], "review": false},
	"kind non_prosecution, minor no": {"change": {"minor": "no", "kind": "non_prosecution", "sentence_months": -1}, "open": true, "grounds": ["S5"], "review": false},
	"kind non_prosecution, minor straddles": {"change": {"minor": "straddles", "kind": "non_prosecution", "sentence_months": -1}, "open": false, "grounds": ["S6", "S7"], "review": false},
	"kind psychological, minor yes": {"change": {"minor": "yes", "kind": "psychological", "sentence_months": -1}, "open": false, "grounds": ["S7"], "review": false},
	"kind psychological, minor no": {"change": {"minor": "no", "kind": "psychological", "sentence_months": -1}, "open": false, "grounds": ["R2", "S5"], "review": true},
	"kind psychological, minor straddles": {"change": {"minor": "straddles", "kind": "psychological", "sentence_months": -1}, "open": false, "grounds": ["S6", "S7"], "review": false},
	"kind social_investigation, minor yes": {"change": {"minor": "yes", "kind": "social_investigation", "sentence_months": -1}, "open": false, "grounds": ["S7"], "review": false},
	"kind social_investigation, minor no": {"change": {"minor": "no", "kind": "social_investigation", "sentence_months": -1}, "open": false, "grounds": ["R2", "S5"], "review": true},
	"kind social_investigation, minor straddles": {"change": {"minor": "straddles", "kind": "social_investigation", "sentence_months": -1}, "open": false, "grounds": ["S6", "S7"], "review": false},
	"kind unknown, minor yes": {"change": {"minor": "yes", "kind": "unknown", "sentence_months": -1}, "open": false, "grounds": ["R2"], "review": true},
	"kind unknown, minor no": {"change": {"minor": "no", "kind": "unknown", "sentence_months": -1}, "open": false, "grounds": ["R2", "S5"], "review": true},
	"kind unknown, minor straddles": {"change": {"minor": "straddles", "kind": "unknown", "sentence_months": -1}, "open": false, "grounds": ["R2", "S6"], "review": true},
	"kind violation, minor yes": {"change": {"minor": "yes", "kind": "violation", "sentence_months": -1}, "open": false, "grounds": ["S15"], "review": false},
	"kind violation, minor no": {"change": {"minor": "no", "kind": "violation", "sentence_months": -1}, "open": false, "grounds": ["S15", "S5"], "review": false},
	"kind violation, minor straddles": {"change": {"minor": "straddles", "kind": "violation", "sentence_months": -1}, "open": false, "grounds": ["S15", "S6"], "review": false},
	"kind outside the domain": {"change": {"minor": "no", "kind": "gossip", "sentence_months": 36}, "open": false, "grounds": ["R2", "S5"], "review": true},
	"S9: acquittal, disclosure agreed": {"change": {"minor": "yes", "kind": "acquittal", "disclosure_agreed": true, "sentence_months": -1}, "open": true, "grounds": ["S9"], "review": false},
	"S9: acquittal_insufficient, disclosure agreed": {"change": {"minor": "yes", "kind": "acquittal_insufficient", "disclosure_agreed": true, "sentence_months": -1}, "open": true, "grounds": ["S9"], "review": false},
	"S9: agreed, but marked": {"change": {"minor": "yes", "kind": "acquittal", "disclosure_agreed": true, "seal_mark": true, "sentence_months": -1}, "open": false, "grounds": ["S13", "S9"], "review": false},
	"S9: agreed, not separated": {"change": {"minor": "yes", "kind": "acquittal", "disclosure_agreed": true, "joint": "unseparated", "sentence_months": -1}, "open": false, "grounds": ["S10", "S9"], "review": false},
	"S9: agreed, acts on both sides": {"change": {"minor": "straddles", "kind": "acquittal", "disclosure_agreed": true, "sentence_months": -1}, "open": false, "grounds": ["S6", "S9"], "review": false},
	"S9: agreement opens no judgment": {"change": {"minor": "yes", "disclosure_agreed": true, "sentence_months": 36}, "open": false, "grounds": ["S1"], "review": false},
	"S9: agreed, and an unsealing decision on an acquittal": {"change": {"minor": "yes", "kind": "acquittal", "disclosure_agreed": true, "unsealed": true, "sentence_months": -1}, "open": false, "grounds": ["S9", "U1"], "review": true},
	"S10: minor yes, 61 months, joint separated": {"change": {"minor": "yes", "main_acts": "after", "sentence_months": 61, "joint": "separated"}, "open": true, "grounds": [], "review": false},
	"S10: minor yes, 61 months, joint unseparated": {"change": {"minor": "yes", "main_acts": "after", "sentence_months": 61, "joint": "unseparated"}, "open": false, "grounds": ["S10"], "review": false},
	"S10: minor yes, 61 months, joint unknown": {"change": {"minor": "yes", "main_acts": "after", "sentence_months": 61, "joint": "unknown"}, "open": false, "grounds": ["S10"], "review": true},
	"S13: minor yes, 61 months, marked": {"change": {"minor": "yes", "main_acts": "after", "sentence_months": 61, "seal_mark": true}, "open": false, "grounds": ["S13"], "review": false},
	"S10: minor no, 36 months, joint separated": {"change": {"minor": "no", "main_acts": "after", "sentence_months": 36, "joint": "separated"}, "open": true, "grounds": ["S5"], "review": false},
	"S10: minor no, 36 months, joint unseparated": {"change": {"minor": "no", "main_acts": "after", "sentence_months": 36, "joint": "unseparated"}, "open": false, "grounds": ["S10", "S5"], "review": false},
	"S10: minor no, 36 months, joint unknown": {"change": {"minor": "no", "main_acts": "after", "sentence_months": 36, "joint": "unknown"}, "open": false, "grounds": ["S10", "S5"], "review": true},
	"S13: minor no, 36 months, marked": {"change": {"minor": "no", "main_acts": "after", "sentence_months": 36, "seal_mark": true}, "open": false, "grounds": ["S13", "S5"], "review": false},
	"S10: minor straddles, 61 months, joint separated": {"change": {"minor": "straddles", "main_acts": "after", "sentence_months": 61, "joint": "separated"}, "open": true, "grounds": ["S6"], "review": false},
	"S10: minor straddles, 61 months, joint unseparated": {"change": {"minor": "straddles", "main_acts": "after", "sentence_months": 61, "joint": "unseparated"}, "open": false, "grounds": ["S10", "S6"], "review": false},
	"S10: minor straddles, 61 months, joint unknown": {"change": {"minor": "straddles", "main_acts": "after", "sentence_months": 61, "joint": "unknown"}, "open": false, "grounds": ["S10", "S6"], "review": true},
	"S13: minor straddles, 61 months, marked": {"change": {"minor": "straddles", "main_acts": "after", "sentence_months": 61, "seal_mark": true}, "open": false, "grounds": ["S13", "S6"], "review": false},
	"S12: era before_sealing_law": {"change": {"minor": "yes", "sentence_months": 36, "era": "before_sealing_law"}, "open": false, "grounds": ["S1", "S12"], "review": false},
	"S12: era before_violation_sealing": {"change": {"minor": "yes", "sentence_months": 36, "era": "before_violation_sealing"}, "open": false, "grounds": ["S1"], "review": false},
	"S12: era unknown": {"change": {"minor": "yes", "sentence_months": 36, "era": "unknown"}, "open": false, "grounds": ["S1"], "review": false},
	"S12: exempted before the law": {"change": {"minor": "yes", "sentence_months": -1, "exempted": true, "era": "before_sealing_law"}, "open": false, "grounds": ["S12", "S3"], "review": false},
	"S12: a fine before the law": {"change": {"minor": "yes", "sentence_months": 0, "era": "before_sealing_law"}, "open": false, "grounds": ["S12", "S3"], "review": false},
	"S12: over the threshold before the law": {"change": {"minor": "yes", "sentence_months": 61, "era": "before_sealing_law"}, "open": true, "grounds": [], "review": false},
	"S14: age unknown": {"change": {"minor": "unknown", "sentence_months": 36}, "open": false, "grounds": ["S14"], "review": true},
	"S14: age unknown, 61 months": {"change": {"minor": "unknown", "sentence_months": 61}, "open": false, "grounds": ["S14"], "review": true},
	"S14: age outside the domain": {"change": {"minor": "perhaps", "sentence_months": 61}, "open": false, "grounds": ["S14"], "review": true},
	"U1: unsealed": {"change": {"minor": "yes", "sentence_months": 36, "unsealed": true}, "open": true, "grounds": ["S1", "U1"], "review": false},
	"U1: unsealed, age unknown": {"change": {"minor": "unknown", "sentence_months": 36, "unsealed": true}, "open": true, "grounds": ["S14", "U1"], "review": true},
	"R9: unsealed, still marked": {"change": {"minor": "yes", "sentence_months": 36, "unsealed": true, "seal_mark": true}, "open": false, "grounds": ["S1", "S13", "U1"], "review": true},
	"R10: unsealed, exactly 60": {"change": {"minor": "yes", "sentence_months": 60, "unsealed": true}, "open": false, "grounds": ["S1", "S2", "U1"], "review": true},
	"R10: unsealed, 59": {"change": {"minor": "yes", "sentence_months": 59, "unsealed": true}, "open": true, "grounds": ["S1", "U1"], "review": false},
	"R10: unsealed, 61": {"change": {"minor": "yes", "sentence_months": 61, "unsealed": true}, "open": true, "grounds": ["U1"], "review": false},
	"U1: unsealed, not separated": {"change": {"minor": "yes", "sentence_months": 36, "unsealed": true, "joint": "unseparated"}, "open": false, "grounds": ["S1", "S10", "U1"], "review": false},
	"U1: unsealed non-prosecution": {"change": {"minor": "yes", "kind": "non_prosecution", "sentence_months": -1, "unsealed": true}, "open": false, "grounds": ["S7", "U1"], "review": true},
	"U1: unsealed, an adult's": {"change": {"minor": "no", "sentence_months": 60, "unsealed": true}, "open": false, "grounds": ["S5", "U1"], "review": true},
	"S2: exempted non-prosecution of 36 months, before the law": {"change": {"minor": "yes", "kind": "non_prosecution", "sentence_months": 36, "exempted": true, "era": "before_sealing_law"}, "open": false, "grounds": ["S7"], "review": false},
	"S2: a minor's acquittal said to have 60 months": {"change": {"minor": "yes", "kind": "acquittal", "sentence_months": 60, "era": "before_sealing_law"}, "open": false, "grounds": ["S9"], "review": false},
	"S3: a minor's acquittal said to have no month": {"change": {"minor": "yes", "kind": "acquittal", "sentence_months": 0, "era": "before_sealing_law"}, "open": false, "grounds": ["S9"], "review": false},
	"S6 is of both sides: grown up, main acts before": {"change": {"minor": "no", "main_acts": "before", "sentence_months": 36}, "open": true, "grounds": ["S5"], "review": false},
	"S6 is of both sides: age unknown, main acts before": {"change": {"minor": "unknown", "main_acts": "before", "sentence_months": 36}, "open": false, "grounds": ["S14"], "review": true},
	"S6: after, life": {"change": {"minor": "straddles", "main_acts": "after", "sentence_months": 9999}, "open": true, "grounds": ["S6"], "review": false},
	"S6: after, beyond the bound": {"change": {"minor": "straddles", "main_acts": "after", "sentence_months": 10000}, "open": false, "grounds": ["R5", "S6"], "review": true},
	"S6: after, non-prosecution": {"change": {"minor": "straddles", "main_acts": "after", "kind": "non_prosecution", "sentence_months": -1}, "open": false, "grounds": ["S6", "S7"], "review": false},
	"S6 is of both sides: a minor, main acts after": {"change": {"minor": "yes", "main_acts": "after", "sentence_months": 36}, "open": false, "grounds": ["S1"], "review": false},
}
