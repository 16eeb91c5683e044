"""Files that grow, rotate and are cut off: read on where the last look ended, nothing twice, nothing left out."""

from __future__ import annotations

import os

import pytest

from sidecar.errors import ConfigurationError
from sidecar.oversight.bypass import tail
from sidecar.oversight.bypass.tail import logs


class Reader:
    """Reads everything that is new, as the watch does."""

    def __init__(self, folder, name="a.log*"):
        self.pattern, self.places = folder / name, {}

    def look(self, most=1 << 30):
        read, torn = b"", []
        for log in logs(self.pattern, self.places):
            data = log.read(log.start)[:most]
            read += data
            torn += [log.key] if log.torn else []
            self.places[log.key] = log.place(log.start + len(data))
        return read, bool(torn)


def write(path, data, at, mode="ab"):
    with path.open(mode) as file:
        file.write(data)
    os.utime(path, (at, at))


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "a.log"
    write(path, b"one\n", 1)
    return path


def test_only_what_is_new_is_read(log):
    reader = Reader(log.parent)
    assert [reader.look(), reader.look()] == [(b"one\n", False), (b"", False)]
    write(log, b"two\n", 2)
    assert reader.look() == (b"two\n", False)


def test_a_renamed_file_is_read_to_its_end_and_then_the_new_one(log):
    reader = Reader(log.parent)
    reader.look()
    write(log, b"two\n", 2)
    log.rename(log.with_name("a.log.1"))
    write(log, b"three\n", 3)
    assert reader.look() == (b"two\nthree\n", False)
    write(log.with_name("a.log.1"), b"late\n", 4)
    assert reader.look() == (b"late\n", False)


def test_a_file_that_was_copied_and_cut_off_is_not_read_twice(log):
    reader = Reader(log.parent)
    reader.look()
    write(log, b"two\n", 2)
    write(log.with_name("a.log.1"), log.read_bytes(), 2)
    write(log, b"three\n", 3, "wb")
    assert reader.look() == (b"two\nthree\n", False)


def test_what_was_cut_off_unread_is_told(log):
    reader = Reader(log.parent)
    reader.look(most=2)
    write(log, b"other\n", 2, "wb")
    assert reader.look() == (b"other\n", True)


def test_a_shorter_file_that_begins_alike_is_told(log):
    reader = Reader(log.parent)
    write(log, b"x" * 1000, 2)
    reader.look()
    write(log, b"one\n" + b"x" * 500, 3, "wb")
    assert reader.look() == (b"one\n" + b"x" * 500, True)


def test_an_inode_that_is_given_to_a_new_file_is_no_loss_where_the_old_one_was_read(log):
    reader = Reader(log.parent)
    reader.look()
    write(log, b"another\n", 2, "wb")
    assert reader.look() == (b"another\n", False)


def test_what_is_no_file_is_passed_over(log):
    os.mkfifo(log.with_name("a.log.fifo"))
    log.with_name("a.log.folder").mkdir()
    log.with_name("a.log.gone").symlink_to(log.with_name("nowhere"))
    assert Reader(log.parent).look() == (b"one\n", False)


def test_a_log_without_files_or_with_too_many_is_refused(log, monkeypatch):
    with pytest.raises(ConfigurationError, match="1 to 256 files of the audit, got 0"):
        Reader(log.parent, "b.log").look()
    monkeypatch.setattr(tail, "MAX_FILES", 1)
    write(log.with_name("a.log.1"), b"", 1)
    with pytest.raises(ConfigurationError, match="got 2"):
        Reader(log.parent).look()
