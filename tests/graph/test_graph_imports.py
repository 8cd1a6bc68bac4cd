import pkgutil
import subprocess
import sys

import nas.graph

MODULES = [f"nas.graph.{module.name}" for module in pkgutil.iter_modules(nas.graph.__path__)]


def test_the_graph_package_does_not_import_torch():
    code = f"import sys, {', '.join(MODULES)}; print(*sorted({{'torch', 'matplotlib.pyplot'}} & set(sys.modules)))"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert process.stdout.strip() == ""
