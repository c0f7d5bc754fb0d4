"""Running on a Slurm cluster: what a site must offer, and what a run will cost there."""

from multiflow.cluster.controller import ask_until_answered
from multiflow.cluster.leftovers import cancel_leftovers
from multiflow.cluster.placement import send_to_partition
from multiflow.cluster.plan import render_plan, written_bytes
from multiflow.cluster.probe import probe_nodes
from multiflow.cluster.site import Finding, Settings, check_site
from multiflow.cluster.slurm import Request

__all__ = [
    "Finding",
    "Request",
    "Settings",
    "ask_until_answered",
    "cancel_leftovers",
    "check_site",
    "probe_nodes",
    "render_plan",
    "send_to_partition",
    "written_bytes",
]
