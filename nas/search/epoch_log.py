"""The files that each epoch of a search leaves: metrics, TensorBoard events and pictures, alphas, genotype."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from nas.core.json_text import format_json
from nas.core.run_files import GENOTYPE, GENOTYPES, JUDGED
from nas.engine.epoch_summary import EpochNotes, EpochSummary
from nas.graph.cell import cell_title
from nas.graph.genotype import Genotype
from nas.graph.genotype_yaml import save_genotype
from nas.graph.provenance import Provenance
from nas.graph.tuple_notation import format_tuple_notation
from nas.plots.cell import cell_pixels
from nas.plots.heatmap import heatmap
from nas.runtime.environment import git_commit, utc_now
from nas.runtime.metrics_log import MetricsLog
from nas.search.alpha_log import append_alphas
from nas.search.collapse import collapse_signs, describe_collapse
from nas.search.method import JudgedCell, SearchView
from nas.search.settings import SearchSettings
from nas.search.settled import changed_picks, even_strength, format_lead, genotype_picks, mean_lead
from nas.search.state import SearchState
from nas.storage.atomic_files import write_file


def current_genotype(state: SearchState, settings: SearchSettings, dataset: str, view: SearchView) -> Genotype:
    """Return the cells that the method derives from the current ``view`` of the search, with their provenance."""
    select = state.method.select
    found = state.supernet.genotype() if select is None else select(view)
    origin = Provenance(
        space=state.supernet.space.name,
        method="" if settings.method == "darts" else settings.method,
        dataset=dataset,
        seed=settings.seed,
        epoch=state.epoch,
        commit=git_commit() or "",
        date=utc_now(),
    )
    parts = [origin.space, origin.method, dataset, f"seed{settings.seed}"]
    return replace(found, name="-".join(filter(None, parts)), origin=origin)


def write_judged_cells(folder: Path, cells: Sequence[JudgedCell]) -> None:
    """Write a row for each cell that the search has trained by itself."""
    rows = [
        {
            "cell": number,
            "epoch": cell.epoch,
            "valid_accuracy": cell.valid_accuracy,
            "genotype": format_tuple_notation(cell.genotype),
        }
        for number, cell in enumerate(cells)
    ]
    write_file(folder / JUDGED, "".join(format_json(row) + "\n" for row in rows).encode())


def log_search_epoch(
    log: MetricsLog,
    folder: Path,
    state: SearchState,
    settings: SearchSettings,
    genotype: Genotype,
    summary: EpochSummary,
) -> EpochNotes:
    """Write the files and metrics of the epoch that has just ended; ``state`` is already at the next one.

    Return the number of changed picks and their lead, and a line on alphas that have collapsed.
    """
    save_genotype(genotype, folder / GENOTYPE)
    save_genotype(genotype, folder / GENOTYPES / f"epoch-{state.epoch:03d}.yaml")
    append_alphas(folder, state.epoch, state.supernet.architecture(), state.supernet.strengths())
    strengths = {kind: values.detach().float().cpu().numpy() for kind, values in state.supernet.strengths().items()}
    sizes = {} if state.objective is None else state.objective.figures(state.supernet.architecture())
    log.scalars(state.epoch, summary.curves() | sizes)
    space = state.supernet.space
    found = {kind: collapse_signs(strengths[kind].tolist(), space, genotype.edges(kind), kind) for kind in space.kinds}
    for kind in space.kinds:
        log.scalars(state.epoch, {f"entropy/{kind}": found[kind].entropy})
        log.scalars(
            state.epoch,
            {f"strength/{kind}/{name}": float(strengths[kind][:, k].mean()) for k, name in enumerate(space.operators)},
        )
        log.picture(state.epoch, f"strengths/{kind}", heatmap(strengths[kind], space, cell_title(kind)))
        log.picture(state.epoch, f"cell/{kind}", cell_pixels(genotype, kind))
    alphas = {kind: asdict(found[kind]) for kind in space.kinds}
    changed = changed_picks(genotype, folder / GENOTYPES / f"epoch-{state.epoch - 1:03d}.yaml")
    rows = {kind: strengths[kind].tolist() for kind in space.kinds}
    of_alphas = state.method.judged is None  # else they are not what the genotype is chosen by
    lead = mean_lead(genotype, rows, space) if of_alphas else None
    picks = {"picks_changed": changed, "lead": lead}
    log.scalars(state.epoch, {name: value for name, value in picks.items() if value is not None})
    log.row({**summary.row(), **sizes, **picks, "alphas": alphas, "genotype": format_tuple_notation(genotype)})
    texts = [text for kind in space.kinds if of_alphas and (text := describe_collapse(kind, found[kind], space))]
    parts = [] if changed is None else [f"picks changed {changed}/{genotype_picks(genotype).total()}"]
    parts += [] if lead is None else [f"lead {format_lead(lead, even_strength(space))}"]
    return EpochNotes(parts, [f"epoch {state.epoch}/{settings.epochs} alphas | {' | '.join(texts)}"] if texts else [])
