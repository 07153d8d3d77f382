"""What statshub costs as its work grows: beside the bare loop by connections, and alone by the rest."""

import http.client
import os
import subprocess
import time
from dataclasses import dataclass, replace
from statistics import median

from processes import Failed, bare_environment
from servers import HERE, WORK, Server
from stages import Stages

CONNECTIONS = (1, 10, 100, 1000)
METRICS = 10000
STALLED_PERCENT = 10
IDLE_SECONDS = 10
# Between the last connection being open and idling, and before memory at rest is read.
SETTLING_SECONDS = 2
STARTS = 10
START_SECONDS = 20


@dataclass
class Scaling:
    stages: Stages
    limit: Server
    hub: Server
    both_cores: str

    def one_round(self, turn, transports, remarks, say):
        """Every case once, those of a pair next to each other and in the other order every other time."""
        raw = {}
        for pair in [*self.by_connections(transports), *self.pairs(), *self.singles()]:
            for name, case in pair if turn % 2 == 0 else reversed(pair):
                try:
                    raw[name] = case()
                    say(f"  {name}: {told(raw[name])}")
                except Failed as failure:
                    say(f"  {name} failed: {failure}")
                    remarks.append(f"{name}: {failure}")
        return raw

    def by_connections(self, transports):
        counts = [count for count in CONNECTIONS if count < self.stages.many] + [self.stages.many]
        for transport in transports:
            for count in counts:
                yield [
                    (f"{server.key}, {transport}, {count}", self.fan_out(server, transport, count, "--in-flight", 1))
                    for server in (self.limit, self.hub)
                ]

    def pairs(self):
        many, connections = self.stages.many, self.stages.connections
        one, rate = ("--in-flight", 1), ("--rate", self.stages.rate)
        yield [
            ("one metric", self.fan_out(self.hub, "sse", many, *one)),
            ("many metrics", self.fan_out(self.hub, "sse", many, *one, "--metrics", METRICS)),
        ]
        yield [
            ("none stalled", self.fan_out(self.hub, "sse", connections, *rate)),
            ("a tenth stalled", self.fan_out(self.hub, "sse", connections, *rate, "--stall", STALLED_PERCENT)),
        ]
        on_both = replace(self.stages, server_core=self.both_cores)
        yield [
            ("one worker", self.fan_out(self.hub, "sse", connections, "--in-flight", 1)),
            ("two workers", self.fan_out(with_two_workers(self.hub), "sse", connections, "--in-flight", 1, on=on_both)),
        ]

    def singles(self):
        return [[("idle", self.idle)], [("start-up", self.start_up)], [("at rest", self.at_rest)]]

    def fan_out(self, server, transport, connections, *told, on=None):
        def case():
            stages = on or self.stages
            with stages.start(server) as process:
                return stages.fan_out(process, server, transport, connections, *told)

        return case

    def idle(self):
        """Processor time of many connections that get nothing."""
        with self.stages.start(self.hub) as process:
            used = 0

            def when_connected():
                nonlocal used
                time.sleep(SETTLING_SECONDS)
                before = process.cpu_seconds()
                time.sleep(IDLE_SECONDS)
                used = process.cpu_seconds() - before

            flags = [*self.hub.transports["sse"], "--mode", "connect", "--connections", self.stages.many]
            seconds = SETTLING_SECONDS + IDLE_SECONDS + 2
            result = self.stages.generator.run("sse", flags, process, seconds, when_connected)
            return {**result, "idleCpuSeconds": round(used, 3)}

    def start_up(self):
        seconds = [start_seconds(self.hub, self.stages.server_core) for _ in range(STARTS)]
        return {"bestSeconds": min(seconds), "medianSeconds": median(seconds)}

    def at_rest(self):
        with self.stages.start(self.hub) as process:
            time.sleep(SETTLING_SECONDS)
            return {"binaryBytes": self.hub.command[0].stat().st_size, "rssBytes": process.rss_bytes()}


def with_two_workers(hub):
    """The same server, but for the one line of its settings."""
    ours = (HERE / "config.toml").read_text()
    config = WORK / "two-workers.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(ours.replace("workers = 1\n", "workers = 2\n"))
    return replace(hub, command=[hub.command[0], "serve", "--config", config])


def start_seconds(server, core):
    """From before the program is executed to the first byte of the good answer that its health endpoint gives."""
    began = time.perf_counter()
    child = subprocess.Popen(
        list(map(str, server.command)),
        env=bare_environment(server.environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )
    try:
        while not is_healthy(server.port):
            if child.poll() is not None or time.perf_counter() - began > START_SECONDS:
                raise Failed(f"{server.title} does not start")
            time.sleep(0.0002)
        return time.perf_counter() - began
    finally:
        child.terminate()
        child.wait()


def is_healthy(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/api/health")
        answer = connection.getresponse()
        return answer.status == 200 and bool(answer.read(1))
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def told(result):
    """A case's result in a line, for those who watch."""
    if "serverCpuSeconds" in result and result["delivered"]:
        cpu = result["serverCpuSeconds"] / result["delivered"] * 1e6
        return f"{cpu:.2f} µs a delivery, p99 {result['latencyMs']['p99']:.2f} ms"
    names = ("idleCpuSeconds", "bestSeconds", "medianSeconds", "binaryBytes", "rssBytes")
    return ", ".join(f"{name} {result[name]:,.4g}" for name in names if name in result)
