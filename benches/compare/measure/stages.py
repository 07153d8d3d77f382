"""What is measured on one server, each part on a fresh process of it."""

import time
from contextlib import contextmanager
from dataclasses import dataclass

from load import Generator
from processes import Process
from servers import WORK

# Publishing before it counts: long enough for Node's compiler to have seen the code that is measured.
WARM_SECONDS = 2
# Opened and dropped before memory is read first: what a server sets aside once is no connection's.
FIRST_LOT = 500
# How long connections have been idle when memory is read.
IDLE_SECONDS = 5
# Of data in each message.
MESSAGE_BYTES = 512


@dataclass
class Stages:
    generator: Generator
    server_core: int
    seconds: int
    connections: int
    many: int
    rate: int

    def deliveries(self, server, transport):
        """As fast as it can with one and with eight publishes in flight, then at a rate that all can hold."""
        with self.start(server) as process:
            yield "one", self.fan_out(process, server, transport, self.connections, "--in-flight", 1)
            yield "eight", self.fan_out(process, server, transport, self.connections, "--in-flight", 8)
            yield "rate", self.fan_out(process, server, transport, self.connections, "--rate", self.rate)

    def deliveries_to_all(self, server, transport):
        """With one publish in flight to as many connections as there are for connecting."""
        with self.start(server) as process:
            yield "all", self.fan_out(process, server, transport, self.many, "--in-flight", 1)

    def connecting(self, server, transport):
        """How fast many connections open, and what memory each takes while it is idle."""
        connect = [*server.transports[transport], "--mode", "connect", "--connections"]
        with self.start(server) as process:
            self.generator.run(transport, [*connect, min(FIRST_LOT, self.many)], process, 1)
            before, after = process.rss_bytes(), 0

            def when_connected():
                nonlocal after
                time.sleep(IDLE_SECONDS)
                after = process.rss_bytes()

            told = [*connect, self.many]
            result = self.generator.run(transport, told, process, IDLE_SECONDS + 2, when_connected)
            result["bytesPerConnection"] = (after - before) / self.many
            yield "connect", result

    def reconnecting(self, server, transport):
        """How long until all are back that were dropped at once."""
        with self.start(server) as process:
            told = [*server.transports[transport], "--mode", "reconnect", "--connections", self.many]
            yield "reconnect", self.generator.run(transport, told, process, self.seconds)

    def noise(self, server, transport):
        """The first of the deliveries alone: on the bare loop, what the machine itself varies by."""
        with self.start(server) as process:
            return self.fan_out(process, server, transport, self.connections, "--in-flight", 1)

    def fan_out(self, process, server, transport, connections, *more):
        flags = ["--mode", "fan-out", "--connections", connections, "--size", MESSAGE_BYTES]
        flags += ["--warm-up", f"{WARM_SECONDS}s", *more]
        told = [*server.transports[transport], *flags]
        return self.generator.run(transport, told, process, self.seconds)

    @contextmanager
    def start(self, server):
        """The server on its core, and what stands between it and the publisher on the other."""
        log = WORK / "logs" / f"{server.key}.log"
        process = Process(server.title, server.command, self.server_core, server.port, server.environment, log)
        with process:
            if not server.helper:
                yield process
                return
            command, port = server.helper
            name = f"{server.title}'s helper"
            with Process(name, command, self.generator.core, port, server.helper_environment, log):
                yield process
