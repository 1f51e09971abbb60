#!/usr/bin/env bash
#SBATCH --job-name=lora-ft-sweep
#SBATCH --array=1-4
#SBATCH --cpus-per-task=8
#SBATCH --time=08:00:00
#SBATCH --signal=B:USR1@300
# A sweep on a cluster whose machines share a folder, as an example to be changed: each task of the array is a process of
# `lora-ft sweep`, and whichever is free takes the next point.
#
#   sbatch scripts/slurm-array.sh CONFIG OUTDIR [--key value]...
#
# Threads are those that Slurm gives a task (SLURM_CPUS_PER_TASK). Five minutes before the time is over it sends SIGUSR1: the
# runs write checkpoints and go on, and max_train_minutes, unless it is given, ends the process a minute later, where Slurm says when
# the job ends (SLURM_JOB_END_TIME); what is not finished goes on when the same is submitted again. SHARDS=yes gives each task
# points of its own, so that none waits for another. LORA_FT=build/lora-ft is the program.
set -euo pipefail
if [ $# -lt 2 ]; then
    sed -n '7,15s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
cd "${SLURM_SUBMIT_DIR:-.}"
config=$1 out=$2
shift 2
if [ "${SHARDS:-no}" = yes ]; then # an array may begin at any number, in equal steps
    if [ -z "${SLURM_ARRAY_TASK_MAX:-}" ]; then
        echo "slurm-array: SHARDS=yes is of a job's array, and this is none; submit it with sbatch, or leave SHARDS out" >&2
        exit 2
    fi
    step=${SLURM_ARRAY_TASK_STEP:-1}
    if [ $(((SLURM_ARRAY_TASK_MAX - SLURM_ARRAY_TASK_MIN) / step + 1)) -ne "$SLURM_ARRAY_TASK_COUNT" ]; then
        echo "slurm-array: SHARDS=yes needs an array of equal steps (1-4, 0-12:4)" >&2
        exit 2
    fi
    number=$(((SLURM_ARRAY_TASK_ID - SLURM_ARRAY_TASK_MIN) / step + 1))
    set -- --shard "$number/$SLURM_ARRAY_TASK_COUNT" "$@"
fi
limited=no
refuse_overwrite() {
    echo "slurm-array: overwrite_output_dir would remove what other tasks have finished; take another OUTDIR" >&2
    exit 2
}
grep -q 'overwrite_output_dir.*true' "$config" && refuse_overwrite
grep -q max_train_minutes "$config" && limited=yes
for word in "$@"; do
    case $word in
    *overwrite_output_dir*) refuse_overwrite ;;
    *max_train_minutes*) limited=yes ;;
    esac
done
# Slurm says when the job has to end; the process stops four minutes earlier, with checkpoints.
if [ $limited = no ] && [ -n "${SLURM_JOB_END_TIME:-}" ]; then
    minutes=$(((SLURM_JOB_END_TIME - $(date +%s)) / 60 - 4))
    [ $minutes -gt 0 ] && set -- --max_train_minutes $minutes "$@"
fi
# In the place of the shell, which would keep Slurm's signals to itself.
exec "${LORA_FT:-lora-ft}" sweep --config "$config" --output_dir "$out" "$@"
