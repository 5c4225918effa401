"""What log brokers can and cannot deliver: the vectors of the fact sheet, what real brokers did, near misses.

Each row is a broker and a trace. LEGAL rows must be permitted, ILLEGAL rows refused at the word that is given, for a
reason in which the given words stand.
"""

from __future__ import annotations

import pytest

from chaoskit.brokers import Debezium, EventHubs, Kafka, Kinesis, Outbox, RabbitMQStream, Settings
from chaoskit.values.errors import UsageError
from models.calls import calls_to_judge

KAFKA = Kafka()
JAVA = Kafka(idempotent_producer=False)
LIBRDKAFKA = Kafka(idempotent_producer=False, retry_order="sequence")
ONE_IN_FLIGHT = Kafka(idempotent_producer=False, max_in_flight=1)
LIBRDKAFKA_ONE = Kafka(idempotent_producer=False, max_in_flight=1, retry_order="sequence")
PAIRS = Kafka(idempotent_producer=False, records_per_batch=2)
RESENDS = Kafka(application_resends=True)
AHEAD = Kafka(commit_ahead=True)
POLLS_4 = Kafka(max_poll_records=4)
SKIPS = Kafka(on_error="skip")
STOPS = Kafka(on_error="stop")
RETRY_TOPIC = Kafka(on_error="retry_topic")
PARALLEL = Kafka(group="parallel")
KCL = Kinesis()
FUNCTION = Kinesis(consumer="lambda")
BISECTS = Kinesis(consumer="lambda", bisect_batch_on_function_error=True)
TWO_RETRIES = Kinesis(consumer="lambda", maximum_retry_attempts=2)
PARTIAL = Kinesis(consumer="lambda", report_batch_item_failures=True)
HUB = EventHubs()
STREAM = RabbitMQStream()
NAMED = RabbitMQStream(named_producer=True)
DEBEZIUM = Debezium()
FLAG = Outbox()
CURSOR = Outbox(cursor="id")

POLLED = "|c=5 A:[5 6 7- 8-] |evict A>B B:5r B:6r A:7r B:7r A:8r B:8r"
ZOMBIE = "|c=5 A:5 A:6 |evict A>B B:5r B:6r A:7 B:7r A:8 B:8r"

LEGAL: list[tuple[str, Settings, str]] = [
    # Kafka, consumer side
    ("K-1", KAFKA, "|c=5 5 6 ⚡ 5r 6r 7"),
    ("K-1 any commit", KAFKA, "5 6 ⚡ 6r 7"),
    ("K-1 unseen crash", KAFKA, "5 6 5r 6r 7"),
    ("K-1 another consumer", KAFKA, "|c=5 A:5 6 A:⚡ B:5r 6r 7"),
    ("K-1 no replay", KAFKA, "5 6 |c=7 ⚡ 7"),
    ("K-1 twice", KAFKA, "|c=5 5 6 ⚡ 5r |c=6 6r 7 ⚡ 6r 7r 8 |end"),
    ("a number names the first record of it", JAVA, "e4 e5 e6 e5' |c=5 ⚡ e5r e6r e5'r"),
    ("K-6", KAFKA, "A:1 2 3 4 |c=5 |move A>B B:5"),
    ("K-6 commit failed", KAFKA, "|c=3 A:3 4 |c=5! |move A>B B:3r 4r 5"),
    ("K-6 one of two", KAFKA, "p0/1 p1/1 |move A>B p1 B:p1/2 A:p0/2"),
    ("K-7", KAFKA, ZOMBIE),
    ("K-7 four at a poll", POLLS_4, ZOMBIE),
    ("K-7 unseen", KAFKA, "A:5 A:6 B:5r B:6r A:7 B:7r A:8 B:8r"),
    ("K-7 held", KAFKA, "A:[5 6 7- 8-] |evict A>B B:5r 6r A:7r B:7r A:8r"),
    ("K-9", KAFKA, f"{ZOMBIE} A:|c=9!"),
    ("K-11", AHEAD, "5 6 |c=8 ⚡ 8 9"),
    ("K-11 unseen commit", AHEAD, "5 6 ⚡ 8 9"),
    ("K-12", KAFKA, "p1/a p0/1 p0/2 p1/b"),
    ("K-12 mixed", KAFKA, "p0/1 p1/a p0/2 p1/b |end"),
    ("K-13", Kafka(auto_offset_reset="latest"), "5 6 ⚡ |t=8d |reset 100 100"),
    ("K-13 earliest", Kafka(offset_resets=True), "5 6 7 |reset 5 5r 6r 7r 8"),
    ("K-13 before all", Kafka(offset_resets=True), "5 6 |reset 3 3 4 5r"),
    ("lost, of two units", Kinesis(start_at_latest=True), "p0/5 p1/1 p0/6 ⚡ |reset p1/4 p1/4"),
    ("before all that is given", Kafka(offset_resets=True), "log: 5 6 ; 5 6 |reset 3 5r 6r |end"),
    ("behind all that is given", Kafka(offset_resets=True), "log: 5 6 7 ; 5 6 |reset 9 |end"),
    ("between what is given", Kafka(offset_resets=True, idempotent_producer=False), "log: 5 7 8 ; 5 |reset 6 7 8 |end"),
    ("put behind what is given", JAVA, "log: 2 1' ; |put 3 2 1' 3 |end"),
    ("written in the order of its puts", JAVA, "|put 2 |put 1 2 1 |end"),
    ("a dead letter was there", JAVA, "5 2 4 |c=5 1 |dead 5"),
    ("a copy without its first", KAFKA, "1 2 3' |c=4"),
    ("puts of copies alone", RETRY_TOPIC, "|put 3 |put 6'"),
    ("a record that is only set aside", JAVA, "2 |dead 5"),
    ("a retry without its first", RETRY_TOPIC, "3' |end"),
    ("lost, to the end of its unit", Kinesis(start_at_latest=True), "p0/1 ⚡ |reset p0/end p1/7 p0/3"),
    ("lost, and what came late to the log", Kinesis(start_at_latest=True), "5 6 |reset 4 4"),
    ("K-14", KAFKA, "1 2 |drop 3 4 5"),
    ("K-15", KAFKA, "log: a1 b1 a2 ; b1 a2"),
    ("K-15 compacted", KAFKA, "log: a1 b1 a2 ; |drop a1 b1 a2 |end"),
    ("K-18", KAFKA, "p1/1 p0/2 p1/3 p0/4"),
    ("K-18 other", KAFKA, "p0/2 p0/4 p1/1 p1/3"),
    ("E6 commits go back", KAFKA, "5 6 7 |c=8 |c=6 ⚡ 6r 7r 8"),
    ("growth", KAFKA, "p0/1 p0/2 |grow 12 p6/4 p0/3 p6/5"),
    ("seek back", KAFKA, "|c=1 1 1r 1r 2 ⚡ 1r 2r"),
    ("a poll", KAFKA, "[1 2 3] [4 5] |c=end [6]"),
    ("dead and back", KAFKA, "|dead 1 2 3 |put 1' 1'"),
    ("dead and back, unlisted", KAFKA, "1! 1r! |dead 1 2 3 1'"),
    ("attempts used up", KAFKA, " ".join(["1!", *["1r!"] * 9, "2", "1'", "3"])),
    ("a replay shows the dead again", KAFKA, "|c=1 1! |dead 1 2 ⚡ 1r 2r"),
    ("a zombie that had run nothing", KAFKA, "|evict A>B B:3 B:4 A:3r B:5 A:4r A:5r"),
    ("a zombie that had run nothing, unseen", KAFKA, "B:3 B:4 A:3r B:5 B:5r A:4r"),
    ("dead and back in another partition", KAFKA, "p4/1 |dead p2/2 p2/3 |grow 12 |put p8/2' p8/2' p8/5 p2/4"),
    ("evicted from some partitions only", KAFKA, "A:p0/1 |evict A>C C:p0/2 B:p1/3 A:p0/2r"),
    # Kafka, producer side
    ("P-1", KAFKA, "log: B1 B2 B3"),
    ("P-1 in the middle", KAFKA, "log: B4 B5"),
    ("P-2", JAVA, "log: B2 B3 B1 ; |fail B1"),
    ("P-2 several failures", JAVA, "log: B3 B1 B2"),
    ("P-2 read", JAVA, "2 3 1 4 |end"),
    ("P-2 read again", JAVA, "2 3 1 ⚡ 3r 1r 4"),
    ("P-2 one", JAVA, "log: B2 B1 B3"),
    ("P-3", JAVA, "log: B1 B2 B3 B3' B2' B1'"),
    ("P-3 librdkafka", LIBRDKAFKA, "log: B1 B2 B3 B1' B2' B3'"),
    ("P-3 partly written", JAVA, "log: B1 B3 B2 B1' B4"),
    ("P-4", JAVA, "log: B3 B2 B1"),
    ("P-4 librdkafka", LIBRDKAFKA, "log: B1 B2 B3"),
    ("P-5", ONE_IN_FLIGHT, "log: B1 B1' B2"),
    ("P-5 librdkafka has built one more", LIBRDKAFKA_ONE, "log: 2 1"),
    ("P-5 librdkafka, stored and answered with an error", LIBRDKAFKA_ONE, "log: 1 2 1' 3"),
    ("P-6 one failure, four overtake", JAVA, "log: B2 B3 B4 B5 B1 ; |fail B1"),
    ("P-6 two failures, eight overtake", JAVA, "log: 2 3 4 5 6 7 8 9 1 ; |fail 1 |fail 1"),
    ("P-6 the application sends again when it likes", RESENDS, "log: B2 B3 B4 B5 B6 B1 ; |fail B1"),
    ("P-6", RESENDS, "log: B1 B2 B1'"),
    ("P-6 never written before", RESENDS, "log: B2 B3 B1"),
    ("P-7 whole batches", PAIRS, "log: 3 4 1 2"),
    ("put", JAVA, "1 |put 1' 1'"),
    # Kafka add-ons
    ("R-1", KAFKA, "1 2! 2r! 2r 3"),
    ("R-1 whole poll", KAFKA, "[1 2 3!] [1r 2r 3r]"),
    ("R-1 the rest is fetched again", KAFKA, "[1 2! 3-] [2r 3r] |end"),
    ("R-2", RETRY_TOPIC, "1! 2 3 1'"),
    ("R-2 early", RETRY_TOPIC, "1! 2 1' 3"),
    ("R-2 listed", RETRY_TOPIC, "1! |dead 1 2 |put 1' 3 1'"),
    ("R-2 twice", RETRY_TOPIC, "1! 2 1'! 3 1'' |end"),
    ("R-2 crash before the commit", RETRY_TOPIC, "1! ⚡ 1r 2 1'"),
    ("R-3", PARALLEL, "b2 b4 a1 a3"),
    ("R-3 slow", PARALLEL, "a1- b2 b4 a1r a3 |end"),
    ("R-4", PARALLEL, "a1 b2 d4 c3- ⚡ c3r e5"),
    ("R-4 own keys", PARALLEL, "1 2 4 3- ⚡ 3r 5"),
    ("R-4 retry in place", PARALLEL, "a1! b2 a1r a3"),
    ("R-4 late map", PARALLEL, "a1 b2 |c=3 b4 a3 ⚡ a3r b4r"),
    ("R-4 units are keys", PARALLEL, "b/2 b/4 a/1 a/3"),
    ("skip", SKIPS, "1! 2 |end"),
    ("stop", STOPS, "1 2! 1r 2r 3"),
    # Kinesis
    ("N-1", KCL, "1 3 4 2'"),
    ("N-1 the log", KCL, "log: 1 3 4 2"),
    ("N-1 time-out", KCL, "log: 1 2 1' 2' 3"),
    ("N-2", BISECTS, "[1 2 3 4!] [1r 2r] [3r 4r!] [3r] [4r!]"),
    ("N-2 halves of a half, record by record", BISECTS, "1 2 3! 4 1r! 2r 1r 2r 3r 4r |end"),
    ("N-3", TWO_RETRIES, "[3 4!] [3r 4r!] [3r 4r!] [5]"),
    ("N-3 given up, written", Kinesis(consumer="lambda", maximum_retry_attempts=1), "1! 1r! |drop 1 2"),
    ("N-3 without brackets", TWO_RETRIES, "3 4! 3r 4r! 3r 4r! 5"),
    ("N-4", KCL, "parent/4 child/5"),
    ("N-4 other shards", KCL, "p0/1 p1/2 |grow 3 p1/3 p0/4 p0.1/5"),
    ("N-4 not parent first", Kinesis(parent_first=False), "child/5 parent/4"),
    ("N-5", KCL, "|c=11 11 12 13 ⚡ 11r 12r 13r 14"),
    ("N-5 unlisted", KCL, "11 12 13 11r 12r 13r 14"),
    ("KCL zombie", KCL, "A:5 A:6 B:5r A:7 B:6r"),
    ("KCL start at latest", Kinesis(start_at_latest=True), "1 2 ⚡ 5"),
    ("Lambda whole batch", FUNCTION, "[1 2 3!] [1r 2r 3r] [4]"),
    ("Lambda whole batch without brackets", FUNCTION, "1! 2 3 1r 2r 3r 4 |end"),
    ("Lambda from the lowest", PARTIAL, "[1 2! 3] [2r 3r]"),
    ("Lambda lost answer", FUNCTION, "[1 2] [1r 2r] [3]"),
    ("Lambda keys side by side", Kinesis(consumer="lambda", parallelization_factor=2), "a1! b2 b4 a1r a3"),
    ("N-4 the parent is read first", KCL, "|put p0/3 |put p0/4 |grow 2 |put p1/5 |put p1/6 p0/3 p0/4 p1/5 p1/6"),
    # What was there before, and what was not
    ("all that was put", KAFKA, "|put 1 |put 2 1 2 |end"),
    ("all that was put, in the middle of the log", KAFKA, "2 |put 3 3 |end"),
    ("put and set aside", KAFKA, "|put 1 |put 2 |dead 1 2 |end"),
    ("put, and the offset was lost", Kafka(auto_offset_reset="latest"), "|put 1 |put 2 |reset end |put 3 3 |end"),
    ("put before the consumer started at the end", EventHubs(start_at_latest=True), "|put 1 |put 2 2 |end"),
    ("a zombie holds what was there", KAFKA, "|put 1 |put 2 A:1 |evict A>B B:2 A:2r"),
    ("a zombie holds what was there, KCL", KCL, "|put 1 |put 2 A:1 |evict A>B B:2 A:2r"),
    ("a zombie holds what was there, parallel", PARALLEL, "|put 1 |put 2 A:1 |evict A>B B:2 A:2r"),
    ("a zombie, and nobody lists when it was evicted", KAFKA, "|put 1 A:1 |put 2 B:2 A:2r"),
    ("a restarted parallel consumer commits what it has run", PARALLEL, "a1 ⚡ a1r |c=2 b2"),
    ("a super stream grows", STREAM, "p0/1 |grow 4 p3/2"),
    # Event Hubs, streams
    ("H-1", HUB, "5 6 ⚡ 5r 6r 7"),
    ("H-2", HUB, "A:5 A:6 B:5r A:7 B:6r"),
    ("H-3 sends at once", HUB, "2 3 1"),
    ("H-4 resend", HUB, "1 2 1'"),
    ("H-5 start at latest", EventHubs(start_at_latest=True), "1 ⚡ 4"),
    ("RS-1", STREAM, "|c=5 5 6 ⚡ 5r 6r 7"),
    ("RS-2", STREAM, "log: 1 2 1'"),
    ("RS-3 dropped by deduplication", NAMED, "1 2 |drop 3 4"),
    ("RS-4 dead", RabbitMQStream(dead_letters=True), "|dead 1 2 |put 1' 1'"),
    # Debezium, outbox
    ("D-4", DEBEZIUM, "1 2 3 2' 3' 4"),
    ("D-4 crash", DEBEZIUM, "1 2 3 ⚡ 1' 2' 3' 4"),
    ("D-4 twice", DEBEZIUM, "1 2 3 ⚡ 2' 3' ⚡ 3'' 4 |end"),
    ("D-4 two tasks", DEBEZIUM, "1 2 3 2' 4 3' 4'"),
    ("D-4 slot lost", Debezium(slot_lost=True), "1 4"),
    ("O-1 visibility", FLAG, "2 1 3 |end"),
    ("O-2 id cursor", CURSOR, "2 3"),
    ("O-2 id cursor passes over", CURSOR, "1 3 |end"),
    ("O-2 visible behind the cursor", CURSOR, "|put 2 2 |put 1 |end"),
    ("O-2 visible behind the cursor, and on", CURSOR, "|put 2 2 |put 1 |put 3 3 |end"),
    ("O-2 polled when both were visible", CURSOR, "|put 2 |put 1 1 2 |end"),
    ("D-4 slot lost, listed", Debezium(slot_lost=True), "1 |put 2 |put 3 3 |end"),
    ("O-3 batch again", FLAG, "1 2 3 ⚡ 1' 2' 3'"),
    ("O-3 and what became visible", FLAG, "2 3 ⚡ 1 2' 3'"),
    ("O-4 two relays at once", FLAG, "A:1 |evict A>B B:2 B:2'"),
    ("O-4 two relays", Outbox(relays=2), "1 1' 3 2 2'"),
    # Seen on real brokers
    ("real (i) commit at the end", KAFKA, "A:e1 e2 A:⚡ B:e1r e2r e3 e4 e5"),
    ("real (i) commit for each", KAFKA, "|c=e1 A:e1 |c=e2 e2 A:⚡ B:e2r e3 e4 e5"),
    ("real (i) auto-commit", AHEAD, "A:e1 e2 |c=e6 A:⚡ B:e6"),
    ("real (ii) seek back", KAFKA, "e1 e2 e3! e3r e4 e5"),
    ("real (ii) skip", SKIPS, "e1 e2 e3! e4 e5 |c=end ⚡ |end"),
    ("real (ii) retry topic", RETRY_TOPIC, "e1 e2 e3! e4 e5 e3' |end"),
    ("real (iii) stable", KAFKA, "A:e1 e2 e3 e4 e5 |end"),
    ("real (iii) leaves", KAFKA, "|c=e1 A:e1 e2 e3 |move A>B B:e1r e2r e3r e4 e5"),
    ("real (iii) zombie", KAFKA, "A:e1 A:e2 |evict A>B B:e1r e2r e3 A:e3r e4 e5 A:|c=e6! B:e4r e5r"),
    ("real (iv) dead letter", KAFKA, "e1 e2 e3! |dead e3 e4 e5 |put e3' e3'"),
    ("real (v)", KAFKA, "A:p1/1 p1/2 |grow 12 B:p4/6 p4/7 A:p1/3 B:p4/8 p4/9 p4/10 A:p1/4 p1/5"),
    ("real (v) latest", KAFKA, "p1/1 p1/2 |grow 12 p1/3 p1/4 p1/5"),
    ("real (vi) retriable error", LIBRDKAFKA, "log: e2 e3 e4 e5 e1"),
    ("real (vi) answer lost", LIBRDKAFKA, "log: e1 e2 e3 e1' e2' e3'"),
    ("real (vi) answer lost, one", LIBRDKAFKA, "log: e1 e1' e2 e3"),
    ("real (vi) idempotent", KAFKA, "log: e1 e2 e3"),
]

ILLEGAL: list[tuple[str, Settings, str, str, str]] = [
    ("K-2", KAFKA, "|c=5 5 6 ⚡ 6r 7", "6r", "a replay starts at the committed offset, which is 5"),
    ("K-2 after the commit", KAFKA, "5 6 |c=7 ⚡ 6r", "6r", "which is 7"),
    ("K-3", KAFKA, "|c=5 5 6 ⚡ 5r 7", "7", "6 comes before 7"),
    ("K-4", KAFKA, "|c=5 5 6 ⚡ 4r 5r 6r", "4r", "a replay starts at the committed offset, which is 5"),
    ("K-4 shown before", KAFKA, "4 |c=5 5 6 ⚡ 4r 5r", "4r", "which is 5"),
    ("K-4 unlisted", KAFKA, "4 5 6 ⚡ 5r 6r ⚡ 4r", "4r", "lies between 5 and"),
    ("K-5", KAFKA, "|c=5 5 6 ⚡ 6r 5r 7", "6r", "which is 5"),
    ("K-5 order", KAFKA, "|c=5 5 6 ⚡ 5r 6r 5r", "5r", "goes back only by a restart"),
    ("a number names the first record of it", JAVA, "e4 e5 e6 e5' |c=5 ⚡ e5'r", "e5'r", "which is e5"),
    ("K-6", KAFKA, "A:1 2 3 4 |c=5 |move A>B B:3r 4r 5", "B:3r", "which is 5"),
    ("K-6 no overlap", KAFKA, "A:1 2 |move A>B B:2r A:3", "A:3", "A does not own the partition: B does"),
    ("K-6 of another", KAFKA, "A:1 |move B>C C:2", "|move B>C", "B does not own the partition: A does"),
    ("K-8", POLLS_4, f"{POLLED} A:9", "A:9", "A has lost the partition and cannot fetch"),
    ("K-8 more than a poll", Kafka(max_poll_records=2), f"{ZOMBIE} A:9", "A:9", "cannot fetch"),
    ("K-8 batch", KAFKA, "A:[5 6 7 8] |evict A>B B:5r A:9", "A:9", "it held nothing from 9 on"),
    ("K-8 zombie in order", KAFKA, "A:5 A:6 |evict A>B B:5r A:8", "A:8", "7 comes before 8"),
    ("K-9", KAFKA, f"{ZOMBIE} A:|c=9", "A:|c=9", "the broker refuses its commit: `|c=9!`"),
    ("K-10 no evict", KAFKA, "A:5 ⚡ B:5r 6 A:6r", "A:6r", "no hand-over to it is listed here"),
    ("K-11", KAFKA, "5 6 |c=8 ⚡ 8 9", "|c=8", "commit_ahead=True would allow it"),
    ("K-11 unseen commit", KAFKA, "5 6 ⚡ 8 9", "8", "committed offset"),
    ("K-11 gap", KAFKA, "5 6 8", "8", "7 comes before 8 (commit_ahead=True can lose it)"),
    ("K-11 only what was fetched", Kafka(commit_ahead=True, max_poll_records=2), "5 |c=9 ⚡ 9", "|c=9", "fetched"),
    ("K-12", KAFKA, "p0/2 p0/1 p1/a p1/b", "p0/1", "1 comes before 2"),
    ("K-13 no reset", KAFKA, "5 6 ⚡ 100", "100", "committed offset"),
    ("not read again from there", Kafka(offset_resets=True), "log: 5 6 7 ; 5 6 |reset 3 7", "7", "which is 5"),
    ("not read before it", Kafka(offset_resets=True), "log: 5 6 7 ; 5 6 |reset 9 7", "7", "what follows 7"),
    ("not in the order of its puts", JAVA, "|put 1 |put 2 2 1", "1", "1 comes before 2"),
    ("it was there before the put", JAVA, "|put 2 2 3", "3", "3 comes before 2"),
    ("a hole as wide as any window", JAVA, "5 106", "106", "6 to 105 comes before 106"),
    ("nor behind a dead letter", JAVA, "|dead 5 106", "106", "106 cannot land here"),
    ("set aside, and run without a failure", KAFKA, "5 |dead 3", "|dead 3", "was run without a failure"),
    ("what failed is read again", HUB, "2! |end", "|end", "2 must still be run"),
    ("a copy that failed", DEBEZIUM, "2'! |end", "|end", "2' must still be run"),
    ("a copy stands in front", DEBEZIUM, "4' |c=3 6!", "6!", "3 comes before 6"),
    ("what no verb puts was there", DEBEZIUM, "2 |put 6 4", "4", "3 comes before 4"),
    ("older than what was read", DEBEZIUM, "6 |put 4", "|put 4", "4 is older"),
    ("nothing is reset", KAFKA, "5 6 ⚡ |reset 100 100", "|reset 100", "does not jump here (offset_resets=True would"),
    ("nor to the end", FUNCTION, "5 6 ⚡ |reset end 9", "|reset end", "the checkpoint does not jump here"),
    ("lost, not set back", Kafka(auto_offset_reset="latest"), "5 6 |reset 6 6r", "|reset 6", "is not set back here"),
    ("lost, not before", Kafka(auto_offset_reset="latest"), "5 6 |reset 4 4", "|reset 4", "is not set back here"),
    ("K-14 order", KAFKA, "1 2 |drop 3 5 4", "5", "4 comes before 5"),
    ("K-14 aborted", KAFKA, "1 2 |drop 3 3", "3", "a partition is read in order"),
    ("K-15", KAFKA, "log: a1 b1 a2 ; a2 b1", "b1", "b1 comes before a2"),
    ("mark missing", KAFKA, "5 5", "5", "the same record again is `5r`"),
    ("mark without a first time", KAFKA, "5 6r", "6r", "shown before, and 6 was not"),
    ("complete", KAFKA, "1 2 ⚡ 2r |put 3 |end", "|end", "3 must still be run"),
    ("complete commit", KAFKA, "|c=1 1 2 ⚡ |end", "|end", "1 must still be run"),
    ("no single settlements", KAFKA, "1 |ack 1", "|ack 1", "no settlement of one message"),
    ("partitions never decrease", KAFKA, "p0/1 |grow 3 p0/2", "|grow 3", "never decreases, and it is 6"),
    ("growth keeps the order of a partition", KAFKA, "p0/1 |grow 12 p6/2 p0/4 p0/3", "p0/4", "3 comes before 4"),
    ("a poll has a size", POLLS_4, "[1 2 3 4 5]", "[1 2 3 4 5]", "max_poll_records=4"),
    ("seek back is of the last", KAFKA, "|c=1 1 2 ⚡ 1r 2r 3 1r", "1r", "none is listed here"),
    ("commit_every bounds a replay", Kafka(commit_every=2), "1 2 3 4 5 ⚡ 2r", "2r", "lies between 4 and"),
    ("not in the log", KAFKA, "log: 1 2 ; 1 2 3", "3", "3 is not in the log"),
    ("P-1 swap", KAFKA, "log: B2 B1", "B1", "idempotent_producer=False would allow it"),
    ("P-1 copy", KAFKA, "log: B1 B1'", "B1'", "application_resends=True would allow it"),
    ("P-1 copy read", KAFKA, "1 2 1' 3", "1'", "is not written twice"),
    ("P-2", JAVA, "log: B3 B1 B2 ; |fail B1", "B2", "B2 did not fail"),
    ("P-2 window", Kafka(idempotent_producer=False, max_in_flight=2), "log: B3 B1", "B1", "2 at most"),
    ("P-3", KAFKA, "log: B1 B2 B3 B3' B2' B1'", "B3'", "is not written twice"),
    ("P-5", ONE_IN_FLIGHT, "log: B1 B2 B1'", "B1'", "with one batch in flight none overtakes"),
    ("P-5 swap", ONE_IN_FLIGHT, "log: e2 e1 e3", "e1", "with one batch in flight none overtakes"),
    ("P-5 librdkafka, two overtake", LIBRDKAFKA_ONE, "log: 2 3 1 ; |fail 1", "1", "by 1 at most, not by 2"),
    ("P-5 librdkafka, two fail at once", LIBRDKAFKA_ONE, "log: 3 1 2", "1", "cannot land here"),
    ("P-5 librdkafka, idempotent", Kafka(retry_order="sequence", max_in_flight=1), "log: 2 1", "1", "produced order"),
    ("P-6 five overtake one failure", JAVA, "log: B2 B3 B4 B5 B6 B1 ; |fail B1", "B1", "by 4 at most, not by 5"),
    (
        "P-6 two in flight",
        Kafka(idempotent_producer=False, max_in_flight=2),
        "log: B2 B3 B4 B5 B6 B1 ; |fail B1",
        "B1",
        "by 1 at most, not by 5",
    ),
    ("P-6 two failures, nine overtake", JAVA, "log: 2 3 4 5 6 7 8 9 10 1 ; |fail 1 |fail 1", "1", "failed 2 times"),
    ("P-7", PAIRS, "log: 2 1 3 4", "1", "a batch is written whole and in its own order"),
    ("P-7 idempotent", Kafka(records_per_batch=2), "log: 2 1", "1", "the produced order"),
    ("P-7 resends", Kafka(records_per_batch=2, application_resends=True), "log: 2 1", "1", "in its own order"),
    ("P-7 split", PAIRS, "log: 1 3 4 2", "2", "2 comes before 3"),
    ("R-1", KAFKA, "1 2! 3 2r", "3", "2 failed and is retried in place before anything after it"),
    ("R-1 in a poll", KAFKA, "[1 2! 3]", "[1 2! 3]", "2 failed and is retried in place"),
    ("R-1 given up too early", KAFKA, "1! 1r! 2", "2", "on_error='skip' or 'retry_topic' would go on"),
    ("R-1 attempts, but settlements are listed", KAFKA, " ".join(["1!", *["1r!"] * 9, "2", "|drop 3"]), "2", "retried"),
    ("R-2 without a failure", RETRY_TOPIC, "1 2 3 1'", "1'", "is not written twice"),
    ("R-2 incomplete", RETRY_TOPIC, "1! 2 |end", "|end", "1 went to the retry topic and comes again"),
    ("R-2 blocking", KAFKA, "1! 2 3 1'", "2", "1 failed and is retried in place"),
    ("R-3", PARALLEL, "b2 a3 a1", "a1", "a1 has the same key as a3 and comes before it"),
    ("R-3 a failed one blocks its key", PARALLEL, "a1! b2 a3", "a3", "a1 has the same key as a3"),
    ("R-4 completed ones are not replayed", PARALLEL, "a1 b2 |c=3 a3- ⚡ b2r", "b2r", "only incomplete records"),
    ("R-4 in a key in order", PARALLEL, "a1 |c=2 a3 a5 ⚡ a5r", "a5r", "a3 has the same key as a5"),
    ("R-4 the commit is contiguous", PARALLEL, "a1 b4 a3 |c=5", "|c=5", "the base offset"),
    ("skip does not come back", SKIPS, "|c=1 1! 2 |c=3 ⚡ 1r", "1r", "which is 3"),
    ("N-1 beyond one request", Kinesis(records_per_put=3), "log: 2 3 4 1", "1", "at most 3 records"),
    ("N-1 one at a time", Kinesis(records_per_put=1), "log: 2 1", "1", "at most 1"),
    ("N-2 halves in order", BISECTS, "[1 2 3 4!] [3r 4r!]", "[3r 4r!]", "1 to 2"),
    ("N-2 no bisect", FUNCTION, "[1 2 3 4!] [1r 2r]", "[1r 2r]", "invoked again as a whole"),
    ("N-3 too early", TWO_RETRIES, "[3 4!] [3r 4r!] [5]", "[5]", "maximum_retry_attempts=2"),
    ("N-3 too late", TWO_RETRIES, "[3 4!] [3r 4r!] [3r 4r!] [3r 4r!]", "[3r 4r!]", "what follows 4 comes next"),
    ("N-3 endless", FUNCTION, "[3 4!] [3r 4r!] [3r 4r!] [5]", "[5]", "invoked again as a whole"),
    ("N-4", KCL, "child/5 parent/4", "parent/4", "read only after the end of its parent"),
    ("N-4 one shard", KCL, "p0/4 |grow 2 p1/6 p0/5", "p0/5", "read only after the end of its parent"),
    (
        "N-4 a parent that was never read",
        KCL,
        "|put p0/3 |put p0/4 |grow 2 |put p1/5 |put p1/6 p0/3 p1/5 p0/4 p1/6",
        "p0/4",
        "p1 is read only after the end of its parent p0",
    ),
    ("the first of what was put", KAFKA, "|put 1 |put 2 2 |end", "|end", "1 must still be run"),
    ("the first of what was put, KCL", KCL, "|put 1 |put 2 2 |end", "|end", "1 must still be run"),
    ("the first of what was put, Lambda", FUNCTION, "|put 1 |put 2 [2] |end", "|end", "1 must still be run"),
    ("the first of what was put, parallel", PARALLEL, "|put 1 |put 2 2 |end", "|end", "1 must still be run"),
    ("the first of what was put, streams", STREAM, "|put 1 |put 2 2 |end", "|end", "1 must still be run"),
    ("all of a partition that was put", KAFKA, "|put p0/1 |put p1/2 p0/1 |end", "|end", "p1/2 must still be run"),
    ("a zombie cannot fetch", KAFKA, "|put 1 A:1 |evict A>B |put 2 B:2 A:2r", "A:2r", "2 was accepted later"),
    ("a zombie cannot fetch, KCL", KCL, "|put 1 A:1 |evict A>B |put 2 B:2 A:2r", "A:2r", "2 was accepted later"),
    ("a zombie cannot fetch, hub", HUB, "|put 1 A:1 |evict A>B |put 2 B:2 A:2r", "A:2r", "2 was accepted later"),
    ("a zombie that ran nothing", KAFKA, "|evict A>B |put 2 B:2 A:2r", "A:2r", "A does not own the partition"),
    ("a zombie cannot fetch, parallel", PARALLEL, "|put 1 A:1 |evict A>B |put 2 B:2 A:2r", "A:2r", "accepted later"),
    ("a killed parallel consumer", PARALLEL, "1 ⚡ |c=2 2", "|c=2", "has nothing to commit"),
    ("a killed consumer", KAFKA, "1 ⚡ |c=2 2", "|c=2", "1 was not run yet"),
    ("a plain stream never grows", RabbitMQStream(partitions=1), "1 2 |grow 2 1", "|grow 2", "cannot change"),
    ("O-2 visible in order", CURSOR, "|put 1 |put 2 2 |end", "|end", "1 must still be run"),
    ("O-2 by a flag", FLAG, "|put 2 2 |put 1 |end", "|end", "1 must still be run"),
    (
        "O-2 one transaction",
        Outbox(cursor="id", open_transactions=1),
        "|put 2 2 |put 1 |end",
        "|put 1",
        "open_transactions=2 can lose it",
    ),
    ("D-4 no slot lost, listed", DEBEZIUM, "1 |put 2 |put 3 3 |end", "3", "2 comes before 3"),
    ("N-5", KCL, "|c=11 11 12 13 ⚡ 12r 13r 14", "12r", "a replay starts at the checkpoint, which is 11"),
    ("KCL single record", KCL, "11 12 13 ⚡ 12r 14", "14", "13 comes before 14"),
    ("KCL checkpoints only rise", KCL, "1 2 |c=3 |c=2", "|c=2", "does not go back"),
    ("KCL dead letters", KCL, "1! |dead 1 2", "|dead 1", "dead_letters=True"),
    ("Lambda order", FUNCTION, "log: 1 2 3 4 5 ; [1 2] [4 5] [3]", "[4 5]", "3 comes next"),
    ("Lambda no partial answers", FUNCTION, "[1 2! 3] [2r 3r]", "[2r 3r]", "1 to 3"),
    ("Lambda batch size", Kinesis(consumer="lambda", batch_size=2), "[1 2 3]", "[1 2 3]", "batch_size=2"),
    ("Lambda goes on", FUNCTION, "1 2! 3 4 |end", "|end", "a batch is still to be invoked"),
    ("H-6 awaited sends", EventHubs(outstanding_sends=1), "2 1", "1", "outstanding_sends"),
    ("H-7 single event", HUB, "|c=5 5 6 7 ⚡ 6r", "6r", "a replay starts at the checkpoint, which is 5"),
    ("H-8 fixed count", HUB, "p0/1 |grow 8 p4/2", "|grow 8", "cannot change"),
    ("RS-1", STREAM, "|c=5 5 6 ⚡ 6r", "6r", "a replay starts at the stored offset, which is 5"),
    ("RS-2", NAMED, "log: 1 2 1'", "1'", "named_producer=False would allow it"),
    ("RS-3", NAMED, "log: 2 1", "1", "named_producer=False would allow it"),
    ("D-4", DEBEZIUM, "1 2 3 3' 2'", "2'", "a restart resumes at the last flush, which was not before 3"),
    ("D-4 contiguous", DEBEZIUM, "1 2 3 ⚡ 1' 3'", "3'", "2 comes before 3"),
    ("D-4 suffix first", DEBEZIUM, "1 2 3 ⚡ 2' 4", "4", "3 comes before 4"),
    ("D-4 new records", DEBEZIUM, "1 2 3 ⚡ 2r", "2r", "a new message, `2'`"),
    ("D-4 no restart", DEBEZIUM, "1 2 2' 3 ⚡ 3'", "2'", "only after a restart"),
    ("D-4 no gap", DEBEZIUM, "1 3", "3", "2 comes before 3"),
    ("O-1 gap", FLAG, "1 3 |end", "|end", "2 must still be run"),
    ("O-1 one transaction", Outbox(open_transactions=1), "2 1", "1", "1 comes before 2"),
    ("O-3 by id", FLAG, "1 2 3 ⚡ 1' 3'", "3'", "2 comes before 3"),
    ("O-3 whole", FLAG, "1 2 ⚡ 1' 3", "3", "published again whole"),
]


@pytest.mark.parametrize(("broker", "trace"), [row[1:] for row in LEGAL], ids=[row[0] for row in LEGAL])
def test_what_can_happen_is_permitted(broker: Settings, trace: str) -> None:
    """A legal vector, or what was seen on a real broker."""
    answer = broker.permits(trace)
    assert answer, str(answer)
    assert (answer.word, answer.position, answer.rules) == (None, None, ())


@pytest.mark.parametrize(
    ("broker", "trace", "word", "reason"), [row[1:] for row in ILLEGAL], ids=[row[0] for row in ILLEGAL]
)
def test_what_cannot_happen_is_refused_at_its_first_word_and_with_the_rule(
    broker: Settings, trace: str, word: str, reason: str
) -> None:
    """An illegal vector or a near miss of a legal one."""
    answer = broker.permits(trace)
    assert not answer
    assert answer.word == word, str(answer)
    assert reason in "; ".join(answer.rules), str(answer)


@pytest.mark.parametrize(("broker", "trace"), [row[1:] for row in LEGAL], ids=[row[0] for row in LEGAL])
def test_every_beginning_of_what_can_happen_can_happen(broker: Settings, trace: str) -> None:
    """A trace may stop anywhere; verbs that are cut off take their group's word for it with them, so `⚡` is kept."""
    words = trace.partition(";")[2].split() if ";" in trace else trace.split()
    if any(word.startswith(("|", "⚡", "log:", "[", "p0/")) or word.endswith(("⚡", "]")) for word in words):
        return
    for end in range(1, len(words)):
        assert broker.permits(" ".join(words[:end]))


def test_the_first_refused_word_does_not_depend_on_what_follows() -> None:
    """Behind an impossible word anything may stand."""
    for _, broker, trace, word, _ in ILLEGAL:
        if "|end" not in trace and ("log:" in trace) == (";" in trace):
            answer = broker.permits(f"{trace} |end")
            assert answer.word == word, trace


def test_a_position_counts_the_words_of_the_trace_or_of_its_log() -> None:
    """From 0; a verb with its argument is one word."""
    assert KAFKA.permits("|c=5 5 6 ⚡ 6r 7").position == 4
    assert KAFKA.permits("|c 5 5 6 ⚡ 6r 7").position == 4
    assert KAFKA.permits("log: 1 3 2 ; 1").position == 1


def test_a_verb_that_could_be_in_several_units_is_a_mistake() -> None:
    """Unless one unit alone has the label."""
    with pytest.raises(UsageError, match=r"`\|c=5` could be in several units: write one of p0/5, p1/5"):
        KAFKA.permits("p0/5 p1/5 |c=5")
    assert KAFKA.permits("p0/5 p1/7 |c=p0/6 |c=p1/8")
    assert KAFKA.permits("p0/5 p1/7! |dead 7 p1/8")


MOST_CALLS = 500_000
"""Of functions, for one trace: a tenth of a second or so. Calls are counted, as a loaded machine is slow."""


@pytest.mark.parametrize("broker", [JAVA, AHEAD, PARALLEL, FUNCTION, HUB, KCL, DEBEZIUM, FLAG])
def test_a_long_trace_is_judged_with_few_calls(broker: Settings) -> None:
    """60 words over 12 messages, most of them explained by something unseen."""
    numbers = range(1, 13)
    words = [str(n) for n in numbers] + [f"{n}r" for n in range(3, 13)] + [f"B:{n}r" for n in range(4, 13)]
    words += [f"A:{n}r" for n in range(5, 13)] + [f"B:{n}r" for n in range(6, 13)] + [f"{n}'" for n in numbers]
    assert calls_to_judge(broker, " ".join(words[:60])) < MOST_CALLS
