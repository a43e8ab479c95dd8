"""`rlx bench import`: how soon the package and the command are there, and what they load for it."""

from __future__ import annotations

import resource
import subprocess
import sys

from rlx_datapipe.pipeline.bench.figure import Figure, Measured, middle, seconds
from rlx_datapipe.pipeline.bench.workbench import Workbench

HEAVY = ("deltalake", "numba", "numpy", "polars", "pyarrow", "rich", "zstandard")
_PROCESSES = 7
_HELP = "import sys; from rlx_datapipe.cli.main import main; sys.argv[0] = 'rlx'; main(['--help'])"
_CLAIMS = (
    ("import rlx_datapipe", "import rlx_datapipe", "rlx_datapipe", 100),
    ("rlx --help", _HELP, "rlx_datapipe.cli.main", 200),
)
_LOADED = "import sys, {module}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"


def measure(bench: Workbench) -> Measured:
    """Measure `import rlx_datapipe` and `rlx --help`: time of a fresh process, and what it has loaded.

    The ratio is to a Python process that does nothing; its time is part of the figures. A heavy package that
    is loaded misses the target, however fast the machine.
    """
    bench.on_step("starting fresh processes")
    repeats = max(_PROCESSES, bench.options.repeats)
    bare_ms, _ = _process_ms("pass", repeats)
    figures = []
    for claim, code, module, target_ms in _CLAIMS:
        took_ms, cpu_ms = _process_ms(code, repeats)
        loaded = _loaded(module)
        figures.append(
            Figure(
                claim=claim,
                figure=took_ms,
                unit="ms",
                target=f"< {target_ms}",
                is_met=took_ms < target_ms and not loaded,
                ratio=took_ms / bare_ms,
                ratio_to="bare Python",
                detail={"cpu_ms": cpu_ms, "bare_python_ms": bare_ms, "heavy_packages_loaded": loaded},
            )
        )
    told = {"import_ms": figures[0].figure, "help_ms": figures[1].figure, "bare_python_ms": bare_ms}
    return Measured(figures, told)


def _process_ms(code: str, repeats: int) -> tuple[float, float]:
    """Wall and processor time of a fresh process, medians in ms."""

    def run() -> None:
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)

    run()
    walls, cpus = [], []
    for _ in range(repeats):
        before = _children_s()
        walls.append(seconds(run, 1))
        cpus.append(_children_s() - before)
    return 1e3 * middle(walls), 1e3 * middle(cpus)


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _loaded(module: str) -> list[str]:
    """Heavy packages that a fresh process has loaded with a module."""
    code = _LOADED.format(module=module)
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, timeout=60, text=True
    )
    names = set(done.stdout.split())
    return [name for name in HEAVY if name in names]
