"""One rule: text -> `Rule`. The same for a spec, for `--rule` and for a program.

    rule      = selector "=" action          (`names.selector`; a name with = or : stands in double quotes)
    action    = NAME ["(" arguments ")"] | keep
    arguments = values and NAME "=" value, with commas between them

An argument that takes a number is an expression (`spec.expressions`); one that takes a word (`mode=fan_out`) is that
word, quoted or not. Actions have the form of a Python call, so Python's own parser splits them; nothing is evaluated.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from paraminspect.architecture.expressions import parse_expression
from paraminspect.errors import RuleError, SelectionError, SpecError
from paraminspect.names.selector import Selector, match_quoted, parse_selector
from paraminspect.names.suggestions import closest, suggest
from paraminspect.rules.functions import describe_functions
from paraminspect.rules.initializers import (
    BESIDES,
    CHUNKS,
    GAINS,
    INITIALIZERS,
    MODES,
    PART,
    find_initializer,
    suggest_gain,
)
from paraminspect.rules.rule import Argument, Initializer, Origin, Parameter, Rule, WrittenPart
from paraminspect.text import join_words, shorten

MAX_RULE_LENGTH: Final = 1000
"""Characters of one rule."""

_REGEX_SELECTOR: Final = r"\s*(/.*?/)\s*=\s*(?=[^\W\d])"
_BOOLEANS = {"true": True, "false": False, "True": True, "False": False}
_WHERE = "'paraminspect rules' lists them; --rules-file brings your own"
_HINT = "write '*.weight=normal(std=0.02)'"
_PART_HINT = "part=1/4 is part 1 of 4 of the first dimension, counted from 0"


def parse_rule(
    text: str,
    *,
    functions: Mapping[str, Callable[..., object]] | None = None,
    origin: Origin = Origin(),  # noqa: B008 - immutable
    variables: Mapping[str, object] | None = None,
) -> Rule:
    """Parse `selector = action`.

    Args:
        functions: The user's own initializers by name; they go before those of torch.nn.init.
        origin: Where the rule comes from, for the errors.
        variables: What the names in its expressions stand for, besides fan_in and fan_out.

    Raises:
        RuleError: Not a rule, an unknown initializer or argument, a value that cannot be one; with the place.

    Example:
        >>> parse_rule("*.weight=normal(std=0.02)").initializer.name
        'normal'
    """
    return RuleParser(describe_functions(functions or {})).parse(text, origin, variables)


class RuleParser:
    """Parses rules that may name a user's own functions.

    Args:
        own: These functions by name, described.
        lenient: Take a name that is not known for a function of the user's, of whatever arguments it is given.
    """

    def __init__(self, own: Mapping[str, Initializer], *, lenient: bool = False) -> None:
        self._own = own
        self._lenient = lenient

    def parse(self, text: str, origin: Origin, variables: Mapping[str, object] | None = None) -> Rule:
        """One rule; arguments and errors as of `parse_rule`."""
        return _Parsing(text, origin, self._own, self._lenient).rule(variables)


class _Parsing:
    def __init__(self, text: str, origin: Origin, own: Mapping[str, Initializer], lenient: bool) -> None:
        self.lenient = lenient
        self.text = text
        self.origin = origin
        self.own = own
        self.begin = 0  # of the action

    def rule(self, variables: Mapping[str, object] | None) -> Rule:
        if len(self.text) > MAX_RULE_LENGTH:
            raise self.error(f"a rule of {len(self.text):,} characters; the limit is {MAX_RULE_LENGTH:,}", None)
        if not self.text.isprintable():
            at = next(index for index, character in enumerate(self.text) if not character.isprintable())
            raise self.error("a rule is one line of text that prints", at)
        selector = self._selector()
        name, values, named = self._call()
        initializer = find_initializer(name.id, self.own)
        if initializer is None:
            if not self.lenient:
                hint = closest(name.id, [*self.own, *INITIALIZERS]) or _WHERE
                raise self.error(f"unknown initializer {name.id}", self.column(name), hint)
            initializer = _unknown(name.id, values, named)
        arguments = self._arguments(initializer, values, named)
        chunks = next((each for each in arguments if each.parameter is CHUNKS), None)
        is_part = any(each.parameter is PART for each in arguments)
        part = next((self._part(node.value) for node in named if is_part and node.arg == PART.name), None)
        rest = tuple(each for each in arguments if each.parameter not in BESIDES)
        return Rule(self.text, selector, initializer, rest, chunks, self.origin, variables, part)

    def error(self, message: str, at: int | None, hint: str | None = None) -> RuleError:
        return rule_error(self.text, self.origin, message, hint=hint, at=at)

    def _selector(self) -> Selector:
        if self.text.lstrip().startswith("/") and (regex := re.match(_REGEX_SELECTOR, self.text)):
            written, self.begin = regex[1], regex.end()
        elif (end := match_quoted(self.text)) and self.text[end:].lstrip().startswith("="):
            written, self.begin = self.text[:end], self.text.index("=", end) + 1
        else:
            written, equals, _ = self.text.partition("=")
            if not equals:
                raise self.error(f"{shorten(self.text)!r} is no rule; expected selector=action", None, _HINT)
            self.begin = len(written) + 1
        try:
            return parse_selector(written.strip())
        except SelectionError as error:
            raise self.error(error.message, len(written) - len(written.lstrip()), error.hint) from None

    def _call(self) -> tuple[ast.Name, list[ast.expr], list[ast.keyword]]:
        """The action as (name, positional arguments, named ones)."""
        action = self.text[self.begin :]
        spaces = len(action) - len(action.lstrip())
        self.begin += spaces
        action = action.strip()
        if not action:
            raise self.error("a rule without an action", len(self.text), _HINT)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Python warns of "1if"; here it is an error anyway
                tree = ast.parse(action, mode="eval").body
        except SyntaxError as error:
            raise self.error(*self._describe_syntax(action, error)) from None
        except (ValueError, MemoryError, RecursionError):
            raise self.error("the action is nested too deeply", self.begin) from None
        if isinstance(tree, ast.Name):
            return tree, [], []
        if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name):
            return tree.func, tree.args, tree.keywords
        raise self.error(f"{shorten(action)!r} is no action; expected NAME or NAME(arguments)", self.begin, _HINT)

    def _describe_syntax(self, action: str, error: SyntaxError) -> tuple[str, int, str]:
        opened, closed = action.count("("), action.count(")")
        if opened > closed:
            return "a parenthesis is not closed", self.begin + action.index("("), "add a )"
        if closed > opened:
            return "a parenthesis is closed that was not opened", self.begin + action.rindex(")"), "remove it"
        if "follows keyword argument" in error.msg:
            at = self.begin + max(0, min((error.offset or 1) - 1, len(action)))
            return "an argument without a name behind one that has a name", at, "write NAME=value for each"
        if "$" in action:
            return "$ in a rule", self.begin + action.index("$"), "a variable stands without its $: std=1/sqrt(dim)"
        return (
            f"{shorten(action)!r} is no action",
            self.begin + max(0, min((error.offset or 1) - 1, len(action))),
            _HINT,
        )

    def _arguments(
        self, initializer: Initializer, values: list[ast.expr], named: list[ast.keyword]
    ) -> tuple[Argument, ...]:
        parameters = initializer.parameters
        if len(values) > len(parameters):
            takes = ", ".join(each.name for each in parameters) or "none"
            at = self.column(values[len(parameters)])
            raise self.error(f"{initializer.name} with {len(values)} arguments; it takes {takes}", at)
        given = [self._argument(parameter, value) for parameter, value in zip(parameters, values, strict=False)]
        known = {each.name: each for each in parameters}
        for each in () if initializer.kind == "keep" else BESIDES:
            known.setdefault(each.name, each)
        for keyword in named:
            at = self.column(keyword)
            if keyword.arg is None:
                raise self.error("** in a rule", at)
            if keyword.arg not in known:
                hint = suggest(keyword.arg, list(known), "its arguments are")
                raise self.error(
                    f"unknown argument {keyword.arg} of {initializer.name}", at, hint if known else "it takes none"
                )
            if any(each.parameter.name == keyword.arg for each in given):
                raise self.error(f"{keyword.arg} is given twice", at)
            if known[keyword.arg] is PART:
                given.append(Argument(PART, self.source(keyword.value), self.column(keyword.value)))
            else:
                given.append(self._argument(known[keyword.arg], keyword.value))
        names = {each.parameter.name for each in given}
        for parameter in parameters:
            if parameter.required and parameter.name not in names:
                at = len(self.text.rstrip()) - self.text.rstrip().endswith(")")
                raise self.error(f"{initializer.name} without {parameter.name}", at, _usage(initializer))
        return tuple(given)

    def _part(self, node: ast.expr) -> WrittenPart:
        whole = Argument(PART, self.source(node), self.column(node))
        if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Div):
            raise self.error(f"part is {shorten(whole.text)}; expected I/N", whole.column, _PART_HINT)
        return WrittenPart(whole, self._argument(PART, node.left), self._argument(PART, node.right))

    def _argument(self, parameter: Parameter, node: ast.expr) -> Argument:
        at = self.column(node)
        word = _word_of(node)
        choices = MODES if parameter.kind == "mode" else tuple(GAINS) if parameter.kind == "nonlinearity" else ()
        if choices:
            if word not in choices:
                raise self._wrong_word(parameter, node, choices)
            return Argument(parameter, str(word), at, word)
        if parameter.kind == "any" and (isinstance(node, ast.Constant) and not isinstance(node.value, (int, float))):
            if not isinstance(word, (str, bool)):
                raise self.error(
                    f"{parameter.name} is {shorten(self.source(node))}; expected a number, a word, true or false", at
                )
            return Argument(parameter, self.source(node), at, word)
        if parameter.kind == "any" and isinstance(word, bool):
            return Argument(parameter, self.source(node), at, word)
        if isinstance(node, ast.Constant) and (
            isinstance(node.value, bool) or not isinstance(node.value, (int, float))
        ):
            hint = (
                f"a gain is a number, or one of {', '.join(GAINS)} without quotes" if parameter.kind == "gain" else None
            )
            raise self.error(f"{parameter.name} is {shorten(self.source(node))}; expected a number", at, hint)
        text = self.source(node)
        try:
            parse_expression(text)
        except SpecError as error:
            raise self.error(error.message, at, error.hint) from None
        return Argument(parameter, text, at)

    def _wrong_word(self, parameter: Parameter, node: ast.expr, choices: tuple[str, ...]) -> RuleError:
        word = _word_of(node)
        found = shorten(self.source(node))
        if parameter.kind == "nonlinearity" and isinstance(word, str):
            return self.error(
                f"torch has no gain for the nonlinearity {found}", self.column(node), suggest_gain(word, choices)
            )
        near = closest(str(word), choices) if isinstance(word, str) else None
        return self.error(f"{parameter.name} is {found}; expected {join_words(choices, 'or')}", self.column(node), near)

    def source(self, node: ast.expr) -> str:
        return ast.get_source_segment(self.text[self.begin :].strip(), node) or ast.unparse(node)

    def column(self, node: ast.expr | ast.keyword) -> int:
        """Where in the rule a node begins; Python counts bytes."""
        line = self.text[self.begin :].encode()
        return self.begin + len(line[: node.col_offset].decode(errors="ignore"))


def rule_error(text: str, origin: Origin, message: str, *, hint: str | None = None, at: int | None = None) -> RuleError:
    """The error for a place in a rule."""
    return RuleError(
        message, hint=hint, source=origin.source or None, rule=text, at=at,
        line=origin.line or None, column=origin.column_of(at),
    )  # fmt: skip


def _word_of(node: ast.expr) -> str | bool | None:
    """A bare or quoted word; true and false as what they are."""
    if isinstance(node, ast.Name):
        return _BOOLEANS.get(node.id, node.id)
    if isinstance(node, ast.Constant) and isinstance(node.value, (str, bool)):
        return node.value
    return None


def _unknown(name: str, values: Sequence[ast.expr], named: Sequence[ast.keyword]) -> Initializer:
    """A function that is not at hand, taking what it is given."""
    given = [f"argument {number}" for number, _ in enumerate(values, 1)]
    given += [each.arg for each in named if each.arg is not None and each.arg not in (CHUNKS.name, PART.name)]
    return Initializer(name, "", tuple(Parameter(each, "any") for each in given), "function")


def _usage(initializer: Initializer) -> str:
    return f"write {initializer.name}({', '.join(each.name for each in initializer.parameters if each.required)})"
