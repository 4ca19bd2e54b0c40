"""The content security policy of the HTML report."""

from __future__ import annotations

from typing import Final

CONTENT_SECURITY_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""What the page as HTML may load or do: its own style, and nothing else."""
