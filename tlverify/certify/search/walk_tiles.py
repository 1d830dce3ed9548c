"""Products of a few rows with chosen rows of a matrix, as machine code whose sums stay in registers: no loop in Python
is compiled to that."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.cgutils import get_or_insert_function
from numba.extending import intrinsic

from tlverify.certify.search.walk_jit import jit

VECTOR = 8  # floats of a vector: rows have space for a multiple of it
ROWS, VECTORS = 4, 4  # of the largest tile
BELOW, CHORD, DOWN, MISSED_BY, BIAS = 0, 1, 2, 3, 4  # of the neurons of a layer


@intrinsic
def relax_row(typing: Any, R: Any, r: Any, S: Any, k: Any, layer: Any, size: Any) -> Any:
    """The row R[r] over the ReLUs of a layer becomes one over what the layer before gives, S[k], without its constant,
    which is returned. Of z before the ReLU, relu(z) is at least BELOW z and at most CHORD (z - DOWN), and z is the
    row of the matrix times what is before it, + BIAS, but for MISSED_BY."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word, vector = ir.IntType(64), ir.VectorType(ir.DoubleType(), VECTOR)
        zero, none = ir.Constant(vector, [0.0] * VECTOR), ir.Constant(word, 0)
        exact, loose = ("contract",), ("contract", "reassoc")
        number = ir.DoubleType()
        magnitude, together = (
            get_or_insert_function(builder.module, ir.FunctionType(*kind), f"llvm.{name}.v{VECTOR}f64")
            for name, kind in (("fabs", (vector, [vector])), ("vector.reduce.fadd", (number, [number, vector])))
        )
        row, after = (_row(context, builder, signature, arguments, n) for n in (0, 2))
        lines = context.make_array(signature.args[4])(context, builder, arguments[4])
        length = builder.extract_value(lines.shape, 1)

        def vector_at(start: Any, i: Any) -> Any:
            return builder.bitcast(builder.gep(start, [i]), vector.as_pointer())

        def line(which: int, i: Any) -> Any:
            start = builder.gep(lines.data, [builder.mul(ir.Constant(word, which), length)])
            return builder.load(vector_at(start, i), align=8)

        entry, body, done = builder.block, builder.append_basic_block(), builder.append_basic_block()
        builder.branch(body)
        builder.position_at_end(body)
        i, total = builder.phi(word), builder.phi(vector)
        a = builder.load(vector_at(row, i), align=8)
        positive = builder.fcmp_ordered(">=", a, zero)
        b = builder.fmul(a, builder.select(positive, line(BELOW, i), line(CHORD, i)))
        builder.store(b, vector_at(after, i), align=8)
        bias = builder.fsub(line(BIAS, i), builder.select(positive, zero, line(DOWN, i)))
        missed = builder.fmul(builder.call(magnitude, [b]), line(MISSED_BY, i), flags=exact)
        gained = builder.fsub(builder.fmul(b, bias, flags=exact), missed, flags=exact)
        following = builder.fadd(total, gained, flags=exact)
        next_i = builder.add(i, ir.Constant(word, VECTOR))
        for phi, first, later in ((i, none, next_i), (total, zero, following)):
            phi.add_incoming(first, entry)
            phi.add_incoming(later, body)
        builder.cbranch(builder.icmp_signed("<", next_i, arguments[5]), body, done)
        builder.position_at_end(done)
        return builder.call(together, [ir.Constant(number, 0.0), following], fastmath=loose)

    return types.float64(R, types.int64, S, types.int64, layer, types.int64), generate


def _row(context: Any, builder: Any, signature: Any, arguments: Any, number: int) -> Any:
    """Where the row of a matrix begins whose number is the argument after it."""
    array = context.make_array(signature.args[number])(context, builder, arguments[number])
    return builder.gep(array.data, [builder.mul(arguments[number + 1], builder.extract_value(array.shape, 1))])


def _tile(rows: int, vectors: int) -> Any:
    """A function that sets R[r + k, column + j] to the sum of S[k, i] W[i, column + j] over the first `count` entries i
    of `which`, for k < rows and j < vectors * VECTOR."""

    @intrinsic
    def tile(typing: Any, R: Any, r: Any, S: Any, W: Any, which: Any, count: Any, column: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            word, vector = ir.IntType(64), ir.VectorType(ir.DoubleType(), VECTOR)
            arrays = {n: context.make_array(signature.args[n])(context, builder, arguments[n]) for n in (0, 2, 3, 4)}
            lanes = ir.Constant(ir.VectorType(ir.IntType(32), VECTOR), [0] * VECTOR)
            undefined, zero = ir.Constant(vector, ir.Undefined), ir.Constant(vector, [0.0] * VECTOR)

            def at(number: int, row: Any, place: Any) -> Any:
                length = builder.extract_value(arrays[number].shape, 1)
                return builder.gep(arrays[number].data, [builder.add(builder.mul(row, length), place)])

            def vector_at(number: int, row: Any, j: int) -> Any:
                place = builder.add(arguments[6], ir.Constant(word, j * VECTOR))
                return builder.bitcast(at(number, row, place), vector.as_pointer())

            entry, body, done = builder.block, builder.append_basic_block(), builder.append_basic_block()
            builder.cbranch(builder.icmp_signed("<", ir.Constant(word, 0), arguments[5]), body, done)
            builder.position_at_end(body)
            q = builder.phi(word)
            sums = [[builder.phi(vector) for _ in range(vectors)] for _ in range(rows)]
            i = builder.load(builder.gep(arrays[4].data, [q]))
            weights = [builder.load(vector_at(3, i, j), align=8) for j in range(vectors)]
            after = []
            for k in range(rows):
                factor = builder.load(at(2, ir.Constant(word, k), i), align=8)
                factor = builder.insert_element(undefined, factor, ir.Constant(ir.IntType(32), 0))
                factor = builder.shuffle_vector(factor, undefined, lanes)
                products = [builder.fmul(factor, weight, flags=("contract",)) for weight in weights]
                pairs = zip(sums[k], products, strict=True)
                after.append([builder.fadd(total, product, flags=("contract",)) for total, product in pairs])
            following = builder.add(q, ir.Constant(word, 1))
            q.add_incoming(ir.Constant(word, 0), entry)
            q.add_incoming(following, body)
            builder.cbranch(builder.icmp_signed("<", following, arguments[5]), body, done)
            builder.position_at_end(done)
            for k in range(rows):
                for j in range(vectors):
                    sums[k][j].add_incoming(zero, entry)
                    sums[k][j].add_incoming(after[k][j], body)
                    total = builder.phi(vector)
                    total.add_incoming(zero, entry)
                    total.add_incoming(after[k][j], body)
                    after[k][j] = total
            for k in range(rows):
                row = builder.add(arguments[1], ir.Constant(word, k))
                for j in range(vectors):
                    builder.store(after[k][j], vector_at(0, row, j), align=8)
            return context.get_dummy_value()

        return types.void(R, types.int64, S, W, which, types.int64, types.int64), generate

    return tile


_four = [_tile(4, vectors) for vectors in range(1, VECTORS + 1)]
_two = [_tile(2, vectors) for vectors in range(1, VECTORS + 1)]
_41, _42, _43, _44 = _four
_21, _22, _23, _24 = _two


@jit
def multiply(R: Any, r: int, rows: int, S: Any, W: Any, which: Any, count: int) -> None:
    """Rows r and so on of R, 4 or 2, become the first ones of S times the rows of W whose numbers are first in
    `which`."""
    for column in range(0, W.shape[1], VECTORS * VECTOR):
        vectors = min((W.shape[1] - column) // VECTOR, VECTORS)
        if rows == ROWS:
            if vectors == 4:
                _44(R, r, S, W, which, count, column)
            elif vectors == 3:
                _43(R, r, S, W, which, count, column)
            elif vectors == 2:
                _42(R, r, S, W, which, count, column)
            else:
                _41(R, r, S, W, which, count, column)
        elif vectors == 4:
            _24(R, r, S, W, which, count, column)
        elif vectors == 3:
            _23(R, r, S, W, which, count, column)
        elif vectors == 2:
            _22(R, r, S, W, which, count, column)
        else:
            _21(R, r, S, W, which, count, column)
