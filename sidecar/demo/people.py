"""The people, units and subjects of the demo; every one of them is invented.

Unit codes follow GB 32100 and citizen numbers GB 11643, both under region 339901, which was never assigned: no number
here can be a real person's or unit's.
"""

from __future__ import annotations

from dataclasses import dataclass

DEPLOYMENT = "county-demo"
AUDIENCE = DEPLOYMENT
DATABASE = "county"

ISSUERS = {
    "organs": "https://idp.demo.invalid/organs",
    "procuratorate": "https://idp.demo.invalid/procuratorate",
}
"""Name at the development identity provider → ``iss``. Prosecutors are believed only when the second one says so."""

ISSUER_ROLES = {
    "organs": ("officer", "approver", "registrar", "security_officer", "operator"),
    "procuratorate": ("prosecutor",),
}


@dataclass(frozen=True, slots=True)
class DemoUnit:
    """A unit of the registry; ``organ`` is a key of the policy's ``params.organs``."""

    name: str
    code: str
    title: str
    organ: str


POLICE = DemoUnit("police", "113399010000010114", "示例县公安局", "public_security")
COURT = DemoUnit("court", "11339901000002022F", "示例县人民法院", "court")
PROCURATORATE = DemoUnit("procuratorate", "11339901000003033T", "示例县人民检察院", "procuratorate")
SCHOOL = DemoUnit("school", "123399010000040443", "示例县第一中学", "school")
EMPLOYER = DemoUnit("employer", "91339901MA00050510", "示例县某某商贸有限公司", "employer")
NOTARY = DemoUnit("notary", "12339901000006066R", "示例县公证处", "notary")

UNITS = (POLICE, COURT, PROCURATORATE, SCHOOL, EMPLOYER, NOTARY)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who can ask for a token: ``issuer`` is a key of ``ISSUERS``."""

    name: str
    number: str
    title: str
    unit: DemoUnit
    issuer: str
    roles: tuple[str, ...]


LI = Person("li", "330101", "民警 李敏", POLICE, "organs", ("officer",))
HAN = Person("han", "330102", "民警 韩磊", POLICE, "organs", ("officer",))
QIAN = Person("qian", "330201", "审批人 钱芳", POLICE, "organs", ("approver",))
SUN = Person("sun", "330301", "法官 孙平", COURT, "organs", ("officer",))
WANG = Person("wang", "330401", "教师 王静", SCHOOL, "organs", ("officer",))
ZHAO = Person("zhao", "330501", "人事 赵强", EMPLOYER, "organs", ("officer",))
WU = Person("wu", "330601", "公证员 吴刚", NOTARY, "organs", ("officer",))
ZHOU = Person("zhou", "330701", "检察官 周宁", PROCURATORATE, "procuratorate", ("prosecutor",))

PEOPLE = (LI, HAN, QIAN, SUN, WANG, ZHAO, WU, ZHOU)


def person(name: str) -> Person | None:
    """The person of that name, if there is one."""
    return next((p for p in PEOPLE if p.name == name), None)
