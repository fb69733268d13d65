"""Turn a finished run folder into a result that can be committed: settings, machine, curve and scores, no paths.

python benchmarks/record.py RUN benchmarks/results/NAME.json --command "resight train ..." [--note "..."]
"""

import argparse
import json
import os
import platform
from datetime import date
from pathlib import Path
from typing import Any

import yaml


def main() -> None:
    """Write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("result", type=Path)
    parser.add_argument("--command", required=True)
    parser.add_argument("--note", action="append", default=[])
    asked = parser.parse_args()
    settings = yaml.safe_load((asked.run / "config.yaml").read_text())
    for place in ("data", "source", "run", "start"):
        settings[place] = Path(str(settings.get(place, "")).rpartition("=")[2]).name
    reports = json.loads((asked.run / "report.json").read_text()) if (asked.run / "report.json").is_file() else {}
    epochs = [json.loads(line) for line in (asked.run / "metrics.jsonl").read_text().splitlines()]
    result = {
        "command": asked.command,
        **about(asked.run),
        "notes": asked.note,
        "scores": {which: report["scores"] for which, report in reports.items()},
        "minutes": round(sum(epoch["seconds"] for epoch in epochs) / 60, 1),
        "epochs": epochs,
        "settings": settings,
    }
    asked.result.parent.mkdir(parents=True, exist_ok=True)
    asked.result.write_text(json.dumps(result, indent=1) + "\n")


def about(run: Path) -> dict[str, Any]:
    """Give when and on what a run was made."""
    return {
        "date": date.today().isoformat(),
        "machine": machine(),
        "environment": json.loads((run / "environment.json").read_text()),
    }


def machine() -> dict[str, Any]:
    """Give what it was made on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    processor = names[0] if names else platform.processor()
    return {"processor": processor, "cores": os.cpu_count(), "system": platform.system()}


if __name__ == "__main__":
    main()
