# METADATA
# title: Disposition
# description: >-
#   The table of views: what a scope and a class of organ may see of each kind of record. It depends on the request
#   only, never on records (Q13). What the table does not name is omitted.
# custom:
#   rule: Q9
#   legal_basis: IM 16(3); PR 486
package sidecar.disposition

import data.params

# METADATA
# title: Views of a scope and a class of organ
# custom:
#   rule: Q9
#   legal_basis: IM 16(3) (R15, R16)
views(scope, class) := {
	"open": table.open,
	"sealed": table.sealed,
	"fields": {name: sort(classes) |
		some name, classes in params.view_fields.value
		name in used(table)
	},
	"joint_dropped": joint_dropped(scope, class),
	"cover_mark": entitled(scope, class),
} if {
	table := params.views.value[scope][class]
}

used(table) := {view | some views in table; some view in views}

# METADATA
# title: Entitled to cover marks and joint-case facts
# custom:
#   rule: R16b
#   legal_basis: IM 5
default entitled(_, _) := false

entitled(scope, class) if class in params.entitled_classes.value[scope]

joint_dropped(scope, class) := [] if entitled(scope, class)

joint_dropped(scope, class) := sort(params.joint_dropped.value) if not entitled(scope, class)
