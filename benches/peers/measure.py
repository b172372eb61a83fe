"""The rounds: every target in turn for each workload, from another one on in each round."""

import statistics

from programs import say


class Results:
    """All samples: by workload and target, one for each round."""

    def __init__(self):
        self.workloads = []
        self.samples = {}

    def add(self, workload, target, sample):
        if workload not in self.workloads:
            self.workloads.append(workload)
        self.samples.setdefault((workload.title, target), []).append(sample)

    def of(self, title, target):
        return self.samples.get((title, target), [])

    def median(self, title, target, key="cost"):
        values = [sample[key] for sample in self.of(title, target) if sample.get(key) is not None]
        return statistics.median(values) if values else None

    def ratios(self, title, target, base, key="cost"):
        """This target's figure by another's, in each round."""
        pairs = zip(self.of(title, target), self.of(title, base))
        return [one[key] / other[key] for one, other in pairs if one.get(key) is not None and other.get(key)]

    def targets(self, title):
        return [target for of, target in self.samples if of == title]


def turn(items, by):
    by %= max(1, len(items))
    return items[by:] + items[:by]


def measure(world, targets, workloads, workers, options, results):
    """Starts the targets, lets each do everything once unmeasured, then measures."""
    if not workloads:
        return
    running = [target.start(workers) for target in targets]
    try:
        for workload in workloads:
            for target in running:
                if workload.fits(target.name):
                    workload.run(world, target, options.warm_up_scale)
        for number in range(options.rounds):
            say(f"round {number + 1} of {options.rounds}: {', '.join(dict.fromkeys(w.goal for w in workloads))}")
            for workload in workloads:
                for target in turn(running, number):
                    if workload.fits(target.name):
                        results.add(workload, target.name, workload.run(world, target, options.scale))
                        target.must_live()
                        target.cut_logs()
    finally:
        for target in running:
            target.end()
