"""Counters are told in the format of Prometheus, in a registry of our own."""

from __future__ import annotations

import subprocess
import sys

from prometheus_client import REGISTRY as OF_ALL

from rlx_datapipe.telemetry.counters import alarms_counted, count_alarm, exposition


def test_alarms_are_counted_by_exchange_symbol_and_kind() -> None:
    before = alarms_counted("BINANCE", "COUNTED", "gap")
    count_alarm("BINANCE", "COUNTED", "gap")
    count_alarm("BINANCE", "COUNTED", "gap")
    assert alarms_counted("BINANCE", "COUNTED", "gap") == before + 2
    assert alarms_counted("BINANCE", "COUNTED", "time_drift") == 0
    line = f'rlx_alarms_total{{exchange="BINANCE",kind="gap",symbol="COUNTED"}} {before + 2.0}'
    assert line in exposition().splitlines()


def test_the_registry_of_the_process_is_left_alone() -> None:
    assert OF_ALL.get_sample_value("rlx_alarms_total") is None
    assert not any("rlx" in metric.name for metric in OF_ALL.collect())


def test_importing_the_package_loads_no_telemetry() -> None:
    code = "import sys, rlx_datapipe; print('prometheus_client' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "False"
