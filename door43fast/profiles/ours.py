"""The four profiles that come with door43fast, each setting with its reason."""

from __future__ import annotations

from door43fast.profiles.profile import Profile, Use

SCANS = "chapters are read through, and what is read once must not drive out what is read daily: see docs/policies.md"
OFTEN = "what is asked for often stays, whatever else is looked at: see docs/policies.md"
INDEX = "the index that finds records in the map counts as memory too: see docs/lmdb-reads.md"
SOON = "what a power loss may cost, the last 100 ms, is fetched again"

BIBLE_READER = Profile(
    "bible-reader",
    description="Reads texts and notes on a phone or tablet, without a network: 100 MB in all.",
    use=Use(resources=31_000, ratio=100, users=1, offline=True, realtime=False),
    memory={"type": "memory", "max_bytes": "10MB", "policy": "s3fifo", "ttl": "5m"},
    disk={"type": "lmdb", "max_bytes": "86MB", "policy": "clock", "durability": "batch", "index_bytes": "4MB"},
    why={
        "memory.max_bytes": "some chapters with their notes; a phone has little to spare",
        "memory.policy": SCANS,
        "memory.ttl": "a corrected text that came from elsewhere is seen within minutes",
        "disk.type": "LMDB, because the budget of 100 MB must be kept, and SQLite and files have none",
        "disk.max_bytes": "100 MB in all, with 10 MB of memory and 4 MB of index",
        "disk.policy": "what was not read for longest goes; pin= keeps what must be there without a network",
        "disk.durability": SOON,
        "disk.index_bytes": INDEX,
        "disk.ttl": "none, for what expires after a day is gone on the second day without a network",
    })

TRANSLATION_TOOL = Profile(
    "translation-tool",
    description="Translates and edits on a desktop, without a network for weeks: 9 GB on disk, no edit ever lost.",
    use=Use(resources=100_000, ratio=3, users=1, offline=True, realtime=False),
    memory={"type": "memory", "max_bytes": "500MB", "policy": "s3fifo", "ttl": "30m"},
    disk={"type": "lmdb", "max_bytes": "9GB", "policy": "none", "durability": "commit", "journal": True},
    why={
        "memory.max_bytes": "whole books with notes, words and questions for both languages",
        "memory.policy": SCANS,
        "memory.ttl": "memory is for what is worked on now",
        "disk.type": "LMDB, because a batch of edits is written whole or not at all; the budget is kept exactly",
        "disk.max_bytes": "all resources of some languages, and the work",
        "disk.policy": "nothing is evicted, for it may be work that is nowhere else: a full disk is said aloud",
        "disk.durability": "an acknowledged edit survives a power loss",
        "disk.journal": "what was changed, in order, is what a later sync sends",
        "disk.ttl": "none: work does not expire",
    })

REVIEW_PLATFORM = Profile(
    "review-platform",
    description="Reviews with many people at once, always online: 1 GB, of which nothing is older than a week.",
    use=Use(resources=500_000, ratio=5, users=50, offline=False, realtime=True),
    memory={"type": "memory", "max_bytes": "100MB", "policy": "wtinylfu", "ttl": "10m"},
    disk={"type": "lmdb", "max_bytes": "900MB", "policy": "clock", "durability": "batch", "ttl": "7d", "journal": True,
          "index_bytes": "32MB"},
    why={
        "memory.max_bytes": "what fifty people look at in the same hour",
        "memory.policy": OFTEN,
        "memory.ttl": "a review that another machine changed is seen within minutes, should a message be lost",
        "disk.type": "LMDB, because its readers never wait for those who write; processes share it",
        "disk.max_bytes": "1 GB with the memory; a third tier of 5 MB would hold nothing that is not in memory",
        "disk.policy": "what was not read for longest goes, and is fetched again",
        "disk.durability": SOON,
        "disk.ttl": "after a week a review is looked up again where it comes from",
        "disk.journal": "who was away asks for what changed since: see docs/changes.md",
        "disk.index_bytes": INDEX,
    })

SERVER_API = Profile(
    "server-api",
    description="Serves everything to everybody: 90 GB on disk, shared by the processes of a server.",
    use=Use(resources=1_000_000, ratio=20, users=1000, offline=False, realtime=True),
    memory={"type": "memory", "max_bytes": "1GB", "policy": "wtinylfu", "ttl": "1h"},
    disk={"type": "lmdb", "max_bytes": "90GB", "policy": "clock", "durability": "batch", "index_bytes": "512MB"},
    why={
        "memory.max_bytes": "for each process, and a server has several; what is not in it is in the system's memory",
        "memory.policy": OFTEN,
        "memory.ttl": "an hour is what a cache in front of it may be behind",
        "disk.type": "LMDB: processes of one machine share it without a server between, and see what others write",
        "disk.max_bytes": "all releases of all languages",
        "disk.policy": "what was not read for longest goes, and is fetched again",
        "disk.durability": SOON,
        "disk.ttl": "none: a release does not change, and what does is invalidated by its tag",
        "disk.index_bytes": INDEX,
    })

OURS = {profile.name: profile for profile in (BIBLE_READER, TRANSLATION_TOOL, REVIEW_PLATFORM, SERVER_API)}
