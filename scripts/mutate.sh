#!/bin/sh
# mutate.sh - breaks each backward (and a few forwards) by one edit in turn, in a copy of the sources, and checks that a quick test fails and
# names the layer. Prints one line per mutation and the score; fails when one survives.
#
#   scripts/mutate.sh [FOLDER]          FOLDER: where to copy and build (default: a temporary one, removed at the end)
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
work=${1:-$(mktemp -d)}
mkdir -p "$work/source"
cd "$root"
git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$work/source" 2>/dev/null || true
generator=$(command -v ninja >/dev/null && echo Ninja || echo "Unix Makefiles")
cmake -S "$work/source" -B "$work/build" -G "$generator" -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS_DEBUG=-O1 >/dev/null
killed=0
total=0

# file | sed expression that breaks one line | test | what its failure must say
mutations() {
    cat <<'END'
layers/activation.c|s/d_src\[i\] = dst\[i\] > 0 ? d_dst\[i\] : slope/d_src[i] = dst[i] > 0 ? -d_dst[i] : slope/|activation|relu }: d_src
layers/activation.c|s/: slope \* d_dst\[i\]/: -slope * d_dst[i]/|activation|leaky_relu
layers/activation.c|s/d_dst\[i\] \* (1 - dst\[i\] \* dst\[i\])/d_dst[i] * (1 + dst[i] * dst[i])/|activation|tanh }: d_src
layers/activation.c|s/d_dst\[i\] \* dst\[i\] \* (1 - dst\[i\])/d_dst[i] * dst[i] * (1 + dst[i])/|activation|sigmoid }: d_src
layers/softmax.c|s/(d_dst\[at\] - sum)/(d_dst[at] + sum)/|activation|softmax }: d_src
layers/norm.c|s/+= (work->ab\[i\] - gradient->mean/+= (work->ab[i] + gradient->mean/|norm|d_gamma
layers/norm.c|s/d_beta += work->a/d_beta -= work->a/|norm|d_beta
layers/norm.c|s/(float)(-inv \* inv \* work->stat_b\[s\])/(float)(inv * inv * work->stat_b[s])/|norm|d_src
layers/norm.c|s/(-inv \* work->stat_a\[s\] + inv/(inv * work->stat_a[s] + inv/|norm|d_src
layers/norm.c|s/stat_b\[s\] += gamma/stat_b[s] -= gamma/|norm|d_src
layers/dropout.c|s/layer->d_dst.data, layer->d_src\[0\].data)/layer->d_dst.data, layer->d_src[0].data), layer->d_src[0].data[0] *= -1/|dropout|dropout
layers/dropout.c|s/src\[at\] \* scale : 0/src[at] : 0/|dropout|dropout
layers/add.c|s/for (int k = 0; k < layer->n_src; k++)/for (int k = 1; k < layer->n_src; k++)/|join|add
layers/add.c|s/layer->d_dst.data, layer->src\[1 - k\].data/layer->d_dst.data, layer->src[k].data/|join|multiply
layers/activation.c|s/d_src\[i\] = factor \* d_dst\[i\]/d_src[i] = d_dst[i]/|activation|scale
layers/concat.c|s/concat_copy(d_src, config->first, layer->d_dst, 0/concat_copy(d_src, 0, layer->d_dst, 0/|join|slice
layers/concat.c|s/layer->d_dst, first, layer->src/layer->d_dst, 0, layer->src/|join|concat
layers/flatten.c|s/flatten_sample(layer->d_dst, n).data)/flatten_sample(layer->d_dst, 0).data)/|join|flatten
layers/pool.c|s/+= d_dst\[c\];/-= d_dst[c];/|pool|max_pool
layers/pool.c|s/+= share \* d_dst\[c\]/-= share * d_dst[c]/|pool|avg_pool
layers/upsample.c|s/sum\[l\] += weight \* d\[l\]/sum[l] -= weight * d[l]/|upsample|upsample, mode: trilinear
layers/upsample.c|s/(mix.second == from ? mix.part : 0.0f)/(mix.second == from ? -mix.part : 0.0f)/|upsample|trilinear
layers/upsample.c|s/reach = config->mode == UPSAMPLE_NEAREST ? 0 : f;/reach = 0;/|upsample|trilinear
layers/batch_norm.c|s/.constant = !state->of_batch/.constant = true/|norm|batch_norm
layers/batch_norm.c|s/inv\[c\] = 1 \/ sqrt(inv\[c\] + config->eps)/inv[c] = 1 \/ sqrt(inv[c])/|norm|batch_norm
layers/instance_norm.c|s/.inv = mean + norm_stats(&state->norm)/.inv = mean/|norm|instance_norm
layers/pool.c|s/float share = (float)(1 /float share = (float)(-1 /|pool|global_pool
layers/dense.c|s/sum += (double)d_dst/sum -= (double)d_dst/|upsample|dense
layers/dense.c|s/layer->grad\[0\], false)/layer->grad[0], true)/|upsample|dense
layers/dense.c|s/(struct matrix){d_dst, false}, (struct matrix){layer->value\[0\], false}/(struct matrix){d_dst, false}, (struct matrix){layer->value[0], true}/|upsample|dense
layers/conv.c|s/layer->d_dst.data, d_w, d_b,/layer->d_dst.data, d_w, d_b ? d_w : d_b,/|conv|conv
layers/conv.c|s/size\[a\] \* shape.scale,/size[a],/|conv|conv
engine/conv.c|s/d_b\[block \* block_c + c\] = (float)sum\[c\]/d_b[block * block_c + c] = (float)-sum[c]/|conv|d_b
engine/conv.c|s/conv_backward_bias(conv->shape.dst, d_dst, d_b)/conv_backward_bias(conv->shape.dst, d_dst + 1, d_b)/|conv|d_b
engine/weights_pack.c|s/dst\[i\] = src\[i\] + src\[inner + i\];/dst[i] = src[i] - src[inner + i];/|conv|d_w
engine/weights_pack.c|s/dst\[inner + i\] += src\[i\];/dst[inner + i] -= src[i];/|conv|conv
engine/polyphase.c|s/(a + grid->pad\[axis\] - q)/(a + grid->pad[axis] + q)/|conv|conv
engine/kernels/winograd.inc|s/sums\[l\] += n \* at + less/sums[l] += n * at - less/|engine|sums\[at\]
engine/kernels/winograd.inc|s/+ at \* (2 \* less + n \* at)/+ at * (less + n * at)/|engine|sums\[dst
engine/winograd.c|s/to\[squares + c\] += units\[block_c + c\];/to[squares + c] += units[c];/|engine|sums\[dst
engine/kernels/table.inc|s/return vec_max(vec_mul(fused->slope, y), y);/return y;/|engine|dst
engine/kernels/winograd.inc|s/fused ? fused_affine_apply(fused, value) : value);/value);/|engine|dst
layers/norm.c|s/+= ab\[n \* stored + c\] \/ values/-= ab[n * stored + c] \/ values/|norm|norm
network/graph.c|s/network->mode != NETWORK_INFER .. dst->n_uses != 1/network->mode != NETWORK_INFER/|network|test_network
losses/boundary.c|s/factor \* distance\[i\]/-factor * distance[i]/|loss|boundary
losses/mse.c|s/factor \* (p\[i\] - t\[i\])/factor * (p[i] + t[i])/|loss|mse
losses/bce.c|s/(q - (double)t\[i\]) \//(q + (double)t[i]) \//|loss|bce
losses/focal.c|s/\* bone - (1/* bone + (1/|loss|focal
losses/dice.c|s/(float)(-2 \* share/(float)(2 * share/|loss|dice
losses/dice.c|s/: (float)(share \* a/: (float)(-share * a/|loss|dice
optimizers/adam.c|s/w\[i\] - by.scale/w[i] + by.scale/|optimizer|value
optimizers/sgd.c|s/w\[i\] -= lr/w[i] += lr/|optimizer|value
network/precision.c|s/dst.data\[i\] += src.data\[i\];/dst.data[i] -= src.data[i];/|network|test_network
network/precision.c|s/        precision_unstage(stored.dst, layer->dst);/        (void)0;/|dropout|bfloat16
engine/slab_conv.c|s/slab->start = -p;/slab->start = 1 - p;/|bfloat16|dst
engine/slab_conv.c|s/slab_add(d_w, part_w, conv->w_floats);/(void)0;/|bfloat16|d_w
network/graph.c|s/LAYER_KEEPS_DST);/LAYER_KEEPS_NOTHING);/|network|test_network
layer.c|s/return layer->training \&\& ((keeps \& LAYER_KEEPS_SRC)/return false \&\& ((keeps \& LAYER_KEEPS_SRC)/|network|test_network
network/recompute.c|s/if (layer_reads_dst(&node->layer))/if (false)/|recompute|test_recompute
network/network.c|s/recompute.recompute = true;/recompute.recompute = false;/|recompute|test_recompute
network/memory_plan.c|s/plan_extend(backward, node->recompute_step);/(void)0;/|recompute|test_recompute
END
}

mutations >"$work/list"
while IFS='|' read -r file edit test says; do
    total=$((total + 1))
    cp "$work/source/nn/$file" "$work/original"
    sed -i "$edit" "$work/source/nn/$file"
    began=$(date +%s)
    if cmp -s "$work/source/nn/$file" "$work/original"; then
        verdict="NOT APPLIED"
    elif ! cmake --build "$work/build" --target "test_$test" -j2 >"$work/log" 2>&1; then
        verdict="DOES NOT BUILD"
    else
        began=$(date +%s)
        if (cd "$work/source" && timeout 60 "$work/build/tests/nn/test_$test") >"$work/log" 2>&1; then
            verdict="SURVIVED"
        elif ! grep -q -- "$says" "$work/log"; then
            verdict="FAILED WITHOUT SAYING '$says'"
        else
            verdict="killed"
            killed=$((killed + 1))
        fi
    fi
    echo "$verdict in $(($(date +%s) - began)) s: $file: $edit"
    cp "$work/original" "$work/source/nn/$file"
done <"$work/list"
echo "$killed of $total mutations killed"
[ $# -gt 0 ] || rm -rf "$work"
[ "$killed" -eq "$total" ]
