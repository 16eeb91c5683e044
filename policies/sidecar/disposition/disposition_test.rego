# METADATA
# title: Tests of the table of views
# custom:
#   rule: Q9
#   legal_basis: IM 16(3)
package sidecar.disposition_test

import data.sidecar.disposition

file := {
	"acquittal": "full",
	"acquittal_insufficient": "full",
	"administrative_penalty": "full",
	"assistance": "full",
	"compulsory_measure": "full",
	"corrective_education": "full",
	"judgment": "full",
	"judicial_aid": "full",
	"no_liability": "full",
	"non_prosecution": "full",
	"psychological": "full",
	"social_investigation": "full",
	"violation": "full",
}

full := ["address", "crime", "identity", "image", "narrative", "procedure", "term"]

limited := {
	"open": {"judgment": "limited"}, "sealed": {}, "fields": {"limited": ["crime", "term"]},
	"joint_dropped": ["address", "image", "narrative"], "cover_mark": false,
}

expected := {
	"open": {
		"employer": limited,
		"state_organ": limited,
		"unit": limited,
		"judicial": {
			"open": file, "sealed": {}, "fields": {"full": full},
			"joint_dropped": ["address", "image", "narrative"], "cover_mark": false,
		},
	},
	"sealed": {
		"state_organ": object.union(limited, {"sealed": {"judgment": "limited"}}),
		"unit": object.union(limited, {"sealed": {"judgment": "limited"}}),
		"judicial": {
			"open": file, "sealed": file, "fields": {"full": full},
			"joint_dropped": [], "cover_mark": true,
		},
	},
}

test_open_scope[class] if {
	some class in classes
	views_or_none("open", class) == object.get(expected.open, class, {})
}

test_sealed_scope[class] if {
	some class in classes
	views_or_none("sealed", class) == object.get(expected.sealed, class, {})
}

classes := ["employer", "judicial", "review", "state_organ", "unit"]

views_or_none(scope, class) := disposition.views(scope, class)

views_or_none(scope, class) := {} if not disposition.views(scope, class)

test_unknown_scope_and_class_have_no_views if {
	not disposition.views("all", "judicial")
	not disposition.views("open", "press")
	not disposition.entitled("all", "judicial")
}
