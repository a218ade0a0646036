"""The built-in plugin: everything that ships with rerankit registers here, by the same hooks as everybody.

Paths instead of classes: a stage's module is imported when the stage is first used, so torch is not needed
to use the stages that do without it.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping
from pathlib import Path

from rerankit.plugins.markers import hookimpl
from rerankit.plugins.spec import Register

STAGES = {
    "alpha-qe": "rerankit.stages.neighbours.alpha_qe:AlphaQE",
    "auto": "rerankit.choosing.auto:Auto",
    "calibrate": "rerankit.stages.fusion.calibrate:Calibrate",
    "consensus": "rerankit.stages.neighbours.consensus:Consensus",
    "cross-encoder": "rerankit.stages.cross_encoder.stage:CrossEncoder",
    "csls": "rerankit.stages.hubness.csls:CSLS",
    "dba": "rerankit.stages.neighbours.dba:DBA",
    "diffusion": "rerankit.stages.neighbours.diffusion:Diffusion",
    "dual-is": "rerankit.stages.hubness.dual_is:DualIS",
    "dual-softmax": "rerankit.stages.hubness.dual_softmax:DualSoftmax",
    "fuse": "rerankit.stages.fusion.fuse:Fuse",
    "gnn": "rerankit.stages.neighbours.gnn:GNN",
    "hmrn": "rerankit.stages.hmrn.stage:HmrnStage",
    "inverted-softmax": "rerankit.stages.hubness.inverted_softmax:InvertedSoftmax",
    "k-reciprocal": "rerankit.stages.neighbours.k_reciprocal:KReciprocal",
    "learned-fusion": "rerankit.stages.fusion.learned_fusion:LearnedFusion",
    "maxsim": "rerankit.stages.maxsim.stage:MaxSim",
    "metric": "rerankit.stages.metric.stage:MetricStage",
    "mutual-neighbours": "rerankit.stages.hubness.mutual_neighbours:MutualNeighbours",
    "mutual-rank": "rerankit.stages.hubness.mutual_rank:MutualRank",
    "nnn": "rerankit.stages.hubness.nnn:NNN",
    "pipeline": "rerankit.pipelines.pipeline:Pipeline",
    "pillar": "rerankit.stages.pillar.stage:Pillar",
    "pillar-plus": "rerankit.stages.pillar.plus.stage:PillarPlus",
    "pillar-small": "rerankit.stages.pillar.small:PillarSmall",
    "plan": "rerankit.stages.plan.stage:TransportPlan",
    "qb-norm": "rerankit.stages.hubness.qb_norm:QBNorm",
    "remote": "rerankit.stages.remote.stage:Remote",
    "sinkhorn": "rerankit.stages.hubness.sinkhorn:Sinkhorn",
    "top": "rerankit.pipelines.top:Top",
    "triplet": "rerankit.stages.triplet.stage:Triplet",
}

FAMILIES = {
    "hubness": (
        "items that come up for everybody fall back",
        ("sinkhorn", "plan", "inverted-softmax", "dual-softmax", "dual-is", "qb-norm", "nnn", "csls"),
    ),
    "both directions": ("query and item must find each other", ("mutual-rank", "mutual-neighbours")),
    "neighbours": (
        "items that are alike speak for each other, where several are right",
        ("k-reciprocal", "gnn", "alpha-qe", "dba", "diffusion", "consensus"),
    ),
    "fusion": ("opinions put together", ("fuse", "learned-fusion", "calibrate", "pipeline", "top")),
    "metric": ("similarities learned from labelled pairs, in closed form", ("metric",)),
    "choice": ("what gains significantly, or nothing", ("auto",)),
    "pillars": ("learned over similarities alone", ("pillar-plus", "pillar", "pillar-small")),
    "reading": ("models that read query and item themselves", ("triplet", "cross-encoder", "remote", "hmrn", "maxsim")),
}
"""What the stages that ship have in common: a text and the names of each family."""

METRICS = {
    "map": "rerankit.metrics.average_precision:average_precision",
    "map_all": "rerankit.metrics.average_precision:average_precision_all",
    "map_at_r": "rerankit.metrics.average_precision:average_precision_at_r",
    "map_trapezoid": "rerankit.metrics.average_precision:average_precision_trapezoid",
    "mean_rank": "rerankit.metrics.rank:mean_rank",
    "median_rank": "rerankit.metrics.rank:median_rank",
    "mrr": "rerankit.metrics.reciprocal_rank:reciprocal_rank",
    "ndcg": "rerankit.metrics.gain:ndcg",
    "neg_recall": "rerankit.metrics.recall:neg_recall",
    "precision": "rerankit.metrics.recall:precision",
    "precision_found": "rerankit.metrics.recall:precision_found",
    "r_precision": "rerankit.metrics.recall:r_precision",
    "recall": "rerankit.metrics.recall:recall",
    "rsum": "rerankit.metrics.rsum:rsum",
    "subset_success": "rerankit.metrics.success:subset_success",
    "success": "rerankit.metrics.success:success",
}

TASKS = {
    "circo": "rerankit.tasks.circo:CIRCO",
    "cirr": "rerankit.tasks.cirr:CIRR",
    "circus": "rerankit.tasks.circus:CIRCUS",
    "coco-1k": "rerankit.tasks.coco:Coco1K",
    "coco-5k": "rerankit.tasks.coco:Coco5K",
    "eccv-caption": "rerankit.tasks.eccv_caption:EccvCaption",
    "fashion-iq": "rerankit.tasks.fashion_iq:FashionIQ",
    "flickr30k": "rerankit.tasks.flickr30k:Flickr30K",
    "generic": "rerankit.tasks.generic:Generic",
    "market1501": "rerankit.tasks.market1501:Market1501",
    "pinpoint": "rerankit.tasks.pinpoint:PinPoint",
    "roxford5k": "rerankit.tasks.revisited:ROxford",
    "rparis6k": "rerankit.tasks.revisited:RParis",
    "visual-genome": "rerankit.tasks.visual_genome:VisualGenome",
}

FORMATS = {
    "npy": "rerankit.formats.npy:NpyFormat",
    "npz": "rerankit.formats.npz:NpzFormat",
    "safetensors": "rerankit.formats.safetensors:SafetensorsFormat",
    "pt": "rerankit.formats.pt:PtFormat",
    "mat": "rerankit.formats.mat:MatFormat",
    "csv": "rerankit.formats.delimited:CsvFormat",
    "tsv": "rerankit.formats.delimited:TsvFormat",
    "trec-run": "rerankit.formats.trec:TrecRunFormat",
    "trec-qrels": "rerankit.formats.trec:TrecQrelsFormat",
    "trec-text": "rerankit.formats.trec:TrecTextFormat",
    "json-run": "rerankit.formats.json_lists:JsonRunFormat",
    "json-qrels": "rerankit.formats.json_lists:JsonQrelsFormat",
    "json-lines": "rerankit.formats.json_lines:JsonLinesFormat",
    "parquet": "rerankit.formats.parquet:ParquetFormat",
    "folder": "rerankit.formats.folder:FolderFormat",
}


ENGINES = {
    "local": "rerankit.engines.local:Local",
    "ray": "rerankit.engines.ray:Ray",
}


FUSION_RULES = {
    "borda": "rerankit.fusion:borda",
    "combmnz": "rerankit.fusion:combmnz",
    "copeland": "rerankit.aggregation:majorities",
    "isr": "rerankit.aggregation:inverse_squares",
    "rrf": "rerankit.fusion:reciprocal_ranks",
    "sum": "rerankit.fusion:weighted_sum",
}

CHARTS = {
    "before-after": "rerankit.reports.charts.before_after:before_after",
    "cost": "rerankit.reports.charts.cost:cost",
    "differences": "rerankit.reports.charts.differences:differences",
}

IMPORTERS = {name: f"rerankit.cli.import_:{name}" for name in ("hmrn", "pillar", "triplet")}

SCORERS = {name: f"rerankit.cli.score:{name}" for name in ("hmrn", "triplet")}

NEEDS = {
    "complete_scores": "rerankit.pipelines.needs:CompleteScores",
    "embeddings": "rerankit.pipelines.needs:Embeddings",
    "gallery_bank": "rerankit.pipelines.needs:GalleryBank",
    "gallery_scores": "rerankit.pipelines.needs:GalleryScores",
    "other_queries": "rerankit.pipelines.needs:OtherQueries",
    "query_bank": "rerankit.pipelines.needs:QueryBank",
    "query_scores": "rerankit.pipelines.needs:QueryScores",
    "weights": "rerankit.pipelines.needs:Weights",
}


def _registering(paths: Mapping[str, str]) -> Callable[[Register], None]:
    """A hook that registers names with their paths."""

    @hookimpl
    def registered(register: Register) -> None:
        for name, path in paths.items():
            register(name, path)

    return registered


rerankit_register_stages = _registering(STAGES)
rerankit_register_metrics = _registering(METRICS)
rerankit_register_tasks = _registering(TASKS)
rerankit_register_formats = _registering(FORMATS)
rerankit_register_engines = _registering(ENGINES)
rerankit_register_fusion_rules = _registering(FUSION_RULES)
rerankit_register_needs = _registering(NEEDS)
rerankit_register_importers = _registering(IMPORTERS)
rerankit_register_scorers = _registering(SCORERS)
rerankit_register_charts = _registering(CHARTS)


@hookimpl
def rerankit_register_commands(register: Register) -> None:
    folder = Path(__file__).parent / "cli"  # whose files are the commands
    for found in pkgutil.iter_modules([str(folder)]):
        if not found.name.startswith("_"):
            register(found.name.rstrip("_").replace("_", "-"), f"rerankit.cli.{found.name}:{found.name}")
