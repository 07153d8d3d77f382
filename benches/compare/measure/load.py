"""Running the load generator, and reading the server at the right moments."""

import json
import subprocess
import threading

from processes import Failed, bare_environment, pinned

# Beyond the duration: ten thousand connections to open, several times over.
GRACE_SECONDS = 120


class Generator:
    """`statshub bench`, on a core of its own."""

    def __init__(self, program, core, environment):
        self.program, self.core, self.environment = program, core, environment

    def run(self, transport, told, process, seconds, when_connected=None):
        """One run: its result, and with it the processor time that the server took for what was measured."""
        flags = ["--json", "--transport", transport, "--duration", f"{seconds}s", *told]
        child = subprocess.Popen(
            pinned(self.core, [self.program, "bench", *flags]),
            env=bare_environment(self.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        watchdog = threading.Timer(seconds + GRACE_SECONDS, child.kill)
        watchdog.start()
        try:
            said, began, ended = [], None, None
            for line in child.stderr:
                said.append(line.strip())
                if line.startswith("connected") and when_connected:
                    when_connected()
                elif line.startswith("measuring"):
                    began = process.cpu_seconds()
                elif line.startswith("measured"):
                    ended = process.cpu_seconds()
            output, code = child.stdout.read(), child.wait()
        finally:
            watchdog.cancel()
            child.kill()
            child.wait()
        if code != 0:
            raise Failed(f"the load generator ended with {code}: {' / '.join(said[-3:])}")
        result = json.loads(output)
        if began is not None and ended is not None:
            result["serverCpuSeconds"] = round(ended - began, 3)
        return result
