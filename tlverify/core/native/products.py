"""Matrix products: as loops whose right factor stays in the cache, or by BLAS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tlverify.core.native import convolution
from tlverify.core.native.schedule import Loop, Product, View, Work, broadcast
from tlverify.graph import Node

NARROW = 8  # columns of the right factor below which BLAS makes a product
FAR = 512  # elements of a sum up to which the left factor may be read across its rows
PANEL = 1 << 18  # elements of the right factor above which it does


class Maker(convolution.Maker):
    """What the planner offers besides; and products."""

    factors: Callable[[Node], tuple[View, View]]
    reduction: Callable[..., View]
    all_products: bool
    copies: dict[View, View]

    def product(self, node: Node, result: View, accumulate: bool) -> View:
        """result = left @ right, or added to it: in a loop if the right matrices stay in the cache, else by BLAS."""
        left, right = self.factors(node)
        (m, k), n = left.shape[-2:], right.shape[-1]
        if not self.all_products and n >= NARROW and k * n <= PANEL and (left.strides[-1] == 1 or k <= FAR):
            lead, right = left.shape[:-2], self.upright(right)
            domain = (*lead, m, k, n)
            a = View(left.buffer, left.offset, domain, (*left.strides, 0))
            b = View(right.buffer, right.offset, domain, (*right.strides[:-2], 0, *right.strides[-2:]))
            loop = Loop(domain, over=(len(lead) + 1,), accumulate=accumulate)
            for view in (a, b):
                self.read(view)
            loop.add_sum(Work("mul", (a, b), domain, node.dtype, node.dtype), result)
            self.push(loop, result)
            return result
        left, right = (self.read(self.matrix(view)) for view in self.factors(node))
        self.push(Product(left, right, result, accumulate), result)
        return result

    def small_product(self, left: View, right: View, dtype: str) -> View:
        """As a sum of products in a loop, along the axis in which `right` is contiguous."""
        *lead, m, k = left.shape
        n, axis = right.shape[-1], len(lead)
        if right.strides[-1] == 1 or (n == 1 and right.strides[-2] != 1):
            domain, over = (*lead, m, k, n), axis + 1
            a = View(left.buffer, left.offset, domain, (*left.strides, 0))
            b = View(right.buffer, right.offset, domain, (*right.strides[:-2], 0, *right.strides[-2:]))
        else:
            domain, over = (*lead, m, n, k), axis + 2
            a = View(left.buffer, left.offset, domain, (*left.strides[:-1], 0, left.strides[-1]))
            b = View(right.buffer, right.offset, domain, (*right.strides[:-2], 0, right.strides[-1], right.strides[-2]))
        return self.reduction("sum", Work("mul", (a, b), domain, dtype, dtype), (over,), dtype)

    def upright(self, view: View) -> View:
        """The view itself if rows lie behind one another, or a copy, which is made once."""
        if view.strides[-1] == 1:
            return view
        if view not in self.copies:
            narrow = tuple(1 if s == 0 else n for n, s in zip(view.shape[:-2], view.strides, strict=False))
            self.copies[view] = self.copy(replace(view, shape=(*narrow, *view.shape[-2:])))
        return broadcast(self.copies[view], view.shape)

    def matrix(self, view: View) -> View:
        """The view itself if BLAS can read its matrices, or a copy."""
        (m, n), (row, column) = view.shape[-2:], view.strides[-2:]
        by_rows = (column == 1 or n == 1) and (row >= n or m == 1)
        by_columns = (row == 1 or m == 1) and (column >= m or n == 1)
        if by_rows or by_columns:
            return view
        zero = [a for a in range(len(view.shape) - 2) if view.strides[a] == 0]
        narrow = replace(view, shape=tuple(1 if a in zero else n for a, n in enumerate(view.shape)))
        return broadcast(self.copy(narrow), view.shape)
