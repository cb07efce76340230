"""Turns what run.py recorded into tables (markdown) and a picture (SVG).

A record is a dictionary; its member "kind" says which: machine, pair, profile,
replay, memory, rules, skipped. Figures are medians with [least, most]; ratios are
those of a pair, with the tap to without. What was seen is the worst of all pairs,
and "1" says that it is equal to the last byte.
"""

import statistics

from picture import Panel, draw
from workloads import REQUESTS, WORKLOADS

MIB = 1 << 20


class Results:
    def __init__(self, records, titles):
        self.records, self.titles = records, titles

    def of(self, kind, **members):
        return [record for record in self.records if record["kind"] == kind and
                all(record[name] == value for name, value in members.items())]

    def taps(self, kind, workload):
        """Those that were measured, in the order of all taps."""
        measured = {record["tap"] for record in self.of(kind, workload=workload)}
        return [name for name in self.titles if name in measured]


def spread(values, digits=3):
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    return (f"{statistics.median(values):.{digits}f} "
            f"[{min(values):.{digits}f}, {max(values):.{digits}f}]")


def table(heads, rows):
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines) + "\n"


# Pairs


def work_done(workload, side):
    """In the workload's unit."""
    if WORKLOADS[workload].unit == REQUESTS:
        return sum(side["logged"].values()) / 1e6
    return (side["truth"]["bytes_in"] + side["truth"]["bytes_out"]) / 1e9


def throughput(workload, side):
    return work_done(workload, side) / side["seconds"]


def stack_cost(workload, side):
    return side["stack_cpu_s"] / work_done(workload, side)


def whole_cost(workload, side):
    return (side["stack_cpu_s"] + side.get("cpu_s", 0)) / work_done(workload, side)


def own_cost(pair):
    return pair["with"]["cpu_s"] / work_done(pair["workload"], pair["with"])


def ratios(cost, pairs):
    return [cost(pair["workload"], pair["with"]) / cost(pair["workload"], pair["without"])
            for pair in pairs]


def seen_bytes(side, counts_segments):
    seen, truth = side["seen"], side["truth"]
    if counts_segments:
        return seen["bytes"] / (truth["wire_in"] + truth["wire_out"])
    return (seen["bytes_in"] + seen["bytes_out"]) / (truth["bytes_in"] + truth["bytes_out"])


def seen_payload(side):
    seen, truth = side["seen"], side["truth"]
    return ((seen["payload_in"] + seen["payload_out"]) /
            (truth["payload_in"] + truth["payload_out"]))


def seen_requests(side):
    return side["seen"]["requests"] / sum(side["logged"].values())


def rightly_named(side):
    """Requests that were given to the service that they had asked for."""
    services, logged = side["seen"]["services"], side["logged"]
    return sum(min(services.get(name, 0), count) for name, count in logged.items()) / sum(
        logged.values())


def unknown_share(side):
    return side["seen"]["unknown_bytes"] / side["seen"]["bytes"]


def worst(share, pairs):
    """The value of share(side) that is furthest from 1; None if the tap can't tell."""
    try:
        return max((share(pair["with"]) for pair in pairs), key=lambda value: abs(value - 1))
    except KeyError:
        return None


ACCURACY = ("bytes", "payload", "requests", "by service")


def accuracy(pairs):
    counts_segments = pairs[0]["counts_segments"]
    shares = (lambda side: seen_bytes(side, counts_segments), seen_payload, seen_requests,
              rightly_named)
    return [worst(share, pairs) for share in shares]


def exact(value):
    if value is None:
        return "-"
    return "1" if value == 1 else f"{value:.6f}"


def most(member, pairs):
    """The largest of what the tap said of itself."""
    values = [pair["with"]["seen"].get(member) for pair in pairs]
    return "-" if None in values else max(values)


def pair_row(results, workload, tap):
    pairs = results.of("pair", workload=workload, tap=tap)
    unknown = worst(lambda side: 1 - unknown_share(side), pairs)
    return [
        results.titles[tap], len(pairs),
        *(spread(ratios(cost, pairs)) for cost in (throughput, stack_cost, whole_cost)),
        spread([own_cost(pair) for pair in pairs], 4),
        f"{max(pair['with']['resident_bytes'] for pair in pairs) / MIB:.0f}",
        *map(exact, accuracy(pairs)),
        "-" if unknown is None else f"{(1 - unknown) * 100:.2f} %",
        most("dropped", pairs),
    ]


def pair_tables(results):
    for name, workload in WORKLOADS.items():
        taps = results.taps("pair", name)
        if taps:
            heads = ["beside it", "pairs", "throughput", "CPU of server and load",
                     "all CPU", f"own CPU s per {workload.unit}", "resident MiB",
                     *(f"{what} seen" for what in ACCURACY[:-1]), ACCURACY[-1], "_unknown",
                     "dropped"]
            yield (f"### {name}: {workload.title}\n\n" +
                   table(heads, [pair_row(results, name, tap) for tap in taps]))


# Profiles


def inside_share(profile):
    return profile["inside"] / profile["samples"]


def own_share(profile):
    """The tap's CPU time, in the CPU time of server and load: a sample for each period."""
    return profile["cpu_s"] * profile["hz"] / profile["samples"]


def tap_share(profile):
    return inside_share(profile) + own_share(profile)


def ns_a_packet(profile):
    return profile["inside"] / profile["hz"] / profile["packets"] * 1e9


def profile_row(results, workload, tap):
    profiles = results.of("profile", workload=workload, tap=tap)
    percents = [[share(profile) * 100 for profile in profiles]
                for share in (inside_share, own_share, tap_share)]
    return [workload, results.titles[tap], len(profiles),
            *(spread(values, 2) for values in percents),
            spread([ns_a_packet(profile) for profile in profiles], 0)]


def profile_table(results):
    rows = [profile_row(results, workload, tap)
            for workload in WORKLOADS for tap in results.taps("profile", workload)]
    if rows:
        yield "### Share of the CPU of server and load\n\n" + table(
            ["workload", "beside it", "runs", "inside the tap, %", "own CPU, %", "sum, %",
             "ns a packet inside"], rows)


# The rest


def replay_rates(results, tool):
    return [record["packets"] / record["tools"][tool]["seconds"]
            for record in results.of("replay") if tool in record["tools"]]


def replay_ratios(results, tool, member="seconds"):
    return [record["tools"]["tcpdump"][member] / record["tools"][tool][member]
            for record in results.of("replay") if tool in record["tools"]]


def replay_table(results):
    records = results.of("replay")
    if records:
        rows = [[tool, len(replay_rates(results, tool)),
                 spread([rate / 1e6 for rate in replay_rates(results, tool)]),
                 spread(replay_ratios(results, tool)),
                 spread(replay_ratios(results, tool, "cpu_s"))] for tool in records[0]["tools"]]
        yield (f"### A capture file of {records[0]['requests']} requests, "
               f"{records[0]['packets']} packets\n\n" +
               table(["read by", "runs", "million packets a second", "of tcpdump -w /dev/null",
                      "the same by CPU time"], rows))


def memory_table(results):
    rows = [[f"{count} open connections", *(f"{record[state][part] / MIB:.1f}" for part in
                                            ("resident", "ring", "maps"))]
            for record in results.of("memory")
            for state, count in (("idle", 0), ("busy", record["connections"]))]
    if rows:
        yield "### Memory of httpacct, MiB\n\n" + table(
            ["", "resident", "of which the ring", "kernel maps, beside that"], rows)


def rules_table(results):
    for record in results.of("rules"):
        yield f"### Finding the rule of a request\n\n```\n{record['text']}```\n"


def skipped_list(results):
    lines = [f"- {record['what']}: {record['why']}" for record in results.of("skipped")]
    if lines:
        yield "### Not measured\n\n" + "\n".join(lines) + "\n"


def machine_lines(results):
    yield "".join(f"- {name}: {value}\n" for record in results.of("machine")
                  for name, value in record["facts"].items())


# The goals


def own_cost_goal(workload, limit):
    return (f"own CPU s per {WORKLOADS[workload].unit}, {workload}",
            lambda results: statistics.median(
                own_cost(pair) for pair in results.of("pair", workload=workload, tap="httpacct")),
            limit, "at most")


def tap_share_goal(workload, limit_percent):
    return (f"inside the tap + own CPU, % of server and load, {workload}",
            lambda results: statistics.median(
                tap_share(profile) * 100
                for profile in results.of("profile", workload=workload, tap="httpacct")),
            limit_percent, "at most")


def least_seen(results):
    return max((value for pair in results.of("pair", tap="httpacct")
                for value in accuracy([pair])), key=lambda value: abs(value - 1))


def least_bytes_seen(results):
    return max((seen_bytes(pair["with"], True) for pair in results.of("pair")
                if pair["tap"].startswith("httpacct")), key=lambda value: abs(value - 1))


def most_dropped(results):
    return max(pair["with"]["seen"]["dropped"] for pair in results.of("pair", tap="httpacct"))


def largest(member, state):
    def find(results):
        return max(record[state][member] / MIB for record in results.of("memory"))
    return find


GOALS = (
    ("bytes, payload, requests, and by service, worst of all workloads", least_seen, 1, "exactly"),
    ("bytes, also with offload off, and starved", least_bytes_seen, 1, "exactly"),
    ("packets that the ring dropped, worst of all workloads", most_dropped, 0, "at most"),
    own_cost_goal("keepalive", 0.40),
    own_cost_goal("connections", 2.0),
    own_cost_goal("100m", 0.002),
    own_cost_goal("chunked-1m", 0.010),
    tap_share_goal("keepalive", 8),
    tap_share_goal("8m", 2),
    ("1000 rules against 10, mixed",
     lambda results: results.of("rules")[0]["ratio"], 2, "at most"),
    ("reading a capture, of tcpdump -w /dev/null",
     lambda results: statistics.median(replay_ratios(results, "httpacct")), 0.5, "at least"),
    ("resident MiB, idle", largest("resident", "idle"), 20, "at most"),
    ("resident MiB, open connections", largest("resident", "busy"), 128, "at most"),
)

REACHED = {
    "exactly": lambda value, limit: value == limit,
    "at most": lambda value, limit: value <= limit,
    "at least": lambda value, limit: value >= limit,
}


def goal_rows(results):
    for title, find, limit, how in GOALS:
        try:
            value = find(results)
        except (statistics.StatisticsError, IndexError, ValueError):
            continue  # that was not measured
        reached = "yes" if REACHED[how](value, limit) else "**no**"
        yield [title, exact(value) if how == "exactly" else f"{value:.4g}", f"{how} {limit}",
               reached]


def goal_table(results):
    yield "### Goals\n\n" + table(["figure", "measured", "to reach", ""], goal_rows(results))


def markdown(results):
    parts = (machine_lines, goal_table, pair_tables, profile_table, replay_table, memory_table,
             rules_table, skipped_list)
    texts = (text for part in parts for text in part(results))
    return "\n".join(["# httpacct, measured\n", *texts])


# The picture


def cost_panel(results, workload):
    bars = [(results.titles[tap], statistics.median(
        own_cost(pair) for pair in results.of("pair", workload=workload, tap=tap)))
        for tap in results.taps("pair", workload)]
    return Panel(f"own CPU seconds per {WORKLOADS[workload].unit}, {workload}", bars)


def share_panel(results, workload):
    bars = [(results.titles[tap], statistics.median(
        tap_share(profile) * 100
        for profile in results.of("profile", workload=workload, tap=tap)))
        for tap in results.taps("profile", workload)]
    return Panel(f"inside the tap + own CPU, % of server and load, {workload}", bars)


def seen_panel(results, workload):
    bars = []
    for tap in results.taps("pair", workload):
        seen_share = accuracy(results.of("pair", workload=workload, tap=tap))[0]
        if seen_share is not None:
            bars.append((results.titles[tap], seen_share * 100))
    return Panel(f"bytes seen, %, {workload}", bars)


def svg(results):
    panels = [make(results, workload) for workload in ("keepalive", "100m")
              for make in (cost_panel, seen_panel)]
    panels += [share_panel(results, workload) for workload in ("keepalive", "8m")]
    return draw([panel for panel in panels if panel.bars])
