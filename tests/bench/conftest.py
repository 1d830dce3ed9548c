"""Processes of a pool import this package by name, so its folder is on their path: they inherit ours."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))
