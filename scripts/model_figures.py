"""Write the table of docs/model.md from the card of the shipped model.

Usage: python scripts/model_figures.py
"""

from __future__ import annotations

import re
from pathlib import Path

from facereg.models import find_model

DOC = Path(__file__).resolve().parents[1] / "docs" / "model.md"


def table() -> str:
    """Format the figures of each class: in floating point, in 8 bits, and parsed twice."""
    metrics = find_model("base").card["metrics"]
    twin, pictures = metrics["int8"], metrics["tta"]
    rows = [
        "| class | F1 | IoU | F1, 8 bits (video) | F1, 8 bits, parsed twice (pictures) |",
        "|---|---|---|---|---|",
    ]
    for name, scores in metrics["classes"].items():
        low, best = twin["classes"][name]["f1"], pictures["classes"][name]["f1"]
        rows.append(
            f"| {name} | {scores['f1']:.3f} | {scores['iou']:.3f} | {low:.3f} | {best:.3f} |"
        )
    rows.append(
        f"| **mean of the 20** | **{metrics['mean_f1']:.3f}** | {metrics['mean_iou']:.3f} | "
        f"**{twin['mean_f1']:.3f}** | **{pictures['mean_f1']:.3f}** |"
    )
    rows.append(
        f"| without jewellery (18) | {metrics['mean_f1_without_jewellery']:.3f} | | "
        f"{twin['mean_f1_without_jewellery']:.3f} | {pictures['mean_f1_without_jewellery']:.3f} |"
    )
    return "\n".join(rows)


def main() -> None:
    """Replace the table between the two markers."""
    text = DOC.read_text(encoding="utf-8")
    new = f"<!-- figures -->\n{table()}\n<!-- /figures -->"
    DOC.write_text(
        re.sub(r"<!-- figures -->.*<!-- /figures -->", new, text, flags=re.DOTALL), encoding="utf-8"
    )


if __name__ == "__main__":
    main()
