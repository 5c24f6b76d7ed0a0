"""Whether a file is as its last writer left it, and what is looked at before it is trusted."""

from door43fast.native.handle cimport Handle

# Look at data.mdb in ``path`` as far as its stamp, and ``lost`` (the system went down under a writer), give reason to.
# Raises CorruptError if its structure is damaged; else None, or how many records have wrong checksums and the key of
# the first. ``saved`` says that a saved state was put back; ``stamped`` is whether the file is as its stamp says.
# Pages that are missing at the end, all free ones, are added. REQUIRES: alone.
cdef object look(str path, bint lost, bint saved, bint readonly, bint* stamped)
# Walk the trees of the newest state of an open store, which a reader holds meanwhile. REQUIRES: not entered.
cdef int examine_live(Handle home) except -1
# Note how data.mdb is left; and take the note away, before the first write. Only ever a help: none is no error.
# ``doubt`` makes it one that no file fits, so that the next opening looks as well.
cdef int leave_stamp(str path, bint doubt) except -1
cdef int lift_stamp(str path) except -1
