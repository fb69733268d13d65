"""Turn a finished run folder into a result file: settings, machine, curve and scores, without paths.

python benchmarks/record.py RUN benchmarks/results/TOPIC/NAME.json --command "resight train ..." [--note "..."]
"""

import argparse
import json
import os
import platform
from datetime import date
from pathlib import Path
from typing import Any

import yaml

PATHS = {"data", "source", "run", "start", "from", "structure", "generator_start", "views"}
"""Settings that hold a path; only its last name is recorded."""


def main() -> None:
    """Write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("result", type=Path)
    parser.add_argument("--command", required=True)
    parser.add_argument("--note", action="append", default=[])
    arguments = parser.parse_args()
    settings = yaml.safe_load((arguments.run / "config.yaml").read_text())
    for key in PATHS & settings.keys():
        settings[key] = Path(str(settings[key]).rpartition("=")[2]).name
    path = arguments.run / "report.json"
    reports = json.loads(path.read_text()) if path.is_file() else {}
    epochs = [json.loads(line) for line in (arguments.run / "metrics.jsonl").read_text().splitlines()]
    result = {
        "command": arguments.command,
        **provenance(arguments.run),
        "notes": arguments.note,
        "scores": {which: report["scores"] for which, report in reports.items()},
        "minutes": round(sum(epoch["seconds"] for epoch in epochs) / 60, 1),
        "epochs": epochs,
        "settings": settings,
    }
    arguments.result.parent.mkdir(parents=True, exist_ok=True)
    arguments.result.write_text(json.dumps(result, indent=1) + "\n")


def provenance(run: Path) -> dict[str, Any]:
    """Return the date, the machine and the environment of a run."""
    return {
        "date": date.today().isoformat(),
        "machine": machine(),
        "environment": json.loads((run / "environment.json").read_text()),
    }


def machine() -> dict[str, Any]:
    """Return the processor, the cores and the system of this machine."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    processor = names[0] if names else platform.processor()
    return {"processor": processor, "cores": os.cpu_count(), "system": platform.system()}


if __name__ == "__main__":
    main()
