# ruff: noqa: E501
"""Wrong arithmetics: one line of the real one changed. Each breaks the law named beside it, so the laws can fail."""

import sys
from pathlib import Path

import pytest

import tlverify.certify.interval

from ..kernel.test_mutants import mutant
from .laws import LAWS, load

SOURCE = Path(tlverify.certify.interval.__file__).parent
TABLES, COMBINATIONS = "tables_and_bounds_hold", "combinations_are_charged"
CANCELLING, UNITS = "cancelling_combinations_are_charged", "coefficients_known_to_a_unit_are_charged"

MUTANTS = [
    # engine.py
    ("tables of other parts", "engine", "end.take(rows, 0) if name in self.own else end for", "end.take(0 * rows, 0) if name in self.own else end for", "tables_are_inherited"),
    ("rounding of the center lost", "engine", " + far * gamma(n)", "", TABLES),
    ("rounding of a forward bound lost", "engine", "low, high = center - around, center + around", "low, high = center - around * 0.5, center + around * 0.5", TABLES),
    ("radius lost", "engine", "around = around + matrix.forward(width, matrix.magnitude) * (1 + gamma(n)) + far * gamma(n)", "around = around + far * gamma(n)", TABLES),
    ("signed radius", "engine", "matrix.forward(width, matrix.magnitude) * (1 + gamma(n))", "matrix.forward(width, matrix.weight) * (1 + gamma(n))", TABLES),
    ("chord of a wider range", "engine", "high / width", "high / (width + 1)", TABLES),
    ("chord for the lower line", "engine", "taken = numpy.minimum(given, 0.0)", "taken = numpy.maximum(given, 0.0)", TABLES),
    ("intercept lost", "engine", "gained = -(taken @", "gained = 0 * (taken @", TABLES),
    ("greatest for least", "engine", "numpy.where(row > 0, low, high)", "numpy.where(row > 0, high, low)", TABLES),
    ("rounding of products lost", "engine", "lost = numpy.abs(row) @ vector +", "lost = 0 * numpy.abs(row) @ vector +", TABLES),
    ("rounding at the inputs lost", "engine", "lost = gamma(n + 2) *", "lost = 0 *", "sums_over_inputs_are_charged"),
    ("all errors lost", "engine", "total - error * SLACK", "total", TABLES),
    ("errors of the start lost", "engine", "if error is None else error", "if error is None else 0 * error", CANCELLING),
    ("lower end of the upper row", "engine", "numpy.maximum(low[at, index], found[0])", "numpy.maximum(low[at, index], found[1])", TABLES),
    ("upper end of the wrong sign", "engine", "numpy.minimum(high[at, index], -found[1])", "numpy.minimum(high[at, index], found[1])", TABLES),
    ("bounds of the first region for all", "engine", "ends if len(ends) == 1 else ends.take(at, 0)", "ends[:1]", TABLES),
    ("bounds of the region before", "engine", "ends if len(ends) == 1 else ends.take(at, 0)", "ends if len(ends) == 1 else ends[at - 1]", TABLES),
    ("bias of one sign", "engine", "bias * sign[:, None]", "bias * abs(sign[:, None])", TABLES),
    ("bias of a rebound lost", "engine", "network.biases[name][index] if name in network.biases", "0 * network.biases[name][index] if name in network.biases", TABLES),
    ("row of another entry", "engine", "matrix.weight[index] * sign", "matrix.weight[index - 1] * sign", TABLES),
    ("bias of a pass lost", "engine", "gained = row @ bias", "gained = 0 * row @ bias", TABLES),
    ("alive in all parts", "engine", "(high.max(0) > 0)", "(high.min(0) > 0)", TABLES),
    ("alive is above 0 for certain", "engine", "(high.max(0) > 0) | ", "", TABLES),
    ("kept in one part, so in all", "engine", "active = low.min(0) >= 0", "active = low.max(0) >= 0", TABLES),
    ("kept where it is alive", "engine", "active = low.min(0) >= 0", "active = high.min(0) > 0", TABLES),
    ("dead where it is used as it is", "engine", 'if value.kind == "relu"} - affine', 'if value.kind == "relu"}', "dead_where_it_is_used"),
    ("dead where a pass starts", "engine", "if name in network.only_relu and name not in start else", "if name in network.only_relu else", "dead_where_it_is_used"),
    ("one entry of an input for all", "engine", "self.only_relu -= set(program.inputs)", "pass", "one_alive_entry_is_not_all"),
    ("row of a relu of a relu lost", "engine", "part if into is None else part[..., into]", "part if into is None else 0 * part[..., into]", "one_alive_entry_is_not_all"),
    ("second use overwrites the first", "engine", "pending[name] = pending[name] + part", "pending[name] = part", TABLES),
    ("upper ends of another part", "engine", "all_of([t.upper for t in tables])", "all_of([t.upper for t in tables[::-1]])", TABLES),
    ("parts in the order of the whole", "engine", "end.take(rows, 0) if name in self.own", "(end.take(rows, 0) if len(rows) != len(end) else end) if name in self.own", "leaves_hold"),
    ("rounding at inputs below 0 lost", "engine", "x = numpy.maximum(numpy.abs(root.lower[source]), numpy.abs(root.upper[source]))", "x = numpy.maximum(root.upper[source], 0.0)", "products_that_cancel_are_charged"),
    ("rounding at inputs above 0 lost", "engine", "x = numpy.maximum(numpy.abs(root.lower[source]), numpy.abs(root.upper[source]))", "x = numpy.maximum(-root.lower[source], 0.0)", "products_that_cancel_are_charged"),
    ("units of a pass lost", "engine", "total + inexact", "total", UNITS),
    ("units of an interval lost", "engine", "            if matrix.unit:\n                around", "            if False:\n                around", UNITS),
    ("units at the middle alone", "engine", "matrix.unit * (numpy.abs(middle) + width).sum", "matrix.unit * numpy.abs(middle).sum", UNITS),
    ("units beside the middle alone", "engine", "matrix.unit * (numpy.abs(middle) + width).sum", "matrix.unit * width.sum", UNITS),
    ("units of an execution lost", "engine", "+ matrix.unit * most)", ")", UNITS),
    ("units where a rebound starts lost", "engine", "if matrix.blocks == 1 and not matrix.unit:", "if matrix.blocks == 1:", UNITS),
    ("rounding where a rebound starts lost", "engine", "len(value.terms) == 1 and value.rounding is None", "len(value.terms) == 1", "leaves_hold"),
    ("underflow of an interval lost", "engine", "4 * U * numpy.abs(center) + n * ETA", "4 * U * numpy.abs(center)", "underflow_is_charged"),
    ("underflow of a pass lost", "engine", "numpy.abs(row) @ vector + ETA * (n + 1) * (1 + far_sum)", "numpy.abs(row) @ vector", "underflow_is_charged"),
    ("rounding of sums of rows lost", "engine", "4 * U * (numpy.abs(pending[name]) @ far)", "0 * (numpy.abs(pending[name]) @ far)", "sums_of_rows_are_charged"),
    ("rounding of sums of rows by other entries", "engine", "boxes.far(name)[held]", "boxes.far(name)[: len(held)]", "sums_of_rows_are_charged"),
    ("rounding of the total lost", "engine", "error = (error + gamma(len(order) + 1) * size) * SLACK", "error = error * SLACK", "sums_over_values_are_charged"),
    ("rounding of the total by the constant alone", "engine", "size += numpy.abs(gained)", "pass", "sums_over_values_are_charged"),
    ("error of an execution by other entries", "engine", "missed if held is None else missed[:, held]", "missed if held is None else missed[:, : len(held)]", "errors_of_alive_entries_are_charged"),
    ("underflow by the reach of one region", "engine", "numpy.maximum(-low, high), 0.0).max(initial=0.0)", "numpy.maximum(-low, high), 0.0)[:1].max(initial=0.0)", "relaxations_hold"),
    ("underflow by the upper ends alone", "engine", "numpy.where(either, numpy.maximum(-low, high), 0.0)", "numpy.where(either, high, 0.0)", "relaxations_hold"),
    ("a chord so flat that it underflows", "engine", "(1 + 2.0**-47) + ETA)", "(1 + 2.0**-47))", "relaxations_hold"),
    ("bounds of a chunk for the first regions", "engine", "low[at, index] = numpy.maximum(low[at, index], found[0])", "low[regions[: len(at)], index] = numpy.maximum(low[at, index], found[0])", TABLES),
    ("unit of another input", "tree", "exponent = goal.bounds[name].exponent", "exponent = goal.bounds[machine.program.inputs[0]].exponent", "inputs_are_cut_in_their_own_unit"),
    ("rounding of rows by the first leaf", "tree", "far = boxes.far(name)", "far = boxes.part(at[:1]).far(name)", "combinations_are_charged_at_every_leaf"),
    ("multipliers of another leaf", "tree", "payload.words(number, rows, path)", "payload.words(number, rows[::-1], path)", "leaves_hold"),
    ("phases of another leaf", "tree", "block, at, path, words", "block, at, path[::-1], words", "leaves_hold"),
    # tree.py
    ("half above is the half below", "tree", "low[above], high[below] = middle[above], middle[below]", "high[above], high[below] = middle[above], middle[below]", "every_leaf_is_refuted"),
    ("halves do not meet", "tree", "low[above], high[below] = middle[above],", "low[above], high[below] = middle[above] + 0.125,", "halves_meet"),
    ("phase of the other half", "tree", "low[above], high[below] = numpy.maximum(low[above], 0.0), numpy.minimum(high[below], 0.0)", "low[below], high[above] = numpy.maximum(low[below], 0.0), numpy.minimum(high[above], 0.0)", "phases_are_cut"),
    ("halves exchanged", "tree", "[whole + 1, shape.half_above[whole]]", "[shape.half_above[whole], whole + 1]", "halves_in_order"),
    ("tables of the first leaf", "tree", "refuter.refute(machine, reaches, block, at, path", "refuter.refute(machine, reaches, block, 0 * at, path", "tables_are_inherited"),
    ("the best leaf alone", "tree", "{*numpy.flatnonzero(found <= 0).tolist(), int(found.argmin())}", "{int(found.argmax())}", "every_leaf_is_refuted"),
    ("rest of a block lost", "tree", "stack.append(block.part(numpy.arange(BLOCK, len(block.numbers))))", "pass", "every_leaf_of_many_is_refuted"),
    ("another part of a block twice", "tree", "block = block.part(numpy.arange(BLOCK))", "block = block.part(numpy.arange(BLOCK) + len(block.numbers) - BLOCK)", "every_leaf_of_many_is_refuted"),
    ("tables of other nodes where blocks are joined", "tree", "Boxes.stacked([self.boxes, other.boxes])", "Boxes.stacked([other.boxes, self.boxes])", "every_leaf_of_many_is_refuted"),
    ("tables of halves in another order", "tree", "part(numpy.tile(opened, 2)[order])", "part(numpy.tile(opened, 2))", "every_leaf_of_many_is_refuted"),
    ("cuts of halves in another order", "tree", "splits[numpy.tile(opened, 2)[order]]", "splits[numpy.tile(opened, 2)]", "halves_are_cut_by_their_own_split"),
    ("sides of halves in another order", "tree", "order >= len(opened)", "numpy.arange(len(order)) >= len(opened)", "every_leaf_of_many_is_refuted"),
    ("cut of another neuron", "tree", "leaf[mine] * n + index[mine]", "leaf[mine] * n + (index[mine] + 1) % n", "phases_are_cut"),
    ("cut at another leaf", "tree", "leaf[mine] * n + index[mine]", "(leaf[mine] + 1) % len(path) * n + index[mine]", "phases_are_cut"),
    ("one cut of a value for all", "tree", "sums[name] + added if", "added if", COMBINATIONS),
    ("last disjunct left out", "tree", "enumerate(refuters)", "enumerate(refuters[:1])", "disjuncts_of_trees_count"),
    ("negation lost", "tree", "-(own @ matrix)", "(own @ matrix)", COMBINATIONS),
    ("cut of the other phase", "tree", "numpy.where(above, -values, values)", "numpy.where(above, values, -values)", "phases_are_cut"),
    ("multipliers twice as large", "tree", "(words >> 10) - 42", "(words >> 10) - 41", COMBINATIONS),
    ("rounding of rows lost", "tree", "(off * (size @ far) +", "(0 * (size @ far) +", CANCELLING),
    ("rounding of rows by the nearer end", "engine", "numpy.maximum(-self.lower[name].min(0), self.upper", "numpy.minimum(-self.lower[name].min(0), self.upper", CANCELLING),
    ("rounding of rows by the least region", "engine", "-self.lower[name].min(0), self.upper[name].max(0)", "-self.lower[name].max(0), self.upper[name].min(0)", "far_is_as_far_as_any_region"),
    ("rounding of bounds lost", "tree", "error = off * (own", "error = 0 * (own", CANCELLING),
    ("slopes up to 2", "tree", "/ 2.0**SLOPE_BITS", "/ 2.0 ** (SLOPE_BITS - 1)", "slopes_are_at_most_1"),
    ("error of an execution not charged", "engine", "lost = lost + (numpy.abs(row) * missed).sum(-1) * SLACK", "pass", "rounding_errors_are_charged"),
    ("error of signed coefficients", "engine", "lost + (numpy.abs(row) * missed).sum(-1)", "lost + (row * missed).sum(-1)", "rounding_errors_are_charged"),
    ("error left out of the interval", "engine", "around = around + missed", "pass", "rounding_errors_are_charged"),
    ("error without the radius", "engine", "size = size + (far + matrix.forward(width, matrix.magnitude) + matrix.unit * most)", "size = size + 0 * (far + matrix.unit * most)", "rounding_errors_are_charged"),
    ("error without the bias", "engine", "size, sum_of_x = numpy.abs(center), ", "size, sum_of_x = 0 * numpy.abs(center), ", "rounding_errors_are_charged"),
    ("underflow lost", "engine", "* size + tiny) * SLACK", "* size) * SLACK", "rounding_errors_are_charged"),
    ("underflow of inputs lost", "engine", "numpy.array(rounding.tiny, dtype=float) + far", "numpy.array(rounding.tiny, dtype=float) + 0 * far", "rounding_errors_are_charged"),
    ("relative error lost", "engine", "math.ldexp(rounding.relative, -RELATIVE_BITS) * size", "0 * size", "rounding_errors_are_charged"),
    ("headroom of a batch norm as room", "engine", "OVERFLOW - rounding.headroom", "OVERFLOW + rounding.headroom", "norms_that_overflow_on_the_way_are_refused"),
    ("rounding of the intercept of few neurons lost", "engine", "lost = gamma(n + 4) * numpy.abs(gained)", "lost = gamma(n - 1) * numpy.abs(gained)", "relaxations_hold"),
    ("underflow of the intercept lost", "engine", "numpy.abs(gained) + ETA * n * (1 + 2 * relaxed.reach)", "numpy.abs(gained)", "relaxations_hold"),
    ("chord not raised", "engine", "high / width * (1 + 2.0**-47) + ETA", "high / width", "relaxations_hold"),
    ("rounding at large inputs lost", "engine", "gamma(n + 2) * (numpy.abs(row) * far)", "gamma(n + 2) * (numpy.abs(row) + far)", "sums_over_inputs_are_charged"),
    ("error of shared sources for one region", "engine", "missed = numpy.broadcast_to(missed, boxes.lower[error_of(name)].shape)", "pass", "errors_are_each_regions"),
    ("overflow of an execution ignored", "engine", "if not ((size < 2.0 ** (OVERFLOW - rounding.headroom)).all() and (flushed < 2.0**OVERFLOW).all()):", "if False:", "overflow_in_float32_is_refused"),
]  # fmt: skip


@pytest.mark.parametrize(("module", "old", "new", "law"), [row[1:] for row in MUTANTS], ids=[row[0] for row in MUTANTS])
def test_wrong_arithmetic_is_caught(tmp_path, monkeypatch, module, old, new, law):
    package = mutant(tmp_path, module, old, new, SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    try:
        wrong = load(package)
        with pytest.raises(AssertionError):
            LAWS[law](wrong)
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == package]:
            del sys.modules[name]
