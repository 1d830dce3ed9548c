"""Handwritten digits by a CNN, a residual network or a vision Transformer: --model cnn, resnet, vit."""

from tlverify import data, models, nn, optim
from tlverify.train import flags
from tlverify.train.augment import Jitter

EPSILON = "0.01"
MODELS = {
    "cnn": lambda: models.cnn((1, 8, 8), 10, (8, 16), 32),
    "resnet": lambda: models.resnet(1, 10, (1, 1), (8, 16)),
    "vit": lambda: models.vit((1, 8, 8), 2, 10, features=32, heads=4, depth=2),
}
options = flags.parse(__doc__, choices={"model": list(MODELS)}, steps=600, batch_size=64, lr=0.003)
name = options.chosen["model"]
train, test = data.digits()
model = nn.Sequential(nn.Reshape((1, 8, 8), 2), MODELS[name]())
jitter = Jitter(shift=0.3, rotate=5.0, noise=0.1)
trained = options.trainer(model, "classification").train(
    train, **options.run, schedule=optim.cosine, augment=jitter, evaluation=test, title=name
)
print(trained.report)
print(trained.confusion_matrix(test))
print(f"\nEstablished: {trained.accuracy(test):.1%} of 360 images that were not trained on.")
if name == "vit":
    print("Not established: any proof, as softmax, GELU and layer normalisation are not piecewise linear.")
else:
    verdicts = [result.verdict for result in trained.certify(test, EPSILON, index=range(5), timeout=5)]
    print(f"For {verdicts.count('verified')} of 5 images a proof was accepted that no change of up to 0.01 a pixel")
    arithmetic = "any float32 execution" if options.dtype == "float32" else "real numbers"
    print(f"changes the class, in {arithmetic}. Not established: anything about other images.")
