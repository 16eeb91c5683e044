from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.errors import ConfigurationError
from sidecar.policy import tarball

FILES = st.dictionaries(st.from_regex(r"[a-z]{1,8}(/[a-z]{1,8})?", fullmatch=True), st.binary(max_size=64), max_size=5)


@given(FILES)
def test_what_is_packed_is_unpacked_and_order_does_not_matter(files):
    packed = tarball.pack(files)
    assert tarball.unpack(packed) == files
    assert tarball.pack(dict(reversed(files.items()))) == packed


@pytest.mark.parametrize("data", [b"", b"not gzip", tarball.pack({"a": b"x" * 2000})[:-20]])
def test_what_is_no_archive_is_refused(data):
    with pytest.raises(ConfigurationError, match="gzipped tar"):
        tarball.unpack(data)


def test_an_archive_that_unpacks_too_large_is_refused(monkeypatch):
    monkeypatch.setattr(tarball, "MAX_BYTES", 4096)
    with pytest.raises(ConfigurationError, match="at most 4096"):
        tarball.unpack(tarball.pack({"a": b"x" * 8192}))
