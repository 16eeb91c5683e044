"""The archive's catalog: the routes of its old HTTP service that may be asked, and what its fields mean (E10)."""

from __future__ import annotations

from sidecar.demo.archive import PASSWORD, SOAP, SPACE, USER

ARCHIVE = "archive"
"""Name of the database."""

_COLUMNS = """\
source: {key: [AJBH, XH]}
subject: {person_id: SFZH, name: XM, birth_date: CSRQ}
attributes:
  minor:
    birth: {column: CSRQ, format: YYYYMMDD}
    offences: [{column: FARQ, format: YYYYMMDD}]
  sentence_months:
    column: XQ_YUE
    kind_from: XZDM
    kinds: {"10": imprisonment, "11": detention, "12": surveillance, "13": fine, "20": life, "30": exempted}
  kind:
    column: AJLB
    map: {"01": judgment, "03": compulsory_measure, "04": no_liability, "05": non_prosecution,
          "08": administrative_penalty, "12": violation}
  joint: {column: GTFZ, map: {"0": none, "1": separated, "2": unseparated}}
  seal_mark: {column: FCBJ, none: ["2"], set: ["1"]}
  cover_mark: {column: FMBJ, none: ["2"], set: ["1"]}
  exempted: {column: MCBZ, yes: ["1"], no: ["2"]}
  concluded: {column: JARQ, format: YYYYMMDD}
released:
  case: {column: AJBH, class: procedure}
  position: {column: XH, class: procedure, format: integer}
  number: {column: SFZH, class: identity}
  name: {column: XM, class: identity}
  sex: {column: XB, class: identity}
  birth: {column: CSRQ, class: identity, format: YYYYMMDD}
  offence: {column: FARQ, class: crime, format: YYYYMMDD}
  concluded: {column: JARQ, class: procedure, format: YYYYMMDD}
  kind: {column: AJLB, class: procedure}
  penalty: {column: XZDM, class: term}
  term: {column: XQ_YUE, class: term, format: integer}
  exempted: {column: MCBZ, class: term}
  marked: {column: FCBJ, class: procedure}
  joint: {column: GTFZ, class: procedure}
  covered: {column: FMBJ, class: procedure}
  crime: {column: ZM, class: crime}
  address: {column: JTZZ, class: address}
  story: {column: BZ, class: narrative}
filterable: [crime]
"""

_SOAP_QUERY = (
    f'<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="{SOAP}"><s:Body>'
    f'<a:getRecords xmlns:a="{SPACE}"><a:sfzh/></a:getRecords></s:Body></s:Envelope>'
)
_SOAP_ANSWER = (
    f'<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="{SOAP}"><s:Body>'
    f'<a:getRecordsResponse xmlns:a="{SPACE}"><a:total>0</a:total><a:records/></a:getRecordsResponse></s:Body></s:Envelope>'
)

_ROUTES = f"""\
routes:
- name: persons
  method: GET
  path: /persons/{{sfzh}}/records
  parameters:
  - {{in: path, name: sfzh, is: person_id}}
  - {{in: query, name: page, is: page}}
  - {{in: query, name: size, is: size}}
  paging: {{kind: page, first: 1, size: 20, max_size: 100, walk: 100}}
  answer:
    format: json
    content_type: application/json;charset=UTF-8
    template: '{{"code":0,"msg":"ok","data":{{"total":0,"pages":0,"page":1,"size":20,"list":[]}}}}'
    records: $.data.list
    total: $.data.total
    pages: $.data.pages
    page: $.data.page
    size: $.data.size
    succeeded: {{path: $.code, values: ["0"]}}
    gzip: true
- name: crimes
  method: GET
  path: /crimes
  charset: gbk
  parameters:
  - {{in: query, name: zm, is: condition, field: crime, required: true}}
  - {{in: query, name: from, is: cursor}}
  - {{in: query, name: limit, is: size}}
  paging: {{kind: cursor, size: 20}}
  answer:
    format: json
    content_type: application/json; charset=GBK
    template: '{{"rows": [], "next": null}}'
    records: $.rows
    next: $.next
    spaced: true
- name: feed
  method: GET
  path: /feed
  parameters:
  - {{in: query, name: id, is: person_id}}
  - {{in: query, name: after, is: cursor}}
  paging: {{kind: link, size: 2}}
  answer:
    {{format: json, content_type: application/json, template: '[]', records: $, total_header: X-Total-Count, escaped: true}}
- name: query
  method: POST
  path: /query
  charset: gb18030
  parameters:
  - {{in: form, name: xm, is: name}}
  - {{in: form, name: csrq, is: birth_date, format: YYYYMMDD}}
  - {{in: form, name: start, is: offset}}
  - {{in: form, name: limit, is: size}}
  paging: {{kind: offset, size: 20}}
  answer:
    format: xml
    content_type: text/xml; charset=GB18030
    template: "<?xml version=\\"1.0\\" encoding=\\"GB18030\\"?>\\n<result><list total=\\"0\\"/></result>"
    records: /result/list
    record: record
    total: /result/list/@total
    empty_is_null: true
    empty_statuses: [404]
- name: soap
  method: POST
  path: /soap
  parameters:
  - {{in: xml, name: "/s:Envelope/s:Body/a:getRecords/a:sfzh", is: person_id}}
  - {{in: header, name: SOAPAction, is: passed, values: ['"urn:archive#getRecords"', "urn:archive#getRecords"]}}
  request:
    content_type: text/xml; charset=utf-8
    namespaces: {{s: "{SOAP}", a: "{SPACE}"}}
    template: '{_SOAP_QUERY}'
  answer:
    format: soap11
    content_type: text/xml; charset=utf-8
    namespaces: {{s: "{SOAP}", a: "{SPACE}"}}
    template: '{_SOAP_ANSWER}'
    records: /s:Envelope/s:Body/a:getRecordsResponse/a:records
    record: a:record
    empty_is_null: true
    total: /s:Envelope/s:Body/a:getRecordsResponse/a:total
"""


def archive_catalog(base_url: str, **more: int) -> str:
    """The catalog's text.

    Args:
        base_url: where the service listens.
        more: further keys of ``connector``.
    """
    keys = "".join(f", {name}: {value}" for name, value in more.items())
    connector = f"{{kind: http, base_url: '{base_url}', login: {{kind: basic, username: {USER}, password_file: {PASSWORD}}}{keys}}}"
    return f"catalog: 1\ndatabase: {ARCHIVE}\nconnector: {connector}\n{_COLUMNS}{_ROUTES}"
