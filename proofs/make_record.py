"""Write the certificates of record: python -m proofs.make_record QUICKSTART_FOLDER

Packs what `tlverify quickstart` wrote, one .zip for each training. The test suite replays them with the kernel.
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

SUFFIXES = (".graph.json", ".safetensors", ".claim.json", ".cert")
EPOCH = (1980, 1, 1, 0, 0, 0)


def pack(folder: Path, target: Path) -> None:
    """The files of one run in one archive, the same bytes for the same files."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in sorted(folder.iterdir()):
            if path.name.endswith(SUFFIXES):
                archive.writestr(zipfile.ZipInfo(path.name, EPOCH), path.read_bytes(), zipfile.ZIP_DEFLATED)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for run in ("plain", "certified"):
        pack(Path(sys.argv[1]) / run, Path(__file__).parent / "record" / f"quickstart-{run}.zip")
