"""Replay stopped between two batches and restored in a new object goes on exactly as if it had not stopped."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outcome_of_replay import gathered
