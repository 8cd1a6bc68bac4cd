"""What each epoch of a search leaves: a line on the console, a row of metrics, events, pictures, the genotype."""

import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from nas.core.environment import git_commit, now
from nas.core.progress import duration
from nas.core.tracking import Tracker, pixels
from nas.engine.search_state import SearchState
from nas.engine.settings import SearchSettings
from nas.graph.cell import CELLS
from nas.graph.draw import cell_png
from nas.graph.genotype import Genotype
from nas.graph.genotype_yaml import save_genotype
from nas.graph.heatmap import heatmap
from nas.graph.origin import Origin
from nas.graph.tuple_notation import format_tuple_notation

GENOTYPE = "genotype.yaml"


@dataclass(frozen=True)
class EpochFigures:
    """An epoch's losses and accuracies (0..1), learning rate, speed over its steps, and seconds since the start."""

    epoch: int
    train_loss: float
    train_accuracy: float
    valid_loss: float
    valid_accuracy: float
    lr: float
    images_per_second: float  # of the weights' half; as many of the alphas' go with them
    seconds: float


class Pace:
    """How fast a sitting goes, and how long it will take."""

    def __init__(self, steps: int, epochs: int, batch_size: int) -> None:
        self.steps, self.epochs, self.batch_size = steps, epochs, batch_size
        self.mark = time.monotonic()
        self.rest = 0.0  # seconds that an epoch takes beside its steps
        self.start_epoch(0)

    def start_epoch(self, step: int) -> None:
        """The steps of an epoch begin, at ``step``."""
        self.first, self.begun, self.speed = step, time.monotonic(), 0.0

    def end_steps(self, step: int) -> None:
        """The steps of the epoch are done."""
        self.speed = self._speed(step)
        self.ended = time.monotonic()

    def images_per_second(self, step: int | None = None) -> float:
        """Images per second over the epoch's steps, all of them or those up to ``step``."""
        return self.batch_size * (self.speed if step is None else self._speed(step))

    def seconds_left(self, epoch: int, step: int) -> float:
        """A guess at the time to the search's end, from step ``step`` of epoch ``epoch``."""
        steps = self.steps * (self.epochs - epoch) - step
        return steps / max(self._speed(step), 1e-9) + self.rest * (self.epochs - epoch)

    def take(self) -> float:
        """The seconds since the last call, or since the sitting's start."""
        now_ = time.monotonic()
        passed, self.mark = now_ - self.mark, now_
        return passed

    def _speed(self, step: int) -> float:
        return (step - self.first) / max(time.monotonic() - self.begun, 1e-9)


def step_line(state: SearchState, pace: Pace, loss: float, accuracy: float, lr: float) -> str:
    """Where a search is, in the middle of an epoch."""
    place = f"epoch {state.epoch + 1}/{pace.epochs} step {state.step}/{pace.steps}"
    speed = f"{pace.images_per_second(state.step):.0f} images/s"
    left = duration(pace.seconds_left(state.epoch, state.step))
    return f"{place} | train loss {loss:.3f} acc {accuracy:.1%} | lr {lr:.4f} | {speed} | ETA {left}"


def epoch_line(figures: EpochFigures, epochs: int) -> str:
    """What an epoch came to."""
    train = f"train loss {figures.train_loss:.3f} acc {figures.train_accuracy:.1%}"
    valid = f"valid loss {figures.valid_loss:.3f} acc {figures.valid_accuracy:.1%}"
    pace = f"lr {figures.lr:.4f} | {figures.images_per_second:.0f} images/s | {duration(figures.seconds)}"
    return f"epoch {figures.epoch + 1}/{epochs} done | {train} | {valid} | {pace}"


def current_genotype(state: SearchState, settings: SearchSettings, dataset: str) -> Genotype:
    """The cells that the alphas stand for now, with where they come from."""
    found = state.supernet.genotype()
    origin = Origin(
        space=state.supernet.space.name,
        dataset=dataset,
        seed=settings.seed,
        epoch=state.epoch,
        commit=git_commit() or "",
        date=now(),
    )
    return replace(found, name=f"{origin.space}-{dataset}-seed{settings.seed}", origin=origin)


def record_epoch(
    tracker: Tracker,
    folder: Path,
    state: SearchState,
    settings: SearchSettings,
    dataset: str,
    figures: EpochFigures,
) -> None:
    """Write down the epoch that has just ended; ``state`` already stands in front of the next one."""
    genotype = current_genotype(state, settings, dataset)
    save_genotype(genotype, folder / GENOTYPE)
    save_genotype(genotype, folder / "genotypes" / f"epoch-{state.epoch:03d}.yaml")
    strengths = {kind: values.detach().float().cpu().numpy() for kind, values in state.supernet.strengths().items()}
    tracker.scalars(state.epoch, {name: v for name, v in asdict(figures).items() if name != "epoch"})
    space = state.supernet.space
    for kind in CELLS:
        tracker.scalars(
            state.epoch,
            {f"strength/{kind}/{name}": float(strengths[kind][:, k].mean()) for k, name in enumerate(space.operators)},
        )
        tracker.picture(state.epoch, f"strengths/{kind}", heatmap(strengths[kind], space, f"{kind} cell"))
        tracker.picture(state.epoch, f"cell/{kind}", pixels(cell_png(genotype, kind)))
    tracker.row({**asdict(figures), "genotype": format_tuple_notation(genotype)})
