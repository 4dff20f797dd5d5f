#!/usr/bin/env bash
# Measure the training speed of SSD300 on several machines: 1000 steps. The same command on each, with its own --node_rank and
# --local_addr:
#
#     bash test/train_performance_multinodes.sh --data_path=/path/to/coco --nnodes=2 --node_rank=0 --local_addr=10.0.0.1
#                                               --master_addr=10.0.0.1 [--master_port=23333] [--cards=8] [--batch_size=8]
#                                               [--max_steps=1000] [--train_epochs=N] [--config=configs/ssd300_coco_npu_8p.py]
#                                               [--work_dir=FOLDER] [--device=auto|npu|cuda|cpu] [--overwrite]
#
# --local_addr is this machine's address in the network of the run, --master_addr that of node 0. --cards are used on each
# machine, --batch_size is each card's. Node 0 has results and checkpoints; the others end with their training's status.
# Ports to open, to the other machines of the run only: --master_port on node 0, where torchrun listens on every address;
# from each to each those that the system gives out for gloo (CPU) and nccl (net.ipv4.ip_local_port_range), and on the networks
# of NPUs those of HCCL (60000 and up, HCCL_IF_BASE_PORT). Who reaches them can take part in the run: no other network should.
# With --nnodes=1 nothing listens but on the loopback. Two commands on one machine can rehearse it, without --local_addr:
#     --nnodes=2 --node_rank=0 --cards=2 --device=cpu, and the same with --node_rank=1.
# Output: the screen and test/output/0/train_0.log, on node R > 0 train_0_nodeR.log; otherwise as train_performance_8p.sh.
set -euo pipefail
# shellcheck source=test/training.sh
source "$(dirname "${BASH_SOURCE[0]}")/training.sh"
# shellcheck source=test/nodes.sh
source "$test_dir/nodes.sh"

cards=8
training_flags 'nnodes node_rank local_addr master_addr master_port cards' "$@"
check_nodes
use_local_address
start_case SSD "$cards" perf configs/ssd300_coco_npu_8p.py
performance_options
train_case last "$nnodes" env NNODES="$nnodes" NODE_RANK="$node_rank" MASTER_ADDR="$master_addr" PORT="$master_port" \
    bash tools/dist_train.sh "$config" "$cards" "${options[@]}"
