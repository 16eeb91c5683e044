# METADATA
# title: Tests of the legal parameters
# description: >-
#   The lawyer's second copy: whoever changes a number, a list or a date of law changes it here as well, and a reviewer
#   sees both. Structure is tested where it must hold whatever the values are.
# custom:
#   rule: S1
#   legal_basis: CPL 286; CL 96
package params_test

import data.params

test_scalars[name] if {
	some name, value in scalars
	params[name].value == value
}

test_lists[name] if {
	some name, value in lists
	params[name].value == value
}

test_days_of_effect[name] if {
	some name, day in effective
	params[name].effective == day
}

test_rules_of_parameters[name] if {
	some name, rule in rules
	params[name].rule == rule
}

test_nothing_is_left_out if {
	object.keys(effective) == {name | some name, parameter in params; parameter.effective}
	object.keys(rules) == object.keys(effective)
	(object.keys(scalars) | object.keys(lists)) | tables == object.keys(effective)
}

tables := {
	"alerts", "case_number_forms", "channels", "entitled_classes", "floods", "mass_reads", "never", "obligations", "open_only",
	"papers", "papers_default", "search_classes", "severities", "undeclared_routes", "view_fields", "views",
}

test_every_parameter_has_a_citation if {
	every name in object.keys(effective) {
		params[name].citation != ""
		params[name].confidence in {"derived", "law", "open", "press"}
	}
	every group in ["bases", "levels", "organs", "purposes"] {
		every item in params[group] {
			item.citation != ""
			item.effective >= 19940101
		}
	}
}

test_vocabulary_is_in_force_since_sealing_is_law if {
	{day | some organ in params.organs; day := organ.effective} == {20130101}
	{day | some purpose in params.purposes; day := purpose.effective} == {20130101}
	{day | some level in params.levels; day := level.effective} == {19971001}
}

test_organs if {
	{organ: entry.class | some organ, entry in params.organs} == {
		"civil_affairs": "state_organ", "coast_guard": "review", "court": "judicial",
		"customs_anti_smuggling": "review", "education": "state_organ", "employer": "employer",
		"judicial_administration": "judicial", "licensing_authority": "state_organ", "military_security": "review",
		"notary": "unit", "prison": "judicial", "procuratorate": "judicial", "professional_body": "unit",
		"public_security": "judicial", "school": "employer", "state_security": "judicial",
		"supervisory_commission": "review",
	}
}

test_purposes if {
	{purpose: entry.gate | some purpose, entry in params.purposes} == {
		"case_handling": "judicial", "employment": "employer", "labour_file": "employer", "licensing": "unit",
		"notarisation": "unit", "personnel_file": "employer", "preventing_reoffending": "judicial",
		"professional_qualification": "unit", "staff_vetting": "employer", "student_file": "employer",
	}
}

test_levels_that_qualify if {
	{level | some level, entry in params.levels; entry.qualifies == true} == {
		"administrative_regulation", "law", "npc_decision",
		"state_council_decision", "state_council_measure", "state_council_order",
	}
}

test_titles_and_aliases_name_one_instrument if {
	{title: id | some id, entry in params.instruments; some title in array.concat([entry.title], entry.aliases)} == titles
}

test_bases if {
	{key: [b.level, b.effective, b.until, b.rule, b.organs, b.purposes] | some key, b in params.bases} == bases
}

test_bases_are_of_known_instruments_levels_organs_and_purposes if {
	every basis in params.bases {
		params.instruments[basis.instrument]
		params.levels[basis.level]
		every organ in basis.organs {
			params.organs[organ]
		}
		every purpose in basis.purposes {
			params.purposes[purpose]
		}
	}
}

# The table of papers (R16a): everyone brings the four; other units than judicial organs the letter; sealed scope all.
four := ["basis", "purpose", "reason", "work_certificate"]

with_letter := ["basis", "letter", "purpose", "reason", "work_certificate"]

with_number := ["basis", "case_number", "purpose", "reason", "work_certificate"]

with_both := ["basis", "case_number", "letter", "purpose", "reason", "work_certificate"]

all_of_unit := ["application", "approval", "basis", "letter", "purpose", "reason", "undertaking", "work_certificate"]

all_of_organ := [
	"application", "approval", "basis", "case_number", "letter",
	"purpose", "reason", "undertaking", "work_certificate",
]

test_papers_of_open_scope if {
	params.papers.value.open == {
		"employer": {"employment": with_letter, "staff_vetting": with_letter},
		"judicial": {"case_handling": with_number, "preventing_reoffending": with_number},
		"review": {"case_handling": with_both, "employment": with_letter, "preventing_reoffending": with_both},
		"state_organ": {
			"case_handling": with_both, "employment": with_letter, "licensing": with_letter,
			"professional_qualification": with_letter, "staff_vetting": with_letter,
		},
		"unit": {"licensing": with_letter, "notarisation": with_letter, "professional_qualification": with_letter},
	}
}

test_papers_of_sealed_scope if {
	params.papers.value.sealed == {
		"judicial": {"case_handling": all_of_organ, "preventing_reoffending": all_of_organ},
		"review": {"case_handling": all_of_organ, "preventing_reoffending": all_of_organ},
		"state_organ": {
			"case_handling": all_of_organ, "licensing": all_of_unit,
			"professional_qualification": all_of_unit,
		},
		"unit": {"licensing": all_of_unit, "notarisation": all_of_unit, "professional_qualification": all_of_unit},
	}
}

test_papers_while_no_row_is_named if params.papers_default.value == {"open": four, "sealed": all_of_unit}

test_search_classes if params.search_classes.value == {"open": ["judicial"], "sealed": []}

scalars := {
	"majority_years": 18,
	"leap_birthday": "0301",
	"seal_max_months": 60,
	"term_max": 9999,
	"sealing_law_from": 20130101,
	"violation_sealing_from": 20260101,
}

lists := {
	"kinds": ["acquittal", "acquittal_insufficient", "administrative_penalty", "assistance", "compulsory_measure", "corrective_education", "judgment", "judicial_aid", "no_liability", "non_prosecution", "psychological", "social_investigation", "unknown", "violation"],
	"criminal_kinds": ["judgment"],
	"acquittal_kinds": ["acquittal", "acquittal_insufficient"],
	"material_kinds": ["assistance", "compulsory_measure", "judicial_aid", "no_liability", "non_prosecution", "psychological", "social_investigation"],
	"education_kinds": ["administrative_penalty", "corrective_education"],
	"violation_kinds": ["violation"],
	"open_kinds_adult": ["acquittal", "acquittal_insufficient", "administrative_penalty", "compulsory_measure", "judgment", "no_liability", "non_prosecution"],
	"minors_kinds": ["assistance", "corrective_education", "judicial_aid", "psychological", "social_investigation"],
	"joint_open": ["none", "separated"],
	"findings_known": ["after", "before"],
	"inquirer_roles": ["officer"],
	"letter_kinds": ["jws", "paper"],
	"case_number_forms_default": ["court_form", "free_form"],
	"joint_dropped": ["address", "image", "narrative"],
}

effective := {
	"majority_years": 20130101,
	"leap_birthday": 20060123,
	"seal_max_months": 20130101,
	"term_max": 20130101,
	"sealing_law_from": 20220530,
	"violation_sealing_from": 20260101,
	"kinds": 20130101,
	"criminal_kinds": 20130101,
	"acquittal_kinds": 20220530,
	"material_kinds": 20220530,
	"education_kinds": 20210601,
	"violation_kinds": 20260101,
	"open_kinds_adult": 20130101,
	"minors_kinds": 20220530,
	"joint_open": 20220530,
	"findings_known": 20220530,
	"inquirer_roles": 20130101,
	"channels": 20130101,
	"search_classes": 20220530,
	"letter_kinds": 20130101,
	"never": 20130101,
	"open_only": 20130101,
	"papers": 20220530,
	"papers_default": 20220530,
	"case_number_forms": 20130101,
	"case_number_forms_default": 20130101,
	"views": 20220530,
	"view_fields": 20220530,
	"joint_dropped": 20220530,
	"entitled_classes": 20220530,
	"obligations": 20220530,
	"alerts": 20130101,
	"undeclared_routes": 20130101,
	"floods": 20130101,
	"mass_reads": 20130101,
	"severities": 20130101,
}

rules := {
	"majority_years": ["S1", "S5"],
	"leap_birthday": ["S5", "R4"],
	"seal_max_months": ["S1", "S2"],
	"term_max": ["R5"],
	"sealing_law_from": ["S12"],
	"violation_sealing_from": ["S15"],
	"kinds": ["S1", "S7", "S8", "S9", "S15"],
	"criminal_kinds": ["S1", "U1"],
	"acquittal_kinds": ["S9", "R7"],
	"material_kinds": ["S7"],
	"education_kinds": ["S8"],
	"violation_kinds": ["S15", "R11"],
	"open_kinds_adult": ["S1", "S5"],
	"minors_kinds": ["S7", "S8", "R2"],
	"joint_open": ["S10", "R8"],
	"findings_known": ["S6", "R6"],
	"inquirer_roles": ["Q1"],
	"channels": ["Q1"],
	"search_classes": ["Q10"],
	"letter_kinds": ["Q5", "R17"],
	"never": ["Q11"],
	"open_only": ["Q12", "R13", "R15", "R16"],
	"papers": ["Q5", "Q8", "R12", "R13", "R16a"],
	"papers_default": ["Q5", "R16a"],
	"case_number_forms": ["E7", "R12"],
	"case_number_forms_default": ["R12"],
	"views": ["C5", "Q4", "Q9", "R15", "R16"],
	"view_fields": ["Q9"],
	"joint_dropped": ["R16b"],
	"entitled_classes": ["R16b", "Q9", "S10"],
	"obligations": ["Q8", "Q10"],
	"alerts": ["A1", "R18"],
	"undeclared_routes": ["R18"],
	"floods": ["R18"],
	"mass_reads": ["A1"],
	"severities": ["R18"],
}

titles := {
	"中华人民共和国公务员法": "CIVIL-SERVANTS",
	"公务员法": "CIVIL-SERVANTS",
	"单位内部规定": "COMPANY",
	"公司内部规定": "COMPANY",
	"中华人民共和国刑事诉讼法": "CPL",
	"刑事诉讼法": "CPL",
	"刑诉法": "CPL",
	"娱乐场所管理条例": "ENTERTAINMENT",
	"全国人民代表大会常务委员会关于司法鉴定管理问题的决定": "FORENSIC",
	"司法鉴定管理决定": "FORENSIC",
	"关于未成年人犯罪记录封存的实施办法": "IM",
	"未成年人犯罪记录封存实施办法": "IM",
	"最高人民法院关于审理未成年人刑事案件具体应用法律若干问题的解释": "INTERP-2006-1",
	"法释〔2006〕1号": "INTERP-2006-1",
	"中华人民共和国律师法": "LAWYERS",
	"律师法": "LAWYERS",
	"中华人民共和国未成年人保护法": "LPM",
	"未成年人保护法": "LPM",
	"中华人民共和国公证法": "NOTARISATION",
	"公证法": "NOTARISATION",
	"中华人民共和国预防未成年人犯罪法": "PJDL",
	"预防未成年人犯罪法": "PJDL",
	"中华人民共和国治安管理处罚法": "PSAPL",
	"治安管理处罚法": "PSAPL",
	"公安机关办理犯罪记录查询工作规定": "PSR",
	"犯罪记录查询工作规定": "PSR",
	"保安服务管理条例": "SECURITY-GUARDS",
	"中华人民共和国教师法": "TEACHERS",
	"教师法": "TEACHERS",
	"浙江省未成年人犯罪记录封存实施办法": "ZJ",
}

bases := {
	"CIVIL-SERVANTS/26": ["law", 20190601, 99991231, ["C6", "R13"], ["civil_affairs", "coast_guard", "court", "customs_anti_smuggling", "education", "judicial_administration", "licensing_authority", "military_security", "prison", "procuratorate", "public_security", "state_security", "supervisory_commission"], ["employment"]],
	"COMPANY/HANDBOOK": ["company_policy", 20130101, 99991231, ["Q2", "R14"], ["employer", "school"], ["employment", "staff_vetting"]],
	"CPL/286": ["law", 20130101, 99991231, ["Q1"], ["coast_guard", "court", "customs_anti_smuggling", "judicial_administration", "military_security", "prison", "procuratorate", "public_security", "state_security", "supervisory_commission"], ["case_handling", "preventing_reoffending"]],
	"ENTERTAINMENT/5": ["administrative_regulation", 20060301, 99991231, ["C6", "Q2"], ["licensing_authority"], ["licensing"]],
	"FORENSIC/4": ["npc_decision", 20051001, 99991231, ["C6", "Q2"], ["judicial_administration", "professional_body"], ["professional_qualification"]],
	"IM/16": ["ministry_rule", 20220530, 99991231, ["Q2", "R14"], ["civil_affairs", "coast_guard", "court", "customs_anti_smuggling", "education", "judicial_administration", "licensing_authority", "military_security", "prison", "procuratorate", "public_security", "state_security", "supervisory_commission"], ["case_handling", "preventing_reoffending"]],
	"INTERP-2006-1/2": ["judicial_interpretation", 20060123, 99991231, ["Q2", "R14"], ["court", "judicial_administration", "prison", "procuratorate", "public_security", "state_security"], ["case_handling"]],
	"LAWYERS/7": ["law", 20080601, 99991231, ["C6"], ["judicial_administration", "professional_body"], ["licensing", "professional_qualification"]],
	"LPM/62": ["law", 20210601, 99991231, ["C6", "Q12"], ["civil_affairs", "education", "employer", "school"], ["staff_vetting"]],
	"NOTARISATION/29": ["law", 20060301, 99991231, ["C6"], ["notary"], ["notarisation"]],
	"PJDL/59": ["law", 20210601, 99991231, ["Q1"], ["coast_guard", "court", "customs_anti_smuggling", "judicial_administration", "military_security", "prison", "procuratorate", "public_security", "state_security", "supervisory_commission"], ["case_handling", "preventing_reoffending"]],
	"PSAPL/136": ["law", 20260101, 99991231, ["R14", "S15"], ["civil_affairs", "coast_guard", "court", "customs_anti_smuggling", "education", "judicial_administration", "licensing_authority", "military_security", "prison", "procuratorate", "public_security", "state_security", "supervisory_commission"], ["case_handling"]],
	"PSR/10": ["ministry_rule", 20211231, 99991231, ["Q2"], ["employer", "licensing_authority", "school"], ["employment", "licensing", "staff_vetting"]],
	"SECURITY-GUARDS/17": ["administrative_regulation", 20100101, 99991231, ["C6", "Q2"], ["employer", "public_security"], ["professional_qualification", "staff_vetting"]],
	"TEACHERS/14": ["law", 19940101, 99991231, ["C6"], ["education"], ["professional_qualification"]],
	"ZJ/12": ["local_rule", 20130101, 99991231, ["Q2"], ["civil_affairs", "education", "employer", "school"], ["employment", "staff_vetting"]],
}
