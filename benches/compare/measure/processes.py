"""Starting a server on one core, reading what it costs from /proc, and ending it."""

import os
import resource
import signal
import socket
import subprocess
import time
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
START_SECONDS = 20
STOP_SECONDS = 10


class Failed(Exception):
    """Something did not run as it must; the text says what to look at."""


def raise_open_files():
    """As many descriptors as this user may have, for this process and all that it starts."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def pinned(core, command):
    return ["taskset", "--cpu-list", str(core), *map(str, command)]


class Process:
    """A program on one core, with everything that it starts."""

    def __init__(self, name, command, core, port, environment, log):
        self.name, self.log = name, Path(log)
        if is_taken(port):
            raise Failed(f"{name}: port {port} is taken; end what listens there")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with open(self.log, "ab") as output:
            self.child = subprocess.Popen(
                pinned(core, command),
                env=bare_environment(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            self.await_port(port)
        except BaseException:
            self.stop()
            raise

    def await_port(self, port):
        end = time.monotonic() + START_SECONDS
        while not is_taken(port):
            if self.child.poll() is not None:
                raise Failed(f"{self.name} ended at once; see {self.log}")
            if time.monotonic() > end:
                raise Failed(f"{self.name} does not listen on port {port}; see {self.log}")
            time.sleep(0.05)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Asks, waits, and ends what is left of its session."""
        if self.child.poll() is None:
            self.child.terminate()
        try:
            self.child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        for pid in self.pids():
            os.kill(pid, signal.SIGKILL)
        self.child.wait()

    def pids(self):
        """Of the session that it leads: nginx has a master and a worker."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                fields = stat_fields(entry)
                # Session id, and not a zombie.
                if fields and int(fields[3]) == self.child.pid and fields[0] != "Z":
                    found.append(int(entry.name))
        return found

    def cpu_seconds(self):
        """User and system time of all its processes so far, in steps of 10 ms."""
        fields = [stat_fields(Path("/proc") / str(pid)) for pid in self.pids()]
        return sum(int(each[11]) + int(each[12]) for each in fields if each) / TICKS

    def rss_bytes(self):
        """Memory of all its processes. What several share is counted for each: only take differences."""
        total = 0
        for pid in self.pids():
            try:
                total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
            except OSError:
                pass
        return total


def bare_environment(with_these):
    """Nothing else: JWT_SECRET, PORT or RUST_LOG of whoever runs this would change what is measured."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {**kept, **with_these}


def stat_fields(entry):
    """The fields of /proc/<pid>/stat from the state on (proc(5)); None when it has ended."""
    try:
        return (entry / "stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return None


def is_taken(port):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def busy_share(seconds):
    """How busy all cores were over the next seconds, 0 to 1."""

    def reading():
        user, nice, system, idle, iowait, *rest = map(
            int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
        )
        busy = user + nice + system + sum(rest[:3])
        return busy, busy + idle + iowait

    busy_before, all_before = reading()
    time.sleep(seconds)
    busy, everything = reading()
    return (busy - busy_before) / max(1, everything - all_before)
