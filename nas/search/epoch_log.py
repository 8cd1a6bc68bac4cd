"""What each epoch of a search leaves: a line on the console, a row of metrics, events, pictures, the genotype."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path

from nas.core.run_files import GENOTYPE, GENOTYPES
from nas.graph.cell import CELL_KINDS
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
from nas.search.settings import SearchSettings
from nas.search.state import SearchState


@dataclass(frozen=True)
class SearchEpoch:
    """An epoch's losses and accuracies (0..1), learning rate, speed over its steps, seconds since the start."""

    epoch: int
    train_loss: float
    train_accuracy: float
    valid_loss: float
    valid_accuracy: float
    lr: float
    images_per_second: float | None  # of the weights' half; as many of the alphas' go with them
    seconds: float
    skipped: int = 0  # steps


def search_epoch_line(figures: SearchEpoch, epochs: int) -> str:
    """What an epoch came to."""
    train = f"train loss {figures.train_loss:.3f} acc {figures.train_accuracy:.1%}"
    valid = f"valid loss {figures.valid_loss:.3f} acc {figures.valid_accuracy:.1%}"
    speed = f"{figures.images_per_second or 0:.0f} images/s"
    skipped = f" | skipped steps: {figures.skipped}" if figures.skipped else ""
    return f"epoch {figures.epoch + 1}/{epochs} done | {train} | {valid} | lr {figures.lr:.4f} | {speed}{skipped}"


def current_genotype(state: SearchState, settings: SearchSettings, dataset: str) -> Genotype:
    """The cells that the alphas stand for now, with where they come from."""
    found = state.supernet.genotype()
    origin = Provenance(
        space=state.supernet.space.name,
        dataset=dataset,
        seed=settings.seed,
        epoch=state.epoch,
        commit=git_commit() or "",
        date=utc_now(),
    )
    return replace(found, name=f"{origin.space}-{dataset}-seed{settings.seed}", origin=origin)


def log_search_epoch(
    tracker: MetricsLog,
    folder: Path,
    state: SearchState,
    settings: SearchSettings,
    dataset: str,
    figures: SearchEpoch,
) -> str:
    """Write down the epoch that has just ended; ``state`` already stands in front of the next one.

    Gives a line on alphas that have degenerated; an empty one where none have.
    """
    genotype = current_genotype(state, settings, dataset)
    save_genotype(genotype, folder / GENOTYPE)
    save_genotype(genotype, folder / GENOTYPES / f"epoch-{state.epoch:03d}.yaml")
    append_alphas(folder, state.epoch, state.supernet.alphas())
    strengths = {kind: values.detach().float().cpu().numpy() for kind, values in state.supernet.strengths().items()}
    curves = {name: value for name, value in asdict(figures).items() if name != "epoch" and value is not None}
    sizes = {} if state.objective is None else state.objective.figures(state.supernet.alphas())
    tracker.scalars(state.epoch, curves | sizes)
    space = state.supernet.space
    found = {kind: collapse_signs(strengths[kind].tolist(), space, genotype.edges(kind)) for kind in CELL_KINDS}
    for kind in CELL_KINDS:
        tracker.scalars(state.epoch, {f"entropy/{kind}": found[kind].entropy})
        tracker.scalars(
            state.epoch,
            {f"strength/{kind}/{name}": float(strengths[kind][:, k].mean()) for k, name in enumerate(space.operators)},
        )
        tracker.picture(state.epoch, f"strengths/{kind}", heatmap(strengths[kind], space, f"{kind} cell"))
        tracker.picture(state.epoch, f"cell/{kind}", cell_pixels(genotype, kind))
    alphas = {kind: asdict(found[kind]) for kind in CELL_KINDS}
    tracker.row({**asdict(figures), **sizes, "alphas": alphas, "genotype": format_tuple_notation(genotype)})
    texts = [text for kind in CELL_KINDS if (text := describe_collapse(kind, found[kind], space))]
    return f"epoch {state.epoch}/{settings.epochs} alphas | {' | '.join(texts)}" if texts else ""
