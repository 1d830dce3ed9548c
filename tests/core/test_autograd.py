import numpy as np
import pytest

from tlverify.core import grad, jvp, ops, trace, value_and_grad, vjp
from tlverify.graph import GraphError, ShapeError

from .gradients import check_gradients

rng = np.random.default_rng(5)
W, B, X = rng.normal(size=(2, 3)), rng.normal(size=2), rng.normal(size=(4, 3))


def loss(params, x):
    return ops.mean(ops.square(ops.linear(x, params["w"], params["b"])))


def closed_form(params, x):
    error = 2 * (x @ params["w"].T + params["b"]) / (len(x) * 2)
    return {"w": error.T @ x, "b": error.sum(0)}


PARAMS = {"w": W, "b": B}


def assert_trees_close(found, expected):
    assert sorted(found) == sorted(expected)
    for key in expected:
        np.testing.assert_allclose(found[key], expected[key], rtol=1e-10)


def test_the_gradient_is_a_tree_like_the_argument():
    value, gradient = value_and_grad(loss)(PARAMS, X)
    np.testing.assert_allclose(value, np.mean((X @ W.T + B) ** 2))
    assert_trees_close(gradient, closed_form(PARAMS, X))
    assert_trees_close(grad(loss)(PARAMS, X), closed_form(PARAMS, X))


def test_argnums():
    by_params, by_x = grad(loss, argnums=(0, 1))(PARAMS, X)
    assert_trees_close(by_params, closed_form(PARAMS, X))
    np.testing.assert_array_equal(by_x, grad(loss, argnums=1)(PARAMS, X))
    assert isinstance(grad(loss, argnums=(1,))(PARAMS, X), tuple)


def test_has_aux():
    def with_aux(params, x):
        return loss(params, x), {"twice": x * 2.0}

    (value, aux), gradient = value_and_grad(with_aux, has_aux=True)(PARAMS, X)
    np.testing.assert_array_equal(value, loss(PARAMS, X))
    np.testing.assert_array_equal(aux["twice"], X * 2)
    same, aux = grad(with_aux, has_aux=True)(PARAMS, X)
    assert_trees_close(same, gradient)
    np.testing.assert_array_equal(aux["twice"], X * 2)


def test_an_argument_that_the_loss_ignores_has_gradient_zero():
    gradient = grad(lambda p, x: ops.sum(x), argnums=0)(PARAMS, X)
    assert not gradient["w"].any()
    assert gradient["w"].shape == W.shape


def test_the_function_is_traced_once_for_each_type():
    calls = []

    def counted(x):
        calls.append(x.type)
        return ops.sum(x * x)

    gradient = grad(counted)
    for x in (np.ones(2), np.zeros(2), np.ones(3), np.ones(2, "float32"), np.ones(3)):
        np.testing.assert_array_equal(gradient(x), 2 * x)
    assert [str(type_) for type_ in calls] == ["float64[2]", "float64[3]", "float32[2]"]


def test_any_order():
    fn = lambda x: ops.exp(2.0 * x)  # noqa: E731
    for order in range(5):
        np.testing.assert_allclose(fn(np.array(0.5)), 2.0**order * np.exp(1.0))
        fn = grad(fn)


def test_gradient_inside_a_loss_with_parameters_it_closes_over():
    def field(w, x):
        return ops.sum(ops.exp(w * x))

    def outer(w, x):
        return ops.sum(ops.square(grad(lambda v: field(w, v))(x)))

    x, w = np.array([0.1, 0.4]), np.array([1.0, -2.0])
    expected = 2 * w * np.exp(2 * w * x) * (1 + w * x)
    np.testing.assert_allclose(grad(outer)(w, x), expected)
    np.testing.assert_allclose(grad(lambda w: outer(w, x))(w), expected)
    check_gradients(outer, [w, x])


def test_a_gradient_that_closes_over_tensors_is_traced_anew_each_time():
    kept = []

    def outer(w):
        kept.append(grad(lambda v: ops.sum(v * v * w)))
        return ops.sum(kept[0](np.ones(2))) if len(kept) == 1 else kept[-1](np.ones(2)).sum()

    assert trace(outer, np.ones(2))(np.array([1.0, 2.0])) == 6
    assert trace(outer, np.ones(2))(np.array([3.0, 4.0])) == 14


def test_hessian_vector_products_agree():
    def fn(x):
        return ops.sum(ops.exp(x) * ops.square(x)) / ops.sum(x)

    x, v = np.array([0.5, 1.0, 2.0]), np.array([1.0, -1.0, 0.5])
    forward_over_reverse = jvp(grad(fn), [x], [v])[1]
    reverse_over_reverse = grad(lambda x: ops.sum(grad(fn)(x) * v))(x)
    np.testing.assert_allclose(forward_over_reverse, reverse_over_reverse)


def test_vjp_and_jvp_of_trees():
    def fn(params, x):
        return {"y": ops.linear(x, params["w"], params["b"]), "x": x}

    result, pullback = vjp(fn, PARAMS, X)
    cotangent = {"y": rng.normal(size=(4, 2)), "x": rng.normal(size=(4, 3))}
    by_params, by_x = pullback(cotangent)
    tangents = ({"w": rng.normal(size=(2, 3)), "b": rng.normal(size=2)}, rng.normal(size=(4, 3)))
    same, tangent = jvp(fn, (PARAMS, X), tangents)
    np.testing.assert_array_equal(result["y"], same["y"])
    left = sum(np.vdot(cotangent[key], tangent[key]) for key in cotangent)
    right = np.vdot(by_x, tangents[1]) + sum(np.vdot(by_params[key], tangents[0][key]) for key in by_params)
    np.testing.assert_allclose(left, right)


def test_a_value_that_is_not_float_has_zero_cotangent():
    labels = np.array([0, 1, 2, 1])
    _, pullback = vjp(lambda x, t: ops.sum(x * ops.one_hot(t, 3, "float64")), X, labels)
    by_x, by_labels = pullback(np.array(1.0))
    np.testing.assert_array_equal(by_x, np.eye(3)[labels])
    assert by_labels.dtype == np.int64
    assert not by_labels.any()


@pytest.mark.parametrize(
    ("action", "error", "reason"),
    [
        (lambda: grad(lambda x: x)(X), ShapeError, r"a float loss without axes, found float64\[4, 3\]; take its mean"),
        (lambda: grad(lambda x: (ops.sum(x), x))(X), ShapeError, "a float loss without axes"),
        (lambda: grad(lambda x: ops.sum(x > 0))(X), ShapeError, "sum: expected numbers, found bool"),
        (lambda: grad(ops.sum)(np.arange(3)), GraphError, r"argument 'x': cannot differentiate by int64\[3\]"),
        (lambda: grad(loss, argnums=2)(PARAMS, X), GraphError, "argnums 2: .* called with 2 arguments"),
        (lambda: grad(ops.sum, has_aux=True)(X), GraphError, r"expected the function to give \(loss, aux\)"),
        (lambda: vjp(ops.exp, X)[1](X[0]), ShapeError, r"cotangent of 'exp_0': expected float64\[4, 3\]"),
        (lambda: vjp(ops.exp, X)[1]((X, X)), GraphError, "cotangent: expected a tree like the result"),
        (lambda: jvp(ops.exp, [X], [X[0]]), ShapeError, r"tangent of 'x': expected float64\[4, 3\]"),
        (lambda: jvp(ops.exp, [X], [X, X]), GraphError, "tangents: expected a tree like the primals"),
    ],
)
def test_errors(action, error, reason):
    with pytest.raises(error, match=reason):
        action()
