"""Networks in the formats of others."""

from tlverify.interop.files import load_graph as load_graph
