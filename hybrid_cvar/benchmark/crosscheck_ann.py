"""MACs of the ANN partition's ONNX nodes beside what torch and NeuroBench count on the model they were exported from.

A node's scope is the torch module that it was exported from, which the exporter writes into the graph. Folding the
normalisation renames a patch embedding's layer to the embedding itself (`model.deployed_ann`); it counts the same.
"""

import ast
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from hybrid_cvar.benchmark.crosscheck import FLOP_COUNTER, NEUROBENCH, Comparison, NeuroBench
from hybrid_cvar.compiler.onnx_export import export_ann
from hybrid_cvar.model import DeployedAnn, HybridCvarModel, ModelConfig
from hybrid_cvar.model.ann_partition import AnnPartition
from hybrid_cvar.runtime.dense_engine import DenseEngine

__all__ = ["compare_ann", "macs_by_scope", "padding_taps"]

SCOPES = "pkg.torch.onnx.name_scopes"
PREFIX = "ann."
CLASSES = 16
SEED = 0


def compare_ann(config: ModelConfig, neurobench: NeuroBench | None) -> list[Comparison]:
    """A seeded model's MACs a clip, in all and module by module.

    Against FlopCounterMode: FLOPs / 2 of the source model's ANN partition, the whole and every module that multiplies:
    layers, and attention's two products. Against NeuroBench: its dense count of every convolution and linear layer,
    which leaves out the taps that fall on padding; they are taken off ours.

    Args:
        config: of the model.
        neurobench: None to leave its comparisons out.
    """
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        ann = HybridCvarModel(config, CLASSES).ann.eval().requires_grad_(False)
    ours = macs_by_scope(ann)
    inputs = _example(ann)
    theirs, calls = _flops_and_calls(ann, inputs)
    rows = [Comparison(f"{config.name}: MACs a clip", FLOP_COUNTER, sum(ours.values()), sum(theirs.values()) // 2)]
    scope_of = {name: _scope(name, ours) for name in theirs}
    for scope in sorted({*ours, *scope_of.values()}):
        flops = sum(count for name, count in theirs.items() if scope_of[name] == scope)
        rows.append(Comparison(f"{config.name}: {scope}", FLOP_COUNTER, ours.get(scope, 0), flops // 2))
    if neurobench is not None:
        modules = dict(ann.named_modules())
        layers = sorted({_scope(name, ours) for name in calls})
        for scope in layers:
            of_scope = [(modules[name], each) for name in calls if _scope(name, ours) == scope for each in calls[name]]
            padded = sum(padding_taps(layer, tuple(values.shape)) for layer, values in of_scope)
            dense = sum(neurobench.dense(layer, values) for layer, values in of_scope)
            name = f"{config.name}: {scope}, taps on padding left out"
            rows.append(Comparison(name, NEUROBENCH, ours.get(scope, 0) - padded, dense))
    return rows


def macs_by_scope(ann: AnnPartition) -> dict[str, int]:
    """MACs of one clip by the module whose own operators they are, counted on the exported graph, as a run does."""
    with tempfile.TemporaryDirectory(prefix="hybrid-cvar-bench-") as folder:
        path = Path(folder) / "ann.onnx"
        export_ann(DeployedAnn(ann).eval(), "crosscheck", tuple(map(str, range(CLASSES))), path)
        feed = {each.name: np.zeros((1, *each.shape), dtype=each.dtype) for each in ann.inputs}
        counted = DenseEngine(path, CLASSES).count_macs(feed)
        nodes = {node.name: node for node in onnx.load(path).graph.node}
    macs: Counter[str] = Counter()
    for node in counted:
        macs[_node_scope(nodes[node.name])] += node.macs
    return dict(macs)


def padding_taps(layer: nn.Module, input_shape: tuple[int, ...]) -> int:
    """Products of one call that fall on a convolution's padding, where the input is always zero; 0 of a linear layer.

    Args:
        layer: a linear or a zero-padded convolution layer.
        input_shape: (N, C, ...).
    """
    if not isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        return 0
    inside = outside = 1
    sides = input_shape[2:]
    assert not isinstance(layer.padding, str)
    for side, kernel, stride, padding, dilation in zip(
        sides, layer.kernel_size, layer.stride, layer.padding, layer.dilation, strict=True
    ):
        outputs = (side + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
        taps = np.arange(outputs)[:, None] * stride - padding + np.arange(kernel) * dilation
        outside *= taps.size
        inside *= int(np.count_nonzero((taps >= 0) & (taps < side)))
    return int((outside - inside) * input_shape[0] * layer.out_channels * layer.in_channels // layer.groups)


def _node_scope(node: onnx.NodeProto) -> str:
    written = next(each.value for each in node.metadata_props if each.key == SCOPES)
    scope: str = ast.literal_eval(written)[-2]
    return scope.removeprefix(PREFIX)


def _example(ann: AnnPartition) -> list[torch.Tensor]:
    """One clip of zeros, as `AnnPartition.forward` takes it."""
    inputs = []
    for each in ann.inputs:
        zeros = torch.zeros((1, *each.shape), dtype=getattr(torch, each.dtype))
        inputs.append(zeros.permute(0, 3, 1, 2).float() if each.kind == "membrane" else zeros)
    return inputs


def _flops_and_calls(
    ann: AnnPartition, inputs: list[torch.Tensor]
) -> tuple[dict[str, int], dict[str, list[torch.Tensor]]]:
    """FLOPs by the module whose own operators they are; the inputs of every convolution and linear layer's calls."""
    calls: dict[str, list[torch.Tensor]] = {}
    hooks = [
        module.register_forward_pre_hook(
            lambda _, arguments, name=name: calls.setdefault(name, []).append(arguments[0].detach())
        )
        for name, module in ann.named_modules()
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d)
    ]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        ann(*inputs)
    for hook in hooks:
        hook.remove()
    of_module: dict[str, int] = {}
    root = type(ann).__name__
    for name, flops in counter.get_flop_counts().items():
        if name == root or name.startswith(f"{root}."):
            of_module[name.removeprefix(root).removeprefix(".")] = sum(flops.values())
    own = {name: flops - _of_children(name, of_module) for name, flops in of_module.items()}
    return {name: flops for name, flops in own.items() if flops}, calls


def _of_children(name: str, flops: Mapping[str, int]) -> int:
    """FLOPs of the nearest modules below `name` that were entered."""
    below = [other for other in flops if other != name and other.startswith(f"{name}." if name else "")]
    nearest = [one for one in below if not any(one.startswith(f"{other}.") for other in below)]
    return sum(flops[one] for one in nearest)


def _scope(name: str, scopes: Mapping[str, int]) -> str:
    """The module itself if nodes were exported from it, or else the nearest one around it."""
    while name and name not in scopes:
        name = name.rpartition(".")[0]
    return name
