"""`tlverify inspect`"""

from __future__ import annotations

import math
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tlverify.cli.output import print_json
from tlverify.cli.report import printable
from tlverify.graph import digest, to_dot
from tlverify.graph.canonical import structure
from tlverify.interop import load_graph


def inspect(path: Path, dot: bool, as_json: bool) -> None:
    """Print a table, Graphviz text, or JSON."""
    graph = load_graph(path)
    if dot:
        sys.stdout.write(to_dot(graph))
        return
    if as_json:
        print_json({"digest": digest(graph), "parameters": graph.parameter_count, "graph": structure(graph)})
        return
    shapes = graph.types
    own = {parameter.name for parameter in graph.parameters}
    table = Table("name", "op", "inputs", "type", "parameters", show_edge=False, box=None, pad_edge=False)
    table.columns[-1].justify = "right"
    for value in graph.inputs:
        table.add_row(*map(_text, (value.name, "input", "", value.type, "")))
    for node in graph.nodes:
        count = sum(math.prod(shapes[source].shape) for source in node.inputs if source in own)
        words = [node.op, *(f"{key}={value}" for key, value in node.attributes.items())]
        sources = ", ".join(node.inputs)
        table.add_row(*map(_text, (node.name, " ".join(words), sources, node.type, f"{count:,}" if count else "")))
    console = Console()
    console.print(table)
    console.print(_text(f"\noutputs     {', '.join(graph.outputs)}"))
    console.print(f"parameters  {graph.parameter_count:,}", highlight=False)
    console.print(f"digest      {digest(graph)}", highlight=False)


def _text(value: object) -> Text:
    return Text(printable(str(value)))
