"""``retrain.py eval=…``: evaluation of a trained network on a test set, from its file alone."""

import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from nas.cli.config import RetrainConfig
from nas.cli.eval_settings import EVAL_SETTINGS
from nas.cli.resume_checks import settings_to_repeat
from nas.cli.setup import setup_process
from nas.core.dataclass_config import build
from nas.core.errors import InputError
from nas.core.formatting import format_plural
from nas.core.json_text import format_json
from nas.core.run_files import CONFIG, ENVIRONMENT
from nas.core.shell_quoting import quote_command, quote_value
from nas.core.terminal import print_lines
from nas.costs.count import Cost, cost
from nas.costs.latency import Latency, measure_latency
from nas.data import Batches, load_dataset
from nas.data.settings import DataSettings
from nas.engine.evaluate import Evaluation, evaluate_batches, finite_or_diverged
from nas.engine.fingerprint import read_resume_anyway
from nas.engine.named_losses import NAMED_LOSSES, check_labels, metric_name, named_metric
from nas.reports.run_folder import read_config
from nas.storage.atomic_files import write_file
from nas.train.network_spec import NetworkSpec, check_spec_fingerprint, check_test_images
from nas.train.trained_network import load_trained


def run_evaluation(config: RetrainConfig, overrides: list[str]) -> None:
    """Evaluate the network in ``config.eval``; print the figures and write them to ``config.output``, if given."""
    keys = [re.split(r"[=@.]", override.lstrip("+~"))[0] for override in overrides]
    for key in keys:
        if key not in EVAL_SETTINGS:
            raise InputError(f"{key}: has no effect with eval=, leave it out")
    device = setup_process(config)
    path = Path(str(config.eval))
    network, spec = load_trained(path)
    dataset = load_dataset(_images(config, overrides, path, spec))
    check_test_images(spec, dataset, path)
    check_labels(spec.loss, dataset)
    assert dataset.test is not None  # checked
    check_spec_fingerprint(spec, f"eval={path}", read_resume_anyway(config.resume_anyway), dataset)
    network = network.to(device)
    if config.channels_last:
        network = network.to(memory_format=torch.channels_last)
    test = dataset.test.to(device)
    mean, std = spec.mean, spec.std
    batches = Batches(test, 2 * config.batch_size, mean=mean, std=std, seed=0, stream="test", shuffle=False)
    with finite_or_diverged(path):
        evaluation = evaluate_batches(
            network,
            batches,
            len(spec.classes),
            precision=config.precision,
            channels_last=config.channels_last,
            loss=NAMED_LOSSES[spec.loss].compute,
            metric=named_metric(spec.loss, None),
        )
    size = cost(network, spec.image_shape)
    latency = measure_latency(network, spec.image_shape, config.precision)
    if config.output is not None:
        classes = list(spec.classes)
        figures = {**asdict(evaluation), "classes": classes, **asdict(size), "latency": asdict(latency)}
        write_file(Path(config.output), format_json(figures, indent=1).encode())
    _print_evaluation(evaluation, size, latency, spec, device)


def _images(config: RetrainConfig, overrides: Sequence[str], path: Path, spec: NetworkSpec) -> DataSettings:
    """Return the images that the command line names with data=…, or else those of the run to which ``path`` belongs.

    A run folder is untrusted: it does not choose a path outside of the working directory, see ``resume=``.
    """
    typed = [re.split(r"[=@]", override.lstrip("+~"))[0] for override in overrides]
    folder = path if path.is_dir() else path.parent
    if "data" in typed:
        return config.data
    if not all((folder / name).is_file() for name in (CONFIG, ENVIRONMENT)):
        if config.data.name != spec.dataset:
            raise InputError(f"{path}: was trained on {spec.dataset}; name the images to test it on with data=…")
        return config.data
    given = {key: getattr(config.data, key[5:]) for key in typed if key.startswith("data.")}
    stored = read_config(folder).get("data")
    stored = {**stored, **{key[5:]: value for key, value in given.items()}} if isinstance(stored, dict) else {}
    missing = [word for word in settings_to_repeat({"data": stored}) if word.partition("=")[0] not in given]
    if missing:
        command = quote_command([f"eval={quote_value(path)}", *missing])
        raise InputError(f"{path}: names paths outside of it; to trust them, repeat them: {command}")
    data = build(DataSettings, stored, "data.")
    if data.name != spec.dataset:
        raise InputError(f"{path}: was trained on {spec.dataset}, but its settings say {data.name}; give data=…")
    return data


def _overall(evaluation: Evaluation, spec: NetworkSpec) -> str:
    """Return the accuracies, or with targets the metric, and the loss."""
    loss = f"loss {evaluation.loss:.4f}"
    if evaluation.top1 is None or evaluation.top5 is None:
        return f"{metric_name(spec.loss, None)} {evaluation.metric:.4g}, {loss}"
    return f"top-1 {evaluation.top1:.2%}, top-5 {evaluation.top5:.2%}, {loss}"


def _print_evaluation(
    evaluation: Evaluation, size: Cost, latency: Latency, spec: NetworkSpec, device: torch.device
) -> None:
    """Print the accuracy of each class, then the overall figures."""
    width = max(len("class"), *map(len, spec.classes))
    if evaluation.images:
        print_lines(f"{'class':<{width}}  images  correct  accuracy")
    for name, images, correct in zip(
        spec.classes, evaluation.images, evaluation.correct, strict=bool(evaluation.images)
    ):
        accuracy = f"{correct / images:9.2%}" if images else "        –"
        print_lines(f"{name:<{width}}  {images:6,}  {correct:7,} {accuracy}")
    print_lines(f"{spec.genotype.name or 'cell'} on {spec.dataset}: {_overall(evaluation, spec)}")
    print_lines(f"{size.params:,} parameters, {size.macs:,} multiply-adds per image")
    median, low, high = (f"{1000 * seconds:.2f}" for seconds in (latency.median, latency.low, latency.high))
    hardware = (
        torch.cuda.get_device_name()
        if device.type == "cuda"
        else f"cpu with {format_plural(torch.get_num_threads(), 'thread')}"
    )
    print_lines(
        f"latency of one image: median {median} ms, quartiles {low} and {high}, of {latency.runs} runs on {hardware}"
    )
