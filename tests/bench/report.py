"""Collects rows and prints them: what, ours, what it is compared to, the ratio, the goal, and whether it is met."""
import datetime
import os
import pathlib
import re
import subprocess


def number(value, unit):
    if value is None:
        return ""
    if unit == "/s":
        return f"{value:,.0f}/s"
    if unit == "s":
        return f"{value:.3f} s"
    if unit == "MiB":
        return f"{value:.1f} MiB"
    if unit == "ms":
        return f"{value:,.0f} ms"
    return f"{value:,.0f}{unit}"


class Report:
    def __init__(self):
        self.rows = []
        self.notes = []
        self.title = None

    def section(self, title):
        self.title = title
        print(f"\n== {title}", flush=True)

    def add(self, what, ours, unit, reference=None, ratio=None, goal=None, met=None, note=""):
        """`goal` is the text of it; `met` None where there is none."""
        row = {"section": self.title, "what": what, "ours": number(ours, unit), "reference": number(reference, unit),
               "ratio": f"{ratio:.2f}" if ratio is not None else "", "goal": goal or "",
               "met": "" if met is None else "met" if met else "MISSED", "note": note}
        self.rows.append(row)
        print(f"  {what:<46} {row['ours']:>12} {row['reference']:>12} {row['ratio']:>6}  {row['goal']:<22} {row['met']:<7}"
              f"{note}", flush=True)

    def compare(self, what, pair, unit="/s", at_least=None, note=""):
        text = f"≥ {at_least:.2f}" if at_least is not None else None
        met = None if at_least is None else pair["ratio"] >= at_least
        cpu = f"CPU of the servers {pair['ours_us']:.1f} µs, {pair['reference_us']:.1f} µs a request" if "ours_us" in pair else ""
        self.add(what, pair["ours"], unit, pair["reference"], pair["ratio"], text, met, "; ".join(n for n in (cpu, note) if n))

    def below(self, what, value, unit, limit, note=""):
        self.add(what, value, unit, goal=f"< {number(limit, unit)}", met=value < limit, note=note)

    def missed(self):
        return [r for r in self.rows if r["met"] == "MISSED"]

    def markdown(self):
        out, last = [], None
        for r in self.rows:
            if r["section"] != last:
                last = r["section"]
                out += ["", f"### {last}", "", "| what | ours | compared to | ratio | goal | | |", "|---|--:|--:|--:|---|---|---|"]
            out.append("| " + " | ".join((r["what"], r["ours"], r["reference"], r["ratio"], r["goal"], r["met"], r["note"])) + " |")
        return "\n".join(out).strip() + "\n"


def version(*command):
    try:
        out = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except OSError:
        return "none"
    match = re.search(r"\d+\.\d+[.\d]*\S*", out.stdout + out.stderr)
    return match.group(0) if match else "?"


def conditions():
    cpu = re.search(r"model name\s*:\s*(.*)", pathlib.Path("/proc/cpuinfo").read_text())
    total = int(re.search(r"MemTotal:\s*(\d+)", pathlib.Path("/proc/meminfo").read_text()).group(1)) // 1024
    system = re.search(r'PRETTY_NAME="(.*)"', pathlib.Path("/etc/os-release").read_text())
    load = " ".join(f"{x:.1f}" for x in os.getloadavg())
    disk = subprocess.run(["findmnt", "-no", "FSTYPE", "-T", "/tmp"], capture_output=True, text=True).stdout.strip()
    return [
        ("date", datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")),
        ("machine", f"{os.cpu_count()} × {cpu.group(1) if cpu else 'processor'}, {total} MiB, {disk} for the data"),
        ("system", f"{system.group(1) if system else ''}, Linux {os.uname().release}"),
        ("versions", f"nginx {version('nginx', '-v')}, Podman {version('podman', '--version')}, runc {version('runc', '--version')}, "
                     f"SQLite {version('sqlite3', '--version')}"),
        ("load before (1, 5, 15 min)", load),
    ]
