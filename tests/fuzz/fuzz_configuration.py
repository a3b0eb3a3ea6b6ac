"""Any bytes as agent.toml: settings that are each in their form, or problems; never anything else."""

from __future__ import annotations

import msgspec

from agent.configuration.checking import Checker
from agent.configuration.digest import digest
from agent.configuration.model import Configuration
from agent.configuration.problems import Place
from agent.configuration.rules import judge, judge_tables
from agent.configuration.syntax import SyntaxProblemError, lines_of, parse
from agent.internal.plan import plan
from collectors.catalogue import all_tables

TABLES = all_tables()


def target(data: bytes) -> None:
    """Read a document; what is good in it makes a configuration, a digest and a plan."""
    try:
        document = parse(data)
    except SyntaxProblemError:
        return
    lines_of(data.decode())
    checker = Checker(lambda _key: Place("agent.toml"))
    configuration = msgspec.convert(checker.check(document), Configuration)
    problems = [*checker.problems, *judge(configuration), *judge_tables(configuration, TABLES)]
    digest(configuration)
    lines = list(plan(configuration, TABLES))
    if not problems and any("\n" in line for line in lines):
        raise AssertionError("expected each line of a plan on one line")
