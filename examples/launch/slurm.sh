#!/usr/bin/env bash
# sbatch examples/launch/slurm.sh train.py --my-arguments
# One launcher per node; accelerate starts a process per GPU. A job that is cut off (time limit, preemption, node loss)
# is queued again and goes on from the newest whole checkpoint: let train.py call
#     trainer.train(resume_from_checkpoint=any(Path(args.output_dir).glob("checkpoint-*")))
# The checkpoints must lie on a file system that all nodes share.
#SBATCH --job-name=orpo
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=64
#SBATCH --time=12:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=orpo-%j.log
set -euo pipefail

CONFIG=${CONFIG:-examples/launch/fsdp2.yaml}
GPUS_PER_NODE=${SLURM_GPUS_ON_NODE:-8}
MAIN_HOST=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
export MAIN_HOST GPUS_PER_NODE CONFIG
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-8}

srun --kill-on-bad-exit=1 bash -c '
  exec accelerate launch \
    --config_file "$CONFIG" \
    --num_machines "$SLURM_NNODES" \
    --num_processes "$((SLURM_NNODES * GPUS_PER_NODE))" \
    --machine_rank "$SLURM_NODEID" \
    --main_process_ip "$MAIN_HOST" \
    --main_process_port 29500 \
    --rdzv_backend static \
    "$@"' launch "$@"
