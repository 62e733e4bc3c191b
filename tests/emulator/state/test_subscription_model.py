"""Random sequences of all that can happen to a subscription, against a model with one row a message."""

from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tandem.emulator.rpc.wire import KeyedFrame
from tandem.emulator.state.leases import INDEXES, AckIdPrefixes
from tandem.emulator.state.subscription import Subscription, memory_of

DEADLINE_SECONDS = 10
KEYS = ["", "", "a", "b"]


@dataclass
class Row:
    """A message: leased while `ack_id` is set and the clock is before `deadline`, waiting otherwise."""

    frame: bytes
    key: str
    ack_id: str = ""
    deadline: float = 0.0
    acknowledged: bool = False


class Model(RuleBasedStateMachine):
    """Compares each answer of a `Subscription` with what the rows allow, and in the end takes all out."""

    ordered = False

    @initialize()
    def start(self) -> None:
        self.now = 0.0
        self.rows: list[Row] = []
        self.issued: list[str] = []
        self.real = Subscription(
            clock=lambda: self.now,
            prefixes=AckIdPrefixes(nonce=1),
            ack_deadline_seconds=DEADLINE_SECONDS,
            ordered=self.ordered,
        )

    @rule(keys=st.lists(st.sampled_from(KEYS), min_size=1, max_size=8))
    def publish(self, keys: list[str]) -> None:
        rows = [Row(b"%d" % number, key) for number, key in enumerate(keys, len(self.rows))]
        for row in rows:
            if row.key:
                row.frame = KeyedFrame(row.frame, row.key)
        self.rows += rows
        self.real.add([row.frame for row in rows])

    @rule(count=st.integers(1, 10))
    def pull(self, count: int) -> None:
        self.expire()
        deliverable = self.deliverable()
        delivery = self.real.pull(count)
        assert len(delivery.frames) == min(count, len(deliverable))
        got = [self.rows[int(frame)] for frame in delivery.frames]
        assert len({row.frame for row in got}) == len(got)
        for key in {row.key for row in got} if self.ordered else ():
            of_key = [row.frame for row in got if row.key == key]
            allowed = [row.frame for row in deliverable if row.key == key]
            assert of_key == allowed[: len(of_key)] if key else set(of_key) <= set(allowed)
        for position, row in enumerate(got):
            assert row in deliverable
            row.ack_id, row.deadline = delivery.prefix + INDEXES[position], self.now + DEADLINE_SECONDS
            self.issued.append(row.ack_id)

    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        ack_ids = self.some_ids(data)
        self.expire()
        for row in self.leased(ack_ids):
            row.acknowledged, row.ack_id = True, ""
        self.real.acknowledge(ack_ids)

    @rule()
    def acknowledge_last_delivery(self) -> None:
        prefix = self.issued[-1][:-4] if self.issued else "none"
        ack_ids = [ack_id for ack_id in self.issued if ack_id.startswith(prefix)]
        self.expire()
        for row in self.leased(ack_ids):
            row.acknowledged, row.ack_id = True, ""
        self.real.acknowledge(ack_ids)

    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        ack_ids = self.some_ids(data)
        self.expire()
        self.return_rows(self.leased(ack_ids))
        self.real.modify_deadline(ack_ids, 0)

    @rule(data=st.data(), seconds=st.integers(1, 25))
    def modify_deadline(self, data: st.DataObject, seconds: int) -> None:
        ack_ids = self.some_ids(data)
        self.expire()
        for row in self.leased(ack_ids):
            row.deadline = self.now + seconds
        self.real.modify_deadline(ack_ids, seconds)

    @rule(seconds=st.integers(1, 15))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @invariant()
    def backlog_is_what_is_not_acknowledged(self) -> None:
        if hasattr(self, "real"):
            rows = [row.frame for row in self.rows if not row.acknowledged]
            assert self.real.backlog_bytes == memory_of(rows)

    def teardown(self) -> None:
        """Nothing was lost, and nothing that was acknowledged comes back."""
        if not hasattr(self, "real"):
            return
        missing = {row.frame for row in self.rows if not row.acknowledged}
        self.now += 1000
        while missing:
            delivery = self.real.pull(7)
            assert delivery.frames
            assert set(delivery.frames) <= missing
            missing -= set(delivery.frames)
            self.real.acknowledge([delivery.prefix + index for index in INDEXES[: len(delivery.frames)]])
        assert self.real.pull(7).frames == []
        assert self.real.backlog_bytes == 0

    def expire(self) -> None:
        self.return_rows([row for row in self.rows if row.ack_id and row.deadline <= self.now])

    def return_rows(self, rows: list[Row]) -> None:
        for row in rows:
            row.ack_id = ""
            if self.ordered and row.key:
                later = self.rows[self.rows.index(row) + 1 :]
                for other in later:
                    if other.key == row.key:
                        other.ack_id = ""

    def deliverable(self) -> list[Row]:
        blocked = {row.key for row in self.rows if row.ack_id and row.key} if self.ordered else set()
        return [row for row in self.rows if not row.acknowledged and not row.ack_id and row.key not in blocked]

    def leased(self, ack_ids: list[str]) -> list[Row]:
        return [row for row in self.rows if row.ack_id and row.ack_id in ack_ids]

    def some_ids(self, data: st.DataObject) -> list[str]:
        return data.draw(st.lists(st.sampled_from(self.issued[-30:]), max_size=15)) if self.issued else []


class OrderedModel(Model):
    """The same with ordering keys honoured."""

    ordered = True


TestPlain = Model.TestCase
TestOrdered = OrderedModel.TestCase
TestPlain.settings = settings(max_examples=100, stateful_step_count=40, deadline=None, database=None)
TestOrdered.settings = TestPlain.settings
