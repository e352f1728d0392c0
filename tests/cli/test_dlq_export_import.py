"""`agora dlq export` and `import`: letters go from one store to another exactly, or are named."""

import asyncio
import json
import sqlite3
import stat
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from agora_core.builtin.sqlite_dlq import SqliteDlq
from agora_core.spec.letters import Failure, Fidelity, LetterQuery, LetterState
from agora_core.spec.typed_values import TypedValue
from agora_core.testing.dlq_samples import EVERYTHING, HOUR, letter

ORDER = TypedValue(type="shop:Order", kind="dataclass", value={"id": 7, "price": (1, None)})
NASTY = "red \x1b[31m \u202e \x9b5m"


@pytest.fixture
def shop(project, monkeypatch):
    """A project with letters of every kind, in each state, in `old.db`."""
    monkeypatch.chdir(project.root)
    asyncio.run(fill(SqliteDlq("old.db")))
    return project


async def fill(store):
    names = ["dead", "tried", "replayed", "parked", "discarded", "leased"]
    await store.open()
    await store.put([letter(uid, record={"n": 1.5, "uid": uid, "nasty": NASTY}) for uid in names])
    await store.put(
        [
            letter("opaque", record=object()),
            replace(letter("lossy", record={"password": "***"}), fidelity=Fidelity.LOSSY),
            replace(letter("equal", record={1.5}), fidelity=Fidelity.EQUAL, origin=b"\x00raw"),
            letter("typed", record=ORDER),
            replace(letter("none"), origin=None),
            letter("other", pipeline_id="returns", stage="middleware:check", error_type="KeyError"),
        ]
    )
    number = {one.uid: one.id for one in await store.find(EVERYTHING)}
    await store.lease(LetterQuery(ids=(number["tried"], number["replayed"])), token="t", lasting=HOUR, limit=2)
    await store.give_back({number["tried"]: Failure(type="OSError", message="again")}, token="t")
    await store.resolve([number["replayed"]], token="t", state=LetterState.REPLAYED, run_id="replay-1")
    await store.park(LetterQuery(ids=(number["parked"],)), note="ask the vendor")
    await store.discard(LetterQuery(ids=(number["discarded"],)))
    await store.lease(LetterQuery(ids=(number["leased"],)), token="t", lasting=HOUR, limit=1)
    await store.close()


def held(path):
    async def found():
        store = SqliteDlq(path)
        await store.open()
        try:
            return {one.uid: one.with_id(0) for one in await store.find(EVERYTHING)}
        finally:
            await store.close()

    return asyncio.run(found())


def export(project, *words):
    return project.agora("dlq", "export", *words, "--store", "old.db")


def import_(project, *words, **more):
    return project.agora("dlq", "import", *words, "--store", "new.db", **more)


def as_dead(one):
    return replace(one, state=LetterState.DEAD, lease_until=None)


class TestRoundTrip:
    def test_every_letter_comes_back_exactly(self, shop):
        """Each field of each; what a replay held is dead, since that replay does not know of the new store."""
        out = export(shop, "out.jsonl")
        back = import_(shop, "out.jsonl")

        before, after = held("old.db"), held("new.db")
        assert out.stdout == "exported 12 dead letters to out.jsonl\n"
        assert "a replay holds 1 of them now" in out.stderr
        assert (out.exit_code, back.exit_code) == (0, 0)
        assert back.stdout == (
            "imported 12 dead letters; 1 of them, which a replay held when they were exported, are dead now\n"
        )
        assert after == {**before, "leased": as_dead(before["leased"])}
        assert list(after) == list(before)
        assert shop.agora("dlq", "verify", "--store", "new.db").exit_code == 0

    def test_importing_twice_changes_nothing(self, shop):
        """What is there stays as it is, though it was parked meanwhile."""
        export(shop, "out.jsonl")
        import_(shop, "out.jsonl")
        shop.agora("dlq", "park", "--all", "--store", "new.db")
        before = held("new.db")

        done = import_(shop, "out.jsonl", "--json")

        counts = {"letters": 12, "imported": 0, "present": 12, "leased": 0, "bad": [], "bad_count": 0, "is_whole": True}
        assert json.loads(done.stdout) == counts
        assert held("new.db") == before

    def test_by_standard_streams(self, shop):
        """A pipe between two machines; what is said of it stands on standard error."""
        out = export(shop, "-")
        back = import_(shop, "-", typed=out.stdout)

        assert "exported 12 dead letters" in out.stderr
        assert back.exit_code == 0
        assert len(held("new.db")) == 12

    def test_two_exports_in_one_file_are_both_imported(self, shop):
        """`cat a b | agora dlq import -` has the letters of both."""
        one, other = (export(shop, "-", "--pipeline", name).stdout for name in ("orders", "returns"))

        back = import_(shop, "-", typed=one + other)

        assert back.exit_code == 0
        assert len(held("new.db")) == 12

    def test_what_is_exported_can_be_chosen(self, shop):
        """By the filters of the other commands, and by state; all states are the default."""
        chosen = export(shop, "-", "--state", "dead", "--where", "record.n == 1.5")

        uids = [json.loads(line)["uid"] for line in chosen.stdout.splitlines()[1:-1]]
        assert uids == ["dead", "tried"]

    def test_no_letter_is_an_export_too(self, shop):
        """So that a nightly export does not fail."""
        assert export(shop, "out.jsonl", "--run", "none-such").exit_code == 0
        assert import_(shop, "out.jsonl").stdout == "imported 0 dead letters\n"

    def test_a_typing_error_is_no_empty_export(self, shop):
        """And leaves no file."""
        done = export(shop, "out.jsonl", "--pipeline", "ordrs")

        assert done.exit_code == 2
        assert "did you mean 'orders'?" in done.stderr
        assert not (shop.root / "out.jsonl").exists()


class TestExport:
    def test_the_file_is_for_its_owner(self, shop):
        """It has records in it."""
        export(shop, "out.jsonl")

        assert stat.S_IMODE((shop.root / "out.jsonl").stat().st_mode) == 0o600
        assert [path.name for path in shop.root.iterdir() if path.name.startswith(".")] == []

    def test_a_file_that_is_there_is_kept(self, shop):
        """Unless --force says otherwise."""
        old = shop.write("out.jsonl", "precious")

        refused = export(shop, "out.jsonl")
        kept = old.read_text()
        forced = export(shop, "out.jsonl", "--force")

        assert (refused.exit_code, kept) == (2, "precious")
        assert "--force replaces it" in refused.stderr
        assert forced.exit_code == 0
        assert len(shop.lines("out.jsonl")) == 14

    def test_people_can_read_it(self, shop):
        """A record is JSON as `agora dlq show` has it, not text inside of text."""
        export(shop, "out.jsonl")

        typed = next(row for line in shop.lines("out.jsonl") if (row := json.loads(line)).get("uid") == "typed")
        assert typed["record"][:3] == ["$object", "shop:Order", "dataclass"]
        assert typed["error_message"] == "typed is bad"

    def test_a_letter_that_is_damaged_is_named(self, shop):
        """It is exported as its description; the exit code says so."""
        with closing(sqlite3.connect("old.db")) as connection, connection:
            connection.execute("UPDATE letters SET record = X'7B7D' WHERE uid = 'dead'")

        done = export(shop, "out.jsonl")

        assert done.exit_code == 1
        assert "agora: damaged, and exported as descriptions: 1; see agora dlq verify" in done.stderr
        assert import_(shop, "out.jsonl").exit_code == 0
        assert held("new.db")["dead"].fidelity is Fidelity.OPAQUE

    def test_nothing_is_printed_that_steers_a_terminal(self, shop, monkeypatch):
        """On a terminal control characters are escaped, as JSON allows it; the lines are still an export."""
        monkeypatch.setattr("click.testing._NamedTextIOWrapper.isatty", lambda self: True)
        out = export(shop, "-").stdout

        assert all(char.isprintable() or char == "\n" for char in out)
        assert json.loads(out.splitlines()[1])["record"]["nasty"] == NASTY

    def test_an_output_that_is_full_is_told(self, shop):
        """In one sentence, with exit code 1."""
        with Path("/dev/full").open("w") as full:
            done = shop.real("dlq", "export", "-", "--store", "old.db", stdout=full, stderr=-1)

        assert done.returncode == 1
        assert "agora: cannot write to standard output: No space left on device" in done.stderr


class TestImport:
    def test_good_lines_are_imported_and_bad_ones_named(self, shop):
        """A flipped character, a line that is no JSON, one of something else."""
        export(shop, "out.jsonl")
        lines = shop.lines("out.jsonl")
        lines[1] = lines[1].replace("1.5", "1.6")
        lines[3] = lines[3][:-20]
        lines[5] = '{"a": 1}'
        shop.write("out.jsonl", "\n".join(lines) + "\n")

        done = import_(shop, "out.jsonl")

        assert done.exit_code == 1
        assert done.stdout.startswith("imported 9 dead letters")
        assert "agora: out.jsonl:2: it does not fit its checksum: it was changed\n" in done.stderr
        assert "agora: out.jsonl:4: it is no JSON" in done.stderr
        assert "agora: out.jsonl:6: it is no dead letter: it has no 'uid'\n" in done.stderr
        assert "is not whole" not in done.stderr
        assert set(held("old.db")) - set(held("new.db")) == {"dead", "replayed", "discarded"}

    @pytest.mark.parametrize("cut", ["lines", "bytes", "a line in the middle"])
    def test_a_file_that_was_cut_says_so(self, shop, cut):
        """What is there is imported; the exit code is 1."""
        export(shop, "out.jsonl")
        whole = (shop.root / "out.jsonl").read_text(encoding="utf-8")
        lines = whole.splitlines(keepends=True)
        shop.write(
            "out.jsonl", {"lines": "".join(lines[:-1]), "bytes": whole[:-400]}.get(cut, "".join(lines[:3] + lines[4:]))
        )

        done = import_(shop, "out.jsonl")

        assert done.exit_code == 1
        assert "out.jsonl is not whole: it was cut, or lines were taken out; what is there was imported" in done.stderr
        assert 0 < len(held("new.db")) < 13

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("", "out.jsonl is empty; agora dlq export writes a line even where there is no letter"),
            ("\n\n", "out.jsonl is empty"),
            ("hello\n", "out.jsonl:1: it is no JSON"),
            ('{"n": 1}\n', "out.jsonl:1: it is no dead letter: it has no 'uid'"),
            ("[1]\n", "out.jsonl:1: it is no JSON object"),
            ('{"format": "csv"}\n', "out.jsonl:1: it is no export of dead letters"),
            ('{"format": "agora-dead-letters", "version": 99}\n', "it has the version 99, and this Agora reads 1"),
            ('{"end": "agora-dead-letters", "letters": 0}\n', "out.jsonl:1: it is no export"),
        ],
    )
    def test_a_file_of_something_else_is_refused(self, shop, text, said):
        """As a whole, before a store is made."""
        shop.write("out.jsonl", "x").write_text(text)

        done = import_(shop, "out.jsonl")

        assert done.exit_code == 2
        assert said in done.stderr
        assert not (shop.root / "new.db").exists()

    @pytest.mark.parametrize(
        ("name", "said"), [("none.jsonl", "there is no file 'none.jsonl'"), (".", "'.' is a directory")]
    )
    def test_a_file_that_cannot_be_read_is_refused(self, shop, name, said):
        """Before a store is made."""
        done = import_(shop, name)

        assert (done.exit_code, said in done.stderr) == (2, True)
        assert not (shop.root / "new.db").exists()

    def test_a_dry_run_of_a_file_that_was_cut_claims_no_import(self, shop):
        """Nothing was imported."""
        export(shop, "out.jsonl")
        shop.write("out.jsonl", "\n".join(shop.lines("out.jsonl")[:-1]))

        done = import_(shop, "out.jsonl", "--dry-run")

        assert "out.jsonl is not whole: it was cut, or lines were taken out\n" in done.stderr

    def test_a_dry_run_makes_nothing(self, shop):
        """It says what would be imported, and which lines are bad."""
        export(shop, "out.jsonl")
        shop.write("out.jsonl", "\n".join([*shop.lines("out.jsonl"), "bad"]))

        done = import_(shop, "out.jsonl", "--dry-run")

        assert done.exit_code == 1
        assert done.stdout.startswith("12 dead letters would be imported")
        assert "out.jsonl:15: it is no JSON" in done.stderr
        assert not (shop.root / "new.db").exists()

    def test_a_dry_run_counts_what_is_there(self, shop):
        """And leaves it."""
        export(shop, "out.jsonl")
        before = held("old.db")

        done = shop.agora("dlq", "import", "out.jsonl", "--dry-run", "--store", "old.db")

        assert done.stdout == "0 dead letters would be imported, 12 are there already\n"
        assert held("old.db") == before

    def test_what_a_file_says_steers_no_terminal(self, shop):
        """Its lines are quoted in errors."""
        shop.write("out.jsonl", "").write_text(json.dumps({"format": "agora-dead-letters", "version": NASTY}))

        done = import_(shop, "out.jsonl")

        assert done.exit_code == 2
        assert all(char.isprintable() or char == "\n" for char in done.stderr)

    def test_letters_go_to_the_store_of_their_pipeline(self, shop):
        """Of several; those of a pipeline that is not there are named, and the others imported."""
        shop.write(
            "pipelines.toml",
            """
            format = "agora/v1"
            [pipelines.orders]
            source = { type = "jsonl", path = "in.jsonl" }
            sinks = [{ type = "null" }]
            schedule = { type = "once" }
            dlq = { path = "a.db" }
            [pipelines.third]
            source = { type = "jsonl", path = "in.jsonl" }
            sinks = [{ type = "null" }]
            schedule = { type = "once" }
            dlq = { path = "b.db" }
            """,
        )
        export(shop, "out.jsonl")

        done = shop.agora("dlq", "import", "out.jsonl")

        assert done.exit_code == 1
        assert "out.jsonl:13: no store here has letters of the pipeline 'returns'; use --store" in done.stderr
        assert (len(held("a.db")), len(held("b.db"))) == (11, 0)
