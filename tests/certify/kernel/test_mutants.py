# ruff: noqa: E501
"""Wrong kernels: one line of the real one changed. Each breaks the law named beside it, so the laws can fail."""

import shutil
import sys
from itertools import count
from pathlib import Path

import pytest

import tlverify.certify.kernel
from tlverify.certify import kernel as real

from . import hostile, laws_balls, laws_float32
from .laws import LAWS, OPS, load, op_is_right

SOURCE = Path(tlverify.certify.kernel.__file__).parent
PROPERTIES = {
    **LAWS,
    **laws_float32.LAWS,
    **laws_balls.LAWS,
    **hostile.CASES,
    **{op: (lambda kernel, op=op: op_is_right(kernel, op, "normal", 5)) for op in OPS},
}
SLOW = {"false_claims_are_rejected", "margins_are_proved", *OPS} - {"relu"}
serial = count()

MUTANTS = [
    # arithmetic.py
    ("sign of a stored float", "arithmetic", "-size >> zeros if word & sign else size >> zeros", "size >> zeros", "decode_is_exact"),
    ("denormals one place off", "arithmetic", "[field or 1 for", "[field for", "decode_is_exact"),
    ("hidden bit of a denormal", "arithmetic", "(hidden if field else 0)", "hidden", "decode_is_exact"),
    ("exponent bias", "arithmetic", "1075, 52", "1074, 52", "decode_is_exact"),
    ("trailing zeros lost", "arithmetic", "lowest - bias + zeros", "lowest - bias", "decode_is_exact"),
    ("NaN is a number", "arithmetic", "if special in fields:", "if False:", "safetensors: NaN"),
    ("lanes too narrow", "arithmetic", "max(sum(map(abs, column))", "max(max(map(abs, column))", "packed_is_exact"),
    ("wide lanes not signed", "arithmetic", 'from_bytes(lane, "little", signed=True)', 'from_bytes(lane, "little")', "packed_is_exact"),
    ("packed lanes borrow of the next", "arithmetic", '"little") ^ self._halves) - self._halves', '"little"))', "packed_is_exact"),
    ("lanes not two's complements", "arithmetic", "(total ^ self._halves)", "total", "packed_is_exact"),
    ("low bits lost", "arithmetic", "result[column] += factors[row] * rest", "pass", "packed_is_exact"),
    ("low bits of another row", "arithmetic", "result[column] += factors[row] * rest", "result[column] += factors[0] * rest", "packed_is_exact"),
    ("low bits in the wrong place", "arithmetic", "[lane << self._low for lane in lanes]", "[lane for lane in lanes]", "packed_is_exact"),
    ("low bits of the few not all kept", "arithmetic", "if len(rest) <= columns else", "if True else", "packed_is_exact"),
    ("lanes one bit too narrow", "arithmetic", "heaviest.bit_length() + factor_bits + 1", "heaviest.bit_length() + factor_bits", "packed_is_exact"),
    ("lower end rounded up", "arithmetic", "[v >> drop for v in lower]", "[-(-v >> drop) for v in lower]", "rounding_is_outward"),
    ("upper end rounded down", "arithmetic", "[-(-v >> drop) for v in upper]", "[v >> drop for v in upper]", "rounding_is_outward"),
    ("region rounded inward", "arithmetic", "math.floor(v / unit)", "math.ceil(v / unit)", "rounding_is_outward"),
    ("region rounded inward above", "arithmetic", "math.ceil(v / unit)", "math.floor(v / unit)", "rounding_is_outward"),
    ("union for intersection", "arithmetic", "max(x << a, y << b)", "min(x << a, y << b)", "rounding_is_outward"),
    ("unaligned intersection", "arithmetic", "min(x << a, y << b)", "min(x, y << b)", "rounding_is_outward"),
    ("unaligned sum", "arithmetic", "b = shift(right.integers, right.exponent - exponent)", "b = right.integers", "false_claims_are_rejected"),
    ("coefficients rounded up", "arithmetic", "Short([a >> drop for a in row.integers], row.exponent + drop), True", "Short([-(-a >> drop) for a in row.integers], row.exponent + drop), True", "shortening_is_charged"),
    ("floor not told", "arithmetic", "row.exponent + drop), True", "row.exponent + drop), False", "shortening_is_charged"),
    ("constant rounded up", "arithmetic", "places if places >= 0 else value[0] >> -places", "places if places >= 0 else -(-value[0] >> -places)", "constants_are_floored"),
    ("sum of constants loses one", "arithmetic", "return floor_to(total, unit) + floor_to(value, unit), unit", "return floor_to(value, unit), unit", "constants_are_floored"),
    # backward.py
    ("no charge for shortening", "arithmetic", "sum([low for low in self.lower if low < 0])", "0", "shortening_is_charged"),
    ("charge at the upper end", "arithmetic", "sum([low for low in self.lower if low < 0])", "sum([min(v, 0) for v in self.upper])", "shortening_is_charged"),
    ("chord u/(u+l)", "phases", "(high - low))", "(high + low or 1))", "relu"),
    ("chord rounded down", "phases", "-((-high << CHORD_BITS) // (high - low))", "(high << CHORD_BITS) // (high - low)", "relu"),
    ("intercept lost", "backward", "intercept -= taken * lower", "intercept -= 0", "relu"),
    ("intercept of the other sign", "backward", "intercept -= taken * lower", "intercept += taken * lower", "relu"),
    ("chord's coefficient rounded up", "backward", "taken = a * chord >> CHORD_BITS", "taken = -(-a * chord >> CHORD_BITS)", "relu"),
    ("slope for either sign", "backward", "if a > 0:\n            result", "if a:\n            result", "relu"),
    ("unstable neurons taken as inactive", "phases", "for i, (low, high) in ends if low < 0 < high]", "for i, (low, high) in ends if False]", "relu"),
    ("active neurons taken as inactive", "phases", "in ends if low >= 0]", "in ends if False]", "relu"),
    ("revised neuron taken as active", "phases", "if low >= 0:", "if high > 0:", "paths_are_revised"),
    ("revised neuron kept as it was", "arithmetic", "self.phases.revised(index, low[index], high[index])", "self.phases", "paths_are_revised"),
    ("path tightens too much", "arithmetic", "ends[index] = min(ends[index], end) if upper", "ends[index] = min(ends[index], end) - 1 if upper", "paths_are_revised"),
    ("path end for the other side", "arithmetic", "low, high = (self.lower, ends) if upper else (ends, self.upper)", "low, high = (ends, self.upper) if upper else (self.lower, ends)", "paths_are_revised"),
    ("greatest for least", "backward", "a * (low if a > 0 else high)", "a * (high if a > 0 else low)", "least_and_floor_are_exact"),
    ("input's part lost", "backward", "constant = accumulate(constant, _least(row, bounds[name]))", "pass", "linear"),
    ("relu's constant lost", "backward", "constant = accumulate(constant, gained)", "pass", "relu"),
    ("bias lost backward", "backward", "constant = accumulate(constant, (product, row.exponent + value.bias.exponent))", "pass", "linear"),
    ("constant of the objective lost", "backward", "accumulate((0, 0), job.constant)", "(0, 0)", "linear"),
    ("second use overwrites the first", "backward", "pending[source] = add(pending[source], part)", "pending[source] = part", "add"),
    ("inexact coefficients taken as exact", "backward", "if matrix.inexact:", "if False:", "inexact_maps_are_charged"),
    ("half of what is inexact", "backward", "(-lost, part.exponent + bounds[source].exponent)", "(-lost, part.exponent + bounds[source].exponent - 1)", "inexact_maps_are_charged"),
    # program.py
    ("bias lost in the interval", "program", "twice = [2 * v for v in value.bias.integers]", "twice = [0 for v in value.bias.integers]", "linear"),
    ("bias counted once in the interval", "program", "twice = [2 * v for v in value.bias.integers]", "twice = [v for v in value.bias.integers]", "linear"),
    ("radius lost", "program", "low = [c - r - extra", "low = [c - extra", "linear"),
    ("interval swapped", "program", "high = [c + r + extra", "high = [c - r - extra", "linear"),
    ("signed radius of a dense map", "program", "[[abs(value) for value in column] for", "[[value for value in column] for", "linear"),
    ("signed radius of a sparse map", "program", "sum(abs(c) * x[i] for i, c in pairs)", "sum(c * x[i] for i, c in pairs)", "neg"),
    ("inexact interval taken as exact", "program", "extra = 2 * reach(x) if matrix.inexact else 0", "extra = 0", "inexact_maps_are_charged"),
    ("reach of the lower ends only", "program", "sum(max(-low, high) for low, high in", "sum(max(-low, 0) for low, high in", "inexact_maps_are_charged"),
    ("relu of the lower end", "program", "Interval([max(v, 0) for v in x.lower]", "Interval([max(v, 1) for v in x.lower]", "relu"),
    ("units of the parts of a sum", "program", "(b << own - exponent)", "b", "add"),
    ("wrong columns of a sparse map", "program", "result[index] += a * c", "result[index] = a * c", "matmul"),
    # rules_affine.py, rules_piecewise.py, lowering.py
    ("sub adds", "rules_affine", "(b, scaled(node.size, -1))]", "(b, scaled(node.size))]", "sub"),
    ("transposed axes", "rules_affine", "[strides[a] for a in axes], 0)", "[strides[a] for a in sorted(axes)], 0)", "transpose"),
    ("slice from the start", "rules_affine", "first = sum(a * s for", "first = sum(0 * a * s for", "slice"),
    ("pad with zero", "rules_affine", "[integer if place is None else 0 for place in places]", "[0 for place in places]", "pad"),
    ("concat without offset", "rules_affine", "offset += width", "offset += 0", "concat"),
    ("one group of a convolution", "rules_affine", "first = image * channels + o // (out // node.attributes[\"groups\"]) * own", "first = image * channels", "conv2d"),
    ("padding of the other side", "rules_affine", "(top, left, _, _) = node", "(_, _, top, left) = node", "conv2d"),
    ("mean over the padding too", "rules_affine", "area if node.attributes[\"count_include_pad\"] else len(spots)", "area", "avg_pool2d"),
    ("a third is exact", "rules_affine", "inexact = any(unit % divisor for divisor in divisors)", "inexact = False", "avg_pool2d"),
    ("root rounded to zero", "rules_affine", "root if f >= 0 else -root - 1", "root if f >= 0 else -root + 1", "batch_norm"),
    ("mean of a batch norm", "rules_affine", "minus = Vector([-mean.integers[c]", "minus = Vector([mean.integers[c]", "batch_norm"),
    ("padding taken away", "rules_affine", " or min(padding) < 0:", ":", "pointless_ops_are_refused"),
    ("windows without an entry", "rules_affine", "if not all(windows):", "if False:", "windows_hold_something_and_are_not_too_many"),
    ("maps of any size", "rules_affine", "context.expect(node.name, node.size * own * area)", "pass", "windows_hold_something_and_are_not_too_many"),
    ("padding of any width", "rules_affine", "if plane is None or any(padding[d] > grow[d % 2] * (kernel[d % 2] - 1) for d in range(4)):", "if plane is None:", "pointless_ops_are_refused"),
    ("abs is relu", "rules_piecewise", "(positive, scaled(node.size, 2))", "(positive, scaled(node.size, 1))", "abs"),
    ("slope of the other side", "rules_piecewise", "scaled(node.size, one - slope, exponent)", "scaled(node.size, one, exponent)", "leaky_relu"),
    ("clamp without its upper end", "rules_piecewise", "(over_high, scaled(node.size, -1))]", "(over_high, scaled(node.size, 0))]", "clamp"),
    ("clamped interval too tight", "rules_piecewise", "min(max(v << a, low << c), high << c)", "min(max(v << a, low << c), 0)", "clamp"),
    ("minimum is maximum", "rules_piecewise", "[(a, scaled(node.size)), (over, scaled(node.size, -1))], None, direct", "[(b, scaled(node.size)), (over, scaled(node.size))], None, direct", "minimum"),
    ("interval of abs", "rules_piecewise", "max(low, -high, 0) for low", "max(-low, high) for low", "abs"),
    ("interval of a maximum for a minimum", "rules_piecewise", "return _chosen(min, *bounds)", "return _chosen(max, *bounds)", "minimum"),
    ("a candidate left out", "rules_piecewise", "winners.append(a)", "pass", "max_pool2d"),
    # proof.py
    ("bound of the wrong sign", "proof", "high[index] = min(high[index], -rounded)", "high[index] = min(high[index], rounded)", "false_claims_are_rejected"),
    ("strictness ignored", "proof", "found[0] < 0 or (found[0] == 0 and not strict)", "found[0] < 0", "strictness_matters"),
    ("strict row without weight", "proof", "inequality.strict and weight > 0", "inequality.strict", "strictness_matters"),
    ("any strict disjunct", "proof", "strict = any(inequality.strict and weight > 0 for (weight, _), inequality in combined)", "strict = True", "strictness_matters"),
    ("last disjunct skipped", "proof", "zip(goal.bad, multipliers, strict=True)", "zip(goal.bad[:-1] or goal.bad, multipliers)", "every_disjunct_counts"),
    ("first disjunct skipped", "proof", "machine.refute(combined, bound, f\"{where} disjunct {number}\")", "number and machine.refute(combined, bound, where)", "every_disjunct_counts"),
    ("bound of the bad set lost", "proof", "constant += weight * bound", "constant += abs(weight * bound)", "false_claims_are_rejected"),
    ("negation lost", "proof", "row.get(index, 0) - weight * coefficient", "row.get(index, 0) + weight * coefficient", "false_claims_are_rejected"),
    ("negative multipliers", "proof", "if any(weight < 0 for weight in weights):", "if False:", "certificate: negative multiplier"),
    ("slopes above 1", "proof", "if any(slope > 1 << SLOPE_BITS for slope in part):", "if False:", "container: slope above 1"),
    ("payload not used up", "proof", "if self.used != len(self.payload):", "if False:", "certificate: slopes left over"),
    ("open goals", "proof", "if self.goal is not None or self.margin is None:", "if self.margin is None:", "certificate: split without its second half"),
    ("second half forgotten", "proof", "machine.stack.append(above)", "pass", "both_halves_are_proved"),
    ("halves swapped in the table", "proof", "tighten(below.bounds, name, index, at, upper=True)", "tighten(below.bounds, name, index, at, upper=False)", "both_halves_are_proved"),
    ("halves share a table", "proof", "return replace(self, bounds=self.bounds.copy(), cuts=", "return replace(self, cuts=", "both_halves_are_proved"),
    ("cut of the wrong side", "proof", "Inequality(((name, index, Fraction(-1)),), -at, False)", "Inequality(((name, index, Fraction(1)),), at, False)", "cuts_hold"),
    ("split rounded inward", "proof", "end = math.ceil(scaled) if upper else math.floor(scaled)", "end = math.floor(scaled) if upper else math.ceil(scaled)", "both_halves_are_proved"),
    ("one case is enough", "proof", "machine.stack.extend(reversed(goals[1:]))", "pass", "every_case_is_proved"),
    ("case of another disjunct", "proof", "replace(goal.branch(*disjunct), bad=[disjunct])", "replace(goal.branch(*goal.bad[0]), bad=[disjunct])", "every_case_is_proved"),
    ("lemma for the other side", "proof", "Fraction(1 if side == \"upper\" else -1)", "Fraction(-1 if side == \"upper\" else 1)", "lemmas_are_proved"),
    ("lemma taken for granted", "proof", "machine.goal = replace(goal.branch(), bad=[[beyond]])", "machine.next_goal()", "lemmas_are_proved"),
    ("negative entry", "proof", "or not 0 <= index < machine.program", "or not index < machine.program", "certificate: bound of negative entry"),
    ("any number of steps", "proof", 'self.spend(len(steps), "proof")', "pass", "certificate: more steps than its file may have"),
    ("any number of nodes", "tree", "machine.spend(count, where)", "pass", "certificate: tree with too many nodes for its file"),
    ("free steps without end", "__init__", "allowed = FREE_STEPS + STEPS_PER_BYTE * len(certificate)", "allowed = FREE_STEPS * len(certificate)", "certificate: tree with too many nodes for its file"),
    ("any number of steps at a node", "tree", "> NODE_STEPS * len(machine.program.values)", "> 999 * len(machine.program.values)", "certificate: tree with too many steps at a node"),
    ("the same value again and again", "proof", "if len(set(listed)) < len(listed):", "if False:", "certificate: interval of a value twice"),
    # tree.py
    ("last leaf left out", "tree", "for which, disjunct in enumerate(goal.bad):", "for which, disjunct in enumerate(goal.bad if stack else []):", "every_leaf_is_refuted"),
    ("first leaf left out", "tree", "for which, disjunct in enumerate(goal.bad):", "for which, disjunct in enumerate(goal.bad if len(node.path) < 2 else []):", "every_leaf_is_refuted"),
    ("last disjunct of a leaf left out", "tree", "for which, disjunct in enumerate(goal.bad):", "for which, disjunct in enumerate(goal.bad[:1]):", "trees_mean_their_steps"),
    ("half above comes first", "tree", "for above in (True, False)", "for above in (False, True)", "trees_mean_their_steps"),
    ("end of the other half", "tree", "(name, index, not above, middle)", "(name, index, above, middle)", "phases_are_cut"),
    ("one half twice", "tree", "(name, index, not above, middle)", "(name, index, True, middle)", "every_leaf_is_refuted"),
    ("halves do not meet", "tree", "(name, index, not above, middle)", "(name, index, not above, middle + above * 4)", "trees_mean_their_steps"),
    ("middle of a whole input again", "tree", "low, high = (low, end) if upper else (end, high)", "pass", "trees_mean_their_steps"),
    ("middle of the other half", "tree", "low, high = (low, end) if upper else (end, high)", "low, high = (end, high) if upper else (low, end)", "trees_mean_their_steps"),
    ("path of the half before", "tree", "(*node.path, (name, index, not above, middle))", "((name, index, not above, middle),)", "trees_mean_their_steps"),
    ("phases cut where inputs are", "tree", "        middle = low + high >> 1", "        middle = 0", "trees_mean_their_steps"),
    ("cut of the other phase", "tree", "read.cuts[number][above]", "read.cuts[number][not above]", "phases_are_cut"),
    ("phase of the other half", "tree", "(*node.phases, (split, above))", "(*node.phases, (split, not above))", "phases_are_cut"),
    ("phase splits lost", "tree", "node = Node(own.bounds, (), node.phases)", "node = Node(own.bounds, (), ())", "trees_mean_their_steps"),
    ("halves share a table", "tree", "own = goal.branch()", "own = goal", "tables_are_inherited"),
    ("table of the whole tree", "tree", "own.bounds.update(node.bounds.along(node.path))", "own.bounds.update(goal.bounds.along(node.path))", "trees_mean_their_steps"),
    ("path of a half lost", "tree", "own.bounds.update(node.bounds.along(node.path))", "own.bounds.update(node.bounds)", "trees_mean_their_steps"),
    ("leaves of one table refuted with another's", "tree", "if pending and (read.steps or len(pending)", "if pending and (len(pending)", "tables_are_inherited"),
    ("steps at the root only", "tree", "if read.steps:", "if read.steps and not number:", "trees_mean_their_steps"),
    ("steps at the leaves only", "tree", "if read.steps:", "if read.steps and split < 0:", "trees_mean_their_steps"),
    ("difference from the leaf of another disjunct", "tree", "read_slopes(machine, read, slopes[which], here)", "read_slopes(machine, read, slopes[0], here)", "trees_mean_their_steps"),
    ("difference from the first leaf", "tree", "slopes[which] = read_slopes(machine, read, slopes[which], here)", "slopes[which] = slopes[which] if len(stack) else read_slopes(machine, read, slopes[which], here)", "trees_mean_their_steps"),
    ("slopes not as differences", "tree", "add_bytes(before, machine.take(read.slopes, where))", "machine.take(read.slopes, where)", "trees_mean_their_steps"),
    ("top bits of differences lost", "tree", "(a ^ b) & ~low", "0", "trees_mean_their_steps"),
    ("top bits added with a carry", "tree", "(a & low) + (b & low)", "a + (b & low)", "trees_mean_their_steps"),
    ("a table of another path", "backward", "del tables[common + 1 :]", "del tables[common + 2 :]", "trees_mean_their_steps"),
    ("cuts entered in another unit", "backward", "value << exponent - unit", "value", "false_claims_are_rejected"),
    ("row of cuts lost", "backward", "enter(part, *start.pop(source)) if source in start else part", "part", "margins_are_proved"),
    ("slope of a tree above 1", "tree", "if slopes and max(slopes) > 1 << SLOPE_BITS:", "if False:", "container: tree with a slope above 1 by its difference"),
    ("multipliers big end first", "tree", "raw[k] | raw[k + 1] << 8", "raw[k] << 8 | raw[k + 1]", "trees_mean_their_steps"),
    ("multipliers twice as large", "tree", "(word >> 10) - 42", "(word >> 10) - 41", "trees_mean_their_steps"),
    ("multipliers in nine bits", "tree", "return word & 1023,", "return word & 511,", "trees_mean_their_steps"),
    ("many entries in one byte", "tree", "width = 1 if len(entries) <= 256 else 2", "width = 1", "trees_mean_their_steps"),
    ("bits after the tree", "tree", "if int.from_bytes(flags, \"little\") >> count:", "if False:", "container: bit after the last node of a tree"),
    ("open halves at the end", "tree", "    if depths:\n", "    if False:\n", "trees_are_trees"),
    ("no end to the depth on one side", "tree", "depths += [depth + 1, depth + 1]", "depths += [depth, depth + 1]", "container: tree deeper than its limit on the other side"),
    ("a byte for 255 entries only", "tree", "width = 1 if len(entries) <= 256 else 2", "width = 1 if len(entries) < 256 else 2", "trees_mean_their_steps"),
    ("limit of the depth one too low", "tree", "if depth > MAX_TREE_DEPTH:", "if depth >= MAX_TREE_DEPTH:", "container: tree as deep as its limit, but wrong elsewhere"),
    ("one slope in the limit is enough", "tree", "if slopes and max(slopes)", "if slopes and min(slopes)", "container: tree with a slope of two above 1"),
    ("no end to the depth", "tree", "if depth > MAX_TREE_DEPTH:", "if False:", "container: tree deeper than its limit"),
    ("depth off by one", "tree", "if depth > MAX_TREE_DEPTH:", "if depth > MAX_TREE_DEPTH + 1:", "container: tree deeper than its limit"),
    ("any rule at a node", "tree", "if type(inner) is not dict or inner.get(\"rule\") not in (\"interval\", \"rebound\"):", "if type(inner) is not dict:", "certificate: tree with other steps"),
    # claim.py, witness.py, __init__.py
    ("any graph", "claim", "if graph != program.digest:", "if False:", "proofs_cannot_be_moved"),
    ("any claim", "__init__", 'if header.get("claim") != statement.digest:', "if False:", "proofs_cannot_be_moved"),
    ("parameters not in the digest", "network", '"parameters": hashes}', '"parameters": sorted(hashes)}', "margins_are_exact"),
    ("empty region", "claim", "if a > b:", "if False:", "claim: empty region"),
    ("empty bad set", "claim", "if not bad:", "if False:", "claim: empty bad set"),
    ("repeated term", "claim", "if (name, index) in seen:", "if False:", "claim: repeated term"),
    ("hidden values", "claim", "if name not in visible or", "if", "claim: hidden value"),
    ("input given twice", "claim", "if name in boxes:", "if False:", "claim: input given twice"),
    ("unscaled bound", "claim", "int(self.bound * scale)", "int(self.bound)", "strictness_matters"),
    ("strict is not strict", "witness", "and not row.strict", "", "witnesses_are_replayed"),
    ("witness outside below", "claim", "whole and self.lower[index] <= point <= self.upper[index]", "point <= self.upper[index]", "witnesses_are_replayed"),
    ("witness outside above", "claim", "whole and self.lower[index] <= point <= self.upper[index]", "self.lower[index] <= point", "witnesses_are_replayed"),
    ("witness with a tolerance", "claim", "whole and self.lower[index] <= point <= self.upper[index]", "self.lower[index] <= point <= self.upper[index] + Fraction(1, 10**9)", "witnesses_are_replayed"),
    ("one inequality is enough", "witness", "if all(least(row)", "if any(least(row)", "witness_needs_every_inequality"),
    ("greatest for the least value", "witness", "found[name].lower if coefficient > 0 else found[name].upper", "found[name].upper if coefficient > 0 else found[name].lower", "witnesses_are_certain"),
    ("witness rounded", "witness", "shortened=False", "shortened=True", "witnesses_are_replayed"),
    # reader.py and network.py
    ("duplicate keys", "reader", "if len(result) != len(items):", "if False:", "JSON: duplicate key"),
    ("any spelling", "reader", "if again != text:", "if False:", "JSON: space"),
    ("floats", "reader", "parse_float=refuse", "parse_float=str", "JSON: float"),
    ("true is 1", "reader", "if type(data[name]) is not kind:", "if not isinstance(data[name], kind):", "claim: true as strict"),
    ("unknown fields", "reader", "if name not in types:", "if False:", "claim: unknown field"),
    ("gaps and overlaps", "reader", "if start != end:", "if False:", "safetensors: overlap"),
    ("trailing tensor data", "reader", "if end != len(data):", "if False:", "safetensors: trailing byte"),
    ("trailing bytes", "reader", "or inflate.unused_data", "", "container: trailing byte"),
    ("no zlib checksum", "reader", "or not inflate.eof", "", "container: truncated body"),
    ("rational not in lowest terms", "reader", "if str(value) != text:", "if False:", "rational: lowest terms"),
    ("bound twice", "network", "if node.name in nodes:", "if False:", "graph: bound twice"),
    ("any name", "network", "if NAME.fullmatch(name) is None:", "if False:", "graph: control character in a name"),
    ("any dtype", "network", "if nodes[source].dtype != dtype:", "if False:", "graph: other dtype than its inputs"),
    ("any shape", "network", "if derived != node.shape:", "if False:", "graph: declared shape"),
    ("undeclared tensors", "network", "for name in tensors:", "for name in ():", "graph: undeclared tensor"),
    # balls
    ("any direction", "claim", "if len(direction) != len(self.center) or size > 1:", "if len(direction) != len(self.center):", "planes_hold"),
    ("directions of the other norm", "claim", "size = max(map(abs, direction), default=0) if self.norm == 1 else sum(v * v for v in direction)", "size = max(map(abs, direction))", "planes_hold"),
    ("sum of magnitudes for a direction", "claim", "size = max(map(abs, direction), default=0) if self.norm == 1", "size = sum(map(abs, direction)) / 2 if self.norm == 1", "planes_hold"),
    ("no direction at all", "claim", "direction), default=0)", "direction))", "balls_are_read"),
    ("plane nearer than the ball", "claim", "most = self.radius + sum(", "most = self.radius * Fraction(9, 10) + sum(", "planes_hold"),
    ("plane about the origin", "claim", "most = self.radius + sum(a * b for", "most = self.radius + sum(0 * b for", "planes_hold"),
    ("plane rounded towards the ball", "claim", "math.floor(-most * (1 << PLANE_BITS))", "math.ceil(-most * (1 << PLANE_BITS) + 1)", "planes_hold"),
    ("plane of the other side", "claim", "[(name, index, -v) for index, v in enumerate(direction) if v]", "[(name, index, v) for index, v in enumerate(direction) if v]", "planes_hold"),
    ("witness in the box alone", "witness", "if box.ball is not None and not box.ball.holds(points):", "if False:", "balls_are_read"),
    ("ball of the other norm", "claim", 'Ball(1 if kind == "l1_ball" else 2,', 'Ball(2 if kind == "l1_ball" else 1,', "balls_are_read"),
    ("directions not binary", "proof", "if any(v.denominator & (v.denominator - 1) or", "if any(False or", "balls_are_read"),
    # claims about float32
    ("one rounding too few", "contract", "self.depth or products) + 1 + more", "self.depth or products) + more", "errors_are_as_written"),
    ("depth of the contract ignored", "contract", "min(products, self.depth or products)", "min(products, 1)", "errors_are_as_written"),
    ("operands rounded for free", "contract", "(1 + operand) ** 2", "1", "errors_are_as_written"),
    ("one operand rounded", "contract", "(1 + operand) ** 2", "(1 + operand)", "errors_are_as_written"),
    ("sums of rounded operands as others", "contract", "max(ROUNDINGS[self.rounding], own or ROUNDINGS[self.rounding])", "ROUNDINGS[self.rounding]", "errors_are_as_written"),
    ("any direction as nearest", "contract", '"any": -23', '"any": -24', "errors_are_as_written"),
    ("flush as gradual underflow", "contract", '"any": -126', '"any": -149', "errors_are_as_written"),
    ("truncated as rounded", "contract", "Fraction(1, 1 << 10), -22", "Fraction(1, 1 << 11), -22", "errors_are_as_written"),
    ("first-order gamma", "contract", "/ (1 - count * unit) - 1", "* (1 + count * unit) - 1", "errors_are_as_written"),
    ("relative error rounded down", "contract", "-(-(error.numerator << RELATIVE_BITS) // error.denominator)", "(error.numerator << 20) // error.denominator << RELATIVE_BITS - 20", "errors_are_as_written"),
    ("gamma of a third", "contract", "if count * unit >= Fraction(1, 4):", "if count * unit >= Fraction(1, 3):", "what_has_no_contract_is_refused"),
    ("gamma of any length", "contract", "if count * unit >= Fraction(1, 4):", "if False:", "what_has_no_contract_is_refused"),
    ("subnormal operands rounded for free", "contract", "else LEAST_TF32", "else LEAST", "subnormal_operands_lose_bits"),
    ("any rounding", "contract", "if found not in known:", "if False:", "what_has_no_contract_is_refused"),
    ("depth of tensor cores", "contract", 'if depth and operands != "float32":', "if False:", "what_has_no_contract_is_refused"),
    ("any depth", "contract", "if not 0 <= depth < 1 << 20:", "if False:", "what_has_no_contract_is_refused"),
    ("any number is a float32", "contract", "return odd.bit_length() <= DIGITS and", "return True or", "what_has_no_contract_is_refused"),
    ("float32 without its largest", "contract", "abs(value) < Fraction(2) ** 128", "True", "what_has_no_contract_is_refused"),
    ("float32 below its least", "contract", "or power > -LEAST", "", "what_has_no_contract_is_refused"),
    ("error without the bias", "program", "parts.append(([abs(v) for v in value.bias.integers], value.bias.exponent))", "pass", "errors_are_as_written"),
    ("error at the lower ends", "program", "far = matrix.magnitude([max(-low, high) for", "far = matrix.magnitude([abs(low + high) // 4 for", "errors_are_as_written"),
    ("error of signed weights", "program", "far = matrix.magnitude(", "far = matrix.forward(", "errors_are_as_written"),
    ("underflow of operands lost", "program", "tiny.append(([reach(x)]", "tiny.append(([0 * reach(x)]", "errors_are_as_written"),
    ("underflow of weights lost", "program", "whole = [extra - floor_to((-w, weight.exponent), 0)", "whole = [0", "errors_are_as_written"),
    ("underflow of results lost", "program", "[2 * max(count, len(terms)) + 3]", "[0]", "errors_are_as_written"),
    ("underflow once", "program", "contract.tiny + 1, products > 0", "contract.tiny - 1, products > 0", "errors_are_as_written"),
    ("error rounded down", "program", "upper = [-(-v >> drop) for v in errors]", "upper = [v >> drop for v in errors]", "errors_are_as_written"),
    ("error of no length", "program", "drop = max(bits(errors) - ERROR_BITS, 0)", "drop = 0", "errors_are_as_written"),
    ("overflow ignored", "program", "if max(bits(sizes) + exponent + rounding.headroom, operands) > OVERFLOW:", "if False:", "overflow_is_refused"),
    ("overflow on the way ignored", "program", "+ rounding.headroom, operands", ", operands", "what_overflows_on_the_way_is_refused"),
    ("overflow of operands ignored", "program", "rounding.headroom, operands)", "rounding.headroom, 0)", "what_overflows_on_the_way_is_refused"),
    ("product in a batch norm not guarded", "rules_affine", "return max(root, math.ceil", "return max(0, math.ceil", "what_overflows_on_the_way_is_refused"),
    ("depth of a mean with its division", "contract", "products) + 1 + more", "products) + 1", "a_deep_op_is_not_made_shallow"),
    ("error left out of the interval", "program", "parts.append(([2 * v for v in error.lower]", "parts.append(([0 for v in error.lower]", "errors_are_charged"),
    ("half the error in the interval", "program", "[2 * v for v in error.upper], error.exponent", "[v for v in error.upper], error.exponent", "errors_are_charged"),
    ("error not charged", "backward", "constant = accumulate(constant, (-lost, row.exponent + error.exponent))", "pass", "errors_are_charged"),
    ("error gained", "backward", "constant = accumulate(constant, (-lost, row.exponent + error.exponent))", "constant = accumulate(constant, (lost, row.exponent + error.exponent))", "errors_are_charged"),
    ("error of signed coefficients", "backward", "lost = sum(abs(a) * e for", "lost = sum(a * e for", "errors_are_charged"),
    ("no rounding in the program", "lowering", "if self.contract is not None and products is not None:", "if False:", "proofs_are_about_executions"),
    ("sums rounded once", "lowering", "Rounding.of(self.contract, terms, products, divisors, more, headroom)", "Rounding.of(self.contract, terms, 0, divisors)", "errors_are_as_written"),
    ("any contract for any program", "claim", "if contract != program.contract:", "if False:", "proofs_are_about_executions"),
    ("graph read for real numbers", "__init__", "read_program(graph, parameters, contract_of(claim))", "read_program(graph, parameters)", "proofs_are_about_executions"),
    ("flushed outputs forgotten", "proof", "claim.flushed(program)", "claim.bad", "flushed_outputs_count"),
    ("one output of two", "claim", "len(program.outputs) == 1 and ", "", "flush_is_per_use"),
    ("one exact output", "claim", " and _read_once(program, program.outputs[0])", "", "flushed_outputs_count"),
    ("entries read twice", "claim", "if len(set(used)) < len(used):", "if False:", "flush_is_per_use"),
    ("constants flushed for free", "claim", "if value.bias is not None or len(value.terms) != 1 or", "if len(value.terms) != 1 or", "flush_is_per_use"),
    ("flush of outputs gained", "claim", "row.bound - tiny", "row.bound + tiny", "flush_is_per_use"),
    ("double precision executed in single", "network", 'if node.dtype != "float32":', "if False:", "what_has_no_contract_is_refused"),
    ("constants rounded for free", "network", "if kind is str and not representable(", "if False and not representable(", "what_has_no_contract_is_refused"),
    ("add is exact", "rules_affine", "(b, scaled(node.size))], products=0)", "(b, scaled(node.size))])", "errors_are_as_written"),
    ("sub is exact", "rules_affine", "(b, scaled(node.size, -1))], products=0)", "(b, scaled(node.size, -1))])", "errors_are_as_written"),
    ("mean without its division", "rules_affine", "products=area, divisors=divisors, more=1", "products=area - 1, divisors=divisors", "errors_are_as_written"),
    ("batch norm is exact", "rules_affine", "[(shifted, matrix)], offset, products=1, more=BATCH_NORM_ROUNDINGS - 1)", "[(shifted, matrix)], offset)", "batch_norms_are_covered"),
    ("cancellation of a batch norm", "rules_affine", "products=1, more=BATCH_NORM_ROUNDINGS - 1, headroom=headroom", "", "batch_norms_are_covered"),
    ("scale of a batch norm of any size", "rules_affine", "or any(scale > 40 * (1 + c) or (scale and not c) for", "or any((scale and not c) for", "what_has_no_contract_is_refused"),
    ("batch norm of any range", "rules_affine", "    if context.contract is not None:\n        headroom = _check_ranges", "    if False:\n        headroom = _check_ranges", "what_has_no_contract_is_refused"),
    ("half away from zero", "contract", "rest == half and kept & 1", "rest == half", "rounding_is_ieee"),
    ("rounded down", "contract", "kept += rest > half or", "kept += False and", "rounding_is_ieee"),
    ("quotient without what is left", "contract", "kept << 1 | (rest != 0)", "kept << 9 | (rest != 0)", "rounding_is_ieee"),
    ("infinities", "contract", "if result >= LARGEST:", "if False:", "overflow_is_refused"),
    ("products never rounded", "execution", "if order.fma:", "if True:", "executions_agree"),
    ("products always rounded", "execution", "if order.fma:", "if False:", "executions_agree"),
    ("bias always last", "execution", "if bias is not None and order.bias_first:", "if False:", "executions_agree"),
    ("leaky relu never rounded", "execution", "return [nearest(v, places) for v in total]", "return [v >> places for v in total]", "executions_agree"),
    ("order ignored", "execution", "chosen = [k for k in order.places if k < len(pairs)]", "chosen = [k for k in range(len(order.places)) if k < len(pairs)]", "executions_are_replayed"),
    ("a term twice", "execution", "if sorted(items(places, int, \"places\")) != list(range(len(places))):", "if False:", "executions_are_replayed"),
    ("any depth of sums", "execution", "if contract.depth and order.depth", "if False and order.depth", "executions_are_replayed"),
    ("any input", "execution", "if not representable(point):", "if False:", "executions_are_replayed"),
    ("order of what has none", "execution", "if value is None or value.rounding is None or not value.rounding.ordered:", "if value is None:", "executions_are_replayed"),
]  # fmt: skip


def mutant(folder: Path, module: str, old: str, new: str, source: Path = SOURCE):
    """The modules of a copy of the kernel (or another package) in which `old`, found once, is `new`."""
    package = f"wrong_{source.name}_{next(serial)}"
    shutil.copytree(source, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (folder / package).glob("*.py"):
        text = path.read_text()
        if path.stem == module:
            assert text.count(old) == 1, f"{module}.py no longer has one {old!r}: bring this row up to date"
            text = text.replace(old, new)
        path.write_text(text.replace(f"tlverify.certify.{source.name}", package))
    return package


@pytest.mark.parametrize(("module", "old", "new", "law"), [row[1:] for row in MUTANTS], ids=[row[0] for row in MUTANTS])
def test_wrong_kernel_is_caught(tmp_path, monkeypatch, module, old, new, law):
    package = mutant(tmp_path, module, old, new)
    monkeypatch.syspath_prepend(tmp_path)
    try:
        with pytest.raises((AssertionError, OverflowError)):
            PROPERTIES[law](load(package))
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == package]:
            del sys.modules[name]


def test_an_unchanged_copy_obeys(tmp_path, monkeypatch):
    package = mutant(tmp_path, "errors", "MAX_RANK = 16", "MAX_RANK = 16")
    monkeypatch.syspath_prepend(tmp_path)
    copy = load(package)
    assert copy.api.check is not real.check
    for law in {row[4] for row in MUTANTS} - SLOW:
        PROPERTIES[law](copy)
