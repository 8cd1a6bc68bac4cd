"""Images per second, and the time that is left."""

import time

import torch

from nas.runtime.progress import duration


class Throughput:
    """Timer of the epochs of one session: ``steps`` steps of ``batch_size`` images, then evaluation and writing."""

    def __init__(self, steps: int, epochs: int, batch_size: int) -> None:
        self.steps, self.epochs, self.batch_size = steps, epochs, batch_size
        self.mark = time.monotonic()
        self.after_steps = 0.0  # seconds that the last epoch took besides its steps
        self.start_epoch(0)

    def start_epoch(self, step: int) -> None:
        """Start timing an epoch's steps, from ``step`` on."""
        self.first = step
        self.begun = time.monotonic()

    def end_steps(self, step: int) -> None:
        """Stop timing the steps, once the device has finished them."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.images_per_second = self.speed(step)
        self.steps_ended = time.monotonic()

    def end_epoch(self) -> None:
        """Note the time that evaluation and writing took."""
        self.after_steps = time.monotonic() - self.steps_ended

    def speed(self, step: int) -> float:
        """Return the images per second of the epoch's steps up to ``step``."""
        return self.batch_size * (step - self.first) / max(time.monotonic() - self.begun, 1e-9)

    def seconds_left(self, epoch: int, step: int) -> float:
        """Estimate the seconds to the end of the run from ``step`` of ``epoch`` (from 0)."""
        images = self.batch_size * (self.steps * (self.epochs - epoch) - step)
        return images / max(self.speed(step), 1e-9) + self.after_steps * (self.epochs - epoch)

    def step_line(
        self, epoch: int, step: int, loss: float, accuracy: float | None, lr: float, nonfinite: object = ""
    ) -> str:
        """Return the status line within an epoch; ``nonfinite`` is appended."""
        place = f"epoch {epoch + 1}/{self.epochs} step {step}/{self.steps}"
        known = step > self.first  # before the first step nothing can be estimated
        left = [f"{duration(self.seconds_left(epoch, step))} left"] if known else []
        speed = [f"{self.speed(step):.0f} images/s"] if known else []
        loss_line = [f"loss {loss:.3f}" + ("" if accuracy is None else f" acc {accuracy:.1%}")]
        return " | ".join([place, *left, *loss_line, *speed, f"lr {lr:.4f}"]) + str(nonfinite)

    def take(self) -> float:
        """Return the seconds since the last call, or since the session's start."""
        before, self.mark = self.mark, time.monotonic()
        return self.mark - before
