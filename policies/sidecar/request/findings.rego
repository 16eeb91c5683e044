# What stands against a request, each finding with its reason code and the rules it comes from. `refuse` cannot be cured
# within the inquiry, `hold` can still be brought, `review` needs a person. Each negates a positive helper, so that an
# undefined value denies.
package sidecar.request

import data.params

# METADATA
# title: No role that may inquire
# custom:
#   rule: Q1
#   legal_basis: CPL 286
refuse contains {"code": "role-missing", "rules": ["Q1"]} if not may_ask

# METADATA
# title: Work certificate missing
# custom:
#   rule: Q5
#   legal_basis: ZJ; PR 484
refuse contains {"code": "certificate-missing", "rules": ["Q5"], "missing": "work_certificate"} if not certificate_presented

# METADATA
# title: Work certificate expired
# custom:
#   rule: Q5
#   legal_basis: ZJ; PR 484
refuse contains {"code": "certificate-expired", "rules": ["Q5"]} if input.certificate == "expired"

# METADATA
# title: Work certificate suspended
# custom:
#   rule: Q5
#   legal_basis: ZJ; PR 484
refuse contains {"code": "certificate-suspended", "rules": ["Q5", "R18"]} if input.certificate == "suspended"

# METADATA
# title: Work certificate revoked
# custom:
#   rule: Q5
#   legal_basis: ZJ; PR 484
refuse contains {"code": "certificate-revoked", "rules": ["Q5", "R18"]} if input.certificate == "revoked"

# METADATA
# title: Officer suspended in the registry
# custom:
#   rule: Q1
#   legal_basis: CPL 286
refuse contains {"code": "officer-suspended", "rules": ["Q1", "R18"]} if input.officer == "suspended"

# METADATA
# title: Officer revoked in, or unknown to, the registry
# custom:
#   rule: Q1
#   legal_basis: CPL 286
refuse contains {"code": "officer-revoked", "rules": ["Q1", "R18"]} if not officer_registered

# METADATA
# title: Unit suspended in the registry
# custom:
#   rule: Q1
#   legal_basis: CPL 286
refuse contains {"code": "unit-suspended", "rules": ["Q1", "R18"]} if input.unit == "suspended"

# METADATA
# title: Unit unknown to the registry
# custom:
#   rule: Q1
#   legal_basis: CPL 286
refuse contains {"code": "unit-unknown", "rules": ["Q1"]} if not unit_registered

# METADATA
# title: Kind of organ unknown
# custom:
#   rule: Q1
#   legal_basis: CPL 286; CL 94
refuse contains {"code": "organ-not-entitled", "rules": ["Q1", "Q3"]} if not organ_known

# METADATA
# title: Database unknown
# custom:
#   rule: Q1
#   legal_basis: CPL 286
refuse contains {"code": "database-unknown", "rules": ["Q1"]} if not database_known

# METADATA
# title: Channel closed for the scope
# custom:
#   rule: Q1
#   legal_basis: CPL 286
refuse contains {"code": "channel-not-allowed", "rules": ["Q1"]} if not channel_allowed

# METADATA
# title: Search where only a single subject is allowed
# custom:
#   rule: Q10
#   legal_basis: IM 10
refuse contains {"code": "search-not-allowed", "rules": ["Q10"]} if not target_allowed

# METADATA
# title: Scope unknown
# custom:
#   rule: R16a
#   legal_basis: ZJ; PR 484
refuse contains {"code": "scope-not-allowed", "rules": ["R16a"]} if not scope_known

# METADATA
# title: The class and purpose have rows, none of them for this scope
# custom:
#   rule: R16a
#   legal_basis: ZJ; PR 484
refuse contains {"code": "scope-not-allowed", "rules": ["R16a"]} if {
	purpose_of_class
	not row
}

# METADATA
# title: Vetting and hiring see open records only
# custom:
#   rule: Q12
#   legal_basis: IM 16; LPM 62
refuse contains {"code": "scope-not-allowed", "rules": ["Q12", "R13", "R15"]} if {
	input.scope == "sealed"
	input.purpose in params.open_only.value.purposes
}

# METADATA
# title: Employers see open records only
# custom:
#   rule: R16
#   legal_basis: CPL 286
refuse contains {"code": "scope-not-allowed", "rules": ["R16"]} if {
	input.scope == "sealed"
	organ_class in params.open_only.value.classes
}

# METADATA
# title: Reason missing or blank
# custom:
#   rule: Q5
#   legal_basis: ZJ; PR 484
refuse contains {"code": "reason-missing", "rules": ["Q5"], "missing": "reason"} if {
	"reason" in needed
	not "reason" in held
}

# METADATA
# title: Purpose missing or blank
# custom:
#   rule: Q5
#   legal_basis: ZJ; PR 484
refuse contains {"code": "purpose-missing", "rules": ["Q5"], "missing": "purpose"} if not purpose_brought

# METADATA
# title: Purpose unknown
# custom:
#   rule: Q5
#   legal_basis: ZJ; PR 484
refuse contains {"code": "purpose-unknown", "rules": ["Q5"]} if {
	purpose_brought
	not purpose_known
}

# METADATA
# title: Purpose not for this class of organ
# custom:
#   rule: Q1
#   legal_basis: CPL 286
refuse contains {"code": "purpose-not-allowed", "rules": ["Q1", "R16a"]} if {
	purpose_known
	organ_known
	not purpose_of_class
}

# METADATA
# title: Never for student, labour or personnel files
# custom:
#   rule: Q11
#   legal_basis: ZJ
refuse contains {"code": "purpose-not-allowed", "rules": ["Q11"]} if {
	input.organ in params.never.value.organs
	input.purpose in params.never.value.purposes
}

# METADATA
# title: Legal basis missing or blank
# custom:
#   rule: Q2
#   legal_basis: CPL 286; CL 96
refuse contains {"code": "basis-missing", "rules": ["Q2", "Q5"], "missing": "basis"} if not basis_brought

# METADATA
# title: Legal basis not in the list
# custom:
#   rule: Q2
#   legal_basis: CPL 286; CL 96
refuse contains {"code": "basis-not-listed", "rules": ["Q2", "R16"]} if {
	basis_brought
	not basis_listed
}

# METADATA
# title: Instrument below a provision of the state
# custom:
#   rule: Q2
#   legal_basis: CL 96
refuse contains {"code": "basis-level-insufficient", "rules": ["Q2", "R14"]} if {
	basis_listed
	not basis_qualifies(input.basis)
}

# METADATA
# title: Basis not in force on the day
# custom:
#   rule: Q2
#   legal_basis: CL 96
refuse contains {"code": "basis-not-in-force", "rules": ["Q2"]} if {
	basis_listed
	not basis_in_force(input.basis, input.today)
}

# METADATA
# title: Basis is for other organs or purposes
# custom:
#   rule: Q2
#   legal_basis: CPL 286; CL 96
refuse contains {"code": "basis-not-for-organ", "rules": ["Q2", "R13"]} if {
	basis_listed
	purpose_known
	organ_known
	not basis_fits(input.basis, input.organ, input.purpose)
}

# METADATA
# title: Case number missing or blank
# custom:
#   rule: R12
#   legal_basis: CPL 286
refuse contains {"code": "case-number-missing", "rules": ["R12"], "missing": "case_number"} if {
	"case_number" in needed
	not case_number_brought
}

# METADATA
# title: Case number of a wrong form
# custom:
#   rule: E7
#   legal_basis: CPL 286
refuse contains {"code": "case-number-invalid", "rules": ["E7", "R12"]} if {
	case_number_brought
	"case_number" in needed
	not case_number_good
}

# METADATA
# title: A case number that is brought must be one
# custom:
#   rule: R12
#   legal_basis: CPL 286
refuse contains {"code": "case-number-invalid", "rules": ["R12"]} if input.case_number == "malformed"

# METADATA
# title: Case number in no known state
# custom:
#   rule: R12
#   legal_basis: CPL 286
refuse contains {"code": "case-number-invalid", "rules": ["R12"]} if not case_number_stated

# METADATA
# title: Unit letter missing
# custom:
#   rule: Q5
#   legal_basis: ZJ; PR 484
refuse contains {"code": "letter-missing", "rules": ["Q5"], "missing": "letter"} if {
	"letter" in needed
	not letter_brought
}

# METADATA
# title: Unit letter in no known state
# custom:
#   rule: Q5
#   legal_basis: ZJ; PR 484
refuse contains {"code": "letter-malformed", "rules": ["Q5"]} if {
	not letter_absent
	not letter_brought
}

# METADATA
# title: Unit letter of no known kind
# custom:
#   rule: Q5
#   legal_basis: ZJ; PR 484
refuse contains {"code": "letter-malformed", "rules": ["Q5", "R17"]} if {
	input.letter.state == "valid"
	not letter_sound
}

# METADATA
# title: Unit letter for another deployment
# custom:
#   rule: Q5
#   legal_basis: ZJ; PR 484
refuse contains {"code": "letter-audience-mismatch", "rules": ["Q5", "R17"]} if letter_invalid("letter-audience-mismatch")

# METADATA
# title: Unit letter expired
# custom:
#   rule: Q5
#   legal_basis: ZJ; PR 484
refuse contains {"code": "letter-expired", "rules": ["Q5", "R17"]} if letter_invalid("letter-expired")

# METADATA
# title: Unit letter forged
# custom:
#   rule: Q5
#   legal_basis: ZJ; PR 484
refuse contains {"code": "letter-forged", "rules": ["Q5", "R17"]} if letter_invalid("letter-forged")

# METADATA
# title: Unit letter not yet valid
# custom:
#   rule: Q5
#   legal_basis: ZJ; PR 484
refuse contains {"code": "letter-not-yet-valid", "rules": ["Q5", "R17"]} if letter_invalid("letter-not-yet-valid")

# METADATA
# title: Unit letter revoked
# custom:
#   rule: Q5
#   legal_basis: ZJ; PR 484
refuse contains {"code": "letter-revoked", "rules": ["Q5", "R17"]} if letter_invalid("letter-revoked")

# METADATA
# title: Unit letter not registered
# custom:
#   rule: Q5
#   legal_basis: ZJ; PR 484
refuse contains {"code": "letter-unknown", "rules": ["Q5", "R17"]} if letter_invalid("letter-unknown")

# METADATA
# title: Unit letter used up
# custom:
#   rule: Q5
#   legal_basis: ZJ; PR 484
refuse contains {"code": "letter-used", "rules": ["Q5", "R17"]} if letter_invalid("letter-used")

# METADATA
# title: Unit letter invalid for any other reason
# custom:
#   rule: Q5
#   legal_basis: ZJ; PR 484
refuse contains {"code": "letter-malformed", "rules": ["Q5"]} if {
	input.letter.state == "invalid"
	not letter_code_known
}

# METADATA
# title: Unit letter is of another unit than the officer's
# custom:
#   rule: Q5
#   legal_basis: ZJ; PR 484
refuse contains {"code": "letter-unit-mismatch", "rules": ["Q5", "R18"]} if {
	input.letter.state == "valid"
	not letter_matches("unit_match")
}

# METADATA
# title: Unit letter names another officer
# custom:
#   rule: Q5
#   legal_basis: ZJ; PR 484
refuse contains {"code": "letter-officer-mismatch", "rules": ["Q5", "R18"]} if {
	input.letter.state == "valid"
	not letter_matches("officer_match")
}

# METADATA
# title: Unit letter names another subject
# custom:
#   rule: Q5
#   legal_basis: ZJ; PR 484
refuse contains {"code": "letter-subject-mismatch", "rules": ["Q5", "R18"]} if {
	input.letter.state == "valid"
	not letter_matches("subject_match")
}

# METADATA
# title: Unit letter is for another database
# custom:
#   rule: Q5
#   legal_basis: ZJ; PR 484
refuse contains {"code": "letter-database-mismatch", "rules": ["Q5", "R18"]} if {
	input.letter.state == "valid"
	not letter_matches("database_match")
}

# METADATA
# title: Unit letter is for another scope
# custom:
#   rule: Q5
#   legal_basis: ZJ; PR 484
refuse contains {"code": "letter-scope-mismatch", "rules": ["Q5", "R18"]} if {
	input.letter.state == "valid"
	not letter_matches("scope_match")
}

# METADATA
# title: Unit letter states another basis
# custom:
#   rule: Q5
#   legal_basis: ZJ; PR 484
refuse contains {"code": "letter-basis-mismatch", "rules": ["Q5", "R18"]} if {
	input.letter.state == "valid"
	not letter_matches("basis_match")
}

# METADATA
# title: Unit letter states another purpose
# custom:
#   rule: Q5
#   legal_basis: ZJ; PR 484
refuse contains {"code": "letter-purpose-mismatch", "rules": ["Q5", "R18"]} if {
	input.letter.state == "valid"
	not letter_matches("purpose_match")
}

# METADATA
# title: Application missing
# custom:
#   rule: Q5
#   legal_basis: ZJ; PR 484
refuse contains {"code": "application-missing", "rules": ["Q5"], "missing": "application"} if {
	"application" in needed
	application_absent
}

# METADATA
# title: Application unknown or in no known state
# custom:
#   rule: Q5
#   legal_basis: ZJ; PR 484
refuse contains {"code": "application-unknown", "rules": ["Q5"]} if {
	not application_absent
	not application_brought
}

# METADATA
# title: Application refused
# custom:
#   rule: Q5
#   legal_basis: ZJ; PR 484
refuse contains {"code": "application-refused", "rules": ["Q5", "Q7"]} if input.application.state == "refused"

# METADATA
# title: Application withdrawn
# custom:
#   rule: Q5
#   legal_basis: ZJ; PR 484
refuse contains {"code": "application-withdrawn", "rules": ["Q5"]} if input.application.state == "withdrawn"

# METADATA
# title: Approval expired
# custom:
#   rule: Q5
#   legal_basis: ZJ; PR 484
refuse contains {"code": "application-expired", "rules": ["Q5"]} if input.application.state == "expired"

# METADATA
# title: Application is for another officer, subject, database, scope, basis or purpose
# custom:
#   rule: Q5
#   legal_basis: ZJ; PR 484
refuse contains {"code": "application-mismatch", "rules": ["Q5", "R18"]} if {
	application_brought
	not application_matches
}

# METADATA
# title: Approved by the applicant
# custom:
#   rule: Q5
#   legal_basis: ZJ; PR 484
refuse contains {"code": "application-approver-not-distinct", "rules": ["Q5", "R18"]} if {
	input.application.state == "approved"
	not approver_distinct
}

# METADATA
# title: Application not decided yet
# custom:
#   rule: Q5
#   legal_basis: ZJ; IM 16
hold contains {"code": "application-not-approved", "rules": ["Q5", "Q6"], "missing": "approval"} if input.application.state in {"draft", "submitted"}

# METADATA
# title: Confidentiality undertaking not signed by the officer
# custom:
#   rule: Q8
#   legal_basis: IM 16-17
hold contains {"code": "undertaking-missing", "rules": ["Q8"], "missing": "undertaking"} if {
	"undertaking" in needed
	not undertaking_signed
}

# METADATA
# title: Undertaking in no known state
# custom:
#   rule: Q8
#   legal_basis: IM 16-17
hold contains {"code": "undertaking-missing", "rules": ["Q8"], "missing": "undertaking"} if not undertaking_stated

# METADATA
# title: Copies of documents neither asked for nor not
# custom:
#   rule: Q9
#   legal_basis: IM 16(3)
hold contains {"code": "copies-not-approved", "rules": ["Q9"], "missing": "copies_approval"} if not documents_stated

# METADATA
# title: Copies of documents not approved as necessary
# custom:
#   rule: Q9
#   legal_basis: IM 16(3)
hold contains {"code": "copies-not-approved", "rules": ["Q9"], "missing": "copies_approval"} if not documents_settled

# METADATA
# title: An organ that is judicial by no clear text
# custom:
#   rule: Q3
#   legal_basis: CL 94
review contains {"code": "organ-needs-review", "rules": ["Q3", "R13"]} if organ_class == "review"

# METADATA
# title: Another state organ, for case handling
# custom:
#   rule: R14
#   legal_basis: PSAPL 136; CPL 286
review contains {"code": "organ-needs-review", "rules": ["R14"]} if {
	organ_class == "state_organ"
	params.purposes[input.purpose].gate == "judicial"
}

case_number_stated if input.case_number in {"court_form", "free_form", "malformed", "missing"}

undertaking_stated if input.undertaking.state in {"absent", "signed"}

documents_stated if input.documents in {false, true}

certificate_presented if input.certificate in {"expired", "revoked", "suspended", "valid"}

officer_registered if input.officer in {"active", "suspended"}

unit_registered if input.unit in {"active", "suspended"}

letter_invalid(code) if {
	input.letter.state == "invalid"
	input.letter.code == code
}

letter_code_known if input.letter.code in {
	"letter-audience-mismatch",
	"letter-expired",
	"letter-forged",
	"letter-not-yet-valid",
	"letter-revoked",
	"letter-unknown",
	"letter-used",
}
