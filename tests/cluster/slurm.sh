#!/usr/bin/env bash
# A SLURM of one machine for the tests: partitions cpu and gpu, GPUs that are only counted, memory limits that kill.
#   apt-get install --no-install-recommends slurm-wlm     # once; Debian or Ubuntu
#   tests/cluster/slurm.sh up     # needs no root; prints where it is
#   tests/cluster/slurm.sh down
set -euo pipefail
root=${CBIR_SLURM:-${XDG_CACHE_HOME:-$HOME/.cache}/cbir-slurm}
export SLURM_CONF=$root/slurm.conf PATH=$PATH:/usr/sbin

running() { [ -s "$root/$1.pid" ] && kill -0 "$(cat "$root/$1.pid")" 2>/dev/null; }

down() {
    for daemon in slurmd slurmctld; do
        if running $daemon; then
            kill "$(cat "$root/$daemon.pid")"
            for _ in $(seq 100); do running $daemon || break; sleep 0.1; done
        fi
    done
    rm -rf "$root"
}

up() {
    if running slurmctld && running slurmd; then return; fi
    down
    mkdir -p "$root"/{state,spool,bin}
    local host user
    host=$(hostname -s) user=$(id -un)
    # The machine's own numbers do not matter (config_overrides): the jobs of the tests are small, whatever they ask for.
    # Only this user can talk to it, on this machine, so users need not be authenticated (auth/none).
    cat > "$SLURM_CONF" <<CONF
ClusterName=cbir-tests
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=16817
SlurmdPort=16818
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/none
CredType=cred/none
SlurmdParameters=config_overrides
StateSaveLocation=$root/state
SlurmdSpoolDir=$root/spool
SlurmctldPidFile=$root/slurmctld.pid
SlurmdPidFile=$root/slurmd.pid
SlurmctldLogFile=$root/slurmctld.log
SlurmdLogFile=$root/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_interval=1,batch_sched_delay=0
KillWait=1
ReturnToService=2
MinJobAge=86400
GresTypes=gpu
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
NodeName=$host NodeAddr=127.0.0.1 CPUs=6 RealMemory=64000 Gres=gpu:2 State=UNKNOWN
PartitionName=cpu Nodes=$host Default=YES State=UP
PartitionName=gpu Nodes=$host State=UP
CONF
    printf 'Name=gpu File=/dev/null\nName=gpu File=/dev/zero\n' > "$root/gres.conf"
    # Snakemake's plugin takes every SLURM_* out of srun's environment, this one too.
    printf '#!/bin/sh\nSLURM_CONF=%s exec %s "$@"\n' "$SLURM_CONF" "$(command -v srun)" > "$root/bin/srun"
    chmod +x "$root/bin/srun"
    slurmctld -f "$SLURM_CONF"
    slurmd -f "$SLURM_CONF"
    for _ in $(seq 300); do
        if sinfo --noheader --format %T 2>/dev/null | grep -q '^idle'; then return; fi
        sleep 0.1
    done
    tail -n 20 "$root"/*.log >&2
    echo "SLURM did not start; see $root/*.log" >&2
    exit 1
}

case ${1:-} in
    up) up && echo "export SLURM_CONF=$SLURM_CONF PATH=$root/bin:\$PATH" ;;
    down) down ;;
    *) echo "usage: $0 up|down" >&2; exit 2 ;;
esac
