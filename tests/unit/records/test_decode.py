"""Values that a database may hold although the column should not."""

from __future__ import annotations

import pytest

from sidecar.records.catalog import ReleasedField
from sidecar.records.decode import Undecodable, decoder

STORY = decoder(ReleasedField.model_validate({"column": "BZ", "class": "narrative", "encoding": "gb18030"}))


@pytest.mark.parametrize("number", [0, 5, -1, 10**18, 1.5])
def test_a_number_in_a_column_of_bytes_cannot_be_decoded(number) -> None:
    with pytest.raises(Undecodable):
        STORY([number])


def test_bytes_views_of_them_and_wrongly_stored_texts_are_decoded() -> None:
    content = "供述。".encode("gb18030")
    assert STORY([content, memoryview(content), content.decode("latin-1"), None]) == ["供述。"] * 3 + [None]
