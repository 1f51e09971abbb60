#!/usr/bin/env bash
# Two machines that are network namespaces of this one, four ranks on them by TCP, and the program alone: the same files?
# Needs root and iproute2. Usage: scripts/check-mpi-hosts.sh [BUILD FOLDER]
set -euo pipefail
cd "$(dirname "$0")/.."
build=$(realpath "${1:-build}")
work=$(mktemp -d)
end() {
    ip netns del lora-ft-a 2>/dev/null || true
    ip netns del lora-ft-b 2>/dev/null || true
    rm -rf "$work"
}
trap end EXIT

ip netns add lora-ft-a
ip netns add lora-ft-b
# (Open MPI takes a device whose name begins with "lo" for the loopback.)
ip link add ftvetha netns lora-ft-a type veth peer name ftvethb netns lora-ft-b
n=1
for side in a b; do
    ip -n lora-ft-$side addr add 10.97.0.$n/24 dev ftveth$side
    ip -n lora-ft-$side link set ftveth$side up
    ip -n lora-ft-$side link set lo up
    n=$((n + 1))
done

# What mpirun takes for ssh: a command in the other namespace, where the machine has a name of its own.
cat >"$work/agent" <<'AGENT'
#!/bin/sh
shift
exec ip netns exec lora-ft-b unshare --uts sh -c "hostname node-b; $*"
AGENT
chmod +x "$work/agent"

for class in dark light; do
    mkdir -p "$work/data/train/$class" "$work/data/val/$class"
    for i in $(seq 1 9); do
        level=$(($([ $class = dark ] && echo 20 || echo 200) + i))
        for part in train val; do
            { printf 'P2\n16 16\n255\n' && yes $((level + ${#part})) 2>/dev/null | head -n 256; } >"$work/data/$part/$class/$i.pgm" || true
        done
    done
done

export OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_plm_rsh_agent="$work/agent" OMPI_MCA_btl=tcp,self OMPI_MCA_pml=ob1
export OMPI_MCA_plm_rsh_no_tree_spawn=1
keys="train --model $PWD/tests/golden/vit-base --train_data $work/data --threads 1 --lora_dropout 0.2 --batch_size 2
      --gradient_accumulation_steps 3 --max_steps 8 --save_strategy steps --save_steps 4 --logging_steps 1"
# shellcheck disable=SC2086
"$build/lora-ft" $keys --output_dir "$work/alone" >"$work/log" 2>&1 || { cat "$work/log" && exit 1; }
# shellcheck disable=SC2086
ip netns exec lora-ft-a unshare --uts sh -c 'hostname node-a; exec "$@"' sh mpirun --bind-to none -x OMP_NUM_THREADS \
    -H 10.97.0.1:2,10.97.0.2:2 -np 4 "$build/lora-ft-mpi" $keys --output_dir "$work/hosts" >"$work/log" 2>&1 ||
    { cat "$work/log" && exit 1; }
for file in adapter/adapter_model.safetensors metrics.jsonl checkpoint-4/state.safetensors; do
    cmp "$work/alone/$file" "$work/hosts/$file"
done
echo "four ranks on two machines: the same files as the program alone"
