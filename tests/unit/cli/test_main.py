"""The command line fails in one line with the fix, and says 0 only on success."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import click
import pytest

from sidecar.cli import cli, main
from sidecar.cli.root import COMMANDS


def _walk(command: click.Command, context: click.Context):
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from _walk(found, click.Context(found, info_name=name, parent=context))
    else:
        yield context


ALL = list(_walk(cli, click.Context(cli, info_name="sidecar")))


@pytest.mark.parametrize("context", ALL, ids=lambda context: context.command_path)
def test_every_command_has_help_that_says_what_it_does(context, capsys) -> None:
    assert main([*context.command_path.split()[1:], "--help"]) == 0
    assert (context.command.help or "").strip().endswith((".", "databases."))
    assert "Usage:" in capsys.readouterr().out


def test_every_listed_command_is_there() -> None:
    assert {context.command_path.split()[1] for context in ALL} == set(COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["keys", "generate", "signing"], "Missing argument"),
        (["policy", "activate", "0"], "0 is not in the range"),
        (["ledger", "verify", "--size", "3"], "--size and --root belong together"),
        (["ledger", "verify", "--size", "3", "--root", "?"], "expected base64"),
    ],
)
def test_a_wrong_command_line_is_told_in_one_line(arguments, text, capsys) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert text in error
    assert "--help" in error


def test_settings_that_are_not_there_are_told_in_one_line(tmp_path, capsys) -> None:
    assert main(["--config", str(tmp_path / "none.yaml"), "policy", "show"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: configuration-invalid:")
    assert error.count("\n") == 1


def test_serve_without_settings_names_the_option(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SIDECAR_CONFIG", raising=False)
    assert main(["serve"]) == 1
    assert "--config FILE" in capsys.readouterr().err


@pytest.fixture
def config(tmp_path):
    file = tmp_path / "sidecar.yaml"
    file.write_text("deployment: {id: county}\npolicy: {engine: wasm}\n", encoding="utf-8")
    return file


def test_signing_keys_are_private_files_and_never_overwritten(config, tmp_path, capsys) -> None:
    command = ["--config", str(config), "keys", "generate", "signing", "gu", "shen", "--json"]
    assert main(command) == 0
    made = json.loads(capsys.readouterr().out)
    assert set(made) == {"gu", "shen"}
    assert stat.S_IMODE((tmp_path / "keys" / "gu.pem").stat().st_mode) == 0o600
    before = (tmp_path / "keys" / "gu.pem").read_bytes()
    assert main(command) == 1
    assert "exists already" in capsys.readouterr().err
    assert (tmp_path / "keys" / "gu.pem").read_bytes() == before


def test_dossier_keys_give_their_recipients(config, capsys) -> None:
    assert main(["--config", str(config), "keys", "generate", "dossier", "organ", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["organ"]["recipient"].startswith("age1")


def test_the_ring_is_made_and_rotated(config, tmp_path, capsys) -> None:
    base = ["--config", str(config), "keys"]
    assert main([*base, "generate", "ring", "--json"]) == 0
    files = [Path(file) for file in json.loads(capsys.readouterr().out)["files"]]
    assert {"receipt.pem", "cursor.key"} < {file.name for file in files}
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files)
    assert main([*base, "rotate", "receipt", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["kid"]
    assert (tmp_path / "keys" / "receipts.jwks").is_file()
    assert main([*base, "rotate", "cursor"]) == 0
    assert main([*base, "rotate", "pseudonym", "2099"]) == 0
    assert (tmp_path / "keys" / "pseudonym-2099.key").is_file()


def test_upgrade_makes_database_and_ledger_once(config, capsys) -> None:
    assert main(["--config", str(config), "db", "upgrade", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ledger_created"] is True
    assert main(["--config", str(config), "db", "upgrade", "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert (again["applied"], again["ledger_created"]) == ([], False)


def test_without_a_state_database_the_fix_is_named(config, capsys) -> None:
    assert main(["--config", str(config), "ledger", "verify"]) == 1
    assert "sidecar db upgrade" in capsys.readouterr().err


def test_an_empty_ledger_verifies_and_exports(config, tmp_path, capsys) -> None:
    base = ["--config", str(config)]
    assert main([*base, "db", "upgrade"]) == 0
    capsys.readouterr()
    assert main([*base, "ledger", "verify", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["ok"], report["size"], report["fault"]) == (True, 0, None)
    assert main([*base, "ledger", "export", str(tmp_path / "out")]) == 0
    assert main([*base, "ledger", "verify", "--export", str(tmp_path / "out")]) == 0
    assert "intact" in capsys.readouterr().out


def test_an_export_that_was_broken_off_is_refused(config, tmp_path, capsys) -> None:
    (tmp_path / "out").mkdir()
    assert main(["--config", str(config), "ledger", "verify", "--export", str(tmp_path / "out")]) == 1
    assert "broken off" in capsys.readouterr().err


def test_a_ledger_without_the_kept_tree_does_not_verify(config, capsys) -> None:
    base = ["--config", str(config)]
    assert main([*base, "db", "upgrade"]) == 0
    capsys.readouterr()
    assert main([*base, "ledger", "verify", "--size", "3", "--root", "AAAA", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["fault"]["kind"] == "rolled-back"


@pytest.mark.parametrize("upgraded", [False, True])
def test_check_and_doctor_stop_at_the_first_thing_that_is_missing(config, capsys, upgraded) -> None:
    base = ["--config", str(config)]
    if upgraded:
        assert main([*base, "db", "upgrade"]) == 0
        capsys.readouterr()
    assert main([*base, "check", "--json"]) == 1
    findings = json.loads(capsys.readouterr().out)
    assert [f["check"] for f in findings if not f["ok"]] == ["keys" if upgraded else "state database"]
    assert findings[-1]["ok"] is False
    assert main([*base, "doctor"]) == 1
    assert "FAIL" in capsys.readouterr().out


def test_no_active_revision_is_told_with_the_commands_that_make_one(config, capsys) -> None:
    base = ["--config", str(config)]
    assert main([*base, "db", "upgrade"]) == 0
    assert main([*base, "keys", "generate", "ring"]) == 0
    capsys.readouterr()
    assert main([*base, "serve"]) == 1
    error = capsys.readouterr().err
    assert "revision" in error
    assert "sidecar policy build" in error
