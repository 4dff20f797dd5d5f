"""Switches of the real package; here they only keep what they are set to."""
from __future__ import annotations

allow_internal_format = False
