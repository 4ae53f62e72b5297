"""What the workloads share: clusters of raftreg and its peers, loads, figures, goals, and the report.

A workload measures one `Target` for one round and gives `Figure`s; it knows no target by name, but asks its
dialect how an operation is said over HTTP. The runner alternates the targets within a round, so that whatever else
happens on the machine happens to all of them; a goal is a ratio of figures of the same run.
"""
