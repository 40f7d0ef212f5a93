"""That the harness would see it: the same kills and races with two ways to write that are wrong."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmarks.report import Section
from benchmarks.survival.kills import AIMED, Plan, at_random
from benchmarks.survival.races import race
from benchmarks.survival.scene import claim
from benchmarks.survival.subject import UNCHECKED

MISTAKES = ("write-in-place", "write-under-one-temporary-name")
RACERS = 4
KILLS = 4 * len(AIMED)


@dataclass(frozen=True)
class Proof:
    """What was found of one mistake.

    Attributes:
        mistake: one of ``MISTAKES``.
        kills: processes killed.
        found_by_kills: faults seen after them.
        found_by_race: faults seen in a race.
    """

    mistake: str
    kills: int
    found_by_kills: tuple[str, ...]
    found_by_race: tuple[str, ...]


def prove(mistake: str, plan: Plan, kills: int = KILLS, rounds: int = 2) -> Proof:
    """Make a mistake and look whether it is found."""
    tallies = at_random(replace(plan, changes=(mistake,), formats=(UNCHECKED,)), 0, kills)
    raced = race(plan.subject, plan.launch, plan.root, RACERS, rounds, (mistake,))
    faults = tuple(fault for tally in tallies for fault in tally.faults)
    return Proof(mistake, sum(tally.kills for tally in tallies), faults, tuple(raced.faults))


def section(proofs: Sequence[Proof]) -> Section:
    """What was found of each mistake."""
    missed = [f"{one.mistake} was not found by {by}" for one in proofs for by, found in _both(one) if not found]
    return Section(
        "Mistakes that the harness finds",
        "The export writes its file in 32 pieces with 8 ms between them, as a slow disk would: straight to the target, "
        "or to one temporary name that all processes share.",
        ("mistake", "kills", "faults after them", "faults in a race of four"),
        tuple((one.mistake, str(one.kills), *(str(len(found)) for _, found in _both(one))) for one in proofs),
        (claim("both are found, by kills and by a race", missed),),
    )


def _both(proof: Proof) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return ("kills", proof.found_by_kills), ("a race", proof.found_by_race)
