"""Measures statshub beside other servers and beside a bare loop, each on a core of its own."""

import argparse
import json
import os
import platform
import signal
import sys
from pathlib import Path

import report
import scaling
import scaling_report
from load import Generator
from processes import Failed, busy_share, raise_open_files
from servers import WORK, servers
from stages import Stages

# Above this share of busy cores before the start, figures say little.
QUIET = 0.05


def main():
    chosen = arguments()
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise Failed("two cores are needed: one for the server, one for the load")
    server_core, load_core = cores[0], cores[-1]
    everything = servers(chosen.binaries)
    remarks = [within_open_files(chosen), quiet(), *([] if chosen.scaling else left_out(everything))]
    # This program too stays away from the servers' core.
    os.sched_setaffinity(0, {load_core})
    stages = Stages(
        generator=Generator(chosen.binaries / "statshub", load_core, credentials(everything)),
        server_core=server_core,
        seconds=chosen.seconds,
        connections=chosen.connections,
        many=chosen.many,
        rate=chosen.rate,
    )
    # A server that must be stopped is stopped also when this is.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if chosen.scaling:
        of_both = scaling.Scaling(stages, *everything[:2], both_cores=f"{server_core},{load_core}")
        print(scale(chosen, of_both, remarks))
    else:
        print(measure(chosen, stages, everything, remarks))
    say(f"written to {chosen.out}.md and {chosen.out}.json")


def arguments():
    parser = argparse.ArgumentParser(prog="benches/compare/run", description=__doc__)
    parser.add_argument("--runs", type=count, default=5, help="rounds; their median is taken (default 5)")
    parser.add_argument("--seconds", type=count, default=5, help="length of each measurement (5)")
    parser.add_argument("--connections", type=count, default=1000, help="for deliveries and latency (1000)")
    parser.add_argument("--many", type=count, default=10000, help="for memory, reconnecting and deliveries to all (10000)")
    parser.add_argument("--rate", type=count, default=10, help="publishes a second for latency (10)")
    parser.add_argument("--only", metavar="SERVERS", help="some of them, by comma: limit,statshub,nchan")
    parser.add_argument("--transport", choices=list(report.TRANSPORTS), help="one of them only")
    parser.add_argument("--scaling", action="store_true", help="how cost grows, statshub and the bare loop only")
    parser.add_argument("--quick", action="store_true", help="one short round, to see that all works")
    parser.add_argument("--out", type=Path, help="where to, without .md and .json")
    parser.add_argument("--binaries", type=lambda text: Path(text).resolve(), required=True, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.runs, chosen.seconds, chosen.connections, chosen.many = 1, 2, 200, 1000
    chosen.out = chosen.out or WORK / ("scaling" if chosen.scaling else "result")
    return chosen


def count(text):
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("a whole number above 0")
    return int(text)


def credentials(everything):
    """The load generator signs with the secret that statshub was started with."""
    return next(each.environment for each in everything if each.key == "statshub")


def measure(chosen, stages, everything, remarks):
    """Round after round, so that whatever the machine does meanwhile touches all alike.

    After each the files are written; gives the table after the last.
    """
    bare_loop, noise = everything[0], {}
    subjects = [
        {"server": server, "transport": transport, "rounds": []}
        for transport in report.TRANSPORTS
        for server in everything
        if takes_part(chosen, server, transport)
    ]
    for turn in range(chosen.runs):
        for number, subject in enumerate(subjects, 1):
            server, transport = subject["server"], subject["transport"]
            place = f"round {turn + 1} of {chosen.runs}, {number} of {len(subjects)}"
            say(f"{place}: {server.title} over {report.TRANSPORTS[transport]}")
            subject["rounds"].append(one_round(stages, server, transport, remarks))
            if server is not bare_loop:
                noise.setdefault(transport, []).append(stages.noise(bare_loop, transport))
        finished = conclude(chosen, subjects, noise, remarks)
        table = write(chosen, finished, report.markdown(finished))
    return table


def scale(chosen, of_both, remarks):
    """As `measure`, with what a server costs as its work grows."""
    transports = [each for each in report.TRANSPORTS if chosen.transport in (None, each)]
    rounds = []
    for turn in range(chosen.runs):
        say(f"round {turn + 1} of {chosen.runs}")
        rounds.append(of_both.one_round(turn, transports, remarks, say))
        finished = {**about(chosen, remarks), **scaling_report.summarise(rounds, transports), "rounds": rounds}
        table = write(chosen, finished, scaling_report.markdown(finished))
    return table


def takes_part(chosen, server, transport):
    return (
        transport in server.transports
        and chosen.transport in (None, transport)
        and (not chosen.only or server.key in chosen.only.split(","))
        and not server.missing()
    )


def one_round(stages, server, transport, remarks):
    """Everything once. What fails is remarked, and the rest goes on."""
    raw = {}
    for part in (stages.deliveries, stages.deliveries_to_all, stages.connecting, stages.reconnecting):
        try:
            for stage, result in part(server, transport):
                raw[stage] = result
                say(f"  {report.told(stage, raw)}")
        except Failed as failure:
            say(f"  failed: {failure}")
            remarks.append(f"{server.title} over {report.TRANSPORTS[transport]}, {part.__name__}: {failure}")
    return raw


def conclude(chosen, subjects, noise, remarks):
    finished = [
        {
            "server": each["server"].key,
            "title": each["server"].title,
            "heading": each["server"].heading,
            "transport": each["transport"],
            "measures": report.summarise(each["rounds"]),
            "rounds": each["rounds"],
        }
        for each in subjects
    ]
    report.add_ratios(finished)
    return {
        **about(chosen, remarks),
        "noise": {transport: report.noise(results) for transport, results in noise.items()},
        "subjects": finished,
    }


def about(chosen, remarks):
    return {
        "machine": machine(),
        "settings": {name: getattr(chosen, name) for name in ("runs", "seconds", "connections", "many", "rate")},
        "remarks": [remark for remark in remarks if remark],
    }


def write(chosen, finished, table):
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    chosen.out.with_suffix(".json").write_text(json.dumps(finished, indent=1) + "\n")
    chosen.out.with_suffix(".md").write_text(table)
    return table


def left_out(everything):
    lines = [f"{each.title} is left out: {each.missing()}" for each in everything if each.missing()]
    for line in lines:
        say(line)
    return lines


def within_open_files(chosen):
    """statshub takes two descriptors for a connection. Who comes back must fit in beside who is not gone yet."""
    open_files = raise_open_files()
    most = open_files * 9 // 20 // 100 * 100
    if chosen.many <= most:
        return None
    text = f"{most:,} connections in place of {chosen.many:,}: only {open_files:,} files may be open (ulimit -Hn)"
    chosen.many = most
    say(text)
    return text


def quiet():
    busy = busy_share(2)
    if busy <= QUIET:
        return None
    say(f"the machine is {busy:.0%} busy with other things: the figures will be worth little")
    return f"the machine was {busy:.0%} busy with other things when this began"


def machine():
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.machine(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
    }


def say(line):
    print(line, file=sys.stderr, flush=True)


try:
    main()
except Failed as failure:
    sys.exit(f"benches/compare/run: {failure}")
except KeyboardInterrupt:
    sys.exit("benches/compare/run: stopped; the rounds that were finished are written")
