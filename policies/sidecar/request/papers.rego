package sidecar.request

import data.params

# METADATA
# title: The class of an organ
# description: A judicial organ outside its functions passes the gate of the purpose, as an employer or a unit.
# custom:
#   rule: R13
#   legal_basis: CL 94
class_of(organ, purpose) := params.purposes[purpose].gate if params.organs[organ].class == "judicial"

class_of(organ, _) := class if {
	class := params.organs[organ].class
	class in {"employer", "review", "state_organ", "unit"}
}

# METADATA
# title: The papers that a request needs
# description: Undefined where no row names the combination, which is then not allowed.
# custom:
#   rule: R16a
#   legal_basis: ZJ; PR 484
papers_of(scope, organ, purpose) := params.papers.value[scope][class_of(organ, purpose)][purpose]

# The class and the row of this request, evaluated once.
organ_class := class_of(input.organ, input.purpose)

row := papers_of(input.scope, input.organ, input.purpose)

# Without a row the default of the scope is asked for, so that one reply names all that is missing.
needed := row

needed := params.papers_default.value[input.scope] if not row

# METADATA
# title: A basis that is good for the organ, the purpose and the day
# description: The level comes from the list, never from the asker.
# custom:
#   rule: Q2
#   legal_basis: CL 96 (R14)
basis_good(basis, organ, purpose, today) if {
	basis_qualifies(basis)
	basis_in_force(basis, today)
	basis_fits(basis, organ, purpose)
}

basis_qualifies(basis) if params.levels[params.bases[basis].level].qualifies == true

basis_in_force(basis, today) if {
	params.bases[basis].effective <= today
	params.bases[basis].until >= today
}

basis_fits(basis, organ, purpose) if {
	organ in params.bases[basis].organs
	purpose in params.bases[basis].purposes
}

basis_listed if {
	input.basis_state == "listed"
	params.bases[input.basis]
}

basis_brought if input.basis_state in {"listed", "unlisted"}

# Who asks, where and for what.
may_ask if {
	some role in params.inquirer_roles.value
	role in input.roles
}

officer_active if input.officer == "active"

unit_active if input.unit == "active"

organ_known if params.organs[input.organ]

database_known if input.database == "known"

channel_allowed if input.channel in params.channels.value[input.scope]

target_allowed if input.target == "subject"

target_allowed if {
	input.target == "search"
	organ_class in params.search_classes.value[input.scope]
}

scope_known if input.scope in {"open", "sealed"}

purpose_brought if input.purpose_state in {"known", "unknown"}

purpose_known if {
	input.purpose_state == "known"
	params.purposes[input.purpose]
}

# Some scope has a row for the organ's class and the purpose.
purpose_of_class if {
	some scope, _ in params.papers.value
	papers_of(scope, input.organ, input.purpose)
}

# Copies of documents: a judicial organ gets the file, any other unit needs them approved as necessary (Q9).
documents_settled if input.documents == false

documents_settled if organ_class in params.entitled_classes.value[input.scope]

documents_settled if {
	input.application.state == "approved"
	input.application.copies_approved == true
}

case_number_brought if input.case_number in {"court_form", "free_form", "malformed"}

case_number_good if input.case_number in params.case_number_forms.value[input.organ][input.purpose]

case_number_good if {
	not params.case_number_forms.value[input.organ][input.purpose]
	input.case_number in params.case_number_forms_default.value
}

# A paper that is brought must be good, whether it is needed or not.
letter_brought if input.letter.state in {"invalid", "valid"}

letter_absent if input.letter.state == "absent"

letter_sound if {
	input.letter.state == "valid"
	input.letter.kind in params.letter_kinds.value
}

letter_matches(what) if input.letter[what] == true

application_brought if input.application.state in {"approved", "draft", "expired", "refused", "submitted", "withdrawn"}

application_absent if input.application.state == "absent"

application_matches if {
	input.application.officer_match == true
	input.application.subject_match == true
	input.application.database_match == true
	input.application.scope_match == true
	input.application.basis_match == true
	input.application.purpose_match == true
}

approver_distinct if input.application.approver_distinct == true

undertaking_signed if {
	input.undertaking.state == "signed"
	input.undertaking.officer_match == true
}

# METADATA
# title: What is in hand
# scope: document
# custom:
#   rule: Q5
#   legal_basis: ZJ; PR 484; IM 16-17
held contains "reason" if input.reason == "stated"

held contains "work_certificate" if input.certificate == "valid"

held contains "purpose" if purpose_known

held contains "basis" if {
	basis_listed
	basis_good(input.basis, input.organ, input.purpose, input.today)
}

held contains "case_number" if case_number_good

held contains "letter" if {
	letter_sound
	letter_matches("unit_match")
	letter_matches("officer_match")
	letter_matches("subject_match")
	letter_matches("database_match")
	letter_matches("scope_match")
	letter_matches("basis_match")
	letter_matches("purpose_match")
}

held contains "application" if {
	application_brought
	application_matches
}

held contains "approval" if {
	input.application.state == "approved"
	approver_distinct
}

held contains "undertaking" if undertaking_signed
