"""What is measured: how each server is started, and how the load generator speaks to it."""

import json
import secrets
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
ROOT = HERE.parent.parent
WORK = ROOT / "target" / "compare"
NODE = HERE / "peers" / "node"
NCHAN_MODULE = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")
SOCKUDO = WORK / "sockudo" / "bin" / "sockudo"


@dataclass
class Server:
    key: str
    title: str
    port: int
    command: list
    # For each transport, what the load generator must be told.
    transports: dict
    environment: dict = field(default_factory=dict)
    # A program between publisher and server, on the load generator's core: its command and port.
    helper: tuple = None
    helper_environment: dict = field(default_factory=dict)
    # What must be there, and what to say when it is not.
    needs: dict = field(default_factory=dict)
    # With versions, for the head of its column.
    heading: str = ""

    def missing(self):
        return next((say for path, say in self.needs.items() if not Path(path).exists()), None)


def servers(binaries):
    """In the order of the table: the limit first, statshub, then the others."""
    return [limit(binaries), statshub(binaries), nchan(), express(), better_sse(), socket_io(), sockudo()]


def limit(binaries):
    return Server(
        key="limit",
        title="bare loop",
        port=7401,
        command=[binaries / "examples" / "limit", 7401],
        transports={"sse": plain("sse", 7401, "/events"), "ws": plain("ws", 7401, "/ws")},
    )


def statshub(binaries):
    program, config = binaries / "statshub", HERE / "config.toml"
    # For this run only; the load generator signs its tokens with it.
    secret = {"COMPARE_SECRET": secrets.token_hex(32)}
    url = ["--url", "http://127.0.0.1:7400", "--config", config]
    return Server(
        key="statshub",
        title="statshub",
        port=7400,
        command=[program, "serve", "--config", config],
        transports={"sse": url, "ws": url},
        environment=secret,
        heading=said([program, "--version"]),
    )


def nchan():
    prefix = WORK / "nchan"
    prefix.mkdir(parents=True, exist_ok=True)
    config = HERE / "peers" / "nchan" / "nginx.conf"
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin:/sbin:/bin") or "nginx"
    return Server(
        key="nchan",
        title="nginx with nchan",
        port=7402,
        command=[nginx, "-p", f"{prefix}/", "-c", config, "-e", "stderr"],
        transports={"sse": plain("sse", 7402, "/events"), "ws": plain("ws", 7402, "/ws")},
        needs={NCHAN_MODULE: "there is no nginx with nchan (Debian: libnginx-mod-nchan)"},
        heading=f"nginx {said([nginx, '-v']).rpartition('/')[2]}, nchan {debian('libnginx-mod-nchan')}",
    )


def express():
    return node(
        "express",
        "Express and ws",
        7403,
        {"sse": plain("sse", 7403, "/events"), "ws": plain("ws", 7403, "/ws")},
        ["express", "ws"],
    )


def better_sse():
    return node("better-sse", "better-sse", 7404, {"sse": plain("sse", 7404, "/events")}, ["better-sse"])


def socket_io():
    path = "/socket.io/?EIO=4&transport=websocket"
    transports = {"ws": plain("ws", 7405, path, dialect="socketio")}
    return node("socket-io", "socket.io", 7405, transports, ["socket.io"])


def node(key, title, port, transports, packages):
    modules = NODE / "node_modules"
    return Server(
        key=key,
        title=title,
        port=port,
        command=["node", NODE / f"{key}.js"],
        transports=transports,
        environment={"NODE_ENV": "production", "PORT": str(port)},
        needs={modules: "its packages are not installed (npm ci)"},
        heading=", ".join(f"{each} {packaged(modules / each)}" for each in packages),
    )


def sockudo():
    peer = HERE / "peers" / "sockudo"
    path = "/app/compare-key?protocol=7&client=bench&version=1"
    return Server(
        key="sockudo",
        title="Sockudo",
        port=7406,
        command=[SOCKUDO, "--config", peer / "config.toml"],
        transports={"ws": plain("ws", 7406, path, dialect="pusher", publish_port=7407)},
        helper=(["node", peer / "publish.js"], 7407),
        helper_environment={"PORT": "7407", "SOCKUDO_PORT": "7406"},
        needs={SOCKUDO: "it is not built (cargo install sockudo)"},
        # It would write a line for every connection.
        environment={"RUST_LOG": "error"},
        heading=said([SOCKUDO, "--version"]),
    )


def plain(transport, port, path, dialect=None, publish_port=None):
    """A server that wants no credentials: a GET, or an upgrade, and a POST with the payload as body."""
    return [
        *("--dialect", dialect or transport),
        *("--stream-url", f"http://127.0.0.1:{port}{path}"),
        *("--publish-url", f"http://127.0.0.1:{publish_port or port}/publish"),
    ]


def said(command):
    """What a program says of itself; nothing where it is missing."""
    try:
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return (done.stdout or done.stderr).strip()


def debian(package):
    """A package's version, without Debian's own part."""
    full = said(["dpkg-query", "--show", "--showformat", "${Version}", package])
    return full.rpartition(":")[2].partition("+")[0].partition("-")[0]


def packaged(folder):
    try:
        return json.loads((folder / "package.json").read_text())["version"]
    except (OSError, KeyError, ValueError):
        return ""
