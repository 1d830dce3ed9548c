import numpy as np
import pytest

from tlverify.core import custom_op, grad, hessian, hvp, jacfwd, jacrev, jvp, ops, remove_op, trace, vjp, vmap
from tlverify.graph import GraphError, ShapeError

from .gradients import check_gradients
from .test_op_tables import FLAT

rng = np.random.default_rng(2)
W, B, X = rng.normal(size=(2, 3)), rng.normal(size=2), rng.normal(size=(5, 3))
PARAMS = {"b": B, "w": W}


def model(params, x):
    return ops.tanh(ops.linear(x, params["w"], params["b"]))


def smooth(x):
    return ops.sum(ops.exp(x) * ops.sin(x)) * ops.sum(ops.square(x))


@pytest.mark.parametrize(("fn", "args"), FLAT)
def test_vmap_is_a_loop_over_examples(fn, args):
    """Each op with all its arguments mapped, and with each one of them alone."""
    several = [np.stack([a, a * 0.9, a * 1.1]) for a in args]
    choices = [(0,) * len(args)] + [tuple(0 if i == k else None for i in range(len(args))) for k in range(len(args))]
    for axes in choices if len(args) > 1 else choices[:1]:
        given = [s if axis == 0 else a for s, a, axis in zip(several, args, axes, strict=True)]
        found = vmap(fn, axes)(*given)
        for i in range(3):
            expected = fn(*(v[i] if axis == 0 else v for v, axis in zip(given, axes, strict=True)))
            pairs = zip(found, expected, strict=True) if isinstance(found, tuple) else [(found, expected)]
            for value, wanted in pairs:
                np.testing.assert_allclose(value[i], wanted, rtol=1e-9, atol=1e-12)
        traced = trace(vmap(fn, axes), *given)(*given)
        for value, wanted in zip(traced, found, strict=True) if isinstance(found, tuple) else [(traced, found)]:
            np.testing.assert_allclose(value, wanted, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "fn",
    [
        lambda x: ops.argmax(x, 0),
        lambda x: ops.argsort(x, 1),
        lambda x: ops.cast(ops.equal(x, 0.0), "float64"),
        lambda x: ops.cast(ops.greater(x, 0.0), "int64"),
        lambda x: ops.random_uniform(ops.cast(ops.slice(x, 0, slice(0, 2)) * 9.0, "int64"), (4,)),
    ],
)
def test_vmap_of_ops_without_a_derivative(fn):
    x = rng.normal(size=(6, 2, 3))
    np.testing.assert_array_equal(vmap(fn)(x), np.stack([fn(part) for part in x]))


def test_vmap_axes():
    x = rng.normal(size=(3, 4, 5))
    np.testing.assert_allclose(vmap(lambda v, w: v @ w, (1, None), 1)(x, x[0, 0]), x @ x[0, 0])
    np.testing.assert_allclose(vmap(vmap(lambda a, b: ops.sum(a * b)), (0, None))(x, x[0]), (x * x[0]).sum(-1))
    assert vmap(lambda v: np.ones(2))(x).shape == (3, 2)


def test_gradients_of_single_examples():
    def loss(params, x):
        return ops.sum(ops.square(model(params, x)))

    each = vmap(grad(loss), (None, 0))(PARAMS, X)
    for i, x in enumerate(X):
        expected = grad(loss)(PARAMS, x)
        for key in PARAMS:
            np.testing.assert_allclose(each[key][i], expected[key])


def test_jacobians_over_inputs_and_parameters():
    by_params, by_x = jacrev(model, (0, 1))(PARAMS, X[0])
    y = model(PARAMS, X[0])
    slope = 1 - y**2
    np.testing.assert_allclose(by_x, slope[:, None] * W)
    np.testing.assert_allclose(by_params["b"], np.diag(slope))
    np.testing.assert_allclose(by_params["w"], np.einsum("i,ij,k->ijk", slope, np.eye(2), X[0]))
    forward = jacfwd(model, (0, 1))(PARAMS, X[0])
    for key in PARAMS:
        np.testing.assert_allclose(forward[0][key], by_params[key])
    np.testing.assert_allclose(forward[1], by_x)
    np.testing.assert_allclose(trace(jacrev(model), PARAMS, X[0])(PARAMS, X[0])["w"], by_params["w"])


def test_jacobian_of_trees():
    def fn(x):
        return {"a": ops.sum(x), "b": (x * x,)}

    for transform in (jacrev, jacfwd):
        found = transform(fn)(X[0])
        np.testing.assert_allclose(found["a"], np.ones(3))
        np.testing.assert_allclose(found["b"][0], 2 * np.diag(X[0]))


def test_hessian_in_every_order_of_transforms():
    x, v = X[0], X[1]
    found = hessian(smooth)(x)
    assert found.shape == (3, 3)
    np.testing.assert_allclose(found, found.T)
    for outer in (jacrev, jacfwd):
        for inner in (jacrev, jacfwd, grad):
            np.testing.assert_allclose(outer(inner(smooth))(x), found)
    np.testing.assert_allclose(hvp(smooth, [x], [v])[0], found @ v)
    np.testing.assert_allclose(vmap(hessian(smooth))(X)[0], found)
    np.testing.assert_allclose(trace(hessian(smooth), x)(x), found)
    third = jacfwd(hessian(smooth))(x)
    np.testing.assert_allclose(third @ v, jvp(hessian(smooth), [x], [v])[1])
    check_gradients(lambda x: hessian(smooth)(x), [x], order=1)


def test_hessian_over_parameters():
    found = hessian(lambda p: ops.sum(ops.square(model(p, X))))(PARAMS)
    assert found["w"]["b"].shape == (2, 3, 2)
    np.testing.assert_allclose(found["w"]["b"], found["b"]["w"].transpose(1, 2, 0), rtol=1e-10)


def test_gradient_of_a_hessian_trace():
    def laplacian(w, x):
        return ops.sum(ops.diagonal(hessian(lambda x: ops.sum(ops.exp(w * x)))(x)))

    x, w = X[0], X[1]
    np.testing.assert_allclose(laplacian(w, x), np.sum(w**2 * np.exp(w * x)))
    np.testing.assert_allclose(grad(laplacian)(w, x), (2 * w + w**2 * x) * np.exp(w * x))


@pytest.mark.parametrize(
    ("action", "error", "reason"),
    [
        (lambda: vmap(ops.exp)(np.float64(1)), ShapeError, "argument 0: in_axes 0 is not an axis of float64"),
        (lambda: vmap(ops.add)(X, X[:3]), ShapeError, r"one number of examples in all arguments, found \[3, 5\]"),
        (lambda: vmap(ops.exp, None)(X), ShapeError, "found no argument with examples"),
        (lambda: vmap(ops.exp, (0, 0))(X), ShapeError, "in_axes: expected 1 of them"),
        (lambda: jacrev(ops.exp, 1)(X), GraphError, "argnums 1: the function was called with 1 arguments"),
        (lambda: jacrev(lambda x: x > 0)(X), GraphError, r"Jacobian: expected a float result, found bool\[5, 3\]"),
        (lambda: jacfwd(ops.argmax)(np.arange(3)), GraphError, r"Jacobian: expected a float argument, found int64"),
    ],
)
def test_errors(action, error, reason):
    with pytest.raises(error, match=reason):
        action()


@pytest.fixture
def cube():
    yield custom_op(
        "test.cube",
        infer=lambda types, attributes: types[0],
        forward=lambda x: x * x * x,
        vjp=[lambda g, y, x: g * (3.0 * x * x)],
        jvp=[lambda t, y, x: t * (3.0 * x * x)],
        leading_axes=True,
    )
    remove_op("test.cube")


def test_a_custom_op_is_an_op(cube):
    np.testing.assert_allclose(cube(X), X**3)
    check_gradients(cube, [X])
    np.testing.assert_allclose(vmap(cube)(X), X**3)
    np.testing.assert_allclose(jacrev(cube)(X[0]), np.diag(3 * X[0] ** 2))
    assert [node.op for node in trace(cube, X).graph.nodes] == ["test.cube"]


def test_a_custom_op_says_which_rule_is_missing():
    rules = {"infer": lambda types, attributes: types[0], "forward": np.abs, "vjp": [None], "jvp": [None]}
    with pytest.raises(GraphError, match=r"expected a name such as 'mine\.bessel', found 'bessel'"):
        custom_op("bessel", **rules)
    with pytest.raises(GraphError, match="expected a vjp and a jvp rule for each input, found 1, 0"):
        custom_op("test.op", **rules | {"jvp": []})
    with pytest.raises(GraphError, match="attributes: expected types int, str or tuple"):
        custom_op("test.op", **rules, attributes={"factor": float})
    fn = custom_op("test.op", **rules)
    with pytest.raises(GraphError, match=r"vmap has no rule for op 'test.op': .* leading_axes=True"):
        vmap(fn)(X)
    assert not vjp(fn, X)[1](X)[0].any()
    remove_op("test.op")
    with pytest.raises(GraphError, match="remove_op: expected the name of a custom op, found 'add'"):
        remove_op("add")
