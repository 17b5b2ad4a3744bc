#!/usr/bin/env bash
# Predicts a folder on the nodes of one job, with a Ray cluster that begins and ends with it:
#
#   export BUNDLE=pneumonia_classification INPUT=/data/films OUTPUT=/results/films
#   sbatch docs/examples/ray_slurm.sh
#
# Nodes may die: what they were at is predicted by the others. A job that is killed or preempted is put back into the queue and
# goes on where it was.
#SBATCH --job-name=plainfilm
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --mem=16G
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --no-kill
#SBATCH --output=%x-%j.log
set -euo pipefail

: "${BUNDLE:?the bundle}" "${INPUT:?a folder, a list or a URL that every node sees}" "${OUTPUT:?a folder that the first node sees}"

# Whoever may talk to the cluster may run code on its nodes: they share a secret that lasts as long as the job.
RAY_AUTH_MODE=token RAY_AUTH_TOKEN=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
export RAY_AUTH_MODE RAY_AUTH_TOKEN RAY_USAGE_STATS_ENABLED=0

head=$(hostname --ip-address | cut -d' ' -f1) port=6379
ray start --head --node-ip-address="$head" --port="$port" --num-cpus="$SLURM_CPUS_PER_TASK" --include-dashboard=false
others=
if [ "$SLURM_JOB_NUM_NODES" -gt 1 ]; then
  srun --nodes="$((SLURM_JOB_NUM_NODES - 1))" --ntasks="$((SLURM_JOB_NUM_NODES - 1))" --exclude="$(hostname)" \
    ray start --address="$head:$port" --num-cpus="$SLURM_CPUS_PER_TASK" --block &
  others=$!
  sleep "${WAIT:-20}" # until the other nodes have joined
fi

status=0
plainfilm predict "$BUNDLE" "$INPUT" "$OUTPUT" --executor ray --address "$head:$port" || status=$?
[ -z "$others" ] || kill "$others" || true
ray stop
# 3: done, but some inputs could not be predicted; failures.csv says why.
[ "$status" -eq 3 ] || exit "$status"
