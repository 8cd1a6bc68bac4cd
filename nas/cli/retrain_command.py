"""Training of a genotype's network from scratch, or evaluation of a trained one."""

from nas.cli.config import RetrainConfig
from nas.cli.evaluate import run_evaluation
from nas.cli.initial_weights import apply_initial, initial_weights
from nas.cli.memory_messages import explain_out_of_memory
from nas.cli.messages import print_resume_hint, print_start, report_retraining
from nas.cli.program import STARTED
from nas.cli.run_folder import resolve_resume, run_folder
from nas.cli.setup import setup_process
from nas.costs.cpu_bf16 import require_bf16_gradients
from nas.costs.memory_limit import require_memory
from nas.data import load_dataset
from nas.engine.named_losses import check_data
from nas.runtime.deadline import Deadline
from nas.runtime.signals import StopSignals
from nas.train.loop import run_training_loop
from nas.train.network_spec import make_network_spec


def retrain_command(config: RetrainConfig, overrides: list[str]) -> None:
    """Train a network, or evaluate a trained one if ``eval`` is set."""
    if config.eval is None:
        _train(config, overrides)
    else:
        with StopSignals():
            run_evaluation(config, overrides)


def _train(config: RetrainConfig, overrides: list[str]) -> None:
    """Train a network and report the result; bad settings raise before anything is written."""
    config, resumed = resolve_resume(apply_initial(config, overrides), overrides)
    with StopSignals(config.warning_signal) as signals, run_folder(config, resumed) as open_folder:
        device = setup_process(config)
        genotype, dataset = config.genotype, load_dataset(config.data)
        first = initial_weights(config, resumed, overrides)
        dataset = dataset if first is None else first.prepared_alike(dataset)
        check_data(dataset, config.loss)
        spec = make_network_spec(genotype, dataset, config.settings, config.ops)
        model = require_memory(spec.build, device, f"channels={config.channels}, cells={config.cells}")
        require_bf16_gradients(model, device, config.precision, dataset.image_shape, config.stem)
        initial = None if first is None else first.load(spec)
        folder = open_folder()
        name = genotype.name or "the given cell"
        print_start(f"training {name}", dataset.name, config.seed, device, folder)
        with signals.postponed(), explain_out_of_memory(config, folder):
            state = run_training_loop(
                genotype,
                dataset,
                config.settings,
                folder,
                augment=config.data.augment,
                device=device,
                deadline=Deadline(config.max_minutes, STARTED, signals.asked),
                resume=resumed is not None,
                ops=config.ops,
                fault_tolerance=config.fault_tolerance,
                initial=initial,
            )
        if state.epoch == config.epochs:
            report_retraining(state, config.data, config.seed, folder)
        else:
            print_resume_hint(state, config, folder, signals.name)
