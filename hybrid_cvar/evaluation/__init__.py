"""How well a model recognises the videos of a dataset, on any of its engines.

    VideoDataset + Bundle -> native or Lava engine, ONNX Runtime -> Evaluation      (bundle_evaluation)
    VideoDataset + ckpt.pt -> torch, quantised or float          -> Evaluation      (checkpoint_evaluation)

Every engine sees the same clips: uniformly spread over a video, centre crop, their logits averaged (paper Sec. 4.1).
`checkpoint_evaluation` needs torch and is imported by those who have it; the rest does not.
"""

from hybrid_cvar.evaluation.bundle_evaluation import evaluate_bundle
from hybrid_cvar.evaluation.evaluator import EvaluationObserver, was_interrupted
from hybrid_cvar.evaluation.journal import journal_path
from hybrid_cvar.evaluation.labels import match_labels
from hybrid_cvar.evaluation.selection import select_videos

__all__ = [
    "EvaluationObserver",
    "evaluate_bundle",
    "journal_path",
    "match_labels",
    "select_videos",
    "was_interrupted",
]
