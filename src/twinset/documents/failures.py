"""What every command answers when it cannot."""

from __future__ import annotations

from twinset.documents.document import Document


class ErrorPart(Document):
    """What went wrong and what to do."""

    code: str
    message: str
    hint: str


class ErrorDocument(Document):
    """The answer when there is none."""

    error: ErrorPart
