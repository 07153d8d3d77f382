"""From the rounds of `--scaling` to its tables."""

from dataclasses import dataclass
from typing import Callable

from report import FAULTS, TRANSPORTS, number, row, spread

LIMIT, HUB = "limit", "statshub"


@dataclass
class Alone:
    """A row about statshub alone: the number, or the first case's and the second's and their ratio."""

    title: str
    cases: tuple
    take: Callable


def cpu(result):
    return result["serverCpuSeconds"] / result["delivered"] * 1e6


def p99(result):
    return result["latencyMs"]["p99"]


ALONE = [
    Alone("CPU of a delivery, µs: one metric, ten thousand", ("one metric", "many metrics"), cpu),
    Alone(
        "deliveries of a message: one metric, ten thousand",
        ("one metric", "many metrics"),
        lambda result: result["delivered"] / result["published"],
    ),
    Alone("latency p99, ms: none stalled, a tenth", ("none stalled", "a tenth stalled"), p99),
    Alone("CPU of a delivery, µs: one worker, two", ("one worker", "two workers"), cpu),
    Alone("CPU used in 10 s by idle connections, ms", ("idle",), lambda result: result["idleCpuSeconds"] * 1e3),
    Alone("start-up, ms: best of ten", ("start-up",), lambda result: result["bestSeconds"] * 1e3),
    Alone("start-up, ms: median of ten", ("start-up",), lambda result: result["medianSeconds"] * 1e3),
    Alone("binary, MB", ("at rest",), lambda result: result["binaryBytes"] / 1e6),
    Alone("resident memory at rest, MB", ("at rest",), lambda result: result["rssBytes"] / 1e6),
]


def summarise(rounds, transports):
    """Medians, lowest and highest over the rounds, and ratios of medians."""
    return {
        "connections": {transport: by_connections(rounds, transport) for transport in transports},
        "alone": [
            {"title": each.title, **compared([over(rounds, case, each.take) for case in each.cases])}
            for each in ALONE
        ],
    }


def by_connections(rounds, transport):
    names = (name.split(", ") for name in {name for raw in rounds for name in raw})
    counts = sorted({int(name[2]) for name in names if len(name) == 3 and name[1] == transport})
    return [
        {"connections": count}
        | {
            key: compared([over(rounds, f"{server}, {transport}, {count}", take) for server in (LIMIT, HUB)])
            for key, take in (("cpu", cpu), ("p99", p99))
        }
        for count in counts
    ]


def over(rounds, case, take):
    """The number that each round gave; nothing where none did."""
    values = []
    for raw in rounds:
        try:
            values.append(take(raw[case]))
        except (KeyError, TypeError, ZeroDivisionError):
            pass
    return spread(values)


def compared(spreads):
    ratio = None
    if len(spreads) == 2 and all(spreads) and spreads[0]["median"]:
        ratio = spreads[1]["median"] / spreads[0]["median"]
    return {"values": spreads, "ratio": ratio}


def markdown(finished):
    machine, settings = finished["machine"], finished["settings"]
    runs, many = settings["runs"], settings["many"]
    parts = [
        f"{machine['cpu']}, {machine['cores']} cores, Linux {machine['kernel']}; "
        f"{many:,} connections for many metrics and idle ones, {settings['connections']:,} for stalled ones and "
        f"workers; fixed rate {settings['rate']} publishes a second; {runs} {'round' if runs == 1 else 'rounds'}, "
        f"{settings['seconds']} s a measurement. Each cell: median (lowest to highest).\n"
    ]
    for transport, rows in finished["connections"].items():
        parts += [f"### {TRANSPORTS[transport]}, 1 in flight\n", connections_table(rows)]
    parts += ["### statshub alone\n", alone_table(finished["alone"])]
    parts += [f"- {line}" for line in [*finished["remarks"], *faults(finished["rounds"])]]
    return "\n".join(parts) + "\n"


def connections_table(rows):
    heads = ["connections"]
    for what in ("CPU of a delivery, µs", "latency p99, ms"):
        heads += [f"{what}: bare loop", "statshub", "ratio"]
    lines = [row(heads), row(["---:"] * len(heads))]
    for each in rows:
        cells = [f"{each['connections']:,}"]
        for measure in (each["cpu"], each["p99"]):
            cells += [*map(cell, measure["values"]), ratio(measure)]
        lines.append(row(cells))
    return "\n".join(lines) + "\n"


def alone_table(rows):
    lines = [row(["", "", "", "ratio"]), row(["---", "---:", "---:", "---:"])]
    for each in rows:
        cells = [*map(cell, each["values"]), ""][:2]
        lines.append(row([each["title"], *cells, ratio(each)]))
    return "\n".join(lines) + "\n"


def cell(spread):
    if not spread:
        return "failed"
    text = number(spread["median"])
    if spread["runs"] > 1:
        text += f" ({number(spread['min'])} to {number(spread['max'])})"
    return text


def ratio(measure):
    return f"{number(measure['ratio'])}×" if measure["ratio"] else ""


def faults(rounds):
    """What must not be overlooked when the tables are read."""
    lines = []
    for case in sorted({case for raw in rounds for case in raw}):
        results = [raw[case] for raw in rounds if case in raw]
        for fault, words in FAULTS.items():
            count = sum(each.get(fault, 0) for each in results)
            if count:
                lines.append(f"{case}: {count:,} {words}")
        share = max(each.get("clientCpuShare", 0) for each in results)
        if share > 0.9:
            lines.append(f"{case}: the load generator was at {share:.0%} of its core and may be the limit")
    return lines
