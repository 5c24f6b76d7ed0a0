"""Three small caches of hashes that show which window would hit most: what the adaptive policy learns by.

Each follows W-TinyLFU over a sample of the keys with a window of its own: a hundredth, a tenth, or all of its room.
They share their nodes, so that a key of the sample is looked up once for the three of them. A key is of the sample
or not by its hash, and the room is the store's scaled down alike (Waldspurger and others, "SHARDS", FAST 2015). Their
hits are halved from time to time, so that what happened of late counts most.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memset

from door43fast.native.sketch cimport Sketch, sketch_estimate

cdef enum:
    SHADOWS = 3
    HEADS = 10              # nodes below this one are heads of queues, and 0 is none
    WINDOW = 1              # the queues of a shadow, and their places beside one another
    PROBATION = 2
    GUARDED = 3
    MOST = 512              # keys in a shadow; twice as many halve the sample
    MARGIN = 1              # by how much a newcomer must have been used more often than what it replaces

cdef struct Node:
    uint32_t hash
    uint32_t chain          # the next of its bucket, or of the free nodes
    uint32_t newer[SHADOWS]
    uint32_t older[SHADOWS]
    uint8_t queue[SHADOWS]  # where it stands in each shadow, 0 for nowhere

cdef struct Shadow:
    uint32_t size[4]        # of its queues; [0] is not used
    uint32_t window         # most nodes of its window
    uint32_t guarded        # most of its guarded nodes
    uint32_t hits           # of late

cdef struct Shadows:
    Shadow shadow[SHADOWS]
    Node* node
    uint32_t* bucket        # as many as nodes, first nodes of chains
    uint32_t nodes          # a power of two
    uint32_t used           # nodes below this one have been given out
    uint32_t freed
    uint32_t shift          # one key of 2 ** shift is of the sample
    uint32_t room           # of each shadow
    uint32_t seen           # keys since the hits were compared
    uint32_t chosen         # the shadow that leads

cdef inline void shadows_close(Shadows* h) noexcept nogil:
    free(h.node)
    free(h.bucket)
    memset(h, 0, sizeof(Shadows))

cdef inline size_t shadows_bytes(Shadows* h) noexcept nogil:
    return <size_t>h.nodes * (sizeof(Node) + 4)

cdef inline uint32_t shadow_share(uint32_t k) noexcept nogil:
    """The window of shadow ``k``, in hundredths."""
    return 1 if k == 0 else 10 if k == 1 else 100

cdef inline bint shadows_sample(Shadows* h, uint32_t hash) noexcept nogil:
    return h.shift == 0 or hash >> (32 - h.shift) == 0

cdef inline uint32_t shadow_head(uint32_t k, uint32_t queue) noexcept nogil:
    return k * 3 + queue

cdef inline uint32_t shadow_oldest(Shadows* h, uint32_t k, uint32_t queue) noexcept nogil:
    return h.node[shadow_head(k, queue)].newer[k]       # around the ring: what is newer than the head is the oldest

cdef inline void shadow_take(Shadows* h, uint32_t k, uint32_t n) noexcept nogil:
    cdef Node* e = &h.node[n]
    h.node[e.newer[k]].older[k] = e.older[k]
    h.node[e.older[k]].newer[k] = e.newer[k]
    h.shadow[k].size[e.queue[k]] -= 1
    e.queue[k] = 0

cdef inline void shadow_put(Shadows* h, uint32_t k, uint32_t n, uint32_t queue) noexcept nogil:
    """Put a node that stands nowhere in shadow ``k`` at the new end of a queue."""
    cdef Node* e = &h.node[n]
    cdef uint32_t head = shadow_head(k, queue)
    e.newer[k] = head
    e.older[k] = h.node[head].older[k]
    h.node[e.older[k]].newer[k] = n
    h.node[head].older[k] = n
    e.queue[k] = <uint8_t>queue
    h.shadow[k].size[queue] += 1

cdef inline void shadow_move(Shadows* h, uint32_t k, uint32_t n, uint32_t queue) noexcept nogil:
    shadow_take(h, k, n)
    shadow_put(h, k, n, queue)

cdef inline void shadows_empty(Shadows* h) noexcept nogil:
    """Let all nodes go, and keep the hits. REQUIRES: there are nodes."""
    cdef uint32_t k, head
    memset(h.bucket, 0, <size_t>h.nodes * 4)
    h.used = HEADS
    h.freed = 0
    for k in range(SHADOWS):
        memset(h.shadow[k].size, 0, sizeof(h.shadow[k].size))
        for head in range(shadow_head(k, WINDOW), shadow_head(k, GUARDED) + 1):
            h.node[head].newer[k] = head
            h.node[head].older[k] = head

cdef inline bint shadows_grow(Shadows* h) noexcept nogil:
    """Make room for twice as many nodes. False: no memory, nothing changed."""
    cdef uint32_t nodes = max(h.nodes * 2, 64)
    cdef uint32_t n, b
    cdef uint32_t* bucket = <uint32_t*>calloc(nodes, 4)
    cdef Node* node
    if bucket == NULL:
        return False
    node = <Node*>realloc(h.node, nodes * sizeof(Node))
    if node == NULL:
        free(bucket)
        return False
    free(h.bucket)
    h.node = node
    h.bucket = bucket
    if h.nodes == 0:
        h.nodes = nodes
        shadows_empty(h)
        return True
    h.nodes = nodes
    for n in range(HEADS, h.used):      # all of them are in use: it grows where none is free
        b = node[n].hash & (nodes - 1)
        node[n].chain = bucket[b]
        bucket[b] = n
    return True

cdef inline uint32_t shadows_node(Shadows* h, uint32_t hash) noexcept nogil:
    """The node of a hash, a new one where it had none; 0 if there is no memory."""
    cdef uint32_t n
    cdef Node* e
    if h.nodes == 0 and not shadows_grow(h):
        return 0
    n = h.bucket[hash & (h.nodes - 1)]
    while n:
        if h.node[n].hash == hash:
            return n
        n = h.node[n].chain
    if not h.freed and h.used == h.nodes and not shadows_grow(h):
        return 0
    if h.freed:
        n = h.freed
        h.freed = h.node[n].chain
    else:
        n = h.used
        h.used += 1
    e = &h.node[n]
    memset(e, 0, sizeof(Node))
    e.hash = hash
    e.chain = h.bucket[hash & (h.nodes - 1)]
    h.bucket[hash & (h.nodes - 1)] = n
    return n

cdef inline void shadow_drop(Shadows* h, uint32_t k, uint32_t n) noexcept nogil:
    """Node ``n`` leaves shadow ``k``, and goes where it stands in no other."""
    cdef Node* e = &h.node[n]
    cdef uint32_t* at
    shadow_take(h, k, n)
    if e.queue[0] or e.queue[1] or e.queue[2]:
        return
    at = &h.bucket[e.hash & (h.nodes - 1)]
    while at[0] != n:
        at = &h.node[at[0]].chain
    at[0] = e.chain
    e.chain = h.freed
    h.freed = n

cdef inline void shadow_evict(Shadows* h, Sketch* sketch, uint32_t k) noexcept nogil:
    """As ``wtinylfu_victim`` does it for the store."""
    cdef Shadow* w = &h.shadow[k]
    cdef uint32_t candidate, victim
    if w.size[PROBATION] == 0 and w.size[GUARDED] == 0:
        shadow_drop(h, k, shadow_oldest(h, k, WINDOW))
        return
    victim = shadow_oldest(h, k, PROBATION if w.size[PROBATION] else GUARDED)
    if w.size[WINDOW] < w.window:
        shadow_drop(h, k, victim)
        return
    candidate = shadow_oldest(h, k, WINDOW)
    if sketch_estimate(sketch, h.node[candidate].hash) > sketch_estimate(sketch, h.node[victim].hash) + MARGIN:
        shadow_drop(h, k, victim)
        shadow_move(h, k, candidate, PROBATION)
    else:
        shadow_drop(h, k, candidate)
        shadow_move(h, k, victim, PROBATION)

cdef inline void shadow_see(Shadows* h, Sketch* sketch, uint32_t k, uint32_t n) noexcept nogil:
    """One use of a key in shadow ``k``."""
    cdef Shadow* w = &h.shadow[k]
    if h.node[n].queue[k] == WINDOW:
        w.hits += 1
        shadow_move(h, k, n, WINDOW)
    elif h.node[n].queue[k]:
        w.hits += 1
        shadow_move(h, k, n, GUARDED)
        while w.size[GUARDED] > w.guarded:
            shadow_move(h, k, shadow_oldest(h, k, GUARDED), PROBATION)
    else:
        while w.size[WINDOW] + w.size[PROBATION] + w.size[GUARDED] >= h.room:
            shadow_evict(h, sketch, k)
        shadow_put(h, k, n, WINDOW)
        while w.size[WINDOW] > w.window:
            shadow_move(h, k, shadow_oldest(h, k, WINDOW), PROBATION)

cdef inline void shadows_fit(Shadows* h, uint64_t entries) noexcept nogil:
    """Scale the shadows to a store of ``entries``."""
    cdef uint32_t k, room
    while entries >> h.shift >= 2 * MOST:
        h.shift += 1
        if h.nodes:
            shadows_empty(h)
    room = max(<uint32_t>(entries >> h.shift), 1)
    if room == h.room:
        return
    h.room = room
    for k in range(SHADOWS):
        h.shadow[k].window = max(room * shadow_share(k) // 100, 1)
        h.shadow[k].guarded = max((room - h.shadow[k].window) * 4 // 5, 1)

cdef inline bint shadows_see(Shadows* h, Sketch* sketch, uint32_t hash, uint64_t entries) noexcept nogil:
    """One use of a key of the sample, in a store of ``entries``. True: another shadow leads from now on."""
    cdef uint32_t n, k
    cdef uint32_t best = 0
    cdef uint32_t was = h.chosen
    shadows_fit(h, entries)
    n = shadows_node(h, hash)
    if n == 0:
        return False
    for k in range(SHADOWS):
        shadow_see(h, sketch, k, n)
    h.seen += 1
    if h.seen < 4 * max(h.room, 64):
        return False
    h.seen = 0
    for k in range(1, SHADOWS):
        if h.shadow[k].hits > h.shadow[best].hits:
            best = k
    if <uint64_t>h.shadow[best].hits * 100 > <uint64_t>h.shadow[was].hits * 101:
        h.chosen = best
    for k in range(SHADOWS):
        h.shadow[k].hits >>= 1
    return h.chosen != was
