"""What all tests share."""

from __future__ import annotations

# These scripts make the golden files and need real Keras.
collect_ignore_glob = ["golden/make_*.py"]
