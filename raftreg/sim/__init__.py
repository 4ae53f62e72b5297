"""A simulation of whole clusters: the real nodes on a fake loop, clock, network and disk, from one seed.

What is guaranteed
    * The same seed, profile and seconds give the same run, event by event (with PYTHONHASHSEED=0, which
      `python -m raftreg.sim` sees to).
    * The code under test is the product's: node, engine, log, snapshots, registry, state. What is replaced is the
      machine under it (`raftreg.consensus.machinery`), pysyncobj's clock, and the sizes of segments, slices and chunks.
    * After every run that passes: one leader a term; a leader has what was committed before; equal logs where they
      agree once; equal entries and states at equal indexes; what is committed is on the disks of a majority, and what
      was durable is there after a crash; acknowledged writes are there, once; reads are linearizable; indexes of a
      node's life never step back; blocking queries answer at the change; one session at a time has the lock; nobody
      campaigns in vain; a majority that nothing is wrong with commits, and its members keep up, whatever is wrong with
      the others; a while after healing everybody follows one leader.
What is not
    * Time that code takes: a callback takes none. Threads: a job runs at once and counts when its disk is done.
    * Sockets, handshakes with keys, the HTTP front door; duties, so sessions do not expire. The network keeps the
      order of a connection as TCP does; the faults `duplicate` and `late` deliver twice, or over a later connection,
      which TCP does not.
    * In the profile `restores`, which goes back to archives, acknowledged writes are not looked for.

One data flow: seed -> schedule of faults -> cluster -> checks while it runs -> history -> checkers -> `Outcome`.
`mutants` takes mends away one by one: a test of this simulation. `sweep` runs many seeds.
"""
