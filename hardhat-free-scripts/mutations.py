"""The mutations of `mutants.py`: one small fault at a time, located in the compiler's syntax tree of the contract."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

Node = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault: the bytes from `start` to `end` of the source are replaced."""

    start: int
    end: int
    replacement: str
    kind: str
    function: str
    line: int
    original: str

    @property
    def name(self) -> str:
        """Its name in the list of equivalent mutants: stable while the surrounding code changes."""
        shown = " ".join(self.original.split())
        return f"{self.function}: {self.kind}: `{shown}` -> `{' '.join(self.replacement.split())}`"

    def apply(self, source: bytes) -> str:
        return (source[: self.start] + self.replacement.encode() + source[self.end :]).decode()


_COMPARISONS = {
    "<": ("<=", ">="),
    ">": (">=", "<="),
    "<=": ("<", ">"),
    ">=": (">", "<"),
    "==": ("!=",),
    "!=": ("==",),
}
_OPERATORS = {"||": "&&", "&&": "||", "+": "-", "-": "+", "*": "+", "<<": ">>", ">>": "<<", "|": "&", "&": "|"}
_YUL_PAIRS = {"add": "sub", "sub": "add", "lt": "gt", "gt": "lt", "shl": "shr", "shr": "shl"}
_YUL_EFFECTS = {"mstore", "calldatacopy", "log3"}
_ROLES = {"REGISTRAR_ROLE": "GUARDIAN_ROLE", "GUARDIAN_ROLE": "REGISTRAR_ROLE"}


class Mutator:
    """Walks the syntax tree of one contract and yields every mutant."""

    def __init__(self, source: bytes, tree: Node) -> None:
        self._source = source
        self._tree = tree
        self._function = "contract"

    def mutants(self) -> list[Mutant]:
        """All mutants in the order of the source, each change once."""
        contract = next(node for node in self._tree["nodes"] if node["nodeType"] == "ContractDefinition")
        found: dict[tuple[int, int, str], Mutant] = {}
        for member in contract["nodes"]:
            self._function = member.get("name") or member.get("kind") or "contract"
            for mutant in self._walk(member):
                found.setdefault((mutant.start, mutant.end, mutant.replacement), mutant)
        return sorted(found.values(), key=lambda mutant: (mutant.start, mutant.end))

    def _walk(self, node: Any) -> Iterator[Mutant]:
        if isinstance(node, list):
            for item in node:
                yield from self._walk(item)
        elif isinstance(node, dict):
            handler = getattr(self, f"_on_{node.get('nodeType')}", None)
            if handler is not None:
                yield from handler(node)
            for key, value in node.items():
                if key not in {"documentation", "typeDescriptions", "overrides"}:
                    yield from self._walk(value)

    # --- text of nodes

    def _span(self, node: Node) -> tuple[int, int]:
        start, length, _ = (int(part) for part in node["src"].split(":"))
        return start, start + length

    def _text(self, node: Node) -> str:
        start, end = self._span(node)
        return self._source[start:end].decode()

    def _mutant(self, node: Node, replacement: str, kind: str, *, until: Node | None = None) -> Mutant:
        start, end = self._span(node)
        if until is not None:
            end = self._span(until)[1]
        original = self._source[start:end].decode()
        line = self._source[:start].count(b"\n") + 1
        return Mutant(start, end, replacement, kind, self._function, line, original)

    def _swaps(self, items: list[Node]) -> Iterator[Mutant]:
        """Neighbouring arguments of one type, swapped."""
        for one, other in pairwise(items):
            same = one["typeDescriptions"]["typeString"] == other["typeDescriptions"]["typeString"]
            if same and self._text(one) != self._text(other):
                between = self._source[self._span(one)[1] : self._span(other)[0]].decode()
                swapped = self._text(other) + between + self._text(one)
                yield self._mutant(one, swapped, "swapped", until=other)

    # --- Solidity

    def _on_IfStatement(self, node: Node) -> Iterator[Mutant]:  # noqa: N802  # named after the compiler's node
        condition = node["condition"]
        yield self._mutant(condition, f"!({self._text(condition)})", "negated")
        yield self._mutant(condition, "false", "check dropped")

    def _on_BinaryOperation(self, node: Node) -> Iterator[Mutant]:  # noqa: N802
        left, right, operator = node["leftExpression"], node["rightExpression"], node["operator"]
        for other in _COMPARISONS.get(operator, ()):
            yield self._mutant(node, f"{self._text(left)} {other} {self._text(right)}", "comparison")
        if operator in _OPERATORS:
            yield self._mutant(node, f"{self._text(left)} {_OPERATORS[operator]} {self._text(right)}", "operator")
        if operator in {"||", "&&", "|"}:
            yield self._mutant(node, self._text(left), "right side dropped")
            yield self._mutant(node, self._text(right), "left side dropped")

    def _on_UnaryOperation(self, node: Node) -> Iterator[Mutant]:  # noqa: N802
        if node["operator"] == "!":
            yield self._mutant(node, self._text(node["subExpression"]), "not dropped")

    def _on_Literal(self, node: Node) -> Iterator[Mutant]:  # noqa: N802
        if node["kind"] == "number":
            value = int(self._text(node).replace("_", ""), 0)
            yield self._mutant(node, str(value + 1), "number")
            if value > 0:
                yield self._mutant(node, str(value - 1), "number")
        elif node["kind"] == "string":
            yield self._mutant(node, '"X' + self._text(node)[1:], "string")

    def _on_ExpressionStatement(self, node: Node) -> Iterator[Mutant]:  # noqa: N802
        yield self._mutant(node, "", "statement dropped")

    def _on_EmitStatement(self, node: Node) -> Iterator[Mutant]:  # noqa: N802
        start, end = self._span(node)
        if self._source[end : end + 1] == b";":  # the node's text ends before its semicolon
            end += 1
        original, line = self._source[start:end].decode(), self._source[:start].count(b"\n") + 1
        yield Mutant(start, end, "", "event dropped", self._function, line, original)

    def _on_FunctionCall(self, node: Node) -> Iterator[Mutant]:  # noqa: N802
        yield from self._swaps(node["arguments"])

    def _on_ModifierInvocation(self, node: Node) -> Iterator[Mutant]:  # noqa: N802
        if node["kind"] == "modifierInvocation":
            yield self._mutant(node, "", "modifier dropped")

    def _on_Identifier(self, node: Node) -> Iterator[Mutant]:  # noqa: N802
        if node["name"] in _ROLES:
            yield self._mutant(node, _ROLES[node["name"]], "role")

    def _on_Return(self, node: Node) -> Iterator[Mutant]:  # noqa: N802
        if node.get("expression") is not None:
            yield self._mutant(node, "", "return dropped")

    def _on_IndexAccess(self, node: Node) -> Iterator[Mutant]:  # noqa: N802
        # An element other than the intended one, for keys whose type has a plain zero.
        index = node.get("indexExpression")
        if index is not None and index["typeDescriptions"]["typeString"] in {"bytes11", "bytes32"}:
            zero = f"{index['typeDescriptions']['typeString']}(0)"
            yield self._mutant(index, zero, "key")

    # --- Yul

    def _on_YulFunctionCall(self, node: Node) -> Iterator[Mutant]:  # noqa: N802
        name = node["functionName"]["name"]
        if name in _YUL_PAIRS:
            yield self._mutant(node["functionName"], _YUL_PAIRS[name], "operator")
        if name == "iszero":
            yield self._mutant(node, self._text(node["arguments"][0]), "not dropped")
        if name in _YUL_EFFECTS:
            yield self._mutant(node, "pop(0)", "statement dropped")

    def _on_YulLiteral(self, node: Node) -> Iterator[Mutant]:  # noqa: N802
        value = int(node["value"], 0)
        step = 0x20 if value % 0x20 == 0 else 1
        yield self._mutant(node, hex(value + step), "number")
        if value > 0:
            yield self._mutant(node, hex(value - step), "number")

    def _on_YulAssignment(self, node: Node) -> Iterator[Mutant]:  # noqa: N802
        yield self._mutant(node, "", "statement dropped")
