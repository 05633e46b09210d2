"""Reads readings.csv, writes summary.json beside it, and prints a table."""

import csv
import json
import pathlib
import platform
import statistics

here = pathlib.Path(__file__).parent


def main() -> None:
    by_sensor: dict[str, list[float]] = {}
    with open(here / "readings.csv", newline="") as readings:
        for row in csv.DictReader(readings):
            by_sensor.setdefault(row["sensor"], []).append(float(row["celsius"]))

    summary = {
        sensor: {
            "readings": len(values),
            "mean": round(statistics.mean(values), 2),
            "spread": round(max(values) - min(values), 2),
        }
        for sensor, values in sorted(by_sensor.items())
    }
    (here / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")

    print(f"{'sensor':<10}{'readings':>9}{'mean':>8}{'spread':>8}")
    for sensor, row in summary.items():
        print(f"{sensor:<10}{row['readings']:>9}{row['mean']:>8}{row['spread']:>8}")
    print(f"computed by Python {platform.python_version()} on {platform.system()} {platform.release()}")


main()
