"""`agora dlq replay --transform`: a function of the user's repairs records on their way."""

import json

import pytest

WORKER = """
from dataclasses import dataclass

from agora import DeliveryConfig, Pipeline, SqliteDlq, mask
from agora.runner import Schedule, ScheduledPipeline, WorkerPool


@dataclass(frozen=True)
class Order:
    id: int
    cents: int | None = None


class Orders:
    async def stream(self):
        for number in range(3):
            yield Order(number)


class Till:
    def write(self, record):
        with open("out.txt", "a", encoding="utf-8") as out:
            out.write(f"{record!r}\\n")


def priced(order: Order) -> Order:
    if order.cents is None:
        raise ValueError(f"order {order.id} has no price")
    return order


class Users:
    async def stream(self):
        yield {"name": "ann", "password": "secret"}


def fails(record):
    if record["password"] in ("secret", "***"):
        raise ValueError("bad password")
    return record


async def build():
    return Pipeline(Orders()).map(priced).build(Till(), config=DeliveryConfig(dlq=SqliteDlq("dead.db")))


async def build_users():
    config = DeliveryConfig(dlq=SqliteDlq("users.db"), redactor=mask("password"))
    return Pipeline(Users()).map(fails).build(Till(), config=config)


def get_worker():
    pool = WorkerPool()
    for name, factory in (("orders", build), ("users", build_users)):
        pool.register(ScheduledPipeline(factory=factory, schedule=Schedule.once(), pipeline_id=name))
    return pool
"""

REPAIR = """
from dataclasses import replace

from worker import Order

LIMIT = 7


def price(order):
    assert type(order) is Order
    return replace(order, cents=100)


def by_letter(order, letter):
    return replace(order, cents=letter.id)


async def slowly(order):
    return replace(order, cents=1)


def nothing(order):
    order.id


def broken(order):
    raise RuntimeError(f"cannot repair {order.id}")


def three(order, letter, more):
    return order


def only_one(order):
    return replace(order, cents=5) if order.id == 1 else order


def by_keyword(order, *, letter):
    return replace(order, cents=letter.id)


def by_keyword_maybe(order, factor=1, *, letter=None):
    return replace(order, cents=letter.id * factor)


def same(order):
    return order


class Tools:
    @staticmethod
    def fix(order):
        return replace(order, cents=3)


def password(user):
    return {**user, "password": "new"}
"""


@pytest.fixture
def shop(project):
    """A project whose three orders and whose one user died."""
    project.write("worker.py", WORKER)
    project.write("repair.py", REPAIR)
    for name in ("orders", "users"):
        assert project.agora("run", "worker", name).exit_code == 0
    return project


def replay(project, *words):
    return project.agora("dlq", "replay", "--pipeline", "orders", *words)


@pytest.mark.parametrize(
    ("function", "cents"),
    [
        ("repair:price", [100, 100, 100]),
        ("repair.py:price", [100, 100, 100]),
        ("repair:by_letter", [1, 2, 3]),
        ("repair:slowly", [1, 1, 1]),
        ("repair:Tools.fix", [3, 3, 3]),
        ("repair:by_keyword", [1, 2, 3]),
        ("repair:by_keyword_maybe", [1, 2, 3]),
    ],
)
def test_it_is_given_the_record_in_its_class(shop, function, cents):
    """By module or by file, plain or async, with the letter if it asks for it; the rest of the chain follows."""
    done = replay(shop, "--transform", function)

    assert done.exit_code == 0, done.stderr
    assert shop.lines("out.txt") == [f"Order(id={number}, cents={price})" for number, price in enumerate(cents)]


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("repair:broken", "RuntimeError: in the transform repair:broken: cannot repair 0"),
        ("repair:nothing", "TypeError: in the transform repair:nothing: it returned None in place of a record"),
    ],
)
def test_what_it_cannot_repair_has_failed_again(shop, function, said):
    """With the reason; the letter stays as it was, with one attempt more."""
    done = replay(shop, "--transform", function)

    assert done.exit_code == 1
    assert said in done.stderr
    rows = json.loads(shop.agora("dlq", "list", "--pipeline", "orders", "--json").stdout)
    assert [row["attempts"] for row in rows] == [2, 2, 2]
    assert shop.lines("out.txt") == []


def test_what_it_repairs_is_replayed_beside_what_it_does_not(shop):
    """One by one."""
    done = replay(shop, "--transform", "repair:only_one")

    assert done.stdout == "orders: 1 replayed, 2 failed again\n"
    assert shop.lines("out.txt") == ["Order(id=1, cents=5)"]


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("repair", "--transform 'repair' must be pkg.mod:fn or file.py:fn"),
        (":price", "must be pkg.mod:fn or file.py:fn"),
        ("repare:price", "no module named 'repare' for --transform 'repare'"),
        ("repare:price", "did you mean 'repair'?"),
        ("repare.py:price", "cannot load --transform 'repare.py': no such file"),
        ("repair:prize", "repair has no function 'prize'; it has Tools, broken, by_keyword, by_keyword_maybe"),
        ("repair:prize", "did you mean 'price'?"),
        ("repair:Tools.fxi", "Tools of repair has no function 'fxi'; it has fix; did you mean 'fix'?"),
        ("repair:LIMIT.fix", "LIMIT of repair has no function 'fix'; it has none"),
        ("repair:LIMIT", "the transform repair:LIMIT must be a function of one record, not 7"),
        ("repair:three", "takes (order, letter, more); it is called with (record) or with (record, letter)"),
    ],
)
def test_what_is_no_such_function_is_refused(shop, function, said):
    """Before a letter is touched, a dry run too."""
    for words in ([], ["--dry-run"]):
        done = replay(shop, "--transform", function, *words)

        assert (done.exit_code, done.stdout) == (2, "")
        assert said in done.stderr
        assert "Traceback" not in done.stderr


def test_a_dry_run_shows_what_it_changes(shop):
    """Of the first record that it changes, place by place; no letter is touched, nothing is written."""
    done = replay(shop, "--transform", "repair:only_one", "--dry-run")
    data = json.loads(replay(shop, "--transform", "repair:only_one", "--dry-run", "--json").stdout)

    assert done.stdout.splitlines() == [
        "orders: 3 dead letters",
        "  3 would be replayed in mode pipeline",
        "  what the transform changes, on letter 2:",
        "    record.cents: null → 5",
    ]
    assert (data[0]["example"]["id"], data[0]["example"]["after"][3]) == (2, {"id": 1, "cents": 5})
    assert shop.lines("out.txt") == []


def test_a_dry_run_of_what_changes_nothing_shows_nothing(shop):
    """There is no example of a change."""
    data = json.loads(replay(shop, "--transform", "repair:same", "--dry-run", "--json").stdout)

    assert (data[0]["modes"], data[0]["example"]) == ({"pipeline": 3}, None)


def test_a_dry_run_counts_what_it_cannot_repair(shop):
    """By error."""
    done = replay(shop, "--transform", "repair:broken", "--dry-run")

    assert "1 would fail in the transform: RuntimeError: in the transform repair:broken: cannot repair 0" in done.stdout


def test_masked_secrets_need_a_yes_and_a_repair(shop):
    """What was taken out is told, and put in again by the transform; the stars never reach the sink by themselves."""
    users = ["dlq", "replay", "--pipeline", "users"]
    refused = shop.agora(*users, "--transform", "repair:password")
    repaired = shop.agora(*users, "--transform", "repair:password", "--allow-lossy")

    assert refused.exit_code == 2
    assert "something was taken out of the record on purpose; --allow-lossy" in refused.stderr
    assert (repaired.exit_code, repaired.stdout) == (0, "users: 1 replayed, 0 failed again\n")
    assert shop.lines("out.txt") == ["{'name': 'ann', 'password': 'new'}"]


CHANGED = WORKER.replace("    id: int\n    cents: int | None = None", "    number: int\n    cents: int")
CHANGED = CHANGED.replace("Order(number)", "Order(number, 0)")
MIGRATE = """
from worker import Order


def to_new(value):
    return Order(value.value["id"], 9)
"""


def test_a_class_that_changed_since_is_refused_and_can_be_repaired(shop):
    """A record that its class cannot hold any more is told; a transform is given what was kept of it."""
    shop.write("worker.py", CHANGED)
    shop.write("migrate_orders.py", MIGRATE)
    refused = shop.real("dlq", "replay", "--pipeline", "orders")
    words = ("--transform", "migrate_orders:to_new", "--allow-lossy")
    seen = shop.real("dlq", "replay", "--pipeline", "orders", "--dry-run", *words)
    repaired = shop.real("dlq", "replay", "--pipeline", "orders", *words)

    assert refused.returncode == 2
    assert "orders: 3 refused:" in refused.stderr
    assert "worker:Order" in refused.stderr
    assert "3 would be replayed in mode pipeline" in seen.stdout
    assert (repaired.returncode, repaired.stdout) == (0, "orders: 3 replayed, 0 failed again\n"), repaired.stderr
    assert shop.lines("out.txt") == [f"Order(number={number}, cents=9)" for number in range(3)]
