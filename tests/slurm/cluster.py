"""A real Slurm cluster on this machine: three nodes, four pretended GPUs, everything in one folder.

A test uses the class; a person the command line, as any user, without root and without touching ``/etc``::

    .venv/bin/python tests/slurm/cluster.py start /tmp/mini     # prints the line that puts it on PATH
    export PATH=/tmp/mini/bin:$PATH
    sinfo
    snakemake --profile slurm --configfile config/demo.yaml
    .venv/bin/python tests/slurm/cluster.py stop /tmp/mini

It needs Debian's packages slurmctld, slurmd and slurm-client. ``bin`` holds a shim for every Slurm command that names
this cluster's configuration: the plugin drops ``SLURM_CONF`` before it calls ``srun``, but keeps PATH. Ports are chosen
free, so several clusters run side by side.

Partitions: ``cpu`` (node3, the default), ``gpu`` (node1 and node2, each with two ``h100``), and ``urgent``, which
shares the nodes of ``gpu`` and preempts its jobs. There is no accounting, as on many small clusters: ``sacct`` answers
with an error.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from getpass import getuser
from pathlib import Path

NODES = ("node1", "node2", "node3")
PROGRAMS = ("slurmctld", "slurmd")  # what the tests ask for; Debian's slurm-client comes with them
COMMANDS = ("sbatch", "srun", "scancel", "scontrol", "sinfo", "squeue", "sacct", "sacctmgr", "sshare")
SYSTEM_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
WAIT_SECONDS = 120.0  # s that a state may take to come about on a machine that does other things as well

CONFIGURATION = """\
ClusterName=mini
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/none
# A requeued job starts again after this many seconds and not after two minutes.
AuthInfo=cred_expire=5
CredType=cred/none
SlurmctldPidFile={folder}/run/slurmctld.pid
SlurmdPidFile={folder}/run/%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/%n.log
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
ProctrackType=proctrack/pgid
TaskPlugin=task/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SchedulerParameters=sched_interval=2,bf_interval=2
ReturnToService=0
MinJobAge=600
KillWait=2
SlurmdTimeout=120
GresTypes=gpu
SlurmdParameters=config_overrides
DefMemPerCPU=500
{nodes}
PartitionName=cpu Nodes=node3 Default=YES MaxTime=1440 State=UP
PartitionName=gpu Nodes=node[1-2] MaxTime=1440 PriorityTier=1 State=UP
PartitionName=urgent Nodes=node[1-2] MaxTime=60 PriorityTier=2 PreemptMode=OFF State=UP
"""
NODE = (
    "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=16 RealMemory=256000{gres} State=UNKNOWN"
)
GRES = "NodeName=node[1-2] Name=gpu Type=h100 File={folder}/devices/gpu[0-1]\n"


class Cluster:
    """A Slurm cluster whose files, logs and state are below one folder.

    Args:
        folder: made by :meth:`start`; a path without spaces.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()

    @property
    def path(self) -> str:
        """PATH of a process that uses this cluster."""
        return f"{self.folder / 'bin'}{os.pathsep}{SYSTEM_PATH}"

    def start(self) -> None:
        """Write the configuration, start controller and nodes, wait until the nodes are idle."""
        for name in ("bin", "etc", "run", "log", "state", "devices", *(f"spool/{node}" for node in NODES)):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(2):
            # What a node calls a GPU must be a device; nobody opens it.
            (self.folder / f"devices/gpu{number}").symlink_to("/dev/null")
        host = platform.node().split(".")[0]
        ports = free_ports(1 + len(NODES))
        nodes = [
            NODE.format(name=name, host=host, port=port, gres=" Gres=gpu:h100:2" if name != "node3" else "")
            for name, port in zip(NODES, ports[1:], strict=True)
        ]
        self.configuration.write_text(
            CONFIGURATION.format(
                host=host, controller_port=ports[0], user=getuser(), folder=self.folder, nodes="\n".join(nodes)
            )
        )
        (self.folder / "etc/gres.conf").write_text(GRES.format(folder=self.folder))
        for command in COMMANDS:
            program = shutil.which(command, path=SYSTEM_PATH)
            if program is not None:
                shim = self.folder / "bin" / command
                shim.write_text(f'#!/bin/sh\nSLURM_CONF="{self.configuration}" exec {program} "$@"\n')
                shim.chmod(0o755)
        self.start_controller()
        for name in NODES:
            self.start_node(name)
        self.wait(lambda: self.node_states() == dict.fromkeys(NODES, "idle"), "the nodes to be idle")

    def stop(self) -> None:
        """Cancel all jobs and end all daemons."""
        with contextlib.suppress(TimeoutError, subprocess.TimeoutExpired):
            self.cancel_all()
        for name in NODES:
            self.stop_node(name)
        self.stop_controller()

    def cancel_all(self) -> None:
        """Cancel all jobs and wait until they are gone."""
        self.call("scancel", "--user", getuser())
        self.wait(lambda: not self.call("squeue", "--noheader"), "cancelled jobs to end")

    def start_controller(self) -> None:
        """Start the controller; it goes on with the jobs that it saved."""
        self._start("slurmctld")
        self.wait(lambda: "UP" in self.call("scontrol", "ping"), "the controller to answer")

    def stop_controller(self) -> None:
        """End the controller; running jobs go on."""
        self._stop("slurmctld")

    def start_node(self, name: str) -> None:
        """Start a node's daemon."""
        self._start("slurmd", "-N", name, pid_file=name)

    def stop_node(self, name: str) -> None:
        """End a node's daemon; its jobs' processes go on."""
        self._stop(name)

    def break_node(self, name: str) -> None:
        """A node dies with all that runs on it, and the controller finds out."""
        self._stop(name, signal.SIGKILL)
        jobs = {job["JobId"] for job in self.jobs() if job.get("BatchHost") == name}
        own = [process for process in processes() if process.environment.get("SLURM_CONF") == str(self.configuration)]
        # First what would tell the controller how a job ended, then what the job started.
        for process in own:
            step = re.match(r"slurmstepd: \[(\d+)\.", process.command)
            if step is not None and step[1] in jobs:
                process.kill()
        for process in own:
            if process.environment.get("SLURMD_NODENAME") == name:
                process.kill()
        self.call("scontrol", "update", f"NodeName={name}", "State=DOWN", "Reason=broken")

    def repair_node(self, name: str) -> None:
        """Bring a broken node back."""
        self.start_node(name)
        self.call("scontrol", "update", f"NodeName={name}", "State=RESUME")
        self.wait(lambda: self.node_states()[name] == "idle", f"{name} to be idle")

    def call(self, *command: str, timeout: float = 60) -> str:
        """Run a Slurm command; returns what it printed, an empty text where it failed."""
        result = subprocess.run(
            [str(self.folder / "bin" / command[0]), *command[1:]],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return result.stdout if result.returncode == 0 else ""

    def node_states(self) -> dict[str, str]:
        """State of every node, as ``sinfo`` writes it (``idle``, ``mix``, ``down*``)."""
        lines = self.call("sinfo", "--noheader", "--Node", "--format", "%N %t").splitlines()
        return dict(line.split() for line in lines)

    def jobs(self) -> list[dict[str, str]]:
        """All jobs that the controller knows, oldest first, with the fields of ``scontrol -d show job``."""
        records = self.call("scontrol", "-d", "-o", "show", "job").splitlines()
        jobs = [dict(re.findall(r"(\w[\w:/]*)=(.*?)(?= +\w[\w:/]*=|$)", line)) for line in records if "JobId=" in line]
        return sorted(jobs, key=lambda job: int(job["JobId"]))

    def job(self, identifier: str) -> dict[str, str]:
        """One job."""
        return next(job for job in self.jobs() if job["JobId"] == identifier)

    def wait(self, condition: Callable[[], object], what: str, seconds: float = WAIT_SECONDS) -> None:
        """Poll until ``condition`` holds.

        Raises:
            TimeoutError: it does not come about.
        """
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited {seconds:.0f} s for {what}; logs are in {self.folder / 'log'}")
            time.sleep(0.1)

    @property
    def configuration(self) -> Path:
        """The file slurm.conf."""
        return self.folder / "etc/slurm.conf"

    def _start(self, program: str, *arguments: str, pid_file: str | None = None) -> None:
        executable = shutil.which(program, path=SYSTEM_PATH)
        if executable is None:
            raise FileNotFoundError(f"{program}: not installed; apt-get install slurmctld slurmd slurm-client")
        log = self.folder / "log" / f"{pid_file or program}.started.log"
        with open(log, "a", encoding="utf-8") as stream:
            subprocess.run(
                [executable, *arguments, "-f", str(self.configuration)],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env=os.environ | {"PATH": self.path},
                timeout=60,
                check=True,
            )
        self.wait((self.folder / f"run/{pid_file or program}.pid").exists, f"{program} to start")

    def _stop(self, pid_file: str, number: signal.Signals = signal.SIGTERM) -> None:
        """Send a daemon a signal and wait until it is gone."""
        path = self.folder / f"run/{pid_file}.pid"
        try:
            identifier = int(path.read_text())
            os.kill(identifier, number)
        except (FileNotFoundError, ValueError, ProcessLookupError):
            return
        self.wait(lambda: not is_alive(identifier), f"{pid_file} to end")
        path.unlink(missing_ok=True)


class Process:
    """A process of this machine.

    Args:
        identifier: its number.

    Raises:
        OSError: it is gone, or another user's.
    """

    def __init__(self, identifier: int) -> None:
        self.identifier = identifier
        folder = Path(f"/proc/{identifier}")
        self.command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        self.folder = os.readlink(folder / "cwd")
        pairs = (folder / "environ").read_bytes().decode(errors="replace").split("\0")
        self.environment = dict(pair.split("=", 1) for pair in pairs if "=" in pair)

    def send(self, number: signal.Signals) -> None:
        """Send a signal, which may come too late."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.identifier, number)

    def kill(self) -> None:
        """End it at once."""
        self.send(signal.SIGKILL)


def processes() -> Iterator[Process]:
    """All processes of this user."""
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                yield Process(int(entry))


def is_alive(identifier: int) -> bool:
    """Whether a process runs; one that waits for its parent to take note of its end does not."""
    try:
        return Path(f"/proc/{identifier}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens to."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for item in sockets:
            item.bind(("127.0.0.1", 0))
        return [item.getsockname()[1] for item in sockets]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="A real Slurm cluster on this machine.")
    parser.add_argument("action", choices=["start", "stop"])
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    cluster = Cluster(arguments.folder)
    if arguments.action == "start":
        cluster.start()
        print(f"export PATH={cluster.folder / 'bin'}:$PATH")
    else:
        cluster.stop()


if __name__ == "__main__":
    main()
