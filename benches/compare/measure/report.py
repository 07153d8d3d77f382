"""From the results of many runs to one table, and one JSON file."""

from dataclasses import dataclass
from statistics import median
from typing import Callable

TRANSPORTS = {"sse": "Server-sent events", "ws": "WebSocket"}


@dataclass
class Measure:
    key: str
    title: str
    # From the raw results of one round to the number, in the unit of the title.
    take: Callable
    # Whether a ratio to the bare loop says anything.
    compared: bool = True


def cpu_per_delivery(stage):
    return lambda raw: raw[stage]["serverCpuSeconds"] / raw[stage]["delivered"] * 1e6


def latency(quantile):
    return lambda raw: raw["rate"]["latencyMs"][quantile]


MEASURES = [
    Measure("connects", "connections opened, thousand/s", lambda raw: raw["connect"]["connectsPerSecond"] / 1e3),
    Measure("memory", "memory of an idle connection, KB", lambda raw: raw["connect"]["bytesPerConnection"] / 1e3),
    Measure("one", "deliveries, thousand/s, 1 in flight", lambda raw: raw["one"]["deliveriesPerSecond"] / 1e3),
    Measure("eight", "deliveries, thousand/s, 8 in flight", lambda raw: raw["eight"]["deliveriesPerSecond"] / 1e3),
    Measure(
        "all",
        "deliveries, thousand/s, 1 in flight, all connections",
        lambda raw: raw["all"]["deliveriesPerSecond"] / 1e3,
    ),
    Measure("cpuOne", "CPU of a delivery, µs, 1 in flight", cpu_per_delivery("one")),
    Measure("cpuEight", "CPU of a delivery, µs, 8 in flight", cpu_per_delivery("eight")),
    Measure("cpuAll", "CPU of a delivery, µs, 1 in flight, all connections", cpu_per_delivery("all")),
    Measure("cpuRate", "CPU of a delivery, µs, fixed rate", cpu_per_delivery("rate")),
    Measure("p50", "latency p50, ms, fixed rate", latency("p50")),
    Measure("p99", "latency p99, ms, fixed rate", latency("p99")),
    Measure("p999", "latency p99.9, ms, fixed rate", latency("p999")),
    Measure("reconnect", "all back after a mass reconnect, s", lambda raw: raw["reconnect"]["reconnectSeconds"]),
    Measure(
        "generator",
        "load generator's share of its core, %, at most",
        lambda raw: max(raw[stage]["clientCpuShare"] for stage in ("one", "eight", "rate", "all") if stage in raw) * 100,
        compared=False,
    ),
]


def summarise(rounds):
    """Median, min and max of every measure; None where a round did not give it."""
    summary = {}
    for measure in MEASURES:
        values = []
        for raw in rounds:
            try:
                values.append(measure.take(raw))
            except (KeyError, TypeError, ZeroDivisionError):
                pass
        summary[measure.key] = spread(values)
    return summary


def spread(values):
    if not values:
        return None
    return {"median": median(values), "min": min(values), "max": max(values), "runs": len(values)}


def add_ratios(subjects):
    """To the bare loop over the same transport."""
    limits = {each["transport"]: each["measures"] for each in subjects if each["server"] == "limit"}
    for each in subjects:
        if each["server"] == "limit":
            continue
        for measure in MEASURES:
            ours, its = each["measures"][measure.key], limits.get(each["transport"], {}).get(measure.key)
            if measure.compared and ours and its and its["median"]:
                ours["ratio"] = ours["median"] / its["median"]


def markdown(report):
    subjects, machine = report["subjects"], report["machine"]
    parts = [
        f"{machine['cpu']}, {machine['cores']} cores, Linux {machine['kernel']}; {describe(report['settings'])}. "
        "Each cell: median (lowest to highest), and × the bare loop.\n"
    ]
    for transport, title in TRANSPORTS.items():
        columns = [each for each in subjects if each["transport"] == transport]
        if columns:
            parts += [f"### {title}\n", table(columns), noise_line(report["noise"].get(transport))]
    parts += [f"- {line}" for line in remarks(report)]
    return "\n".join(part for part in parts if part) + "\n"


def table(columns):
    lines = [row(["", *[each["heading"] or each["title"] for each in columns]]), row(["---", *["---:"] * len(columns)])]
    for measure in MEASURES:
        lines.append(row([measure.title, *[cell(each["measures"][measure.key]) for each in columns]]))
    return "\n".join(lines) + "\n"


def row(cells):
    return f"| {' | '.join(cells)} |"


def cell(spread):
    if not spread:
        return "failed"
    text = number(spread["median"])
    if spread["runs"] > 1:
        text += f" ({number(spread['min'])} to {number(spread['max'])})"
    if "ratio" in spread:
        text += f", {number(spread['ratio'])}×"
    return text


def number(value):
    """Three digits: more is noise."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def describe(settings):
    runs, seconds = settings["runs"], settings["seconds"]
    return (
        f"{settings['connections']:,} connections for deliveries and latency, {settings['many']:,} for "
        f"connecting, memory, reconnecting and deliveries to all connections; fixed rate {settings['rate']} publishes a second; "
        f"{runs} {'round' if runs == 1 else 'rounds'}, {seconds} s a measurement"
    )


def noise(results):
    """How fast the bare loop was each time that it was measured between the others."""
    return spread([each["deliveriesPerSecond"] / 1e3 for each in results])


def noise_line(spread):
    if not spread or spread["runs"] < 2:
        return ""
    apart = (spread["max"] - spread["min"]) / spread["median"] * 100
    return (
        f"The machine's own noise: the bare loop, measured {spread['runs']} times between the others, delivered "
        f"{number(spread['median'])} thousand/s ({number(spread['min'])} to {number(spread['max'])}, "
        f"{apart:.0f} % apart).\n"
    )


def told(stage, raw):
    """A stage's result in one line, for those who watch."""
    result = raw[stage]
    if stage == "connect":
        memory = number(result["bytesPerConnection"] / 1e3)
        return f"connect: {result['connectsPerSecond']:,.0f} a second, {memory} KB each"
    if stage == "reconnect":
        return f"reconnect: all back after {number(result['reconnectSeconds'])} s"
    latency, share = result["latencyMs"], result["clientCpuShare"]
    return (
        f"{stage}: {result['deliveriesPerSecond']:,.0f} deliveries a second, {number(cpu_per_delivery(stage)(raw))} µs "
        f"each, p99 {number(latency['p99'])} ms; the load generator's core at {share:.0%}"
    )


FAULTS = {
    "missing": "deliveries never came",
    "duplicates": "messages came twice",
    "outOfOrder": "messages came out of order",
    "lost": "connections were lost",
    "retries": "tries to connect had to be repeated",
    "refused": "publishes were refused",
}


def remarks(report):
    """What must not be overlooked when the table is read."""
    lines = list(report["remarks"])
    for subject in report["subjects"]:
        name = f"{subject['title']} over {TRANSPORTS[subject['transport']]}"
        share = subject["measures"]["generator"]
        if share and share["max"] > 90:
            lines.append(f"{name}: the load generator was at {share['max']:.0f} % of its core and may be the limit")
        for fault, words in FAULTS.items():
            count = sum(stage.get(fault, 0) for raw in subject["rounds"] for stage in raw.values())
            if count:
                lines.append(f"{name}: {count:,} {words}")
        rate = report["settings"]["rate"]
        if any(published_late(raw.get("rate"), rate) for raw in subject["rounds"]):
            lines.append(f"{name}: did not hold the fixed rate")
    return lines


def published_late(stage, rate):
    """Whether fewer were published than the rate asks for; one may be under way at the end."""
    if not stage:
        return False
    return stage["published"] < rate * stage["seconds"] * 0.98 - 1
