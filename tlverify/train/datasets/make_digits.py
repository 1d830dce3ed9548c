"""How `digits.npz` was made: `python make_digits.py` with scikit-learn installed rewrites it byte for byte."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits  # type: ignore[import-not-found,import-untyped,unused-ignore]


def main() -> None:
    source = load_digits()
    arrays = {"x": source.images.astype(np.uint8), "y": source.target.astype(np.uint8)}
    target = Path(__file__).with_name("digits.npz")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, array, allow_pickle=False)
            # A fixed date keeps the bytes of the archive the same from run to run.
            entry = zipfile.ZipInfo(f"{name}.npy", (1998, 7, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, buffer.getvalue())


if __name__ == "__main__":
    main()
