"""The template of a page, the scripts and data that it carries inside, and the policy that allows no others."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from twinset.report.plain import plain

if TYPE_CHECKING:
    from jinja2 import Template


def script_json(value: object) -> str:
    """JSON that can stand inside a ``<script>`` element, whatever the texts in it say.

    >>> script_json({"name": "</script>"})
    '{"name":"\\\\u003c/script\\\\u003e"}'
    """
    text = json.dumps(plain(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def resource(name: str) -> str:
    """A text file of this package."""
    return resources.files("twinset.report").joinpath(name).read_text(encoding="utf-8").replace("\r", "")


@cache
def template(name: str) -> Template:
    """A template of this package, compiled once a process. Names are escaped; one that is not given is an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("twinset.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    return environment.get_template(f"{name}.html.j2")


@cache
def plotly_script() -> str:
    """The plotly script that comes with the installed package, read once a process: 5 MB."""
    data = resources.files("plotly").joinpath("package_data", "plotly.min.js").read_bytes()
    text = data.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
    if "</script" in text.lower():
        raise RuntimeError("expected a plotly script that can stand inside a page; got one that closes its element")
    return text


def content_policy(*scripts: str) -> str:
    """A policy that allows no request, and no script but these."""
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts if text]
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "connect-src 'none'; base-uri 'none'; form-action 'none'"
    )
