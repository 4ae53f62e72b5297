"""`raftreg verify`: load and faults on a cluster, everything that clients saw recorded, and a verdict on it.

What is guaranteed
    * A FAIL is a fault of the cluster: no correct one answers like that, whatever its timing. It comes with the calls
      that show it. Every request is sent once, and one whose outcome nobody knows stays open.
    * The seed and the options decide which faults come, on whom, and how long they last.
    * A cluster that was started here is ended, also by Ctrl-C, and nothing of it stays.
What is not
    * A PASS says that nothing wrong was seen in this run. Answers depend on timing, which no seed replays.
    * Power cuts, damaged disks and clocks that jump are not tried.

One data flow: `options` -> a `target` (`local` or `remote`) -> `drive` runs workloads, `nemesis` and `monitor` over it,
which write into one `record` -> `judge` asks raftreg.checkers -> `verdict` -> `report` draws the page.
It knows a cluster by its HTTP API only.
"""
