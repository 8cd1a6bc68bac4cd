"""Search of a space for a normal and a reduction cell."""

from nas.cli.config import SearchConfig
from nas.cli.memory_messages import SearchMemory, explain_out_of_memory
from nas.cli.messages import method_words, print_resume_hint, print_start, report_search
from nas.cli.method_settings import apply_method
from nas.cli.program import STARTED
from nas.cli.run_folder import resolve_resume, run_folder
from nas.cli.setup import setup_process
from nas.costs.expected import check_objective
from nas.data import load_dataset, search_split
from nas.engine.named_losses import check_data
from nas.models.skeletons import check_search_cells
from nas.ops import load_space
from nas.runtime.deadline import Deadline
from nas.runtime.signals import StopSignals
from nas.search.loop import run_search_loop
from nas.search.state import search_method


def search_command(config: SearchConfig, overrides: list[str]) -> None:
    """Run a search and write its report; bad settings raise before anything is written."""
    config, resumed = resolve_resume(apply_method(config, overrides), overrides)
    with StopSignals(config.warning_signal) as signals, run_folder(config, resumed) as open_folder:
        device = setup_process(config)
        search_method(config.settings)
        space = load_space(config.space)
        check_search_cells(space, config.cells)
        check_objective(config.objective, space)
        dataset = load_dataset(config.data)
        check_data(dataset, config.loss)
        memory = SearchMemory(config, space, dataset, device)
        memory.require_weights()
        search_split(len(dataset.train), config.seed, config.train_fraction)  # raises now if a part is empty
        folder = open_folder()
        print_start(f"searching {space.name}{method_words(config)}", dataset.name, config.seed, device, folder)
        with signals.postponed(), explain_out_of_memory(config, folder, memory.advice):
            memory.print_estimate()
            result = run_search_loop(
                space,
                dataset,
                config.settings,
                folder,
                augment=config.data.augment,
                device=device,
                deadline=Deadline(config.max_minutes, STARTED, signals.asked),
                resume=resumed is not None,
                fault_tolerance=config.fault_tolerance,
            )
        if result.finished:
            report_search(result, config, folder)
        else:
            print_resume_hint(result, config, folder, signals.name)
