#!/usr/bin/env bash
# Predicts a folder as an array of 16 jobs and merges their tables when all are done:
#
#   export BUNDLE=pneumonia_classification INPUT=/data/films OUTPUT=/results/films
#   job=$(sbatch --parsable docs/examples/slurm.sh)
#   sbatch --dependency=afterok:"$job" --array=0 --time=00:30:00 --export=ALL,MERGE=1 docs/examples/slurm.sh
#
# Give another --array to sbatch for another number of shards; it counts from 0. A job that is killed or preempted is
# put back into the queue and goes on where it was; to run failed ones again, submit the same array: what is done is kept.
#SBATCH --job-name=plainfilm
#SBATCH --array=0-15
#SBATCH --cpus-per-task=8
#SBATCH --mem=16G
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --output=%x-%A_%a.log
set -euo pipefail

: "${BUNDLE:?the bundle}" "${INPUT:?a folder, a list or a URL that every node sees}" "${OUTPUT:?a folder that every node sees}"

status=0
if [ -n "${MERGE:-}" ]; then
  srun plainfilm merge "$OUTPUT" || status=$?
else
  srun plainfilm predict "$BUNDLE" "$INPUT" "$OUTPUT" \
    --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" || status=$?
fi
# 3: done, but some inputs could not be predicted; failures.csv says why, and the merge has to follow.
[ "$status" -eq 3 ] || exit "$status"
