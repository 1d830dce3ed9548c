"""Handwritten digits read row by row: --model lstm, gru, rnn, transformer, mamba."""

from tlverify import data, models, nn, optim
from tlverify.train import flags

MODELS = {
    "lstm": lambda: models.recurrent_head(nn.LSTM(8, 32), 10),
    "gru": lambda: models.recurrent_head(nn.GRU(8, 32), 10),
    "rnn": lambda: models.recurrent_head(nn.RNN(8, 32), 10),
    "transformer": lambda: models.transformer_encoder(8, 10, 8, features=32, heads=4, depth=2),
    "mamba": lambda: nn.Sequential(
        nn.Linear(8, 32),
        nn.Residual(nn.Sequential(nn.RMSNorm(32), nn.Mamba(32))),
        nn.Select(-2, -1),
        nn.Linear(32, 10),
    ),
}
options = flags.parse(__doc__, choices={"model": list(MODELS)}, steps=500, batch_size=64, lr=0.005)
name = options.chosen["model"]
train, test = data.digits()
trained = options.trainer(MODELS[name](), "classification").train(
    train, **options.run, schedule=optim.cosine, evaluation=test, title=name
)
print(trained.summary())
print(f"\nEstablished: {trained.accuracy(test):.1%} of 360 images that were not trained on, a row of pixels a step.")
print("Not established: any proof, as its gates, exponentials or softmax are not piecewise linear.")
