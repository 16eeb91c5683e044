"""XML and SOAP bodies of legacy services: read without entities, cut down, written again (XML 1.0, XPath 1.0, SOAP 1.1 and 1.2).

A document type declaration is refused before anything is parsed: there are no entities, external or own. The charset is the
catalog's, never the document's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from copy import deepcopy
from typing import Any, Final

from lxml import etree

from sidecar.records.wire_json import ABSENT, JUNK, BodyFault

Element = Any
"""An ``lxml`` element; lxml brings no types."""

Find = Callable[[Element], Sequence[Any]]

SOAP: Final[Mapping[str, str]] = {
    "soap11": "http://schemas.xmlsoap.org/soap/envelope/",
    "soap12": "http://www.w3.org/2003/05/soap-envelope",
}
"""Namespaces of envelopes."""

SOAP_TYPES: Final[Mapping[str, str]] = {"soap11": "text/xml", "soap12": "application/soap+xml"}

_XSI: Final = "{http://www.w3.org/2001/XMLSchema-instance}"
_PROLOG: Final = re.compile(r"\ufeff?\s*(?:<\?xml[^>]*\?>\s*)?")
_TEXT: Final = re.compile(r"(?:text|node|comment|processing-instruction)\([^)]*\)\s*$")
_UPWARDS: Final = re.compile(r"^/|\.\.|::|\bid\(|\bdocument\(")


def path(text: str, namespaces: Mapping[str, str], *, inside: bool = False) -> Find:
    """A compiled XPath that finds elements or attributes.

    Args:
        text: the XPath.
        namespaces: prefix → namespace.
        inside: it starts at a record and must stay inside.

    Raises:
        ValueError: it is none, or leads out.
    """
    if _TEXT.search(text):
        raise ValueError(f"expected a path to an element or an attribute, got {text!r}")
    if inside and _UPWARDS.search(text):
        raise ValueError(f"expected a path that stays inside the record, got {text!r}")
    try:
        compiled = etree.XPath(text, namespaces=dict(namespaces))
    except (etree.XPathError, TypeError) as exc:
        raise ValueError(f"expected an XPath, got {text!r}") from exc

    def find(element: Element) -> Sequence[Any]:
        try:
            found = compiled(element)
        except etree.XPathError as exc:
            raise BodyFault("a path cannot be followed") from exc
        return found if isinstance(found, list) else ()

    return find


def child(name: str) -> Find:
    """Finds the children with a local name, whatever their namespace."""
    tail = "}" + name
    return lambda element: [e for e in element if isinstance(e.tag, str) and (e.tag == name or e.tag.endswith(tail))]


def parse(text: str, max_depth: int) -> Element:
    """The root of a document.

    Raises:
        BodyFault: not well-formed, a document type declaration, or nested too deep.
    """
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise BodyFault("a document type declaration")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_pis=True)
    try:
        root = etree.fromstring(_PROLOG.sub("", text, count=1).encode(), parser)
    except (etree.XMLSyntaxError, ValueError):  # ValueError: a lone surrogate
        raise BodyFault("not well-formed XML") from None
    if _deeper(root, max_depth):
        raise BodyFault(f"nested deeper than {max_depth}")
    return root


def _deeper(root: Element, most: int) -> bool:
    level = [root]
    for _ in range(most):
        level = [inner for each in level for inner in each]
        if not level:
            return False
    return True


def is_fault(root: Element, form: str) -> bool:
    """Whether an envelope carries a fault, or is none."""
    namespace = SOAP[form]
    body = root.find(f"{{{namespace}}}Body")
    return bool(
        root.tag != f"{{{namespace}}}Envelope" or body is None or body.find(f"{{{namespace}}}Fault") is not None
    )


def leaf(found: Sequence[Any]) -> Any:
    """What a path found as text: None for ``xsi:nil``, ``ABSENT`` for nothing, junk for a structure or more than one."""
    if not found:
        return ABSENT
    if len(found) > 1:
        return JUNK
    [node] = found
    if isinstance(node, str):
        return str(node)
    if node.get(_XSI + "nil") in {"true", "1"}:
        return None
    return JUNK if len(node) else node.text or ""


def single(found: Sequence[Any]) -> bool:
    """Whether a path found one element or attribute, so that a text can be put there."""
    return len(found) == 1 and (_is_element(found[0]) or bool(found[0].attrname))


def put(root: Element, find: Find, text: str) -> None:
    """Set the one element's text, or the one attribute, that a path leads to; its caller MUST know that there is one."""
    [node] = find(root)
    if _is_element(node):
        node.text = text
    else:
        node.getparent().set(node.attrname, text)


def flat(root: Element) -> dict[tuple[str, ...], str]:
    """Every attribute and text with the expanded names that lead to it; blanks between elements say nothing."""
    found: dict[tuple[str, ...], str] = {}

    def walk(element: Element, place: tuple[str, ...]) -> None:
        for name, value in element.attrib.items():
            found[*place, "@" + name] = value
        children = [inner for inner in element if isinstance(inner.tag, str)]
        texts = [element.text or "", *(inner.tail or "" for inner in element)]
        if not children or "".join(texts).strip():
            found[place] = "".join(texts).strip()
        counts: dict[str, int] = {}
        for inner in children:
            counts[inner.tag] = counts.get(inner.tag, 0) + 1
            walk(inner, (*place, f"{inner.tag}[{counts[inner.tag]}]"))

    walk(root, (root.tag,))
    return found


def cut(
    record: Element, shown: Collection[Find], hidden: Collection[Find] = (), blanked: Collection[Find] = ()
) -> Element:
    """A copy of a record with what the shown paths find and nothing else.

    Args:
        record: the element.
        shown: paths of what may be seen.
        hidden: paths of what may not, whatever else leads there.
        blanked: those of the hidden ones that stay as empty elements or attributes.
    """
    copied = deepcopy(record)
    copied.tail = None
    secret = {_place(node) for find in hidden for node in find(copied)}
    kept = {_place(node) for find in shown for node in find(copied)} - secret
    emptied = [node for find in blanked for node in find(copied)]
    blank = {_place(node) for node in emptied}
    for node in emptied:
        _empty(node)
    _prune(copied, kept, blank)
    return copied


_Place = tuple[Element, str]
"""An element, or one of its attributes; ``""`` for the element itself."""


def _place(node: Any) -> _Place:
    return (node, "") if _is_element(node) else (node.getparent(), node.attrname)


def _is_element(node: Any) -> bool:
    return not isinstance(node, str)


def _empty(node: Any) -> None:
    if not _is_element(node):
        node.getparent().set(node.attrname, "")
        return
    for inner in list(node):
        node.remove(inner)
    node.text = None


def _prune(element: Element, kept: Collection[_Place], blank: Collection[_Place]) -> bool:
    """Take away what is not kept; whether anything is left."""
    whole = (element, "") in kept
    left = whole or (element, "") in blank
    for name in list(element.attrib):
        if (element, name) in kept or (element, name) in blank:
            left = True
        elif not (whole and name.startswith(_XSI)):  # xsi:nil of a hidden element would tell of its value
            del element.attrib[name]
    for inner in list(element):
        if not isinstance(inner.tag, str) or not (whole or _prune(inner, kept, blank)):
            element.remove(inner)
        else:
            left, inner.tail = True, None
    if not whole:
        element.text = None
    return left


def split(template: str) -> tuple[str, str]:
    """The declaration in front of a template's root, which is written again as it is, and the rest."""
    found = _PROLOG.match(template)
    end = found.end() if found else 0
    return template[:end].lstrip("\ufeff"), template[end:].strip()


def dump(root: Element) -> str:
    """The text of an element, without a declaration."""
    text: str = etree.tostring(root, encoding="unicode", with_tail=False)
    return text


def fault(form: str, code: str, title: str) -> str:
    """A SOAP fault that names a reason code and nothing else."""
    namespace = SOAP[form]
    detail = f'<reason xmlns="urn:sidecar:reason">{code}</reason>'
    if form == "soap11":
        inner = f"<faultcode>soap:Server</faultcode><faultstring>{title}</faultstring><detail>{detail}</detail>"
    else:
        inner = (
            "<soap:Code><soap:Value>soap:Receiver</soap:Value></soap:Code>"
            f'<soap:Reason><soap:Text xml:lang="en">{title}</soap:Text></soap:Reason><soap:Detail>{detail}</soap:Detail>'
        )
    return (
        '<?xml version="1.0" encoding="utf-8"?>'
        f'<soap:Envelope xmlns:soap="{namespace}"><soap:Body><soap:Fault>{inner}</soap:Fault></soap:Body></soap:Envelope>'
    )
