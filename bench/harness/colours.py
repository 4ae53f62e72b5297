"""The colour of each target in every picture, and of each node in a timeline."""

COLOURS = {
    "raftreg": "#c2410c",
    "running": "#c2410c",
    "consul": "#9d174d",
    "consul-fast": "#db2777",
    "etcd": "#1d4ed8",
    "etcd-fast": "#0891b2",
    "etcd-grpc": "#60a5fa",
    "etcd-fast-grpc": "#67e8f9",
}
NODES = ("#2563eb", "#ca8a04", "#15803d")
NOBODY = "#e5e7eb"
