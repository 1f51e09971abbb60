"""What the scripts of the study have in common: where things are, the program, and tables that are whole or not there."""
import csv
import os
import pathlib

HERE = pathlib.Path(__file__).resolve().parent.parent
TABLES = HERE / "docs" / "study"


def program():
    return str(pathlib.Path(os.environ.get("LORA_FT", HERE / "build" / "lora-ft")).resolve())


def write_rows(out, rows):
    temporary = out.with_suffix(".tmp")
    with open(temporary, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    temporary.replace(out)
    print(f"{out.relative_to(HERE)}: {len(rows)} rows")
