# METADATA
# title: Sealing of records
# description: >-
#   Which records are open. One positive rule, `open_record`, is the single source of truth: it classifies single
#   records, is compiled into the databases' own filter and drives the compliance scan. Whatever no body names is
#   withheld. Attributes stand on the left of every comparison: an engine that negates instead of mirroring an ordering
#   comparison would otherwise let exactly 60 months through.
# custom:
#   rule: S1
#   legal_basis: CPL 286; CL 99; IM 3-7, 23; PJDL 59; PSAPL 136
# schemas:
#   - input: schema.records
package sidecar.sealing

import data.params

# METADATA
# title: Classification of records
# description: One answer a record, in the order of the input, whatever a record is like.
# entrypoint: true
# custom:
#   rule: S1
#   legal_basis: CPL 286; IM 3-7
classification := [answer |
	some r in input.records
	answer := classify(r)
]

# METADATA
# title: The filter's entry
# description: >-
#   True only for open records. Compiled with `input.record` unknown; it has no default, because a default does not
#   compile, and undefined is withheld.
# custom:
#   rule: S1
#   legal_basis: CPL 286
open if open_record(input.record)

# METADATA
# title: Open record
# description: >-
#   A positive OR of ANDs over attributes that are never null. Two readings are stricter than the text: a minor's term
#   over the threshold in a file that is not separated stays withheld, because the file may hold another minor's part
#   (R8 would open it), and an unsealing decision does not open a record of exactly the threshold (R10).
# scope: document
# custom:
#   rule: S1
#   legal_basis: CPL 286

# METADATA
# title: Unsealed by a complete decision
# custom:
#   rule: U1
#   legal_basis: PR 485; IM 18 (R9, R10)
open_record(r) if {
	r.unsealed == true
	r.seal_mark == false
	r.sentence_months != params.seal_max_months.value
	r.kind in params.criminal_kinds.value
	r.joint in params.joint_open.value
}

# METADATA
# title: Grown up at the offence
# custom:
#   rule: S5
#   legal_basis: CPL 286; 法释〔2006〕1号 art. 2
open_record(r) if {
	r.unsealed == false
	r.seal_mark == false
	r.minor == "no"
	r.kind in params.open_kinds_adult.value
	r.joint in params.joint_open.value
}

# METADATA
# title: A minor's term over the threshold
# custom:
#   rule: S2
#   legal_basis: CPL 286; CL 99
open_record(r) if {
	r.unsealed == false
	r.seal_mark == false
	r.minor == "yes"
	r.kind in params.criminal_kinds.value
	r.joint in params.joint_open.value
	r.exempted == false
	r.sentence_months > params.seal_max_months.value
	r.sentence_months <= params.term_max.value # strings sort above numbers: this bound refuses them
}

# METADATA
# title: Acts on both sides of majority, a finding, a term over the threshold
# custom:
#   rule: S6
#   legal_basis: IM 4(2) (R6)
open_record(r) if {
	r.unsealed == false
	r.seal_mark == false
	r.minor == "straddles"
	r.main_acts in params.findings_known.value
	r.kind in params.criminal_kinds.value
	r.joint in params.joint_open.value
	r.exempted == false
	r.sentence_months > params.seal_max_months.value
	r.sentence_months <= params.term_max.value
}

# METADATA
# title: A minor's acquittal, disclosed by wish and agreement
# custom:
#   rule: S9
#   legal_basis: IM 7 (R7)
open_record(r) if {
	r.unsealed == false
	r.seal_mark == false
	r.minor == "yes"
	r.kind in params.acquittal_kinds.value
	r.joint in params.joint_open.value
	r.disclosure_agreed == true
}

classify(r) := {
	"open": is_open(r),
	"class": class_of(r),
	"grounds": sort([id | some id in ground_ids; explains(id, r)]),
	"review": needs_review(r),
}

default is_open(_) := false

is_open(r) if open_record(r)

default class_of(_) := "unknown"

class_of(r) := r.kind if r.kind in params.kinds.value

# Grounds explain and never decide.
ground_ids := {"R2", "R5", "S1", "S2", "S3", "S5", "S6", "S7", "S8", "S9", "S10", "S12", "S13", "S14", "S15", "U1"}

explains("S1", r) if sealed_by_threshold(r)

explains("S2", r) if {
	sealed_by_threshold(r)
	r.sentence_months == params.seal_max_months.value
}

explains("S3", r) if sealed_without_term(r)

explains("S5", r) if r.minor == "no"

explains("S6", r) if r.minor == "straddles"

explains("S7", r) if {
	not_grown_up(r)
	r.kind in params.material_kinds.value
}

explains("S8", r) if {
	not_grown_up(r)
	r.kind in params.education_kinds.value
}

explains("S9", r) if {
	not_grown_up(r)
	r.kind in params.acquittal_kinds.value
}

explains("S10", r) if not separated(r)

explains("S12", r) if {
	r.era == "before_sealing_law"
	sealed_by_threshold(r)
}

explains("S12", r) if {
	r.era == "before_sealing_law"
	sealed_without_term(r)
}

explains("S13", r) if not unmarked(r)

explains("S14", r) if not age_known(r)

explains("S15", r) if r.kind in params.violation_kinds.value

explains("U1", r) if r.unsealed == true

explains("R5", r) if term_doubtful(r)

explains("R2", r) if not kind_known(r)

explains("R2", r) if kind_contradicts_age(r)

# A person looks at the doubts that no rule can settle (R2).
default needs_review(_) := false

needs_review(r) if not age_known(r)

needs_review(r) if not kind_known(r)

needs_review(r) if kind_contradicts_age(r)

needs_review(r) if not separation_known(r)

needs_review(r) if term_doubtful(r)

needs_review(r) if finding_doubtful(r)

# R9: a valid unsealing decision while the mark is still set.
needs_review(r) if {
	r.unsealed == true
	not unmarked(r)
}

# R10: exactly the threshold after an unsealing decision.
needs_review(r) if {
	r.unsealed == true
	r.sentence_months == params.seal_max_months.value
}

# U1 is for criminal records: a decision on another kind is a contradiction.
needs_review(r) if {
	r.unsealed == true
	not r.kind in params.criminal_kinds.value
}

not_grown_up(r) if r.minor in ["straddles", "yes"]

age_known(r) if r.minor in ["no", "straddles", "yes"]

kind_known(r) if {
	r.kind in params.kinds.value
	r.kind != "unknown"
}

separated(r) if r.joint in params.joint_open.value

separation_known(r) if separated(r)

separation_known(r) if r.joint == "unseparated"

unmarked(r) if r.seal_mark == false

whole_by_age(r) if r.minor == "yes"

whole_by_age(r) if {
	r.minor == "straddles"
	r.main_acts == "before"
}

sealed_by_threshold(r) if {
	whole_by_age(r)
	r.kind in params.criminal_kinds.value
	r.sentence_months > 0
	r.sentence_months <= params.seal_max_months.value
}

sealed_without_term(r) if {
	whole_by_age(r)
	r.kind in params.criminal_kinds.value
	r.exempted == true
}

sealed_without_term(r) if {
	whole_by_age(r)
	r.kind in params.criminal_kinds.value
	r.sentence_months == 0
}

term_matters(r) if {
	not_grown_up(r)
	r.kind in params.criminal_kinds.value
	r.exempted == false
}

term_doubtful(r) if {
	term_matters(r)
	not term_known(r)
}

term_known(r) if {
	r.sentence_months >= 0
	r.sentence_months <= params.term_max.value
}

# S6: the finding is unknown, or it is `after` with a term that is not over the threshold.
finding_doubtful(r) if {
	r.minor == "straddles"
	r.kind in params.criminal_kinds.value
	not r.main_acts in params.findings_known.value
}

finding_doubtful(r) if {
	r.minor == "straddles"
	r.kind in params.criminal_kinds.value
	r.main_acts == "after"
	not over_threshold(r)
}

# A term beyond the bound is doubtful in itself.
over_threshold(r) if {
	r.exempted == false
	r.sentence_months > params.seal_max_months.value
}

# A grown-up's record of a kind that only a minor's procedure knows: withheld, and one of the two facts is wrong.
kind_contradicts_age(r) if {
	r.minor == "no"
	r.kind in params.minors_kinds.value
}
