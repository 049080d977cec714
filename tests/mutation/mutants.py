"""Makes mutants of C++ text: small changes, each of which some test should notice. Only the text is looked at, no compiler:
what does not compile is sorted out later.

A mutant is made inside bodies of functions only, outside comments, strings and preprocessor lines.
"""
import bisect
import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    file: str
    function: str
    operator: str
    line: int          # of the first changed character, from 1
    column: int
    ordinal: int       # among those of the same operator and place, from 1
    source: str        # the line as it stands in the file, without indentation
    start: int         # text[start:end] becomes `replacement`
    end: int
    replacement: str

    @property
    def id(self):
        return f"{self.file}:{self.line}:{self.operator}:{self.ordinal}"

    @property
    def key(self):
        """The same after lines above have come or gone: survivors.txt names mutants by this."""
        return f"{self.file} {self.function} {self.operator}:{self.ordinal} {self.source}"

    def apply(self, text):
        return text[: self.start] + self.replacement + text[self.end :]


def masked(text):
    """The same length and lines, with blanks for comments, literals of text and preprocessor lines."""
    pattern = re.compile(
        r"//[^\n]*|/\*.*?\*/"
        r'|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])\'(?:\\.|[^\'\\\n])+\''
        r"|^[ \t]*#(?:\\\n|[^\n])*", re.S | re.M)
    return pattern.sub(lambda found: re.sub(r"[^\n]", " ", found.group()), text)


@dataclass
class Function:
    name: str
    is_bool: bool
    start: int
    end: int


def functions(code):
    """Bodies of functions; namespaces, classes and enumerations are looked through."""
    found, opened, head, body = [], [], 0, None
    for i, c in enumerate(code):
        if c == "{":
            if body is None:
                before = code[head:i]
                transparent = re.search(r"\b(namespace|struct|class|enum|union)\b[^()]*$", before) is not None
                if not transparent:
                    name = re.search(r"([\w:~]+)\s*\(", before)
                    is_bool = re.search(r"\bbool\s+[\w:]+\s*\(", before) is not None
                    body = Function(name.group(1) if name else "", is_bool, i + 1, 0)
                    body_depth = len(opened)
            opened.append(c)
            head = i + 1
        elif c == "}":
            opened.pop()
            if body is not None and len(opened) == body_depth:
                body.end = i
                if body.name:
                    found.append(body)
                body = None
            head = i + 1
        elif c == ";":
            head = i + 1
    return found


def close_of(code, start):
    """Where the bracket at `start` is closed."""
    depth = 0
    for i in range(start, len(code)):
        depth += (code[i] in "([{") - (code[i] in ")]}")
        if depth == 0:
            return i
    return len(code)


LABEL = re.compile(r"\s*(case\b.*|default\s*)$", re.S)


def block(code, start, end, blocks):
    """Statements of code[start:end] as (start, end), in a list for each block; blocks inside come in lists of their own."""
    statements = []
    blocks.append(statements)
    begin, i = start, start
    while i < end:
        c = code[i]
        if c in "([":
            close = close_of(code, i)
            inner = i + 1
            while (brace := code.find("{", inner, close)) >= 0:      # a lambda among arguments
                inner = close_of(code, brace)
                block(code, brace + 1, inner, blocks)
            i = close
        elif c == "{":
            close = close_of(code, i)
            is_value = re.search(r"(=|\breturn|[\w>]|,)\s*$", code[begin:i]) and not re.search(
                r"(\)|\belse|\bdo|noexcept|\]\])\s*$", code[begin:i])
            block(code, i + 1, close, blocks)
            i = close
            if not is_value and code[close + 1 : close + 2] not in (";", ")", ","):
                begin = close + 1
        elif c == ";":
            first = begin + len(code[begin:i]) - len(code[begin:i].lstrip())
            statements.append((first, i + 1))
            begin = i + 1
        elif c == ":" and ":" not in (code[i - 1], code[i + 1]) and LABEL.match(code[begin:i]):
            begin = i + 1
        i += 1
    return statements


HEAD = re.compile(r"(else\b\s*|\[\[\w+\]\]\s*|(?:if|for|while|switch)\b\s*(?=\())")


def controlled(code, start, end):
    """Start of the statement behind if (...), for (...), else."""
    while (head := HEAD.match(code, start, end)) is not None:
        start = head.end()
        if code[start] == "(":
            start = close_of(code, start) + 1
        start += len(code[start:end]) - len(code[start:end].lstrip())
    return start


NOT_EXPRESSION = re.compile(
    r"(const|constexpr|static|auto|using|struct|enum|return|break|continue|throw|typename|template|thread_local)\b"
    r"|[\w:]+(<.*?>)?[&*]?\s+[&*]?\w+\s*(=|\{|;|\(|\[|,)", re.S)


def is_expression(text):
    return text.rstrip() not in ("", ";") and NOT_EXPRESSION.match(text) is None and not text.startswith("CRASH_POINT")


EFFECT = re.compile(
    r"store_|fence_|copy_|write|commit|apply|execute|insert_word|index_content|move_|count_|keep|poison|consistent|unlock|"
    r"enter_|leave_|munmap|update\(|store\(|become|require\(")

REPLACED = [
    ("<", r" < ", " <= "), ("<=", r" <= ", " < "), (">", r" > ", " >= "), (">=", r" >= ", " > "),
    ("==", r" == ", " != "), ("!=", r" != ", " == "), ("+", r" \+ ", " - "), ("-", r" - ", " + "),
    ("and", r" && ", " || "), ("or", r" \|\| ", " && "), ("not", r"!(?=[\w(])", ""),
    ("bit-or", r" \| ", " & "), ("bit-and", r" & ", " | "), ("+=", r" \+= ", " -= "), ("-=", r" -= ", " += "),
    ("|=", r" \|= ", " &= "),
    ("release", r"\bstore_release\(", "store_relaxed("), ("acquire", r"\bload_acquire\(", "load_relaxed("),
    ("max", r"\bstd::max\b", "std::min"), ("min", r"\bstd::min\b", "std::max"),
    ("choice", r"(?<![\w.>:])(?<![<>=!&|+-] )(?=[a-z]\w* \? )", "!"),
]


def of_tokens(code, function):
    for operator, pattern, replacement in REPLACED:
        for found in re.finditer(pattern, code[function.start : function.end]):
            start = function.start + found.start()
            if operator == "<" and re.search(r"\btemplate$", code[:start]):
                continue
            yield operator, start, function.start + found.end(), replacement
    for found in re.finditer(r"(?<![\w'.])(\d+)(?=(?:U|UL|ULL|LL)?\b)(?![\w]*[.'])", code[function.start : function.end]):
        value, start, end = int(found.group(1)), function.start + found.start(1), function.start + found.end(1)
        yield "number+1", start, end, str(value + 1)
        if value > 0:
            yield "number-1", start, end, str(value - 1)


def of_conditions(code, function):
    for found in re.finditer(r"\bif (?=\()", code[function.start : function.end]):
        opening = function.start + found.end()
        closing = close_of(code, opening)
        condition = code[opening + 1 : closing]
        if ";" in condition:
            opening += 1 + condition.rindex(";")
        yield "if-true", opening + 1, closing, " true || ({})"
        yield "if-false", opening + 1, closing, " false && ({})"
    if not function.is_bool:
        return
    for found in re.finditer(r"\breturn ([^;]+);", code[function.start : function.end]):
        yield "return-not", function.start + found.start(1), function.start + found.end(1), "!({})"


def of_statements(code, function):
    blocks = []
    block(code, function.start, function.end, blocks)
    for statements in blocks:
        for start, end in statements:
            first = controlled(code, start, end)
            if is_expression(code[first:end]):
                yield "fence" if code.startswith("fence_", first) else "delete", first, end, ";"
        real = [one for one in statements if not code.startswith("CRASH_POINT", one[0])]
        for (start, end), (start2, end2) in zip(real, real[1:]):
            between = re.sub(r"CRASH_POINT\([^)]*\);", "", code[end:start2])
            acts = all(is_expression(code[controlled(code, *one) : one[1]]) and EFFECT.search(code[one[0] : one[1]])
                       for one in ((start, end), (start2, end2)))
            if between.strip() == "" and acts and not code.startswith("else", start2):
                yield "swap", start, end2, (start, end, start2, end2)


def replacement_of(text, start, end, how):
    if isinstance(how, tuple):
        return text[how[2] : how[3]] + text[how[1] : how[2]] + text[how[0] : how[1]]
    replaced = how.replace("{}", text[start:end]) if "{}" in how else how
    # Lines stay where they are.
    return replaced + "\n" * (text[start:end].count("\n") - replaced.count("\n"))


def crosses_directive(text, start, end):
    return re.search(r"^[ \t]*#", text[start:end], re.M) is not None


def mutants_of(file, text, left_out=()):
    """Every mutant of the functions of a file, in the order of their places."""
    code = masked(text)
    lines = [0] + [i + 1 for i, c in enumerate(text) if c == "\n"]
    raw = []
    for function in functions(code):
        if any(re.fullmatch(pattern, function.name) for pattern in left_out):
            continue
        for makers in (of_tokens, of_conditions, of_statements):
            raw += [(start, operator, end, how, function.name) for operator, start, end, how in makers(code, function)]
    found, seen = [], {}
    for start, operator, end, how, name in sorted(raw, key=lambda one: (one[0], one[1])):
        if crosses_directive(text, start, end):
            continue
        line = bisect.bisect_right(lines, start)
        source = text[lines[line - 1] : text.find("\n", lines[line - 1])].strip()
        ordinal = seen[(line, operator)] = seen.get((line, operator), 0) + 1
        found.append(Mutant(file, name, operator, line, start - lines[line - 1] + 1, ordinal, source, start, end,
                            replacement_of(text, start, end, how)))
    return found
