"""The goals of the issue, and whether this run reaches them."""

import statistics

ENVOYS = ("envoy oghttp2", "envoy nghttp2")
SAME = ("haproxy same", "nginx same")
BARE = ("haproxy bare", "nginx bare")
# Of Envoy's CPU time, by the end of a workload's name.
OF_ENVOY = {"P1": {"10x10 11 B": 0.2, "1 KiB": 0.3, "16 KiB": 0.45, "100x1 11 B": 0.25},
            "P2": {"11 B": 0.25, "1 KiB": 0.3, "16 KiB": 0.5}}
# By how many percent of each other two spreads may differ by chance.
CHANCE = 2


class Goals:
    """Compares one build of meshlib with the peers."""

    def __init__(self, results, base):
        self.results = results
        self.base = base
        self.lines = []

    def verdict(self, goal, level, title, text, reached):
        word = {True: "reached", False: "MISSED", None: "not measured"}[reached]
        self.lines.append({"goal": goal, "level": level, "work": title, "text": text, "reached": reached,
                           "line": f"{level:8} {word:13} {title}: {text}"})

    def best(self, title, peers, key="cost", most=False):
        """The peer with the least (or the most) of it, and how much."""
        figures = [(self.results.median(title, peer, key), peer) for peer in peers]
        figures = [figure for figure in figures if figure[0] is not None]
        return (max if most else min)(figures, default=(None, None))

    def at_most(self, goal, level, title, peers, factor, key="cost"):
        """Whether meshlib has at most so many times what the best of these peers has."""
        _, peer = self.best(title, peers, key)
        ratios = self.results.ratios(title, self.base, peer, key) if peer else []
        if not ratios:
            return self.verdict(goal, level, title, f"{key} <= {factor:.2f} x {' or '.join(peers)}", None)
        ratio = statistics.median(ratios)
        text = f"{key} {ratio:.2f} x {peer} (goal {factor:.2f}; in the rounds {min(ratios):.2f}-{max(ratios):.2f})"
        self.verdict(goal, level, title, text, ratio <= factor)

    def at_least(self, goal, level, title, peers, factor, key):
        """Whether meshlib has at least so many times what the best of these peers has."""
        _, peer = self.best(title, peers, key, most=True)
        ratios = self.results.ratios(title, self.base, peer, key) if peer else []
        if not ratios:
            return self.verdict(goal, level, title, f"{key} >= {factor:.2f} x {' or '.join(peers)}", None)
        ratio = statistics.median(ratios)
        text = f"{key} {ratio:.2f} x {peer} (goal {factor:.2f}; in the rounds {min(ratios):.2f}-{max(ratios):.2f})"
        self.verdict(goal, level, title, text, ratio >= factor)

    def below(self, goal, level, title, limit, key="cost", unit=""):
        """Whether meshlib's own figure is at most this."""
        figure = self.results.median(title, self.base, key)
        text = f"{key} {figure:.1f}{unit} (goal {limit}{unit})" if figure is not None else f"{key} <= {limit}{unit}"
        self.verdict(goal, level, title, text, None if figure is None else figure <= limit)

    def judge(self, workload):
        getattr(self, f"_{workload.goal.lower()}")(workload.title)

    def _requests(self, goal, title):
        self.at_most(goal, "must", title, ("haproxy same",), 1.0)
        for end, factor in OF_ENVOY[goal].items():
            if title.endswith(end):
                self.at_most(goal, "must", title, ENVOYS, factor)
                break
        self.at_most(goal, "stretch", title, ("haproxy bare",), 1.0)

    def _p1(self, title):
        self._requests("P1", title)

    def _p2(self, title):
        self._requests("P2", title)

    def _p3(self, title):
        self.at_most("P3", "must", title, SAME, 1.0)
        self.at_most("P3", "must", title, ENVOYS, 0.3)
        self.at_most("P3", "stretch", title, BARE, 1.0)

    def _p4(self, title):
        for key in ("p50", "p999"):
            self.at_most("P4", "must", title, SAME + ENVOYS, 1.1, key)
            self.at_most("P4", "stretch", title, SAME + ENVOYS, 1.0, key)

    def _p5(self, title):
        self.at_least("P5", "must", title, ENVOYS, 2.0, "MB per CPU-second")
        self.at_least("P5", "stretch", title, SAME + ENVOYS, 1.0, "MB per CPU-second")

    def _p6(self, title):
        if title.endswith("idle"):
            self.below("P6", "must", title, 16, unit=" MB")
        else:
            self.at_most("P6", "must", title, ENVOYS, 1.0)
        self.at_most("P6", "stretch", title, ("haproxy same",), 1.0)

    def _p7(self, title):
        self.at_least("P7", "must", title, ("haproxy same",), 0.9, "per CPU-second")
        self.at_least("P7", "stretch", title, SAME + ENVOYS, 1.0, "per CPU-second")

    def _p11(self, title):
        for key in ("connections apart", "CPU apart"):
            self.below("P11", "must", title, 10, key, " %")
            _, peer = self.best(title, SAME + ENVOYS, key)
            own, other = (self.results.median(title, name, key) for name in (self.base, peer))
            reached = None if own is None or other is None else own <= other + CHANCE
            text = f"{key}: {own:.1f} %, best peer {peer} {other:.1f} %" if reached is not None else key
            self.verdict("P11", "stretch", title, text, reached)

    def _p13(self, title):
        if title.endswith("one at a time"):
            self.at_most("P13", "must", title, ENVOYS, 0.5, "added p50")
        else:
            self.at_most("P13", "must", title, ENVOYS, 0.25)


def judge(results, base):
    """Every goal with its figure."""
    goals = Goals(results, base)
    for workload in results.workloads:
        goals.judge(workload)
    return goals.lines


def summary(lines):
    text = [line["line"] for line in lines]
    for level in ("must", "stretch"):
        of = [line["reached"] for line in lines if line["level"] == level]
        text.append(f"{level}: {of.count(True)} of {len(of)} reached, {of.count(None)} not measured")
    return "\n".join(text)
