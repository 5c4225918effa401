"""The notation of traces: what each word says, that printing and reading agree, and every error message."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaoskit.traces import Permitted, parse
from chaoskit.traces.answer import refused
from chaoskit.traces.notation import spell, spell_trace
from chaoskit.traces.tokens import (
    Batch,
    Commit,
    End,
    Evict,
    Grow,
    Kill,
    MessageLabel,
    Move,
    Put,
    Receive,
    Reset,
    Settle,
    Time,
    Trace,
    Word,
    natural_key,
)
from chaoskit.values.errors import UsageError

DELIVERIES = {
    "5": Receive("5", "A", MessageLabel("5")),
    "e12": Receive("e12", "A", MessageLabel("e12")),
    "a": Receive("a", "A", MessageLabel("a")),
    "5!": Receive("5!", "A", MessageLabel("5"), outcome="failed"),
    "5-": Receive("5-", "A", MessageLabel("5"), outcome="held"),
    "5r": Receive("5r", "A", MessageLabel("5"), again=True),
    "5''r!": Receive("5''r!", "A", MessageLabel("5", 2), again=True, outcome="failed"),
    "p0/5'": Receive("p0/5'", "A", MessageLabel("5", 1, "p0")),
    "alice/e3r-": Receive("alice/e3r-", "A", MessageLabel("e3", 0, "alice"), again=True, outcome="held"),
    "B:5": Receive("B:5", "B", MessageLabel("5")),
    "C12: 5": Receive("C12: 5", "C12", MessageLabel("5")),
    "B2": Receive("B2", "A", MessageLabel("B2")),
}

VERBS: dict[str, Word] = {
    "⚡": Kill("⚡", "A"),
    "B:⚡": Kill("B:⚡", "B"),
    "|c=5": Commit("|c=5", "A", MessageLabel("5")),
    "|c 5": Commit("|c 5", "A", MessageLabel("5")),
    "|c=9!": Commit("|c=9!", "A", MessageLabel("9"), refused=True),
    "|c=p0/5": Commit("|c=p0/5", "A", MessageLabel("5", 0, "p0"), "p0"),
    "|c=end": Commit("|c=end", "A", None),
    "B:|c=p0/end": Commit("B:|c=p0/end", "B", None, "p0"),
    "|ack 2": Settle("|ack 2", "A", "ack", MessageLabel("2")),
    "B:|term 1": Settle("B:|term 1", "B", "term", MessageLabel("1")),
    "|nack=2": Settle("|nack=2", "A", "nack", MessageLabel("2")),
    "B:|expire 1": Settle("B:|expire 1", "B", "expire", MessageLabel("1")),
    "|dead 1'": Settle("|dead 1'", "A", "dead", MessageLabel("1", 1)),
    "|drop p0/3": Settle("|drop p0/3", "A", "drop", MessageLabel("3", 0, "p0")),
    "|put 1'": Put("|put 1'", MessageLabel("1", 1)),
    "|evict A>B": Evict("|evict A>B", "A", "B"),
    "|move A>B": Move("|move A>B", "A", "B"),
    "|grow 12": Grow("|grow 12", 12),
    "|reset 100": Reset("|reset 100", MessageLabel("100")),
    "|reset end": Reset("|reset end", None),
    "|t=299s": Time("|t=299s", 299),
    "|t=5m": Time("|t=5m", 300),
    "|t=1.5h": Time("|t=1.5h", 5400),
    "|t=8d": Time("|t=8d", 8 * 86400),
    "|t=250ms": Time("|t=250ms", 0.25),
    "|end": End("|end"),
}


@pytest.mark.parametrize("text", [*DELIVERIES, *VERBS])
def test_each_word_is_read_as_it_is_meant_and_keeps_its_text(text: str) -> None:
    """A word, its consumer and its marks; what was written stays beside it."""
    (word,) = parse(text).words
    assert word == {**DELIVERIES, **VERBS}[text]
    assert word.text == text


def test_a_batch_is_one_word() -> None:
    """`[1 2! p0/3-]` was handed over together."""
    (word,) = parse("B:[1 2! p0/3- ]").words
    assert isinstance(word, Batch)
    assert (word.consumer, spell(word), word.text) == ("B", "[1 2! p0/3-]", "B:[1 2! p0/3- ]")
    assert [(member.text, member.consumer) for member in word.members] == [("1", "B"), ("2!", "B"), ("p0/3-", "B")]


def test_a_consumer_is_in_force_until_the_next() -> None:
    """The first words are A's."""
    assert [getattr(word, "consumer", None) for word in parse("1 B: 2 ⚡ A:3 |c=4").words] == ["A", "B", "B", "A", "A"]


def test_the_log_stands_in_front() -> None:
    """Up to the `;`, or all of it."""
    assert parse("log: p0/2 1 1' ; 2").log == (MessageLabel("2", 0, "p0"), MessageLabel("1"), MessageLabel("1", 1))
    assert parse("log: 2 1").words == ()
    assert parse("2 1").log is None


def test_a_trace_knows_which_groups_of_verbs_it_lists() -> None:
    """Commits, settlements, processes, producers and times; `|end` is in none."""
    assert parse("1 [2 3] |end").groups == frozenset()
    assert parse("|c=5 |ack 1 ⚡ |put 1 |t=1s").groups == {"commit", "settle", "process", "producer", "time"}
    assert all(parse(text).groups == {"process"} for text in ("|move A>B", "|evict A>B", "|grow 2", "|reset 2"))


def test_a_move_takes_a_unit_that_the_trace_knows_or_a_name_unlike_its_labels() -> None:
    """In a trace of one partition the unit may be left out."""
    for text, unit, words in [
        ("p0/1 |move A>B p0 B:p0/2", "p0", 3),
        ("1 |move A>B p1 B:2", "p1", 3),
        ("1 |move A>B B:2", None, 3),
        ("1 |move A>B 2", None, 3),
        ("e1 |move A>B e2", None, 3),
        ("1 |move A>B", None, 2),
    ]:
        trace = parse(text)
        assert (getattr(trace.words[1], "unit", ""), len(trace.words)) == (unit, words), text


def test_labels_are_ordered_by_their_number_and_then_by_their_letters() -> None:
    """So a1 b1 a2 is the produced order, and 10 comes after 9."""
    names = ["b1", "10", "a2", "9", "a1", "b", "a"]
    assert sorted(names, key=natural_key) == ["a", "b", "a1", "b1", "a2", "9", "10"]


REPEATABLE = ["|move A>B p0", *(verb for verb in VERBS if not verb.startswith(("|end", "|t", "|move")))]
"""Words that can stand anywhere."""

BATCHES = ["[1 2! 3r-]", "[a]"]


@given(st.lists(st.sampled_from([*DELIVERIES, *REPEATABLE, *BATCHES])))
def test_what_is_printed_is_read_back_as_the_same_trace(words: list[str]) -> None:
    """Whatever the words, their consumers, and how the arguments were written."""
    trace = parse(" ".join(["log: p0/1 2' ;", "5", *words, "|t=1s |t=5m |end"]))
    assert parse(spell_trace(trace)) == trace
    assert spell_trace(parse(spell_trace(trace))) == spell_trace(trace)


def test_a_log_alone_is_printed_without_its_semicolon() -> None:
    """The shortest form that is read back."""
    assert spell_trace(parse("log: 1 2 ;")) == "log: 1 2"
    assert spell_trace(Trace((Kill("", "B"),))) == "B:⚡"


ERRORS = {
    "": "the trace is empty: it needs at least one word, such as `5 6 ⚡ 6r 7`",
    "1 r": "word 2 of the trace, `r`: `r` needs a label before it; a delivery is a label and its marks in the order",
    "1 p0/r!": "`r` needs a label before it",
    "rr": "a label of letters may not end in r, which is the mark for `again`: end it with a number",
    "1 5!r": "word 2 of the trace, `5!r`: a delivery is a label and its marks in the order `'`, `r`, then `!` or `-`",
    "5r'": "did you mean `5'r`?",
    "p0/5-r'": "did you mean `p0/5'r-`?",
    "1 4-/2 |move A>B 4-": "word 2 of the trace, `4-/2`: a unit is not called `4-`, which is a delivery with a mark",
    "|ack 2r/1": "word 1 of the trace, `|ack 2r/1`: a unit is not called `2r`, which is a delivery with a mark",
    "log: a!/1 ; 1": "the log has labels only",
    "-/1": "a label is a number, letters and a number, or letters",
    "1⚡": "`⚡` is a word of its own: put blanks around it",
    "1 2]": "this batch was never opened; one receive is written `[1 2 3]`",
    "[1 2": "the batch is not closed; one receive is written `[1 2 3]`",
    "0 [1 2": "word 2 of the trace, `[1 2`: the batch is not closed",
    "[ ]": "the batch is empty",
    "[1 [2 3]]": "`[2` cannot stand inside a batch",
    "[1 ⚡]": "`⚡` cannot stand inside a batch, which holds deliveries only",
    "[1 B:2]": "`B:2` cannot stand inside a batch",
    "[1 |ack 1]": "`|ack` cannot stand inside a batch",
    "1’": "a copy is marked with the plain quote, such as `1'`",
    "5?": "a label is a number, letters and a number, or letters",
    "1 ;": "a `;` ends the content of the log, which starts with `log:`",
    "1 log: 2": "the content of the log stands once, before everything else: `log: 2 1 3 ; 2 1`",
    "log: ;": "the log is empty",
    "log: 1 2r ;": "word 3 of the trace, `2r`: the log has labels only",
    "log: 1 1": "1 is in the log already; the same payload once more is `1'`",
    "1 b:5": "word 2 of the trace, `b:5`: a consumer's name starts with a capital letter, such as `B:5`",
    "1 B:": "nothing follows the consumer's name; `B:5` is a delivery at B",
    "A: B: 1": "two consumers in a row; `A:5` is a delivery at A",
    "A:B:1": "a word has one consumer, such as `A:5`",
    "1 | 2": "a verb is written without a blank after the bar, such as `|c=5`, `|ack 2`",
    "|akc 1": "no verb is called 'akc'; did you mean 'ack'?",
    "|zzz": "no verb is called 'zzz'; known are 'ack', 'c', 'dead', 'drop', 'end', 'evict'",
    "|commit 5": "no verb is called 'commit'; write `|c=5`",
    "|crash": "no verb is called 'crash'; write `⚡`",
    "1 |reject 1": "no verb is called 'reject'; write `|term 2`",
    "|ack": "`|ack` needs an argument, such as `|ack 2`",
    "|ack ⚡": "word 1 of the trace, `|ack`: `|ack` needs an argument",
    "|c=": "`|c` needs an argument, such as `|c=5`",
    "|ack 2r": "`|ack` takes the label of one message, such as `|ack 2`, not `2r`; a label may not end in r",
    "1 B: |ack 2r": "word 2 of the trace, `B: |ack 2r`: `|ack` takes the label of one message",
    "|put 2!": "`|put` takes the label of one message, such as `|put 1'`, not `2!`",
    "|c=5r": "`|c` takes the label of one message, such as `|c=5`, not `5r`; a label may not end in r",
    "|evict A-B": "`|evict` takes two consumers, such as `|evict A>B`, not `A-B`",
    "|move A>A": "`|move` from A to itself changes nothing; it takes two consumers",
    "p0/1 p1/2 |move A>B": "`|move` takes the unit that moves, one of p0, p1",
    "|grow many": "`|grow` takes the number of units from now on, such as `|grow 12`, not `many`",
    "|grow 0": "`|grow` takes the number of units",
    "|t=299": "`|t` takes seconds, minutes, hours or days, such as `|t=299s`, `|t=5m`, `|t=1h`, not `299`",
    "|t=5m 1 |t=299s": "word 3 of the trace, `|t=299s`: time runs backwards: it was 300s already",
    "|end 1": "nothing can follow `|end`, it says that the trace is complete",
    "|end=1": "`|end` takes nothing",
    "end": "`end` is no label; `|end` says that the trace is complete",
}


@pytest.mark.parametrize("text", ERRORS)
def test_a_malformed_trace_is_refused_with_the_word_its_place_and_what_would_be_right(text: str) -> None:
    """Every message of the parser."""
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert ERRORS[text] in str(caught.value)


def test_an_answer_is_true_or_names_the_word_and_the_rules() -> None:
    """`bool()` is the answer; printed, it counts the words from 1."""
    assert Permitted(True)
    assert str(Permitted(True)) == "legal"
    answer = refused("6r", 3, ("a replay starts at the committed offset, which is 5", "twice", "twice"))
    assert not answer
    assert (answer.word, answer.position, answer.rules[1:]) == ("6r", 3, ("twice",))
    assert str(answer) == "illegal at word 4, `6r`: a replay starts at the committed offset, which is 5; twice"
    assert str(Permitted(False)) == "illegal"
