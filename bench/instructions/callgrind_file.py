"""Reads what callgrind dumps, written with --compress-strings=no --compress-pos=no."""
import collections
import re

NAMES = re.compile(r"(fl|fi|fe|fn|cfn|cfi|cfl|ob|cob)=(.*)")


class Dump:
    """One dump: its trigger, its total, and the instructions by function, by place and by line."""

    def __init__(self, path):
        self.trigger = None
        self.total = 0
        self.self_cost = collections.Counter()       # function
        self.inclusive = collections.Counter()       # function
        self.by_file = collections.Counter()         # (source file, function it was inlined into)
        self.by_line = collections.Counter()         # (source file, line)
        with open(path, encoding="utf-8", errors="replace") as lines:
            self._read(lines)

    def _read(self, lines):
        function = source = called = None
        is_call = False
        for line in lines:
            line = line.rstrip("\n")
            if line[:1].isdigit():
                position, _, cost = line.partition(" ")
                cost = int(cost.split()[0]) if cost else 0
                if is_call:
                    # What the call cost altogether; a function that calls itself counts once.
                    self.inclusive[function] += cost if called != function else 0
                    is_call = False
                else:
                    self._add(function, source, int(position), cost)
            elif line.startswith("calls="):
                is_call = True
            elif line.startswith("desc: Trigger: "):
                self.trigger = line[len("desc: Trigger: "):].removeprefix("Client Request: ")
            elif line.startswith("summary:"):
                self.total = int(line.split()[1])
            elif match := NAMES.match(line):
                kind, name = match.groups()
                if kind == "fn":
                    function = name
                elif kind in ("fl", "fi", "fe"):
                    source = short_path(name)
                elif kind == "cfn":
                    called = name

    def _add(self, function, source, line, cost):
        self.self_cost[function] += cost
        self.inclusive[function] += cost
        self.by_file[(source, function)] += cost
        self.by_line[(source, line)] += cost


def short_path(path):
    """From the source tree's folders on: what a compiler cache writes before them is of no use."""
    match = re.search(r"(?:^|/)((?:src|bench|include|tools)/.*)$", path)
    return match.group(1) if match else path


def short_name(name):
    """Without the arguments: a profile is read by people."""
    depth, kept = 0, []
    for piece in re.split(r"([(<>)])", name.replace("(anonymous namespace)::", "").replace("operator()", "call")):
        if piece in "(<" and piece:
            depth += 1
        elif piece in ")>" and piece:
            depth = max(0, depth - 1)
        elif depth == 0:
            kept.append(piece)
    text = "".join(kept).replace("riskreg::", "").replace(" const", "")
    return re.sub(r"\s*\[clone [^\]]*\]", "", text).strip()
