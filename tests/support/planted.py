"""Rows whose every column holds a value that stands nowhere else: where such a value turns up, it has leaked."""

from __future__ import annotations

from dataclasses import replace

from sidecar.demo import legacy

SEALED = replace(
    legacy.SEALED, AJBH="AJ-PLANT-7Q3X9", XM="卞藏锋𠮷", CSRQ="20060317", FARQ="20230419", JARQ="20240623",
    ZM="栽植罪名壹贰叁", JTZZ="栽植县隐名镇匿迹路73019号", BZ="栽植备注：某某于某日某地行某事。".encode("gb18030"),
    SFZH=legacy.citizen_number("20050601", 731), XH=730197411,
)  # fmt: skip
"""Sealed; its codes must be the legacy system's own, so that it is mapped."""

STRANGE = replace(
    SEALED, AJBH="AJ-STRANGE-8W4Y", XB="𠀁", AJLB="𠀂𠀃", XZDM="𠀄𠀅", XQ_YUE=730197422, MCBZ="𠀆", FCBJ="𠀇", GTFZ="𠀈",
    FMBJ="𠀉", XH=730197433,
)  # fmt: skip
"""The same person's row that cannot be mapped: every code is planted. It is withheld."""

SENT = SEALED.SFZH
"""The inquirer sends it; it is judged by itself."""

PLANTED = (SEALED, STRANGE)
