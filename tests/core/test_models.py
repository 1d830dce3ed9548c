"""Every model: shapes, the exported graph, a gradient for every parameter, and what is special about it."""

import numpy as np
import pytest

from tlverify.core import grad, models, nn, ops, pytree, run, trace, value_and_grad
from tlverify.graph import GraphError, ShapeError

rng = np.random.default_rng(43)
KEY = ops.key(1)


def normal(*shape):
    return rng.normal(size=shape).astype(np.float32)


TOKENS = rng.integers(0, 11, (3, 6))
GPT = models.gpt(11, 8, features=16, heads=2, depth=2)

# model, inputs (batch first), shape of the result for one example
CASES = {
    "mlp": (models.mlp((4, 8, 8, 3), nn.Tanh, dropout=0.1), normal(2, 4), (3,)),
    "kan": (models.kan((3, 4, 2)), normal(2, 3) / 3, (2,)),
    "kan of degree 1": (models.kan((3, 4, 2), degree=1, base=False), normal(2, 3) / 3, (2,)),
    "cnn": (models.cnn((1, 9, 8), 10, (4, 6), 12), normal(2, 1, 9, 8), (10,)),
    "resnet": (models.resnet(3, 5, (1, 1), (4, 8)), normal(2, 3, 8, 8), (5,)),
    "vit": (models.vit((3, 8, 8), 4, 5, 16, 2, 2), normal(2, 3, 8, 8), (5,)),
    "rnn": (models.recurrent_head(nn.RNN(3, 4), 2), normal(2, 5, 3), (2,)),
    "gru": (models.recurrent_head(nn.GRU(3, 4), 2), normal(2, 5, 3), (2,)),
    "lstm": (models.recurrent_head(nn.LSTM(3, 4, 2), 2), normal(2, 5, 3), (2,)),
    "transformer_encoder": (models.transformer_encoder(3, 2, 7, 8, 2, 1), normal(2, 5, 3), (2,)),
    "gpt": (GPT, TOKENS, (6, 11)),
    "mamba_lm": (models.mamba_lm(11, 8, 6, 1), TOKENS, (6, 11)),
    "fno1d": (models.fno1d(2, 1, 4, 3, 2), normal(2, 2, 9), (1, 9)),
    "autoencoder": (models.autoencoder((6, 4, 2)), normal(2, 6), (6,)),
    "vae": (models.VAE((6, 4, 2)), normal(2, 6), (10,)),
    "vector quantizer": (models.VectorQuantizer(5, 4), normal(2, 3, 4), (3, 4)),
}


@pytest.mark.parametrize("name", CASES)
def test_shapes_and_graph(name):
    model, x, after = CASES[name]
    params, state = model.init(np.random.default_rng(0)), nn.init_state(model)
    y, _ = nn.apply(model, params, state, x)
    assert y.shape == (len(x), *after)
    assert model.check(x.shape[1:]) == after
    graph = nn.export_graph(model, params, x.shape[1:], str(x.dtype), state=state)
    np.testing.assert_allclose(run(graph, [x[0]], check=True)[0], y[0], atol=1e-4)


@pytest.mark.parametrize("name", sorted(set(CASES) - {"vector quantizer"}))
def test_every_parameter_has_a_gradient(name):
    model, x, _ = CASES[name]
    params, state = model.init(np.random.default_rng(0)), nn.init_state(model)

    def loss(params):
        y, _ = nn.apply(model, params, state, x, train=True, key=KEY)
        return ops.mean(ops.square(ops.sub(y, 1.0)))

    gradient = grad(loss)(params)
    leaves, tree = pytree.flatten(gradient)
    # The mean of a sum that batch normalisation takes away, and keys that softmax does not see, have none.
    silent = ("conv1d.bias",)
    zero = [path for path, g in zip(pytree.paths(tree), leaves, strict=True) if not np.abs(g).max() > 0]
    assert not [path for path in zero if not path.endswith(silent)]


def test_b_splines_sum_to_one_inside_the_interval():
    for degree in (1, 2, 3):
        layer = models.KANLinear(1, 1, intervals=6, degree=degree)
        x = np.linspace(-1, 1, 41)[:, None]
        basis = layer.basis(x)[:, 0]
        np.testing.assert_allclose(basis.sum(-1), 1, atol=1e-9)
        assert basis.min() > -1e-9
        assert ((basis > 1e-9).sum(-1) <= degree + 1).all()


def test_kan_of_degree_one_is_made_of_affine_maps_and_relu():
    model = models.kan((2, 3, 1), degree=1, base=False)
    graph = nn.export_graph(model, model.init(rng), (2,))
    assert {node.op for node in graph.nodes} <= {"reshape", "sub", "broadcast_to", "mul", "relu", "linear"}


def test_the_cache_gives_what_the_model_gives():
    params = GPT.init(np.random.default_rng(0))
    tokens = TOKENS[0]
    whole = GPT(params, tokens)
    rows = []
    logits, cache = models.next_logits(GPT, params, tokens[:2], models.Cache())
    rows.append(logits)
    for token in tokens[2:]:
        logits, cache = models.next_logits(GPT, params, [token], cache)
        rows.append(logits)
    np.testing.assert_allclose(np.stack(rows), whole[1:], atol=1e-4)
    assert cache.steps == 6
    greedy = list(models.generate(GPT, params, tokens[:2], 4))
    text = list(tokens[:2])
    for token in greedy:
        assert token == GPT(params, np.array(text))[-1].argmax()
        text.append(token)


def test_sampling():
    logits = np.array([1.0, 3.0, 2.0, -1.0])
    assert models.sample(logits) == 1
    draws = [models.sample(logits, rng, top_k=2) for _ in range(200)]
    assert set(draws) == {1, 2}
    assert draws.count(1) > draws.count(2)
    cold = [models.sample(logits, rng, temperature=0.05) for _ in range(50)]
    assert set(cold) == {1}
    assert models.sample(logits, repeat_penalty=10.0, seen=[1]) == 2
    assert models.sample(-logits, repeat_penalty=10.0, seen=[3]) == 3


def test_a_character_language_model_learns_a_cycle():
    model = models.gpt(4, 8, features=16, heads=2, depth=1)
    params = model.init(np.random.default_rng(0))
    x = np.arange(8)[None] % 4
    following = (x + 1)[..., None] % 4

    def loss(params):
        return ops.neg(ops.mean(ops.take_along_axis(ops.log_softmax(model(params, x)), following)))

    step = value_and_grad(loss)
    for _ in range(60):
        _, gradient = step(params)
        params = pytree.map(lambda p, g: p - 0.5 * g, params, gradient)
    assert list(models.generate(model, params, [0, 1, 2], 5)) == [3, 0, 1, 2, 3]


def test_vae_draws_in_training_only():
    vae = models.VAE((6, 4, 2))
    params, x = vae.init(np.random.default_rng(0)), rng.random((3, 6), np.float32)
    first, _ = vae.apply(params, {}, x, True, KEY)
    np.testing.assert_array_equal(first, vae.apply(params, {}, x, True, KEY)[0])
    assert not np.array_equal(first, vae.apply(params, {}, x, True, ops.key(2))[0])
    logits, mean, log_variance = (vae(params, x)[:, a:b] for a, b in ((0, 6), (6, 8), (8, 10)))
    errors = np.logaddexp(0, logits) - logits * x
    spread = 0.5 * (np.exp(log_variance) + mean**2 - 1 - log_variance)
    np.testing.assert_allclose(vae.loss(vae(params, x), x), (errors.sum(-1) + spread.sum(-1)).mean(), rtol=1e-5)
    assert vae.decode(params, normal(2, 2)).shape == (2, 6)


def test_vector_quantizer_takes_the_nearest_code_and_passes_derivatives_on():
    layer = models.VectorQuantizer(5, 4)
    params, x = {"weight": normal(5, 4)}, normal(3, 4)
    distances = np.square(x[:, None] - params["weight"]).sum(-1)
    np.testing.assert_array_equal(layer.indices(params, x), distances.argmin(-1))
    np.testing.assert_allclose(layer(params, x), params["weight"][distances.argmin(-1)], atol=1e-6)
    np.testing.assert_array_equal(grad(lambda x: ops.sum(layer(params, x)))(x), np.ones_like(x))
    by_params, by_x = grad(layer.losses, (0, 1))(params, x)
    near = params["weight"][distances.argmin(-1)]
    np.testing.assert_allclose(by_x, 0.25 * 2 * (x - near) / 12, rtol=1e-4, atol=1e-6)
    assert by_params["weight"].any()


def test_fno_is_a_function_of_functions():
    """The same parameters take any number of points, and a coarse grid agrees with a fine one where it can."""
    layer = models.SpectralConv1d(2, 3)
    params = layer.init(np.random.default_rng(0))
    waves = [lambda t: np.cos(t) + 0.5, lambda t: np.sin(2 * t)]
    coarse, fine = (np.stack([w(np.arange(n) / n * 2 * np.pi) for w in waves]) for n in (8, 16))
    params = pytree.map(np.float64, params)
    np.testing.assert_allclose(layer(params, coarse), layer(params, fine)[:, ::2], atol=1e-12)


def test_diffusion_learns_a_point_and_samples_it():
    process = models.Diffusion(steps=20)
    assert 0.9 < process.kept[0] < 1
    assert 0 < process.kept[-1] < 1e-4
    assert (np.diff(process.kept) < 0).all()
    point = np.float32([0.5, -0.5])

    def exact(params, x, time):
        share = process.kept[np.rint(time * 20).astype(int)][:, None]
        return (x - np.sqrt(share) * point) / np.sqrt(1 - share)

    for count in (1, 7, 20):
        np.testing.assert_allclose(process.sample(exact, None, normal(3, 2), count), np.tile(point, (3, 1)), atol=1e-3)
    layers, denoise = models.mlp_denoiser(2, 32)
    params, x = layers.init(np.random.default_rng(0)), np.tile(point, (64, 1))
    step = value_and_grad(lambda p, key: process.loss(denoise, p, x, key))
    losses = []
    for i in range(300):
        loss, gradient = step(params, ops.fold_in(KEY, i))
        losses.append(float(loss))
        params = pytree.map(lambda p, g: p - 0.1 * g, params, gradient)
    assert np.mean(losses[-50:]) < 0.5 * np.mean(losses[:20])
    found = process.sample(denoise, params, normal(100, 2), 10)
    np.testing.assert_allclose(found.mean(0), [0.5, -0.5], atol=0.2)


def test_lora_begins_as_the_model_and_trains_little():
    model = models.mlp((4, 8, 3))
    base = model.init(np.random.default_rng(0))
    lora = models.LoRA(model, base, rank=2, patterns=("2.*",))
    params, x = lora.init(np.random.default_rng(0)), normal(5, 4)
    np.testing.assert_array_equal(lora(params, x), model(base, x))
    assert list(params) == ["2/weight"]
    params["2/weight"]["up"] = normal(3, 2)
    merged = lora.merge(params)
    change = 4.0 * params["2/weight"]["up"] @ params["2/weight"]["down"]
    np.testing.assert_allclose(merged["2"]["weight"], base["2"]["weight"] + change, rtol=1e-5)
    np.testing.assert_array_equal(merged["0"]["weight"], base["0"]["weight"])
    np.testing.assert_allclose(trace(lora, params, x)(params, x), model(merged, x), rtol=1e-5)


@pytest.mark.parametrize(
    ("action", "error", "reason"),
    [
        (lambda: models.mlp((3,)), ShapeError, "mlp: expected two or more sizes"),
        (lambda: models.KANLinear(2, 2, lower=1.0, upper=0.0), ShapeError, "and lower < upper"),
        (lambda: models.resnet(3, 5, (1,), (4, 8)), ShapeError, "as many numbers of blocks as of channels"),
        (lambda: models.vit((3, 8, 8), 3, 5), ShapeError, "patches that divide the image 8 x 8, found 3"),
        (lambda: GPT(GPT.init(rng), np.zeros(9, np.int64)), ShapeError, "expects at most 8 steps"),
        (lambda: models.SpectralConv1d(2, 9).check((2, 8)), ShapeError, "expects 16 points or more"),
        (lambda: models.Diffusion(0), ShapeError, "expected one or more steps"),
        (lambda: models.LoRA(models.mlp((2, 2)), models.mlp((2, 2)).init(rng), patterns=("x",)), GraphError, "LoRA"),
        (
            lambda: models.Turn(models.GAN(2, 3), "judge"),
            GraphError,
            "expected generator or discriminator, found 'judge'",
        ),
        (lambda: models.sample(np.zeros(3), temperature=0), GraphError, "sample: expected numbers above 0"),
        (lambda: next(models.generate(models.mamba_lm(4, 8, 4, 1), {}, [0], 1)), GraphError, "expected a GPT"),
        (lambda: models.next_logits(GPT, {}, [], models.Cache()), ShapeError, "expected 1 to 8 more tokens"),
    ],
)
def test_errors(action, error, reason):
    with pytest.raises(error, match=reason):
        action()


def test_a_gan_has_a_loss_for_each_side():
    gan = models.GAN(2, 3, 8)
    params = gan.init(np.random.default_rng(0))
    x, noise = normal(5, 3), normal(5, 2)
    made = gan(params, noise)
    assert gan.check((5, 2)) == made.shape == (5, 3)
    real, fake = (gan.discriminator(params["discriminator"], v) for v in (x, made))
    expected = {
        "generator": np.logaddexp(0, -fake).mean(),
        "discriminator": (np.logaddexp(0, -real) + np.logaddexp(0, fake)).mean(),
    }
    for side, value in expected.items():
        turn = models.Turn(gan, side)
        np.testing.assert_allclose(turn(gan, params, x, noise, *turn.coefficients(0.5)), value, rtol=1e-5)
        slopes = grad(lambda p, turn=turn: turn(gan, p, x, noise))(params)
        moved = {name for name, part in slopes.items() if any(leaf.any() for leaf in pytree.flatten(part)[0])}
        assert moved == {side}


def test_a_masked_autoencoder_learns_hidden_patches_only():
    model = models.MaskedAutoencoder(4, 6, 8, 2, 1)
    params, x = model.init(np.random.default_rng(0)), normal(3, 4, 6)
    outputs, _ = model.apply(params, {}, x, True, KEY)
    mask = outputs[..., -1].astype(bool)
    assert 0 < mask.mean() < 1
    errors = np.square(outputs[..., :-1] - x).mean(-1)
    np.testing.assert_allclose(model.loss(outputs, x), errors[mask].mean(), rtol=1e-5)
    changed = np.where(mask[..., None], x + 5, x).astype(np.float32)
    np.testing.assert_array_equal(model.apply(params, {}, changed, True, KEY)[0], outputs)
    assert not model(params, x)[..., -1].any()
    assert model.check((4, 6)) == (4, 7)


def test_patches():
    image = np.arange(24.0).reshape(4, 6)
    found = models.patches(image, 2)
    assert found.shape == (6, 4)
    assert found[1].tolist() == [2, 3, 8, 9]
    with pytest.raises(ShapeError, match="patches: expected sides that 4 divides, found 4 x 6"):
        models.patches(image, 4)
