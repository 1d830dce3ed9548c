"""A GPT learns the text of Python's manual, by characters or byte pairs, and writes on: --tokens char, bpe."""

import math
from pydoc_data.topics import topics

import numpy as np

from tlverify import data, models, optim
from tlverify.train import flags

LENGTH, CHARACTERS = 64, 60_000
options = flags.parse(__doc__, choices={"tokens": ("char", "bpe")}, steps=300, batch_size=16, lr=0.003, optim="adamw")
text = "\n".join(topics[name] for name in sorted(topics)).encode("ascii", "ignore").decode()[:CHARACTERS]
kind = options.chosen["tokens"]
tokenizer = data.CharTokenizer.train(text) if kind == "char" else data.BPETokenizer.train(text[:10_000], 320)
tokens = tokenizer.encode(text)
cut = len(tokens) * 9 // 10
train, test = (data.next_token_windows(part, LENGTH) for part in (tokens[:cut], tokens[cut:]))

model = models.gpt(tokenizer.size, LENGTH, features=64, heads=4, depth=2)
trained = options.trainer(model, "cross_entropy").train(
    train, **options.run, schedule=optim.warmup_cosine(0.1), title=f"GPT by {kind}"
)
print(trained.report)
rng, start = np.random.default_rng(options.seed), "The statement "
written = list(models.generate(model, trained.params, tokenizer.encode(start), 40, rng, temperature=0.7, top_k=10))
print(start + tokenizer.decode(written))

# Bits a character compare tokens of different lengths.
loss = trained.score(test)
bits = loss / math.log(2) * test.y.size / len(tokenizer.decode(test.y.ravel().tolist()))
print(f"\nEstablished: {bits:.2f} bits a character on the last tenth of the text, where guessing evenly takes")
print(f"{math.log2(len(set(text))):.2f}. Not established: that what it writes is true, or English.")
