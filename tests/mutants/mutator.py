"""The breakages: one line of C++ in, the same line broken in one place out.

A breakage compiles as a rule and changes what is decided: a condition negated or dropped, a comparison turned or off
by one, && and || swapped, the call of a check left out, a condition of an SQL text widened.
"""
import re
from dataclasses import dataclass

TURNED = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}
OFF_BY_ONE = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}
SWAPPED = {"&&": "||", "||": "&&"}

COMPARISON = re.compile(r"(?<= )(<=|>=|==|!=|<|>)(?= )")
CONNECTIVE = re.compile(r"(?<= )(&&|\|\|)(?=\s|$)")
CHECK_CALL = re.compile(r"\s*(?:[\w.>-]+(?:::|\.|->))?(?:check|require|verify|ensure|reject)\w*\(.*\);$")
# Not decisions: what only the compiler sees, a loop's own counting, and what a bug alone makes false.
SKIPPED = re.compile(r"\s*(#|for \(|static_assert|template|using |ACME_CHECK)")

SQL_EQUAL = re.compile(r"(?<=AND )(\w+(?:\.\w+)?) = (\$\d+)")
SQL_NULL = re.compile(r" AND \w+(?:\.\w+)? IS(?: NOT)? NULL")
SQL_BOUND = re.compile(r"(?<= )(<=|>=|<|>)(?= \$\d)")


@dataclass(frozen=True)
class Mutant:
    line: int  # from 1
    before: str
    after: str
    rule: str


def masked(line):
    """`line` with the insides of literals blanked and the comment cut off; lengths stay."""
    out, quote, i = [], None, 0
    while i < len(line):
        char = line[i]
        if quote:
            if char == "\\":
                out.append("  ")
                i += 2
                continue
            out.append(char if char == quote else " ")
            if char == quote:
                quote = None
        elif char == '"' or (char == "'" and not (i and line[i - 1].isalnum())):
            quote = char
            out.append(char)
        elif line.startswith("//", i):
            break
        else:
            out.append(char)
        i += 1
    return "".join(out)[: len(line)]


def condition_of(code):
    """Where the condition of a one-line `if (…)` begins and ends, and whether it declares a name; or None."""
    match = re.match(r"\s*(?:\} else )?if (?:constexpr )?\(", code)
    if not match or "constexpr" in match.group():
        return None
    depth, begin = 1, match.end()
    for at in range(begin, len(code)):
        depth += {"(": 1, ")": -1}.get(code[at], 0)
        if code[at] == ";" and depth == 1:
            begin = at + 2  # after the init-statement
        if depth == 0:
            inside = code[begin:at]
            declares = re.match(r"(?:const )?[\w:<>*&]+(?: |\* ?|& ?)[*&]?\w+ = ", inside) is not None
            return begin, at, declares
    return None


def breakages(line):
    """(rule, broken line) for each way to break `line`."""
    code = masked(line)
    if SKIPPED.match(code):
        return
    condition = condition_of(code)
    if condition:
        begin, end, declares = condition
        inside = line[begin:end]
        if declares:
            yield "dropped", f"{line[:end]}; false{line[end:]}"
        else:
            yield "negated", f"{line[:begin]}!({inside}){line[end:]}"
            yield "dropped", f"{line[:begin]}({inside}) && false{line[end:]}"
    for match in COMPARISON.finditer(code):
        before, after = line[: match.start()], line[match.end() :]
        yield "turned", before + TURNED[match.group()] + after
        if match.group() in OFF_BY_ONE:
            yield "off by one", before + OFF_BY_ONE[match.group()] + after
    for match in CONNECTIVE.finditer(code):
        yield "swapped", line[: match.start()] + SWAPPED[match.group()] + line[match.end() :]
    if CHECK_CALL.match(code):
        indent = len(line) - len(line.lstrip())
        yield "left out", f"{line[:indent]}if (false) {line[indent:]}"


def sql_breakages(line):
    """The same for a line that holds SQL in a string."""
    if '"' not in line or not re.search(r"\b(AND|WHERE|SET|SELECT)\b", line):
        return
    for match in SQL_EQUAL.finditer(line):
        column, value = match.groups()
        yield "widened", f"{line[:match.start()]}({column} = {value} OR 1 = 1){line[match.end():]}"
    for match in SQL_NULL.finditer(line):
        yield "widened", line[: match.start()] + line[match.end() :]
    for match in SQL_BOUND.finditer(line):
        yield "off by one", line[: match.start()] + OFF_BY_ONE[match.group()] + line[match.end() :]


def mutants_of(text):
    """Every mutant of a file, in the order of its lines."""
    mutants = []
    for number, line in enumerate(text.split("\n"), start=1):
        for rule, after in [*breakages(line), *sql_breakages(line)]:
            mutants.append(Mutant(number, line, after, rule))
    return mutants


def applied(text, mutant):
    """`text` with the mutant in it."""
    lines = text.split("\n")
    assert lines[mutant.line - 1] == mutant.before
    lines[mutant.line - 1] = mutant.after
    return "\n".join(lines)
