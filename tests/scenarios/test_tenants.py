"""Story 64: a phone keeps its quota while it reads; a tenant over quota is told so, and no other notices."""

import os

import pytest

import door43fast as d43
from door43fast.profiles import BIBLE_READER

MB = 1 << 20
VERSES = {f"en_ult/{book:02}/{chapter:03}/{verse:03}": f"verse {verse} of {chapter} ".encode() * 40
          for book in range(1, 9) for chapter in range(1, 41) for verse in range(1, 31)}


def test_64_a_phone_keeps_its_quota_while_reading(tmp_path):
    """Of 50 MB in all: memory 4, index 2, disk 6 here, so that it is full at once; each chapter is fetched and read."""
    phone = BIBLE_READER.extended("phone", memory={"max_bytes": 4 * MB},
                                  disk={"max_bytes": 6 * MB, "index_bytes": 2 * MB})
    with phone.open(tmp_path / "s") as store:
        keys = list(VERSES)
        for at in range(0, len(keys), 30):
            chapter = keys[at:at + 30]
            store.set_many({key: VERSES[key] for key in chapter})
            assert store.get_many(chapter) == [VERSES[key] for key in chapter]
            memory, disk = store.stats()["layers"]
            assert memory["bytes"] <= 4 * MB and disk["index_bytes"] <= 2 * MB
            assert os.path.getsize(tmp_path / "s" / "data.mdb") <= 6 * MB
        assert memory["evictions"] and disk["evictions"] and store[keys[-1]] == VERSES[keys[-1]]


def test_64_a_tenant_over_quota_is_told_and_no_other(tmp_path):
    with d43.open(tmp_path / "server", profile="server-api", memory={"max_bytes": "8MB"},
                  disk={"policy": "none", "max_bytes": "64MB"}) as server:
        one = d43.namespace(server, "tenant-1", max_bytes="1MB", max_entries=1000, rate=1e6)
        two = d43.namespace(server, "tenant-2", max_bytes="30MB")
        heard = []
        two.subscribe("*", heard.append)
        verses = list(VERSES.items())
        with pytest.raises(d43.QuotaError, match="'tenant-1'.*max_(bytes|entries)") as error:
            for at in range(0, 3000, 100):
                one.set_many(verses[at:at + 100])
                two.set_many(verses[at:at + 100])
        assert error.value.namespace == "tenant-1" and error.value.used <= error.value.limit < error.value.needed
        held = one.stats()
        assert held["bytes"] <= MB and held["entries"] <= 1000 and held["refused"] == 1
        two.set_many(verses[:3000])
        two.flush()
        assert two.get_many([key for key, _ in verses[:3000]]) == [value for _, value in verses[:3000]]
        assert two.stats()["refused"] == 0 and {event.op for event in heard} == {"set"}
        assert dict(one.items()) == dict(verses[:held["entries"]])
