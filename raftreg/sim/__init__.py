"""A simulation of whole clusters: the real nodes on a fake loop, clock, network and disk, from one seed.

What is guaranteed
    * The same seed, profile and seconds give the same run, event by event (with PYTHONHASHSEED=0, which
      `python -m raftreg.sim` sees to).
    * The code under test is the product's: node, engine, log, snapshots, registry, state. What is replaced is the
      machine under it (`raftreg.consensus.machinery`), pysyncobj's clock, and the sizes of segments, slices and chunks.
    * Where members come and go (profiles `members-...`): committed sets differ by one voter at most; a leader was
      elected by a majority of its own set, and has the sets that were committed before; a node goes by the set that its
      snapshot and log say; who is left out commits nothing more; there is one cluster, whatever disks were lost.
    * After every run that passes: one leader a term; a leader has what was committed before; equal logs where they
      agree once; equal entries and states at equal indexes; what is committed is on the disks of a majority, and what
      was durable is there after a crash; acknowledged writes are there, once; reads are linearizable; indexes of a
      node's life never step back; blocking queries answer at the change; one session at a time has the lock; nobody
      campaigns in vain; a majority that nothing is wrong with commits, and its members keep up, whatever is wrong with
      the others; a while after healing everybody follows one leader, and an operator could bring the members in order.
What is not
    * Time that code takes: a callback takes none. Threads: a job runs at once and counts when its disk is done.
    * Sockets, handshakes with keys, the HTTP front door; duties, so sessions do not expire. The network keeps the
      order of a connection as TCP does; the faults `duplicate` and `late` deliver twice, or over a later connection,
      which TCP does not.
    * Disks are lost only where every member set that is or may become current keeps a majority of them. An old copy of
      a disk is put in only while nothing else is wrong, for longer than a process is silent before it acts.
    * In the profile `restores`, which goes back to archives, acknowledged writes are not looked for.

One data flow: seed -> schedule of faults -> cluster -> checks while it runs -> history -> checkers -> `Outcome`.
`mutants` takes mends away one by one: a test of this simulation. `schedules` are directed: known ways to go wrong, on a
cluster that does what a `script` says. `sweep` runs many seeds.
"""
