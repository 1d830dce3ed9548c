import numpy as np

from tlverify.core import checkpoint, grad, hessian, ops, trace, value_and_grad

X = np.random.default_rng(0).normal(size=(4,))


def block(x):
    return ops.sin(ops.exp(ops.sin(x)))


def loss(x):
    return ops.sum(block(block(x)))


def saved(x):
    return ops.sum(checkpoint(block)(checkpoint(block)(x)))


def test_values_and_derivatives_are_those_of_the_function():
    np.testing.assert_array_equal(checkpoint(block)(X), block(X))
    np.testing.assert_array_equal(trace(saved, X)(X), loss(X))
    np.testing.assert_array_equal(grad(saved)(X), grad(loss)(X))
    np.testing.assert_array_equal(hessian(saved)(X), hessian(loss)(X))


def count(fn, op):
    return sum(node.op == op for node in trace(value_and_grad(fn), X).graph.nodes)


def test_the_inside_is_computed_again_and_not_kept():
    assert count(saved, "exp") == 2 * count(loss, "exp") == 4
    nodes = trace(value_and_grad(saved), X).graph.nodes
    names = [node.name for node in nodes]
    last_use = {name: i for i, node in enumerate(nodes) for name in node.inputs}
    forward_end = names.index("sum_0")
    kept = [name for name in names[:forward_end] if last_use.get(name, 0) > forward_end]
    plain = trace(value_and_grad(loss), X).graph.nodes
    assert len(kept) == 1
    assert len(plain) < len(nodes)


def test_a_region_inside_a_region_belongs_to_the_outer_one():
    def outer(x):
        return checkpoint(block)(x) * 2.0

    fn = lambda x: ops.sum(checkpoint(outer)(x))  # noqa: E731
    np.testing.assert_array_equal(grad(fn)(X), grad(lambda x: ops.sum(outer(x)))(X))
    assert {node.name.split(".")[0] for node in trace(fn, X).graph.nodes} == {"checkpoint_0", "sum_0"}
