"""Tokens with one token of foresight, and the error that ends a line."""

from __future__ import annotations

from collectors.access.sudoers.model import Problem
from collectors.access.sudoers.tokenizer import Tokenizer
from collectors.access.sudoers.tokens import Kind, Token

_SHOWN: dict[str, str] = {"newline": "the end of the line", "eof": "the end of the file", "word": "a word"}


class SyntaxProblemError(Exception):
    """sudo refuses the line here."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"expected {problem.expected}, found {problem.found}")
        self.problem = problem


class TokenStream:
    """What a parser reads from. The next token is not made before it is asked for, as in sudo."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._ahead: Token | None = None
        self._line = 1

    def peek(self) -> Token:
        """Return the next token and leave it there."""
        if self._ahead is None:
            self._ahead = self._tokenizer.next()
        return self._ahead

    def next(self) -> Token:
        """Return the next token and pass it."""
        token = self.peek()
        self._ahead = None
        self._line = token.line
        return token

    def accept(self, kind: Kind) -> Token | None:
        """Return and pass the next token if it is of a kind; else return None."""
        return self.next() if self.peek().kind == kind else None

    def expect(self, *kinds: Kind, what: str) -> Token:
        """Return and pass the next token, which must be of one of the kinds; else raise and leave it there."""
        if self.peek().kind in kinds:
            return self.next()
        raise self.unexpected(what)

    def unexpected(self, expected: str) -> SyntaxProblemError:
        """Return the error that the next token is, without its text; it is left there."""
        token = self.peek()
        found = token.text if token.kind == "error" else _SHOWN.get(token.kind, f"a token of kind {token.kind}")
        return SyntaxProblemError(Problem(token.line, expected, found))

    def refusal(self, expected: str, found: str) -> SyntaxProblemError:
        """Return the error for a token that was passed already and says what it must not."""
        return SyntaxProblemError(Problem(self._line, expected, found))

    def skip_line(self) -> bool:
        """Pass all tokens up to the end of the line; return False if the file ends before."""
        while (token := self.next()).kind != "newline":
            if token.kind == "eof":
                self._ahead = token
                return False
        return True
