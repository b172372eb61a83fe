"""Where this runs, and how busy it is."""

import datetime
import os
import platform


def model():
    with open("/proc/cpuinfo") as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return names[0] if names else platform.machine()


def about():
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {"date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
            "cpu": model(), "cpus": len(os.sched_getaffinity(0)), "memory_gib": round(pages / 2**30, 1),
            "kernel": platform.release(), "load_at_start": os.getloadavg()}


def times():
    """Ticks that the processors have spent so far: all, and those that another guest of the machine took."""
    with open("/proc/stat") as file:
        ticks = [int(field) for field in file.readline().split()[1:9]]
    return sum(ticks), ticks[7]


def stolen(before):
    """The share in percent that other guests took since then."""
    now = times()
    return 100 * (now[1] - before[1]) / max(1, now[0] - before[0])
