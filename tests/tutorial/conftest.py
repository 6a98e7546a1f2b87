"""Chromium for the pages of the lessons, as for those of the inspector."""

from inspector.conftest import browser as browser
from inspector.conftest import chromium as chromium
