"""Changes of one place in the code of a function."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

OTHERS = {
    ast.Lt: "<=",
    ast.LtE: "<",
    ast.Gt: ">=",
    ast.GtE: ">",
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.Is: "is not",
    ast.IsNot: "is",
    ast.In: "not in",
    ast.NotIn: "in",
    ast.And: "or",
    ast.Or: "and",
    ast.Add: "-",
    ast.Sub: "+",
    ast.Mult: "+",
    ast.Div: "*",
    ast.FloorDiv: "*",
    ast.BitAnd: "|",
    ast.BitOr: "&",
    ast.LShift: "+",
}
"""What an operator is replaced by."""

_DELETED = (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Delete, ast.Expr, ast.Raise)


@dataclass(frozen=True)
class Change:
    """Something else in place of a part of a file."""

    file: str
    line: int
    first: int  # the line where its function begins
    start: int  # of the part, in the bytes of the file
    end: int
    old: str
    new: str
    context: str  # the line, without the space around it

    def made(self, text: str) -> str:
        """Return the text of the file with this change."""
        source = text.encode()
        return (source[: self.start] + self.new.encode() + source[self.end :]).decode()

    def __str__(self) -> str:
        old, new = (" ".join(part.split()) for part in (self.old, self.new))
        return f"{self.file}:{self.line}: {old} -> {new}"


def changes(package: Path, file: str) -> list[Change]:
    """Return the changes of a file: of what its functions do, not of what there is."""
    source = (package / file).read_bytes()
    lines = source.splitlines(keepends=True)
    starts = [0, *accumulate(map(len, lines))]

    def change(first: int, node: ast.expr | ast.stmt, new: str) -> Change:
        start = starts[node.lineno - 1] + node.col_offset
        end = starts[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)
        old, context = source[start:end].decode(), lines[node.lineno - 1].decode().strip()
        return Change(file, node.lineno, first, start, end, old, new, context)

    return [
        change(function.lineno, node, new)
        for function in _functions(ast.parse(source))
        for statement in function.body
        for node, new in _of(statement)
    ]


def _functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Find the functions of modules and classes. Those within others are parts of these."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
        elif isinstance(node, ast.ClassDef | ast.If):
            yield from _functions(node)


def _of(node: ast.AST) -> Iterator[tuple[ast.expr | ast.stmt, str]]:
    """Give what can be replaced in a node, and by what."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return  # a docstring
    if isinstance(node, ast.stmt):
        yield from _of_statement(node)
    elif isinstance(node, ast.expr):
        yield from _of_expression(node)
    tests = node.ifs if isinstance(node, ast.comprehension) else [getattr(node, "test", None)]
    for test in tests:
        if isinstance(test, ast.Call | ast.Attribute | ast.Name | ast.BoolOp):
            yield test, f"(not ({ast.unparse(test)}))"
    for field, value in ast.iter_fields(node):
        if field not in {"annotation", "returns", "decorator_list"}:
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from _of(child)


def _of_statement(node: ast.stmt) -> Iterator[tuple[ast.stmt, str]]:
    if isinstance(node, _DELETED):
        yield node, "pass"
    elif isinstance(node, ast.Return) and node.value is not None and not _is_none(node.value):
        yield node, "return None"
    elif isinstance(node, ast.Break):
        yield node, "continue"
    elif isinstance(node, ast.Continue):
        yield node, "break"
    if isinstance(node, ast.AugAssign) and type(node.op) in OTHERS:
        target, value = ast.unparse(node.target), ast.unparse(node.value)
        yield node, f"{target} {OTHERS[type(node.op)]}= {value}"


def _of_expression(node: ast.expr) -> Iterator[tuple[ast.expr, str]]:
    if isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float):
        yield node, repr(not node.value if isinstance(node.value, bool) else node.value + 1)
    elif isinstance(node, ast.UnaryOp):
        yield node, f"({ast.unparse(node.operand)})"
    elif isinstance(node, ast.BinOp) and type(node.op) in OTHERS:
        yield node, _joined([node.left, node.right], [OTHERS[type(node.op)]])
    elif isinstance(node, ast.BoolOp):
        other = OTHERS[type(node.op)]
        yield node, _joined(node.values, [other] * (len(node.values) - 1))
    elif isinstance(node, ast.Compare):
        operands = [node.left, *node.comparators]
        for n, operator in enumerate(node.ops):
            signs = [_sign(each) for each in node.ops]
            signs[n] = OTHERS[type(operator)]
            yield node, _joined(operands, signs)


def _sign(operator: ast.cmpop) -> str:
    a = ast.Name("a")
    return ast.unparse(ast.Compare(a, [operator], [a]))[2:-2]


def _joined(operands: list[ast.expr], operators: list[str]) -> str:
    """Return an expression, in parentheses because of those around it."""
    parts = [f"({ast.unparse(operand)})" for operand in operands]
    rest = (f" {operator} {part}" for operator, part in zip(operators, parts[1:], strict=True))
    return f"({parts[0]}{''.join(rest)})"


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None
