"""The table, and the same as JSON."""

import json
import statistics

HEAD = ["work", "target", "cost", "x {base} (min-max)", "per second", "p50 µs", "p99 µs", "p99.9 µs", "MB resident",
        "more"]
# What else a sample may hold, with its unit.
MORE = {"MB/s": "{:.0f} MB/s", "MB per CPU-second": "{:.0f} MB per CPU-second",
        "per CPU-second": "{:.0f} per CPU-second", "idle": "{:.1f} MB idle",
        "CPU apart": "CPU {:.0f} % apart", "connections apart": "connections {:.0f} % apart",
        "added p50": "p50 {:+.0f} µs to the direct way"}


def number(value, digits=0):
    return "" if value is None else f"{value:.{digits}f}"


def digits_of(value):
    return 1 if value is not None and value < 1000 else 0


def row(results, workload, target, base):
    title = workload.title
    median = lambda key: results.median(title, target, key)
    ratios = results.ratios(title, target, base)
    ratio = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})" if ratios else ""
    cost, memory = median("cost"), median("memory")
    more = ", ".join(text.format(median(key)) for key, text in MORE.items() if median(key) is not None)
    return [title, target, f"{number(cost, digits_of(cost))} {workload.unit}", "1" if target == base else ratio,
            number(median("rate"), digits_of(median("rate"))), *(number(median(key)) for key in ("p50", "p99", "p999")),
            number(memory and memory / 1e6, 1), more]


def table(results, base):
    """One table in Markdown, aligned."""
    rows = [row(results, workload, target, base)
            for workload in results.workloads for target in results.targets(workload.title)]
    for above, below in reversed(list(zip(rows, rows[1:]))):
        if above[0] == below[0]:
            below[0] = ""
    head = [text.format(base=base) for text in HEAD]
    widths = [max(len(line[column]) for line in [head, *rows]) for column in range(len(head))]
    lines = [head, ["-" * width for width in widths], *rows]
    cells = ("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |" for line in lines)
    return "\n".join(cells)


def noise(results, base):
    """How far apart meshlib's own figures are, between the rounds: the median and the worst, in percent."""
    spreads = []
    for workload in results.workloads:
        costs = [sample["cost"] for sample in results.of(workload.title, base)]
        middle = statistics.median(costs) if costs else 0
        if len(costs) > 1 and middle and workload.noisy:
            spreads.append(((max(costs) - min(costs)) / middle * 100, workload.title))
    if not spreads:
        return "nothing can be said about noise: one round, or nothing to compare"
    worst, title = max(spreads)
    return (f"between the rounds {base}'s own figures are {statistics.median(s for s, _ in spreads):.1f} % apart "
            f"(median over the workloads), at worst {worst:.1f} % ({title})")


def as_json(results, about):
    workloads = []
    for workload in results.workloads:
        targets = {target: results.of(workload.title, target) for target in results.targets(workload.title)}
        workloads.append({"goal": workload.goal, "name": workload.name, "unit": workload.unit, "targets": targets})
    return json.dumps({**about, "workloads": workloads}, indent=1, ensure_ascii=False)
