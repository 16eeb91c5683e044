"""The county's catalog: how its legacy columns and codes map to the canonical record (E10)."""

from __future__ import annotations

from sidecar.demo.people import DATABASE

CATALOG = f"""\
catalog: 1
database: {DATABASE}
connector: {{kind: sql, dsn_file: {DATABASE}.dsn, statement_timeout_ms: 3000}}
source: {{table: T_AJXX, key: [AJBH, XH]}}
subject: {{person_id: SFZH, name: XM, birth_date: CSRQ}}
attributes:
  minor:
    birth: {{column: CSRQ, format: YYYYMMDD}}
    offences: [{{column: FARQ, format: YYYYMMDD}}]
  sentence_months:
    column: XQ_YUE
    kind_from: XZDM
    kinds: {{"10": imprisonment, "11": detention, "12": surveillance, "13": fine, "20": life, "30": exempted}}
  kind:
    column: AJLB
    map: {{"01": judgment, "03": compulsory_measure, "04": no_liability, "05": non_prosecution,
          "08": administrative_penalty, "12": violation}}      # "99" is not mapped: unknown, hence withheld
  joint: {{column: GTFZ, map: {{"0": none, "1": separated, "2": unseparated}}}}
  seal_mark: {{column: FCBJ, none: ["2"], set: ["1"]}}      # null was never set: no mark
  cover_mark: {{column: FMBJ, none: ["2"], set: ["1"]}}
  exempted: {{column: MCBZ, yes: ["1"], no: ["2"]}}
  concluded: {{column: JARQ, format: YYYYMMDD}}
released:
  case: {{column: AJBH, class: procedure}}
  name: {{column: XM, class: identity}}
  sex: {{column: XB, class: identity, map: {{"0": 未知, "1": 男, "2": 女, "9": 未说明}}}}      # GB/T 2261.1
  crime: {{column: ZM, class: crime}}
  term: {{column: XQ_YUE, class: term, format: integer}}
  concluded: {{column: JARQ, class: procedure, format: YYYYMMDD}}
  address: {{column: JTZZ, class: address}}
  story: {{column: BZ, class: narrative, encoding: gb18030}}
filterable: [AJBH, ZM]
sortable: [AJBH, JARQ]
"""
