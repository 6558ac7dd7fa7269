"""Passes: pure functions Graph -> Graph, run in this order by `optimize`."""

from __future__ import annotations

from nnlite.graph.ir import Graph
from nnlite.graph.passes.batch_norm import fold_scales, fuse_sum_and_relu
from nnlite.graph.passes.clipping import scale_in_update
from nnlite.graph.passes.column_sums import fuse_column_sums
from nnlite.graph.passes.control import join_pads, open_control
from nnlite.graph.passes.cross_entropy import fuse_cross_entropy
from nnlite.graph.passes.epilogue import fuse_epilogues
from nnlite.graph.passes.fuse import fuse_elementwise
from nnlite.graph.passes.image_blocks import block_images
from nnlite.graph.passes.linear_maps import move_products
from nnlite.graph.passes.pack import hoist, pack_weights
from nnlite.graph.passes.pool_epilogue import fuse_pools
from nnlite.graph.passes.pooling import relu_before_pool_grad
from nnlite.graph.passes.recurrent import project_tables, trim_recurrent
from nnlite.graph.passes.recurrent_gradients import join_recurrent_gradients
from nnlite.graph.passes.reshapes import sink_reshapes
from nnlite.graph.passes.residuals import fuse_residuals
from nnlite.graph.passes.simplify import read_before_broadcast, simplify


def optimize(graph: Graph) -> Graph:
    """All passes that make a graph cheaper without changing what it computes."""
    graph = simplify(graph)
    graph = join_pads(graph)
    graph = open_control(graph, _optimize_body)
    graph = move_products(graph)
    graph = read_before_broadcast(graph)
    graph = relu_before_pool_grad(graph)
    graph = fuse_sum_and_relu(graph)
    graph = fold_scales(graph)
    graph = scale_in_update(graph)
    graph = sink_reshapes(graph)
    graph = fuse_epilogues(graph)
    graph = project_tables(graph)
    graph = join_recurrent_gradients(graph)
    graph = pack_weights(graph)
    graph = fuse_cross_entropy(graph)
    graph = fuse_residuals(graph)
    graph = fuse_pools(graph)
    graph = fuse_column_sums(graph)
    graph = fuse_elementwise(graph)
    graph = trim_recurrent(graph)
    return block_images(hoist(graph))


def _optimize_body(graph: Graph) -> Graph:
    """The passes for bodies of loops and branches: what depends on weights alone stays, for it may not run at all."""
    graph = simplify(graph)
    graph = join_pads(graph)
    graph = open_control(graph, _optimize_body)
    graph = read_before_broadcast(graph)
    graph = relu_before_pool_grad(graph)
    graph = sink_reshapes(graph)
    graph = fuse_epilogues(graph)
    graph = fuse_pools(graph)
    graph = fuse_column_sums(graph)
    return fuse_elementwise(graph)
