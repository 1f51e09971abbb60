#!/usr/bin/env bash
# Four starts of an adapter on models that people have, each at its own best learning rate: a sweep for each model, and a report over all.
# Models that are not there yet are taken from the Hugging Face hub (`hf download`, of the Python package huggingface_hub), so a
# network is needed once; some of them ask for a licence to be accepted first (`hf auth login`).
#
#   scripts/real-models.sh OUTDIR [MODEL...]      MODEL: gemma-3-270m, SmolLM2-135M, Llama-3.2-1B, dinov2-small, vit-base; none: all
#
# Data are yours, named by the environment. What is not given is not run, and said:
#   TEXT, HELD_OUT_TEXT          text to learn (a folder with train, val and test, or a file) and pretraining text to forget
#   PICTURES, HELD_OUT_PICTURES  pictures to learn (Caltech101's classes, a folder each, split into train, val and test), and pictures of
#                                what the model knew (ImageNet's validation pictures, a folder a class, for vit-base)
#   SEEDS="[1, 2, 3]" JOBS=1 MODELS=models LORA_FT=build/lora-ft
# Runs that are finished are not run again.
set -euo pipefail
if [ $# -lt 1 ] || [ "${1#-}" != "$1" ]; then
    sed -n '2,12s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
out=$1
shift
program=${LORA_FT:-build/lora-ft} models=${MODELS:-models} seeds=${SEEDS:-[1, 2, 3]}

# name, its name on the hub, what goes in, learning rates, and what else its sweep is given
table='gemma-3-270m|google/gemma-3-270m|text|[1e-4, 3e-4, 1e-3, 3e-3]|--max_seq_length 512
SmolLM2-135M|HuggingFaceTB/SmolLM2-135M|text|[1e-4, 3e-4, 1e-3, 3e-3]|--max_seq_length 512
Llama-3.2-1B|meta-llama/Llama-3.2-1B|text|[1e-4, 3e-4, 1e-3, 3e-3]|--max_seq_length 512 --precision auto
dinov2-small|facebook/dinov2-small|pictures|[3e-4, 1e-3, 3e-3, 1e-2]|--forgetting_knn true
vit-base|google/vit-base-patch16-224|pictures|[3e-4, 1e-3, 3e-3, 1e-2]|'
known=$(cut -d'|' -f1 <<<"$table")
[ $# -gt 0 ] || mapfile -t all <<<"$known"
[ $# -gt 0 ] || set -- "${all[@]}"

fetch() { # hub name, folder
    [ -f "$2/config.json" ] && return
    command -v hf >/dev/null || { echo "$2: is not there, and 'hf' (pip install huggingface_hub) is not installed to get it" >&2; return 1; }
    hf download "$1" --local-dir "$2" --include '*.json' '*.safetensors' '*.txt' '*.jinja' '*.model' >&2
}

data_of() { # "text" or "pictures" into the array data
    local learn keep
    [ "$1" = text ] && learn=${TEXT:-} keep=${HELD_OUT_TEXT:-} || learn=${PICTURES:-} keep=${HELD_OUT_PICTURES:-}
    data=()
    [ -n "$learn" ] && [ -n "$keep" ] || return 1
    data=(--train_data "$learn" --forgetting_data "$keep")
    [ -e "$learn/val" ] || [ -e "$learn/validation" ] || data+=(--train_val_split 0.1)
}

failed=0
for name in "$@"; do
    row=$(grep -F "$name|" <<<"$table" | head -n 1) || { echo "$name: not known; known: $(tr '\n' ' ' <<<"$known")" >&2; exit 2; }
    IFS='|' read -r _ hub kind rates more <<<"$row"
    if ! data_of "$kind"; then
        echo "$name: not run, because the data are not named: $([ "$kind" = text ] && echo TEXT, HELD_OUT_TEXT || echo PICTURES, HELD_OUT_PICTURES)" >&2
        continue
    fi
    fetch "$hub" "$models/$name" || { failed=1; continue; }
    echo "== $name" >&2
    # shellcheck disable=SC2086
    "$program" sweep --model "$models/$name" "${data[@]}" --output_dir "$out/$name" --jobs "${JOBS:-1}" \
        --sweep "{\"init_lora_weights\": [\"kaiming\", \"pissa\", \"intermediate\", \"milora\"], \"learning_rate\": $rates, \"seed\": $seeds}" \
        --r 16 --lora_alpha 16 --target_modules all-linear --lr_scheduler_type cosine --warmup_ratio 0.1 \
        --num_train_epochs 1 --per_device_train_batch_size 16 --eval_strategy no --save_strategy no $more || failed=1
done
ls "$out"/*/ >/dev/null 2>&1 || { echo "nothing was run" >&2; exit 1; }
"$program" report "$out"
exit $failed
