"""Files of every kind become data sets, and what is wrong with a file is said with its place."""

import gzip
import tempfile
from pathlib import Path

import numpy as np

from tlverify import data
from tlverify.train import flags
from tlverify.train.stream import StepStream

flags.none(__doc__)
rng = np.random.default_rng(0)
folder = Path(tempfile.mkdtemp())
digits, _ = data.digits()

np.savez(folder / "digits.npz", x=digits.x, y=digits.y)
print("NPZ     ", data.load_npz(folder / "digits.npz"))

np.save(folder / "x.npy", digits.x)
np.save(folder / "y.npy", digits.y)
print("NPY     ", data.load_npy(folder / "x.npy", folder / "y.npy", memory_map=True), "mapped, not read")

(folder / "fruit.csv").write_text("kind,weight,price\napple,150,0.4\npear,NA,0.5\napple,140,0.3\n")
table = data.load_csv(folder / "fruit.csv", missing="mean")
print("CSV     ", table.dataset("price"), table.categories, table.columns["weight"])

pixels, labels = (digits.x * 255).astype(np.uint8), digits.y.astype(np.uint8)
sizes = np.array(pixels.shape, ">u4").tobytes()
(folder / "images.gz").write_bytes(gzip.compress(bytes([0, 0, 8, 3]) + sizes + pixels.tobytes()))
(folder / "labels").write_bytes(bytes([0, 0, 8, 1]) + sizes[:4] + labels.tobytes())
print("MNIST   ", data.mnist(folder / "images.gz", folder / "labels"))

records = rng.integers(0, 256, (5, 3073), dtype=np.uint8)
records[:, 0] = [0, 1, 2, 3, 9]
(folder / "batch.bin").write_bytes(records.tobytes())
print("CIFAR-10", data.cifar10(folder / "batch.bin"))

(folder / "song.txt").write_text("row, row, row your boat, gently down the stream")
text = data.load_text(folder / "song.txt")
tokens = data.BPETokenizer.train(text, 262)
print("text    ", len(text), "characters,", len(tokens.encode(text)), "byte pairs")
print("windows ", data.next_token_windows(tokens.encode(text), 8))

train, held_out = digits.split(1200, rng)
normalize = data.Normalize.fit(train)
print("split   ", train, held_out, f"normalised to mean {abs(normalize(train).x.mean()):.1e}")
batches = data.prefetch(data.loader(train, 256, rng=rng))
print("batches ", [len(y) for _, y in batches])
waves = StepStream(lambda step: (np.sin(np.full((4, 1), step)), np.zeros((4, 1))), (4, 1), (4, 1))
print("stream  ", waves.batch(1)[0].ravel())

refused = 0
(folder / "cut.npz").write_bytes((folder / "digits.npz").read_bytes()[:1000])
(folder / "bad.csv").write_text("weight,price\n150,0.4\n140\n")
(folder / "latin.txt").write_bytes(b"caf\xe9")
for read, name in ((data.load_npz, "cut.npz"), (data.load_csv, "bad.csv"), (data.load_text, "latin.txt")):
    try:
        read(folder / name)
    except data.DataError as error:
        refused += 1
        print("refused ", str(error).replace(f"{folder}/", ""))
print(f"\nEstablished: files of six formats were read as they were written, and {refused} of 3 broken ones refused.")
print("Not established: that the numbers in a file mean what you think.")
