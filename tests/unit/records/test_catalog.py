"""The catalog: strict, and on the withheld side where it says nothing."""

import json
from pathlib import Path

import jsonschema
import pytest

from sidecar.codes import FieldClass
from sidecar.errors import ConfigurationError
from sidecar.records import catalog as c
from sidecar.settings import load_yaml
from tests.support.records import CATALOG, TEXT

SCHEMA = Path(c.__file__).with_name("catalog.schema.json")


def test_the_schema_in_the_package_is_the_models_own():
    assert json.loads(SCHEMA.read_text(encoding="utf-8")) == c.json_schema()


def test_the_schema_accepts_the_catalog_and_refuses_an_unknown_key():
    schema = c.json_schema()
    data = json.loads(json.dumps(load_yaml(TEXT)))
    jsonschema.validate(data, schema)
    with pytest.raises(jsonschema.ValidationError, match="colour"):
        jsonschema.validate({**data, "colour": "red"}, schema)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("catalog: 1", "catalog: 2", "catalog: Input should be 1"),
        ("database: county", "database: county\ndatabase: other", "duplicate key 'database'"),
        ("table: T_AJXX", "table: T_AJXX, colour: red", "source.colour: Extra inputs"),
        ("table: T_AJXX", 'table: "T; DROP TABLE X"', "expected a table"),
        ("column: ZM", "column: 'ZM\" --'", "expected a column"),
        ("filterable: [case", "filterable: [FARQ", "'FARQ' is neither a released field"),
        ("sortable: [case", "sortable: [story", "'story' has an encoding"),
        ("encoding: gb18030", "encoding: klingon", "unknown encoding 'klingon'"),
        ("format: integer", "format: integer, encoding: gb18030", "at most one of format, map and encoding"),
        ('none: ["2"], set: ["1"]', 'none: ["1"], set: ["1"]', "under none and set"),
        ("    kind_from: XZDM\n", "", "kind_from and kinds belong together"),
        ("  crime: {", "  punished: {", "reserved names"),
        ("{column: FARQ, format: YYYYMMDD}", "{column: FARQ, optional: true}", "first of offences cannot be optional"),
        ("person_id: SFZH, name: XM, birth_date: CSRQ", "name: XM", "nobody could be found"),
        ("column: BZ", "column: p.BZ", "no join has this alias"),
        ("judgment,", "verdict,", "attributes.kind.map.01"),
        ("class: crime", "class: secret", "released.crime.class"),
    ],
)  # fmt: skip
def test_a_catalog_with_a_mistake_is_refused_and_the_place_named(old, new, message):
    assert old in TEXT
    with pytest.raises(ConfigurationError, match=message.replace("(", r"\(")):
        c.parse(TEXT.replace(old, new, 1))


def test_an_unquoted_code_is_the_same_text():
    assert c.parse(TEXT.replace('"10": imprisonment', "10: imprisonment")) == CATALOG


def test_a_key_column_may_be_filtered_on_and_counts_as_procedure():
    assert CATALOG.declared("XH").field_class is FieldClass.PROCEDURE


def test_digest_is_of_the_files_bytes(tmp_path):
    (tmp_path / "c.yaml").write_text(TEXT, encoding="utf-8")
    first = c.load(tmp_path / "c.yaml")
    (tmp_path / "c.yaml").write_text(TEXT + "# note\n", encoding="utf-8")
    assert first.digest.startswith("sha256:")
    assert c.load(tmp_path / "c.yaml").digest != first.digest


def test_a_missing_connection_file_is_named_without_a_traceback_of_its_content(tmp_path):
    (tmp_path / "c.yaml").write_text(TEXT, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"county\.dsn cannot be read"):
        c.load(tmp_path / "c.yaml").dsn()


def test_an_oversized_or_undecodable_file_is_refused(tmp_path):
    (tmp_path / "big.yaml").write_text(TEXT + "#" * c.MAX_CATALOG_BYTES, encoding="utf-8")
    (tmp_path / "bad.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="at most"):
        c.load(tmp_path / "big.yaml")
    with pytest.raises(ConfigurationError, match="UTF-8"):
        c.load(tmp_path / "bad.yaml")


def test_a_tables_name_stands_for_its_codes():
    text = TEXT.replace('map: {"1": 男, "2": 女}', "map: gb_t_2261_1").replace(
        'map: {"01": judgment, "05": non_prosecution, "12": violation}', "map: lb"
    )
    found = c.parse(text + 'tables: {lb: {"01": judgment}}\n')
    assert found.released["sex"].map == {"0": "未知的性别", "1": "男", "2": "女", "9": "未说明的性别"}
    assert found.attributes.kind is not None
    assert found.attributes.kind.map == {"01": "judgment"}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('map: {"1": 男, "2": 女}', "map: nothing", "expected one of the tables .*gb_t_2261_1.* got 'nothing'"),
        ("column: CSRQ, format: YYYYMMDD", "column: CSRQ, format: YYMMDD", "pivot belongs to the formats"),
        ("column: CSRQ, format: YYYYMMDD", "column: CSRQ, pivot: 30", "pivot belongs to the formats"),
        ("column: JARQ, class: procedure, format: YYYYMMDD", "column: JARQ, class: procedure, pivot: 30", "pivot"),
        ("column: ZM, class: crime", "column: ZM, class: crime, prefix: 2", "prefix belongs to map"),
        (
            "column: XQ_YUE\n",
            "column: XQ_YUE\n    years: XH\n    format: chinese\n",
            "years belongs to the format months",
        ),
    ],
)
def test_what_does_not_go_together_is_named(old, new, words):
    with pytest.raises(ConfigurationError, match=words):
        c.parse(TEXT.replace(old, new, 1))
